"""Takes the steps of a driver on a device, and says what the device is in the terms of the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.device.state import Command, Negotiate, Packet, Reset, Traits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Step
    from vnethash.targets.device import Device


def traits_of(device: Device) -> Traits:
    """Return what a device says about itself."""
    limits = device.limits()
    return Traits(
        device.offered, max(1, min(limits.pairs, device.pairs)), limits.key or 40, limits.table or 1,
        limits.hash_types, limits.tunnel_types,
    )


def put(device: Device, steps: Sequence[Step], *, fresh: bool, seen: list[Seen]) -> None:
    """Take the steps and append what each shows to `seen`; stops where nothing more can be had.

    Raises Refused where the device cannot be asked, TargetDied and TargetTimeout where it fails.
    """
    if fresh:
        device.restart()
    position = 0
    while position < len(steps):
        step = steps[position]
        if isinstance(step, Negotiate):
            seen.append(device.negotiate(step.features))
            if not seen[-1]:
                return
        elif isinstance(step, Reset):
            device.reset()
            seen.append(None)
        elif isinstance(step, Command):
            seen.append(int(device.command(step.class_, step.command, step.data)))
            if seen[-1] == -1:
                return
        elif isinstance(step, Packet):
            batch = _alike(steps, position)
            seen.extend(device.receive([one.frame for one in batch], step.header))
            position += len(batch) - 1
        else:
            seen.append(device.limits())
        position += 1


def _alike(steps: Sequence[Step], position: int) -> list[Packet]:
    """Return the packets from a position on that one call can put: those with the same header before them."""
    batch: list[Packet] = []
    for step in steps[position:]:
        if not isinstance(step, Packet) or (batch and step.header != batch[0].header):
            break
        batch.append(step)
    return batch
