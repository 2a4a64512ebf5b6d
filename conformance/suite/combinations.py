"""Every hash type alone, all of them, all but one, and the pairs that matter, for one packet of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import (
    ALL,
    EX,
    IP_EX,
    IPV4,
    IPV6,
    PAYLOAD,
    TCP_EX,
    TCPV4,
    TCPV6,
    UDP_EX,
    UDPV4,
    UDPV6,
    V4,
    V6,
    Draft,
    drafts,
)
from vnethash.spec.craft import ethernet, home_options, hop_by_hop, icmp, icmpv6, ipv4, ipv6, routing, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Iterator

SINGLE = tuple(1 << bit for bit in range(9))
ALL_BUT_ONE = tuple(ALL & ~bit for bit in SINGLE)
PAIRS = (
    TCPV4 | IPV4, UDPV4 | IPV4, TCPV4 | UDPV4, TCPV6 | IPV6, UDPV6 | IPV6, TCPV6 | UDPV6,
    TCPV6 | TCP_EX, UDPV6 | UDP_EX, IPV6 | IP_EX, TCP_EX | UDP_EX, TCP_EX | IP_EX, UDP_EX | IP_EX,
    IPV4 | IPV6, TCPV4 | TCPV6, UDPV4 | UDPV6, V4, V6, EX, V6 | EX, V4 | V6, IPV4 | IPV6 | IP_EX,
)
MASKS = (*SINGLE, ALL, *ALL_BUT_ONE, *PAIRS, 0)

FRAMES = (
    ("TCP over IPv4", ethernet(ipv4(tcp(payload=PAYLOAD)))),
    ("UDP over IPv4", ethernet(ipv4(udp(payload=PAYLOAD)))),
    ("ICMP over IPv4", ethernet(ipv4(icmp()))),
    ("TCP over IPv6", ethernet(ipv6(tcp(payload=PAYLOAD)))),
    ("UDP over IPv6", ethernet(ipv6(udp(payload=PAYLOAD)))),
    ("ICMPv6", ethernet(ipv6(icmpv6()))),
    ("TCP behind Hop-by-Hop Options over IPv6", ethernet(ipv6(hop_by_hop(), tcp(payload=PAYLOAD)))),
    ("UDP behind a Home Address and a type 2 routing header over IPv6",
     ethernet(ipv6(home_options(), routing(), udp(payload=PAYLOAD)))),
)
BEYOND = (
    ("a bit that has no meaning beside all", 0x80000000 | ALL), ("bit 9 alone", 0x200), ("bit 16 and TCP", 0x10012),
)


def combination_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    for name, data in FRAMES:
        yield from drafts("which hash type is chosen", [(name, data)], MASKS)
    for words, mask in BEYOND:
        yield from drafts(
            f"does {words} leave the choice alone", (FRAMES[0], FRAMES[3]), (mask,), clauses=("RSS-4", "HT-1", "HT-2")
        )
