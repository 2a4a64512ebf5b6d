"""From a name on the command line to a device that takes control commands, for the targets that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.targets.registry import check_name

if TYPE_CHECKING:
    from vnethash.targets.device import Device

#: Queue pairs of a device whose number is ours to choose: enough to tell first, named and unclassified queues apart.
PAIRS = 4


def is_device(name: str) -> bool:
    """Say whether a target takes control commands."""
    return name.partition(":")[0] in {"model", "qemu"}


def open_device(name: str, *, timeout: float | None = None) -> Device | None:
    """Open a device, None for a target that is none; raises what `open_target` does."""
    check_name(name)
    scheme, _, argument = name.partition(":")
    if scheme == "model":
        from vnethash.targets.model import open_model_device  # noqa: PLC0415 - each scheme imports only what it needs

        return open_model_device(argument)
    if scheme == "qemu":
        from vnethash.targets.qemu.target import open_device as open_qemu_device  # noqa: PLC0415

        if "queues=" not in argument:
            argument = f"{argument},queues={PAIRS}"
        return open_qemu_device(argument, seconds=20.0 if timeout is None else timeout)
    return None
