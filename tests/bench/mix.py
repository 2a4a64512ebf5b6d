"""Frames in the proportions of a host's traffic, with the rare ones made common enough to matter.

The sizes are a mix of acknowledgements and full frames; every address and port is random, so that nothing is in the
cache of a hash because it was hashed before. No code here is shared with the model.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEED = 3

#: What of 100 frames.
SHARES = {
    "IPv4 TCP": 42, "IPv4 UDP": 14, "IPv4 ICMP": 2, "IPv4 TCP, options": 1, "IPv4 TCP, cut in its header": 2,
    "IPv4 UDP, first fragment": 1, "IPv4 UDP, later fragment": 1,
    "IPv6 TCP": 15, "IPv6 UDP": 7, "IPv6 ICMPv6": 1,
    "IPv6 Hop-by-Hop, TCP": 2, "IPv6 home address, TCP": 2, "IPv6 type 2 route, UDP": 2,
    "IPv6 home address and type 2 route, TCP": 1, "IPv6 Hop-by-Hop, home address, route, AH, UDP": 1,
    "IPv6 first fragment, UDP": 1, "IPv6 later fragment, UDP": 1, "IPv6 ESP": 1,
    "ARP": 3,
}
#: What of 100 of the frames above carries a VLAN tag; a tenth of these carry two.
TAGGED = 10


def words() -> str:
    """Return the proportions in one line."""
    four = sum(share for name, share in SHARES.items() if name.startswith("IPv4"))
    six = sum(SHARES[name] for name in ("IPv6 TCP", "IPv6 UDP", "IPv6 ICMPv6"))
    long = 100 - four - six - SHARES["ARP"]
    chains = f"{long} % IPv6 with extension headers"
    return f"{four} % IPv4, {six} % IPv6 alone, {chains}, {SHARES['ARP']} % ARP; {TAGGED} % tagged"


def frames(count: int, seed: int = SEED) -> Iterator[bytes]:
    """Return frames in random order."""
    r = Random(seed)
    kinds = r.choices(list(SHARES), list(SHARES.values()), k=count)
    for kind in kinds:
        ethertype, packet = MAKERS[kind](r)
        tags = b""
        if r.randrange(100) < TAGGED:
            tags = b"\x81\0" + r.randbytes(2)
            if r.randrange(10) == 0:
                tags = b"\x88\xa8" + r.randbytes(2) + tags
        yield r.randbytes(12) + tags + two(ethertype) + packet


def two(value: int) -> bytes:
    return value.to_bytes(2, "big")


def payload(r: Random) -> bytes:
    """Return up to a full frame; the mean is some 230 bytes."""
    return bytes(r.choice((0, 0, 0, 6, 26, 60, 100, 180, 500, 1400)))


def tcp(r: Random) -> bytes:
    return r.randbytes(12) + b"\x80\x10" + r.randbytes(6) + b"\1\1\x08\x0a" + r.randbytes(8) + payload(r)


def udp(r: Random) -> bytes:
    data = payload(r)
    return r.randbytes(4) + two(8 + len(data)) + r.randbytes(2) + data


def four(r: Random, protocol: int, data: bytes, flags: int = 0x4000, options: bytes = b"") -> tuple[int, bytes]:
    """Return an IPv4 packet."""
    head = bytes([0x45 + len(options) // 4, 0]) + two(20 + len(options) + len(data)) + r.randbytes(2) + two(flags)
    return 0x0800, head + bytes([64, protocol]) + r.randbytes(10) + options + data


def six(r: Random, data: bytes, *chain: tuple[int, bytes], protocol: int) -> tuple[int, bytes]:
    """Return an IPv6 packet; each header of the chain is its number and its bytes from the second on."""
    numbers = [number for number, _ in chain] + [protocol]
    headers = b"".join(bytes([numbers[k + 1]]) + rest for k, (_, rest) in enumerate(chain))
    head = b"\x60" + r.randbytes(3) + two(len(headers) + len(data)) + bytes([numbers[0], 64]) + r.randbytes(32)
    return 0x86DD, head + headers + data


def hop(r: Random) -> tuple[int, bytes]:
    return 0, b"\0\5\2\0\0\1\0"


def home(r: Random) -> tuple[int, bytes]:
    return 60, b"\2\1\2\0\0\xc9\x10" + r.randbytes(16)


def route(r: Random) -> tuple[int, bytes]:
    return 43, b"\2\2\1" + bytes(4) + r.randbytes(16)


def authentication(r: Random) -> tuple[int, bytes]:
    return 51, b"\4" + r.randbytes(22)


def fragment(r: Random, field: int) -> tuple[int, bytes]:
    return 44, b"\0" + two(field) + r.randbytes(4)


def arp(r: Random) -> tuple[int, bytes]:
    return 0x0806, b"\0\1\x08\0\6\4\0\1" + r.randbytes(20) + bytes(18)


def cut(r: Random) -> tuple[int, bytes]:
    ethertype, packet = four(r, 6, tcp(r))
    return ethertype, packet[: r.randrange(8, 40)]


MAKERS: dict[str, Callable[[Random], tuple[int, bytes]]] = {
    "IPv4 TCP": lambda r: four(r, 6, tcp(r)),
    "IPv4 UDP": lambda r: four(r, 17, udp(r)),
    "IPv4 TCP, options": lambda r: four(r, 6, tcp(r), options=b"\x94\4\0\0"),
    "IPv4 UDP, first fragment": lambda r: four(r, 17, udp(r), 0x2000),
    "IPv4 UDP, later fragment": lambda r: four(r, 17, udp(r), 0x00B9),
    "IPv4 ICMP": lambda r: four(r, 1, b"\x08\0" + r.randbytes(6) + payload(r)),
    "IPv6 TCP": lambda r: six(r, tcp(r), protocol=6),
    "IPv6 UDP": lambda r: six(r, udp(r), protocol=17),
    "IPv6 ICMPv6": lambda r: six(r, b"\x80\0" + r.randbytes(6) + payload(r), protocol=58),
    "IPv6 Hop-by-Hop, TCP": lambda r: six(r, tcp(r), hop(r), protocol=6),
    "IPv6 home address, TCP": lambda r: six(r, tcp(r), home(r), protocol=6),
    "IPv6 type 2 route, UDP": lambda r: six(r, udp(r), route(r), protocol=17),
    "IPv6 home address and type 2 route, TCP": lambda r: six(r, tcp(r), home(r), route(r), protocol=6),
    "IPv6 Hop-by-Hop, home address, route, AH, UDP": lambda r: six(
        r, udp(r), hop(r), home(r), route(r), authentication(r), protocol=17
    ),
    "IPv6 first fragment, UDP": lambda r: six(r, udp(r), fragment(r, 1), protocol=17),
    "IPv6 later fragment, UDP": lambda r: six(r, udp(r), fragment(r, 0x5A8), protocol=17),
    "IPv6 ESP": lambda r: six(r, r.randbytes(40), protocol=50),
    "ARP": arp,
    "IPv4 TCP, cut in its header": cut,
}
