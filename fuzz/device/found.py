"""A cause that a sequence of steps shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnethash.fuzz.found import Found

if TYPE_CHECKING:
    from vnethash.fuzz.device.signature import Shape


@dataclass
class ControlFound(Found):
    """A cause with its sequence, which is `shown`; `case` has no frames, and nothing is `observed`.

    Attributes:
        shapes: of the sequence, with what may be any number.
        more: other conditions that turned out to be the same cause.
    """

    shapes: tuple[Shape, ...] = ()
    more: tuple[tuple[Shape, ...], ...] = ()
