"""All that the text allows for a sequence of steps: the state machine under every reading that it asks for.

A question that is asked twice in one sequence has one answer. `expectation` is for a sequence that is known beforehand;
a `Follower` goes along with one that is not, and keeps every state that some readings could have led to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from vnethash.models.allowed import Asked, Expectation, When, cubes_of, dialect, explore, grow
from vnethash.models.device.machine import advance
from vnethash.models.device.matching import wrong
from vnethash.models.device.state import Packet, State, Traits, Transition
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.questions import all_questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Answer, Step
    from vnethash.spec.readings import Readings

#: Hypotheses of a `Follower` behind which it gives up.
MOST_HYPOTHESES = 4096


@cache
def offered_readings(*, defects: bool) -> Mapping[str, tuple[int, ...]]:
    """Return the readings of all questions, by field; those that nothing supports only if `defects`."""
    return {
        question.field: tuple(range(len(question.readings))) if defects else question.allowed
        for question in all_questions().values()
    }


def play(
    steps: Sequence[Step], traits: Traits, readings: DeviceReadings, packets: Readings, state: State | None = None
) -> Iterator[Transition]:
    """Yield what each step leads to under one set of readings, beginning before the first negotiation."""
    here = State() if state is None else state
    for step in steps:
        transition = advance(here, step, traits, readings, packets)
        here = transition.state
        yield transition


def literal(steps: Sequence[Step], traits: Traits) -> list[Transition]:
    """Return what each step leads to under the literal readings."""
    return list(play(steps, traits, DeviceReadings(), dialect("literal")))


def expectation(
    steps: Sequence[Step], traits: Traits, offered: Mapping[str, tuple[int, ...]] | None = None
) -> Expectation:
    """Return the tree whose leaves are tuples of answers, one for each step."""
    offered = offered or offered_readings(defects=False)

    def run(asked: Asked) -> tuple[Answer, ...]:
        found = play(steps, traits, cast("DeviceReadings", asked), cast("Readings", asked))
        return tuple(transition.answer for transition in found)

    tree, complete = grow(explore(run, offered), offered)
    return Expectation(tree, complete)


def allowed_steps(
    state: State, step: Step, traits: Traits, offered: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[Transition, When]]:
    """Yield what a step may lead to from one state, with the readings under which it does."""

    def run(asked: Asked) -> Transition:
        return advance(state, step, traits, cast("DeviceReadings", asked), cast("Readings", asked))

    tree, _ = grow(explore(run, offered), offered)
    for leaf, when in cubes_of(tree):
        yield cast("Transition", leaf), when


class Hypothesis(NamedTuple):
    """A state that a device may be in, and the readings that led there, where they mattered."""

    state: State
    narrowed: frozenset[tuple[str, frozenset[int]]]


@dataclass
class Follower:
    """Goes along with a device step by step."""

    traits: Traits
    offered: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        self.hypotheses: tuple[Hypothesis, ...] = (Hypothesis(State(), frozenset()),)
        #: True when there were too many hypotheses to go on; nothing can be said from then on.
        self.lost = False

    def observe(self, step: Step, seen: Seen) -> list[str]:
        """Take a step's answer; return [] if some readings explain it, else what is wrong under each hypothesis."""
        frame = step.frame if isinstance(step, Packet) else b""
        kept: dict[Hypothesis, None] = {}
        faults: dict[str, None] = {}
        for state, narrowed in self.hypotheses:
            chosen = dict(narrowed)
            offered = {name: tuple(sorted(chosen.get(name, numbers))) for name, numbers in self.offered.items()}
            for transition, when in allowed_steps(state, step, self.traits, offered):
                fault = wrong(transition.answer, seen, frame)
                if fault:
                    faults[f"{transition.clause}: {fault.words}"] = None
                else:
                    kept[Hypothesis(transition.state, frozenset({**chosen, **dict(when)}.items()))] = None
        if not kept and not self.lost:
            return list(faults)
        self.hypotheses = tuple(kept)
        if len(self.hypotheses) > MOST_HYPOTHESES or self.lost:
            self.lost = True
            self.hypotheses = ()
        return []
