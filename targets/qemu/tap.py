"""A real TAP of the kernel with many queues as QEMU's backend, in a network namespace of its own; needs root.

The kernel spreads frames over the queues of the TAP by a hash of its own, and QEMU reads one queue after the other:
the order of frames that are on their way together is not kept. It does not matter to a device that treats each packet
by itself.
"""

from __future__ import annotations

import functools
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING

from vnethash.spec.errors import VnethashError
from vnethash.targets.qemu.sending import Sender
from vnethash.targets.tun.tap import MAX_FRAME, Tap

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = bytes(10)


class Taps:
    """A backend of TAP queues."""

    what = "frames come through a TAP of the kernel"
    takes_header = False
    shortest, longest = 14, MAX_FRAME

    def __init__(self, pairs: int) -> None:
        """Make the TAP; raises TargetUnavailable where the machine does not let us."""
        self._tap = Tap(queues=pairs)
        self.queues = self.files = self._tap.descriptors
        self.environment: dict[str, str] = {}
        self._sender = Sender(self._tap.feeder)
        self._poll = select.poll()
        for queue in self.queues:
            self._poll.register(queue, select.POLLIN)

    def send(self, frames: Sequence[bytes], header: bytes) -> int:
        """Put in as many of at most 512 frames as there is room for; return how many; `header` must be zeros."""
        assert not any(header)
        return self._sender.send(frames, _HEADER)

    def pending(self) -> int:
        """Return in how many queues there is something that QEMU has not taken."""
        return len(self._poll.poll(0))

    def drain(self) -> None:
        """Take back what QEMU has not taken."""
        for queue, _ in self._poll.poll(0):
            with suppress(OSError):
                while os.read(queue, 1 << 17):
                    pass

    def close(self) -> None:
        """Close all, with which TAP and namespace are gone; may be called twice."""
        self._tap.close()


@functools.cache
def missing() -> str:
    """Return why there is no TAP to be had here, "" if there is."""
    try:
        Tap(queues=1).close()
    except VnethashError as error:
        return error.message
    return ""
