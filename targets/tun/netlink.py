"""A bridge by rtnetlink, the few messages that it takes.

Sources: linux/rtnetlink.h, linux/if_link.h. The messages act on the namespace of the calling thread.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEWLINK, _SETLINK = 16, 19
_REQUEST, _ACK, _EXCL, _CREATE = 0x001, 0x004, 0x200, 0x400
_ERROR = 2
_IFNAME, _MASTER, _LINKINFO = 3, 10, 18
_INFO_KIND, _INFO_DATA = 1, 2
_FORWARD_DELAY, _AGEING_TIME, _STP_STATE, _GROUP_FWD_MASK, _MCAST_SNOOPING = 1, 4, 5, 9, 23


def make_bridge(name: str, ports: Sequence[str]) -> None:
    """Make a bridge of these devices that learns nothing and passes every frame on; raises OSError.

    Without learning and snooping a frame goes out of the other port whatever its addresses are, but for those that no
    bridge forwards (IEEE 802.1D pause frames, a multicast source).
    """
    options = (
        _attribute(_FORWARD_DELAY, struct.pack("=I", 0))
        + _attribute(_AGEING_TIME, struct.pack("=I", 0))
        + _attribute(_STP_STATE, struct.pack("=I", 0))
        + _attribute(_GROUP_FWD_MASK, struct.pack("=H", 0xFFF8))
        + _attribute(_MCAST_SNOOPING, b"\0")
    )
    link = _attribute(_INFO_KIND, b"bridge\0") + _attribute(_INFO_DATA, options)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        channel.bind((0, 0))
        _ask(channel, _NEWLINK, _CREATE | _EXCL, 0, _attribute(_IFNAME, name.encode() + b"\0")
             + _attribute(_LINKINFO, link))  # fmt: skip
        master = struct.pack("=I", socket.if_nametoindex(name))
        for port in ports:
            _ask(channel, _SETLINK, 0, socket.if_nametoindex(port), _attribute(_MASTER, master))


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _ask(channel: socket.socket, kind: int, flags: int, index: int, attributes: bytes) -> None:
    body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + attributes
    channel.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, 1, 0) + body)
    answer = channel.recv(4096)
    _, kind, _, _, _ = struct.unpack_from("=IHHII", answer)
    number = -struct.unpack_from("=i", answer, 16)[0] if kind == _ERROR else 0
    if number:
        raise OSError(number, os.strerror(number), "a bridge")
