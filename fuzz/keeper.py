"""What a campaign writes to its ledger. What cannot be written now is kept, and written when it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.ledger import Circumstances
from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.fuzz.found import Found
    from vnethash.fuzz.ledger import Ledger


class Keeper:
    """The ledger of one campaign; without one nothing is kept. Never raises what a ledger raises: it notes it."""

    def __init__(
        self, ledger: Ledger | None, note: Callable[[str], None], now: Callable[[], str], *, tool: str, engine: str,
        seed: int,
    ) -> None:
        self._ledger = ledger
        self._note = note
        self._now = now
        self._tool = tool
        self._engine = engine
        self._seed = seed
        self._waiting: dict[str, tuple[Found, Circumstances, int]] = {}
        self._withdrawn: set[str] = set()
        self._counts: dict[str, int] = {}

    def found(self, found: Found, version: str, executions: int) -> str:
        """Enter a cause, at once; return "new", "known" or "regression"."""
        under = Circumstances(version, self._tool, self._engine, self._seed)
        return self._enter(found, under, executions) or "new"

    def again(self, found: Found) -> None:
        """Count a cause that was entered once more; it is written with the next point."""
        self._counts[found.id] = self._counts.get(found.id, 0) + 1

    def withdraw(self, found: Found) -> None:
        """Withdraw a cause that later evidence explains otherwise."""
        if self._waiting.pop(found.id, None) is None:
            self._withdrawn.add(found.id)
            self._catch_up()

    def point(
        self, name: str, started: str, targets: list[str], executions: int, seconds: float,
        curve: tuple[int, int, int],
    ) -> None:
        """Write how the campaign stands, and what waits; `curve` is coverage, corpus and causes."""
        if self._ledger is None:
            return
        self._catch_up()
        if self._waiting:
            return
        seconds = round(seconds, 3)
        try:
            self._ledger.run(name, started, self._now(), self._engine, self._seed, targets, executions, seconds)
            self._ledger.point(name, seconds, executions, *curve)
        except VnethashError as error:
            self._note(error.line())

    def unwritten(self) -> list[Found]:
        """Return the causes that are in no file."""
        return [found for found, _, _ in self._waiting.values()]

    def _enter(self, found: Found, under: Circumstances, executions: int) -> str:
        if self._ledger is None:
            return ""
        try:
            what = self._ledger.record(found, self._now(), under, executions)
        except VnethashError as error:
            self._waiting[found.id] = found, under, executions
            self._note(error.line())
            return ""
        if self._waiting.pop(found.id, None) is not None:
            self._counts.pop(found.id, None)  # what waited was counted meanwhile
        return what

    def _catch_up(self) -> None:
        """Write what waits."""
        for found, under, executions in list(self._waiting.values()):
            if not self._enter(found, under, executions):
                return
        try:
            if self._ledger is not None:
                if self._counts:
                    self._ledger.count(self._counts, self._now())
                    self._counts = {}
                for name in sorted(self._withdrawn):
                    self._ledger.withdraw(name)
                    self._withdrawn.discard(name)
        except VnethashError as error:
            self._note(error.line())
