"""The literal dialect once more, in Python: one class of small steps, so that a defect can replace a single step.

Run it as an adapter: `python plain.py`. Written from virtio 1.4 section 5.1.6.4.3 and the RFCs, independently of
vnethash's model and of `literal.c`; the choices where the text leaves room are those at the top of `literal.c`.
"""

from __future__ import annotations

from typing import Any

TCP, UDP = 6, 17
HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AH, NO_NEXT, DESTINATION = 0, 43, 44, 50, 51, 59, 60
EXTENSIONS = frozenset({HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AH, DESTINATION, 135, 139, 140, 253, 254})
TAGS = (0x8100, 0x88A8)
IPV4, IPV6 = 0x0800, 0x86DD

NONE, R_IPV4, R_TCPV4, R_UDPV4, R_IPV6, R_TCPV6, R_UDPV6, R_IPV6_EX, R_TCPV6_EX, R_UDPV6_EX = range(10)
#: (IP version, with extension header only, transport or 0 for any, report), in the order of the text.
RULES = (
    (4, False, TCP, R_TCPV4), (4, False, UDP, R_UDPV4), (4, False, 0, R_IPV4),
    (6, True, TCP, R_TCPV6_EX), (6, True, UDP, R_UDPV6_EX), (6, True, 0, R_IPV6_EX),
    (6, False, TCP, R_TCPV6), (6, False, UDP, R_UDPV6), (6, False, 0, R_IPV6),
)  # fmt: skip


def be16(data: bytes, at: int) -> int:
    """Return the 16 bits at `at` in network order."""
    return data[at] << 8 | data[at + 1]


class Packet:
    """What was read of an IP packet."""

    __slots__ = ("destination", "extended", "home", "ports", "route", "source", "transport", "version")

    def __init__(self, version: int, source: bytes, destination: bytes) -> None:
        self.version = version
        self.source = source
        self.destination = destination
        self.extended = False
        self.transport = 0
        self.ports = b""
        self.home: bytes | None = None
        self.route: bytes | None = None


