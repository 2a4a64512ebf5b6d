"""Mutation of frames and configurations, by what they are made of and by their bytes.

A frame is laid out once (`Layout`), then many children are drawn from it: most differ in a few fields, some in their
headers. That keeps a child near two microseconds, so that the targets are what takes the time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from vnethash.fuzz import seeds
from vnethash.fuzz.anatomy import (
    DECIDING,
    EXTENSIONS,
    FIELDS,
    NUMBERS,
    Header,
    follower,
    headers,
    inserted,
    without,
)
from vnethash.fuzz.case import KEYS
from vnethash.spec import craft
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import ALL_HASH_TYPES, ALL_TUNNEL_TYPES, HashType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from vnethash.targets.base import Capabilities

#: Numbers that headers and their documents use, and those beside the limits of their fields.
OCTETS = tuple(sorted({
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 20, 24, 31, 32, 33, 40, 41, 43, 44, 47, 50, 51, 58, 59, 60, 64,
    0x45, 0x46, 0x4F, 0x50, 0x54, 0x65, 127, 128, 131, 132, 135, 136, 137, 139, 140, 0xC9, 253, 254,
    255,
}))  # fmt: skip
WORDS = tuple(sorted({
    0, 1, 2, 7, 8, 9, 19, 20, 21, 28, 39, 40, 41, 53, 64, 68, 80, 443, 500, 1500, 0x0800, 0x0806, 0x2000, 0x4000,
    0x6558, 0x6000, 0x8000, 0x8100, 0x86DD, 0x8847, 0x8864, 0x88A8, 0x9100, 4500, 4754, 4789, 4790, 6081, 8472, 0x7FFF,
    0xFFF8, 0xFFFF,
}))  # fmt: skip
ADDRESSES = tuple(dict.fromkeys(
    address for flow in (*craft.FLOWS4, *craft.FLOWS6) for address in (flow.source, flow.destination)
))  # fmt: skip

#: Bytes of a frame that mutation makes.
LONGEST = 1500
_BITS = 48


class Layout:
    """A frame with its headers and the fields that mutation may change."""

    __slots__ = ("frame", "headers", "places")

    def __init__(self, frame: bytes) -> None:
        self.frame = frame
        self.headers = headers(frame)
        places: list[tuple[int, int]] = []
        length = len(frame)
        for header in self.headers:
            kind, start = header.kind, header.start
            for offset, size, times in _FIELDS.get(kind, ()):
                at = start + offset
                if at + size <= length:
                    places += [(at, size)] * times
            if kind in _WHOLE and start < length:
                places.append((start, max(1, header.end - start)))
        #: Offset and size of what can be changed in place; fields that decide stand in it more often.
        self.places = tuple(places) or ((0, max(1, length)),)


#: Kind of header -> offset and size of its fields, and how often each is among the places.
_FIELDS = {
    kind: tuple((offset, size, 4 if name in DECIDING else 2) for name, offset, size, _ in fields)
    for kind, fields in FIELDS.items()
}
_WHOLE = frozenset({"rest", "option"})


def children(rng: Random, layout: Layout, count: int, others: Sequence[bytes]) -> list[bytes]:
    """Return `count` mutants of a frame; `others` are frames to take pieces from."""
    bits, choice = rng.getrandbits, layout.places
    frame, many = layout.frame, len(layout.places)
    length = len(frame)
    made = []
    for _ in range(count):
        roll = bits(_BITS)
        if length == 0 or roll & 15 == 0:
            child = _restructured(rng, layout, others)
            if roll & 0x30 == 0:
                child = _sprinkled(rng, child)
            made.append(child)
            continue
        changed = bytearray(frame)
        roll >>= 4
        times = _TIMES[roll & 15]
        roll >>= 4
        while True:
            at, size = choice[roll % many]
            roll = bits(_BITS)
            if size == 1:
                changed[at] = _octet(roll, changed[at])
            elif size == 2:
                value = _word(roll, changed[at] << 8 | changed[at + 1], length - at)
                changed[at] = value >> 8
                changed[at + 1] = value & 0xFF
            else:
                _bytes(roll, changed, at, min(size, length - at))
            if times == 0:
                break
            times -= 1
            roll = bits(_BITS)
        made.append(bytes(changed))
    return made


#: How many more fields are changed after the first.
_TIMES = (0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 7)


def _octet(roll: int, old: int) -> int:
    how = roll & 7
    roll >>= 3
    if how < 2:
        return roll & 0xFF
    if how < 4:
        return OCTETS[roll % len(OCTETS)]
    if how == 4:
        return (old + 1 + (roll & 3)) & 0xFF
    if how == 5:
        return (old - 1 - (roll & 3)) & 0xFF
    return old ^ (1 << (roll & 7))


def _word(roll: int, old: int, left: int) -> int:
    how = roll & 7
    roll >>= 3
    if how == 0:
        return roll & 0xFFFF
    if how == 1:
        return roll & 0xFF
    if how == 2:
        return WORDS[roll % len(WORDS)]
    if how == 3:
        return max(0, left - 12 + roll % 25) & 0xFFFF
    if how == 4:
        return (old + 1 + (roll & 15)) & 0xFFFF
    if how == 5:
        return (old - 1 - (roll & 15)) & 0xFFFF
    return old ^ (1 << (roll & 15))


def _bytes(roll: int, frame: bytearray, at: int, size: int) -> None:
    how = roll & 3
    roll >>= 2
    if how == 0 and size in {4, 16}:
        address = ADDRESSES[roll % len(ADDRESSES)]
        frame[at:at + size] = (address * 4)[:size]
    elif how == 1:
        frame[at:at + size] = bytes(size) if roll & 1 else b"\xff" * size
    else:
        place = at + (roll & 0xFFFF) % size
        frame[place] = _octet(roll >> 16, frame[place])


def _sprinkled(rng: Random, frame: bytes) -> bytes:
    """Change one field more, after the headers have changed."""
    layout = Layout(frame)
    changed = bytearray(frame)
    if changed:
        at, size = rng.choice(layout.places)
        _bytes(rng.getrandbits(_BITS) | 2, changed, at, max(1, min(size, len(changed) - at)))
    return bytes(changed)


# ------------------------------------------------------------------------------------------------ structure


def _restructured(rng: Random, layout: Layout, others: Sequence[bytes]) -> bytes:
    for _ in range(4):
        child = rng.choice(_OPERATIONS)(rng, layout, others)
        if child is not None:
            return child[:LONGEST]
    return layout.frame[:rng.randrange(len(layout.frame) + 1)]


def _of(layout: Layout, *kinds: str) -> list[Header]:
    return [header for header in layout.headers if header.kind in kinds]


def _insert_extension(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    spots = [header for header in layout.headers if header.link and header.number < 256 and header.kind != "ipv4"]
    inside = [header for header in spots if _of(layout, "ipv6") and header.start > _of(layout, "ipv6")[0].start]
    if not inside:
        return None
    spot = rng.choice(inside)
    part = rng.choice(seeds.extensions())
    data = bytes([spot.number & 0xFF]) + part.data[1:]
    lengths = tuple(at for at in spot.lengths if at < spot.start)
    return inserted(layout.frame, spot.start, data, lengths, spot.link, part.number)


def _insert_option(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    spots = _of(layout, "hbh", "dstopts")
    if spots:
        spot = rng.choice(spots)
        data = rng.choice(seeds.options())
        data += bytes(-len(data) % 8)
        within = [each.start for each in layout.headers if each.kind == "option" and spot.start < each.start < spot.end]
        changed = bytearray(inserted(layout.frame, rng.choice([spot.start + 2, *within]), data, spot.lengths))
        changed[spot.start + 1] = (changed[spot.start + 1] + len(data) // 8) & 0xFF
        return bytes(changed)
    network = _of(layout, "ipv4")
    if network and network[0].start + 20 <= len(layout.frame) and layout.frame[network[0].start] & 15 < 13:
        spot = rng.choice(network)
        data = rng.choice((b"\1\1\1\1", b"\x94\4\0\0", b"\x83\7\4\1\2\3\4\0", b"\x07\7\4\0\0\0\0\0", b"\x44\4\5\0"))
        changed = bytearray(inserted(layout.frame, spot.start + 20, data, spot.lengths))
        changed[spot.start] = changed[spot.start] & 0xF0 | (changed[spot.start] + len(data) // 4) & 15
        return bytes(changed)
    return None


def _insert_tag(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    frame = layout.frame
    if len(frame) < 14:
        return None
    return frame[:12] + rng.choice((b"\x81\0", b"\x88\xa8", b"\x91\0")) + rng.randbytes(2) + frame[12:]


def _remove(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    spots = [header for header in layout.headers if header.kind not in {"eth", "ipv4", "ipv6"}]
    if not spots:
        return None
    spot = rng.choice(spots)
    return without(layout.frame, spot, follower(layout.frame, spot))


def _repeat(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    spots = [header for header in layout.headers if header.kind in {*EXTENSIONS.values(), "vlan"}]
    if not spots:
        return None
    spot = rng.choice(spots)
    data = layout.frame[spot.start:spot.end]
    if spot.kind == "vlan":
        return layout.frame[:spot.start - 2] + layout.frame[spot.start - 2:spot.end - 2] + layout.frame[spot.start - 2:]
    if not data:
        return None
    data = (bytes([spot.number & 0xFF]) + data[1:]) * _times(rng, len(data), len(layout.frame))
    return inserted(layout.frame, spot.start, data, spot.lengths, spot.link, spot.number)


def _times(rng: Random, size: int, length: int) -> int:
    """Return how often something is repeated, as far as there is room."""
    return max(1, min(rng.choice(_REPEATED), (LONGEST - length) // max(1, size)))


#: Once mostly, or as often as powers of two and the numbers beside them.
_REPEATED = (1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 7, 8, 9, 10, 15, 16, 17, 29, 30, 31, 32, 33)


def _repeat_option(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """Put an option many times in front of one that is there, padded to whole units."""
    spots = [header for header in _of(layout, "hbh", "dstopts") if header.start + 1 < len(layout.frame)]
    if not spots:
        return None
    spot = rng.choice(spots)
    data = rng.choice((b"\0", craft.padn(0), craft.padn(1), craft.padn(2), craft.option(0x1E, bytes(2))))
    data *= _times(rng, len(data), len(layout.frame))
    data += bytes(-len(data) % 8)
    within = [each.start for each in layout.headers if each.kind == "option" and spot.start < each.start < spot.end]
    units = layout.frame[spot.start + 1] + len(data) // 8
    if units > 255:
        return None
    changed = bytearray(inserted(layout.frame, rng.choice([spot.start + 2, *within]), data, spot.lengths))
    changed[spot.start + 1] = units
    return bytes(changed)


def _swap(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """Change the order of two extension headers that stand side by side."""
    chain = [header for header in layout.headers if header.kind in EXTENSIONS.values() and header.link]
    pairs = [(one, two) for one, two in pairwise(chain) if one.end == two.start < two.end]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    frame = layout.frame
    first, second = bytearray(frame[one.start:one.end]), bytearray(frame[two.start:two.end])
    first[0], second[0] = second[0], one.number & 0xFF
    changed = bytearray(frame[:one.start] + second + first + frame[two.end:])
    changed[one.link] = two.number & 0xFF
    return bytes(changed)


def _cut(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """End the frame in or beside a header, with the lengths following or not."""
    if not layout.headers:
        return None
    spot = rng.choice(layout.headers)
    end = min(max(rng.choice((spot.start, spot.end)) + rng.randrange(-3, 4), 0), len(layout.frame))
    if rng.random() < 0.5:
        return layout.frame[:end]
    gone = Header("rest", end, len(layout.frame), lengths=spot.lengths)
    return without(layout.frame, gone)


def _extend(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """Put bytes behind the end, counted or not."""
    data = rng.randbytes(rng.choice((1, 2, 4, 8, 18, 20, 40)))
    if rng.random() < 0.5 or not layout.headers:
        return layout.frame + data
    return inserted(layout.frame, len(layout.frame), data, layout.headers[-1].lengths)


def _change_upper(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    spots = [header for header in layout.headers if header.link and header.number < 256]
    if not spots:
        return None
    spot = spots[-1] if rng.random() < 0.7 else rng.choice(spots)
    part = rng.choice(seeds.uppers())
    gone = Header("rest", spot.start, len(layout.frame), lengths=tuple(at for at in spot.lengths if at < spot.start))
    short = without(layout.frame, gone)
    return inserted(short, spot.start, part.data, gone.lengths, spot.link, part.number)


def _resize(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """Make a header with a length field longer or shorter, its bytes with it."""
    sized = _of(layout, "hbh", "dstopts", "rt", "mh", "hip", "exp", "ah")
    spots = [each for each in sized if each.end - each.start > 1]
    if not spots:
        return None
    spot = rng.choice(spots)
    unit = 4 if spot.kind == "ah" else 8
    change = rng.choice((-2, -1, -1, 1, 1, 1, 2, 3, 7))
    old = layout.frame[spot.start + 1]
    if not 0 <= old + change <= 255:
        return None
    if change > 0:
        # One PadN where that fits, so that options still read well.
        data = craft.padn(change * unit - 2) if change * unit - 2 < 256 else bytes(change * unit)
        changed = bytearray(inserted(layout.frame, spot.end, data, spot.lengths))
    else:
        gone = Header("rest", max(spot.start + 2, spot.end + change * unit), spot.end, lengths=spot.lengths)
        changed = bytearray(without(layout.frame, gone))
    changed[spot.start + 1] = old + change
    return bytes(changed)


def _nest(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """Put the packet into another one."""
    inner = [header for header in layout.headers if header.kind in {"ipv4", "ipv6"}]
    if not inner:
        return None
    number = NUMBERS[inner[0].kind]
    part = craft.Part(number, layout.frame[inner[0].start:])
    maker = rng.choice((craft.ipv4, craft.ipv6))
    shape = rng.randrange(4)
    if shape == 0:
        return craft.ethernet(maker(part))
    if shape == 1:
        return craft.ethernet(maker(craft.gre(part)))
    return craft.ethernet(maker(craft.vxlan(layout.frame) if shape == 2 else craft.geneve(part)))


def _cross(rng: Random, layout: Layout, others: Sequence[bytes]) -> bytes | None:
    """Take the front of this frame and the back of another, where both name a next header."""
    if not others:
        return None
    other = rng.choice(others)
    mine = [header for header in layout.headers if header.link]
    theirs = [header for header in headers(other) if header.link]
    if not mine or not theirs:
        return None
    one = rng.choice(mine)
    matching = [each for each in theirs if (each.number > 255) == (one.number > 255)]
    if not matching:
        return None
    two = rng.choice(matching)
    data = other[two.start:]
    gone = Header("rest", one.start, len(layout.frame), lengths=tuple(at for at in one.lengths if at < one.start))
    return inserted(without(layout.frame, gone), one.start, data, gone.lengths, one.link, two.number)


def _by_bytes(rng: Random, layout: Layout, _: Sequence[bytes]) -> bytes | None:
    """Insert, drop or repeat bytes anywhere, as a fuzzer does that knows nothing of frames."""
    frame = layout.frame
    at = rng.randrange(len(frame) + 1)
    count = rng.choice((1, 1, 2, 4, 8, 16))
    how = rng.randrange(3)
    if how == 0:
        return frame[:at] + rng.randbytes(count) + frame[at:]
    if how == 1:
        return frame[:at] + frame[at + count:]
    return frame[:at] + frame[max(0, at - count):at] + frame[at:]


_OPERATIONS: tuple[Callable[[Random, Layout, Sequence[bytes]], bytes | None], ...] = (
    _insert_extension, _insert_extension, _insert_extension, _insert_option, _insert_option, _insert_tag, _remove,
    _repeat, _repeat_option, _swap, _cut, _cut, _extend, _change_upper, _change_upper, _resize, _resize, _nest, _cross,
    _cross, _by_bytes,
)


# ------------------------------------------------------------------------------------------------ configurations


def mutated_configuration(rng: Random, old: Configuration, capabilities: Capabilities) -> Configuration:
    """Return a configuration that differs in one respect, within what a target can take."""
    roll = rng.randrange(12)
    if roll < 4:
        types = rng.choice((
            old.hash_types ^ (1 << rng.randrange(9)), 1 << rng.randrange(9), ALL_HASH_TYPES & ~(1 << rng.randrange(9)),
            rng.randrange(ALL_HASH_TYPES + 1), ALL_HASH_TYPES, int(HashType.IPV4 | HashType.IPV6),
        ))  # fmt: skip
        return replace(old, hash_types=types & capabilities.hash_types)
    if roll < 6:
        key = rng.choice((*KEYS, rng.randbytes(40), rng.randbytes(min(capabilities.max_key_size, 40))))
        return replace(old, key=key[:capabilities.max_key_size])
    if roll < 8:
        most = capabilities.max_indirection_table_length.bit_length() - 1
        size = 1 << rng.randrange(min(most, 8) + 1)
        table = rng.choice((
            tuple(range(size)), tuple(range(size - 1, -1, -1)), tuple(rng.randrange(128) for _ in range(size)),
            tuple(index % 4 for index in range(size)),
        ))  # fmt: skip
        return replace(old, indirection_table=table)
    if roll == 8:
        return replace(old, unclassified_queue=rng.choice((0, 1, 127, 128, 200, rng.randrange(256))))
    if roll == 9 and capabilities.tunnel_types and "HASH_TUNNEL" in capabilities.features:
        types = rng.choice((1 << rng.randrange(9), ALL_TUNNEL_TYPES, 0, rng.randrange(512)))
        return replace(
            old, features=old.features | {"HASH_TUNNEL"}, tunnel_types=types & capabilities.tunnel_types & 0xFF
        )
    if roll == 10:
        return replace(old, features=_features(rng, capabilities), tunnel_types=0)
    return Configuration()


def _features(rng: Random, capabilities: Capabilities) -> frozenset[str]:
    usable = [name for name in ("RSS", "HASH_REPORT") if name in capabilities.features]
    return frozenset(rng.sample(usable, rng.randrange(1, len(usable) + 1))) if usable else frozenset({"RSS"})


@cache
def dictionary() -> tuple[bytes, ...]:
    """Return the pieces that an engine which works on bytes may put in: numbers, headers, options, addresses."""
    pieces = [word.to_bytes(2, "big") for word in WORDS]
    pieces += [part.data for part in (*seeds.extensions(), *seeds.uppers()) if len(part.data) <= 64]
    pieces += [*seeds.options(), *ADDRESSES]
    return tuple(dict.fromkeys(piece for piece in pieces if piece))
