"""Random frames with structure: everything that some question asks about, whole and damaged.

`any_frame(random)` is the generator; the same seed gives the same frames. It shares no code with the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vnethash.spec.configuration import Configuration
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from random import Random

TUNNEL_PORTS = (4754, 4789, 4790, 8472, 6081)


def two(value: int) -> bytes:
    return (value & 0xFFFF).to_bytes(2, "big")


def data(r: Random, size: int) -> bytes:
    """Return bytes without zeros, so that a wrong offset shows."""
    return bytes(r.randrange(1, 256) for _ in range(size))


def one_in(r: Random, number: int) -> bool:
    return r.randrange(number) == 0


def any_frame(r: Random) -> bytes:
    """Return one frame."""
    if one_in(r, 60):
        return data(r, r.randrange(0, 80))
    ethertype, packet = any_packet(r, 0)
    frame = data(r, 12) + tags(r) + framed(r, ethertype, packet)
    return damaged(r, frame)


def damaged(r: Random, frame: bytes) -> bytes:
    """Return the frame as it is, cut, padded, or with bytes changed."""
    choice = r.randrange(12)
    if choice == 0:
        return frame[: r.randrange(len(frame) + 1)]
    if choice in (1, 2):
        return frame + data(r, r.randrange(1, 47))
    if choice in (3, 4) and len(frame) > 14:
        changed = bytearray(frame)
        for _ in range(r.randrange(1, 4)):
            place = r.randrange(12, len(frame))
            changed[place] = r.choice((0, 1, 2, 4, 8, 0x45, 0x60, 0xFF, changed[place] ^ 1 << r.randrange(8)))
        return bytes(changed)
    return frame


def tags(r: Random) -> bytes:
    if not one_in(r, 6):
        return b""
    count = r.choice((1, 1, 1, 2, 2, 3, 9))
    return b"".join(two(r.choice((0x8100, 0x88A8, 0x9100))) + two(r.randrange(1 << 16)) for _ in range(count))


def framed(r: Random, ethertype: int, packet: bytes) -> bytes:
    """Return EtherType and packet, at times with a header of LLC, PPPoE or MPLS between them."""
    choice = r.randrange(40)
    if choice == 0:
        return two(len(packet) + 8) + b"\xaa\xaa\x03\0\0\0" + two(ethertype) + packet
    if choice == 1:
        protocol = 0x0021 if ethertype == 0x0800 else 0x0057
        return two(0x8864) + b"\x11\0\0\1" + two(len(packet) + 2) + two(protocol) + packet
    if choice == 2:
        labels = [r.randrange(1 << 20) << 4 for _ in range(r.randrange(1, 4))]
        if not one_in(r, 4):
            labels[-1] |= 1
        return two(0x8847) + b"".join((label << 8 | 64).to_bytes(4, "big") for label in labels) + packet
    if choice == 3:
        return two(r.choice((0x0806, 0x88CC, 0x0042, 0x8137, 0x86DD, 0x0800))) + packet
    return two(ethertype) + packet


def any_packet(r: Random, depth: int) -> tuple[int, bytes]:
    """Return EtherType and IP packet."""
    if r.randrange(5) < 2:
        return 0x0800, ipv4(r, depth)
    return 0x86DD, ipv6(r, depth)


def ipv4(r: Random, depth: int) -> bytes:
    protocol, payload = upper(r, depth, six=False)
    if one_in(r, 12):
        protocol, payload = 51, bytes([protocol, 4]) + data(r, 22) + payload
    options = b""
    if one_in(r, 6):
        options = ipv4_options(r)
    words = 5 + len(options) // 4
    if one_in(r, 20):
        words = r.randrange(16)
    flags = 0
    if one_in(r, 4):
        flags = r.choice((0x4000, 0x2000, 0x2000, 0x8000, 0x0001, 0x20B9, 0x6000, 0xC000))
    total = 20 + len(options) + len(payload)
    if one_in(r, 8):
        some = r.randrange(1 << 16)
        total = r.choice((0, 19, 20, 24, total - 1, total + 1, total + 100, 20 + len(options) + 3, some))
    head = bytes([0x40 | words, 0]) + two(total) + data(r, 2) + two(flags) + bytes([64, protocol]) + data(r, 10)
    return head + options + payload


def ipv4_options(r: Random) -> bytes:
    size = 4 * r.randrange(1, 11)
    if one_in(r, 2) and size >= 8:
        return (bytes([1, r.choice((131, 137)), 7, 4]) + data(r, size))[:size]
    return (bytes([r.choice((1, 7, 68, 148, 131)), r.choice((0, 1, 4, 7, 39))]) + data(r, size))[:size]


def upper(r: Random, depth: int, *, six: bool) -> tuple[int, bytes]:
    """Return a protocol number and what belongs to it."""
    choice = r.randrange(20)
    if choice < 7:
        return 6, tcp(r)
    if choice < 12:
        return 17, udp(r, data(r, r.randrange(8)))
    if choice == 12:
        return r.choice((33, 132, 136)), data(r, r.randrange(3, 20))
    if choice == 13:
        return (58 if six else 1), bytes([r.choice((128, 6, 17, 8, 44, 60))]) + bytes([r.choice((0, 1, 2))]) + tcp(r)
    if choice == 14:
        return r.choice((50, 59, 99, 148, 200, 252, 253, 255, 135, 139, 140, 43, 44, 60, 0)), tcp(r)
    if choice > 15 and depth < 3:
        return tunnel(r, depth + 1)
    return 6, tcp(r)


def tcp(r: Random) -> bytes:
    offset = r.choice((5, 5, 5, 5, 8, 15, 4, 0))
    whole = data(r, 12) + bytes([offset << 4]) + data(r, 7) + data(r, max(0, offset - 5) * 4 * r.choice((0, 1, 1)))
    if one_in(r, 8):
        return whole[: r.randrange(20)]
    return whole


def udp(r: Random, payload: bytes, port: int = 53) -> bytes:
    size = 8 + len(payload)
    if one_in(r, 8):
        size = r.choice((0, 7, 8, size + 1, size - 1, 0xFFFF))
    whole = data(r, 2) + two(port) + two(size) + data(r, 2) + payload
    if one_in(r, 12):
        return whole[: r.randrange(8)]
    return whole


def ipv6(r: Random, depth: int) -> bytes:
    protocol, payload = upper(r, depth, six=True)
    if one_in(r, 20):
        protocol, payload = 59, b""
    count = r.choice((0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 12, 18))
    chain = [extension(r) for _ in range(count)]
    numbers = [number for number, _ in chain] + [protocol]
    body = b"".join(bytes([numbers[k + 1]]) + rest for k, (_, rest) in enumerate(chain)) + payload
    size = len(body)
    if one_in(r, 8):
        size = r.choice((0, 0, 1, 4, 8, 12, 24, max(0, size - 1), size + 1, r.randrange(size + 1), 0xFFFF))
    if one_in(r, 12):
        body = body[: r.randrange(len(body) + 1)]
    return bytes([0x60]) + data(r, 3) + two(size) + bytes([numbers[0], 64]) + data(r, 32) + body


def extension(r: Random) -> tuple[int, bytes]:
    """Return the number of an extension header and its bytes from the second on."""
    number = r.choice((60, 60, 60, 60, 43, 43, 43, 44, 44, 0, 0, 51, 135, 139, 140, 253, 254, 50, 58, 59))
    if number == 44:
        field = r.choice((0, 1, 1, 8, 0xFFF9, 6))
        return number, bytes([0 if r.randrange(4) else r.choice((1, 2, 7))]) + two(field) + data(r, 4)
    if number == 51:
        return number, bytes([r.choice((1, 4, 4, 4))]) + data(r, 22)
    if number == 43:
        return number, routing(r)
    if number in (0, 60):
        return number, options(r)
    size = 8 * r.choice((1, 1, 2, 3))
    return number, bytes([size // 8 - 1]) + data(r, size - 2)


def routing(r: Random) -> bytes:
    kind = r.choice((2, 2, 2, 2, 0, 4, 3))
    units = r.choice((2, 2, 2, 2, 4, 0, 1))
    left = r.choice((1, 1, 1, 0, 2))
    return bytes([units, kind, left]) + data(r, 4) + data(r, units * 8)


def options(r: Random) -> bytes:
    """Return an options header from its length byte on."""
    parts: list[bytes] = []
    for _ in range(r.choice((0, 1, 1, 1, 2, 3, 3, 40))):
        choice = r.randrange(12)
        if choice < 5:
            parts.append(bytes([0xC9, 16]) + data(r, 16))
        elif choice == 5:
            size = r.choice((15, 17, 4, 0, 32))
            parts.append(bytes([0xC9, size]) + data(r, size))
        elif choice == 6:
            size = r.choice((16, 3))
            parts.append(bytes([r.choice((0x09, 0x29, 0xE9)), size]) + data(r, size))
        elif choice == 7:
            parts.append(bytes(r.randrange(1, 40)))
        else:
            size = r.choice((0, 2, 2, 4))
            parts.append(bytes([r.choice((1, 1, 5, 0x1E)), size]) + bytes(size))
    body = b"".join(parts)
    if one_in(r, 3):
        body = bytes([1, 2, 0, 0]) + body
    if one_in(r, 4):
        body += bytes([r.choice((0xC9, 1, 5)), r.choice((16, 4, 200))])
    if one_in(r, 8):
        body += bytes([0] * ((5 - len(body)) % 8)) + bytes([r.choice((0xC9, 1))])
    body += bytes((6 - len(body)) % 8)
    units = (len(body) + 2) // 8 - 1
    if one_in(r, 12):
        units = max(0, units + r.choice((-1, 1, -2, 5)))
    return bytes([units & 255]) + body


def tunnel(r: Random, depth: int) -> tuple[int, bytes]:
    """Return a protocol number and an encapsulated packet."""
    ethertype, packet = any_packet(r, depth)
    inner_frame = data(r, 12) + tags(r) + two(ethertype if r.randrange(8) else 0x0806) + packet
    if one_in(r, 8):
        packet = packet[: r.randrange(len(packet) + 1)]
        inner_frame = inner_frame[: r.randrange(len(inner_frame) + 1)]
    choice = r.randrange(8)
    if choice == 0:
        return (4 if ethertype == 0x0800 or one_in(r, 6) else 41), packet
    if choice < 4:
        return 47, gre(r, ethertype, packet, inner_frame)
    port = r.choice(TUNNEL_PORTS)
    if port == 4754:
        return 17, udp(r, gre(r, ethertype, packet, inner_frame), port)
    if port == 6081:
        words = r.choice((0, 0, 0, 1, 3, 63))
        head = bytes([words, 0]) + two(r.choice((0x6558, 0x6558, ethertype, 0x1234))) + data(r, 4)
        body = packet if head[2:4] == two(ethertype) else inner_frame
        return 17, udp(r, head + data(r, words * 4 if words < 63 else 8) + body, port)
    generic = port == 4790 and one_in(r, 2)
    kind = r.choice((3, 1 if ethertype == 0x0800 else 2, 4))
    head = bytes([r.choice((8, 8, 8, 0)) | (4 if generic else 0), 0, 0, kind]) + data(r, 4)
    whole = head + (packet if generic and kind != 3 else inner_frame)
    return 17, udp(r, whole if r.randrange(9) else whole[:5], port)


def gre(r: Random, ethertype: int, packet: bytes, inner_frame: bytes) -> bytes:
    flags = r.choice((0, 0, 0x2000, 0x8000, 0x1000, 0xB000, 0x2000, 0x4000, 0x2001))
    fields = data(r, 4 * (flags & 0xB000).bit_count())
    choice = r.randrange(5)
    if choice < 2:
        return (two(flags) + two(0x6558) + fields + inner_frame)[: None if r.randrange(9) else 6]
    if choice == 2:
        return two(flags) + two(r.choice((0x8847, 0x880B, 0x0001))) + fields + packet
    return two(flags) + two(ethertype) + fields + packet


def any_readings(r: Random) -> Readings:
    """Return readings of every question; half the time only a few of them are not the literal ones."""
    questions = load_questions().values()
    changed: dict[str, int] = {}
    share = r.choice((2, 12))
    for question in questions:
        if one_in(r, share):
            changed[question.field] = r.randrange(len(question.readings))
    return Readings(**changed)


def any_configuration(r: Random) -> Configuration:
    """Return a configuration, legal or not."""
    key: Any = data(r, r.choice((40, 40, 40, 0, 1, 8, 12, 16, 36, 39, 41, 52, 255)))
    if one_in(r, 12):
        key = bytes(len(key))
    size = r.choice((1, 2, 128, 128, 3, 100, 65536))
    features = {name for name in ("RSS", "HASH_REPORT", "HASH_TUNNEL", "CTRL_VQ") if r.randrange(4)}
    return Configuration(
        features=frozenset(features),
        hash_types=r.choice((0x1FF, 0x3F, 0, 0x1C9, 0x200, r.randrange(512), r.randrange(512), r.randrange(1 << 32))),
        key=key,
        indirection_table=tuple(r.randrange(1 << 16) for _ in range(size)) if size < 65536 else tuple(range(size)),
        unclassified_queue=r.randrange(1 << 16),
        tunnel_types=r.choice((0, 0x1FF, r.randrange(512), 1 << 31)),
    )
