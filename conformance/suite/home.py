"""The Home Address option and the type 2 routing header: where they are, what is wrong with them, how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import (
    ALL,
    IP_EX,
    IPV6,
    PAYLOAD,
    TCP_EX,
    TCPV6,
    UDP_EX,
    UDPV6,
    V6,
    Draft,
    begin,
    drafts,
)
from vnethash.spec.craft import (
    HOME,
    OTHER_HOME,
    OTHER_ROUTE,
    ROUTE,
    THIRD_ROUTE,
    Part,
    destination_options,
    ethernet,
    extension,
    fragment,
    home_address,
    home_options,
    hop_by_hop,
    ipv6,
    option,
    pad1,
    padn,
    raw,
    routing,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TCP, UDP = tcp(payload=PAYLOAD), udp(payload=PAYLOAD)
#: A transport and the types under which a Home Address in front of it shows.
UPPER: tuple[tuple[str, Part, tuple[int, ...]], ...] = (
    ("UDP", UDP, (UDP_EX, UDP_EX | UDPV6, UDPV6)), ("TCP", TCP, (TCP_EX | TCPV6,)),
    ("PIM", raw(103, bytes(8)), (IP_EX, IP_EX | IPV6)),
)
Chain = tuple[str, tuple[Part, ...]]


def home_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from asked("is the Home Address used", places())
    yield from asked("is it a Home Address", lengths())
    yield from asked("what of an option past the end of its header", overruns())
    yield from asked("which Home Address is used", repeated())
    yield from asked("is the Home Address found", many())
    yield from asked("is the route used", segments())
    yield from asked("is it a route", route_lengths())
    yield from asked("which route is used", several_routes())
    yield from asked("is the final segment left alone", other_routes())
    yield from full()


def asked(asks: str, chains: list[Chain]) -> Iterator[Draft]:
    """Yield each chain in front of each transport."""
    for words, parts in chains:
        for name, part, masks in UPPER:
            frame = [(f"{begin(words)} and {name} over IPv6", ethernet(ipv6(*parts, part)))]
            yield from drafts(asks, frame, masks)


def full() -> Iterator[Draft]:
    """Yield some of the frames under all EX types, and under all types."""
    for words, parts in (*places()[:3], *lengths()[:2], *repeated()[:2], *segments()[:2], *several_routes()[:2]):
        frame = [(f"{begin(words)} and TCP over IPv6", ethernet(ipv6(*parts, TCP)))]
        yield from drafts("which addresses are hashed", frame, (V6, TCPV6 | IP_EX))
    frame = [("A Home Address, a type 2 routing header and TCP over IPv6",
              ethernet(ipv6(home_options(), routing(), TCP)))]
    yield from drafts("which addresses are hashed", frame, (ALL,))
    # With a route beside it and at 8n+6, no reading but a limit of options loses this Home Address.
    frame = [("A type 2 routing header, a Home Address behind 36 Pad1 and UDP over IPv6",
              ethernet(ipv6(routing(), destination_options(pad1(36), home_address()), UDP)))]
    yield from drafts("is the Home Address found", frame, (UDP_EX | UDPV6, IP_EX | IPV6))


def places() -> list[Chain]:
    """Return Home Addresses at several places of their header, and in another header."""
    return [
        ("a Home Address at 8n+6", (home_options(),)),
        ("a Home Address in the first place of its header", (destination_options(home_address()),)),
        ("a Home Address at 8n+4", (destination_options(padn(0), home_address()),)),
        ("a Home Address behind a Pad1", (destination_options(pad1(), home_address()),)),
        ("a Home Address behind four Pad1", (destination_options(pad1(4), home_address()),)),
        ("a Home Address behind an option of 8 bytes", (destination_options(option(0x1E, bytes(10)), home_address()),)),
        ("a Home Address at 8n+6 in front of another option",
         (destination_options(padn(2), home_address(), option(0x1E, bytes(6))),)),
        ("Home Address in Hop-by-Hop Options", (hop_by_hop(padn(2), home_address()),)),
        ("Home Address in Hop-by-Hop Options behind another option",
         (hop_by_hop(option(0x1E, bytes(10)), home_address()),)),
        ("Home Addresses in Hop-by-Hop and in Destination Options",
         (hop_by_hop(padn(2), home_address(OTHER_HOME)), home_options())),
        ("an option of type 09 of 16 bytes", (destination_options(padn(2), home_address(kind=0x09)),)),
        ("an option of type 49 of 16 bytes", (destination_options(padn(2), home_address(kind=0x49)),)),
        ("an option of type E9 of 16 bytes", (destination_options(padn(2), home_address(kind=0xE9)),)),
        ("an option of type 8B of 16 bytes", (destination_options(padn(2), home_address(kind=0x8B)),)),
        ("an option whose data look like a Home Address",
         (destination_options(padn(0), option(0x1E, home_address())),)),
    ]


def lengths() -> list[Chain]:
    """Return Home Address options whose length is not 16, and which lie inside their header."""
    return [
        ("a Home Address option of length 8", (destination_options(padn(2), option(0xC9, HOME[:8])),)),
        ("a Home Address option of length 8 and 16 bytes of address",
         (destination_options(padn(2), home_address(length=8), pad=True),)),
        ("a Home Address option of length 0", (destination_options(padn(2), option(0xC9)),)),
        ("a Home Address option of length 2 at the end of its header",
         (destination_options(padn(8), option(0xC9, HOME[:2])),)),
        ("a Home Address option of length 0 in a long header", (destination_options(padn(2), option(0xC9), padn(16)),)),
        ("a Home Address option of length 15", (destination_options(padn(2), option(0xC9, HOME[:15])),)),
        ("a Home Address option of length 17", (destination_options(padn(2), option(0xC9, HOME + b"\x77")),)),
        ("a Home Address option of length 32", (destination_options(padn(2), option(0xC9, HOME + OTHER_HOME)),)),
        ("a Home Address option of length 8 in front of a good one",
         (destination_options(padn(2), option(0xC9, OTHER_HOME[:8]), padn(4), home_address()),)),
        ("a Home Address option of length 17 in another place", (destination_options(option(0xC9, HOME + b"\x77")),)),
    ]


def overruns() -> list[Chain]:
    """Return options that begin inside their header and end outside it."""
    return [
        ("a Home Address that runs 8 bytes past its header",
         (destination_options(padn(2), home_address(), hdr_ext_len=1, pad=False),)),
        ("a Home Address that runs 16 bytes past its header",
         (destination_options(padn(2), home_address(), hdr_ext_len=0, pad=False),)),
        ("a Home Address that runs past its header from its first place",
         (destination_options(home_address(), hdr_ext_len=1, pad=False),)),
        ("a Home Address of length 255 that runs past the packet",
         (destination_options(padn(2), home_address(length=255)),)),
        ("a Home Address of length 17 that runs one byte past its header",
         (destination_options(padn(2), home_address(length=17)),)),
        ("a Home Address type in the last byte of its header",
         (destination_options(padn(1), pad1(2), b"\xc9", pad=False),)),
        ("a Home Address type and length in the last two bytes of its header",
         (destination_options(padn(2), b"\xc9\x10", pad=False),)),
        ("a Home Address in the last eight bytes of a header of 16",
         (destination_options(padn(4), padn(0), b"\xc9\x10\x20\x01\x0d\xb8", pad=False),)),
        ("another option that runs past its header", (destination_options(option(0x1E, bytes(4), length=9)),)),
        ("another option of length 255", (destination_options(option(0x1E, bytes(4), length=255)),)),
        ("another option that hides a Home Address by running past its header",
         (destination_options(option(0x1E, bytes(2), length=60), home_address()),)),
        ("a PadN that runs one byte past its header", (destination_options(option(1, bytes(4), length=5)),)),
        ("an option type in the last byte of its header", (destination_options(padn(3), b"\x1e", pad=False),)),
        ("a Home Address in front of an option that runs past its header",
         (destination_options(padn(2), home_address(), option(0x1E, bytes(6), length=20)),)),
    ]


def repeated() -> list[Chain]:
    """Return several Home Addresses, in one header and in several."""
    other = home_options(OTHER_HOME)
    return [
        ("two Home Addresses in one header",
         (destination_options(padn(2), home_address(), padn(4), home_address(OTHER_HOME)),)),
        ("two Home Addresses in two headers", (home_options(), other)),
        ("a Home Address and Destination Options without one", (home_options(), destination_options())),
        ("Destination Options without a Home Address and one with it", (destination_options(), home_options())),
        ("Home Addresses on both sides of a type 2 routing header", (home_options(), routing(), other)),
        ("three headers, the first and second with a Home Address", (home_options(), other, destination_options())),
        ("the same Home Address twice in one header",
         (destination_options(padn(2), home_address(), padn(4), home_address()),)),
    ]


def many() -> list[Chain]:
    """Return Home Addresses behind few and behind many options."""
    chains: list[Chain] = [
        (f"a Home Address behind {count} Pad1", (destination_options(pad1(count), home_address()),))
        for count in (28, 29, 30, 31, 36)
    ]
    chains += [
        (f"a Home Address behind {count} PadN",
         (destination_options(*[padn(0)] * count, home_address()),))
        for count in (29, 30, 38)
    ]
    chains.append(("a Home Address in front of 36 Pad1", (destination_options(padn(2), home_address(), pad1(36)),)))
    chains.append(("36 Pad1 and no Home Address", (destination_options(pad1(38)),)))
    return chains


def segments() -> list[Chain]:
    """Return type 2 routing headers whose Segments Left is 1, and others."""
    chains: list[Chain] = [
        (f"a type 2 routing header with Segments Left {left}", (routing(segments_left=left),))
        for left in (0, 2, 255, 1)
    ]
    chains.append(("a type 2 routing header with its reserved bytes set", (routing(reserved=b"\xde\xad\xbe\xef"),)))
    chains.append(("a Home Address and a type 2 routing header with Segments Left 0",
                   (home_options(), routing(segments_left=0))))
    return chains


def route_lengths() -> list[Chain]:
    """Return type 2 routing headers whose Hdr Ext Len is not 2."""
    return [
        ("a type 2 routing header of Hdr Ext Len 0", (extension(43, b"\2\1\0\0\0\0"),)),
        ("a type 2 routing header of Hdr Ext Len 1", (extension(43, b"\2\1\0\0\0\0" + ROUTE[:8]),)),
        ("a type 2 routing header of Hdr Ext Len 3", (extension(43, b"\2\1\0\0\0\0" + ROUTE + bytes(8)),)),
        ("a type 2 routing header of two addresses", (routing(ROUTE, OTHER_ROUTE),)),
        ("a type 2 routing header of Hdr Ext Len 4 and Segments Left 0",
         (routing(ROUTE, OTHER_ROUTE, segments_left=0),)),
        ("a type 2 routing header of a wrong length in front of a good one",
         (routing(ROUTE, OTHER_ROUTE), routing(THIRD_ROUTE))),
    ]


def several_routes() -> list[Chain]:
    """Return several routing headers."""
    second, third = routing(OTHER_ROUTE), routing(kind=3, segments_left=0)
    return [
        ("two type 2 routing headers", (routing(), second)),
        ("a type 2 routing header in front of one of type 3", (routing(), third)),
        ("a type 2 routing header behind one of type 3", (third, routing())),
        ("a type 2 routing header in front of one with Segments Left 0",
         (routing(), routing(OTHER_ROUTE, segments_left=0))),
        ("a type 2 routing header in front of a short one of type 3",
         (routing(), extension(43, b"\3\0\0\0\0\0"))),
        ("a type 2 routing header in front of one of two addresses", (routing(), routing(OTHER_ROUTE, THIRD_ROUTE))),
        ("three type 2 routing headers", (routing(), second, routing(THIRD_ROUTE))),
        ("two type 2 routing headers and one of type 3", (routing(), second, third)),
        ("type 2 routing headers on both sides of a Fragment header", (routing(), fragment(), second)),
    ]


def other_routes() -> list[Chain]:
    """Return routing headers of other types, which name a final destination too."""
    segment = b"\1\0\0\0"
    return [
        ("a source route (type 0) of one address", (routing(kind=0),)),
        ("a source route (type 0) of two addresses", (routing(OTHER_ROUTE, ROUTE, kind=0, segments_left=2),)),
        ("a segment routing header (type 4)", (routing(ROUTE, OTHER_ROUTE, kind=4, reserved=segment),)),
        ("a segment routing header (type 4) at its end",
         (routing(ROUTE, OTHER_ROUTE, kind=4, segments_left=0, reserved=segment),)),
        ("an RPL source route (type 3)", (routing(kind=3),)),
        ("a Routing header of type 253", (routing(kind=253),)),
        ("a source route (type 0) without an address", (extension(43, b"\0\0\0\0\0\0"),)),
    ]
