"""From the answers of a target to verdicts: a case is held against the text, the target against one profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnethash.models.matching import matches
from vnethash.models.symbolic.profile import Constraint, Profile, find_profile, satisfied
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import questions_by_field
from vnethash.targets.base import Errored, Skipped, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vnethash.conformance.device.judge import JudgedPlay
    from vnethash.conformance.records import Conclusion, Kind
    from vnethash.conformance.runner import Answer
    from vnethash.models.causes import Cause
    from vnethash.models.expectations import Expectations, Expected

@dataclass(frozen=True)
class Judged:
    """One answer with its verdict.

    `constraint` holds the readings under which the observation follows (None: under all; empty: under none), `readings`
    those that make it pass, `clause` what it fails. `definite` is a failure that no supported reading allows; one that
    is not is told as a failure because the target's other answers leave only an unsupported reading for it. `depends`
    is the cause where the frames before it made the answer what it is.
    """

    answer: Answer
    expected: Expected
    verdict: Kind
    constraint: Constraint | None = None
    readings: Mapping[str, int] | None = None
    clause: str = ""
    reason: str = ""
    consistent: bool = True
    definite: bool = False
    depends: Cause | None = None

    @property
    def unsupported(self) -> list[str]:
        """The fields of the questions whose unsupported readings explain the answer."""
        questions = questions_by_field()
        return [name for name, number in (self.readings or {}).items() if number not in questions[name].allowed]

    @property
    def clauses_tested(self) -> tuple[str, ...]:
        """The clauses that its case tests."""
        return self.answer.case.clauses

    @property
    def observation(self) -> Observation | None:
        """What the target showed, None if it showed nothing."""
        return self.answer.result if isinstance(self.answer.result, Observation) else None


@dataclass(frozen=True)
class Judgement:
    """All verdicts of one target, its profile and the conclusion."""

    judged: tuple[Judged, ...]
    profile: Profile
    conclusion: Conclusion
    reason: str


def judge(
    answers: Iterable[Answer],
    observes: frozenset[str],
    expectations: Expectations,
    progress: Callable[[int], None] = lambda _: None,
    beside: Iterable[Constraint] = (),
    depends: Mapping[int, Cause] | None = None,
) -> Judgement:
    """Judge all answers of one target; `beside` is what its answers to control commands say about the profile.

    `depends` has the cases, by number, whose answers the frames before them made what they are: they fail, and say
    nothing about readings.
    """
    depends = depends or {}
    weighed: list[tuple[Answer, Expected, Constraint | None]] = []
    for answer in answers:
        expected = expectations.of(answer.case.frame, answer.configuration)
        constraint = None if answer.case.id in depends else _constraint(answer, expected, observes)
        weighed.append((answer, expected, constraint))
        progress(1)
    profile = find_profile([*(constraint for _, _, constraint in weighed if constraint), *beside])
    judged = tuple(
        _dependent(answer, expected, depends[answer.case.id], observes) if answer.case.id in depends
        else _verdict(answer, expected, constraint, profile, observes)
        for answer, expected, constraint in weighed
    )
    conclusion, reason = conclude(judged, profile)
    return Judgement(judged, profile, conclusion, reason)


def _dependent(answer: Answer, expected: Expected, cause: Cause, observes: frozenset[str]) -> Judged:
    assert isinstance(answer.result, Observation)
    definite = not expected.is_allowed(answer.result, observes)
    return Judged(
        answer, expected, "fail", None, None, expected.clause, cause.title, definite=definite, depends=cause
    )


def _constraint(answer: Answer, expected: Expected, observes: frozenset[str]) -> Constraint | None:
    result = answer.result
    if not isinstance(result, Observation):
        return None
    return expected.explained_by(result, observes)


def _verdict(
    answer: Answer, expected: Expected, constraint: Constraint | None, profile: Profile, observes: frozenset[str]
) -> Judged:
    result = answer.result
    if isinstance(result, Skipped):
        return Judged(answer, expected, "skipped", reason=result.reason)
    if isinstance(result, TimedOut):
        return Judged(answer, expected, "timeout", reason=f"no answer within {result.seconds:g} s")
    if isinstance(result, Errored):
        return Judged(answer, expected, "error", reason=result.message)
    if constraint is None or matches(expected.literal, result, observes):
        return Judged(answer, expected, "pass", constraint, consistent=_consistent(constraint, profile))
    if not constraint and not expected.full.complete:
        return Judged(answer, expected, "skipped", reason="too many questions in one frame to judge it")
    definite = not expected.is_allowed(result, observes)
    if satisfied(constraint, profile.readings):
        taken = taken_readings(constraint, profile.readings)
        questions = questions_by_field()
        unsupported = [name for name, number in taken.items() if number not in questions[name].allowed]
        if not unsupported:
            return Judged(answer, expected, "pass-under", constraint, readings=taken)
        question = questions[unsupported[0]]
        words = question.readings[taken[question.field]].words
        return Judged(
            answer, expected, "fail", constraint, taken, question.clauses[0], words, definite=definite
        )
    if not definite:
        reason = "allowed by itself, but no one set of readings explains it together with the other answers"
        return Judged(answer, expected, "fail", constraint, None, expected.clause, reason, consistent=False)
    reason = "no reading explains this answer"
    return Judged(answer, expected, "fail", constraint, None, expected.clause, reason, definite=True)


def _consistent(constraint: Constraint | None, profile: Profile) -> bool:
    return constraint is None or satisfied(constraint, profile.readings)


def taken_readings(constraint: Constraint, readings: Mapping[str, int]) -> dict[str, int]:
    """Return those of a profile's readings that are not literal and without which the answer would not follow."""
    fields = {name for when in constraint for name, _ in when}
    taken = {}
    for name in sorted(fields):
        number = readings[name]
        if number != 0 and not satisfied(constraint, {**readings, name: 0}):
            taken[name] = number
    if taken:
        return taken
    # Two readings that only together differ from the literal ones.
    return {name: readings[name] for name in sorted(fields) if readings[name] != 0}


def conclude(judged: Sequence[Judged | JudgedPlay], profile: Profile) -> tuple[Conclusion, str]:
    """Return the conclusion about a target, with its reason, from the verdicts of both suites."""
    seen = [entry for entry in judged if entry.observation is not None]
    if not seen:
        return "not-driven", "no case could be put to it"
    broken = sum(entry.verdict in {"error", "timeout"} for entry in judged)
    definite = sum(entry.definite for entry in judged)
    # An unsupported reading accuses only where one answer at least cannot be had otherwise; an answer that is allowed
    # by itself and fits no such cause mixes readings.
    proven = {name for entry in judged if entry.definite for name in entry.unsupported}
    loose = [entry for entry in judged if entry.verdict == "fail" and not entry.definite]
    along = sum(bool(proven & set(entry.unsupported)) for entry in loose)
    mixed = sum(not entry.consistent for entry in judged) + sum(
        entry.consistent and not proven & set(entry.unsupported) for entry in loose
    )
    if definite or broken:
        parts = []
        if definite:
            parts.append(f"{definite} answers that no reading of the text allows")
        if along:
            parts.append(f"{along} that have the same causes")
        if broken:
            parts.append(f"{broken} cases without an answer")
        return "deviates", ", ".join(parts)
    if mixed:
        return "inconsistent", f"{mixed} answers are allowed one by one, but by no one set of readings"
    if profile.literal():
        return "conforms", "to the literal readings"
    changed = sum(1 for name, numbers in profile.possible.items() if 0 not in numbers)
    return "conforms", f"with {changed} readings other than the literal ones"
