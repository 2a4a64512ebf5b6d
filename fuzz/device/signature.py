"""What of a sequence is not plain: the condition by which causes differ, and what a known cause covers.

A feature is a place and a number: `RSS_CONFIG key of = 16`, `packet = 1`. The condition of a reduced sequence is its
steps in order, each with what of it is not plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.case import BEFORE, FRAMES
from vnethash.fuzz.signature import ANY, Signature
from vnethash.models.device.state import Command, Negotiate, Packet, Reset
from vnethash.models.device.words import command_name, feature_names
from vnethash.spec.constants import CTRL_MQ, MICROSOFT_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.fuzz.signature import Features
    from vnethash.models.device.state import Step, Traits


class Shape(NamedTuple):
    """A step: what is done, for features and packets which (else 0), and what is not plain about it."""

    does: str
    which: int
    odd: Features


class Steps(Signature):
    """The signature of a cause that a sequence shows; `features` are its shapes, numbered."""

    def words(self) -> str:
        """Return the condition for people."""
        parts: dict[str, list[str]] = {}
        if self.features and not self.features[0][0][:1].isdigit():
            return ", ".join(place if number == 1 else f"{place} {number}" for place, number in self.features)
        for place, number in self.features:
            position, _, rest = place.partition(" ")
            words = parts.setdefault(position, [])
            words.append(_word(rest, number))
        return "; ".join(" with ".join(filter(None, (words[0], ", ".join(words[1:])))) for words in parts.values())


def _word(place: str, number: int) -> str:
    if place == "negotiate":
        return f"negotiate {feature_names(number)}"
    if place == "packet":
        kinds = ("packet", "packet that nothing hashes", "packet over IPv6")
        return "packet" if number == ANY else kinds[number] if number < len(kinds) else f"packet {number}"
    if number == ANY:
        return place.removesuffix(" of").removesuffix(":")
    if not number and place.startswith(("another", "other", "RSS", "HASH", "VQ", "reset", "read", "no ")):
        return place
    if place.startswith("an unknown"):
        return f"{place} ({number >> 8}, {number & 255})"
    return f"{place} {number:#x}" if number > 4096 else f"{place} {number}"


def shape(step: Step, traits: Traits) -> Shape:
    """Return the shape of a step."""
    if isinstance(step, Negotiate):
        return Shape("negotiate", step.features & sum(k.ALL_FEATURES), ())
    if isinstance(step, Packet):
        odd = [("with a header before it", BEFORE.index(step.header) if step.header in BEFORE else -1)] if any(
            step.header) else []  # fmt: skip
        return Shape("packet", FRAMES.index(step.frame) if step.frame in FRAMES else len(FRAMES), tuple(odd))
    if isinstance(step, Command):
        if (step.class_, step.command) not in k.KNOWN:
            name = "an unknown command of class MQ" if step.class_ == CTRL_MQ else "an unknown command"
            return Shape(name, step.class_ << 8 | step.command, (("length", len(step.data)),) if step.data else ())
        return Shape(command_name(step.class_, step.command), 0, _odd_command(step, traits))
    return Shape("reset" if isinstance(step, Reset) else "read the configuration space", 0, ())


def _odd_command(step: Command, traits: Traits) -> Features:
    pair = (step.class_, step.command)
    fields = k.split(step)
    if fields is not None:
        return _odd_fields(fields, k.plain_of(pair, traits), traits)
    number = int.from_bytes(step.data[:4], "little")
    if pair == k.PAIRS_SET and len(step.data) == 2:
        return _ranged("pairs", number, 1, 1, traits.pairs)
    if pair == k.TUNNEL_SET and len(step.data) == 4:
        return (("types", number),) if number != traits.tunnel_types else ()
    if pair == k.CONTEXT_DEL and len(step.data) == 2:
        return (("id", number),) if number != 1 else ()
    return (("length", len(step.data)),) if step.data or pair != k.CONTEXT_GET else ()


def _odd_fields(fields: k.Fields, plain: k.Fields, traits: Traits) -> Features:
    found: list[tuple[str, int]] = []
    if fields.head != plain.head:
        identifier = int.from_bytes(fields.head[:2], "little")
        found.append(("id", identifier) if identifier != 1 else ("reserved", 1))
    if fields.types != plain.types:
        found.append(("types", fields.types))
        if fields.types & ~traits.hash_types:
            found.append(("unsupported types", fields.types & ~traits.hash_types))
    if fields.key != plain.key:
        length = len(fields.key)
        found.append(("another key", length))
        if length != len(MICROSOFT_KEY):
            name = "no key" if not length else "a short key of" if length < len(MICROSOFT_KEY) else "a long key of"
            found.append((name, length))
    if len(fields.table) != len(plain.table):
        found.append(("a table of", len(fields.table)))
    if set(fields.table) != set(plain.table):
        strange = [entry for entry in fields.table if entry >= traits.pairs]
        found.append(("other entries", 0))
        if strange:
            found.append(("a table entry", strange[0]))
    found += _ranged("unclassified_queue", fields.unclassified, plain.unclassified, 0, traits.pairs - 1)
    found += _ranged("max_tx_vq", fields.max_tx_vq, plain.max_tx_vq, 1, traits.pairs)
    if fields.reserved != plain.reserved:
        found.append(("reserved", 1))
    if fields.rest:
        found.append(("bytes behind it:", len(fields.rest)))
    return tuple(found)


def _ranged(name: str, number: int, plain: int, least: int, most: int) -> Features:
    """Return what is odd about a number: that it is not the plain one, and that it is out of range."""
    if number == plain:
        return ()
    return ((name, number),) if least <= number <= most else ((name, number), (f"{name} out of range:", number))


def flat(shapes: Sequence[Shape]) -> Features:
    """Return shapes as one condition."""
    found: list[tuple[str, int]] = []
    for position, one in enumerate(shapes, 1):
        found.append((f"{position} {one.does}", one.which))
        found += [(f"{position} {place}", number) for place, number in one.odd]
    return tuple(found)


def covers(general: Sequence[Shape], special: Sequence[Shape]) -> bool:
    """Say whether a sequence has the steps of a condition in order, the last of both being the one that is wrong."""
    if not general or not special or not _meets(general[-1], special[-1]):
        return False
    left = iter(special[:-1])
    return all(any(_meets(one, other) for other in left) for one in general[:-1])


def _meets(general: Shape, special: Shape) -> bool:
    if general.does != special.does:
        return False
    if general.does == "negotiate":
        return general.which & ~special.which == 0
    if general.which not in {ANY, special.which}:
        return False
    odd = dict(special.odd)
    return all(place in odd and number in {ANY, odd[place]} for place, number in general.odd)
