"""What is wrong with what a sequence of steps showed, and which readings explain it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from vnethash.models.allowed import Asked, cubes_of, explore, grow
from vnethash.models.device.allowed import play
from vnethash.models.device.matching import wrong
from vnethash.models.device.state import Bounds, Packet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vnethash.models.allowed import When
    from vnethash.models.device.matching import Fault, Seen
    from vnethash.models.device.state import Answer, Step, Traits, Transition
    from vnethash.spec.device_readings import DeviceReadings
    from vnethash.spec.readings import Readings


def faults(steps: Sequence[Step], answers: Sequence[Answer], seen: Sequence[Seen]) -> dict[int, Fault]:
    """Return what is wrong, by the number of the step; a sequence that ended early is judged as far as it went."""
    found: dict[int, Fault] = {}
    for number, (step, answer, shown) in enumerate(zip(steps, answers, seen, strict=False)):
        fault = wrong(answer, shown, step.frame if isinstance(step, Packet) else b"")
        if fault:
            found[number] = fault
    return found


class FirstFault(NamedTuple):
    """The number of the first step that is wrong, the clause that it is against, and what is wrong."""

    step: int
    clause: str
    fault: Fault


def first_fault(steps: Sequence[Step], seen: Sequence[Seen], transitions: Sequence[Transition]) -> FirstFault | None:
    """Return the first step that is not as the transitions have it, None if all that was seen is."""
    for number, (step, transition, shown) in enumerate(zip(steps, transitions, seen, strict=False)):
        fault = wrong(transition.answer, shown, step.frame if isinstance(step, Packet) else b"")
        if fault:
            clause = fault.kind if isinstance(transition.answer, Bounds) else transition.clause_of(fault.kind)
            if fault.kind == "ack":
                clause = "CVQ-2"  # whatever the command
            return FirstFault(number, clause, fault)
    return None


class Explained(NamedTuple):
    """The readings under which what was seen follows: None for all, empty for none; False for `complete` if unknown."""

    constraint: frozenset[When] | None
    complete: bool


def explanation(
    steps: Sequence[Step], seen: Sequence[Seen], traits: Traits, offered: Mapping[str, tuple[int, ...]],
    *, most_leaves: int,
) -> Explained:
    """Return the readings that explain what a sequence showed, of those offered.

    A set of readings is followed no further than to its first fault, so that long sequences that show much are cheap.
    """

    def run(asked: Asked) -> bool:
        found = play(steps, traits, cast("DeviceReadings", asked), cast("Readings", asked))
        for step, transition, shown in zip(steps, found, seen, strict=False):
            if wrong(transition.answer, shown, step.frame if isinstance(step, Packet) else b""):
                return False
        return True

    tree, complete = grow(explore(run, offered), offered, most_leaves=most_leaves)
    alternatives = [when for leaf, when in cubes_of(tree) if leaf is True]
    return Explained(None if alternatives == [()] else frozenset(alternatives), complete)
