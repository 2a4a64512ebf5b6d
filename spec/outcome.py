"""What a device makes of a frame, and the part of it that a target shows."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """The full answer for one frame.

    Attributes:
        report: `hash_report`, 0 (NONE) to 9 (REP-4).
        value: `hash_value`, 32 bits as an integer whose top bit is the XOR of the first key bits; 0 if not hashed.
        queue: receive queue number, counted from 0; -1 where no steering was configured.
    """

    report: int
    value: int
    queue: int

    @property
    def hashed(self) -> bool:
        """Whether a hash was calculated."""
        return self.report != 0


class Observation(NamedTuple):
    """The part of the outcome that a target shows; None is "not shown".

    A target that shows `value` in general leaves it None for a frame that it did not hash.
    """

    report: int | None = None
    value: int | None = None
    queue: int | None = None
