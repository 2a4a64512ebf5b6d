"""Planted defects: `plain.py` with one step replaced. An adapter: `python defects.py NAME`; `--list` prints the table.

`DEFECTS` holds for each: its name, what is wrong, the clauses of which a finding must name one (the first is the best
answer), and the questions of `spec.md` section 3 that a listed reading of it comes near to (a defect with such a
neighbour is met by an implementation in the field or by a reading that nothing in the text supports).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, NamedTuple

from plain import (
    DESTINATION,
    ESP,
    EXTENSIONS,
    FRAGMENT,
    HOP_BY_HOP,
    IPV6,
    NO_NEXT,
    R_IPV6,
    R_IPV6_EX,
    R_TCPV6,
    R_TCPV6_EX,
    R_UDPV4,
    R_UDPV6,
    R_UDPV6_EX,
    TCP,
    UDP,
    Packet,
    Plain,
    be16,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable


class Defect(NamedTuple):
    """One planted defect."""

    name: str
    description: str
    clauses: tuple[str, ...]
    near: tuple[str, ...]
    device: type[Plain]


DEFECTS: dict[str, Defect] = {}

V4_PORTS, V6_PORTS, EX_PORTS, EX = "V4-1 V4-2", "V6-1 V6-2", "X6-1 X6-2", "X6-1 X6-2 X6-3"
PORTS = f"{V4_PORTS} {V6_PORTS} {EX_PORTS}"
CHAIN = f"{EX} X6-4 {V6_PORTS} V6-3"


def planted(name: str, description: str, clauses: str, near: str = "") -> Callable[[type[Plain]], type[Plain]]:
    """Put the class into the table."""

    def enter(device: type[Plain]) -> type[Plain]:
        device.name = f"defect {name}"
        DEFECTS[name] = Defect(name, description, tuple(dict.fromkeys(clauses.split())), tuple(near.split()), device)
        return device

    return enter


# -------------------------------------------------------------------- link layer


@planted("vlan-not-before-ipv6", "a VLAN tag is skipped before IPv4 but not before IPv6", f"V6-0 X6-0 {CHAIN}", "A-65")
class VlanNotBeforeIpv6(Plain):
    def link(self, frame: bytes) -> tuple[int, int]:
        kind, at = super().link(frame)
        return (0, 0) if kind == IPV6 and at > 14 else (kind, at)


@planted("tag-8021ad-two", "0x88A8 is taken to be followed by a second tag", f"V4-0 V6-0 X6-0 {V4_PORTS} V4-3", "A-66")
class Tag8021adTwo(Plain):
    def link(self, frame: bytes) -> tuple[int, int]:
        if len(frame) >= 22 and be16(frame, 12) == 0x88A8:
            return be16(frame, 20), 22
        return super().link(frame)


@planted("multicast-unhashed", "frames to a multicast MAC address are not hashed",
         f"V4-0 V6-0 X6-0 HC-1 {PORTS}", "A-72")  # fmt: skip
class MulticastUnhashed(Plain):
    def dissect(self, frame: bytes) -> Packet | None:
        return None if frame[:1] and frame[0] & 1 else super().dissect(frame)


# -------------------------------------------------------------------- IPv4


@planted("df-is-fragment", "the DF flag makes a packet a fragment (QEMU 6.1 to 8.2)", V4_PORTS, "A-78")
class DfIsFragment(Plain):
    def ipv4_without_transport(self, flags_and_offset: int) -> bool:
        return flags_and_offset & 0x5FFF != 0


@planted("reserved-is-fragment", "the reserved flag makes a packet a fragment", V4_PORTS, "A-78")
class ReservedIsFragment(Plain):
    def ipv4_without_transport(self, flags_and_offset: int) -> bool:
        return flags_and_offset & 0x9FFF != 0


@planted("later-fragment-ports", "payload of later IPv4 fragments is hashed as ports", f"V4-3 V4-4 {V4_PORTS}", "A-76")
class LaterFragmentPorts(Plain):
    def ipv4_without_transport(self, flags_and_offset: int) -> bool:
        return False


@planted("ihl-ignored", "ports are taken 20 bytes into the packet whatever the IHL", V4_PORTS, "A-82")
class IhlIgnored(Plain):
    def ipv4_header(self, data: bytes) -> int:
        return 20


@planted("udp-over-padding", "Ethernet padding behind a cut UDP header is hashed as ports", "V4-3 V4-2 V4-4", "A-86")
class UdpOverPadding(Plain):
    def ipv4_end(self, data: bytes) -> int:
        total = be16(data, 2)
        return len(data) if data[9] == UDP and total >= (data[0] & 15) * 4 else total


@planted("tcpv4-needs-ipv4", "TCPv4 counts only when IPv4 is enabled too", "V4-1")
class Tcpv4NeedsIpv4(Plain):
    def choose(self, packet: Packet, types: int) -> int:
        return super().choose(packet, types if types & 1 else types & ~2)


# -------------------------------------------------------------------- transport


@planted("tcp-option-ports", "with TCP options the first option is hashed for the ports", "V4-1 V6-1 X6-1")
class TcpOptionPorts(Plain):
    def ports(self, protocol: int, data: bytes) -> bytes:
        return data[20:24] if protocol == TCP and data[12] >> 4 > 5 and len(data) >= 24 else data[:4]


@planted("tcp-as-udp", "TCP packets are judged by the UDP types", f"V4-1 V6-1 X6-1 {PORTS} V4-3 V6-3 X6-3 V4-4 V6-4")
class TcpAsUdp(Plain):
    def transport(self, packet: Packet, protocol: int, data: bytes) -> None:
        super().transport(packet, protocol, data)
        packet.transport = packet.transport and UDP


@planted("sctp-as-tcp", "SCTP is hashed as TCP", "V4-3 V6-3 X6-3 V4-1 V6-1 X6-1 V4-4 V6-4 X6-4", "A-92")
class SctpAsTcp(Plain):
    def transport(self, packet: Packet, protocol: int, data: bytes) -> None:
        super().transport(packet, TCP if protocol == 132 else protocol, data)


@planted("udp-checksum-zero", "UDP with checksum 0 is not seen as UDP", "V4-2 V6-2 X6-2", "A-91")
class UdpChecksumZero(Plain):
    def transport(self, packet: Packet, protocol: int, data: bytes) -> None:
        if protocol != UDP or len(data) < 8 or be16(data, 6):
            super().transport(packet, protocol, data)


@planted("ports-swapped", "destination port before source port", PORTS)
class PortsSwapped(Plain):
    def ports(self, protocol: int, data: bytes) -> bytes:
        return data[2:4] + data[:2]


@planted("ports-host-order", "ports are hashed in little-endian order", PORTS)
class PortsHostOrder(Plain):
    def ports(self, protocol: int, data: bytes) -> bytes:
        return bytes([data[1], data[0], data[3], data[2]])


# -------------------------------------------------------------------- IPv6 extension headers


@planted("ah-in-8-octets", "the length of AH is read in units of 8 octets (QEMU, NetKVM)",
         f"{EX_PORTS} {CHAIN}", "A-103")  # fmt: skip
class AhIn8Octets(Plain):
    def header_size(self, kind: int, start: bytes) -> int:
        return super().header_size(DESTINATION if kind not in (FRAGMENT, ESP) else kind, start)


@planted("fragment-length", "the reserved byte of the Fragment header is used as its length (QEMU)",
         CHAIN, "A-143 A-144")  # fmt: skip
class FragmentLength(Plain):
    def header_size(self, kind: int, start: bytes) -> int:
        return super().header_size(DESTINATION if kind == FRAGMENT else kind, start)


@planted("icmpv6-walked", "ICMPv6 is walked like an extension header (QEMU eBPF)",
         f"V6-3 V6-4 V6-0 X6-3 {CHAIN}", "A-106")  # fmt: skip
class Icmpv6Walked(Plain):
    def is_walked(self, kind: int, index: int) -> bool:
        return kind in EXTENSIONS or kind == 58


@planted("no-next-walked", "No Next Header is walked like an extension header (QEMU eBPF)",
         f"V6-3 V6-4 V6-0 X6-3 {CHAIN}", "A-101")  # fmt: skip
class NoNextWalked(Plain):
    def is_walked(self, kind: int, index: int) -> bool:
        return kind in EXTENSIONS or kind == NO_NEXT


@planted("esp-walked", "ESP is walked like an extension header (NetKVM before 2021)",
         f"X6-3 X6-4 V6-3 {CHAIN} X6-0", "A-102")  # fmt: skip
class EspWalked(Plain):
    def header_size(self, kind: int, start: bytes) -> int:
        return super().header_size(DESTINATION if kind == ESP else kind, start)


@planted("eleven-headers", "extension headers after the eleventh are not walked (QEMU eBPF)", CHAIN, "A-118")
class ElevenHeaders(Plain):
    def is_walked(self, kind: int, index: int) -> bool:
        return kind in EXTENSIONS and index < 11


@planted("parse-window", "what lies behind the first 128 bytes of a frame is not seen", f"{CHAIN} {V4_PORTS}", "A-118")
class ParseWindow(Plain):
    def dissect(self, frame: bytes) -> Packet | None:
        return super().dissect(frame[:128])


@planted("later-fragment-options", "options are read from the payload of later fragments (QEMU)", f"X6-3 {EX}", "A-144")
class LaterFragmentOptions(Plain):
    def later_fragment(self, packet: Packet, kind: int, payload: bytes) -> None:
        if kind == DESTINATION and packet.home is None and len(payload) >= 2:
            packet.home = self.home_address(payload[: (payload[1] + 1) * 8])


@planted("later-fragment-ports-v6", "payload of later IPv6 fragments is hashed as ports",
         f"X6-3 X6-4 V6-3 {CHAIN} V6-4", "A-142")  # fmt: skip
class LaterFragmentPortsV6(Plain):
    def later_fragment(self, packet: Packet, kind: int, payload: bytes) -> None:
        self.transport(packet, kind, payload)


# -------------------------------------------------------------------- home and route address


@planted("hao-in-hop-by-hop", "a Home Address option in the Hop-by-Hop header is taken", EX, "A-127")
class HaoInHopByHop(Plain):
    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        super().addresses(packet, DESTINATION if kind == HOP_BY_HOP else kind, header)


@planted("hao-length-unchecked", "16 bytes are taken whatever the length of the Home Address option (QEMU)",
         EX, "A-123")  # fmt: skip
class HaoLengthUnchecked(Plain):
    def is_home_address(self, kind: int, length: int) -> bool:
        return kind == 0xC9

    def home_address(self, header: bytes) -> bytes | None:
        home = super().home_address(header)
        return home if home is not None and len(home) == 16 else None


@planted("hao-type-low-bits", "options whose type ends in the same five bits are taken for Home Address", EX, "A-126")
class HaoTypeLowBits(Plain):
    def is_home_address(self, kind: int, length: int) -> bool:
        return kind & 0x1F == 0x09 and length == 16


@planted("hao-without-ports", "the home address counts for IP_EX only, not with ports", EX_PORTS)
class HaoWithoutPorts(Plain):
    def fields(self, packet: Packet, report: int) -> bytes:
        if report != R_IPV6_EX:
            packet.home = None
        return super().fields(packet, report)


@planted("hao-as-destination", "the home address takes the place of the destination", EX)
class HaoAsDestination(Plain):
    def fields(self, packet: Packet, report: int) -> bytes:
        if report >= R_IPV6_EX:
            packet.home, packet.route = None, packet.home or packet.route
        return super().fields(packet, report)


@planted("thirty-options", "options after the thirtieth of a header are not read (QEMU eBPF)", EX, "A-118")
class ThirtyOptions(Plain):
    def home_address(self, header: bytes) -> bytes | None:
        at = 2
        for _ in range(30):
            if at < len(header):
                at += 1 if header[at] == 0 else 2 + (header[at + 1] if at + 1 < len(header) else 0)
        return super().home_address(header[:at])


@planted("rh2-six-early", "the address of the type 2 Routing header is read 6 bytes early (QEMU 5.1)", EX)
class Rh2SixEarly(Plain):
    def route_address(self, header: bytes) -> bytes | None:
        return header[2:18] if super().route_address(header) else None


@planted("rh0-destination", "the first address of a type 0 Routing header replaces the destination", EX, "A-132")
class Rh0Destination(Plain):
    def route_address(self, header: bytes) -> bytes | None:
        return header[8:24] if header[1] >= 2 and header[2] in (0, 2) else None


@planted("skipped-use-home", "skipping the headers (X6-4) still hashes home and route address",
         f"X6-4 {V6_PORTS} V6-3", "A-135")  # fmt: skip
class SkippedUseHome(Plain):
    def fields(self, packet: Packet, report: int) -> bytes:
        packet.source, packet.destination = packet.home or packet.source, packet.route or packet.destination
        return super().fields(packet, report)


# -------------------------------------------------------------------- choice of the type


@planted("tcp-ex-without-extension", "TCP_EX takes packets without extension header (UDP_EX, IP_EX do not)",
         "V6-1 V6-3 V6-4", "A-110 A-111")  # fmt: skip
class TcpExWithoutExtension(Plain):
    def choose(self, packet: Packet, types: int) -> int:
        if packet.version == 6 and packet.transport == TCP and types & 0x80:
            return R_TCPV6_EX
        return super().choose(packet, types)


@planted("ip-ex-after-tcpv6", "IP_EX comes after TCPv6 (but before UDPv6)", "X6-3", "A-112")
class IpExAfterTcpv6(Plain):
    def choose(self, packet: Packet, types: int) -> int:
        report = super().choose(packet, types)
        return R_TCPV6 if report == R_IPV6_EX and packet.transport == TCP and types & 0x10 else report


@planted("ex-bits-as-modifiers", "EX bits only change the addresses of the type without EX (QEMU eBPF)",
         f"{EX} X6-4", "A-107 A-110")  # fmt: skip
class ExBitsAsModifiers(Plain):
    def choose(self, packet: Packet, types: int) -> int:
        report = super().choose(packet, types & 0x3F)
        return report + 3 if packet.extended and report and types >> (report + 2) & 1 else report


@planted("fallback-to-addresses", "skipping the headers (X6-4) leads to IPv6 only, never to TCPv6 or UDPv6",
         f"X6-4 {V6_PORTS}", "A-114")  # fmt: skip
class FallbackToAddresses(Plain):
    def choose(self, packet: Packet, types: int) -> int:
        return super().choose(packet, types & ~0x30 if packet.extended else types)


@planted("half-addresses", "without ports only the upper half of IPv6 addresses is hashed", "V6-3")
class HalfAddresses(Plain):
    def fields(self, packet: Packet, report: int) -> bytes:
        return packet.source[:8] + packet.destination[:8] if report == R_IPV6 else super().fields(packet, report)


@planted("addresses-swapped", "destination address before source address", f"{PORTS} V4-3 V6-3 X6-3")
class AddressesSwapped(Plain):
    def fields(self, packet: Packet, report: int) -> bytes:
        data = super().fields(packet, report)
        size = 4 if report <= R_UDPV4 else 16
        return data[size : 2 * size] + data[:size] + data[2 * size :]


# -------------------------------------------------------------------- hash and key


@planted("key-window", "the key window is one bit late", "RSS-1 HC-4 RSS-10 HC-7 HCF-7", "A-03")
class KeyWindow(Plain):
    def set_key(self, key: bytes) -> None:
        super().set_key(key)
        self.key = (int.from_bytes(self.key, "big") << 1 & (1 << 320) - 1).to_bytes(40, "big")


@planted("key-36-bytes", "only 36 bytes of the key are used", "HC-4 RSS-10 RSS-1 HC-7 HCF-7")
class Key36Bytes(Plain):
    def set_key(self, key: bytes) -> None:
        super().set_key(key[:36])


@planted("stale-key", "what a shorter key lacks is left from the key before it (QEMU)",
         "HC-4 RSS-10 HC-7 HCF-7", "A-07")  # fmt: skip
class StaleKey(Plain):
    def set_key(self, key: bytes) -> None:
        self.key = key[:40] + self.key[len(key[:40]) :]


@planted("bits-from-the-right", "the bits of each input byte are taken from the lowest", "RSS-1 HC-4", "A-03")
class BitsFromTheRight(Plain):
    def toeplitz(self, data: bytes) -> int:
        return super().toeplitz(bytes(int(f"{byte:08b}"[::-1], 2) for byte in data))


@planted("zero-hash-unhashed", "a hash of 0 counts as none (QEMU before 9.1)", "RSS-D4 REP-1 RSS-D3 HC-1", "A-55")
class ZeroHashUnhashed(Plain):
    def judge(self, frame: bytes) -> tuple[int, int, int]:
        report, value, queue = super().judge(frame)
        return (report, value, queue) if value else self.unhashed()


# -------------------------------------------------------------------- report and queue


@planted("report-udp-ex", "UDPv6_EX is reported as UDPv6", "REP-1 REP-3 REP-4 X6-2")
class ReportUdpEx(Plain):
    def reported(self, report: int) -> int:
        return R_UDPV6 if report == R_UDPV6_EX else report


@planted("report-is-bit-number", "the bit number of the type is reported, one too low", "REP-3 REP-4 REP-1")
class ReportIsBitNumber(Plain):
    def reported(self, report: int) -> int:
        return report - 1


@planted("stale-report", "a packet without hash repeats report and value of the one before", "REP-2 V4-4 V6-4")
class StaleReport(Plain):
    last = (0, 0)

    def judge(self, frame: bytes) -> tuple[int, int, int]:
        report, value, queue = super().judge(frame)
        self.last = (report, value) if report else self.last
        return (*self.last, queue)


@planted("stale-queue", "a packet without hash goes where the one before went (DPDK)", "RSS-D3 RSS-7")
class StaleQueue(Plain):
    last: int | None = None

    def judge(self, frame: bytes) -> tuple[int, int, int]:
        report, value, queue = super().judge(frame)
        if report or self.last is None:
            self.last = queue
        return report, value, self.last


@planted("unclassified-to-0", "packets without hash go to queue 0", "RSS-D3 RSS-7")
class UnclassifiedTo0(Plain):
    def unhashed(self) -> tuple[int, int, int]:
        return 0, 0, 0


@planted("unclassified-by-table", "packets without hash go to the first queue of the table", "RSS-D3 RSS-7", "A-47")
class UnclassifiedByTable(Plain):
    def unhashed(self) -> tuple[int, int, int]:
        return 0, 0, self.table[0]


@planted("index-by-top-bits", "the top bits of the hash select the table entry", "RSS-D4 RSS-5", "A-06")
class IndexByTopBits(Plain):
    def queue(self, value: int) -> int:
        return self.table[value * len(self.table) >> 32]


@planted("index-modulo-mask", "the index is the hash modulo the mask, so the last entry is never used", "RSS-D4 RSS-5")
class IndexModuloMask(Plain):
    def queue(self, value: int) -> int:
        return self.table[value % max(1, len(self.table) - 1)]


def main(arguments: list[str]) -> int:
    """Serve one defect, or list them."""
    if arguments == ["--list"]:
        for defect in DEFECTS.values():
            print(json.dumps(dict(zip(Defect._fields[:4], defect[:4], strict=True))))
        return 0
    if len(arguments) != 1 or arguments[0] not in DEFECTS:
        print(f"usage: defects.py NAME | --list; NAME is one of: {' '.join(DEFECTS)}", file=sys.stderr)
        return 2
    from loop import serve

    serve(DEFECTS[arguments[0]].device())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
