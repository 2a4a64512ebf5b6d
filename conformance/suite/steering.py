"""Hash value and queue: Microsoft's vectors, the key window, keys and tables of every size, a value of 0."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import (
    ALL,
    EX,
    IPV4,
    IPV6,
    TCPV4,
    TCPV6,
    UDPV4,
    UDPV6,
    V4,
    V6,
    Draft,
    config,
    drafts,
)
from vnethash.models.toeplitz import toeplitz
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.craft import (
    FLOWS4,
    FLOWS6,
    address,
    ethernet,
    home_options,
    icmp,
    ipv4,
    ipv6,
    raw,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One packet of each kind, with the hash types of its kind.
SAMPLES: tuple[tuple[str, bytes, int], ...] = (
    ("TCP over IPv4", ethernet(ipv4(tcp())), V4),
    ("UDP over IPv4", ethernet(ipv4(udp())), V4),
    ("ICMP over IPv4", ethernet(ipv4(icmp())), V4),
    ("TCP over IPv6", ethernet(ipv6(tcp())), V6),
    ("UDP over IPv6", ethernet(ipv6(udp())), V6),
    # Under short keys only the first bytes of the input count: no two of the three addresses begin alike.
    ("UDP behind a Home Address over IPv6",
     ethernet(ipv6(home_options(), udp(), destination=address("fd4e:9:5c::e1"))), EX),
)
#: A key with no pattern, so that a window in the wrong place shows.
OTHER_KEY = bytes((167 * k * k + 91 * k + 29) & 0xFF for k in range(40))
LONG_KEY = MICROSOFT_KEY + bytes((73 * k + 5) & 0xFF for k in range(12))
ARP = ethernet(bytes(46), kind=0x0806)


def steering_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from microsoft()
    yield from windows()
    yield from keys()
    yield from zero_values()
    yield from tables()
    yield from unclassified()
    yield from features()


def microsoft() -> Iterator[Draft]:
    """Yield Microsoft's vectors, and each with its roles exchanged."""
    clauses = ("RSS-1", "MS-F5")
    for number, flow in enumerate((*FLOWS4, *FLOWS6)):
        four = len(flow.source) == 4
        packet = ipv4 if four else ipv6
        types = ((TCPV4, UDPV4, IPV4) if four else (TCPV6, UDPV6, IPV6))
        version = "IPv4" if four else "IPv6"
        segment = tcp(flow.source_port, flow.destination_port)
        datagram = udp(flow.source_port, flow.destination_port)
        rest = raw(253 if four else 103, bytes(8))
        asks = "is the value Microsoft's"
        for name, part, mask in (("TCP", segment, types[0]), ("UDP", datagram, types[1])):
            data = ethernet(packet(part, source=flow.source, destination=flow.destination))
            what = f"Microsoft's vector {number + 1} (value {flow.ports_hash:08x}), {name} over {version}"
            yield from drafts(asks, [(what, data)], (mask,), clauses=clauses)
        data = ethernet(packet(rest, source=flow.source, destination=flow.destination))
        what = f"Microsoft's vector {number + 1} (value {flow.addresses_hash:08x}), addresses over {version}"
        yield from drafts(asks, [(what, data)], (types[2],), clauses=clauses)
        back = tcp(flow.destination_port, flow.source_port)
        frames = [
            (f"The way back of vector {number + 1}",
             ethernet(packet(back, source=flow.destination, destination=flow.source))),
            (f"Vector {number + 1} with its ports exchanged",
             ethernet(packet(back, source=flow.source, destination=flow.destination))),
            (f"Vector {number + 1} with its addresses exchanged",
             ethernet(packet(segment, source=flow.destination, destination=flow.source))),
        ]
        yield from drafts("are source and destination told apart", frames, (types[0],), clauses=("MS-F4", "MS-F5"))


def windows() -> Iterator[Draft]:
    """Yield inputs of which one byte is not 0, for every byte: each shows its own part of the key."""
    asks = "is this byte of the input hashed with its part of the key"
    for version, size, mask, packet in (("IPv4", 4, UDPV4, ipv4), ("IPv6", 16, UDPV6, ipv6)):
        for position in range(2 * size + 4):
            data = bytearray(2 * size + 4)
            data[position] = 0x81
            ports = int.from_bytes(data[2 * size:2 * size + 2], "big"), int.from_bytes(data[2 * size + 2:], "big")
            part = udp(*ports)
            frame = ethernet(packet(part, source=bytes(data[:size]), destination=bytes(data[size:2 * size])))
            yield from drafts(asks, [(f"UDP over {version}, input zero but for byte {position}", frame)], (mask,),
                              clauses=("RSS-1", "MS-F2", "MS-F3"))
    ones = b"\xff" * 16
    for version, mask, frame in (
        ("IPv4", UDPV4, ethernet(ipv4(udp(0xFFFF, 0xFFFF), source=ones[:4], destination=ones[:4]))),
        ("IPv6", UDPV6, ethernet(ipv6(udp(0xFFFF, 0xFFFF), source=ones, destination=ones))),
    ):
        yield from drafts("is all of the key used", [(f"UDP over {version}, input all ones", frame)], (mask,))


