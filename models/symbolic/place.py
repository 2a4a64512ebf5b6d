"""An IP packet is judged alike wherever in the frame it begins; and where no packet begins nothing is asked.

With these two the shortest frame that raises a question needs to be sought only among frames without tags. Both are
proved by form: the same packet at two places gives the same terms, so no solver has to compare them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple, cast

from vnethash.models.packet import Packet
from vnethash.models.reference import decide, network
from vnethash.models.select import select
from vnethash.models.symbolic.scene import LENGTH, TYPES, enough_turns
from vnethash.models.symbolic.solve import Problem
from vnethash.models.symbolic.stage import RECURSION
from vnethash.models.symbolic.terms import Graph, Linear, Term, Value, combine, is_boolean, linear, same
from vnethash.models.symbolic.translate import Frame, Row, Translator
from vnethash.spec.constants import ALL_HASH_TYPES
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from types import FunctionType

#: Bytes by which the second place lies before the first: a tag or a label.
STEP = 4
_IPV4, _IPV6 = 0x0800, 0x86DD
_TAGS = (0x8100, 0x88A8)
_LEGACY = 0x9100
#: Fields that are offsets; the others do not depend on the place.
_PACKET_OFFSETS = frozenset({"l3", "l4", "end", "home", "route"})
_TRUTHS = frozenset({"refused", "extension", "options"})
_SELECTION_OFFSETS = frozenset({"source", "destination", "ports"})


class Shared(Graph):
    """Terms in which a choice between two sums begins with what they share, so that places cancel out."""

    def choose(self, condition: Value, first: Value, second: Value) -> Value:
        """Return first if condition else second."""
        if not isinstance(condition, Term) or is_boolean(first) or same(first, second):
            return super().choose(condition, first, second)
        one, other = linear(first), linear(second)
        factors = {term.serial: factor for term, factor in other.parts}
        common = tuple((term, factor) for term, factor in one.parts if factors.get(term.serial) == factor)
        shared = Linear(common, min(one.number, other.number))
        if not common and shared.number == 0:
            return super().choose(condition, first, second)
        left, right = (self._sum(combine(form, shared, -1)) for form in (one, other))
        return self._sum(combine(linear(super().choose(condition, left, right)), shared, 1))


class Earlier(Shared):
    """The same terms, for a frame that lacks the STEP bytes in front of the packet."""

    def __init__(self, whole: Shared) -> None:
        self.__dict__ = whole.__dict__

    def byte(self, offset: Value) -> Value:
        """Return the byte of the shorter frame at an offset (behind its Ethernet addresses)."""
        return super().byte(self.add(offset, STEP))


class Moved(NamedTuple):
    """What differs between two places: questions asked, loops that go on, fields; all empty if the proof holds."""

    asked: tuple[str, ...]
    loops: tuple[str, ...]
    fields: tuple[str, ...]
    terms: int

    def holds(self) -> bool:
        """Say whether nothing differs."""
        return not (self.asked or self.loops or self.fields)


def _readings(graph: Graph, literal: frozenset[str] = frozenset()) -> Row:
    """Return readings that are unknown, but for those that are to be the literal ones."""
    values: list[Value] = []
    for question in load_questions().values():
        top = len(question.readings) - 1
        values.append(0 if question.field in literal else graph.integer(question.field, 0, top))
    return Row(Readings, tuple(values))


def moved(ethertype: int, most: int, seconds: float) -> Moved:
    """Compare the dissection of a packet that begins anywhere from offset 18 on with that of one STEP bytes earlier."""
    sys.setrecursionlimit(max(RECURSION, sys.getrecursionlimit()))
    graph = Shared()
    earlier = Earlier(graph)
    length = graph.integer(LENGTH, 18, most)
    start = graph.integer("start", 14, most - STEP)
    readings = _readings(graph)
    packets = []
    logs = []
    for view, begin, end in ((graph, graph.add(start, STEP), length), (earlier, start, graph.subtract(length, STEP))):
        translator = Translator(view, enough_turns(most))
        packet = translator.call(cast("FunctionType", network), Frame(end), ethertype, begin, end, readings)
        assert isinstance(packet, Row)
        packets.append(packet)
        logs.append(translator.log)
    names = sorted({*logs[0].asked, *logs[1].asked})
    asked = [name for name in names if not same(logs[0].asked.get(name, False), logs[1].asked.get(name, False))]
    names = sorted({*logs[0].unwinding, *logs[1].unwinding})
    loops = [name for name in names if not same(logs[0].unwinding.get(name, False), logs[1].unwinding.get(name, False))]
    fields = _unlike(graph, packets[0], packets[1], _PACKET_OFFSETS, seconds)
    return Moved(tuple(asked), tuple(loops), fields, len(graph))


def chosen(seconds: float) -> Moved:
    """Compare what `select` makes of any packet with what it makes of the same packet STEP bytes earlier."""
    graph = Graph()
    top = 1 << 17
    types = graph.integer(TYPES, 0, ALL_HASH_TYPES)
    readings = _readings(graph)
    early: dict[str, Value] = {}
    late: dict[str, Value] = {}
    for name in Packet._fields:
        if name in _TRUTHS:
            early[name] = late[name] = graph.truth(name)
        elif name in _PACKET_OFFSETS:
            early[name] = graph.integer(name, 14 if name in {"l3", "end"} else 0, top)
            late[name] = _later(graph, early[name])
        else:
            early[name] = late[name] = graph.integer(name, 0, 255)
    translators = [Translator(graph), Translator(graph)]
    rows: list[Row] = []
    for translator, fields in zip(translators, (late, early), strict=True):
        row = translator.call(cast("FunctionType", select), Row(Packet, tuple(fields.values())), types, readings)
        assert isinstance(row, Row)
        rows.append(row)
    first, second = (translator.log.asked for translator in translators)
    asked = []
    for name in sorted({*first, *second}):
        differ = graph.negate(graph.equal(first.get(name, False), second.get(name, False)))
        if differ is not False and Problem(differ).check(differ, seconds=seconds).kind != "unsat":
            asked.append(name)
    return Moved(tuple(asked), (), _unlike(graph, rows[0], rows[1], _SELECTION_OFFSETS, seconds), len(graph))


def _later(graph: Graph, offset: Value) -> Value:
    """Return an offset STEP bytes later, 0 ("none") as it is."""
    return graph.choose(graph.equal(offset, 0), 0, graph.add(offset, STEP))


def _is_later(graph: Graph, one: Value, other: Value, known: dict[tuple[int, int], bool]) -> bool:
    """Say whether an offset is seen to be STEP bytes later than another, or "none" where that is, by its form."""
    if same(one, other):
        return same(one, 0)
    if same(graph.subtract(one, other), STEP):
        return True
    if not isinstance(one, Term) or not isinstance(other, Term) or (one.operation, other.operation) != ("if", "if"):
        return False
    place = (one.serial, other.serial)
    if place not in known:
        known[place] = one.args[0] is other.args[0] and all(
            _is_later(graph, *branches, known) for branches in zip(one.args[1:], other.args[1:], strict=True)
        )
    return known[place]


def _unlike(graph: Graph, first: Row, second: Row, offsets: frozenset[str], seconds: float) -> tuple[str, ...]:
    """Return the fields that are not the same and, for offsets, not STEP bytes later either; events say nothing."""
    wrong = []
    names: tuple[str, ...] = first.kind._fields  # type: ignore[attr-defined]
    for name, one, other in zip(names, first.values, second.values, strict=True):
        if name == "events" or (name in offsets and _is_later(graph, cast("Value", one), cast("Value", other), {})):
            continue
        expected = _later(graph, cast("Value", other)) if name in offsets else cast("Value", other)
        differ = graph.negate(graph.equal(cast("Value", one), expected))
        if differ is False:
            continue
        if Problem(differ).check(differ, seconds=seconds).kind != "unsat":
            wrong.append(name)
    return tuple(wrong)


def others() -> list[tuple[int, tuple[int, int]]]:
    """Return ranges of EtherTypes, by first and second byte, that together are all but IPv4, IPv6 and the two tags."""
    special = sorted((_IPV4, _IPV6, *_TAGS, _LEGACY))
    ranges = [(_LEGACY >> 8, (_LEGACY & 255, _LEGACY & 255))]
    for first in range(256):
        gaps = [value & 255 for value in special if value >> 8 == first]
        least = 0
        for gap in [*gaps, 256]:
            if least < gap:
                ranges.append((first, (least, gap - 1)))
            least = gap + 1
    return ranges


def asked_elsewhere(most: int) -> set[str]:
    """Return the questions that are asked, under literal readings of area "link", of frames that are not IP."""
    raised: set[str] = set()
    literal = frozenset(question.field for question in load_questions().values() if question.area == "link")
    for first, (least, greatest) in others():
        graph = Graph({12: first})
        graph.known[13] = graph.integer("type", least, greatest) if least < greatest else least  # type: ignore[assignment]
        length = graph.integer(LENGTH, 0, most)
        types = graph.integer(TYPES, 0, ALL_HASH_TYPES)
        translator = Translator(graph, enough_turns(most))
        translator.call(
            cast("FunctionType", decide), Frame(length), length, types, 0, _readings(graph, literal),
        )
        raised |= set(translator.log.asked)
    return raised
