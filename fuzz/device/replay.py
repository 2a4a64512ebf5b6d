"""Puts the sequence of a cause to its device again: is it still there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device.shown import shown
from vnethash.fuzz.replay import CANNOT, FIXED, STILL, Replayed
from vnethash.models.device.allowed import literal, offered_readings
from vnethash.models.device.faults import explanation, first_fault
from vnethash.spec.errors import TargetError, VnethashError
from vnethash.targets.base import Refused
from vnethash.targets.driving import put, traits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.fuzz.device.shown import Shown
    from vnethash.fuzz.ledger import Entry
    from vnethash.models.device.matching import Seen
    from vnethash.targets.device import Device

#: Sets of readings that are followed.
_MOST_LEAVES = 20_000


def replay_steps(
    entry: Entry, witness: Shown, opener: Callable[[str], Device | None], target: str | None = None
) -> Replayed:
    """Replay one cause that a sequence shows, on its own device or on another, which is started anew for it."""
    name = target or entry.target
    try:
        device = opener(name)
    except VnethashError as error:
        return Replayed(CANNOT, error.line())
    if device is None:
        return Replayed(CANNOT, f"{name} takes no control commands")
    seen: list[Seen] = []
    try:
        traits = traits_of(device)
        put(device, witness.steps, fresh=True, seen=seen)
    except Refused as refused:
        return Replayed(CANNOT, f"the device cannot be asked: {refused.message}")
    except TargetError as error:
        now = shown(witness.steps, tuple(seen), traits)
        return Replayed(STILL if entry.kind == "error" else CANNOT, error.message, shown=now)
    finally:
        device.close()
    now = shown(witness.steps, tuple(seen), traits)
    if entry.kind == "error":
        return Replayed(FIXED, "the device answers now", shown=now)
    if now.words == witness.words:
        return Replayed(STILL, entry.effect, shown=now)
    if first_fault(witness.steps, seen, literal(witness.steps, traits)) is None:
        return Replayed(FIXED, "the device now does what the text says", shown=now)
    offered = offered_readings(defects=False)
    found = explanation(witness.steps, seen, traits, offered, most_leaves=_MOST_LEAVES)
    if entry.kind != "reading" and found.constraint != frozenset():
        return Replayed(FIXED, "the device now does what the text allows", shown=now)
    return Replayed(STILL, "it is still wrong, in another way", shown=now)
