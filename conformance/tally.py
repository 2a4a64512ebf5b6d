"""What a target record counts: verdicts by clause, and the readings that are still possible."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vnethash.conformance import records
from vnethash.spec.questions import all_by_field, all_questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.conformance.device.judge import JudgedPlay
    from vnethash.conformance.judge import Judged
    from vnethash.models.symbolic.profile import Profile

#: Clauses that only a target that shows reports can keep or break.
_ABOUT_REPORTS = frozenset({"REP-1", "REP-2", "REP-3", "REP-4", "HDR-1", "FB-4"})


def settled(profile: Profile) -> dict[str, records.Settled]:
    """Return what a profile says about each question, the best reading first."""
    found = {}
    for question in all_questions().values():
        numbers = profile.possible.get(question.field)
        if numbers is None:
            continue
        best = profile.readings[question.field]
        ordered = [best, *sorted(numbers - {best})]
        found[question.id] = records.Settled(
            [question.readings[number].name for number in ordered],
            question.readings[best].standing,
            profile.spoke.get(question.field, 0),
        )
    return found


def by_clause(judged: Sequence[Judged | JudgedPlay], observes: frozenset[str]) -> dict[str, dict[str, int]]:
    """Count verdicts by clause.

    A failure counts against the clauses that it names, anything else for all that its case tests; a target that shows
    no report is not judged by the clauses about reports.
    """
    questions = all_by_field()
    table: dict[str, Counter[str]] = {}
    for entry in judged:
        clauses = list(entry.clauses_tested)
        if entry.verdict == "fail":
            unsupported = (
                questions[name] for name, number in (entry.readings or {}).items()
                if number not in questions[name].allowed
            )
            clauses = [entry.clause, *(clause for question in unsupported for clause in question.clauses)]
        for clause in dict.fromkeys(clauses):
            if "report" in observes or clause not in _ABOUT_REPORTS:
                table.setdefault(clause, Counter())[entry.verdict] += 1
    return {clause: dict(counts) for clause, counts in sorted(table.items())}
