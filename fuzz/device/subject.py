"""One device in a campaign: sequences are put to it, and what it shows is held against the state machine.

A sequence begins with a device that was just started, or with one that was told to forget: all features negotiated, a
configuration of nothing in place of what was there, and then the reset of the sequence's own negotiation. Starting a
device anew takes a hundred times as long as a sequence. What outlives the forgetting is found by the examiner, which
puts what differs to a device that was started anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.case import MOST_STEPS, legal
from vnethash.models.device import state as s
from vnethash.models.device.allowed import play
from vnethash.models.device.faults import first_fault
from vnethash.models.device.state import Command, Negotiate, Packet
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.errors import TargetError, TargetTimeout
from vnethash.spec.questions import all_by_field
from vnethash.spec.readings import Readings
from vnethash.targets.base import Refused
from vnethash.targets.driving import put, traits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vnethash.models.device.faults import FirstFault
    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import State, Step, Traits, Transition
    from vnethash.targets.device import Device

#: Failures in a row, with nothing answered between them, after which a device is given up.
MOST_FAILURES = 12
#: Sequences that are remembered since the device was started, to look back to.
_REMEMBERED = 64


class Played(NamedTuple):
    """What came of a sequence.

    `seen` ends early where the device refused features, gave no ack, or failed; `error` says how it failed.
    """

    steps: tuple[Step, ...]
    seen: tuple[Seen, ...]
    error: str = ""


class StepCoverage:
    """What of the state machine was reached: clauses with their answers, alone, one after the other, and by state."""

    def __init__(self) -> None:
        self.features: set[tuple[object, ...]] = set()

    def add(self, steps: Sequence[Step], transitions: Sequence[Transition], seen: Sequence[Seen]) -> bool:
        """Say whether something new was reached, and remember it."""
        before = len(self.features)
        last: tuple[object, ...] = ()
        for step, transition, shown in zip(steps, transitions, seen, strict=False):
            tag = (_kind(step), transition.clause, shown if isinstance(shown, int) else shown is None)
            self.features.update(((tag,), (last, tag), (_about(transition.state), tag)))
            last = tag
        return len(self.features) > before


def _kind(step: Step) -> object:
    if isinstance(step, Command):
        return step.class_, step.command
    return (type(step).__name__, step.looks, any(step.header)) if isinstance(step, Packet) else type(step).__name__


def _about(state: State) -> tuple[object, ...]:
    return (
        state.features & (s.RSS | s.HASH_REPORT), state.steering, state.configured, state.vague,
        len(state.key) < len(state.rest), bool(state.hash_types), bool(state.tunnel_types), len(state.contexts),
    )


class DeviceSubject:
    """A device, and the readings under which its answers are filtered.

    Attributes:
        readings: field -> number for every question; the current profile, which `adopt` changes.
        skipped: sequences that the device could not be asked.
        ended: why it was given up, "" while it answers.
        before: the sequences since the device was started, the last ones.
    """

    edges = (0, 0)

    def __init__(self, name: str, opener: Callable[[str], Device]) -> None:
        """Open the device; raises what `opener` raises."""
        self.name = name
        self._opener = opener
        self.target = self.device = opener(name)
        self.traits: Traits = traits_of(self.device)
        self.rules = StepCoverage()
        self.skipped = 0
        self.ended = ""
        self.note = ""
        self.before: list[tuple[Step, ...]] = []
        self._failures = 0
        #: False after Ctrl-C in the middle of something: who knows where the device stands.
        self._whole = True
        self.adopt({})
        self.forgetting = forgetting(self.traits)

    def adopt(self, readings: Mapping[str, int]) -> None:
        """Filter by other readings from now on; those that are not named are the literal ones."""
        self.readings = {**dict.fromkeys(all_by_field(), 0), **readings}

    def fit(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """Return the steps as the device can take them; empty if nothing is left."""
        return legal(steps, self.traits.offered, MOST_STEPS)

    def predict(self, steps: Sequence[Step], readings: Mapping[str, int] | None = None) -> list[Transition]:
        """Return what each step leads to under the current readings, or others."""
        chosen = self.readings if readings is None else readings
        device = DeviceReadings(**{name: chosen[name] for name in DeviceReadings._fields})
        return list(play(steps, self.traits, device, Readings(**{name: chosen[name] for name in Readings._fields})))

    def fault(self, played: Played, readings: Mapping[str, int] | None = None) -> FirstFault | None:
        """Return the first step that is not as readings have it, None if all is."""
        return first_fault(played.steps, played.seen, self.predict(played.steps, readings))

    def differs(self, played: Played, transitions: Sequence[Transition]) -> bool:
        """Say whether some step is not as transitions have it."""
        return first_fault(played.steps, played.seen, transitions) is not None

    def put(self, steps: tuple[Step, ...], *, fresh: bool = False) -> Played | None:
        """Put a sequence to the device, to one that was started anew if `fresh`; None where it cannot be asked.

        A device that failed is started anew, or given up: `ended`.
        """
        seen: list[Seen] = []
        doing = steps
        whole, self._whole = self._whole, False
        try:
            if fresh or not whole:
                self.restart()
            elif self.before:
                doing = self.forgetting
                put(self.device, doing, fresh=False, seen=seen)
                seen, doing = [], steps
            self.before = [*self.before, steps][-_REMEMBERED:]
            put(self.device, steps, fresh=False, seen=seen)
        except Refused:
            self.skipped += 1
            self._whole = True
            return None
        except TargetError as error:
            reached = tuple(doing[:len(seen) + 1])
            self.failed(error)
            self._whole = True
            # What differs with every run, such as times, is no part of what happened.
            words = error.message.removeprefix(f"{self.device.name}: ")
            if isinstance(error, TargetTimeout):
                words = "gives no answer in time"
            return Played(reached, tuple(seen), words)
        self._failures = 0
        self._whole = True
        return Played(steps, tuple(seen))

    def renew(self) -> None:
        """Open the device once more, for a process of its own: that of the parent stays the parent's."""
        self.target = self.device = self._opener(self.name)
        self.before = []

    def restart(self) -> None:
        """Start the device anew; raises TargetError."""
        self.before = []
        self.device.restart()

    def failed(self, error: TargetError) -> None:
        """Count a failure; start the device anew, or give it up."""
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self.ended = error.line()
            return
        try:
            self.restart()
        except TargetError as again:
            self.ended = again.line()

    def forgive(self) -> None:
        """Count no failures so far: they were wanted."""
        self._failures = 0

    def close(self) -> None:
        """End what was started; may be called twice."""
        self.device.close()


def forgetting(traits: Traits) -> tuple[Step, ...]:
    """Return the steps that put nothing in place of all that a device may have been told."""
    def has(feature: int) -> bool:
        return bool(traits.offered & feature)

    nothing = k.plain_rss(traits)._replace(types=0, key=bytes(min(traits.key, 255)), table=(0,), unclassified=0)
    steps: list[Step] = [Negotiate(traits.offered & (s.VERSION_1 | sum(k.ALL_FEATURES)))]
    if has(s.RSS):
        steps.append(k.command(k.RSS_CONFIG, k.join(nothing)))
    if has(s.HASH_REPORT):
        steps.append(k.command(k.HASH_CONFIG, k.join(nothing._replace(table=(), reserved=bytes(8)))))
    if has(s.HASH_TUNNEL):
        steps.append(k.number(k.TUNNEL_SET, 0, 4))
    if has(s.MQ):
        steps.append(k.number(k.PAIRS_SET, 1, 2))
    return legal(steps)
