"""Where QEMU's packets come from: pairs of sockets that it takes for a TAP, without any privilege.

A TAP queue and a SOCK_SEQPACKET socket are alike: one packet a read, a virtio_net_hdr in front. The library of shim.py
answers what QEMU asks of a TAP by ioctl. A frame of any length and any header can be put in, and QEMU takes them in
the order in which they were put in, because all go into the first queue, as on a network card with one wire.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import resource
import socket
import termios
from typing import TYPE_CHECKING, Protocol

from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.qemu.sending import Sender
from vnethash.targets.qemu.shim import open_shim

if TYPE_CHECKING:
    from collections.abc import Sequence

#: QEMU reads packets of a TAP into a buffer of this size (NET_BUFSIZE), the header included.
_LONGEST = 4096 + 65536
_BUFFER = 4 << 20
#: Descriptors kept free for the rest of the process.
_SPARE = 64


class Backend(Protocol):
    """What stands behind QEMU's network device.

    Attributes:
        what: the same in words, for the notes of a target.
        files: what QEMU inherits.
        queues: those of them that are its TAP queues.
        environment: variables that it needs.
        takes_header: whether a packet can be given another header than zeros.
        shortest, longest: lengths of the frames that can be put in.
    """

    what: str
    files: tuple[int, ...]
    queues: tuple[int, ...]
    environment: dict[str, str]
    takes_header: bool
    shortest: int
    longest: int

    def send(self, frames: Sequence[bytes], header: bytes) -> int:
        """Put in as many of at most 512 frames as there is room for; return how many."""

    def pending(self) -> int:
        """Return 0 if QEMU has taken all that was put in, otherwise a number that falls while it takes."""

    def drain(self) -> None:
        """Take back what QEMU has not taken."""

    def close(self) -> None:
        """Give all back; may be called twice."""


class Sockets:
    """A backend of socket pairs; needs a C compiler at its first use."""

    what = "frames come through sockets that QEMU takes for a TAP"
    takes_header = True
    shortest, longest = 0, _LONGEST - 20

    def __init__(self, pairs: int) -> None:
        """Make the pairs; raises TargetUnavailable where there is no C compiler or too few files may be open."""
        self._shim = -1
        self._all: list[socket.socket] = []
        allow_files(2 * pairs + _SPARE)
        try:
            for _ in range(pairs):
                self._all += socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._shim = open_shim()
        except BaseException:
            self.close()
            raise
        for each in self._all:
            each.setblocking(False)
        self._wire, self._far = self._all[0], self._all[1]
        self._sender = Sender(self._wire.fileno())
        self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self.queues = tuple(each.fileno() for each in self._all[1::2])
        self.files = (*self.queues, self._shim)
        self.environment = {"LD_PRELOAD": f"/proc/self/fd/{self._shim}"}

    def send(self, frames: Sequence[bytes], header: bytes) -> int:
        """Put in as many of at most 512 frames as there is room for; return how many."""
        return self._sender.send(frames, header)

    def pending(self) -> int:
        """Return how many bytes, as the kernel counts them, QEMU has not taken."""
        count = array.array("i", [0])
        fcntl.ioctl(self._wire, termios.TIOCOUTQ, count)
        return count[0]

    def drain(self) -> None:
        """Take back what QEMU has not taken."""
        with contextlib.suppress(BlockingIOError):
            while self._far.recv(1 << 17):
                pass

    def close(self) -> None:
        """Close all; may be called twice."""
        for each in self._all:
            each.close()
        if self._shim >= 0:
            os.close(self._shim)
            self._shim = -1


def allow_files(count: int) -> None:
    """Raise our limit of open files to what is open and `count` more; raises TargetUnavailable where we may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(os.listdir("/proc/self/fd")) + count  # noqa: PTH208 - only their number counts
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TargetUnavailable(
            f"{needed} open files are needed, the limit is {hard}", hint="`,queues=N` takes fewer; see `ulimit -Hn`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
