"""Chooses the cases that find a profile with few packets: those of which each can still rule a reading out.

A reading other than that of the profile is a doubt. An answer rules it out if it follows under the profile and would
not with that one reading changed. A case is worth the open doubts that its answer would rule out. A defect can make
most of these answers useless: no reading explains them, or only one that the profile contradicts. So two things are
learned from every answer. What a case has to do with (its headers, the enabled hash types, the sizes of key and table)
is trusted as far as its answers were of use so far; a case is trusted as far as the worst of what it has to do with.
And a doubt that was asked in vain is asked again with what is most unlike the cases that were in vain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from vnethash.models.summarize import summarize
from vnethash.models.symbolic.profile import Constraint, Profile, satisfied
from vnethash.spec.constants import ALL_HASH_TYPES
from vnethash.spec.questions import questions_by_field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vnethash.conformance.suite import Case
    from vnethash.models.expectations import Expectations, Expected
    from vnethash.spec.outcome import Observation, Outcome

#: A question (by field) and a reading other than that of the profile.
Doubt = tuple[str, int]
Part = TypeVar("Part")

#: What a doubt counts in a case that has to do with nothing in which it was not asked in vain already.
_NOTHING_NEW = 0.001
#: Answers that should speak for a reading against the literal one, where answers contradict each other.
_BORNE_OUT = 2


class Chooser:
    """The cases that were not put to a target yet, and what those that were have shown.

    Attributes:
        left: the cases that can still be chosen, by number.
        constraints: for each case that was put to it the readings under which its answer follows: None for all, none
            where no reading explains it or there was no answer.
    """

    def __init__(self, cases: Sequence[Case], expectations: Expectations, observes: frozenset[str]) -> None:
        self.left = {case.id: case for case in cases}
        self.constraints: dict[int, Constraint | None] = {}
        self._observes = observes
        self._expected: dict[int, Expected] = {
            case.id: expectations.of(case.frame, case.configuration) for case in cases
        }
        self._asks = {number: sorted(expected.full.questions()) for number, expected in self._expected.items()}
        self._about = {case.id: circumstances(case) for case in cases}
        self._met: set[tuple[str, str]] = set()
        self._told: dict[tuple[int, tuple[int, ...]], frozenset[Doubt]] = {}
        self._answers: dict[str, int] = {}
        self._explained: dict[str, int] = {}

    def take(self, number: int) -> Case:
        """Return a case that is to be put to the target; it is not chosen again."""
        self._met |= self._asked_about(number)
        self.constraints[number] = frozenset()
        return self.left.pop(number)

    def explain(self, number: int, observation: Observation) -> Constraint | None:
        """Remember what a target showed for a case, and return the readings under which it follows."""
        constraint = self._expected[number].explained_by(observation, self._observes)
        self.constraints[number] = constraint
        for about in self._about[number]:
            self._answers[about] = self._answers.get(about, 0) + 1
            self._explained[about] = self._explained.get(about, 0) + (constraint != frozenset())
        return constraint

    def ruled_out(self, readings: Mapping[str, int]) -> set[Doubt]:
        """Return the doubts about a full set of readings that the answers rule out."""
        return {
            (name, other)
            for number, constraint in self.constraints.items()
            if constraint and satisfied(constraint, readings)
            for name, other in self._tells(number, readings)
            if not satisfied(constraint, {**readings, name: other})
        }

    def for_doubts(self, readings: Mapping[str, int], most: int) -> list[int]:
        """Choose the cases that together rule out the most open doubts, the plainest frames first among equals."""
        settled: set[Doubt] = set()
        vain: dict[Doubt, set[str]] = {}
        for number, constraint in self.constraints.items():
            tells = self._tells(number, readings)
            if constraint is None or satisfied(constraint, readings):
                # What an answer that is as the profile has it leaves open, others like it leave open too.
                settled |= tells
                continue
            for doubt in tells:
                vain.setdefault(doubt, set()).update(self._about[number])
        trust = {number: self._trust(number) for number in self.left}

        def worth(number: int, doubt: Doubt) -> float:
            if doubt not in vain:
                return trust[number]
            about = self._about[number]
            return trust[number] * max(len(about - vain[doubt]) / len(about), _NOTHING_NEW)

        open_doubts = {number: self._tells(number, readings) - settled for number in self.left}
        return _greedy(open_doubts, worth, self._plainness, most)

    def between(self, profile: Profile, most: int) -> list[int]:
        """Choose cases that tell the profile from other full sets of readings that explain the same so far."""
        chosen: list[int] = []
        for other in profile.others.values():
            if len(chosen) == most:
                break
            telling = [
                number for number in self.left if self._shows(number, profile.readings) != self._shows(number, other)
            ]
            if telling and not set(telling) & set(chosen):
                chosen.append(max(telling, key=self._plainness))
        return chosen

    def resting_on_one(self, profile: Profile, most: int) -> list[int]:
        """Choose cases about readings that only one answer speaks for, against the literal ones.

        Where answers contradict each other, that one may be the contradiction.
        """
        kept = [each for each in self.constraints.values() if each and satisfied(each, profile.readings)]
        weak = {
            name for name, number in profile.readings.items()
            if number and sum(not satisfied(each, {**profile.readings, name: 0}) for each in kept) < _BORNE_OUT
        }
        telling = {
            number: frozenset(
                name for name, other in self._tells(number, profile.readings) if name in weak and other == 0
            )
            for number in self.left
        }
        return _greedy(telling, lambda _, __: 1.0, self._plainness, most)

    def disputed(self, profile: Profile, most: int) -> list[int]:
        """Choose cases about the questions of answers that contradict each other, so that it is seen what most say."""
        disputed = {name for constraint in profile.violated for cube in constraint for name, _ in cube}
        about = [number for number in self.left if disputed & set(self._asks[number])]
        return sorted(about, key=self._plainness, reverse=True)[:most]

    def elsewhere(self, most: int) -> list[int]:
        """Choose cases that ask questions in circumstances in which they were not asked yet."""
        new = {number: frozenset(self._asked_about(number) - self._met) for number in self.left}
        return _greedy(new, lambda _, __: 1.0, self._plainness, most)

    def _asked_about(self, number: int) -> set[tuple[str, str]]:
        return {(name, about) for name in self._asks[number] for about in self._about[number]}

    def _plainness(self, number: int) -> tuple[int, int, int]:
        return -len(self._expected[number].full.cubes), -len(self.left[number].frame), -number

    def _trust(self, number: int) -> float:
        """Return how likely it is that readings will explain the answer: as in the worst of its circumstances."""
        return min(
            (self._explained.get(about, 0) + 1) / (self._answers.get(about, 0) + 1) for about in self._about[number]
        )

    def _tells(self, number: int, readings: Mapping[str, int]) -> frozenset[Doubt]:
        """Return the single changes of the readings that change what the target would show."""
        # Most of a profile stays as it is from look to look, so most of this is worked out once.
        key = (number, tuple(readings[name] for name in self._asks[number]))
        if key not in self._told:
            here = self._shows(number, readings)
            self._told[key] = frozenset(
                (name, other)
                for name in self._asks[number]
                for other in range(len(questions_by_field()[name].readings))
                if other != readings[name] and self._shows(number, {**readings, name: other}) != here
            )
        return self._told[key]

    def _shows(self, number: int, readings: Mapping[str, int]) -> tuple[object, ...]:
        return _visible(self._expected[number].full.under(readings), self._observes)


def circumstances(case: Case) -> frozenset[str]:
    """Return what a case has to do with: the headers, each hash type on or off, the sizes of the key and the table."""
    configuration = case.configuration
    types = (
        f"type {bit} {'on' if configuration.hash_types >> bit & 1 else 'off'}"
        for bit in range(ALL_HASH_TYPES.bit_length())
    )
    sizes = (f"key {len(configuration.key)}", f"table {len(configuration.indirection_table)}")
    return frozenset((*summarize(case.frame).split("/"), *types, *sizes))


def _visible(outcome: Outcome | None, observes: frozenset[str]) -> tuple[object, ...]:
    if outcome is None:
        return ()
    return (
        outcome.report if "report" in observes else None,
        (outcome.report != 0, outcome.value) if "value" in observes else None,
        outcome.queue if "queue" in observes else None,
    )


def _greedy(
    parts: Mapping[int, frozenset[Part]],
    worth: Callable[[int, Part], float],
    plainness: Callable[[int], tuple[int, ...]],
    most: int,
) -> list[int]:
    """Choose cases whose parts are worth most together: each time that whose parts nobody before it had are.

    `parts` are those of each case, by number; `worth` is that of a part in a case. The plainer of two equals is taken.
    """
    rest = {number: set(own) for number, own in parts.items() if own}
    value = {number: sum(worth(number, part) for part in own) for number, own in rest.items()}
    chosen: list[int] = []
    while rest and len(chosen) < most:
        best = max(rest, key=lambda number: (round(value[number], 9), plainness(number)))
        chosen.append(best)
        taken = rest.pop(best)
        for number in list(rest):
            lost = rest[number] & taken
            if lost:
                rest[number] -= lost
                value[number] -= sum(worth(number, part) for part in lost)
                if not rest[number]:
                    del rest[number]
    return chosen
