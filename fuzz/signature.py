"""What is left of a frame and a configuration when the plain is taken away: the features by which causes differ.

A feature is a place and a number: `ipv6.dstopts.len = 3`, `has frag = 1`, `config.hash_types = 2`. Of a reduced
witness every feature is needed for the disagreement, so they are the condition under which the cause shows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

from vnethash.fuzz.anatomy import EXTENSIONS, FIELDS, NETWORK, NUMBERS, Header, headers, inserted, without
from vnethash.spec import craft
from vnethash.spec.configuration import Configuration

#: A condition: sorted (place, number) pairs.
Features = tuple[tuple[str, int], ...]

#: A number in a condition that any number meets, as long as the place is there. Numbers below it are the complement of
#: bits that must be set.
ANY = -2

#: A condition that any extension header meets.
EXTENSION = "has extension"

#: A feature of a frame that comes before, and of which nothing matters.
BEFORE = "frame"

#: How far into a frame its first transport header begins and ends, or where the headers end if there is none. Every
#: frame has these; they are in no signature, but a condition may ask for at least a number of them.
START, END = "transport.start", "transport.end"
DEPTHS = frozenset({START, END})

#: Conditions on hash types that must be enabled, and that must not be: the number is their mask.
WITH, WITHOUT = "config.hash_types with", "config.hash_types without"

_PLAIN_CONFIGURATION = Configuration()
#: Fields of a configuration that are numbers of queues; their least other values are possible everywhere.
_QUEUES = frozenset({"unclassified_queue", "max_tx_vq"})
#: Fields that only say how long something is that is there, and those that reduction always makes plain.
_BODIES = frozenset({"rest", "upper"})
#: Extension headers that say their size.
_EXTENSIONS = frozenset(EXTENSIONS.values())
_SIZED = _EXTENSIONS - {"frag"}


class Signature(NamedTuple):
    """What makes two disagreements of one target the same cause.

    Attributes:
        kind: how the answer is wrong: "unhashed", "hashed", "report", "value", "queue", "error".
        clause: of the rule that the model follows.
        features: of the frame and the configuration.
        before: features of the frames that must come before it, each with its position counted back from it.
    """

    kind: str
    clause: str
    features: Features
    before: Features = ()

    def digest(self, target: str) -> str:
        """Return eight hex digits for a cause of a target."""
        return hashlib.sha256(repr((target, *self)).encode()).hexdigest()[:8]

    def words(self) -> str:
        """Return the condition for people."""
        parts = [_word(place, number) for place, number in self.features]
        text = ", ".join(parts) or "any frame"
        if self.before:
            ahead = [_word_before(*pair) for pair in self.before if not is_any(pair[0])]
            text += f", after a frame with {', '.join(ahead)}" if ahead else ", after any frame"
        return text


def is_any(place: str) -> bool:
    """Say whether a feature is of a frame that comes before and may be any."""
    return place.partition(" ")[2] == BEFORE


def _word_before(place: str, number: int) -> str:
    """Return words for a feature of a frame that comes before: of the last of them it is the feature alone."""
    back, _, rest = place.partition(" ")
    word = _word(rest, number)
    return word if back == "-1" else f"{word} ({back.removeprefix('-')} before)"


def _word(place: str, number: int) -> str:
    if place.startswith("has "):
        kind = place.removeprefix("has ")
        return kind if number == 1 else f"{number} {kind}"
    if number < -1:
        return f"any {place}" if number == ANY else f"{place} & {~number:#x}"
    shown = f"{number:#x}" if number > 255 else str(number)
    return f"{place} {shown}"


def configuration_features(configuration: Configuration, plain: Configuration = _PLAIN_CONFIGURATION) -> Features:
    """Return what of a configuration is not as the plain one has it; a key or table counts by its length."""
    found: list[tuple[str, int]] = []
    if configuration.hash_types != plain.hash_types:
        found.append(("config.hash_types", configuration.hash_types))
    if configuration.key != plain.key:
        number = len(configuration.key)
        found.append(("config.key_length" if number != 40 else "config.other_key", number))
    if configuration.indirection_table != plain.indirection_table:
        found.append(("config.table_length", len(configuration.indirection_table)))
    for name in ("unclassified_queue", "max_tx_vq", "tunnel_types"):
        if getattr(configuration, name) != getattr(plain, name):
            found.append((f"config.{name}", getattr(configuration, name)))
    for name in sorted(configuration.features ^ plain.features):
        found.append((f"config.feature {name}", int(name in configuration.features)))
    return tuple(found)


def reconfigured(configuration: Configuration, place: str, number: int) -> list[Configuration]:
    """Return the configuration with a few other numbers at a place that is a number of queues or of one."""
    name = place.removeprefix("config.")
    if place == name or name not in _QUEUES:
        return []
    changes: list[dict[str, Any]] = [
        {name: other} for other in (2, 3, 4) if other not in {number, getattr(_PLAIN_CONFIGURATION, name)}
    ]
    return [replace(configuration, **change) for change in changes]


def frame_features(frame: bytes) -> Features:
    """Return what of a frame is not as the plain frame (IPv4, UDP, nothing in it) has it."""
    found: set[tuple[str, int]] = set()
    present: Counter[str] = Counter()
    layout = headers(frame)
    for header in layout:
        present[header.kind] += 1
        found.update(odd_fields(frame, header))
    for kind, number in present.items():
        if kind in _BODIES or (kind in {"eth", "ipv4", "udp"} and number == 1) or kind in {"option", "ipv4-option"}:
            continue
        found.add((f"has {kind}", number))
    last = layout[-1] if layout else None
    if last is None or (last.kind == "rest" and last.link == 0 and last.start == 0):
        found.add(("length", len(frame)))
    elif last.kind in _BODIES and last.end > last.start:
        found.add(("payload", last.end - last.start))
    else:
        cut = cut_header(frame, layout)
        if cut is not None:
            found.add((f"{cut.kind}.cut", cut.end - cut.start))
    return tuple(sorted(found))


def cut_header(frame: bytes, layout: list[Header]) -> Header | None:
    """Return the last header if it is not all there; an option may stand behind it, which it holds."""
    holders = [header for header in layout if header.kind not in {"option", "ipv4-option"}]
    if holders and holders[-1].kind in FIELDS and not is_whole(holders[-1], frame):
        return holders[-1]
    return None


def is_whole(header: Header, frame: bytes) -> bool:
    """Say whether all named fields of a header are there, and all that an extension header says it has."""
    if header.kind == "eth":
        return True
    if header.kind in _SIZED:
        unit, more = (4, 2) if header.kind == "ah" else (8, 1)
        there = header.end - header.start
        return there >= 2 and there >= (frame[header.start + 1] + more) * unit
    size = max((offset + size for _, offset, size, _ in FIELDS.get(header.kind, ())), default=0)
    return header.end - header.start >= size


def odd_fields(frame: bytes, header: Header) -> list[tuple[str, int]]:
    """Return the fields of a header that are not plain."""
    found: list[tuple[str, int]] = []
    if header.kind == "vlan" and header.number != 0x8100:
        found.append(("vlan.tag", header.number))
    if header.kind == "upper" or (header.kind == "rest" and header.link):
        found.append(("type" if header.kind == "rest" else "protocol", header.number))
    if header.kind in {"option", "ipv4-option"}:
        if header.number != 1:
            size = header.end - header.start - 2
            found.append((f"{header.kind}.type", header.number))
            length = frame[header.start + 1] if header.start + 1 < header.end else -1
            if (header.number, length) != (0xC9, 16) or size != length:
                found.append((f"{header.kind}.len", length))
        return found
    for name, offset, size, plain in FIELDS.get(header.kind, ()):
        at = header.start + offset
        if at + size > header.end:
            break
        number = int.from_bytes(frame[at:at + size], "big")
        wanted = consistent(frame, header, name) if plain < 0 else plain
        if wanted is not None and number != wanted:
            found.append((f"{header.kind}.{name}", number))
    return found


def consistent(frame: bytes, header: Header, name: str) -> int | None:
    """Return the value of a length field that agrees with the frame, None for a field that is no length."""
    if name == "total":
        return len(frame) - header.start
    if name == "payload":
        return len(frame) - header.start - 40
    if name == "length":
        return len(frame) - header.start
    return None


def depths(frame: bytes) -> Features:
    """Return how far into a frame its first transport header begins and ends; of others the end of the headers."""
    start = end = 0
    for header in headers(frame):
        if end == 0 and header.kind not in NETWORK.values():
            continue
        if end == 0 or header.kind in _EXTENSIONS:
            start = end = header.end
        elif header.kind not in {"option", "ipv4-option"}:
            start, end = header.start, header.end if header.kind in {"tcp", "udp"} else header.start
            break
    return (START, start), (END, end)


def covers(general: Features, special: Features, *, exact: bool = False) -> bool:
    """Say whether a frame with the features `special` has all that the condition `general` asks for.

    With `exact` there must not be more of a header than the condition asks for.
    """
    for place, number in general:
        if place == EXTENSION:
            if not any(other.removeprefix("has ") in _EXTENSIONS for other, _ in special):
                return False
        elif place in DEPTHS:
            if not any(other == place and value >= number for other, value in special):
                return False
        elif place in {WITH, WITHOUT}:
            wanted = number if place == WITH else 0
            if not any(other == "config.hash_types" and value & number == wanted for other, value in special):
                return False
        elif number >= -1:
            # Of headers there may be more than the condition asks for.
            more = not exact and place.startswith("has ") and any(
                other == place and value > number for other, value in special
            )
            if not more and (place, number) not in special:
                return False
        elif not any(other == place and (number == ANY or value & ~number == ~number) for other, value in special):
            return False
    return True


def variants(frame: bytes, place: str, number: int, *, bits: bool = False) -> list[bytes]:
    """Return the frame with a few other numbers at a place that is a field or the payload; empty for other places.

    With `bits` these numbers have all the bits that `number` has.
    """
    layout = headers(frame)
    if place == "payload" and not bits:
        last = layout[-1]
        return [inserted(frame, last.end, bytes(more), last.lengths) for more in (1, 3, 9)]
    kind, _, name = place.partition(".")
    if kind in _SIZED and name == "len" and not bits:
        return _resized(frame, layout, kind, number)
    if name == "cut" and not bits:
        last = layout[-1]
        return [inserted(frame, last.end, bytes(more), last.lengths) for more in (1, 2, 5)]
    if place == "protocol" and not bits:
        return [frame[:header.link] + bytes([other]) + frame[header.link + 1:]
                for header in layout if header.kind == "upper" and header.number == number
                for other in (99, 114, 200) if other != number]  # fmt: skip
    for header in layout:
        for field, offset, size, plain in FIELDS.get(header.kind, ()):
            at = header.start + offset
            if header.kind != kind or field != name or int.from_bytes(frame[at:at + size], "big") != number:
                continue
            top = (1 << 8 * size) - 1
            spread = 0x5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A & top
            if bits:
                others = {top, number | spread, number | spread >> 1} - {number, plain}
            else:
                others = {(number + 1) & top, (number * 2 + 1) & top, number ^ top >> 1} - {number, plain}
            return [frame[:at] + other.to_bytes(size, "big") + frame[at + size:] for other in sorted(others)]
    return []


def _resized(frame: bytes, layout: list[Header], kind: str, number: int) -> list[bytes]:
    """Return the frame with an extension header that says `number` longer, its bytes with it."""
    unit = 4 if kind == "ah" else 8
    for header in layout:
        if header.kind == kind and header.end - header.start > 1 and frame[header.start + 1] == number:
            made = []
            for more in (2, 4, 8):
                # Options that read well, and elsewhere no address that is all zeros.
                body = craft.padn(more * unit - 2) if kind in {"hbh", "dstopts"} else b"\1" * more * unit
                longer = bytearray(inserted(frame, header.end, body, header.lengths))
                if number + more < 256:
                    longer[header.start + 1] = number + more
                    made.append(bytes(longer))
            return made
    return []


def exchanged(frame: bytes, place: str) -> list[bytes]:
    """Return the frame with other extension headers for one that is just there; empty for other places."""
    kind = place.removeprefix("has ")
    layout = headers(frame)
    spots = [header for header in layout if header.kind == kind and header.link]
    if kind not in _SIZED or len(spots) != 1:
        return []
    spot = spots[0]
    made = []
    for other in _OTHERS:
        if NUMBERS[kind] != other.number:
            data = frame[spot.start:spot.start + 1] + other.data[1:]
            changed = bytearray(without(frame, spot))
            changed[spot.link] = spot.number
            made.append(inserted(bytes(changed), spot.start, data, spot.lengths, spot.link, other.number))
    return made


#: Extension headers that no document calls anything else.
_OTHERS = (craft.hop_by_hop(), craft.destination_options(), craft.routing(kind=0, segments_left=0))
