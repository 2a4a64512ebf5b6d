"""A key of which bytes outlive a reset: no reading says so, and answers to short keys after it seem to mix readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.causes import Cause
from vnethash.models.device.faults import first_fault
from vnethash.models.device.machine import advance
from vnethash.models.device.state import Negotiate, Reset, State
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.fuzz.device.subject import Played
    from vnethash.models.device.state import Traits

KEY_KEPT = Cause(
    "key-outlives-reset", "bytes of a key outlive a reset, and stand behind a short key after it", ("GEN-3", "HCF-5")
)


def keeps_key(played: Played, traits: Traits, readings: Mapping[str, int]) -> bool:
    """Say whether what was seen follows under readings if nothing but the bytes of keys outlives a reset."""
    device = DeviceReadings(**{name: readings[name] for name in DeviceReadings._fields})
    packets = Readings(**{name: readings[name] for name in Readings._fields})
    here, transitions = State(), []
    for step in played.steps:
        transition = advance(here, step, traits, device, packets)
        kept = here.rest if isinstance(step, Negotiate | Reset) else transition.state.rest
        here = transition.state._replace(rest=kept)
        transitions.append(transition)
    return first_fault(played.steps, played.seen, transitions) is None
