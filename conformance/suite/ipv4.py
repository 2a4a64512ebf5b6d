"""IPv4: fragments, flags, header length, options, total length, what protocol follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite.case import ALL, IPV4, PAYLOAD, TCPV4, UDPV4, V4, Draft, drafts
from vnethash.spec.craft import (
    DF,
    MF,
    OTHER_ROUTE4,
    RESERVED,
    ROUTE4,
    Part,
    authentication,
    cut,
    dccp,
    destination_options,
    esp,
    ethernet,
    fragment,
    icmp,
    ipv4,
    ipv4_option,
    raw,
    sctp,
    source_route,
    tcp,
    udp,
    udp_lite,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Transports, and the hash types under which each is asked.
TRANSPORTS: tuple[tuple[str, Part, tuple[int, ...]], ...] = (
    ("TCP", tcp(payload=PAYLOAD), (V4, TCPV4)),
    ("UDP", udp(payload=PAYLOAD), (V4, UDPV4)),
)
FLAGS = ((0, "no flag"), (DF, "DF"), (RESERVED, "the reserved flag"), (DF | RESERVED, "DF and the reserved flag"))
NOP, END = b"\x01", b"\x00"
RECORD_ROUTE = ipv4_option(7, b"\4" + bytes(8))
TIMESTAMP = ipv4_option(68, b"\5\0" + bytes(4))
ROUTER_ALERT = ipv4_option(148, b"\0\0")


def ipv4_drafts() -> Iterator[Draft]:
    """Yield the cases of this area."""
    yield from fragments()
    yield from header_lengths()
    yield from options()
    yield from total_lengths()
    yield from security()
    yield from protocols()


def fragments() -> Iterator[Draft]:
    """Yield whole packets with flags, first and later fragments."""
    for name, part, masks in TRANSPORTS:
        frames = [
            (f"{name} over IPv4 with {words} set", ethernet(ipv4(part, flags=flags))) for flags, words in FLAGS[1:]
        ]
        yield from drafts("is it a whole packet", frames, (*masks, IPV4, ALL))
        frames = [
            (f"A first IPv4 fragment of {name}", ethernet(ipv4(part, flags=MF))),
            (f"A first IPv4 fragment of {name} with DF", ethernet(ipv4(part, flags=MF | DF))),
            (f"A first IPv4 fragment of {name} with the reserved flag", ethernet(ipv4(part, flags=MF | RESERVED))),
            (f"A first IPv4 fragment of {name} behind options", ethernet(ipv4(part, flags=MF, options=NOP * 4))),
            (f"A first IPv4 fragment of 8 bytes of {name}", ethernet(ipv4(cut(part, 8), flags=MF))),
        ]
        yield from drafts("are the ports hashed", frames, masks)
        yield from drafts("are the addresses hashed", frames[:1], (IPV4, ALL))
        frames = [
            (f"A later IPv4 fragment of {name} at {offset * 8}, {words}",
             ethernet(ipv4(raw(part.number, part.data), offset=offset, flags=flags)))
            for offset in (1, 185, 0x1FFF) for flags, words in ((MF, "not the last"), (0, "the last"))
        ]
        frames.append((
            f"A later IPv4 fragment of {name} with DF",
            ethernet(ipv4(raw(part.number, part.data), offset=256, flags=DF)),
        ))
        yield from drafts("is payload never taken for ports", frames, masks)
        yield from drafts("are the addresses hashed", frames[:2], (IPV4, ALL))
    frames = [
        ("A first IPv4 fragment of ICMP", ethernet(ipv4(icmp(), flags=MF))),
        ("A later IPv4 fragment of ICMP", ethernet(ipv4(raw(1, tcp().data), offset=3))),
        ("A later IPv4 fragment of 8 bytes", ethernet(ipv4(raw(6, tcp().data[:8]), offset=64))),
        ("A later IPv4 fragment without a byte", ethernet(ipv4(protocol=6, offset=64))),
        ("A later IPv4 fragment of SCTP", ethernet(ipv4(sctp(), offset=64))),
    ]
    yield from drafts("are the addresses hashed", frames, (V4,))
    # Another flow: an implementation of two minds may choose by the ports.
    frames = [
        (f"A first IPv4 fragment of {name} of another flow", ethernet(ipv4(part, flags=MF)))
        for name, part in (
            ("TCP", tcp(2795, 1767, payload=PAYLOAD)), ("UDP", udp(2795, 1767, payload=PAYLOAD)),
            ("TCP with the ports the other way round", tcp(1766, 2794, payload=PAYLOAD)),
        )
    ]
    yield from drafts("are the ports hashed", frames, (V4,))


def header_lengths() -> Iterator[Draft]:
    """Yield IHL that is too small or too large."""
    for name, part, masks in TRANSPORTS:
        frames = [(f"{name} over IPv4 with IHL {ihl}", ethernet(ipv4(part, ihl=ihl))) for ihl in range(5)]
        yield from drafts("what is hashed", frames, masks)
        yield from drafts("what is hashed", frames[2:3], (IPV4, ALL))
        frames = [
            (f"{name} over IPv4 with IHL {ihl} and no options, all of it inside the packet",
             ethernet(ipv4(part, ihl=ihl)))
            for ihl in (6, 10)
        ]
        yield from drafts("is IHL believed", frames, masks)
        frames = [
            (f"{size} bytes of {name} over IPv4 with IHL {ihl}",
             ethernet(ipv4(cut(part, size), ihl=ihl, total_length=total)))
            for size, ihl, total in ((8, 8, 28), (8, 15, 28), (20, 15, 40), (20, 11, 40), (3, 6, 60), (0, 6, 60))
        ]
        yield from drafts("what is hashed of a header past the end", frames, (masks[0], IPV4))
    frames = [
        ("IPv4 with IHL 6 that ends after 20 bytes", ethernet(ipv4(ihl=6, protocol=6, total_length=0))),
        ("IPv4 with IHL 15 that ends after 20 bytes", ethernet(ipv4(ihl=15, protocol=17, total_length=20))),
    ]
    yield from drafts("what is hashed of a header past the end", frames, (V4, ALL))


def options() -> Iterator[Draft]:
    """Yield IPv4 options, source routes among them."""
    kinds = [
        ("four No Operations", NOP * 4), ("Router Alert", ROUTER_ALERT), ("Record Route", RECORD_ROUTE),
        ("a timestamp", TIMESTAMP), ("an End of List at once", END * 4), ("40 bytes of No Operation", NOP * 40),
        ("bytes that look like ports", bytes.fromhex("162e07d1")),
        ("an option of length 0", ipv4_option(7, b"\4\0\0\0\0\0", length=0)),
        ("an option of length 1", ipv4_option(7, b"\4\0\0\0\0\0", length=1)),
        ("an option that runs past the header", ipv4_option(7, b"\4\0\0\0\0\0", length=39)),
    ]
    for name, part, masks in TRANSPORTS:
        frames = [(f"{name} over IPv4 with {words}", ethernet(ipv4(part, options=data))) for words, data in kinds]
        yield from drafts("are the options skipped", frames, masks)
        yield from drafts("are the addresses hashed", frames[:2], (IPV4,))
    yield from drafts(
        "are the options skipped",
        [("ICMP over IPv4 with Router Alert", ethernet(ipv4(icmp(), options=ROUTER_ALERT))),
         ("IGMP over IPv4 with Router Alert", ethernet(ipv4(raw(2, bytes(8)), options=ROUTER_ALERT)))],
        (V4,),
    )
    routes = [
        ("a loose source route", source_route(ROUTE4)),
        ("a strict source route", source_route(ROUTE4, strict=True)),
        ("a loose source route of two hops", source_route(OTHER_ROUTE4, ROUTE4)),
        ("a source route behind a No Operation", NOP + source_route(ROUTE4)),
        ("a source route behind Router Alert", ROUTER_ALERT + source_route(OTHER_ROUTE4)),
        ("a source route without a hop", source_route()),
        ("a source route that runs past the header", source_route(ROUTE4, length=40)),
        ("a source route behind End of List", END + source_route(ROUTE4)),
    ]
    for name, part, masks in TRANSPORTS:
        frames = [(f"{name} over IPv4 with {words}", ethernet(ipv4(part, options=data))) for words, data in routes]
        yield from drafts("is the destination of the header hashed", frames, (masks[0],))
        yield from drafts("is the destination of the header hashed", frames[:1], (IPV4, masks[1]))


def total_lengths() -> Iterator[Draft]:
    """Yield Total Length that is not what the frame holds."""
    for name, part, masks in TRANSPORTS:
        size = 20 if part.number == 6 else 8
        bare = cut(part, size)
        zero = [
            (f"{name} over IPv4 with Total Length 0", ethernet(ipv4(part, total_length=0))),
            (f"{name} over IPv4 with options and Total Length 0",
             ethernet(ipv4(bare, options=NOP * 8, total_length=0))),
        ]
        yield from drafts("how long is the packet", zero, (*masks, IPV4))
        short = [
            (f"{name} over IPv4 with Total Length {total}", ethernet(ipv4(part, total_length=total)))
            for total in (1, 8, 19)
        ]
        short.append((
            f"{name} over IPv4 with a header of 32 bytes and Total Length 28",
            ethernet(ipv4(part, options=NOP * 12, total_length=28)),
        ))
        yield from drafts("what is hashed", short, masks)
        yield from drafts("what is hashed", short[:1], (IPV4, ALL))
        inside = [
            (f"{name} over IPv4 of which Total Length leaves {rest} bytes, the rest being padding",
             ethernet(ipv4(part, total_length=20 + rest)))
            for rest in (0, 3, 4, 7, size - 1)
        ]
        yield from drafts("is padding never a header", inside, masks)
        yield from drafts("is padding never a header", inside[:1], (IPV4, ALL))
        padded = [
            (f"{name} over IPv4 with padding up to 60 bytes", ethernet(ipv4(bare)).ljust(60, b"\0")),
            (f"{name} over IPv4 with a frame check sequence", ethernet(ipv4(part)) + bytes.fromhex("8c3fa519")),
            (f"{name} over IPv4 with options and padding", ethernet(ipv4(bare, options=NOP * 4)) + bytes(6)),
        ]
        yield from drafts("does padding leave the hash alone", padded, masks)
        long = [
            (f"{name} over IPv4 with Total Length {words}", ethernet(ipv4(part, total_length=total)))
            for total, words in (
                (len(part.data) + 21, "one too large"), (len(part.data) + 1020, "1000 too large"), (0xFFFF, "65535"),
            )
        ]
        long.append((f"The first {size - 1} bytes of {name} over IPv4, cut off",
                     ethernet(ipv4(cut(part, size - 1), total_length=20 + len(part.data)))))
        yield from drafts("is what is there used", long, masks)
        yield from drafts("is what is there used", long[:1], (IPV4, ALL))


def security() -> Iterator[Draft]:
    """Yield AH and ESP in IPv4."""
    for name, part, masks in TRANSPORTS:
        frames = [
            (f"AH and {name} over IPv4", ethernet(ipv4(authentication(), part))),
            (f"AH with a check value of 20 bytes and {name} over IPv4",
             ethernet(ipv4(authentication(bytes(20)), part))),
            (f"AH twice and {name} over IPv4", ethernet(ipv4(authentication(), authentication(), part))),
            (f"AH and {name} over IPv4, cut inside AH", ethernet(ipv4(cut(authentication(following=part.number), 20)))),
            (f"AH and {name} over IPv4, cut after 6 bytes", ethernet(ipv4(cut(authentication(following=6), 6)))),
            (f"AH with Payload Len 60 and {name} over IPv4", ethernet(ipv4(authentication(payload_len=60), part))),
            (f"AH with Payload Len 0 and {name} over IPv4", ethernet(ipv4(authentication(payload_len=0), part))),
            (f"A first IPv4 fragment of AH and {name}", ethernet(ipv4(authentication(), part, flags=MF))),
        ]
        yield from drafts("are the ports behind AH hashed", frames, (masks[0],))
        yield from drafts("are the ports behind AH hashed", frames[:1], (masks[1], IPV4, ALL))
    yield from drafts("are the addresses hashed", [("ESP over IPv4", ethernet(ipv4(esp())))], (V4, TCPV4 | UDPV4))


def protocols() -> Iterator[Draft]:
    """Yield IPv4 packets without TCP or UDP; what follows looks like TCP."""
    look = tcp(payload=PAYLOAD).data
    frames = [("ICMP over IPv4", ethernet(ipv4(icmp())))]
    frames += [
        (f"Protocol {number} over IPv4, followed by bytes like those of TCP", ethernet(ipv4(raw(number, look))))
        for number in (0, 1, 2, 5, 7, 16, 43, 44, 58, 60, 103, 135, 253, 255)
    ]
    frames += [
        ("Destination Options and TCP over IPv4", ethernet(ipv4(destination_options(), tcp()))),
        ("A Fragment header and TCP over IPv4", ethernet(ipv4(fragment(), tcp()))),
        ("IPv4 without a byte behind its header", ethernet(ipv4(protocol=59))),
    ]
    yield from drafts("are the addresses hashed", frames, (V4,))
    yield from drafts("is it left unhashed", frames[:3], (TCPV4 | UDPV4,))
    others = [
        ("SCTP over IPv4", ethernet(ipv4(sctp()))),
        ("DCCP over IPv4", ethernet(ipv4(dccp()))),
        ("UDP-Lite over IPv4", ethernet(ipv4(udp_lite(payload=PAYLOAD)))),
    ]
    yield from drafts("are its ports left out", others, (V4, IPV4, UDPV4, TCPV4 | IPV4))
