"""The static suite: frames and configurations that reach every rule, every event and every reading of every question.

Each area is a module that writes drafts; `load_suite` adds the clauses, numbers the cases and keeps those of the subset
that was asked for. What is expected of a case is not written down here: the model says it (`models.allowed`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vnethash.conformance.suite.case import Case
from vnethash.conformance.suite.chain import chain_drafts
from vnethash.conformance.suite.combinations import combination_drafts
from vnethash.conformance.suite.coverage import Coverage, coverage, reach
from vnethash.conformance.suite.ex import ex_drafts
from vnethash.conformance.suite.fragments6 import fragment_drafts
from vnethash.conformance.suite.home import home_drafts
from vnethash.conformance.suite.ipv4 import ipv4_drafts
from vnethash.conformance.suite.link import link_drafts
from vnethash.conformance.suite.quick import smallest_cover
from vnethash.conformance.suite.steering import steering_drafts
from vnethash.conformance.suite.transport import transport_drafts
from vnethash.conformance.suite.tunnel import tunnel_drafts
from vnethash.models.events import RULES
from vnethash.spec.clauses import load as load_clauses
from vnethash.spec.errors import UsageError
from vnethash.spec.questions import load_questions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.conformance.suite.case import Draft
    from vnethash.conformance.suite.coverage import Reach
    from vnethash.spec.configuration import Configuration

__all__ = ["SUITES", "Case", "Coverage", "Suite", "cases", "coverage", "load_suite", "told_apart"]

#: The areas, in the order of the layers; the smallest frames come first.
AREAS = (
    link_drafts, ipv4_drafts, transport_drafts, chain_drafts, fragment_drafts, ex_drafts, home_drafts,
    combination_drafts, steering_drafts, tunnel_drafts,
)

#: Names of the suites and what each is for.
SUITES = {
    "default": "every case",
    "quick": "the fewest cases that still tell every two readings apart",
}


class Suite(NamedTuple):
    """A named list of cases, ordered by configuration, with the numbers that each case has in the default suite."""

    name: str
    cases: tuple[Case, ...]


def load_suite(name: str) -> Suite:
    """Return a suite; raises UsageError for a name that is none."""
    if name not in SUITES:
        raise UsageError(f"no suite {name!r}", hint=f"suites: {', '.join(SUITES)}")
    found = numbered()
    if name == "quick":
        return Suite(name, tuple(smallest_cover(found)))
    return Suite(name, tuple(case for case, _ in found))


def cases() -> list[Case]:
    """Return all cases."""
    return list(load_suite("default").cases)


@cache
def numbered() -> tuple[tuple[Case, Reach], ...]:
    """Return all cases with their numbers and what each reaches; cases of one configuration stand together."""
    groups: dict[Configuration, list[Draft]] = {}
    for draft in distinct():
        groups.setdefault(draft.configuration, []).append(draft)
    found: list[tuple[Case, Reach]] = []
    for drafts in groups.values():
        for draft in drafts:
            reached = reach(draft.frame, draft.configuration)
            case = Case(draft.comment(), clauses_of(draft, reached), draft.frame, draft.configuration)
            found.append((replace(case, id=len(found) + 1), reached))
    return tuple(found)


def distinct() -> Iterator[Draft]:
    """Yield the drafts of all areas, each frame and configuration once."""
    seen: set[tuple[bytes, Configuration]] = set()
    for area in AREAS:
        for draft in area():
            key = (draft.frame, draft.configuration)
            if key not in seen:
                seen.add(key)
                yield draft


def clauses_of(draft: Draft, reached: Reach) -> tuple[str, ...]:
    """Return the clauses of the rule that applies, of the draft, and of the questions whose readings it tells apart."""
    known = load_clauses()
    questions = load_questions()
    found = [*RULES[reached.rule].sources, *draft.clauses]
    for question in reached.questions:
        found += questions[question].clauses
    return tuple(clause for clause in dict.fromkeys(found) if clause in known)


def told_apart(case: Case) -> tuple[str, ...]:
    """Return the questions of which the case tells readings apart."""
    return reach(case.frame, case.configuration).questions
