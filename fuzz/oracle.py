"""The model as a filter: what it says of many frames at once, under one set of readings.

Where numba is there, the compiled twin is the filter, and says which rules and events of the model were met: at once
for targets that answer hundreds of thousands of frames a second, for others when a campaign has gone on for so long
that loading or compiling it pays. Until then CPython runs the model; what either says is the same. What differs from
the filter is not yet a disagreement; the examiner judges it against all readings.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vnethash.models.reference import decide, enabled_tunnels, outcome
from vnethash.spec.errors import VnethashError
from vnethash.targets.ebpf.counted import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vnethash.models.compiled import Compiled, Followed
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome
    from vnethash.spec.readings import Readings
    from vnethash.targets.ebpf.counted import Packed


#: Frames of one target behind which the twin is loaded if it lies in the cache, and behind which it is compiled; the
#: latter for what a target with edges of its own is asked of few frames, too.
LOADED_FROM, _COMPILED_FROM, _SAMPLED_FROM = 20_000, 500_000, 8_000_000


class Filter:
    """The model under one configuration and one set of readings.

    `fast` asks for the twin, which may compile first, for a target that answers at once; else it is taken where that
    pays for one that was put `frames_so_far`.
    """

    def __init__(
        self, configuration: Configuration, readings: Readings, *, fast: bool = True, frames_so_far: int = 0
    ) -> None:
        self._configuration = configuration
        self._readings = readings
        self._compiled = _compiled(configuration, readings) if fast or pays(frames_so_far) else None
        compiled_from = _SAMPLED_FROM if fast else _COMPILED_FROM
        pays_off = pays(frames_so_far, compiled_from, followed=True)
        self._followed = _followed(configuration, readings) if pays_off else None

    def queues(self, frames: Sequence[bytes], packed: Packed | None = None) -> Any:
        """Return the queue of each frame, -1 for none: an array of numpy with the twin, else a list.

        `packed` are the same frames, for whom has them so already.
        """
        if self._compiled is None:
            return [outcome(frame, self._configuration, self._readings).queue for frame in frames]
        return self._compiled.run_places(*(packed or pack(frames))).queue

    def outcomes(self, frames: Sequence[bytes]) -> list[Outcome]:
        """Return the outcome of each frame."""
        if self._compiled is None:
            return [outcome(frame, self._configuration, self._readings) for frame in frames]
        return self._compiled.outcomes(frames)

    def shown(self, frames: Sequence[bytes], packed: Packed, observes: frozenset[str]) -> list[Any]:
        """Return the columns of the outcomes that a target shows, by name: arrays with the twin, else lists."""
        names = sorted(observes)
        if self._compiled is None:
            outcomes = self.outcomes(frames)
            return [[getattr(outcome, name) for outcome in outcomes] for name in names]
        answers = self._compiled.run_places(*packed)
        return [getattr(answers, name) for name in names]

    def reached(self, frames: Sequence[bytes], packed: Packed | None = None) -> Iterable[tuple[int, int]]:
        """Return what `reached` does for each frame; `packed` are the same frames."""
        if self._followed is None:
            return [reached(frame, self._configuration, self._readings) for frame in frames]
        rules, events = self._followed.run_places(*(packed or pack(frames)))
        return zip(rules.tolist(), events.tolist(), strict=True)


@lru_cache(maxsize=512)
def _compiled(configuration: Configuration, readings: Readings) -> Compiled | None:
    if not has_twin():
        return None
    from vnethash.models.compiled import Compiled  # noqa: PLC0415 - numba takes a second to import

    return Compiled(configuration, readings)


@lru_cache(maxsize=512)
def _followed(configuration: Configuration, readings: Readings) -> Followed:
    from vnethash.models.compiled import Followed  # noqa: PLC0415

    return Followed(configuration, readings)


def pays(frames_so_far: int, compiled_from: int = _COMPILED_FROM, *, followed: bool = False) -> bool:
    """Say whether the twin should work for a target that was put so many frames, because it is at hand or soon pays."""
    if frames_so_far < LOADED_FROM:
        return False
    return (frames_so_far >= compiled_from and has_twin()) or _at_hand(followed)


@lru_cache(maxsize=2)
def _at_hand(followed: bool) -> bool:
    try:
        from vnethash.models.compiled import is_compiled  # noqa: PLC0415

        return is_compiled(followed=followed)
    except (VnethashError, ImportError):
        return False


@lru_cache(maxsize=1)
def has_twin() -> bool:
    """Say whether the compiled twin can be had; compiles it, or takes it from the cache."""
    try:
        from vnethash.models.compiled import load  # noqa: PLC0415

        load()
    except (VnethashError, ImportError):
        return False
    return True


def reached(frame: bytes, configuration: Configuration, readings: Readings) -> tuple[int, int]:
    """Return the rule of the model that decides on a frame, and the mask of events on the way (`models.events`)."""
    selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    return selection.rule, selection.events


class RuleCoverage:
    """The model's rules and events that were reached, each and in pairs: coverage of what the text speaks of."""

    def __init__(self) -> None:
        self._masks: set[tuple[int, int]] = set()
        self.features: set[tuple[int, int, int]] = set()

    def add(self, rule: int, events: int) -> bool:
        """Say whether something new was reached, and remember it."""
        if (rule, events) in self._masks:
            return False
        self._masks.add((rule, events))
        before = len(self.features)
        bits = [bit for bit in range(events.bit_length()) if events >> bit & 1]
        self.features.add((rule, -1, -1))
        for number, one in enumerate(bits):
            self.features.add((rule, one, -1))
            for two in bits[number + 1:]:
                self.features.add((-1, one, two))
        return len(self.features) > before
