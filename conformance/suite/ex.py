"""The EX hash types: which packets they apply to, in which order, with which addresses and label."""

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
    UDP_EX,
    UDPV6,
    V6,
    Draft,
    drafts,
)
from vnethash.spec.craft import (
    Part,
    destination_options,
    ethernet,
    fragment,
    home_options,
    hop_by_hop,
    icmpv6,
    ipv6,
    mobility,
    routing,
    tcp,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

UPPER: tuple[tuple[str, Part, int, int], ...] = (
    ("TCP", tcp(payload=PAYLOAD), TCPV6, TCP_EX), ("UDP", udp(payload=PAYLOAD), UDPV6, UDP_EX),
)
#: What stands between the IPv6 header and the transport.
EXTENSIONS: tuple[tuple[str, tuple[Part, ...]], ...] = (
    ("no extension header", ()),
    ("Hop-by-Hop Options", (hop_by_hop(),)),
    ("Destination Options without a Home Address", (destination_options(),)),
    ("a Home Address", (home_options(),)),
    ("a type 2 routing header", (routing(),)),
    ("a Home Address and a type 2 routing header", (home_options(), routing())),
    ("a type 2 routing header and a Home Address", (routing(), home_options())),
    ("a Routing header of type 3", (routing(kind=3, segments_left=0),)),
)


def ex_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    for words, parts in EXTENSIONS:
        for name, part, plain, ex in UPPER:
            frame = [(f"{name} over IPv6 with {words}", ethernet(ipv6(*parts, part)))]
            yield from drafts("does the EX type apply", frame, (ex, IP_EX))
            yield from drafts("which type comes first", frame, (plain | IP_EX, plain | ex))
            yield from drafts("which addresses are hashed", frame, (plain, IPV6))
            yield from drafts("which type comes first", frame, (EX, V6 | EX))
            yield from drafts("is the other transport's type left alone", frame, (TCP_EX if ex == UDP_EX else UDP_EX,))
        frame = [(f"ICMPv6 with {words}", ethernet(ipv6(*parts, icmpv6())))]
        yield from drafts("which type applies", frame, (IP_EX, IPV6 | IP_EX, EX, IPV6, TCP_EX | UDP_EX))
    yield from mixtures()
    yield from order()


def mixtures() -> Iterator[Draft]:
    """Yield the combinations of plain and EX types that tell the ways to choose apart."""
    for name, part, plain, ex in UPPER:
        other_plain, other_ex = (UDPV6, UDP_EX) if plain == TCPV6 else (TCPV6, TCP_EX)
        frames = [
            (f"{name} over IPv6 with Hop-by-Hop Options", ethernet(ipv6(hop_by_hop(), part))),
            (f"{name} over IPv6 with a Home Address", ethernet(ipv6(home_options(), part))),
            (f"{name} over IPv6", ethernet(ipv6(part))),
        ]
        masks = (
            IPV6 | ex, IPV6 | IP_EX, plain | IPV6 | IP_EX, ex | IP_EX, V6 | IP_EX, V6 | ex, V6 | other_ex,
            other_plain | IP_EX, other_ex | IP_EX, other_ex | plain, plain | other_ex | IP_EX, EX | IPV6, EX | plain,
            ALL & ~ex, ALL & ~plain, ALL & ~IP_EX,
        )
        yield from drafts("which type applies", frames[:2], masks)
        yield from drafts("which type applies", frames[2:], masks[:6])


def order() -> Iterator[Draft]:
    """Yield the order of the addresses, and a Home Address or a route alone."""
    both = (routing(), home_options())
    for name, part, plain, ex in UPPER:
        frames = [
            (f"A Home Address behind a type 2 routing header, and {name}", ethernet(ipv6(*both, part))),
            (f"A type 2 routing header behind a Home Address, and {name}", ethernet(ipv6(*reversed(both), part))),
            (f"Hop-by-Hop Options, a type 2 routing header, a Home Address and {name}",
             ethernet(ipv6(hop_by_hop(), *both, part))),
        ]
        yield from drafts("which address is hashed first", frames, (ex, IP_EX, plain | ex))
        alone = [
            (f"A Home Address behind Hop-by-Hop Options, without a route, and {name}",
             ethernet(ipv6(hop_by_hop(), home_options(), part))),
            (f"A type 2 routing header behind Hop-by-Hop Options, without a Home Address, and {name}",
             ethernet(ipv6(hop_by_hop(), routing(), part))),
            (f"A Home Address, an atomic Fragment header and {name}",
             ethernet(ipv6(home_options(), fragment(), part))),
        ]
        yield from drafts("which addresses are hashed", alone, (ex, plain, IP_EX))
    move = [("A Binding Acknowledgement behind a type 2 routing header", ethernet(ipv6(routing(), mobility(6))))]
    yield from drafts("which addresses are hashed", move, (IP_EX, IPV6))
