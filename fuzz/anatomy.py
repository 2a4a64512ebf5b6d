"""The headers of a frame, wherever they lie and however wrong they are: where mutation, reduction and naming take hold.

This walker trusts nothing and refuses nothing; it is no model of the specification. A header that runs past the end of
the frame ends with the frame.
"""

from __future__ import annotations

from typing import NamedTuple

from vnethash.spec import craft

#: Headers that are looked at.
MOST_HEADERS = 40

TAGS = frozenset({0x8100, 0x88A8, 0x9100})
NETWORK = {0x0800: "ipv4", 0x86DD: "ipv6"}
EXTENSIONS = {
    0: "hbh", 43: "rt", 44: "frag", 51: "ah", 60: "dstopts", 135: "mh", 139: "hip", 140: "shim6", 253: "exp",
    254: "exp",
}
UPPER = {6: "tcp", 17: "udp", 47: "gre"}
#: UDP ports of tunnels.
TUNNEL_PORTS = {4789: "vxlan", 4790: "vxlan", 6081: "geneve", 4754: "gre"}
#: Numbers by which headers name one another, where a kind has just one.
NUMBERS = {"hbh": 0, "rt": 43, "frag": 44, "ah": 51, "dstopts": 60, "mh": 135, "hip": 139, "shim6": 140, "exp": 253,
           "tcp": 6, "udp": 17, "gre": 47, "ipv4": 4, "ipv6": 41}  # fmt: skip


class Header(NamedTuple):
    """One header.

    Attributes:
        kind: "eth", "vlan", "ipv4", "ipv6", "hbh", "option", "tcp", ...; "upper" for a protocol without fields here.
        start: offset of its first byte.
        end: offset behind its last byte that is there.
        number: what names it: an EtherType, a protocol number, an option type.
        link: offset of the field that names it, 0 if none does.
        lengths: offsets of the 16-bit length fields that count its bytes.
    """

    kind: str
    start: int
    end: int
    number: int = 0
    link: int = 0
    lengths: tuple[int, ...] = ()


#: Kind -> fields as (name, offset, bytes, plain value); a plain value of -1 follows from the rest of the frame.
FIELDS: dict[str, tuple[tuple[str, int, int, int], ...]] = {
    "eth": (("dst", 0, 6, int.from_bytes(craft.DESTINATION_MAC, "big")),
            ("src", 6, 6, int.from_bytes(craft.SOURCE_MAC, "big")), ("type", 12, 2, -1)),
    "vlan": (("tci", 0, 2, 0), ("type", 2, 2, -1)),
    "ipv4": (("version-ihl", 0, 1, 0x45), ("tos", 1, 1, 0), ("total", 2, 2, -1), ("id", 4, 2, 0), ("frag", 6, 2, 0),
             ("ttl", 8, 1, 64), ("protocol", 9, 1, -1), ("checksum", 10, 2, 0),
             ("src", 12, 4, int.from_bytes(craft.SOURCE4, "big")),
             ("dst", 16, 4, int.from_bytes(craft.DESTINATION4, "big"))),
    "ipv4-option": (("type", 0, 1, 1), ("len", 1, 1, -1)),
    "ipv6": (("version", 0, 1, 0x60), ("label", 1, 3, 0), ("payload", 4, 2, -1), ("next", 6, 1, -1),
             ("hops", 7, 1, 64), ("src", 8, 16, int.from_bytes(craft.SOURCE6, "big")),
             ("dst", 24, 16, int.from_bytes(craft.DESTINATION6, "big"))),
    "hbh": (("next", 0, 1, -1), ("len", 1, 1, 0)),
    "dstopts": (("next", 0, 1, -1), ("len", 1, 1, 0)),
    "option": (("type", 0, 1, 1), ("len", 1, 1, -1)),
    "rt": (("next", 0, 1, -1), ("len", 1, 1, 2), ("type", 2, 1, 2), ("left", 3, 1, 1), ("reserved", 4, 4, 0),
           ("address", 8, 16, int.from_bytes(craft.ROUTE, "big"))),
    "frag": (("next", 0, 1, -1), ("reserved", 1, 1, 0), ("offset", 2, 2, 0), ("id", 4, 4, 0)),
    "ah": (("next", 0, 1, -1), ("len", 1, 1, 4), ("reserved", 2, 2, 0), ("spi", 4, 4, 0), ("sequence", 8, 4, 0)),
    "mh": (("next", 0, 1, -1), ("len", 1, 1, 0)),
    "hip": (("next", 0, 1, -1), ("len", 1, 1, 0)),
    "shim6": (("next", 0, 1, -1), ("len", 1, 1, 0)),
    "exp": (("next", 0, 1, -1), ("len", 1, 1, 0)),
    "tcp": (("sport", 0, 2, craft.SOURCE_PORT), ("dport", 2, 2, craft.DESTINATION_PORT), ("seq", 4, 4, 0),
            ("ack", 8, 4, 0), ("offset", 12, 1, 0x50), ("flags", 13, 1, 0x10), ("window", 14, 2, 0),
            ("checksum", 16, 2, 0), ("urgent", 18, 2, 0)),
    "udp": (("sport", 0, 2, craft.SOURCE_PORT), ("dport", 2, 2, craft.DESTINATION_PORT), ("length", 4, 2, -1),
            ("checksum", 6, 2, 0)),
    "gre": (("flags", 0, 2, 0), ("type", 2, 2, -1)),
    "vxlan": (("flags", 0, 1, 8), ("reserved", 1, 3, 0), ("vni", 4, 4, 0)),
    "geneve": (("length", 0, 1, 0), ("control", 1, 1, 0), ("type", 2, 2, -1), ("vni", 4, 4, 0)),
}  # fmt: skip