class Plain:
    """A receive side that hashes to the letter."""

    name = "plain"

    def __init__(self) -> None:
        self.configured = self.hashes = self.steers = False
        self.hash_types = 0
        self.key = bytes(40)
        self.table = [0]
        self.unclassified = 0

    # ---------------------------------------------------------------- configuration

    def configure(self, config: Any) -> None:
        """Take a configuration; raises ValueError and keeps the old one if there is something wrong with it."""
        if not isinstance(config, dict):
            raise ValueError("config is missing")

        def number(name: str, top: int) -> int:
            value = config.get(name, 0)
            if not isinstance(value, int) or not 0 <= value <= top:
                raise ValueError(f"{name} must be a number from 0 to {top}")
            return value

        table = config.get("indirection_table")
        if not isinstance(table, list) or not table or not all(isinstance(q, int) and 0 <= q < 65536 for q in table):
            raise ValueError("indirection_table must be a list of queue numbers")
        try:
            key = bytes.fromhex(config.get("key", ""))
        except (TypeError, ValueError):
            raise ValueError("key must be bytes in hex") from None
        features = config.get("features", [])
        if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
            raise ValueError("features must be a list of names")
        if number("tunnel_types", 0xFFFFFFFF):
            raise ValueError("tunnels are not supported")
        self.hash_types, self.unclassified = number("hash_types", 0xFFFFFFFF), number("unclassified_queue", 0xFFFF)
        self.configured, self.steers, self.table = True, "RSS" in features, table
        self.hashes = self.steers or "HASH_REPORT" in features
        self.set_key(key)

    def set_key(self, key: bytes) -> None:
        """Keep the 40 bytes that count; what a shorter key lacks is zero."""
        self.key = key[:40].ljust(40, b"\0")

    # ---------------------------------------------------------------- link layer

    def link(self, frame: bytes) -> tuple[int, int]:
        """Return EtherType and offset of the network header, (0, 0) if the frame ends before that."""
        at = 12
        while len(frame) >= at + 2:
            kind = be16(frame, at)
            if kind not in TAGS:
                return kind, at + 2
            at += 4
        return 0, 0

    # ---------------------------------------------------------------- IPv4

    def ipv4(self, data: bytes) -> Packet | None:
        """Read an IPv4 packet, None if it is not one."""
        if len(data) < 20 or data[0] >> 4 != 4:
            return None
        header = (data[0] & 15) * 4
        data = data[: self.ipv4_end(data)]
        if header < 20 or header > len(data):
            return None
        packet = Packet(4, data[12:16], data[16:20])
        if not self.ipv4_without_transport(be16(data, 6)):
            self.transport(packet, data[9], data[self.ipv4_header(data) :])
        return packet

    def ipv4_end(self, data: bytes) -> int:
        """Return where the packet ends."""
        return be16(data, 2)

    def ipv4_header(self, data: bytes) -> int:
        """Return where the IPv4 header ends."""
        return (data[0] & 15) * 4

    def ipv4_without_transport(self, flags_and_offset: int) -> bool:
        """Return whether this fragment cannot hold a transport header: a later one."""
        return flags_and_offset & 0x1FFF != 0

    # ---------------------------------------------------------------- IPv6

    def ipv6(self, data: bytes) -> Packet | None:
        """Read an IPv6 packet, None if it is not one."""
        if len(data) < 40 or data[0] >> 4 != 6:
            return None
        payload = be16(data, 4)
        if payload:
            data = data[: 40 + payload]
        packet = Packet(6, data[8:24], data[24:40])
        self.chain(packet, data, data[6])
        return packet

    def chain(self, packet: Packet, data: bytes, kind: int) -> None:
        """Walk the extension headers up to the transport header."""
        at, index = 40, 0
        while self.is_walked(kind, index):
            if kind in EXTENSIONS:
                packet.extended = True
            size = self.header_size(kind, data[at : at + 2])
            if size == 0 or at + size > len(data):
                self.unreadable(packet, kind)
                return
            header = data[at : at + size]
            if kind == FRAGMENT and be16(header, 2) >> 3:
                self.later_fragment(packet, header[0], data[at + 8 :])
                return
            self.addresses(packet, kind, header)
            kind = header[0]
            at += size
            index += 1
        self.transport(packet, kind, data[at:])

    def is_walked(self, kind: int, index: int) -> bool:
        """Return whether the next header, number `index` of the chain, is an extension header."""
        return kind in EXTENSIONS

    def header_size(self, kind: int, start: bytes) -> int:
        """Return the size of an extension header from its first two bytes; 0 if there is no telling."""
        if kind == FRAGMENT:
            return 8
        if kind == ESP or len(start) < 2:
            return 0
        return (start[1] + 2) * 4 if kind == AH else (start[1] + 1) * 8

    def unreadable(self, packet: Packet, kind: int) -> None:
        """Draw a conclusion from a header that does not fit, or ESP: none, the addresses are there."""

    def later_fragment(self, packet: Packet, kind: int, payload: bytes) -> None:
        """Look into the payload of a later fragment: there is nothing to see."""

    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        """Take the addresses that an extension header holds."""
        if kind == DESTINATION and packet.home is None:
            packet.home = self.home_address(header)
        if kind == ROUTING and packet.route is None:
            packet.route = self.route_address(header)

    def home_address(self, header: bytes) -> bytes | None:
        """Return the address of the first Home Address option of a Destination Options header."""
        at = 2
        while at < len(header):
            if header[at] == 0:
                at += 1
                continue
            if at + 1 >= len(header) or at + 2 + header[at + 1] > len(header):
                return None
            if self.is_home_address(header[at], header[at + 1]):
                return header[at + 2 : at + 18]
            at += 2 + header[at + 1]
        return None

    def is_home_address(self, kind: int, length: int) -> bool:
        """Return whether an option is the Home Address option."""
        return kind == 0xC9 and length == 16

    def route_address(self, header: bytes) -> bytes | None:
        """Return the address in a Routing header of type 2."""
        return header[8:24] if header[1] == 2 and header[2] == 2 else None

    # ---------------------------------------------------------------- transport

    def transport(self, packet: Packet, protocol: int, data: bytes) -> None:
        """Note a TCP or UDP header that is there in full."""
        if (protocol == TCP and len(data) >= 20) or (protocol == UDP and len(data) >= 8):
            packet.transport = protocol
            packet.ports = self.ports(protocol, data)

    def ports(self, protocol: int, data: bytes) -> bytes:
        """Return source and destination port."""
        return data[:4]

    # ---------------------------------------------------------------- choice, hash, queue

    def dissect(self, frame: bytes) -> Packet | None:
        """Read a frame, None if there is no IP packet in it."""
        kind, at = self.link(frame)
        if kind == IPV4:
            return self.ipv4(frame[at:])
        return self.ipv6(frame[at:]) if kind == IPV6 else None

    def choose(self, packet: Packet, types: int) -> int:
        """Return the report of the first rule that the packet and the enabled types satisfy."""
        for version, extended, transport, report in RULES:
            if (
                version == packet.version
                and types >> report - 1 & 1
                and (packet.extended or not extended)
                and transport in (0, packet.transport)
            ):
                return report
        return NONE

    def fields(self, packet: Packet, report: int) -> bytes:
        """Return the bytes to hash."""
        source, destination = packet.source, packet.destination
        if report >= R_IPV6_EX:
            source, destination = packet.home or source, packet.route or destination
        return source + destination + (b"" if report in (R_IPV4, R_IPV6, R_IPV6_EX) else packet.ports)

    def toeplitz(self, data: bytes) -> int:
        """Return the hash: the XOR of the key's 32-bit windows at the input's set bits."""
        key = int.from_bytes(self.key, "big")
        bits = int.from_bytes(data, "big")
        shift, value = len(self.key) * 8 - 32, 0
        for position in range(len(data) * 8):
            if bits >> (len(data) * 8 - 1 - position) & 1:
                value ^= key >> (shift - position)
        return value & 0xFFFFFFFF

    def reported(self, report: int) -> int:
        """Return what goes into `hash_report`."""
        return report

    def queue(self, value: int) -> int:
        """Return the queue of a packet with this hash."""
        return self.table[value & (len(self.table) - 1)]

    def unhashed(self) -> tuple[int, int, int]:
        """Return report, value and queue of a packet without a hash."""
        return NONE, 0, self.unclassified

    def judge(self, frame: bytes) -> tuple[int, int, int]:
        """Return report, value and queue."""
        packet = self.dissect(frame)
        report = self.choose(packet, self.hash_types) if packet and self.hashes else NONE
        if packet is None or report == NONE:
            return self.unhashed()
        value = self.toeplitz(self.fields(packet, report))
        return self.reported(report), value, self.queue(value)

    def answer(self, frame: bytes) -> dict[str, int]:
        """Return the result for one frame as the protocol has it."""
        if not self.configured:
            raise ValueError("run before configure")
        report, value, queue = self.judge(frame)
        result = {"report": report, "value": value}
        return {**result, "queue": queue} if self.steers else result


if __name__ == "__main__":
    from loop import serve

    serve(Plain())
