"""IPv6 fragments and lengths: Fragment headers, Payload Length, chains that end too early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import (
    ALL,
    EX,
    IP_EX,
    IPV6,
    PAYLOAD,
    TCP_EX,
    TCPV6,
    UDPV6,
    V6,
    Draft,
    begin,
    drafts,
)
from vnethash.spec.craft import (
    OTHER_HOME,
    Part,
    authentication,
    cut,
    destination_options,
    ethernet,
    fragment,
    home_options,
    hop_by_hop,
    icmpv6,
    ipv6,
    mobility,
    padn,
    raw,
    routing,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TCP = tcp(payload=PAYLOAD)
UDP = udp(payload=PAYLOAD)
UPPER = (("TCP", TCP, TCPV6), ("UDP", UDP, UDPV6))


def fragment_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from kinds()
    yield from headers()
    yield from addresses()
    yield from payload_lengths()
    yield from ends()


def kinds() -> Iterator[Draft]:
    """Yield first, later and atomic fragments."""
    for name, part, bit in UPPER:
        first = [
            (f"A first IPv6 fragment of {name}", ethernet(ipv6(fragment(more=True), part))),
            (f"A first IPv6 fragment of 8 bytes of {name}", ethernet(ipv6(fragment(more=True), cut(part, 8)))),
            (f"A first IPv6 fragment of {name} behind Hop-by-Hop Options",
             ethernet(ipv6(hop_by_hop(), fragment(more=True), part))),
            (f"A first IPv6 fragment of Destination Options and {name}",
             ethernet(ipv6(fragment(more=True), destination_options(), part))),
            (f"A first IPv6 fragment of {name} with the reserved bits set",
             ethernet(ipv6(fragment(more=True, spare=3), part))),
        ]
        yield from drafts("are the ports hashed", first, (V6,))
        yield from drafts("are the ports hashed", first[:1], (bit, bit << 3, IPV6, EX, ALL))
        atomic = [
            (f"An atomic fragment of {name}", ethernet(ipv6(fragment(), part))),
            (f"An atomic fragment of {name} behind Destination Options",
             ethernet(ipv6(destination_options(), fragment(), part))),
            (f"An atomic fragment of {name} with the reserved bits set", ethernet(ipv6(fragment(spare=3), part))),
        ]
        yield from drafts("is it a whole packet", atomic, (V6,))
        yield from drafts("is it a whole packet", atomic[:1], (bit, bit << 3, IPV6, EX, ALL))
        later = [
            (f"A later IPv6 fragment of {name} at {offset * 8}, {'not the last' if more else 'the last'}",
             ethernet(ipv6(fragment(offset, more=more), raw(part.number, part.data))))
            for offset in (1, 181, 0x1FFF) for more in (True, False)
        ]
        yield from drafts("is payload never taken for ports", later, (V6,))
        yield from drafts("is payload never taken for ports", later[:1], (bit, bit << 3, IPV6, EX, ALL))
    only = [
        ("An atomic fragment of ICMPv6", ethernet(ipv6(fragment(), icmpv6()))),
        ("A first IPv6 fragment of ICMPv6", ethernet(ipv6(fragment(more=True), icmpv6()))),
        ("A Fragment header with nothing behind it", ethernet(ipv6(fragment()))),
    ]
    yield from drafts("does a Fragment header make a packet with extension headers", only, (IPV6, IP_EX, EX))


def headers() -> Iterator[Draft]:
    """Yield later fragments whose payload looks like headers, and reserved bytes that look like a length."""
    home = home_options(OTHER_HOME)
    payloads: list[tuple[str, Part]] = [
        ("Destination Options with a Home Address in front of TCP",
         raw(60, bytes([6]) + home.data[1:] + TCP.data)),
        ("Hop-by-Hop Options in front of TCP", raw(0, bytes([6]) + hop_by_hop().data[1:] + TCP.data)),
        ("a type 2 routing header in front of UDP", raw(43, bytes([17]) + routing().data[1:] + UDP.data)),
        ("a Fragment header of a whole packet in front of TCP", raw(44, bytes([6]) + fragment().data[1:] + TCP.data)),
        ("a header that runs past the end", raw(60, b"\x06\xff" + bytes(14))),
        ("a Mobility Header in front of UDP", raw(135, bytes([17]) + mobility().data[1:] + UDP.data)),
        ("ICMPv6 of type 6 in front of TCP", raw(58, bytes([6, 0]) + bytes(6) + TCP.data)),
        ("next header 59 and bytes", raw(59, bytes([6, 0]) + bytes(6) + TCP.data)),
        ("AH in front of TCP", raw(51, bytes([6]) + authentication().data[1:] + TCP.data)),
    ]
    for words, part in payloads:
        frame = [(f"A later IPv6 fragment whose payload looks like {words}",
                  ethernet(ipv6(fragment(185, more=True), part)))]
        yield from drafts("is the payload left alone", frame, (V6, EX))
    for words, part in (payloads[0], payloads[2]):
        frame = [(f"A later IPv6 fragment whose payload looks like {words}", ethernet(ipv6(fragment(1), part)))]
        yield from drafts("is the payload left alone", frame, (IP_EX, TCP_EX | IP_EX, IPV6 | IP_EX))
    frame = [("A last IPv6 fragment of 8 bytes with next header 60",
              ethernet(ipv6(fragment(185), raw(60, bytes([0x58, 0xC9, 0x10, 3, 4, 5, 6, 7])))))]
    yield from drafts("is the payload left alone", frame, (V6, IPV6, EX))
    for name, part, bit in UPPER:
        reserved = [
            (f"An atomic fragment of {name} with reserved byte {value}",
             ethernet(ipv6(fragment(reserved=value), part)))
            for value in (1, 2, 255)
        ]
        reserved.append((f"A later IPv6 fragment of {name} with reserved byte 1",
                         ethernet(ipv6(fragment(4, reserved=1), raw(part.number, part.data)))))
        yield from drafts("is the reserved byte passed over", reserved, (V6,))
        yield from drafts("is the reserved byte passed over", reserved[:1], (bit, bit << 3, ALL))
    # A Home Address behind it shows the length of the header even where any Fragment header hides the ports.
    behind = [
        ("An atomic fragment with reserved byte 1, a Home Address and UDP over IPv6",
         ethernet(ipv6(fragment(reserved=1), home_options(), UDP))),
    ]
    yield from drafts("is the reserved byte passed over", behind, (IP_EX, IP_EX | IPV6, ALL))
    # A TCP header that looks like Destination Options with a Home Address: taken for it, no reading gives what follows.
    inside = [
        ("An atomic fragment with reserved byte 1, Destination Options and TCP that looks like a Home Address",
         ethernet(ipv6(
             fragment(reserved=1), destination_options(), tcp(0x0602, 0x0102, sequence=0xC910, payload=PAYLOAD)
         ))),
    ]
    yield from drafts("is the reserved byte passed over", inside, (ALL, IP_EX, IPV6 | IP_EX))


def addresses() -> Iterator[Draft]:
    """Yield Home Addresses and routes around a Fragment header."""
    for name, part, bit in UPPER:
        behind = [
            (f"A first IPv6 fragment of a Home Address and {name}",
             ethernet(ipv6(fragment(more=True), home_options(), part))),
            (f"A first IPv6 fragment of a type 2 routing header and {name}",
             ethernet(ipv6(fragment(more=True), routing(), part))),
        ]
        yield from drafts("is the address behind the Fragment header used", behind, (EX, bit << 3, IP_EX, IP_EX | IPV6))
        front = [
            (f"A later IPv6 fragment of {name} behind a Home Address",
             ethernet(ipv6(home_options(), fragment(9), raw(part.number, part.data)))),
            (f"A later IPv6 fragment of {name} behind a type 2 routing header",
             ethernet(ipv6(routing(), fragment(9), raw(part.number, part.data)))),
        ]
        yield from drafts("is the address in front of the Fragment header used", front, (IP_EX, IP_EX | IPV6, EX, V6))
        around = [
            (f"A first IPv6 fragment of {name} behind a Home Address",
             ethernet(ipv6(home_options(), fragment(more=True), part))),
            (f"An atomic fragment of a Home Address and {name}", ethernet(ipv6(fragment(), home_options(), part))),
        ]
        yield from drafts("is the Home Address used", around, (IP_EX, bit << 3))


def payload_lengths() -> Iterator[Draft]:
    """Yield Payload Length that is not what the frame holds."""
    for name, part, bit in UPPER:
        size = 20 if part.number == 6 else 8
        zero = [
            (f"{name} over IPv6 with Payload Length 0", ethernet(ipv6(part, payload_length=0))),
            (f"Hop-by-Hop Options and {name} over IPv6 with Payload Length 0",
             ethernet(ipv6(hop_by_hop(), part, payload_length=0))),
            (f"A jumbogram of {name}",
             ethernet(ipv6(hop_by_hop(b"\xc2\x04" + (0x10008).to_bytes(4, "big")), part, payload_length=0))),
        ]
        yield from drafts("how long is the packet", zero, (V6,))
        yield from drafts("how long is the packet", zero[:2], (IPV6, bit, EX))
        inside = [
            (f"{name} over IPv6 of which Payload Length leaves {rest} bytes, the rest being padding",
             ethernet(ipv6(part, payload_length=rest)))
            for rest in (1, 4, 7, size - 1)
        ]
        inside += [
            (f"Destination Options and {name} over IPv6 with Payload Length {rest}",
             ethernet(ipv6(destination_options(), part, payload_length=rest)))
            for rest in (1, 4, 8, 12)
        ]
        yield from drafts("is padding never a header", inside, (V6,))
        yield from drafts("is padding never a header", inside[:1], (bit, IPV6, ALL))
        padded = [
            (f"{name} over IPv6 with padding", ethernet(ipv6(part)) + bytes(6)),
            (f"Destination Options and {name} over IPv6 with a frame check sequence",
             ethernet(ipv6(destination_options(), part)) + bytes.fromhex("8c3fa519")),
        ]
        yield from drafts("does padding leave the hash alone", padded, (V6, ALL))
        long = [
            (f"{name} over IPv6 with Payload Length one too large",
             ethernet(ipv6(part, payload_length=len(part.data) + 1))),
            (f"{name} over IPv6 with Payload Length 65535", ethernet(ipv6(part, payload_length=0xFFFF))),
            (f"Destination Options and {name} over IPv6 with Payload Length 8 too large",
             ethernet(ipv6(destination_options(), part, payload_length=len(part.data) + 16))),
        ]
        yield from drafts("is what is there used", long, (V6,))
        yield from drafts("is what is there used", long[:1], (bit, IPV6))
    route = [
        ("A Home Address and UDP over IPv6 of which Payload Length leaves 16 bytes",
         ethernet(ipv6(home_options(), UDP, payload_length=16))),
        ("A type 2 routing header and UDP over IPv6 of which Payload Length leaves 16 bytes",
         ethernet(ipv6(routing(), UDP, payload_length=16))),
    ]
    yield from drafts("is padding never a header", route, (IPV6, IP_EX))


def ends() -> Iterator[Draft]:
    """Yield packets that end inside a header, or before one that is announced."""
    names = (
        (0, "Hop-by-Hop Options"), (60, "Destination Options"), (43, "a Routing header"), (44, "a Fragment header"),
        (51, "AH"), (135, "a Mobility Header"),
    )
    for number, words in names:
        frame = [(f"Next header {number} ({words}) and nothing behind it", ethernet(ipv6(next_header=number)))]
        yield from drafts("does a header count that is not there", frame, (V6, IP_EX))
        if number != 0:
            behind = [(f"Hop-by-Hop Options, next header {number} and nothing behind it",
                       ethernet(ipv6(hop_by_hop(following=number))))]
            yield from drafts("is the chain cut", behind, (V6, IP_EX))
    parts: list[tuple[str, Part, tuple[int, ...]]] = [
        ("Hop-by-Hop Options", hop_by_hop(following=6), (1, 2, 7)),
        ("Destination Options", destination_options(padn(12), following=17), (1, 2, 8, 15)),
        ("Destination Options with a Home Address", home_options()._replace(linked=False), (2, 7, 20, 23)),
        ("a type 2 routing header", routing(following=6), (1, 2, 3, 4, 8, 23)),
        ("a Fragment header", fragment(following=17), (1, 2, 3, 4, 7)),
        ("AH", authentication(following=6), (1, 2, 8, 23)),
    ]
    for words, part, sizes in parts:
        frames = [(f"An IPv6 packet that ends after {size} bytes of {words}", ethernet(ipv6(cut(part, size))))
                  for size in sizes]
        yield from drafts("are the addresses hashed", frames, (IPV6,))
        yield from drafts("are the addresses hashed", frames[1:2], (V6, IP_EX))
    long: list[tuple[str, Part]] = [
        ("Hop-by-Hop Options of 16 bytes and 8 of them", hop_by_hop(hdr_ext_len=1, following=6)),
        ("Destination Options of 2048 bytes and TCP behind 8 of them", destination_options(hdr_ext_len=255)),
        ("a Routing header of type 3 of 2048 bytes and TCP behind 24 of them", routing(kind=3, hdr_ext_len=255)),
        ("a Mobility Header of 2048 bytes and TCP behind 16 of them", mobility()._replace(
            data=b"\0\xff" + mobility().data[2:])),
        ("AH of 1028 bytes and TCP behind 24 of them", authentication(payload_len=255)),
    ]
    for words, part in long:
        frame = [(f"{begin(words)} over IPv6", ethernet(ipv6(part, TCP)))]
        yield from drafts("are the addresses hashed", frame, (V6, TCPV6 | IPV6, IP_EX | TCP_EX))
