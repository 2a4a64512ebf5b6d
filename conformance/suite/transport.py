"""TCP and UDP: headers that are cut or cannot be, relatives with ports, a transport whose type is off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import (
    ALL,
    IPV4,
    IPV6,
    PAYLOAD,
    TCPV4,
    TCPV6,
    UDPV4,
    UDPV6,
    V4,
    V6,
    Draft,
    Frame,
    drafts,
)
from vnethash.spec.craft import Part, cut, dccp, destination_options, ethernet, ipv4, ipv6, sctp, tcp, udp, udp_lite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: How a transport header is carried, and the hash types of its IP version.
CARRIERS: tuple[tuple[str, Callable[[Part], bytes], int], ...] = (
    ("over IPv4", lambda part: ethernet(ipv4(part)), V4),
    ("over IPv6", lambda part: ethernet(ipv6(part)), V6),
    ("behind Destination Options over IPv6", lambda part: ethernet(ipv6(destination_options(), part)), V6),
)
TCP_CUTS = (0, 1, 2, 3, 4, 7, 8, 12, 13, 16, 19)
UDP_CUTS = (0, 1, 3, 4, 5, 6, 7)


def transport_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    for where, carry, version in CARRIERS:
        yield from cuts(where, carry, version)
        yield from lengths(where, carry, version)
        yield from relatives(where, carry, version)
    yield from contents()
    yield from other_transport()


def both(version: int, bits: int) -> int:
    """Return bits of IPv4 types for the IP version that `version` has."""
    return bits if version == V4 else bits << 3


def cuts(where: str, carry: Callable[[Part], bytes], version: int) -> Iterator[Draft]:
    """Yield headers that are not whole."""
    deep = "behind" in where
    for name, part, sizes, bit in (("TCP", tcp(), TCP_CUTS, TCPV4), ("UDP", udp(), UDP_CUTS, UDPV4)):
        frames = [
            (f"{size} bytes of a {name} header {where}", carry(cut(part, size)))
            for size in (sizes[::4] if deep else sizes)
        ]
        masks = (version,) if deep else (version, both(version, bit))
        yield from drafts("is a header that is not whole a header", frames, masks)
        yield from drafts("are the addresses hashed", frames[1:2], (both(version, IPV4),))


def lengths(where: str, carry: Callable[[Part], bytes], version: int) -> Iterator[Draft]:
    """Yield data offsets and UDP lengths, possible and impossible."""
    deep = "behind" in where
    segments = [
        (f"TCP with data offset {offset} {where}", carry(tcp(data_offset=offset, payload=PAYLOAD)))
        for offset in ((4, 15) if deep else (0, 1, 4, 6, 11, 15))
    ]
    segments.append((f"TCP with data offset 15 and nothing behind {where}", carry(tcp(data_offset=15))))
    segments.append((f"TCP with 12 bytes of options {where}", carry(tcp(options=b"\2\4\5\xb4\1\3\3\7\4\2\0\0"))))
    yield from drafts("is the data offset examined", segments, (version,))
    yield from drafts("is the data offset examined", segments[:1], (both(version, TCPV4), both(version, IPV4)))
    whole = 8 + len(PAYLOAD)
    datagrams = [
        (f"UDP with length {length} of {whole} bytes {where}", carry(udp(length=length, payload=PAYLOAD)))
        for length in ((0, 7, whole + 1) if deep else (0, 1, 7, 8, whole - 1, whole + 1, 0xFFFF))
    ]
    yield from drafts("is the UDP length examined", datagrams, (version,))
    yield from drafts("is the UDP length examined", datagrams[:1], (both(version, UDPV4), both(version, IPV4)))


def relatives(where: str, carry: Callable[[Part], bytes], version: int) -> Iterator[Draft]:
    """Yield protocols that begin with ports as well."""
    frames = [
        Frame(f"UDP-Lite {where}", carry(udp_lite(payload=PAYLOAD))), Frame(f"SCTP {where}", carry(sctp())),
        Frame(f"DCCP {where}", carry(dccp())), Frame(f"SCTP with 8 bytes {where}", carry(cut(sctp(), 8))),
        Frame(f"UDP-Lite with 4 bytes {where}", carry(cut(udp_lite(), 4))),
    ]
    yield from drafts("is it neither TCP nor UDP", frames, (version, both(version, UDPV4), both(version, TCPV4)))


def contents() -> Iterator[Draft]:
    """Yield well-formed segments whose other fields must not matter."""
    segments = [
        ("TCP SYN with options", tcp(flags=2, options=b"\2\4\5\xb4\1\3\3\7\4\2\0\0")),
        ("TCP RST", tcp(flags=4, sequence=0, acknowledgment=0)),
        ("TCP FIN with all flags", tcp(flags=0xFF, urgent=9)),
        ("TCP of the same flow with other sequence numbers", tcp(sequence=1, acknowledgment=2, payload=PAYLOAD[::-1])),
        ("TCP with a wrong checksum", tcp(checksum=0xDEAD)),
        ("UDP without a checksum", udp(checksum=0, payload=PAYLOAD)),
        ("UDP with a wrong checksum", udp(checksum=0xDEAD, payload=PAYLOAD)),
        ("TCP with both ports 0", tcp(0, 0)),
        ("UDP with both ports 65535", udp(0xFFFF, 0xFFFF)),
        ("TCP with equal ports", tcp(443, 443)),
        ("UDP from port 1 to 256", udp(1, 256)),
        ("UDP from port 256 to 1", udp(256, 1)),
        ("TCP with 1400 bytes of payload", tcp(payload=bytes(range(256)) * 5 + bytes(120))),
    ]
    for name, part in segments:
        frames = [(f"{name} over IPv4", ethernet(ipv4(part))), (f"{name} over IPv6", ethernet(ipv6(part)))]
        yield from drafts("are addresses and ports hashed", frames, (V4 | V6,))
    jumbo = [
        ("TCP over IPv4 in a frame of 4000 bytes", ethernet(ipv4(tcp(payload=bytes(3946))))),
        ("UDP over IPv6 in a frame of 9014 bytes", ethernet(ipv6(udp(payload=bytes(8952))))),
    ]
    yield from drafts("is a long frame hashed like a short one", jumbo, (ALL,))
    fields = [
        ("TCP over IPv4 with other tos, ttl and identification",
         ethernet(ipv4(tcp(), tos=0xB8, ttl=1, identification=0xFFFF))),
        ("TCP over IPv4 with a wrong header checksum", ethernet(ipv4(tcp(), checksum=0xDEAD))),
        ("TCP over IPv6 with a flow label, traffic class and hop limit",
         ethernet(ipv6(tcp(), flow_label=0xBEEF7, traffic_class=0xB8, hop_limit=1))),
    ]
    yield from drafts("do other fields leave the hash alone", fields, (V4 | V6,))


def other_transport() -> Iterator[Draft]:
    """Yield packets of the transport that is off, with the other one on."""
    for where, carry, version in CARRIERS:
        for name, part, bit in (("TCP", tcp(payload=PAYLOAD), UDPV4), ("UDP", udp(payload=PAYLOAD), TCPV4)):
            frame = [(f"{name} {where}", carry(part))]
            yield from drafts("does it fall through to the addresses", frame, (both(version, bit | IPV4),))
            yield from drafts("is it left unhashed", frame, (both(version, bit),))
    neither = [
        ("TCP over IPv4", ethernet(ipv4(tcp())), (IPV4, V6)),
        ("UDP over IPv6", ethernet(ipv6(udp())), (IPV6, V4)),
        ("TCP over IPv6", ethernet(ipv6(tcp())), (IPV6 | UDPV6 | TCPV4, TCPV6 | V4)),
        ("UDP over IPv4", ethernet(ipv4(udp())), (IPV4 | TCPV4 | UDPV6, UDPV4 | V6)),
    ]
    for name, data, masks in neither:
        yield from drafts("do the types of one IP version leave the other alone", [(name, data)], masks)
