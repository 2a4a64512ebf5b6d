"""The chain of IPv6 extension headers: which headers it has, their order, their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import ALL, EX, IPV6, PAYLOAD, TCPV6, UDPV6, V6, Draft, begin, drafts
from vnethash.spec.craft import (
    Part,
    address,
    authentication,
    destination_options,
    esp,
    ethernet,
    extension,
    fragment,
    hip,
    home_options,
    hop_by_hop,
    icmpv6,
    ipv6,
    mobility,
    neighbor_solicitation,
    padn,
    raw,
    routing,
    shim6,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TCP = tcp(payload=PAYLOAD)
UDP = udp(payload=PAYLOAD)
UPPER = (("TCP", TCP, TCPV6), ("UDP", UDP, UDPV6))
OTHER_ROUTING = routing(kind=3, segments_left=0)

#: Headers, each in the form that its document gives it.
HEADERS: tuple[tuple[str, Part], ...] = (
    ("Hop-by-Hop Options", hop_by_hop()),
    ("Hop-by-Hop Options of 24 bytes", hop_by_hop(padn(20))),
    ("Destination Options", destination_options()),
    ("Destination Options of 264 bytes", destination_options(padn(255))),
    ("a Routing header of type 3", OTHER_ROUTING),
    ("AH", authentication()),
    ("AH with a check value of 20 bytes", authentication(bytes(range(0x60, 0x74)))),
    ("AH without a check value", authentication(b"")),
    ("AH with Payload Len 0", authentication(payload_len=0)),
    ("AH with Payload Len 2, of 24 bytes", authentication(payload_len=2)),
    ("a Mobility Header", mobility()),
    ("HIP", hip()),
    ("Shim6", shim6()),
    ("an experimental header (253)", extension(253, bytes(6))),
    ("an experimental header (254)", extension(254, bytes(14))),
)


def chain_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from members()
    yield from encrypted()
    yield from nothing_follows()
    yield from messages()
    yield from unknown()
    yield from order()
    yield from limits()


def members() -> Iterator[Draft]:
    """Yield each header in front of TCP, UDP and something else."""
    for words, header in HEADERS:
        for name, part, bit in UPPER:
            frame = [(f"{begin(words)} and {name} over IPv6", ethernet(ipv6(header, part)))]
            masks = (V6, EX, bit, bit << 3) if name == "TCP" else (V6, bit << 3)
            yield from drafts("is the header skipped", frame, masks)
        frame = [(f"{begin(words)} and ICMPv6 over IPv6", ethernet(ipv6(header, icmpv6())))]
        yield from drafts("does it make a packet with extension headers", frame, (IPV6, EX))
    pairs = [
        ("AH behind Hop-by-Hop Options, and TCP", (hop_by_hop(), authentication(), TCP)),
        ("AH, Destination Options and TCP", (authentication(), destination_options(), TCP)),
        ("a Mobility Header behind Destination Options, and UDP", (destination_options(), mobility(), UDP)),
        ("HIP behind Destination Options, and UDP", (destination_options(), hip(), UDP)),
        ("all headers in the order of RFC 8200 and TCP",
         (hop_by_hop(), destination_options(), OTHER_ROUTING, fragment(), authentication(), destination_options(),
          TCP)),
    ]
    frames = [(f"{begin(words)} over IPv6", ethernet(ipv6(*parts))) for words, parts in pairs]
    yield from drafts("is the chain followed", frames, (V6,))
    yield from drafts("is the chain followed", frames[:4], (EX, ALL))


def encrypted() -> Iterator[Draft]:
    """Yield ESP, whose bytes look like a header with TCP behind it or do not."""
    looks = raw(50, bytes([6, 0]) + bytes(6) + TCP.data)
    frames = [
        ("ESP over IPv6", ethernet(ipv6(esp()))),
        ("ESP over IPv6 that looks like a header in front of TCP", ethernet(ipv6(looks))),
        ("ESP over IPv6 that looks like a header in front of UDP",
         ethernet(ipv6(raw(50, bytes([17, 0]) + bytes(6) + UDP.data)))),
        ("ESP behind Hop-by-Hop Options", ethernet(ipv6(hop_by_hop(), esp()))),
        ("ESP behind AH", ethernet(ipv6(authentication(), esp()))),
        ("Next header 50 and nothing behind it", ethernet(ipv6(next_header=50))),
    ]
    yield from drafts("does ESP end the chain", frames, (V6,))
    yield from drafts("is ESP an extension header", frames, (EX,))
    yield from drafts("is ESP an extension header", frames[:2], (ALL,))
    yield from drafts("does ESP end the chain", frames[1:2], (TCPV6, TCPV6 << 3))


def nothing_follows() -> Iterator[Draft]:
    """Yield No Next Header (59), with nothing behind it and with bytes that look like headers."""
    frames = [
        ("Next header 59 and nothing behind it", ethernet(ipv6())),
        ("Next header 59 in front of 8 bytes", ethernet(ipv6(raw(59, bytes(8))))),
        ("Next header 59 in front of what looks like a header and TCP",
         ethernet(ipv6(raw(59, bytes([6, 0]) + bytes(6) + TCP.data)))),
        ("Next header 59 in front of what looks like a header and UDP",
         ethernet(ipv6(raw(59, bytes([17, 0]) + bytes(6) + UDP.data)))),
        ("Next header 59 in front of TCP itself", ethernet(ipv6(raw(59, TCP.data)))),
        ("Hop-by-Hop Options and next header 59", ethernet(ipv6(hop_by_hop()))),
        ("Destination Options with a Home Address and next header 59", ethernet(ipv6(home_options()))),
        ("Destination Options and next header 59 in front of what looks like a Home Address",
         ethernet(ipv6(destination_options(), raw(59, home_options().data)))),
        ("A Binding Update, behind which nothing follows", ethernet(ipv6(mobility()))),
        ("A Binding Update behind a Home Address", ethernet(ipv6(home_options(), mobility()))),
        ("A Binding Update and bytes that look like TCP", ethernet(ipv6(mobility(), raw(59, TCP.data)))),
    ]
    yield from drafts("does No Next Header end the chain", frames, (V6, EX))
    yield from drafts("are the addresses hashed", frames[:6], (IPV6,))
    yield from drafts("is No Next Header an extension header", frames[:1], (IPV6 << 3, ALL))


def messages() -> Iterator[Draft]:
    """Yield ICMPv6, whose type and code look like a next header and a length."""
    loopback = address("::1")
    translated = address("64:ff9b::1")
    frames = [
        ("An ICMPv6 echo request", ethernet(ipv6(icmpv6()))),
        ("An ICMPv6 echo reply with data", ethernet(ipv6(icmpv6(129, body=bytes(4) + PAYLOAD)))),
        ("An ICMPv6 message of type 6 with 8 bytes and what looks like TCP",
         ethernet(ipv6(icmpv6(6, 0, bytes(4) + TCP.data)))),
        ("An ICMPv6 message of type 17 with 8 bytes and what looks like UDP",
         ethernet(ipv6(icmpv6(17, 0, bytes(4) + UDP.data)))),
        ("An ICMPv6 message of type 6 and code 1 with what looks like TCP",
         ethernet(ipv6(icmpv6(6, 1, bytes(12) + TCP.data)))),
        ("A Neighbor Solicitation for ::1", ethernet(ipv6(neighbor_solicitation(loopback)))),
        ("A Neighbor Solicitation for 64:ff9b::1", ethernet(ipv6(neighbor_solicitation(translated)))),
        ("A Neighbor Solicitation for the destination", ethernet(ipv6(neighbor_solicitation()))),
        ("A Neighbor Advertisement", ethernet(ipv6(icmpv6(136, 0, b"\x60\0\0\0" + address("3ffe:2501:200:3::1"))))),
        ("A Router Advertisement", ethernet(ipv6(icmpv6(134, 0, bytes(12))))),
        ("An ICMPv6 message of type 60 that looks like a Home Address",
         ethernet(ipv6(icmpv6(60, 0, bytes(4) + home_options(address("2001:db8::60")).data)))),
        ("An ICMPv6 message of type 1 with an offending packet",
         ethernet(ipv6(icmpv6(1, 0, bytes(4) + ipv6(TCP).data)))),
        ("ICMPv6 of 4 bytes", ethernet(ipv6(icmpv6(body=b"")))),
        ("Next header 58 and nothing behind it", ethernet(ipv6(next_header=58))),
        ("Hop-by-Hop Options and an MLD report", ethernet(ipv6(hop_by_hop(b"\5\2\0\0"), icmpv6(143, 0, bytes(4))))),
        ("ICMPv6 of type 6 behind Destination Options",
         ethernet(ipv6(destination_options(), icmpv6(6, 0, bytes(4) + TCP.data)))),
    ]
    yield from drafts("does ICMPv6 end the chain", frames, (V6,))
    yield from drafts("is ICMPv6 no extension header", frames[:8], (EX,))
    yield from drafts("are the addresses hashed", frames[:8:2], (IPV6, ALL))
    yield from drafts("has ICMPv6 no ports", frames[2:3], (TCPV6,))
    yield from drafts("has ICMPv6 no ports", frames[3:4], (UDPV6,))


def unknown() -> Iterator[Draft]:
    """Yield next headers that nobody owns, and upper layers that are neither TCP nor UDP."""
    look = bytes([6, 0]) + bytes(6) + TCP.data
    frames = [
        (f"Next header {number}, not assigned, over IPv6", ethernet(ipv6(raw(number, look))))
        for number in (148, 200, 252)
    ]
    frames.append(("Next header 200, not assigned, behind Destination Options",
                   ethernet(ipv6(destination_options(), raw(200, look)))))
    yield from drafts("is it an upper layer", frames, (V6, EX))
    yield from drafts("is it an upper layer", frames[1:2], (IPV6, TCPV6, ALL))
    frames = [
        (f"Next header {number} over IPv6, followed by what looks like a header and TCP",
         ethernet(ipv6(raw(number, look))))
        for number in (1, 2, 3, 5, 16, 42, 45, 46, 89, 103, 134, 138, 143, 147, 255)
    ]
    yield from drafts("are the addresses hashed", frames, (V6,))
    yield from drafts("is it no extension header", frames[:6], (EX,))


def order() -> Iterator[Draft]:
    """Yield headers in the wrong place, and too often."""
    hop, options = hop_by_hop(), destination_options()
    chains: list[tuple[str, tuple[Part, ...]]] = [
        ("Hop-by-Hop Options behind Destination Options", (options, hop)),
        ("Hop-by-Hop Options behind a Routing header", (OTHER_ROUTING, hop)),
        ("Hop-by-Hop Options behind an atomic Fragment header", (fragment(), hop)),
        ("Hop-by-Hop Options twice", (hop, hop)),
        ("Hop-by-Hop Options first and third", (hop, options, hop)),
        ("Destination Options twice", (options, options)),
        ("Destination Options in three headers", (options, options, options)),
        ("Routing headers of type 3 twice", (OTHER_ROUTING, OTHER_ROUTING)),
        ("Fragment headers twice, both atomic", (fragment(), fragment())),
        ("Two Fragment headers, the second a first fragment", (fragment(), fragment(more=True))),
        ("Two Fragment headers, the first a first fragment", (fragment(more=True), fragment())),
        ("AH twice", (authentication(), authentication())),
        ("a Mobility Header twice", (mobility(), mobility())),
        ("AH in front of a Routing header", (authentication(), OTHER_ROUTING)),
    ]
    for words, parts in chains:
        for name, part, _ in UPPER:
            frame = [(f"{begin(words)} and {name} over IPv6", ethernet(ipv6(*parts, part)))]
            yield from drafts("is the chain followed", frame, (V6, ALL) if name == "TCP" else (V6,))
    first = [("Destination Options, Hop-by-Hop Options and TCP over IPv6", ethernet(ipv6(options, hop, TCP))),
             ("Three Destination Options headers and TCP over IPv6", ethernet(ipv6(options, options, options, TCP)))]
    yield from drafts("is the packet malformed", first, (IPV6, EX, TCPV6))


def limits() -> Iterator[Draft]:
    """Yield many headers: one below and one above each limit that is known."""
    asks = "are the ports behind them found"
    for count in (4, 5, 11, 12, 15, 16, 17, 18, 32):
        moves = [(f"{count} Mobility Headers and TCP over IPv6", ethernet(ipv6(*[mobility()] * count, TCP)))]
        yield from drafts(asks, moves, (V6,))
    for count in (4, 5, 11, 12, 16, 17, 32):
        more = [(f"{count} Destination Options headers and UDP over IPv6",
                 ethernet(ipv6(*[destination_options()] * count, UDP)))]
        yield from drafts(asks, more, (V6,))
    different = (
        hop_by_hop(), destination_options(), OTHER_ROUTING, fragment(), authentication(), destination_options(),
        mobility(), hip(), shim6(), extension(253, bytes(6)), extension(254, bytes(6)), mobility(),
    )
    for count in (5, 11, 12):
        frame = [(f"{count} extension headers of different kinds and TCP over IPv6",
                  ethernet(ipv6(*different[:count], TCP)))]
        yield from drafts(asks, frame, (V6,))
    for count in (5, 12, 17):
        frame = [(f"{count} experimental headers and TCP over IPv6",
                  ethernet(ipv6(*[extension(253, bytes(6))] * count, TCP)))]
        yield from drafts(asks, frame, (TCPV6, IPV6, EX))
        frame = [(f"A Home Address in front of {count} experimental headers and UDP over IPv6",
                  ethernet(ipv6(home_options(), *[extension(253, bytes(6))] * (count - 1), UDP)))]
        yield from drafts("are ports and Home Address found", frame, (UDPV6 << 3,))
        frame = [(f"{count} experimental headers in front of a Home Address and UDP over IPv6",
                  ethernet(ipv6(*[extension(253, bytes(6))] * (count - 1), home_options(), UDP)))]
        yield from drafts("are ports and Home Address found", frame, (UDPV6 << 3,))
