"""Random structured frames and configurations for the tests of the planted implementations.

Small on purpose, and not the project's generator: what tests the tester shares no code with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

MICROSOFT_KEY = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"

TAG_STACKS: list[list[int]] = [[]] * 12 + [[0x8100]] * 3
TAG_STACKS += [[0x88A8], [0x88A8, 0x8100], [0x8100, 0x8100], [0x9100], [0x88A8, 0x8100, 0x8100]]
CHAIN_KINDS = [0, 0, 43, 43, 43, 44, 44, 44, 51, 51, 60, 60, 60, 60, 135, 139, 140, 253, 254]


def two(value: int) -> bytes:
    """Return 16 bits in network order."""
    return (value & 0xFFFF).to_bytes(2, "big")


# -------------------------------------------------------------------- transport


def tcp(rng: Random) -> bytes:
    """Return a TCP segment, with options more often than not."""
    words = rng.choice([5, 5, 6, 8, 15, rng.randrange(16)])
    options = rng.randbytes(max(0, words - 5) * 4)
    return rng.randbytes(12) + bytes([words << 4, 0x10]) + rng.randbytes(6) + options + rng.randbytes(rng.randrange(12))


def udp(rng: Random) -> bytes:
    """Return a UDP datagram, sometimes with checksum 0 or an odd length field."""
    body = rng.randbytes(rng.randrange(24))
    length = rng.choice([8 + len(body)] * 4 + [0, rng.randrange(65536)])
    return rng.randbytes(4) + two(length) + rng.choice([b"\0\0", rng.randbytes(2)]) + body


def other(rng: Random) -> bytes:
    """Return bytes that look like an extension header and a TCP segment to who walks where there is nothing to walk."""
    return bytes([rng.choice([6, 17, 60, 0]), 0]) + rng.randbytes(6) + tcp(rng)


def transport(rng: Random) -> tuple[int, bytes]:
    """Return a protocol number and its bytes."""
    protocol = rng.choice([6] * 7 + [17] * 6 + [1, 50, 51, 58, 58, 59, 132, 136, rng.randrange(256)])
    make: Callable[[Random], bytes] = {6: tcp, 17: udp}.get(protocol, other)
    return protocol, make(rng)


# -------------------------------------------------------------------- IPv6 extension headers


def option(rng: Random) -> bytes:
    """Return one option, often a Home Address option, at times of a wrong length or type."""
    roll = rng.randrange(10)
    if roll < 4:
        return bytes([0xC9, 16]) + rng.randbytes(16)
    if roll == 4:
        length = rng.randrange(20)
        return bytes([0xC9, length]) + rng.randbytes(length)
    if roll == 5:
        return bytes([rng.choice([0x09, 0x49, 0x89]), 16]) + rng.randbytes(16)
    if roll == 6:
        return b"\0" * rng.choice([1, 2, 5, 31, 36])
    if roll == 7:
        return bytes([rng.randrange(1, 256), rng.randrange(256)])
    length = rng.choice([0, 1, 4])
    return bytes([1, length]) + bytes(length)


def options(rng: Random, following: int) -> bytes:
    """Return a Hop-by-Hop or Destination Options header."""
    body = b"".join(option(rng) for _ in range(rng.choice([0, 1, 1, 2, 3])))
    left = -(len(body) + 2) % 8
    if left:
        body += b"\0" if left == 1 else bytes([1, left - 2]) + bytes(left - 2)
    if not body:
        body = bytes([1, 4, 0, 0, 0, 0])
    return bytes([following, (len(body) + 2) // 8 - 1]) + body


def extension(rng: Random, kind: int, following: int) -> bytes:
    """Return one extension header of a kind; `following` is its Next Header."""
    if kind in (0, 60):
        return options(rng, following)
    if kind == 43:
        length = rng.choice([2, 2, 2, 2, 0, 4])
        routing = rng.choice([2, 2, 2, 0, 4, 3])
        left = rng.choice([1, 1, 1, 0, 2])
        return bytes([following, length, routing, left]) + rng.randbytes(length * 8 + 4)
    if kind == 44:
        offset = rng.choice([0, 0, 0, 1, 185, rng.randrange(8192)])
        more = rng.randrange(2)
        reserved = rng.choice([0, 0, 1, 2])
        return bytes([following, reserved]) + two(offset << 3 | rng.choice([0, 0, 2, 6]) | more) + rng.randbytes(4)
    if kind == 51:
        length = rng.choice([4, 4, 1, 0, 7])
        return bytes([following, length]) + rng.randbytes((length + 2) * 4 - 2)
    length = rng.choice([0, 1, 2])
    return bytes([following, length]) + rng.randbytes(length * 8 + 6)


def ipv6(rng: Random) -> bytes:
    """Return an IPv6 packet."""
    kind, data = transport(rng)
    count = rng.choice([0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 13])
    for _ in range(count):
        here = 0 if count == 13 else rng.choice(CHAIN_KINDS)
        data = extension(rng, here, kind) + data
        kind = here
    length = rng.choice([len(data)] * 16 + [0, rng.randrange(len(data) + 1), len(data) + 9])
    addresses = rng.randbytes(16) + rng.choice([rng.randbytes(16), b"\xff\x02" + rng.randbytes(14)])
    return bytes([0x60]) + rng.randbytes(3) + two(length) + bytes([kind, 64]) + addresses + data


# -------------------------------------------------------------------- IPv4, Ethernet


def ipv4(rng: Random) -> bytes:
    """Return an IPv4 packet."""
    kind, data = transport(rng)
    if rng.randrange(30) == 0:
        data = data[: rng.choice([0, 2, 4, 7, 8, 19])]
    words = rng.choice([5] * 8 + [6, 8, 15, rng.randrange(16)])
    header = max(words, 5) * 4
    whole = header + len(data)
    total = rng.choice([whole] * 16 + [0, header, rng.randrange(header, whole + 1), whole + 9])
    flags = rng.choice([0, 0, 0x4000, 0x4000, 0x2000, 0x8000, 0x2000 | 185, 185, 1])
    start = bytes([0x40 | words, 0]) + two(total) + rng.randbytes(2) + two(flags) + bytes([64, kind])
    return start + rng.randbytes(10) + rng.randbytes(header - 20) + data


def frame(rng: Random) -> bytes:
    """Return one Ethernet frame: mostly sound, at times padded, cut short, or with a byte changed."""
    kind, packet = rng.choice([(0x0800, ipv4(rng)), (0x86DD, ipv6(rng))])
    if rng.randrange(40) == 0:
        kind = rng.choice([0x0800, 0x86DD, 0x0806, 0x8847, 0x8864, len(packet)])
    tags = b"".join(two(tag) + rng.randbytes(2) for tag in rng.choice(TAG_STACKS))
    macs = rng.choice([b"\x02", b"\x02", b"\x33", b"\x01"]) + rng.randbytes(11)
    data = macs + tags + two(kind) + packet
    roll = rng.randrange(24)
    if roll == 0:
        data = data[: rng.randrange(len(data) + 1)]
    elif roll == 1:
        at = rng.randrange(len(data))
        data = data[:at] + rng.randbytes(1) + data[at + 1 :]
    elif roll < 6:
        data += rng.randbytes(rng.choice([1, 6, 18, 26]))
    return data


def configuration(rng: Random) -> dict[str, Any]:
    """Return one configuration, in the form of the adapter protocol."""
    bits = [0x1FF, 0x1FF, rng.randrange(512), rng.randrange(512), 1 << rng.randrange(9), 0x0C0 | 0x38, 0x1FF & ~0x1C0]
    keys = [MICROSOFT_KEY] * 4 + [rng.randbytes(40).hex()] * 3 + [bytes(40).hex(), rng.randbytes(16).hex(), ""]
    size = rng.choice([128, 128, 128, 1, 2, 64, 100])
    table = rng.choice([list(range(size)), [rng.randrange(100) for _ in range(size)]])
    features = rng.choice([["HASH_REPORT", "RSS"]] * 6 + [["RSS"], ["HASH_REPORT"], []])
    return {
        "features": features,
        "hash_types": rng.choice(bits),
        "key": rng.choice(keys),
        "indirection_table": table,
        "unclassified_queue": 200,
        "max_tx_vq": 1,
        "tunnel_types": 0,
    }
