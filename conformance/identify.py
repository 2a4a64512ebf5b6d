"""Finds the profile of a target with few packets: each case is one whose answer can still rule a reading out.

The whole suite asks each question many times over. Here, a case is put to the target only if the outcome under the
profile so far differs from the outcome with one reading changed, and no case before it showed that difference. When the
profile changes, what must be shown changes with it. At last the solver is asked for other sets of readings that explain
all that was shown, and a case is put that tells them from the profile. What packets are left ask the same questions in
other circumstances, because a target may be of two minds; where it is, more of them say what it does mostly. A defect
that none of 200 packets meets is not found; that is what a run of the whole suite is for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from vnethash.conformance.runner import run_suite
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.models.summarize import summarize
from vnethash.models.symbolic.profile import Constraint, Profile, find_profile
from vnethash.spec.errors import TargetDied
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import questions_by_field
from vnethash.targets.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vnethash.conformance.suite import Case
    from vnethash.models.allowed import Expectation
    from vnethash.spec.outcome import Outcome
    from vnethash.targets.base import Target

#: Cases put to the target between two looks at the profile.
ROUND = 32
MOST_PACKETS = 200

#: A question (by field) and a reading other than that of the profile.
Doubt = tuple[str, int]


@dataclass(frozen=True)
class Identified:
    """What few packets say about a target.

    Attributes:
        profile: the set of readings that explains most, with what is still possible.
        packets: frames put to the target.
        unexplained: answers that no reading explains.
        doubts: readings that no case of the suite can rule out for this target.
        finished: False where the packets were used up, or the target gave out, before all was asked.
    """

    profile: Profile
    packets: int
    unexplained: int
    doubts: frozenset[Doubt]
    finished: bool

    @property
    def consistent(self) -> bool:
        """Whether one set of readings explains every answer."""
        return not self.unexplained and not self.profile.violated


def identify(
    target: Target,
    cases: Sequence[Case],
    expectations: Expectations | None = None,
    *,
    most: int = MOST_PACKETS,
    progress: Callable[[int], None] = lambda _: None,
) -> Identified:
    """Find the profile of a target with at most `most` packets; raises TargetDied if it answers nothing."""
    expectations = expectations or Expectations()
    observes = target.capabilities.observes
    left = {case.id: case for case in _fitted(target, cases)}
    trees = {case.id: expectations.of(case.frame, case.configuration).full for case in left.values()}
    asked: dict[int, Constraint | None] = {}
    shown: list[int] = []
    unexplained = 0
    answered = 0
    finished = False
    about = {number: _circumstances(case, trees[number]) for number, case in left.items()}
    met: set[tuple[str, str]] = set()
    profile = find_profile([])
    while True:
        settled = _doubts_shown(shown, trees, profile.readings, observes)
        room = min(ROUND, most - len(asked))
        chosen = _choose(left, trees, profile.readings, settled, observes, max(room, 1))
        if not chosen:
            chosen = _choose_between(left, trees, profile, observes, max(room, 1))
        finished = not chosen
        if finished and room:
            # What is settled may still be mixed: other frames about the same questions would show it.
            chosen = _choose_disputed(left, trees, profile, room) if profile.violated else []
            chosen = chosen or _choose_other(left, trees, about, met, room)
        if not chosen or room == 0:
            break
        for number in chosen:
            met |= about[number]
        run = run_suite(target, [left.pop(number) for number in chosen], progress)
        for answer in run.answers:
            asked[answer.case.id] = None
            result = answer.result
            if not isinstance(result, Observation):
                continue
            answered += 1
            alternatives = trees[answer.case.id].explained_by(partial(_matches, result, observes))
            if not alternatives:
                unexplained += 1
            else:
                shown.append(answer.case.id)
                if alternatives != ((),):
                    asked[answer.case.id] = frozenset(alternatives)
        if run.ended or run.interrupted:
            break
        profile = find_profile(constraint for constraint in asked.values() if constraint)
    if not answered:
        raise TargetDied(f"{target.name}: no case could be put to it")
    shown_doubts = _doubts_shown(shown, trees, profile.readings, observes)
    every = {
        (name, number)
        for name, question in questions_by_field().items()
        for number in range(len(question.readings))
        if number != profile.readings[name]
    }
    return Identified(profile, len(asked), unexplained, frozenset(every - shown_doubts), finished)


def _fitted(target: Target, cases: Sequence[Case]) -> list[Case]:
    fitted = []
    for case in cases:
        configuration = fit(case.configuration, target.capabilities)
        if not isinstance(configuration, str):
            fitted.append(replace(case, configuration=configuration))
    return fitted


def _told_apart(tree: Expectation, readings: Mapping[str, int], observes: frozenset[str]) -> set[Doubt]:
    """Return the single changes of the readings that change what the target would show."""
    here = _visible(tree.under(readings), observes)
    told = set()
    for name in tree.questions():
        for number in range(len(questions_by_field()[name].readings)):
            if number != readings[name] and _visible(tree.under({**readings, name: number}), observes) != here:
                told.add((name, number))
    return told


def _visible(outcome: Outcome | None, observes: frozenset[str]) -> tuple[object, ...]:
    if outcome is None:
        return ()
    return (
        outcome.report if "report" in observes else None,
        (outcome.report != 0, outcome.value) if "value" in observes else None,
        outcome.queue if "queue" in observes else None,
    )


def _doubts_shown(
    shown: Sequence[int], trees: Mapping[int, Expectation], readings: Mapping[str, int], observes: frozenset[str]
) -> set[Doubt]:
    settled: set[Doubt] = set()
    for number in shown:
        settled |= _told_apart(trees[number], readings, observes)
    return settled


def _choose(
    left: Mapping[int, Case],
    trees: Mapping[int, Expectation],
    readings: Mapping[str, int],
    settled: set[Doubt],
    observes: frozenset[str],
    most: int,
) -> list[int]:
    """Choose the cases that together tell the most open doubts apart, the plainest frames first among equals."""
    tells = {number: _told_apart(trees[number], readings, observes) - settled for number in left}
    chosen: list[int] = []
    while len(chosen) < most:
        best = max(
            (number for number in tells if tells[number]),
            key=lambda number: (len(tells[number]), -len(trees[number].cubes), -len(left[number].frame)),
            default=None,
        )
        if best is None:
            break
        chosen.append(best)
        told = tells.pop(best)
        tells = {number: others - told for number, others in tells.items()}
    return chosen


def _choose_between(
    left: Mapping[int, Case], trees: Mapping[int, Expectation], profile: Profile, observes: frozenset[str], most: int
) -> list[int]:
    """Choose cases that tell the profile from other full sets of readings that explain the same so far."""
    chosen: list[int] = []
    for other in profile.others.values():
        if len(chosen) == most:
            break
        telling = [
            number
            for number in left
            if _visible(trees[number].under(profile.readings), observes)
            != _visible(trees[number].under(other), observes)
        ]
        if telling and not set(telling) & set(chosen):
            chosen.append(min(telling, key=lambda number: (len(trees[number].cubes), len(left[number].frame))))
    return chosen


def _choose_disputed(
    left: Mapping[int, Case], trees: Mapping[int, Expectation], profile: Profile, most: int
) -> list[int]:
    """Choose cases about the questions of answers that contradict each other: what most of them say is the profile."""
    disputed = {name for constraint in profile.violated for cube in constraint for name, _ in cube}
    about = [number for number in left if disputed & set(trees[number].questions())]
    return sorted(about, key=lambda number: (len(trees[number].cubes), len(left[number].frame)))[:most]


def _circumstances(case: Case, tree: Expectation) -> set[tuple[str, str]]:
    """Return each question that a case asks, with what it asks it about: the headers, and the enabled types."""
    headers = summarize(case.frame).split("/")
    types = f"types {case.configuration.hash_types:#x}"
    return {(name, about) for name in tree.questions() for about in (*headers, types)}


def _choose_other(
    left: Mapping[int, Case], trees: Mapping[int, Expectation], about: Mapping[int, set[tuple[str, str]]],
    met: set[tuple[str, str]], most: int,
) -> list[int]:
    """Choose cases that ask questions in circumstances in which they were not asked yet."""
    new = {number: about[number] - met for number in left}
    chosen: list[int] = []
    while len(chosen) < most:
        best = max(new, key=lambda number: (len(new[number]), -len(trees[number].cubes)), default=None)
        if best is None or not new[best]:
            break
        chosen.append(best)
        told = new.pop(best)
        new = {number: others - told for number, others in new.items()}
    return chosen


def _matches(observation: Observation, observes: frozenset[str], outcome: Outcome) -> bool:
    return matches(outcome, observation, observes)
