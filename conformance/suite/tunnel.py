"""Encapsulated packets: with HASH_TUNNEL and without it, every type, what is wrong with a tunnel or inside it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import ALL, IPV4, IPV6, PAYLOAD, TCPV4, V4, V6, Draft
from vnethash.spec.configuration import Configuration, tunnel_type_names
from vnethash.spec.constants import ALL_TUNNEL_TYPES, TunnelType
from vnethash.spec.craft import (
    INNER_DESTINATION4,
    INNER_DESTINATION6,
    INNER_SOURCE4,
    INNER_SOURCE6,
    MF,
    Part,
    cut,
    destination_options,
    ethernet,
    fragment,
    geneve,
    gre,
    gre_in_udp,
    home_options,
    icmp,
    icmpv6,
    ipv4,
    ipv6,
    patch,
    raw,
    tcp,
    udp,
    vxlan,
    vxlan_gpe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

GRE_2784, GRE_2890, GRE_7676 = int(TunnelType.GRE_2784), int(TunnelType.GRE_2890), int(TunnelType.GRE_7676)
GRE_UDP, VXLAN, VXLAN_GPE = int(TunnelType.GRE_UDP), int(TunnelType.VXLAN), int(TunnelType.VXLAN_GPE)
GENEVE, IPIP, NVGRE = int(TunnelType.GENEVE), int(TunnelType.IPIP), int(TunnelType.NVGRE)

ANY_GRE = GRE_2784 | GRE_2890 | GRE_7676 | NVGRE
PORTS = (48228, 2217)


def inside4(part: Part) -> Part:
    """Return an inner IPv4 packet."""
    return ipv4(part, source=INNER_SOURCE4, destination=INNER_DESTINATION4)


def inside6(part: Part) -> Part:
    """Return an inner IPv6 packet."""
    return ipv6(part, source=INNER_SOURCE6, destination=INNER_DESTINATION6)


TCP, UDP = tcp(*PORTS, payload=PAYLOAD), udp(*PORTS, payload=PAYLOAD)
INNER4, INNER6 = inside4(TCP), inside6(UDP)
FRAME4, FRAME6 = ethernet(INNER4), ethernet(INNER6)
NVGRE_KEY = 0x00123407

#: A tunnel of each type, and the bit that enables it.
TUNNELS: tuple[tuple[str, Part, int], ...] = (
    ("GRE with TCP over IPv4", gre(INNER4), GRE_2784),
    ("GRE with a checksum and TCP over IPv4", gre(INNER4, checksum=True), GRE_2784),
    ("GRE with a bridged frame", gre(FRAME4), GRE_2784),
    ("GRE with a key and TCP over IPv4", gre(INNER4, key=7), GRE_2890),
    ("GRE with a sequence number and TCP over IPv4", gre(INNER4, sequence=9), GRE_2890),
    ("GRE with checksum, key, sequence number and UDP over IPv6",
     gre(INNER6, checksum=True, key=7, sequence=9), GRE_2890),
    ("GRE with UDP over IPv6", gre(INNER6), GRE_7676),
    ("GRE in UDP with TCP over IPv4", gre_in_udp(INNER4), GRE_UDP),
    ("VXLAN with TCP over IPv4", vxlan(FRAME4), VXLAN),
    ("VXLAN with UDP over IPv6", vxlan(FRAME6), VXLAN),
    ("VXLAN-GPE with TCP over IPv4", vxlan_gpe(INNER4), VXLAN_GPE),
    ("VXLAN-GPE with UDP over IPv6", vxlan_gpe(INNER6), VXLAN_GPE),
    ("VXLAN-GPE with a frame", vxlan_gpe(FRAME4), VXLAN_GPE),
    ("VXLAN-GPE without its P flag and with a frame", vxlan_gpe(FRAME4, flags=8, next_protocol=0), VXLAN_GPE),
    ("Geneve with a frame", geneve(FRAME4), GENEVE),
    ("Geneve with options and UDP over IPv6", geneve(INNER6, options=bytes(8)), GENEVE),
    ("IPv4 in IPv4 with TCP", INNER4, IPIP),
    ("NVGRE", gre(FRAME4, key=NVGRE_KEY), NVGRE),
)


@cache
def config(tunnel_types: int, hash_types: int = ALL) -> Configuration:
    """Return a configuration with HASH_TUNNEL negotiated."""
    return Configuration(
        hash_types=hash_types, tunnel_types=tunnel_types, features=frozenset({"RSS", "HASH_REPORT", "HASH_TUNNEL"})
    )


def draft(what: str, asks: str, part: Part | bytes, tunnels: int, types: int = V4 | V6) -> Draft:
    """Return one case; a part is carried over IPv4."""
    frame = part if isinstance(part, bytes) else ethernet(ipv4(part))
    words = "all" if tunnels == ALL_TUNNEL_TYPES else tunnel_type_names(tunnels)
    clauses = ("TUN-2", "TUN-3", "TUN-4") if tunnels else ("TUN-3", "INN-5", "INN-6")
    return Draft(f"{what}, tunnel types {words}", asks, frame, config(tunnels, types), clauses)


def tunnel_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from every()
    yield from unnegotiated()
    yield from gre_headers()
    yield from ip_in_ip()
    yield from headers()
    yield from insides()
    yield from outsides()
    yield from nested()


def every() -> Iterator[Draft]:
    """Yield each tunnel with its type enabled, with another, with none, and with all."""
    for name, part, bit in TUNNELS:
        asks = "is the inner header hashed"
        for where, packet in (("over IPv4", ipv4), ("over IPv6", ipv6)):
            frame = ethernet(packet(part))
            yield draft(f"{name} {where}", asks, frame, bit)
            yield draft(f"{name} {where}", "is the outer header hashed", frame, 0)
        frame = ethernet(ipv4(part))
        yield draft(f"{name} over IPv4", asks, frame, ALL_TUNNEL_TYPES)
        yield draft(f"{name} over IPv4", asks, frame, bit, IPV4 | IPV6)
        others = ALL_TUNNEL_TYPES & ~(ANY_GRE if bit & ANY_GRE else bit)
        yield draft(f"{name} over IPv4", "is the outer header hashed", frame, others)
    plain = [("TCP over IPv4", ethernet(ipv4(TCP))), ("UDP over IPv6", ethernet(ipv6(UDP))),
             ("ICMP over IPv4", ethernet(ipv4(icmp())))]
    for name, frame in plain:
        yield draft(name, "is a packet without a tunnel hashed as ever", frame, ALL_TUNNEL_TYPES, ALL)


def unnegotiated() -> Iterator[Draft]:
    """Yield tunnels where HASH_TUNNEL is not negotiated."""
    for name, part, bit in TUNNELS:
        if bit not in {GRE_UDP, VXLAN, VXLAN_GPE, GENEVE}:
            for types in (V4 | V6, IPV4):
                yield Draft(f"{name} over IPv4, HASH_TUNNEL not negotiated", "is the outer header hashed",
                            ethernet(ipv4(part)), Configuration(hash_types=types), ("TUN-1",))
        else:
            yield Draft(f"{name} over IPv4, HASH_TUNNEL not negotiated", "are the outer ports hashed",
                        ethernet(ipv4(part)), Configuration(hash_types=V4 | V6), ("TUN-1",))
    for name, part in (("GRE", gre(INNER4)), ("6in6", INNER6), ("4in6", INNER4)):
        yield Draft(f"{name} over IPv6, HASH_TUNNEL not negotiated", "is the outer header hashed",
                    ethernet(ipv6(part)), Configuration(hash_types=V4 | V6), ("TUN-1",))
    yield Draft("IPv6 in IPv4, HASH_TUNNEL not negotiated", "is the outer header hashed",
                ethernet(ipv4(INNER6)), Configuration(hash_types=V4 | V6), ("TUN-1",))
    # What is wrong inside must not take away what is known of the outside.
    cut_tcp = raw(6, tcp(*PORTS).data[:12])
    for name, part in (("IPv4 in IPv4", inside4(cut_tcp)), ("GRE with IPv6", gre(inside6(cut_tcp)))):
        yield Draft(f"{name} and a cut TCP header inside, HASH_TUNNEL not negotiated", "is the outer header hashed",
                    ethernet(ipv4(part)), Configuration(hash_types=V4 | V6), ("TUN-1",))


def gre_headers() -> Iterator[Draft]:
    """Yield GRE headers under each GRE type, and GRE headers that are none of the listed types."""
    kinds = [
        ("Plain GRE with TCP over IPv4", gre(INNER4)), ("GRE with a key", gre(INNER4, key=7)),
        ("GRE with a sequence number", gre(INNER4, sequence=9)), ("GRE with UDP over IPv6", gre(INNER6)),
        ("NVGRE", gre(FRAME4, key=NVGRE_KEY)), ("GRE with a bridged frame and no key", gre(FRAME4)),
        ("GRE with a key, a sequence number and a bridged frame", gre(FRAME4, key=NVGRE_KEY, sequence=1)),
    ]
    for name, part in kinds:
        for bit in (GRE_2784, GRE_2890, GRE_7676, NVGRE):
            yield draft(f"{name} over IPv4", "does the type match the header", part, bit)
    yield draft("Plain GRE with TCP over IPv4, over IPv6", "does the type match the header",
                ethernet(ipv6(gre(INNER4))), GRE_2784)
    odd = [
        ("GRE of version 1 (PPTP)", gre(INNER4, flags=0x3001, protocol=0x880B, extra=bytes(8))),
        ("GRE of version 1 with TCP over IPv4", gre(INNER4, version=1)),
        ("GRE with the routing bit", gre(INNER4, flags=0x4000, extra=bytes(8))),
        ("GRE with TCP over IPv4 and reserved flags", gre(INNER4, flags=0x0800)),
    ]
    for name, part in odd:
        yield draft(f"{name} over IPv4", "what of a GRE header that is none of the listed", part, GRE_2784)
        yield draft(f"{name} over IPv4", "what of a GRE header that is none of the listed", part, ANY_GRE, IPV4)
    yield draft("GRE in UDP of version 1", "what of a GRE header that is none of the listed",
                udp(49200, 4754, payload=gre(INNER4, version=1).data), GRE_UDP)


def ip_in_ip() -> Iterator[Draft]:
    """Yield IP in IP of both versions in both."""
    frames = [
        ("IPv4 in IPv4", ethernet(ipv4(INNER4))), ("IPv6 in IPv4", ethernet(ipv4(INNER6))),
        ("IPv4 in IPv6", ethernet(ipv6(INNER4))), ("IPv6 in IPv6", ethernet(ipv6(INNER6))),
    ]
    for name, frame in frames:
        for types in (V4 | V6, IPV4 | IPV6):
            yield draft(name, "does IPIP cover it", frame, IPIP, types)
    yield draft("IPv4 in IPv4 whose inner packet has version 6", "is the inner packet IP",
                ethernet(ipv4(ipv4(TCP, version=6))), IPIP)


def headers() -> Iterator[Draft]:
    """Yield tunnel headers that are cut, on other ports, or with odd flags."""
    asks = "is a cut tunnel header a match"
    cuts: list[tuple[str, Part, int]] = [
        ("GRE of 3 bytes", cut(gre(INNER4), 3), GRE_2784),
        ("GRE with a key, of 6 bytes", cut(gre(INNER4, key=7), 6), GRE_2890),
        ("VXLAN of 4 bytes", cut(vxlan(FRAME4), 12), VXLAN),
        ("VXLAN-GPE of 7 bytes", cut(vxlan_gpe(INNER4), 15), VXLAN_GPE),
        ("Geneve of 4 bytes", cut(geneve(FRAME4), 12), GENEVE),
        ("Geneve whose options run past the end", cut(geneve(FRAME4, option_length=63), 60), GENEVE),
        ("GRE in UDP of 2 bytes", cut(gre_in_udp(INNER4), 10), GRE_UDP),
        ("UDP to the VXLAN port of 6 bytes", cut(vxlan(FRAME4), 6), VXLAN),
    ]
    for name, part, bit in cuts:
        yield draft(f"{name} over IPv4", asks, part, bit, V4)
    ports: list[tuple[str, Part, int]] = [
        ("VXLAN on port 8472", vxlan(FRAME4, port=8472), VXLAN),
        ("VXLAN with UDP over IPv6 on port 8472", vxlan(FRAME6, port=8472), VXLAN),
        ("VXLAN on port 4788", vxlan(FRAME4, port=4788), VXLAN),
        ("VXLAN from port 4789", udp(4789, 49200, payload=vxlan(FRAME4).data[8:]), VXLAN),
        ("TCP to port 4789", tcp(49200, 4789, payload=vxlan(FRAME4).data[8:]), VXLAN),
        ("Geneve on port 6082", geneve(FRAME4, port=6082), GENEVE),
    ]
    for name, part, bit in ports:
        yield draft(f"{name} over IPv4", "does the port name the tunnel", part, bit, V4 | V6)
        yield draft(f"{name} over IPv4", "does the port name the tunnel", part, bit, IPV4 | IPV6)
    flags: list[tuple[str, Part, int]] = [
        ("VXLAN without its I flag", vxlan(FRAME4, flags=0), VXLAN),
        ("VXLAN with reserved flags and no I flag", vxlan(FRAME6, flags=0xF7), VXLAN),
        ("VXLAN-GPE without its I flag", vxlan_gpe(INNER4, flags=4), VXLAN_GPE),
        ("VXLAN with all flags", vxlan(FRAME4, flags=0xFF), VXLAN),
    ]
    for name, part, bit in flags:
        yield draft(f"{name} over IPv4", "are the flags examined", part, bit)
        yield draft(f"{name} over IPv4", "are the flags examined", part, bit, TCPV4 | IPV4)


def insides() -> Iterator[Draft]:
    """Yield inner packets that are not IP, cut, without a transport, without a type, or tagged."""
    arp = ethernet(bytes(28), kind=0x0806)
    not_ip: list[tuple[str, Part, int]] = [
        ("VXLAN with ARP", vxlan(arp), VXLAN), ("GRE with ARP in a frame", gre(arp), GRE_2784),
        ("GRE with keepalive (protocol 0)", gre(INNER4, protocol=0), GRE_2784),
        ("VXLAN-GPE with NSH", vxlan_gpe(INNER4, next_protocol=4), VXLAN_GPE),
        ("Geneve with another protocol", geneve(INNER4, protocol=0x0806), GENEVE),
        ("VXLAN with IPv4 of version 5", vxlan(ethernet(ipv4(TCP, version=5))), VXLAN),
    ]
    for name, part, bit in not_ip:
        yield draft(f"{name} over IPv4", "what of an inner packet that is not IP", part, bit, V4)
    cuts: list[tuple[str, Part, int]] = [
        ("GRE and 19 bytes of IPv4", gre(cut(INNER4, 19)), GRE_2784), ("GRE and nothing", gre(raw(4)), GRE_2784),
        ("VXLAN and 39 bytes of IPv6", vxlan(FRAME6[:53]), VXLAN), ("VXLAN and 13 bytes", vxlan(FRAME4[:13]), VXLAN),
        ("VXLAN and nothing", vxlan(b""), VXLAN), ("IPv4 in IPv4, 12 bytes of it", cut(INNER4, 12), IPIP),
        ("Geneve and 10 bytes of IPv4", geneve(cut(INNER4, 10)), GENEVE),
    ]
    for name, part, bit in cuts:
        yield draft(f"{name} over IPv4", "what of an inner packet that is cut", part, bit, V4)
    bare: list[tuple[str, Part, int]] = [
        ("GRE with ICMP over IPv4", gre(inside4(icmp())), GRE_2784),
        ("VXLAN with ICMPv6", vxlan(ethernet(inside6(icmpv6()))), VXLAN),
        ("IPv4 in IPv4 with ICMP", inside4(icmp()), IPIP),
        ("Geneve with TCP cut short", geneve(inside4(cut(TCP, 12))), GENEVE),
        ("GRE with a first fragment of UDP", gre(ipv4(UDP, flags=MF, source=INNER_SOURCE4)), GRE_2784),
    ]
    for name, part, bit in bare:
        yield draft(f"{name}, over IPv4", "inner or outer addresses", part, bit)
    types: list[tuple[str, Part, int, int]] = [
        ("GRE with TCP over IPv4, over IPv6", gre(INNER4), GRE_2784 | GRE_7676, V6),
        ("VXLAN with UDP over IPv6, over IPv4", vxlan(FRAME6), VXLAN, V4),
        ("IPv4 in IPv4 with TCP, over IPv4", INNER4, IPIP, IPV6),
        ("Geneve with TCP over IPv4, over IPv6", geneve(FRAME4), GENEVE, V6),
    ]
    for name, part, bit, mask in types:
        frame = ethernet(ipv6(part) if name.endswith("IPv6") else ipv4(part))
        for enabled in (mask, mask & (IPV4 | IPV6)):
            yield draft(name, "what if no type is enabled for the inner packet", frame, bit, enabled)
    tagged: list[tuple[str, Part, int]] = [
        ("VXLAN with a tagged frame", vxlan(ethernet(INNER4, tags=(0x8100,))), VXLAN),
        ("GRE with a tagged frame of UDP over IPv6", gre(ethernet(INNER6, tags=(0x8100,))), GRE_2784),
        ("Geneve with a frame with two tags", geneve(ethernet(INNER4, tags=(0x88A8, 0x8100))), GENEVE),
    ]
    for name, part, bit in tagged:
        yield draft(f"{name} over IPv4", "is the inner tag skipped", part, bit)
        yield draft(f"{name} over IPv4", "is the inner tag skipped", part, bit, IPV4 | IPV6)
    home = inside6(UDP)
    extended = ipv6(home_options(), UDP, source=INNER_SOURCE6, destination=INNER_DESTINATION6)
    yield draft("GRE with a Home Address and UDP over IPv6", "are the rules of extension headers those of any packet",
                gre(extended), GRE_7676, ALL & ~0x40)
    yield draft("GRE with UDP over IPv6 and a Payload Length of half", "does the inner length end the inner packet",
                gre(home._replace(data=patch(home.data, 4, b"\0\4"))), GRE_7676, V6)


def outsides() -> Iterator[Draft]:
    """Yield outer packets that are fragments or have options."""
    for name, part, bit in (TUNNELS[0], TUNNELS[8], TUNNELS[16]):
        yield draft(f"A first IPv4 fragment of {name}", "inner or outer header", ethernet(ipv4(part, flags=MF)), bit)
        yield draft(f"A later IPv4 fragment of {name}", "is the outer header hashed",
                    ethernet(ipv4(part, offset=64)), bit)
        yield draft(f"{name} behind IPv4 options", "does it still match",
                    ethernet(ipv4(part, options=b"\1\1\1\1")), bit, TCPV4 | IPV4)
        yield draft(f"{name} behind Destination Options over IPv6", "does it still match",
                    ethernet(ipv6(destination_options(), part)), bit | GRE_7676)
        yield draft(f"A first IPv6 fragment of {name}", "inner or outer header",
                    ethernet(ipv6(fragment(more=True), part)), bit | GRE_7676)
        yield draft(f"{name} in a tagged frame", "is the tag skipped as ever",
                    ethernet(ipv4(part), tags=(0x8100,)), bit)
    yield draft("VXLAN over IPv4 with padding", "does the outer packet end the inner one",
                ethernet(ipv4(vxlan(FRAME4))) + bytes(6), VXLAN)


def nested() -> Iterator[Draft]:
    """Yield a tunnel in a tunnel."""
    asks = "what of two levels"
    for types in (V4 | V6, IPV4 | IPV6):
        yield draft("GRE in GRE", asks, gre(inside4(gre(ipv4(UDP)))), GRE_2784, types)
        yield draft("VXLAN in GRE", asks, gre(inside4(vxlan(FRAME6))), GRE_2784 | VXLAN, types)
        yield draft("IPv4 in IPv4 in IPv4", asks, inside4(ipv4(tcp(1, 2), source=INNER_DESTINATION4)), IPIP, types)
        yield draft("VXLAN in GRE, VXLAN not enabled", asks, gre(inside4(vxlan(FRAME6))), GRE_2784, types)