def keys() -> Iterator[Draft]:
    """Yield keys other than Microsoft's: other bytes, other lengths."""
    for name, frame, mask in SAMPLES:
        for words, key in (("a key with no pattern", OTHER_KEY), ("a key of 40 zeros", bytes(40)),
                           ("a key of 40 FF", b"\xff" * 40), ("a key that repeats 6D5A", b"\x6d\x5a" * 20),
                           ("a key of which only the last byte is not 0", bytes(39) + b"\xff"),
                           ("a key of which only the first byte is not 0", b"\xff" + bytes(39))):
            yield Draft(f"{name} under {words}", "is the value that of the key", frame,
                        replace(config(mask), key=key), ("RSS-10", "MS-F1"))
        # From long to short: a device that leaves bytes of the key before in place differs at each.
        for size in (39, 36, 35, 16, 15, 12, 8, 4, 0):
            yield Draft(f"{name} under a key of {size} bytes", "what are the missing bytes of the key", frame,
                        replace(config(mask), key=MICROSOFT_KEY[:size]))
        for size in (41, 52):
            yield Draft(f"{name} under a key of {size} bytes", "which bytes of the key count", frame,
                        replace(config(mask), key=LONG_KEY[:size]))
    yield Draft("TCP over IPv4 under a key of 255 bytes", "which bytes of the key count", SAMPLES[0][1],
                replace(config(V4), key=(OTHER_KEY * 7)[:255]))
    yield Draft("An ARP request under an empty key", "is it left unhashed", ARP, replace(config(ALL), key=b""))


def zero_flow(source: bytes, destination: bytes) -> tuple[bytes, tuple[int, int]]:
    """Return a source address near the given one, and ports, for which the hash under Microsoft's key is 0."""
    for last in range(256):
        near = source[:-1] + bytes([source[-1] ^ last])
        ports = zero_ports(near, destination)
        if ports is not None:
            return near, ports
    raise ValueError("no source address nearby and no ports give a hash of 0")


def zero_ports(source: bytes, destination: bytes, key: bytes = MICROSOFT_KEY) -> tuple[int, int] | None:
    """Return ports for which the hash is 0, if any: 32 linear equations over GF(2), one for each bit of the value."""
    target = toeplitz(key, source + destination)
    columns = [toeplitz(key, source + destination + (1 << bit).to_bytes(4, "big")) ^ target for bit in range(32)]
    rows: dict[int, tuple[int, int]] = {}
    for bit, column in enumerate(columns):
        value, chosen = column, 1 << bit
        while value:
            top = value.bit_length()
            if top not in rows:
                rows[top] = (value, chosen)
                break
            value, chosen = value ^ rows[top][0], chosen ^ rows[top][1]
    ports = 0
    while target:
        top = target.bit_length()
        if top not in rows:
            return None
        target, ports = target ^ rows[top][0], ports ^ rows[top][1]
    return ports >> 16, ports & 0xFFFF


def zero_values() -> Iterator[Draft]:
    """Yield packets whose hash is 0, under a key of zeros and under Microsoft's."""
    clauses = ("RSS-D4", "REP-1")
    key = replace(config(ALL), key=bytes(40))
    table = replace(key, indirection_table=tuple(reversed(range(128))))
    for name, frame, _ in SAMPLES[:5]:
        yield Draft(f"{name} under a key of zeros", "is a hash of 0 a hash", frame, key, clauses)
        yield Draft(f"{name} under a key of zeros and a table that begins with queue 127", "is a hash of 0 a hash",
                    frame, table, clauses)
    for flow in (FLOWS4[0], FLOWS4[1], FLOWS6[0], FLOWS6[1]):
        source, ports = zero_flow(flow.source, flow.destination)
        packet, version, bits = (ipv4, "IPv4", (TCPV4, UDPV4)) if len(flow.source) == 4 else (
            ipv6, "IPv6", (TCPV6, UDPV6))
        for name, part, mask in (("TCP", tcp(*ports), bits[0]), ("UDP", udp(*ports), bits[1])):
            frame = ethernet(packet(part, source=source, destination=flow.destination))
            yield from drafts("is a hash of 0 a hash",
                              [(f"{name} over {version} from port {ports[0]} to {ports[1]}, which hash to 0", frame)],
                              (mask,), clauses=clauses)
    nothing = [
        ("IPv4 from 0.0.0.0 to 0.0.0.0", ethernet(ipv4(raw(253, bytes(8)), source=bytes(4), destination=bytes(4)))),
        ("IPv6 from :: to ::", ethernet(ipv6(raw(103, bytes(8)), source=bytes(16), destination=bytes(16)))),
    ]
    yield from drafts("is a hash of 0 a hash", nothing, (IPV4 | IPV6,), clauses=clauses)


