"""From the answers of a device to verdicts: a script is held against the text, the device against one profile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from vnethash.conformance.device.script import PLAIN_HASH, PLAIN_RSS
from vnethash.conformance.judge import taken_readings
from vnethash.models.device.allowed import expectation, literal, offered_readings, play
from vnethash.models.device.faults import faults
from vnethash.models.device.faults import first_fault as first_of
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.questions import all_by_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vnethash.conformance.device.runner import Play
    from vnethash.conformance.records import Kind
    from vnethash.models.allowed import Expectation
    from vnethash.models.device.matching import Fault, Seen
    from vnethash.models.device.state import Answer, Step, Traits, Transition
    from vnethash.models.symbolic.profile import Constraint, Profile


class Weighed(NamedTuple):
    """A sequence of steps, what it showed, and the readings that explain it (None: all; empty: none)."""

    steps: tuple[Step, ...]
    seen: tuple[Seen, ...]
    full: Expectation
    constraint: Constraint | None
    literal: bool

    @property
    def allowed(self) -> bool:
        """Whether some supported readings explain it."""
        if self.constraint is None:
            return True
        allowed = offered_readings(defects=False)
        return any(all(numbers & set(allowed[name]) for name, numbers in when) for when in self.constraint)


@dataclass(frozen=True)
class JudgedPlay:
    """One script with its verdict; the fields are those of `conformance.judge.Judged`, and the step that failed."""

    play: Play
    weighed: Weighed | None
    verdict: Kind
    readings: Mapping[str, int] | None = None
    clause: str = ""
    reason: str = ""
    kind: str = ""
    step: int = -1
    consistent: bool = True
    definite: bool = False

    @property
    def unsupported(self) -> list[str]:
        """The fields of the questions whose unsupported readings explain the answers."""
        questions = all_by_field()
        return [name for name, number in (self.readings or {}).items() if number not in questions[name].allowed]

    @property
    def clauses_tested(self) -> tuple[str, ...]:
        """The clauses that its script tests."""
        return self.play.script.clauses

    @property
    def observation(self) -> object | None:
        """What the device showed, None if it could not be judged."""
        return self.weighed


class Weigher:
    """Expectations of sequences for one device, worked out once."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self._known: dict[tuple[Step, ...], Expectation] = {}

    def expectation(self, steps: tuple[Step, ...]) -> Expectation:
        """Return the tree of answers, with all readings that are known."""
        if steps not in self._known:
            self._known[steps] = expectation(steps, self.traits, offered_readings(defects=True))
        return self._known[steps]

    def weigh(self, steps: tuple[Step, ...], seen: tuple[Seen, ...]) -> Weighed:
        """Return the readings that explain what a sequence showed."""
        full = self.expectation(steps)
        alternatives = full.explained_by(lambda leaf: not faults(steps, cast("tuple[Answer, ...]", leaf), seen))
        answers = tuple(one.answer for one in literal(steps, self.traits))
        constraint = None if alternatives == ((),) else frozenset(alternatives)
        return Weighed(steps, seen, full, constraint, not faults(steps, answers, seen))

    def under(self, steps: Sequence[Step], profile: Profile) -> list[Transition]:
        """Return what each step leads to under a profile."""
        return list(play(steps, self.traits, profile.as_device_readings(), profile.as_readings()))


def weigh_all(plays: Iterable[Play], weigher: Weigher) -> list[tuple[Play, Weighed | None]]:
    """Weigh what can be weighed."""
    return [
        (one, None if one.skipped or one.error else weigher.weigh(one.script.steps, one.seen)) for one in plays
    ]


def judge_plays(
    weighed: Sequence[tuple[Play, Weighed | None]], weigher: Weigher, profile: Profile
) -> tuple[JudgedPlay, ...]:
    """Judge all scripts; one whose base fails says nothing, since the plainest case is wrong already."""
    bases = {
        one.script.name: _verdict(one, found, weigher, profile)
        for one, found in weighed if one.script.name in {PLAIN_RSS, PLAIN_HASH}
    }
    judged = []
    for one, found in weighed:
        base = bases.get(one.script.base)
        if base is not None and found is not None and base.verdict not in {"pass", "pass-under"}:
            reason = f"says nothing, because {one.script.base} does not pass"
            judged.append(JudgedPlay(one, None, "skipped", reason=reason))
        else:
            judged.append(_verdict(one, found, weigher, profile))
    return tuple(judged)


def base_failed(weighed: Sequence[tuple[Play, Weighed | None]]) -> set[str]:
    """Return the base scripts that no supported readings explain, or that could not be put."""
    return {
        one.script.name for one, found in weighed
        if one.script.name in {PLAIN_RSS, PLAIN_HASH} and not one.skipped and (found is None or not found.allowed)
    }


def constraints(weighed: Sequence[tuple[Play, Weighed | None]]) -> list[Constraint]:
    """Return what the scripts say about the profile, leaving out those whose base fails."""
    failed = base_failed(weighed)
    return [
        found.constraint for one, found in weighed if found and found.constraint and one.script.base not in failed
    ]


def _verdict(one: Play, found: Weighed | None, weigher: Weigher, profile: Profile) -> JudgedPlay:
    if one.skipped:
        return JudgedPlay(one, None, "skipped", reason=one.skipped)
    if found is None:
        clause = one.script.clauses[0]
        return JudgedPlay(one, None, "timeout" if one.late else "error", clause=clause, reason=one.error)
    constraint = found.constraint
    if constraint is None or found.literal:
        consistent = constraint is None or satisfied(constraint, _whole(profile))
        return JudgedPlay(one, found, "pass", consistent=consistent)
    if satisfied(constraint, _whole(profile)):
        took = taken_readings(constraint, _whole(profile))
        questions = all_by_field()
        unsupported = [name for name, number in took.items() if number not in questions[name].allowed]
        if not unsupported:
            return JudgedPlay(one, found, "pass-under", took)
        question = questions[unsupported[0]]
        return JudgedPlay(
            one, found, "fail", took, question.clauses[0], question.readings[took[question.field]].words,
            definite=not found.allowed,
        )
    step, clause, fault = first_fault(one.script.steps, one.seen, weigher, profile)
    if found.allowed:
        reason = "allowed by itself, but no one set of readings explains it together with the other answers"
        return JudgedPlay(one, found, "fail", None, clause, reason, fault.kind, step, consistent=False)
    return JudgedPlay(one, found, "fail", None, clause, fault.words, fault.kind, step, definite=True)


def _whole(profile: Profile) -> Mapping[str, int]:
    """Return the readings of a profile with those about the device that no answer spoke to."""
    return {**dict.fromkeys(all_by_field(), 0), **profile.readings}


def first_fault(
    steps: Sequence[Step], seen: Sequence[Seen], weigher: Weigher, profile: Profile
) -> tuple[int, str, Fault]:
    """Return the first step that is not as the profile has it, its clause, and what is wrong."""
    found = first_of(steps, seen, weigher.under(steps, profile))
    if found is None:
        raise ValueError("nothing is wrong")
    return found
