"""Groups failing answers by cause: a reading of the profile, a mix of readings, a known slip, or what is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnethash.models.before import PREVIOUS
from vnethash.models.causes import mixed_cause, shows_reading, unexplained_cause
from vnethash.models.matching import matches
from vnethash.spec.questions import Question, all_questions, load_questions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vnethash.conformance.judge import Judged, Judgement
    from vnethash.conformance.records import Cause as Kind
    from vnethash.models.causes import Cause


@dataclass
class Group:
    """Answers with one cause.

    `slug` is short and stable, and names the cause in commands and expected-results files. `depends`: on the frames
    before.
    """

    cause: Kind
    slug: str
    title: str
    clauses: tuple[str, ...]
    question: Question | None = None
    number: int = 0
    entries: list[Judged] = field(default_factory=list)
    depends: bool = False

    @property
    def reading(self) -> str:
        """The name of the reading, if the cause is one."""
        return self.question.readings[self.number].name if self.question else ""


def find_groups(judgement: Judgement, observes: frozenset[str]) -> list[Group]:
    """Return the causes of everything that is not as the literal text has it."""
    groups = [
        *_reading_groups(judgement, observes),
        *_mixed_groups(judgement),
        *_unexplained_groups(judgement, observes),
        *_dependent_groups(judgement),
        *_broken_groups(judgement),
    ]
    order = {"error": 0, "defect": 1, "inconsistent": 2, "unexplained": 3, "reading": 4}
    return sorted((group for group in groups if group.entries), key=lambda group: order[group.cause])


def _reading_groups(judgement: Judgement, observes: frozenset[str]) -> Iterable[Group]:
    profile = judgement.profile
    for question in load_questions().values():
        number = profile.readings[question.field]
        if number == 0 or 0 in profile.possible.get(question.field, frozenset({0})):
            continue
        standing = question.readings[number].standing
        group = Group(
            "defect" if standing == "defect" else "reading", question.id, question.readings[number].words,
            question.clauses, question, number,
        )
        for entry in judgement.judged:
            if (
                entry.observation is not None
                and entry.constraint
                and any(name == question.field for when in entry.constraint for name, _ in when)
                and shows_reading(
                    entry.answer.case.frame, entry.answer.configuration, entry.observation, observes, profile, question
                )
            ):
                group.entries.append(entry)
        if group.cause == "defect" and not any(entry.definite for entry in group.entries):
            # Each of these answers is allowed by some text; only together do they leave nothing but this reading.
            group.cause = "inconsistent"
        # A reading of which every answer is as the literal text has it accuses nobody; the profile names it.
        if any(not _is_literal(entry, observes) for entry in group.entries):
            yield group


def _is_literal(entry: Judged, observes: frozenset[str]) -> bool:
    return entry.observation is not None and matches(entry.expected.literal, entry.observation, observes)


def _mixed_groups(judgement: Judgement) -> Iterable[Group]:
    groups: dict[str, Group] = {}
    for entry in judgement.judged:
        if not entry.consistent and entry.constraint:
            cause = mixed_cause(entry.constraint, judgement.profile, entry.expected.clause)
            groups.setdefault(
                cause.slug, Group("inconsistent", cause.slug, cause.title, cause.clauses)
            ).entries.append(entry)
    return groups.values()


def _unexplained_groups(judgement: Judgement, observes: frozenset[str]) -> Iterable[Group]:
    readings = judgement.profile.as_readings()
    groups: dict[str, Group] = {}
    seen: dict[str, set[str]] = {}
    for entry in judgement.judged:
        if entry.verdict != "fail" or not entry.consistent or entry.readings is not None or entry.observation is None:
            continue
        if entry.depends:
            continue
        frame, configuration = entry.answer.case.frame, entry.answer.configuration
        cause, clause = unexplained_cause(
            frame, configuration, entry.observation, observes, readings, entry.expected.full.outcomes()
        )
        groups.setdefault(cause.slug, _group(cause)).entries.append(entry)
        seen.setdefault(cause.slug, set()).add(clause)
    for slug, group in groups.items():
        if group.question:
            continue
        # Of the rules that a slip is against, those that were seen; the clauses of the hash function stay.
        kept = tuple(clause for clause in group.clauses if clause in seen[slug])
        rest = tuple(clause for clause in group.clauses if clause[:2] not in {"V4", "V6", "X6"})
        group.clauses = (*kept, *rest) or group.clauses
    return groups.values()


def _group(cause: Cause) -> Group:
    """Return a group for what no reading of the packet model explains; a question about the device may name it."""
    if not cause.question:
        return Group("unexplained", cause.slug, cause.title, cause.clauses)
    question = all_questions()[cause.question]
    return Group("defect", cause.slug, cause.title, cause.clauses, question, question.index(cause.reading))


def _dependent_groups(judgement: Judgement) -> Iterable[Group]:
    groups: dict[str, Group] = {}
    for entry in judgement.judged:
        if entry.depends:
            cause = entry.depends
            kind: Kind = "defect" if cause.slug == PREVIOUS.slug else "unexplained"
            group = groups.setdefault(cause.slug, Group(kind, cause.slug, cause.title, cause.clauses, depends=True))
            group.clauses = tuple(dict.fromkeys((*group.clauses, *cause.clauses)))
            group.entries.append(entry)
    return groups.values()


def _broken_groups(judgement: Judgement) -> Iterable[Group]:
    groups: dict[str, Group] = {}
    for entry in judgement.judged:
        if entry.verdict not in {"error", "timeout"}:
            continue
        line = entry.reason.splitlines()[0][:120] if entry.reason else entry.verdict
        slug = f"{entry.verdict}-{len(groups) + 1}" if line not in groups else groups[line].slug
        group = groups.setdefault(line, Group("error", slug, line, (entry.expected.clause,)))
        group.entries.append(entry)
    return groups.values()
