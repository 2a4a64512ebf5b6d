"""The hash as users of dpkt and of scapy write it: parse, pick the fields, and a table of bytes in plain Python.

Neither knows of home addresses and routes, nor of what a device makes of a cut header; the bench says on how many
frames their hashes are the model's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def toeplitz(tables: Sequence[Sequence[int]], data: bytes) -> int:
    """Return the hash of the fields."""
    result = 0
    for table, octet in zip(tables, data):  # noqa: B905 - there are more tables than bytes
        result ^= table[octet]
    return result


def by_dpkt(frame: bytes, tables: Sequence[Sequence[int]]) -> int | None:
    """Return the hash of a frame, None for a frame that has none."""
    import dpkt

    try:
        ip = dpkt.ethernet.Ethernet(frame).data
    except dpkt.UnpackError:
        return None
    if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6):
        return None
    fields = ip.src + ip.dst
    if isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP):
        fields += struct.pack(">HH", ip.data.sport, ip.data.dport)
    return toeplitz(tables, fields)


def by_scapy(frame: bytes, tables: Sequence[Sequence[int]]) -> int | None:
    """Return the hash of a frame, None for a frame that has none."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether

    packet = Ether(frame)
    if IP in packet:
        ip: Any = packet[IP]
    elif IPv6 in packet:
        ip = packet[IPv6]
    else:
        return None
    fields = _packed(ip.src) + _packed(ip.dst)
    for kind in (TCP, UDP):
        if kind in packet:
            fields += struct.pack(">HH", packet[kind].sport, packet[kind].dport)
            break
    return toeplitz(tables, fields)


def _packed(address: str) -> bytes:
    import socket

    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