#: Fields that decide how a frame is read, so that mutation tries them more often.
DECIDING = frozenset({
    "type", "version-ihl", "total", "frag", "protocol", "len", "version", "payload", "next", "left", "reserved",
    "offset", "length", "sport", "dport", "flags",
})  # fmt: skip


def headers(frame: bytes) -> list[Header]:
    """Return the headers of a frame in order; an option stands behind the header that holds it."""
    found: list[Header] = []
    _ethernet(frame, 0, len(frame), 0, 0, (), found)
    return found


def _word(frame: bytes | bytearray, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]


def _ethernet(
    frame: bytes, start: int, end: int, number: int, link: int, lengths: tuple[int, ...], found: list[Header]
) -> None:
    if end - start < 14:
        if end > start:
            found.append(Header("rest", start, end, lengths=lengths))
        return
    found.append(Header("eth", start, start + 14, number, link, lengths))
    at = start + 12
    kind = _word(frame, at)
    while kind in TAGS and at + 6 <= end and len(found) < MOST_HEADERS:
        found.append(Header("vlan", at + 2, at + 6, kind, at, lengths))
        at += 4
        kind = _word(frame, at)
    _network(frame, at + 2, end, kind, at, lengths, found)


def _network(
    frame: bytes, start: int, end: int, number: int, link: int, lengths: tuple[int, ...], found: list[Header]
) -> None:
    """Walk what an EtherType at `link` announces at `start`."""
    kind = NETWORK.get(number)
    if len(found) >= MOST_HEADERS:
        return
    if start >= end:
        # Announced, and nothing of it is there.
        found.append(Header("rest", end, end, number, link, lengths))
    elif kind is None:
        found.append(Header("rest", start, end, number, link, lengths))
    elif kind == "ipv4":
        size = max((frame[start] & 15) * 4, 20)
        inside = (*lengths, start + 2)
        found.append(Header("ipv4", start, min(start + 20, end), number, link, inside))
        if start + 20 > end:
            return
        stop = min(start + size, end)
        _ipv4_options(frame, start + 20, stop, inside, found)
        if _word(frame, start + 6) & 0x1FFF:
            _rest(stop, end, frame[start + 9], start + 9, inside, found)
            return
        _upper(frame, stop, end, frame[start + 9], start + 9, inside, found)
    else:
        inside = (*lengths, start + 4)
        found.append(Header("ipv6", start, min(start + 40, end), number, link, inside))
        if start + 40 <= end:
            _chain(frame, start + 40, end, start + 6, inside, found)


def _ipv4_options(frame: bytes, at: int, end: int, lengths: tuple[int, ...], found: list[Header]) -> None:
    while at < end and len(found) < MOST_HEADERS:
        size = 1 if frame[at] in {0, 1} or at + 1 >= end else max(frame[at + 1], 2)
        found.append(Header("ipv4-option", at, min(at + size, end), frame[at], 0, lengths))
        at += size


def _chain(frame: bytes, at: int, end: int, link: int, lengths: tuple[int, ...], found: list[Header]) -> None:
    """Walk extension headers; `link` is where the first is named."""
    while len(found) < MOST_HEADERS:
        number = frame[link]
        kind = EXTENSIONS.get(number)
        if kind is None:
            _upper(frame, at, end, number, link, lengths, found)
            return
        if at + 2 > end:
            _rest(at, end, number, link, lengths, found)
            return
        size = (frame[at + 1] + 2) * 4 if kind == "ah" else (frame[at + 1] + 1) * 8
        if kind == "frag":
            size = 8
        stop = min(at + size, end)
        found.append(Header(kind, at, stop, number, link, lengths))
        if kind in {"hbh", "dstopts"}:
            _options(frame, at + 2, stop, lengths, found)
        if at + size > end:
            return
        if kind == "frag" and _word(frame, at + 2) & 0xFFF8:
            _rest(stop, end, frame[at], at, lengths, found)
            return
        link, at = at, stop


