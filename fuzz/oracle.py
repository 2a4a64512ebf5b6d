"""The model as a filter: what it says of many frames at once, under one set of readings.

For targets that answer hundreds of thousands of frames a second the compiled twin is the filter, where numba is there;
for slower ones CPython runs the model. What differs from the filter is not
yet a disagreement; the examiner judges it against all readings.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from vnethash.models.reference import decide, enabled_tunnels, outcome
from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.compiled import Compiled
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome
    from vnethash.spec.readings import Readings
    from vnethash.targets.ebpf.counted import Packed


class Filter:
    """The model under one configuration and one set of readings; `fast` asks for the twin, which may compile first."""

    def __init__(self, configuration: Configuration, readings: Readings, *, fast: bool = True) -> None:
        self._configuration = configuration
        self._readings = readings
        self._compiled = _compiled(configuration, readings) if fast else None

    def queues(self, frames: Sequence[bytes], packed: Packed | None = None) -> Any:
        """Return the queue of each frame, -1 for none: an array of numpy with the twin, else a list.

        `packed` are the same frames, for whom has them so already.
        """
        if self._compiled is None:
            return [outcome(frame, self._configuration, self._readings).queue for frame in frames]
        if packed is not None:
            return self._compiled.run_places(*packed).queue
        return self._compiled.run_packed(b"".join(frames), [0, *accumulate(map(len, frames))])[2]

    def outcomes(self, frames: Sequence[bytes]) -> list[Outcome]:
        """Return the outcome of each frame."""
        if self._compiled is None:
            return [outcome(frame, self._configuration, self._readings) for frame in frames]
        return self._compiled.outcomes(frames)


@lru_cache(maxsize=512)
def _compiled(configuration: Configuration, readings: Readings) -> Compiled | None:
    if not has_twin():
        return None
    from vnethash.models.compiled import Compiled  # noqa: PLC0415 - numba takes a second to import

    return Compiled(configuration, readings)


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
