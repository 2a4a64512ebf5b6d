"""Defects that the static suite does not reach: behind two headers, at one length, one bit, one packet ago.

As in `defects.py` each is one changed step of `plain.Plain`; fuzzing has to find each, and to tell them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from plain import AH, DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING, TCP, UDP, Packet, Plain, be16

if TYPE_CHECKING:
    from collections.abc import Callable


class Hidden(NamedTuple):
    """A planted defect: what it does, and the class whose objects have it."""

    name: str
    description: str
    device: type[Plain]


HIDDEN: dict[str, Hidden] = {}


def planted(name: str, description: str) -> Callable[[type[Plain]], type[Plain]]:
    """Enter a class into the table."""

    def enter(device: type[Plain]) -> type[Plain]:
        device.name = f"hidden {name}"
        HIDDEN[name] = Hidden(name, description, device)
        return device

    return enter


def wrong(answer: tuple[int, int, int], change: int) -> tuple[int, int, int]:
    """Return another hash, where there is one."""
    report, value, queue = answer
    return (report, value ^ change, queue) if report else answer


@planted("two-headers", "the ports are lost behind Hop-by-Hop Options that a Routing header follows")
class TwoHeaders(Plain):
    def chain(self, packet: Packet, data: bytes, kind: int) -> None:
        super().chain(packet, data, kind)
        if kind == HOP_BY_HOP and data[40:41] == bytes([ROUTING]):
            packet.source = packet.destination


@planted("option-length", "a Destination Options header of 40 bytes spoils the source address")
class OptionLength(Plain):
    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        super().addresses(packet, kind, header)
        if kind == DESTINATION and header[1] == 4:
            packet.source = bytes(16)


@planted("ttl", "a TTL of 1 sends the packet to no hash")
class Ttl(Plain):
    def ipv4(self, data: bytes) -> Packet | None:
        return None if len(data) >= 20 and data[8] == 1 else super().ipv4(data)


@planted("traffic-class", "an ECN mark of CE (both bits) in IPv4 changes the hash")
class TrafficClass(Plain):
    def ipv4(self, data: bytes) -> Packet | None:
        packet = super().ipv4(data)
        if packet and data[1] & 3 == 3:
            packet.source = packet.source[::-1]
        return packet


@planted("port", "TCP to port 443 is hashed with the ports in the wrong order")
class Port(Plain):
    def ports(self, protocol: int, data: bytes) -> bytes:
        if protocol == TCP and be16(data, 2) == 443:
            return data[2:4] + data[:2]
        return data[:4]


@planted("urgent", "TCP with the URG flag is not hashed")
class Urgent(Plain):
    def ipv4(self, data: bytes) -> Packet | None:
        packet = super().ipv4(data)
        at = self.ipv4_header(data) if len(data) >= 20 else 0
        return None if packet and packet.transport == TCP and data[at + 13] & 0x20 else packet


@planted("checksum", "UDP over IPv6 with checksum 0xFFFF is hashed by its addresses in the wrong order")
class Checksum(Plain):
    def ipv6(self, data: bytes) -> Packet | None:
        packet = super().ipv6(data)
        if packet and packet.transport == UDP and not packet.extended and data[46:48] == b"\xff\xff":
            packet.source, packet.destination = packet.destination, packet.source
        return packet


@planted("flow-label", "the top bit of the flow label drops the packet to no hash")
class FlowLabel(Plain):
    def ipv6(self, data: bytes) -> Packet | None:
        return None if len(data) > 1 and data[1] & 8 else super().ipv6(data)


@planted("hop-limit", "a hop limit of 255 changes the destination that is hashed")
class HopLimit(Plain):
    def ipv6(self, data: bytes) -> Packet | None:
        packet = super().ipv6(data)
        if packet and data[7] == 255:
            packet.destination = packet.destination[:15] + b"\0"
        return packet


@planted("identification", "an IPv4 identification of 0xFFFF is taken for a fragment's and spoils the addresses")
class Identification(Plain):
    def ipv4(self, data: bytes) -> Packet | None:
        packet = super().ipv4(data)
        if packet and data[4:6] == b"\xff\xff":
            packet.source = bytes(4)
        return packet


@planted("fragment-id", "a later IPv6 fragment that announces TCP has its source address reversed")
class FragmentId(Plain):
    def later_fragment(self, packet: Packet, kind: int, payload: bytes) -> None:
        if kind == TCP:
            packet.source = packet.source[::-1]


@planted("ah-then-dstopts", "AH followed by Destination Options loses the source address")
class AhThenDestination(Plain):
    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        super().addresses(packet, kind, header)
        if kind == AH and header[0] == DESTINATION:
            packet.source = bytes(16)


@planted("all-but-udp6", "with every type but UDPv6 enabled, IPv4 packets are hashed by another key")
class AllButUdp6(Plain):
    def judge(self, frame: bytes) -> tuple[int, int, int]:
        answer = super().judge(frame)
        return wrong(answer, 0x01010101) if not self.hash_types & 0x20 and answer[0] == 1 else answer


@planted("short-table", "a table of 8 entries is read at the entry before")
class ShortTable(Plain):
    def queue(self, value: int) -> int:
        return self.table[value - (len(self.table) == 8) & (len(self.table) - 1)]


@planted("unclassified-zero", "an unclassified_queue of 0 is taken for none, and the last entry is used")
class UnclassifiedZero(Plain):
    def unhashed(self) -> tuple[int, int, int]:
        report, value, queue = super().unhashed()
        return report, value, queue or 9999


@planted("state", "behind a packet with IPv4 options the next one keeps its source address")
class State(Plain):
    kept: bytes | None = None

    def configure(self, config: Any) -> None:
        super().configure(config)
        self.kept = None

    def ipv4(self, data: bytes) -> Packet | None:
        packet = super().ipv4(data)
        kept, self.kept = self.kept, None
        if packet and self.ipv4_header(data) == 24:
            self.kept = bytes(4)
        elif packet and kept is not None:
            packet.source = kept
        return packet


@planted("vlan-priority", "a VLAN tag with priority 7 is not hashed")
class VlanPriority(Plain):
    def dissect(self, frame: bytes) -> Packet | None:
        tagged = len(frame) >= 18 and be16(frame, 12) == 0x8100
        return None if tagged and frame[14] >> 5 == 7 else super().dissect(frame)


@planted("fragment-chain", "Destination Options behind a first fragment make it hashed by nothing")
class FragmentChain(Plain):
    def addresses(self, packet: Packet, kind: int, header: bytes) -> None:
        super().addresses(packet, kind, header)
        if kind == FRAGMENT and header[3] & 1 and header[0] == DESTINATION:
            packet.destination = bytes(16)


@planted("transmit-queues", "a queue number is taken modulo max_tx_vq where there is more than one transmit queue")
class TransmitQueues(Plain):
    pairs = 1

    def configure(self, config: Any) -> None:
        super().configure(config)
        self.pairs = config.get("max_tx_vq", 1)

    def judge(self, frame: bytes) -> tuple[int, int, int]:
        report, value, queue = super().judge(frame)
        return report, value, queue % self.pairs if self.pairs > 1 else queue


def several(*names: str) -> Plain:
    """Return a device with several of the defects at once."""
    bases = tuple(HIDDEN[name].device for name in names)
    device = type("Several", bases, {"name": " and ".join(names)})()
    assert isinstance(device, Plain)
    return device


if __name__ == "__main__":
    import sys

    from loop import serve

    serve(several(*sys.argv[1:]))