def _options(frame: bytes, at: int, end: int, lengths: tuple[int, ...], found: list[Header]) -> None:
    while at < end and len(found) < MOST_HEADERS:
        size = 1 if frame[at] == 0 else 2 + (frame[at + 1] if at + 1 < end else 0)
        if frame[at]:
            found.append(Header("option", at, min(at + size, end), frame[at], 0, lengths))
        at += size


def _upper(
    frame: bytes, at: int, end: int, number: int, link: int, lengths: tuple[int, ...], found: list[Header]
) -> None:
    if len(found) >= MOST_HEADERS:
        return
    if number in {4, 41} and at < end:
        _network(frame, at, end, 0x0800 if number == 4 else 0x86DD, link, lengths, found)
        return
    kind = UPPER.get(number)
    if kind is None or at >= end:
        _rest(at, end, number, link, lengths, found)
    elif kind == "tcp":
        found.append(Header("tcp", at, min(at + 20, end), number, link, lengths))
        _rest(at + 20, end, 0, 0, lengths, found)
    elif kind == "gre":
        _gre(frame, at, end, number, link, lengths, found)
    else:
        inside = (*lengths, at + 4)
        found.append(Header("udp", at, min(at + 8, end), number, link, inside))
        tunnel = TUNNEL_PORTS.get(_word(frame, at + 2)) if at + 16 <= end else None
        if tunnel == "gre":
            _gre(frame, at + 8, end, 0, 0, inside, found)
        elif tunnel:
            found.append(Header(tunnel, at + 8, at + 16, 0, 0, inside))
            inner = at + 16 + ((frame[at + 8] & 63) * 4 if tunnel == "geneve" else 0)
            if tunnel == "geneve" and _word(frame, at + 10) in NETWORK:
                _network(frame, inner, end, _word(frame, at + 10), at + 10, inside, found)
            else:
                _ethernet(frame, inner, end, 0, 0, inside, found)
        else:
            _rest(at + 8, end, 0, 0, inside, found)


def _gre(
    frame: bytes, at: int, end: int, number: int, link: int, lengths: tuple[int, ...], found: list[Header]
) -> None:
    if at + 4 > end:
        _rest(at, end, number, link, lengths, found)
        return
    size = 4 + 4 * (_word(frame, at) & 0xB000).bit_count()
    found.append(Header("gre", at, min(at + size, end), number, link, lengths))
    if _word(frame, at + 2) == 0x6558:
        _ethernet(frame, at + size, end, 0, 0, lengths, found)
    else:
        _network(frame, at + size, end, _word(frame, at + 2), at + 2, lengths, found)


def _rest(at: int, end: int, number: int, link: int, lengths: tuple[int, ...], found: list[Header]) -> None:
    if at < end or link:
        found.append(Header("upper" if link else "rest", min(at, end), end, number, link, lengths))


# ------------------------------------------------------------------------------------------------ editing


def without(frame: bytes, header: Header, follower: int | None = None) -> bytes:
    """Return the frame without a header; lengths that counted it, and what named it, follow.

    `follower` is the number of what stood behind it, for a header that is named by one.
    """
    changed = bytearray(frame)
    if header.link and follower is not None:
        width = 2 if header.number > 255 else 1
        changed[header.link:header.link + width] = follower.to_bytes(width, "big")
    _adjust(changed, header.lengths, header.start, header.start - header.end)
    del changed[header.start:header.end]
    return bytes(changed)


def inserted(frame: bytes, at: int, data: bytes, lengths: tuple[int, ...], link: int = 0, number: int = 0) -> bytes:
    """Return the frame with bytes put in at an offset; `link` then names them by `number`."""
    changed = bytearray(frame)
    if link:
        width = 2 if number > 255 else 1
        changed[link:link + width] = number.to_bytes(width, "big")
    _adjust(changed, lengths, at, len(data))
    changed[at:at] = data
    return bytes(changed)


def _adjust(frame: bytearray, lengths: tuple[int, ...], start: int, change: int) -> None:
    """Change the length fields in front of `start` with what they count."""
    for at in lengths:
        if at < start and at + 2 <= len(frame):
            value = _word(frame, at) + change
            if 0 <= value <= 0xFFFF:
                frame[at:at + 2] = value.to_bytes(2, "big")


def follower(frame: bytes, header: Header) -> int | None:
    """Return the number by which a header names what follows it, None if it has no such field."""
    if header.kind == "vlan" and header.end <= len(frame):
        return _word(frame, header.end - 2)
    if header.kind in EXTENSIONS.values() and header.start < len(frame):
        return frame[header.start]
    return None
