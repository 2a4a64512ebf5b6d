"""A frame in one line: its headers, as far as they can be made out.

`summarize` has a walker of its own, which takes every frame as it is and trusts no length in it: it says what is there,
not what the specification makes of it.
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

from vnethash.spec.text import clip

#: Characters of a summary.
LONGEST = 160
#: Headers that a summary looks at.
MOST_HEADERS = 80

TAGS = {0x8100: "8100", 0x88A8: "88a8", 0x9100: "9100"}
ETHERTYPES = {0x0806: "arp", 0x88CC: "lldp", 0x8863: "pppoe discovery", 0x8848: "mpls multicast"}
PROTOCOLS = {1: "icmp", 2: "igmp", 33: "dccp", 50: "esp", 132: "sctp", 136: "udplite"}
EXTENSIONS = {0: "hbh", 43: "rt", 44: "frag", 51: "ah", 60: "dstopts", 135: "mh", 139: "hip", 140: "shim6"}
TUNNEL_PORTS = {4754: "gre", 4789: "vxlan", 8472: "vxlan", 4790: "gpe", 6081: "geneve"}


class Place(NamedTuple):
    """What stands where: kind "eth", "type" (an EtherType), "ip" (a protocol number), "" for nothing."""

    kind: str
    number: int
    start: int
    end: int
    version: int = 0


END = Place("", 0, 0, 0)


def summarize(frame: bytes) -> str:
    """Return the headers of a frame on one line, at most 160 characters: "eth/vlan(8100)/ipv6/dstopts(hao)/udp"."""
    words: list[str] = []
    place = Place("eth", 0, 0, len(frame))
    while place.kind and len(words) < MOST_HEADERS:
        place = _step(frame, place, words)
    parts = []
    for word, run in groupby(words):
        count = sum(1 for _ in run)
        parts.append(word if count == 1 else f"{word}*{count}")
    return clip("/".join(parts), LONGEST)


def _step(frame: bytes, place: Place, words: list[str]) -> Place:
    """Describe what stands at a place and return where the next header stands."""
    if place.kind == "eth":
        return _ethernet(frame, place, words)
    if place.kind == "type":
        return _carried(frame, place, words)
    if place.version == 6 and (place.number in EXTENSIONS or place.number in {253, 254}):
        return _extension(frame, place, words)
    return _upper(frame, place, words)


def _word(frame: bytes, offset: int) -> int:
    return int.from_bytes(frame[offset:offset + 2], "big")


def _size(place: Place) -> int:
    return max(place.end - place.start, 0)


def _named(name: str, notes: list[str]) -> str:
    return f"{name}({' '.join(notes)})" if notes else name


# ------------------------------------------------------------------------------------------------ link


def _ethernet(frame: bytes, place: Place, words: list[str]) -> Place:
    if _size(place) < 14:
        words.append(f"eth cut({_size(place)})" if _size(place) else "nothing")
        return END
    words.append("eth")
    return Place("type", _word(frame, place.start + 12), place.start + 14, place.end)


def _carried(frame: bytes, place: Place, words: list[str]) -> Place:
    """Describe what an EtherType names."""
    kind, start, end = place.number, place.start, place.end
    if kind in TAGS:
        if _size(place) < 4:
            words.append(f"vlan({TAGS[kind]}) cut({_size(place)})")
            return END
        words.append(f"vlan({TAGS[kind]})")
        return Place("type", _word(frame, start + 2), start + 4, end)
    if kind < 0x600:
        if _size(place) >= 8 and frame[start:start + 3] == b"\xaa\xaa\x03":
            oui = frame[start + 3:start + 6]
            words.append("snap" if oui == bytes(3) else f"snap({oui.hex()})")
            return Place("type", _word(frame, start + 6), start + 8, end)
        words.append(f"llc cut({_size(place)})" if _size(place) < 3 else "llc")
        return END
    if kind == 0x8864:
        return _pppoe(frame, place, words)
    if kind == 0x8847:
        return _mpls(frame, place, words)
    if kind == 0x0800:
        return _ipv4(frame, place, words)
    if kind == 0x86DD:
        return _ipv6(frame, place, words)
    words.append(ETHERTYPES.get(kind, f"type({kind:04x})"))
    return END


def _pppoe(frame: bytes, place: Place, words: list[str]) -> Place:
    if _size(place) < 8:
        words.append(f"pppoe cut({_size(place)})")
        return END
    protocol = _word(frame, place.start + 6)
    kind = {0x0021: 0x0800, 0x0057: 0x86DD}.get(protocol)
    words.append("pppoe" if kind else f"pppoe({protocol:04x})")
    return Place("type", kind, place.start + 8, place.end) if kind else END


def _mpls(frame: bytes, place: Place, words: list[str]) -> Place:
    offset, labels, bottom = place.start, 0, False
    while not bottom and offset + 4 <= place.end and labels < MOST_HEADERS:
        bottom = frame[offset + 2] & 1 == 1
        offset, labels = offset + 4, labels + 1
    words.append(f"mpls({labels})" if bottom else f"mpls({labels} without a bottom)")
    if not bottom or offset >= place.end:
        return END
    kind = {4: 0x0800, 6: 0x86DD}.get(frame[offset] >> 4)
    return Place("type", kind, offset, place.end) if kind else END


# ------------------------------------------------------------------------------------------------ network


def _ipv4(frame: bytes, place: Place, words: list[str]) -> Place:
    start, end = place.start, place.end
    if _size(place) < 20:
        words.append(f"ipv4 cut({_size(place)})")
        return END
    notes = []
    version, ihl = frame[start] >> 4, frame[start] & 15
    total, fragment = _word(frame, start + 2), _word(frame, start + 6)
    if version != 4:
        notes.append(f"version {version}")
    if ihl != 5:
        notes.append(f"ihl {ihl}")
    if start + total > end or total < max(ihl, 5) * 4:
        notes.append(f"total {total} of {end - start}")
    notes += [name for bit, name in ((0x8000, "reserved"), (0x4000, "df"), (0x2000, "mf")) if fragment & bit]
    if fragment & 0x1FFF:
        notes.append(f"off {(fragment & 0x1FFF) * 8}")
    padding = end - start - total if max(ihl, 5) * 4 <= total < end - start else 0
    if padding:
        notes.append(f"{padding} behind")
    words.append(_named("ipv4", notes))
    if fragment & 0x1FFF:
        words.append(f"protocol({frame[start + 9]}) payload")
        return END
    return Place("ip", frame[start + 9], start + ihl * 4, end - padding, 4)


def _ipv6(frame: bytes, place: Place, words: list[str]) -> Place:
    start, end = place.start, place.end
    if _size(place) < 40:
        words.append(f"ipv6 cut({_size(place)})")
        return END
    notes = []
    version, payload = frame[start] >> 4, _word(frame, start + 4)
    there = end - start - 40
    if version != 6:
        notes.append(f"version {version}")
    if payload > there or (payload == 0 and there):
        notes.append(f"payload {payload} of {there}")
    padding = there - payload if 0 < payload < there else 0
    if padding:
        notes.append(f"{padding} behind")
    words.append(_named("ipv6", notes))
    return Place("ip", frame[start + 6], start + 40, end - padding, 6)


def _extension(frame: bytes, place: Place, words: list[str]) -> Place:
    """Describe one extension header of IPv6."""
    start, end, number = place.start, place.end, place.number
    name = EXTENSIONS.get(number, f"exp {number}")
    needed = {43: 4, 44: 8}.get(number, 2)
    if _size(place) < needed:
        words.append(f"{name} cut({_size(place)})")
        return END
    size = (frame[start + 1] + 1) * 8
    notes: list[str] = []
    if number == 44:
        size = 8
        field = _word(frame, start + 2)
        notes = [f"off {field & 0xFFF8} m {field & 1}"]
        if frame[start + 1]:
            notes.append(f"reserved {frame[start + 1]}")
    elif number == 51:
        size = (frame[start + 1] + 2) * 4
    elif number == 43:
        notes = [f"type {frame[start + 2]} len {frame[start + 1]} left {frame[start + 3]}"]
    elif number in {0, 60}:
        notes = _options(frame, start, min(start + size, end))
    there = start + size <= end
    words.append(_named(name, notes) + ("" if there else f" cut({end - start} of {size})"))
    if not there:
        return END
    if number == 44 and _word(frame, start + 2) & 0xFFF8:
        words.append(f"next({frame[start]}) payload")
        return END
    return Place("ip", frame[start], start + size, end, 6)


def _options(frame: bytes, start: int, stop: int) -> list[str]:
    """Return notes on the options that matter: Home Addresses, those that do not fit, how many if many."""
    notes = []
    offset, count = start + 2, 0
    while offset < stop and frame[offset:offset + 1]:
        count += 1
        kind = frame[offset]
        if kind == 0:
            offset += 1
            continue
        length = frame[offset + 1] if offset + 1 < stop else -1
        beyond = " beyond" if length < 0 or offset + 2 + length > stop else ""
        if kind & 31 == 9:
            name = "hao" if kind == 0xC9 else f"option {kind:02x}"
            wrong = "" if length in {16, -1} else f" len {length}"
            place = "" if (offset - start) % 8 == 6 or wrong or beyond else f" at {offset - start}"
            notes.append(f"{name}{wrong}{place}{beyond}")
        elif beyond:
            notes.append(f"option {kind:02x}{beyond}")
        if beyond:
            break
        offset += 2 + length
    if count > 8:
        notes.append(f"{count} options")
    return notes


# ------------------------------------------------------------------------------------------------ transport


def _upper(frame: bytes, place: Place, words: list[str]) -> Place:
    """Describe what a protocol number names."""
    start, number, size = place.start, place.number, _size(place)
    if number in {6, 17}:
        return _ports(frame, place, words)
    if number in {4, 41}:
        words.append("in")
        return Place("type", 0x0800 if number == 4 else 0x86DD, start, place.end)
    if number == 47:
        return _gre(frame, place, words)
    if number == 59 and place.version == 6:
        words.append("none" if size == 0 else f"none({size} behind)")
        return END
    if number == 51 and place.version == 4 and size >= 12:
        words.append("ah")
        return Place("ip", frame[start], start + (frame[start + 1] + 2) * 4, place.end, 4)
    if number == 58 and place.version == 6:
        words.append(f"icmpv6({frame[start]})" if size else "icmpv6 cut(0)")
        return END
    words.append(PROTOCOLS.get(number, f"protocol({number})") + ("" if size else " cut(0)"))
    return END


def _ports(frame: bytes, place: Place, words: list[str]) -> Place:
    start, end, size = place.start, place.end, _size(place)
    if place.number == 6:
        if size < 20:
            words.append(f"tcp cut({size})")
            return END
        offset = frame[start + 12] >> 4
        words.append("tcp" if 5 <= offset <= size // 4 else f"tcp(offset {offset})")
        return END
    if size < 8:
        words.append(f"udp cut({size})")
        return END
    length, port = _word(frame, start + 4), _word(frame, start + 2)
    words.append("udp" if 8 <= length <= size else f"udp(length {length} of {size})")
    if port not in TUNNEL_PORTS:
        return END
    inside = Place("ip", 47, start + 8, end, place.version)
    if port == 4754:
        return _gre(frame, inside, words)
    name, inner = TUNNEL_PORTS[port], start + 16
    if end < inner:
        words.append(f"{name} cut({end - start - 8})")
        return END
    flags = frame[start + 8]
    if name == "geneve":
        words.append(name)
        kind = _word(frame, start + 10)
        inner += (flags & 63) * 4
    else:
        words.append(name if flags & 8 else f"{name}(no i)")
        kind = {1: 0x0800, 2: 0x86DD}.get(frame[start + 11], 0x6558) if name == "gpe" and flags & 4 else 0x6558
    return Place("eth" if kind == 0x6558 else "type", kind, inner, end)


def _gre(frame: bytes, place: Place, words: list[str]) -> Place:
    start, size = place.start, _size(place)
    if size < 4:
        words.append(f"gre cut({size})")
        return END
    flags, kind = _word(frame, start), _word(frame, start + 2)
    words.append(_named("gre", [f"{flags:04x}"] if flags else []))
    if flags & 0x4007:
        return END
    inner = start + 4 + 4 * (flags & 0xB000).bit_count()
    return Place("eth" if kind == 0x6558 else "type", kind, inner, place.end)
