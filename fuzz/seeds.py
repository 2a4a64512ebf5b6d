"""Frames to begin with: what real traffic looks like, one of each kind, and headers to put into frames."""

from __future__ import annotations

from functools import cache

from vnethash.spec.craft import (
    HOME,
    Part,
    authentication,
    dccp,
    destination_options,
    esp,
    ethernet,
    extension,
    fragment,
    geneve,
    gre,
    hip,
    home_address,
    home_options,
    hop_by_hop,
    icmp,
    icmpv6,
    ipv4,
    ipv4_option,
    ipv6,
    mobility,
    option,
    pad1,
    padn,
    routing,
    sctp,
    shim6,
    source_route,
    tcp,
    udp,
    udp_lite,
    vxlan,
)

PAYLOAD = bytes(range(0x30, 0x48))


@cache
def traffic() -> tuple[bytes, ...]:
    """Return frames as a network carries them, and the rare but well-formed."""
    uppers = (tcp(payload=PAYLOAD), udp(payload=PAYLOAD), tcp(options=b"\2\4\5\xb4\1\3\3\7"))
    others = (sctp(), udp_lite(), dccp(), esp())
    frames = [ethernet(ipv4(part)) for part in (*uppers, icmp(), *others)]
    frames += [ethernet(ipv6(part)) for part in (*uppers, icmpv6(), *others)]
    frames += [
        ethernet(ipv4(tcp(), flags=2)), ethernet(ipv4(udp(payload=PAYLOAD), flags=1)),
        ethernet(ipv4(udp(payload=PAYLOAD), offset=3)), ethernet(ipv4(udp(), options=source_route(HOME[:4]))),
        ethernet(ipv4(tcp(), options=ipv4_option(148, b"\0\0"))), ethernet(ipv4(authentication(), tcp())),
        ethernet(ipv4(tcp(payload=PAYLOAD)), tags=(0x8100,)), ethernet(ipv6(udp()), tags=(0x88A8, 0x8100)),
        ethernet(ipv4(udp())) + bytes(18), ethernet(ipv6(udp())) + bytes(6),
    ]
    for part in extensions():
        frames += [ethernet(ipv6(part, tcp(payload=PAYLOAD))), ethernet(ipv6(part, udp()))]
    frames += [
        ethernet(ipv6(home_options(), routing(), udp(payload=PAYLOAD))),
        ethernet(ipv6(hop_by_hop(), destination_options(), routing(), fragment(more=True), udp(payload=PAYLOAD))),
    ]
    inner = ethernet(ipv4(tcp()))
    frames += [
        ethernet(ipv4(ipv4(tcp()))), ethernet(ipv4(ipv6(udp()))), ethernet(ipv6(ipv4(udp()))),
        ethernet(ipv4(gre(ipv4(tcp())))), ethernet(ipv4(gre(inner, key=7))), ethernet(ipv4(vxlan(inner))),
        ethernet(ipv4(geneve(inner))), ethernet(ipv6(vxlan(ethernet(ipv6(udp()))))),
    ]
    frames += [ethernet(bytes(28), kind=0x0806), bytes(14)]
    return tuple(dict.fromkeys(frames))


@cache
def extensions() -> tuple[Part, ...]:
    """Return extension headers, each as its document has it and in a few other sizes."""
    return (
        hop_by_hop(), hop_by_hop(padn(12)), hop_by_hop(option(5, b"\0\0")), destination_options(),
        destination_options(padn(20)), destination_options(padn(60)), home_options(),
        destination_options(pad1(4), home_address()), destination_options(option(0x3E, bytes(6)), home_address()),
        routing(), routing(kind=0), routing(kind=3, segments_left=0), routing(segments_left=0),
        fragment(), fragment(more=True), fragment(offset=2), authentication(), authentication(b""),
        mobility(), hip(), shim6(), extension(253, bytes(6)), extension(254, bytes(14)),
    )


@cache
def options() -> tuple[bytes, ...]:
    """Return IPv6 options."""
    return (
        home_address(), home_address(HOME[:8], length=8), padn(0), padn(4), pad1(), option(0x3E, bytes(3)),
        option(0x63, bytes(4)), option(0xC2, bytes(4)), option(0x89, HOME), home_address(length=17),
    )


@cache
def uppers() -> tuple[Part, ...]:
    """Return upper-layer headers."""
    return (
        tcp(), udp(), tcp(payload=PAYLOAD), udp(payload=PAYLOAD), icmpv6(), icmp(), sctp(), udp_lite(), dccp(), esp(),
        ipv4(tcp()), ipv6(udp()), gre(ipv4(udp())), vxlan(ethernet(ipv4(udp()))),
    )
