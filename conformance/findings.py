"""Groups failing answers by cause: a reading of the profile, a mix of readings, a known slip, or what is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnethash.conformance.diagnosis import diagnose
from vnethash.conformance.matching import matches
from vnethash.conformance.profile import satisfied
from vnethash.models.events import RULES
from vnethash.models.reference import conclude, decide, enabled_tunnels, hash_input, outcome
from vnethash.spec.configuration import report_name
from vnethash.spec.questions import Question, load_questions, questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vnethash.conformance.judge import Judged, Judgement
    from vnethash.conformance.profile import Constraint, Profile
    from vnethash.conformance.records import Cause
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Observation, Outcome


@dataclass
class Group:
    """Answers with one cause.

    `slug` is short and stable, and names the cause in commands and expected-results files.
    """

    cause: Cause
    slug: str
    title: str
    clauses: tuple[str, ...]
    question: Question | None = None
    number: int = 0
    entries: list[Judged] = field(default_factory=list)

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
        *_broken_groups(judgement),
    ]
    order = {"error": 0, "defect": 1, "inconsistent": 2, "unexplained": 3, "reading": 4}
    return sorted((group for group in groups if group.entries), key=lambda group: order[group.cause])


def alternatives(question: Question, number: int) -> tuple[int, ...]:
    """Return the readings that a reading is told apart from: all supported ones, or the literal one."""
    if question.readings[number].standing == "defect":
        return question.allowed
    return (0,)


def shows_reading(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    observes: frozenset[str],
    profile: Profile,
    question: Question,
) -> bool:
    """Say whether an observation follows under the profile and under no alternative to its reading of the question."""
    readings = profile.as_readings()
    if not matches(outcome(frame, configuration, readings), observation, observes):
        return False
    return not any(
        matches(
            outcome(frame, configuration, readings._replace(**{question.field: number})), observation, observes
        )
        for number in alternatives(question, profile.readings[question.field])
    )


def company(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    observes: frozenset[str],
    profile: Profile,
    question: Question,
) -> int:
    """Return how many other readings of the profile an observation needs beside that of the question.

    0 means that the literal readings and this one explain it: the frame shows this cause and nothing else.
    """
    literal = Readings()
    asked = {question.field: profile.readings[question.field]}
    if matches(outcome(frame, configuration, literal._replace(**asked)), observation, observes):
        return 0
    needed = {name: number for name, number in profile.readings.items() if number != 0}
    for name in sorted(needed):
        if name != question.field:
            fewer = {other: number for other, number in needed.items() if other != name}
            if matches(outcome(frame, configuration, literal._replace(**fewer)), observation, observes):
                needed = fewer
    return len(needed) - 1


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
            group = mixed_cause(entry.constraint, judgement.profile, entry.expected.clause)
            groups.setdefault(group.slug, group).entries.append(entry)
    return groups.values()


def mixed_cause(constraint: Constraint, profile: Profile, clause: str) -> Group:
    """Name the one question whose other reading would explain an answer that the profile does not."""
    questions = questions_by_field()
    for name in sorted({name for when in constraint for name, _ in when}):
        question = questions[name]
        for number in range(len(question.readings)):
            if satisfied(constraint, {**profile.readings, name: number}):
                kept = question.readings[profile.readings[name]].words
                title = f"mixes readings: {kept}; elsewhere {question.readings[number].words}"
                return Group("inconsistent", f"mixed-{question.id}", title, question.clauses)
    return Group("inconsistent", "mixed-readings", "the answers mix readings of several questions", (clause,))


def _unexplained_groups(judgement: Judgement, observes: frozenset[str]) -> Iterable[Group]:
    readings = judgement.profile.as_readings()
    groups: dict[str, Group] = {}
    seen: dict[str, set[str]] = {}
    for entry in judgement.judged:
        if entry.verdict != "fail" or not entry.consistent or entry.readings is not None or entry.observation is None:
            continue
        frame, configuration = entry.answer.case.frame, entry.answer.configuration
        group, clause = unexplained_cause(
            frame, configuration, entry.observation, observes, readings, entry.expected.full.outcomes()
        )
        groups.setdefault(group.slug, group).entries.append(entry)
        seen.setdefault(group.slug, set()).add(clause)
    for slug, group in groups.items():
        # Of the rules that a slip is against, those that were seen; the clauses of the hash function stay.
        kept = tuple(clause for clause in group.clauses if clause in seen[slug])
        rest = tuple(clause for clause in group.clauses if clause[:2] not in {"V4", "V6", "X6"})
        group.clauses = (*kept, *rest) or group.clauses
    return groups.values()


def unexplained_cause(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    observes: frozenset[str],
    readings: Readings,
    outcomes: set[Outcome],
) -> tuple[Group, str]:
    """Name an answer that no reading explains: a known slip, or the rule and the effect; the rule's clause with it."""
    expected, data, clause = under(frame, configuration, readings)
    slip = diagnose(data, expected, observation, configuration, observes)
    if slip is not None:
        slug = "-".join(word.strip(",;:()") for word in slip.words.split())
        return Group("unexplained", slug, slip.words, slip.clauses), clause
    slug = f"{clause}-{kind_of_effect(expected, observation, observes)}"
    return Group("unexplained", slug, effect(expected, observation, observes, outcomes), (clause,)), clause


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


def under(frame: bytes, configuration: Configuration, readings: Readings) -> tuple[Outcome, bytes, str]:
    """Return what readings expect of a frame: the outcome, the hash input, and the clause of the rule."""
    selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    data = hash_input(frame, len(frame), selection)
    return conclude(data, selection, configuration, readings), data, RULES[selection.rule].sources[0]


def is_hashed(observation: Observation, observes: frozenset[str]) -> bool | None:
    """Say whether a target shows that it hashed a frame; None if it shows too little."""
    if observation.report is not None:
        return observation.report != 0
    if "value" in observes:
        return observation.value is not None
    return None


def kind_of_effect(expected: Outcome, observation: Observation, observes: frozenset[str]) -> str:
    """Return one word for how an observation differs from an outcome."""
    hashed = is_hashed(observation, observes)
    if hashed is False and expected.report != 0:
        return "unhashed"
    if hashed is True and expected.report == 0:
        return "hashed"
    if observation.report is not None and observation.report != expected.report:
        return "report"
    if "value" in observes and expected.report != 0 and observation.value != expected.value:
        return "value"
    return "queue"


def effect(
    expected: Outcome, observation: Observation, observes: frozenset[str], outcomes: set[Outcome] | None = None
) -> str:
    """Say in words how an observation differs from an outcome; `outcomes` help to recognise a bare value."""
    kind = kind_of_effect(expected, observation, observes)
    wanted = report_name(expected.report)
    if kind == "unhashed":
        return f"not hashed where {wanted} is expected"
    shown = observation.report
    if shown is None and observation.value is not None:
        known = sorted({other.report for other in outcomes or () if other.report and other.value == observation.value})
        shown = known[0] if known else None
    seen = report_name(shown) if shown is not None else "something else"
    if kind == "hashed":
        return f"hashed as {seen} where no hash is expected"
    if kind == "report":
        return f"hashed as {seen} where {wanted} is expected"
    if kind == "value":
        if shown is not None and shown != expected.report:
            return f"hashed as {seen} where {wanted} is expected"
        return f"other bytes hashed than {wanted} has"
    return f"queue {observation.queue} where {expected.queue} is expected"
