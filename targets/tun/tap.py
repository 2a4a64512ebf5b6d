"""A TAP with 256 queues in a network namespace that nobody else sees, and what puts frames into it.

    Tap(ingress)          a packet socket on the TAP itself, or a second TAP behind a bridge
    Tap.steer_by(fd)      a loaded socket filter chooses the queue from now on
    Tap.exchange(frames)  the queue in which each frame came out

The namespace has no name, and nothing outlives the process: a TAP goes with its last queue, a namespace with its last
socket. Only the thread that makes it ever enters it, so that the rest of the process stays where it was.

Sources: drivers/net/tun.c (queues, TUNSETSTEERINGEBPF, the answer of the program modulo the attached queues),
net/packet/af_packet.c (where a packet socket puts the network header, and what lies in the linear area),
linux/if_tun.h, linux/virtio_net.h (the header before each frame).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from vnethash.models.ebpf.packet import TAP_LINEAR
from vnethash.spec.errors import TargetDied, TargetUnavailable, VnethashError
from vnethash.targets.base import Errored, Skipped
from vnethash.targets.ebpf import bpf
from vnethash.targets.tun import netlink
from vnethash.targets.tun.offload import gso_header

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Queues of the TAP, the most that the kernel has. The answer of a program counts modulo this number.
QUEUES = 256
#: Options of a target: how a frame reaches the TAP otherwise than by a packet socket that says where headers end.
OPTIONS = {
    "bridge": "behind a bridge, which takes the outer tag out of the frame",
    "gso": "TCP and UDP as large frames of segmentation offload",
    "paged": "only the Ethernet header of long frames in the linear area",
}
#: The longest frame: the largest MTU of a TAP, and the Ethernet header.
MAX_FRAME = 65535

_DEVICE = "/dev/net/tun"
_CLONE_NEWNET = 0x40000000
_SETIFF, _SETOFFLOAD, _SETSTEERING = 0x400454CA, 0x400454D0, 0x800454E0
_TAP, _NO_PI, _MULTI_QUEUE, _VNET_HDR = 0x0002, 0x1000, 0x0100, 0x4000
#: Checksums, segments of TCP over IPv4 and IPv6 with ECN, segments of UDP: the TAP takes frames with all of these.
_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40
_SIOCSIFFLAGS, _SIOCSIFMTU, _UP = 0x8914, 0x8922, 1
_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_QDISC_BYPASS = 263, 15, 20
_HEADER = struct.Struct("=BBHHHH")
#: Bytes of one read: header, frame, and the tags that the kernel puts back.
_READ = _HEADER.size + MAX_FRAME + 64
#: Settings of the namespace: no neighbour discovery of the kernel's own, no packet filter behind the bridge.
_SETTINGS = (
    ("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1"),
    ("bridge/bridge-nf-call-iptables", "0"), ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
)  # fmt: skip
_NAME, _FEEDER, _BRIDGE = "vnethash0", "vnethash1", "vnethash2"
#: Frames arrive before the call that sends them returns; a bridge may need a moment where the machine is busy.
_PATIENCE = 0.5
#: Descriptors kept free for the rest of the process.
_SPARE = 64


class Tap:
    """The TAP, its queues and the way in."""

    def __init__(
        self, ingress: str = "packet", *, gso: bool = False, paged: bool = False, queues: int = QUEUES
    ) -> None:
        """Make all of it.

        `gso` hands over TCP and UDP frames with a payload as the large frames of segmentation offload; `paged` leaves
        of a frame longer than a page only the Ethernet header in the linear area, as a packet socket does that is not
        told how long the headers are. Raises TargetUnavailable where the machine does not let us.
        """
        self.ingress = ingress
        self._gso, self._paged = gso, paged
        self._fds: list[int] = []
        self._sockets: list[socket.socket] = []
        self._feeder = -1
        self._numbers: dict[int, int] = {}
        self._epoll = select.epoll()
        trouble: list[OSError] = []

        def build() -> None:
            try:
                self._build(queues)
            except OSError as error:
                trouble.append(error)

        try:
            _allow_files(queues + _SPARE)
            thread = threading.Thread(target=build, name="vnethash-tap")
            thread.start()
            try:
                thread.join()
            except BaseException:
                thread.join()
                raise
            if trouble:
                raise TargetUnavailable(_why(trouble[0]), hint=f"a TAP needs root and {_DEVICE}")
        except BaseException:
            self.close()
            raise

    def _build(self, queues: int) -> None:
        """Make the namespace and all in it; runs in a thread of its own, which alone is moved there."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "a network namespace")
        for name, value in _SETTINGS:
            with suppress(FileNotFoundError):  # a kernel without it
                Path("/proc/sys/net", name).write_text(value, "ascii")
        flags = _TAP | _NO_PI | _VNET_HDR
        for number in range(queues):
            fd = self._attach(_NAME, flags | _MULTI_QUEUE)
            self._fds.append(fd)
            self._numbers[fd] = number
            self._epoll.register(fd, select.EPOLLIN)
        fcntl.ioctl(self._fds[0], _SETOFFLOAD, _OFFLOADS)
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sockets.append(control)
        names = [_NAME]
        if self.ingress == "bridge":
            self._feeder = self._attach(_FEEDER, flags)
            fcntl.ioctl(self._feeder, _SETOFFLOAD, _OFFLOADS)
            names += [_FEEDER, _BRIDGE]
            netlink.make_bridge(_BRIDGE, (_NAME, _FEEDER))
        for name in names:
            fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", name.encode(), MAX_FRAME - 14))
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), _UP))
        if self.ingress == "packet":
            sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._sockets.append(sender)
            sender.setsockopt(_SOL_PACKET, _PACKET_QDISC_BYPASS, 1)
            sender.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
            sender.bind((_NAME, 0))
            self._feeder = os.dup(sender.fileno())

    @staticmethod
    def _attach(name: str, flags: int) -> int:
        fd = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _SETIFF, struct.pack("16sH22x", name.encode(), flags))
        except OSError:
            os.close(fd)
            raise
        return fd

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors of the queues, in the order of their numbers."""
        return tuple(self._fds)

    @property
    def feeder(self) -> int:
        """Descriptor of what takes frames, each with a virtio_net_hdr of 10 bytes in front."""
        return self._feeder

    def steer_by(self, program: int) -> None:
        """Let the loaded socket filter with this file descriptor choose queues; raises TargetDied."""
        try:
            fcntl.ioctl(self._fds[0], _SETSTEERING, struct.pack("=i", program))
        except (OSError, IndexError) as error:
            raise TargetDied(f"the TAP does not take the steering program: {error}") from None

    def exchange(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        """Return the queue, 0 to 255, in which each frame came out; Skipped where the kernel did not bring it there.

        One frame is on its way at a time: that costs little, and what comes out is surely what went in. Anything else
        that arrives is passed over.
        """
        results: list[int | Skipped | Errored] = []
        self._drain()
        for frame in frames:
            header = self._header(frame)
            try:
                os.write(self._feeder, header + frame)
            except OSError as error:
                results.append(Skipped(f"the kernel does not take the frame for a TAP ({bpf.error_name(error)})"))
                continue
            results.append(self._arrived(frame))
        return results

    def _header(self, frame: bytes) -> bytes:
        if self._gso and (header := gso_header(frame)):
            return header
        linear = 0 if self._paged else min(len(frame), TAP_LINEAR)
        return _HEADER.pack(0, 0, linear, 0, 0, 0)

    def _drain(self) -> None:
        """Take out what a run that was interrupted left behind."""
        while events := self._epoll.poll(0):
            for fd, _ in events:
                with suppress(BlockingIOError):
                    os.read(fd, _READ)

    def _arrived(self, frame: bytes) -> int | Skipped:
        timeout: float = 0
        while True:
            events = self._epoll.poll(timeout)
            for fd, _ in events:
                with suppress(BlockingIOError):
                    if os.read(fd, _READ)[_HEADER.size :] == frame:
                        return self._numbers[fd]
            if not events and timeout:
                return Skipped(f"the frame did not come out of the TAP (it went in by a {_WORDS[self.ingress]})")
            timeout = 0 if events else _PATIENCE

    def close(self) -> None:
        """Give all back, with which TAP and namespace are gone; may be called twice."""
        self._epoll.close()
        if self._feeder >= 0:
            os.close(self._feeder)
            self._feeder = -1
        for each in self._sockets:
            each.close()
        self._sockets.clear()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()


_WORDS = {"packet": "packet socket", "bridge": "bridge"}


def _why(error: OSError) -> str:
    what = error.filename or "a TAP"
    return f"{what} cannot be had here ({bpf.error_name(error)})"


def _allow_files(count: int) -> None:
    """Raise the limit of open files where it is too low; raises TargetUnavailable where we may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    try:
        needed = len(os.listdir("/proc/self/fd")) + count  # noqa: PTH208 - only their number counts
    except OSError:  # there are so many already that this cannot be opened
        needed = soft + count
    if soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TargetUnavailable(f"{needed} open files are needed, the limit is {hard}", hint="see `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@lru_cache(maxsize=1)
def permitted() -> str:
    """Return "" where a steering program can be put on a TAP here, otherwise the reason, in words."""
    if not sys.platform.startswith("linux"):
        return "a TAP is a device of Linux"
    if reason := bpf.permitted():
        return reason
    if not Path(_DEVICE).exists():
        return f"there is no {_DEVICE}"
    try:
        tap = Tap(queues=1)
    except VnethashError as error:
        return error.message
    try:
        tap.steer_by(-1)
        (result,) = tap.exchange([bytes(64)])
    except VnethashError as error:
        return error.message
    finally:
        tap.close()
    return result.reason if isinstance(result, Skipped) else ""


def require() -> None:
    """Raise TargetUnavailable where `permitted` has a reason."""
    if reason := permitted():
        raise TargetUnavailable(reason, hint=f"a TAP needs root, bpf(2) and {_DEVICE}")


_TAGS = frozenset({b"\x81\x00", b"\x88\xa8"})


def limit(frame: bytes) -> str:
    """Return why a TAP cannot show this frame, "" where it can."""
    if len(frame) < 14:
        return f"a TAP takes frames from 14 bytes on, this one has {len(frame)}"
    at = 12
    while frame[at:at + 2] in _TAGS:
        at += 4
    if at > 12 and frame[at:at + 2] == b"\0\0":
        # vlan_get_protocol says 0 for "nothing", and the network header then stays at the first tag.
        return "a packet socket shows a frame whose VLAN tag announces EtherType 0 as if it had no tag"
    return f"a TAP takes frames up to {MAX_FRAME} bytes, this one has {len(frame)}" if len(frame) > MAX_FRAME else ""
