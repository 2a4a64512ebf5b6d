"""Kinds of packets for the coverage of a hash, and where in each of them the fields lie that a hash might cover.

Every field holds a value that occurs once in the frame, and is found by it: no dissector decides what is compared.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from vnethash.spec.craft import (
    DESTINATION4,
    DESTINATION6,
    DESTINATION_PORT,
    DF,
    HOME,
    INNER_DESTINATION4,
    INNER_DESTINATION6,
    INNER_SOURCE4,
    INNER_SOURCE6,
    MF,
    RESERVED,
    ROUTE,
    SOURCE4,
    SOURCE6,
    SOURCE_PORT,
    Part,
    authentication,
    cut,
    dccp,
    destination_options,
    esp,
    ethernet,
    four,
    fragment,
    geneve,
    gre,
    home_options,
    hop_by_hop,
    icmp,
    icmpv6,
    ipv4,
    ipv4_option,
    ipv6,
    llc_snap,
    mobility,
    mpls,
    pppoe,
    raw,
    routing,
    sctp,
    tcp,
    two,
    udp,
    udp_lite,
    vxlan,
)

GRE_KEY, LABEL, INNER_PORTS = 0x0B5EED01, 0x5C3A7, (0x3C1B, 0x59A7)
_AH_SPI, _ESP_SPI = four(0x105), four(0x205)
_TAGS = (0x8100, 0x88A8)


class Field(NamedTuple):
    """Some bits of a frame: `mask` lies over the bytes from `offset` on."""

    offset: int
    mask: bytes


class Kind(NamedTuple):
    """A kind of packet: what it is, a frame of it, and its fields by name."""

    what: str
    frame: bytes
    fields: dict[str, Field]


#: Name of a field -> the bytes that it has in these frames; addresses of either version.
MARKS = {
    "source": (SOURCE4, SOURCE6),
    "destination": (DESTINATION4, DESTINATION6),
    "source port": (two(SOURCE_PORT), two(49200)),
    "destination port": (two(DESTINATION_PORT), two(4500), two(4789), two(6081)),
    "home address": (HOME,),
    "route": (ROUTE,),
    "AH SPI": (_AH_SPI,),
    "ESP SPI": (_ESP_SPI,),
    "GRE key": (four(GRE_KEY),),
    "fragment id": (four(0x1D0F0A17),),
    "inner source": (INNER_SOURCE4, INNER_SOURCE6),
    "inner destination": (INNER_DESTINATION4, INNER_DESTINATION6),
    "inner source port": (two(INNER_PORTS[0]),),
    "inner destination port": (two(INNER_PORTS[1]),),
}


def fields_of(frame: bytes) -> dict[str, Field]:
    """Return the fields of a frame that is made of the values in MARKS; one that occurs twice is left out."""
    found = {}
    for number in range(4):
        at = 12 + 4 * number
        if int.from_bytes(frame[at:at + 2], "big") not in _TAGS:
            break
        found[f"tag {number + 1}"] = Field(at + 2, b"\xff\xff")
    for name, values in MARKS.items():
        places = [(frame.find(value, 14), value) for value in values if frame.count(value) == 1]
        places = [(at, value) for at, value in places if at >= 0]
        if len(places) == 1:
            at, value = places[0]
            found[name] = Field(at, b"\xff" * len(value))
    for prefix in ("", "inner "):
        if f"{prefix}source" in found:
            at, mask = found[f"{prefix}source"]
            if len(mask) == 16:
                found[f"{prefix}flow label"] = Field(at - 7, b"\x0f\xff\xff")
            elif frame[at - 12] >> 4 == 4:  # an IPv4 header, not ARP
                found[f"{prefix}IPv4 id"] = Field(at - 8, b"\xff\xff")
    return found


def _inner4(part: Part | None = None) -> Part:
    return ipv4(part or tcp(*INNER_PORTS), source=INNER_SOURCE4, destination=INNER_DESTINATION4)


def _inner6(label: int = 0) -> Part:
    return ipv6(tcp(*INNER_PORTS), source=INNER_SOURCE6, destination=INNER_DESTINATION6, flow_label=label)


def _frames4() -> list[tuple[str, bytes]]:
    options = ipv4_option(148, b"\0\0")
    transports = [
        ("TCP", tcp()), ("UDP", udp()), ("SCTP", sctp()), ("UDP-Lite", udp_lite()), ("DCCP", dccp()),
        ("ICMP echo", icmp()), ("IGMP", raw(2, b"\x16\0\0\0\xe0\0\0\5")), ("protocol 253", raw(253, bytes(16))),
    ]
    found = [(f"IPv4 {name}", ethernet(ipv4(part))) for name, part in transports]
    found += [(f"IPv4 with options, {name}", ethernet(ipv4(part, options=options))) for name, part in transports[:2]]
    found += [(f"IPv4 {name}, DF", ethernet(ipv4(part, flags=DF))) for name, part in transports[:2]]
    found += [
        ("IPv4 TCP, reserved flag", ethernet(ipv4(tcp(), flags=RESERVED))),
        ("IPv4 TCP, first fragment", ethernet(ipv4(tcp(), flags=MF))),
        ("IPv4 UDP, first fragment", ethernet(ipv4(udp(), flags=MF))),
        ("IPv4 TCP, later fragment", ethernet(ipv4(tcp(), flags=MF, offset=9))),
        ("IPv4 TCP, last fragment", ethernet(ipv4(tcp(), offset=9))),
        ("IPv4 AH, TCP", ethernet(ipv4(authentication(), tcp()))),
        ("IPv4 ESP", ethernet(ipv4(esp()))),
        ("IPv4 ESP in UDP (4500)", ethernet(ipv4(udp(SOURCE_PORT, 4500, payload=esp().data)))),
        ("IPv4 TCP cut to 4 bytes", ethernet(ipv4(cut(tcp(), 4)))),
        ("IPv4 TCP cut to 2 bytes", ethernet(ipv4(cut(tcp(), 2)))),
    ]
    return found


def _frames6() -> list[tuple[str, bytes]]:
    transports = [
        ("TCP", tcp()), ("UDP", udp()), ("SCTP", sctp()), ("UDP-Lite", udp_lite()), ("DCCP", dccp()),
        ("ICMPv6 echo", icmpv6()), ("no next header", raw(59, bytes(8))), ("Mobility", mobility()),
        ("ESP", esp()), ("protocol 253", raw(253, bytes(16))),
    ]
    found = []
    for label, words in ((0, ""), (LABEL, ", flow label")):
        found += [(f"IPv6 {name}{words}", ethernet(ipv6(part, flow_label=label))) for name, part in transports]
        chains: list[tuple[str, tuple[Part, ...]]] = [
            ("Hop-by-Hop, TCP", (hop_by_hop(), tcp())),
            ("Destination Options, TCP", (destination_options(), tcp())),
            ("Home Address, TCP", (home_options(), tcp())),
            ("Home Address, UDP", (home_options(), udp())),
            ("routing type 0, TCP", (routing(kind=0), tcp())),
            ("routing type 2, TCP", (routing(), tcp())),
            ("routing type 2, no segments left, TCP", (routing(segments_left=0), tcp())),
            ("segment routing, TCP", (routing(kind=4), tcp())),
            ("Hop-by-Hop, routing type 2, Home Address, TCP", (hop_by_hop(), routing(), home_options(), tcp())),
            ("AH, TCP", (authentication(), tcp())),
        ]
        found += [(f"IPv6 {name}{words}", ethernet(ipv6(*parts, flow_label=label))) for name, parts in chains]
    fragments: list[tuple[str, tuple[Part, ...]]] = [
        ("first fragment, TCP", (fragment(more=True), tcp())),
        ("first fragment, Destination Options, TCP", (fragment(more=True), destination_options(), tcp())),
        ("later fragment, TCP", (fragment(9, more=True), tcp())),
        ("last fragment, TCP", (fragment(9), tcp())),
        ("atomic fragment, TCP", (fragment(), tcp())),
        *(
            (f"{count} Destination Options, TCP", (*(destination_options(),) * count, tcp()))
            for count in (11, 12, 14, 15, 16, 17)
        ),
    ]
    return found + [(f"IPv6 {name}", ethernet(ipv6(*parts))) for name, parts in fragments]


def _frames_link() -> list[tuple[str, bytes]]:
    four_, six = ipv4(tcp()), ipv6(tcp())
    arp = bytes.fromhex("0001080006040001020000000001420995bb000000000000a18e6450")
    return [
        ("802.1Q, IPv4 TCP", ethernet(four_, tags=((0x8100, 0x7064),))),
        ("802.1Q, IPv6 TCP", ethernet(six, tags=((0x8100, 0x7064),))),
        ("802.1ad, IPv4 TCP", ethernet(four_, tags=((0x88A8, 0x7064),))),
        ("802.1ad and 802.1Q, IPv4 TCP", ethernet(four_, tags=((0x88A8, 0x7064), (0x8100, 0x6065)))),
        ("two 802.1Q, IPv4 TCP", ethernet(four_, tags=((0x8100, 0x7064), (0x8100, 0x6065)))),
        ("PPPoE, IPv4 TCP", pppoe(four_)),
        ("PPPoE, IPv6 TCP", pppoe(six)),
        ("MPLS, IPv4 TCP", mpls(four_)),
        ("802.3 length with SNAP, IPv4 TCP", llc_snap(four_)),
        ("ARP", ethernet(arp.ljust(46, b"\0"), kind=0x0806)),
    ]


def _frames_tunnel() -> list[tuple[str, bytes]]:
    return [
        ("GRE, IPv4 TCP", ethernet(ipv4(gre(_inner4())))),
        ("GRE with key, IPv4 TCP", ethernet(ipv4(gre(_inner4(), key=GRE_KEY)))),
        ("GRE with key, IPv6 TCP", ethernet(ipv4(gre(_inner6(), key=GRE_KEY)))),
        ("GRE over IPv6, IPv4 TCP", ethernet(ipv6(gre(_inner4())))),
        ("NVGRE, IPv4 TCP", ethernet(ipv4(gre(ethernet(_inner4()), key=GRE_KEY)))),
        ("IPIP, IPv4 TCP", ethernet(ipv4(_inner4()))),
        ("6in4, IPv6 TCP", ethernet(ipv4(_inner6()))),
        ("6in4, IPv6 TCP, inner flow label", ethernet(ipv4(_inner6(LABEL)))),
        ("4in6, IPv4 TCP", ethernet(ipv6(_inner4()))),
        ("4in6, IPv4 TCP, outer flow label", ethernet(ipv6(_inner4(), flow_label=LABEL))),
        ("6in6, IPv6 TCP", ethernet(ipv6(_inner6()))),
        ("VXLAN, IPv4 TCP", ethernet(ipv4(vxlan(ethernet(_inner4()))))),
        ("Geneve, IPv4 TCP", ethernet(ipv4(geneve(ethernet(_inner4()))))),
    ]


@cache
def kinds() -> tuple[Kind, ...]:
    """Return all kinds, those over IPv4 first."""
    frames = _frames4() + _frames6() + _frames_link() + _frames_tunnel()
    return tuple(Kind(what, frame, fields_of(frame)) for what, frame in frames)
