"""Who hears how far a run is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how far a run is."""

    def stage(self, target: str, what: str, total: int) -> None:
        """A new stage begins, with `total` steps."""

    def advance(self, count: int) -> None:
        """More steps are done."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, target: str, what: str, total: int) -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""
