"""In front of the IP header: plain Ethernet, tags, SNAP, PPPoE, MPLS, frames that end too early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import ALL, IPV4, IPV6, PAYLOAD, V4, V6, Draft, drafts
from vnethash.spec.craft import Part, ethernet, ipv4, ipv6, llc_snap, mpls, pppoe, raw, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Iterator

C, S, L = 0x8100, 0x88A8, 0x9100

#: What the frames of this area carry, and the hash types under which they are asked.
CARRIED: tuple[tuple[str, Part, tuple[int, ...]], ...] = (
    ("TCP over IPv4", ipv4(tcp(payload=PAYLOAD)), (V4,)),
    ("UDP over IPv4", ipv4(udp(payload=PAYLOAD)), (V4,)),
    ("TCP over IPv6", ipv6(tcp(payload=PAYLOAD)), (V6,)),
    ("UDP over IPv6", ipv6(udp(payload=PAYLOAD)), (V6,)),
)

TAGS: tuple[tuple[str, tuple[int | tuple[int, int], ...]], ...] = (
    ("a customer tag (8100)", (C,)),
    ("a priority tag (8100, VLAN 0)", ((C, 0xE000),)),
    ("a service tag (88A8) alone", (S,)),
    ("a service tag and a customer tag", (S, C)),
    ("two customer tags", (C, C)),
    ("a customer tag in front of a service tag", (C, S)),
    ("two service tags", (S, S)),
    ("a service tag and two customer tags", (S, C, C)),
    ("three customer tags", (C, C, C)),
    ("an old tag (9100)", (L,)),
    ("an old tag (9100) and a customer tag", (L, C)),
    ("a service tag and an old tag (9100)", (S, L)),
    ("a service tag and an EtherType (88B5) that no tag has", (S, 0x88B5)),
    ("sixteen customer tags", (C,) * 16),
)

#: Frame lengths that end inside the IP header or just behind it.
IPV4_CUTS = (14, 15, 16, 20, 26, 30, 33)
IPV6_CUTS = (14, 15, 20, 22, 38, 46, 53)


def link_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from plain()
    yield from tags()
    yield from shims()
    yield from versions()
    yield from cuts()


def plain() -> Iterator[Draft]:
    """Yield the smallest frames, and frames that carry no IP."""
    smallest = [
        ("The smallest UDP over IPv4, 42 bytes", ethernet(ipv4(udp()))),
        ("The smallest TCP over IPv4, 54 bytes", ethernet(ipv4(tcp()))),
    ]
    yield from drafts("is the smallest packet hashed", smallest, (V4, IPV4))
    smallest = [
        ("The smallest UDP over IPv6, 62 bytes", ethernet(ipv6(udp()))),
        ("The smallest TCP over IPv6, 74 bytes", ethernet(ipv6(tcp()))),
    ]
    yield from drafts("is the smallest packet hashed", smallest, (V6, IPV6))
    arp = bytes.fromhex("00010800060400010200000000014209 95bb000000000000a18e6450")
    others = [
        ("An ARP request", ethernet(arp.ljust(46, b"\0"), kind=0x0806)),
        ("An LLDP frame", ethernet(bytes(46), kind=0x88CC)),
        ("A frame of EtherType 0600 that holds IPv4", ethernet(ipv4(tcp()), kind=0x0600)),
        ("A frame of EtherType 0801 that holds IPv4", ethernet(ipv4(tcp()), kind=0x0801)),
        ("A frame of EtherType 0008 (0800 in the other byte order) that holds IPv4", ethernet(ipv4(tcp()), kind=8)),
        ("A frame of EtherType DD86 (86DD in the other byte order) that holds IPv6",
         ethernet(ipv6(tcp()), kind=0xDD86)),
        ("A frame of EtherType 86DC that holds IPv6", ethernet(ipv6(tcp()), kind=0x86DC)),
        ("A tagged ARP request", ethernet(arp, kind=0x0806, tags=(C,))),
        ("An Ethernet header and nothing else", ethernet(b"", kind=0x88B5)),
    ]
    yield from drafts("is a frame that is not IP left unhashed", others, (ALL,), clauses=("V4-0", "V6-0", "REP-2"))
    for size in (1, 6, 12, 13):
        data = ethernet(ipv4(tcp()))[:size]
        yield from drafts("is a runt left unhashed", [(f"A frame of {size} bytes", data)], (ALL,), clauses=("REP-2",))
    broadcast = [
        (f"{name} to a {kind} address", ethernet(part, destination=bytes.fromhex(mac)))
        for kind, mac in (("broadcast", "ffffffffffff"), ("multicast", "01005e000005"))
        for name, part, _ in CARRIED[:3:2]
    ]
    yield from drafts("does the Ethernet destination leave the hash alone", broadcast, (ALL,), clauses=("HC-9",))


def tags() -> Iterator[Draft]:
    """Yield tagged frames."""
    for number, (words, stack) in enumerate(TAGS):
        for name, part, masks in CARRIED if number < 5 else CARRIED[::3]:
            frame = ethernet(part, tags=stack)
            yield from drafts("is the IP packet behind it found", [(f"{name} behind {words}", frame)], masks)
    for stack in ((C,), (S,), (S, C)):
        whole = ethernet(b"", kind=0x0800, tags=stack)
        for size in range(14, len(whole) + 1, 2):
            words = " ".join(f"{tag:04X}" for tag in stack)
            yield from drafts(
                "is it left unhashed", [(f"A frame with the tags {words} that ends after {size} bytes", whole[:size])],
                (ALL,),
            )
    # A length where the EtherType of a second tag would stand.
    long = ethernet(ipv4(udp(payload=bytes(0x0800 - 28))), tags=(S,))
    yield from drafts(
        "is the IP packet behind it found", [("A datagram of 2048 bytes behind a service tag (88A8) alone", long)],
        (V4, IPV4),
    )
    yield from drafts(
        "are tag control bytes that look like an EtherType passed over",
        [(f"{name} behind a customer tag with control 0800", ethernet(part, tags=((C, 0x0800),)))
         for name, part, _ in CARRIED[::2]],
        (ALL,),
    )


def shims() -> Iterator[Draft]:
    """Yield IP behind an 802.3 length, PPPoE and MPLS."""
    for name, part, masks in CARRIED[::3]:
        frames = [
            (f"{name} behind LLC/SNAP", llc_snap(part)),
            (f"{name} behind a customer tag and LLC/SNAP", llc_snap(part, tags=(C,))),
            (f"{name} behind LLC/SNAP of another organisation", llc_snap(part, oui=b"\x00\x00\x0c")),
            (f"{name} behind LLC without SNAP", llc_snap(part, llc=b"\x42\x42\x03")),
            (f"{name} in a PPPoE session", pppoe(part)),
            (f"{name} in a PPPoE session, announced as LCP", pppoe(part, protocol=0xC021)),
            (f"{name} behind one MPLS label", mpls(part)),
            (f"{name} behind three MPLS labels", mpls(part, labels=(16, 17, 18))),
            (f"{name} behind MPLS labels without a bottom", mpls(part, bottom=False)),
            (f"{name} behind MPLS multicast (8848)", mpls(part, kind=0x8848)),
        ]
        yield from drafts("is it an IP packet", frames, masks)
    short = [
        ("A PPPoE session frame that ends inside its header", pppoe(raw(4))[:18]),
        ("An MPLS frame that ends inside a label", mpls(raw(4))[:16]),
        ("An MPLS frame that ends behind its last label", mpls(raw(4))),
        ("An LLC/SNAP frame that ends inside SNAP", llc_snap(raw(4))[:20]),
        ("An LLC/SNAP frame that carries ARP", llc_snap(raw(4, bytes(28)), kind=0x0806)),
    ]
    yield from drafts("is it left unhashed", short, (ALL,))


def versions() -> Iterator[Draft]:
    """Yield frames whose EtherType and IP version disagree."""
    four, six = ipv4(tcp(payload=PAYLOAD)), ipv6(udp(payload=PAYLOAD))
    frames = [
        ("EtherType IPv4 over an IPv6 packet", ethernet(six, kind=0x0800)),
        ("EtherType IPv6 over an IPv4 packet", ethernet(four, kind=0x86DD)),
    ]
    for version in (0, 5, 6, 15):
        frames.append((f"TCP over IPv4 with version {version}", ethernet(ipv4(tcp(payload=PAYLOAD), version=version))))
    for version in (0, 4, 5, 15):
        frames.append((f"UDP over IPv6 with version {version}", ethernet(ipv6(udp(payload=PAYLOAD), version=version))))
    yield from drafts("what is a packet whose version is another", frames, (V4 | V6,))
    yield from drafts("what is a packet whose version is another", frames[:2], (V4, V6, IPV4, IPV6, ALL))


def cuts() -> Iterator[Draft]:
    """Yield frames that end inside the IP header or right behind it."""
    for name, part, masks in CARRIED[::2]:
        whole = ethernet(part)
        sizes = IPV4_CUTS if part.number == 4 else IPV6_CUTS
        header = 34 if part.number == 4 else 54
        frames = [(f"{name} that ends after {size - 14} bytes of its IP header", whole[:size]) for size in sizes]
        yield from drafts("is a cut header left unhashed", frames, (*masks, IPV4 | IPV6))
        tagged = ethernet(part, tags=(C,))[:header]
        yield from drafts(
            "is a cut header left unhashed", [(f"{name} behind a tag that ends inside its IP header", tagged)], masks
        )
        yield from drafts(
            "is what is there used", [(f"{name} that ends right behind its IP header", whole[:header])], masks
        )