def flows() -> list[tuple[str, bytes, int]]:
    """Return a few flows whose hashes have different low bits."""
    found = [(f"flow {number + 1} of Microsoft's vectors", ethernet(ipv4(
        tcp(flow.source_port, flow.destination_port), source=flow.source, destination=flow.destination)), TCPV4)
        for number, flow in enumerate(FLOWS4)]
    flow = FLOWS6[0]
    found.append(("an IPv6 flow of Microsoft's vectors", ethernet(ipv6(tcp(flow.source_port, flow.destination_port))),
                  TCPV6))
    return found


def tables() -> Iterator[Draft]:
    """Yield indirection tables of several sizes and contents."""
    contents: list[tuple[str, tuple[int, ...]]] = [
        ("one entry, 0", (0,)), ("one entry, 5", (5,)), ("two entries, 0 and 1", (0, 1)),
        ("two entries, 1 and 0", (1, 0)), ("four entries", (2, 0, 3, 1)), ("64 entries", tuple(range(64))),
        ("128 entries, the first all others", (7, *[3] * 127)),
        ("128 entries, 0 to 3 repeated", tuple(k % 4 for k in range(128))),
        ("128 entries in reverse", tuple(127 - k for k in range(128))),
        ("128 entries, a permutation", tuple(k * 37 % 128 for k in range(128))),
        ("256 entries", tuple(k * 5 % 256 for k in range(256))), ("512 entries", tuple(k % 128 for k in range(512))),
        ("three entries, 0 to 2", (0, 1, 2)), ("100 entries", tuple(range(100))), ("127 entries", tuple(range(127))),
        ("six entries", (5, 4, 3, 2, 1, 0)),
    ]
    clauses = ("RSS-5", "RSS-D4")
    chosen = [flows()[number] for number in (0, 1, 3, 5)]
    for words, table in contents:
        for name, frame, mask in chosen if len(table) not in {1, 512} else chosen[:2]:
            yield Draft(f"TCP of {name}, a table of {words}", "is the queue that of the table", frame,
                        replace(config(mask), indirection_table=table), clauses)


def unclassified() -> Iterator[Draft]:
    """Yield packets that are not hashed, under an unclassified_queue inside and outside the table."""
    frames = [
        ("An ARP request", ARP, ALL), ("TCP over IPv4 with UDPV4 enabled only", SAMPLES[0][1], UDPV4),
        ("TCP over IPv6 with the IPv4 types enabled only", SAMPLES[3][1], V4),
        ("TCP over IPv4 with no hash type", SAMPLES[0][1], 0), ("UDP over IPv6 with no hash type", SAMPLES[4][1], 0),
        ("An ARP request with no hash type", ARP, 0),
    ]
    for queue in (0, 3, 127, 200):
        for name, frame, mask in frames:
            yield Draft(f"{name}, unclassified_queue {queue}", "is it delivered to unclassified_queue", frame,
                        replace(config(mask), unclassified_queue=queue), ("RSS-7", "RSS-D3"))
        yield Draft(f"TCP over IPv4, unclassified_queue {queue}", "does a hashed packet go by the table",
                    SAMPLES[0][1], replace(config(V4), unclassified_queue=queue), ("RSS-D4",))


def features() -> Iterator[Draft]:
    """Yield configurations with one of the two features only, and with another max_tx_vq."""
    for name, frame, mask in (*SAMPLES[:5], ("An ARP request", ARP, ALL)):
        yield Draft(f"{name}, RSS negotiated without HASH_REPORT", "is the queue that of the hash", frame,
                    replace(config(mask), features=frozenset({"RSS"})), ("RSS-D4",))
        yield Draft(f"{name}, HASH_REPORT negotiated without RSS", "are value and report right", frame,
                    Configuration(hash_types=mask, features=frozenset({"HASH_REPORT"})), ("REP-1", "HCF-6"))
        yield Draft(f"{name}, max_tx_vq 4", "does max_tx_vq leave receive queues alone", frame,
                    replace(config(mask), max_tx_vq=4), ("RSS-9",))

