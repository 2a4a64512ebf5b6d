"""Puts the witness of a cause in a ledger to its target again: is it still there?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnethash.fuzz.subject import Subject, failed
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.spec.errors import VnethashError
from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.fuzz.device.shown import Shown
    from vnethash.fuzz.ledger import Entry
    from vnethash.targets.base import Target

FIXED, STILL, CANNOT = 0, 1, 2


@dataclass(frozen=True)
class Replayed:
    """What came of it; `code` is 0 fixed, 1 still there, 2 cannot be replayed; `shown` is for sequences of steps."""

    code: int
    words: str
    observed: Observation | None = None
    shown: Shown | None = None


def replay_entry(entry: Entry, opener: Callable[[str], Target], target: str | None = None) -> Replayed:
    """Replay one cause, on its own target or on another."""
    try:
        subject = Subject(target or entry.target, opener, coverage=False)
    except VnethashError as error:
        return Replayed(CANNOT, error.line())
    try:
        result = subject.observe(entry.witness.configuration, entry.witness.frames)
    finally:
        subject.close()
    if result is None:
        return Replayed(CANNOT, "the target does not take the configuration")
    if words := failed(result):
        return Replayed(STILL if entry.kind == "error" else CANNOT, words)
    if not isinstance(result, Observation):
        return Replayed(CANNOT, "the target cannot be asked this")
    if entry.kind == "error":
        return Replayed(FIXED, "the target answers now", result)
    if result == entry.observed:
        return Replayed(STILL, entry.effect, result)
    expected = Expectations().of(entry.witness.frame, entry.witness.configuration)
    if matches(expected.literal, result, subject.observes) or (
        entry.kind != "reading" and expected.is_allowed(result, subject.observes)
    ):
        return Replayed(FIXED, "the target now does what the text allows", result)
    return Replayed(STILL, "it is still wrong, in another way", result)
