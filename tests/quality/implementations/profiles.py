"""The profiles of `ndis.py` and `odd.py` once more, as steps of `plain.py` that are replaced.

So each of the two is held against code of another make: what their docstrings declare is all that they do otherwise.
"""

from __future__ import annotations

import plain
from plain import ESP, FRAGMENT, TCP, UDP, Packet, Plain, be16


class NdisProfile(Plain):
    """What the docstring of `ndis.py` declares."""

    name = "profile ndis"
    fragmented = False

    def ipv4_without_transport(self, flags_and_offset: int) -> bool:
        return flags_and_offset & 0x3FFF != 0

    def ipv6(self, data: bytes) -> Packet | None:
        self.fragmented = False
        return super().ipv6(data)

    def unreadable(self, packet: Packet, kind: int) -> None:
        if kind != ESP:
            packet.version = 0

    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        super().addresses(packet, kind, header)
        if kind == FRAGMENT and header[3] & 1:
            self.fragmented = True
        if kind == plain.DESTINATION and not self.options_fit(header):
            packet.version = 0

    @staticmethod
    def options_fit(header: bytes) -> bool:
        at = 2
        while at < len(header):
            if at + 1 == len(header) and header[at]:
                return False
            at += 2 + header[at + 1] if header[at] else 1
        return at == len(header)

    def transport(self, packet: Packet, protocol: int, data: bytes) -> None:
        if packet.version == 4 or not self.fragmented:
            super().transport(packet, protocol, data)

    def choose(self, packet: Packet, types: int) -> int:
        if packet.version != 6:
            return super().choose(packet, types)
        for bit, transport, report in (
            (7, TCP, plain.R_TCPV6_EX), (4, TCP, plain.R_TCPV6), (8, UDP, plain.R_UDPV6_EX), (5, UDP, plain.R_UDPV6),
            (6, 0, plain.R_IPV6_EX), (3, 0, plain.R_IPV6),
        ):  # fmt: skip
            if types >> bit & 1 and transport in (0, packet.transport):
                return report
        return plain.NONE


class OddProfile(Plain):
    """What the docstring of `odd.py` declares."""

    name = "profile odd"
    fragment = False

    def link(self, frame: bytes) -> tuple[int, int]:
        if len(frame) >= 18 and be16(frame, 12) == 0x8100:
            return be16(frame, 16), 18
        return (be16(frame, 12), 14) if len(frame) >= 14 else (0, 0)

    def ipv4(self, data: bytes) -> Packet | None:
        self.fragment = False
        return super().ipv4(data)

    def ipv4_end(self, data: bytes) -> int:
        return len(data)

    def ipv6(self, data: bytes) -> Packet | None:
        self.fragment = False
        return super().ipv6(data[:4] + bytes(2) + data[6:] if len(data) >= 6 else data)

    def is_walked(self, kind: int, index: int) -> bool:
        return kind in (0, 43, 44, 51, 60)

    def unreadable(self, packet: Packet, kind: int) -> None:
        packet.version = 0

    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        self.fragment |= kind == FRAGMENT
        home, packet.home = packet.home, None
        super().addresses(packet, kind, header)
        packet.home = packet.home or home

    def home_address(self, header: bytes) -> bytes | None:
        at, found = 2, None
        while at < len(header):
            if header[at] == 0:
                at += 1
            elif at + 1 == len(header) or at + 2 + header[at + 1] > len(header):
                break
            else:
                if self.is_home_address(header[at], header[at + 1]):
                    found = header[at + 2 : at + 18]
                at += 2 + header[at + 1]
        return found

    def route_address(self, header: bytes) -> bytes | None:
        return header[8:24] if header[1:4] == b"\2\2\1" else None

    def transport(self, packet: Packet, protocol: int, data: bytes) -> None:
        if not self.fragment:
            super().transport(packet, protocol, data + bytes(16) if protocol == TCP and len(data) >= 4 else data)
