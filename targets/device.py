"""What a virtio-net device is to us: features, queues, control commands, received packets with their headers.

A target (targets/base.py) answers for packets under a configuration; a device answers besides for what a driver may do
to it: negotiate any subset of its features, send any command in any order, well-formed or not, reset it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.targets.base import Implementation


class Ack(IntEnum):
    """What came back for a control command (CVQ-2); NONE: no answer, the device needs a reset."""

    OK = 0
    ERR = 1
    NONE = -1


class Reception(NamedTuple):
    """One packet as the driver got it.

    `queue` counts receive queues from 0; `header` is virtio_net_hdr as the device wrote it (12 bytes, 20 with
    HASH_REPORT); `payload` is the frame; `buffers` is the number of used buffers it lay in.
    """

    queue: int
    header: bytes
    payload: bytes
    buffers: int = 1


class Limits(NamedTuple):
    """What the configuration space says (CFG-*), 0 where the device has no such field.

    `key` and `table` in bytes and entries.
    """

    pairs: int
    key: int
    table: int
    hash_types: int
    tunnel_types: int = 0


class Device(Protocol):
    """A device that is driven as a driver would drive it.

    Every method raises TargetDied when the implementation ended, TargetTimeout when it gives no answer. `restart`
    starts it anew after that, and nothing of before is left.
    """

    name: str
    implementation: Implementation
    notes: tuple[str, ...]
    #: Feature bits that the device offers, as one number.
    offered: int
    #: Queue pairs that the backend has.
    pairs: int

    def reset(self) -> None:
        """Write 0 to the device status and wait until it reads 0."""

    def negotiate(self, features: int) -> bool:
        """Go from reset to FEATURES_OK with these bits, then set up all queues and DRIVER_OK; False if refused.

        Resets first. Where the device refuses, it is left reset.
        """

    def limits(self) -> Limits:
        """Read the configuration space."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        """Send one control command; `data` as it is, whatever its length."""

    def receive(self, frames: Sequence[bytes], header: bytes = b"") -> list[Reception | None]:
        """Let the frames arrive, in order; None for one that reached no queue.

        `header` is what the backend puts before each frame (zeros if left out; shorter is filled up with zeros); an
        implementation whose backend cannot do that raises Refused for anything but zeros.
        """

    def status(self) -> int:
        """Read the device status; bit 0x40 is DEVICE_NEEDS_RESET."""

    def restart(self) -> None:
        """End the implementation if it runs, and start it anew."""

    def close(self) -> None:
        """End what was started; may be called twice."""
