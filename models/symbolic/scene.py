"""What a query is about: an unknown frame, its length, enabled types, readings; and what the model makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from vnethash.models.ipv4 import source_route
from vnethash.models.options import Address, home_address, plain_home
from vnethash.models.packet import Selection
from vnethash.models.reference import decide
from vnethash.models.symbolic.terms import Graph, Term, Value, high, key, low, same
from vnethash.models.symbolic.translate import Frame, Log, Row, Thing, Translator
from vnethash.spec.constants import ALL_HASH_TYPES, ALL_TUNNEL_TYPES
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType


def enough_turns(most: int) -> dict[str, int]:
    """Return turns of each loop that suffice for frames of up to `most` bytes; that they do is proved, not believed.

    A tag and a label have 4 bytes, an IPv6 header ends at 54 or later, an extension header has 8 bytes, an option 1.
    """
    return {
        "link.skip_tags": max(1, (most - 10) // 4), "link.shim": max(1, (most - 10) // 4), "ipv4.source_route": 40,
        "ipv6.ipv6": max(1, (most - 46) // 8), "options.home_address": max(1, most - 54),
        "options.plain_home": max(1, most - 72),
    }


#: The walks through options, and the questions that `home_address` asks; the others ask none.
_WALKS: tuple[FunctionType, ...] = (home_address, plain_home, source_route)  # type: ignore[assignment]
WALK_QUESTIONS = frozenset({
    "home_alignment", "home_length", "home_overrun", "home_repeated", "home_type", "option_limit", "option_overrun",
    "option_walk_end",
})
#: Bytes of a header in which a question of a walk is asked at all, others being read literally; proved in
#: `options_walk.py`: two addresses, 30 options.
ASKED_FROM = {"home_repeated": 40, "option_limit": 40}


class Walked(NamedTuple):
    """What a walk through options may do: the questions that it may ask, each with the bytes of a header from which on.

    `refuses` is False where no turn of a walk refuses the packet.
    """

    asked: dict[str, int]
    refuses: bool


def in_walk(readings: Row, asked_from: Mapping[str, int]) -> Walked:
    """Return what a walk through options may do under readings, which may be unknown.

    Each turn does the same from any place; two of them show all but what only a count of options asks, and that count
    refuses nothing.
    """
    graph = Graph()
    values: list[Value] = []
    changed: set[str] = set()
    for name, value in zip(Readings._fields, cast("tuple[Value, ...]", readings.values), strict=True):
        values.append(graph.integer(name, low(value), high(value)) if isinstance(value, Term) else value)
        if name in WALK_QUESTIONS and not same(value, 0):
            changed.add(name)
    translator = Translator(graph, {"options.home_address": 2})
    places = [graph.integer(name, 14, 1 << 16) for name in ("header", "size", "end")]
    found = translator.call(cast("FunctionType", home_address), Frame(1 << 16), *places, Row(Readings, tuple(values)))
    assert isinstance(found, Row)
    asked = {"option_limit", *translator.log.asked}
    counts = {name: 8 if changed - {name} else asked_from.get(name, 8) for name in sorted(asked)}
    return Walked(counts, not same(cast("Value", found.values[1]), False))


LENGTH, TYPES, HAS_TUNNELS, TUNNELS = "length", "types", "negotiated", "tunnels"


@dataclass
class Scene:
    """Unknowns of one query.

    Attributes:
        most: the greatest length in bytes of a frame.
        least: the smallest length.
        turns: turns of each loop, by function as in "ipv6.ipv6"; of others, those of `enough_turns`.
        types: the enabled hash types, None for unknown ones.
        tunnels: what `enabled_tunnels` returns (0: not negotiated), None for unknown.
        frame_reads: whether reads outside the frame are recorded.
        known: bytes of the frame that are given, by offset.
        walks: whether the walks through options are translated. If not, they return anything that they might, for
            any number of options: then what is false is false, but what seems possible may not be.
        asked_from: without walks, bytes of a header from which on a question counts as asked in its walk.
    """

    most: int
    least: int = 0
    turns: Mapping[str, int] = field(default_factory=dict)
    types: int | None = None
    tunnels: int | None = 0
    frame_reads: bool = False
    known: Mapping[int, int] = field(default_factory=dict)
    walks: bool = True
    asked_from: Mapping[str, int] = field(default_factory=lambda: ASKED_FROM)

    def __post_init__(self) -> None:
        self.graph = Graph(self.known)
        self._walked: dict[object, int] = {}
        self.length: Value = self.graph.integer(LENGTH, self.least, self.most)
        turns = {**enough_turns(self.most), **self.turns}
        opaque = {} if self.walks else {walk: partial(self._anything, walk.__name__) for walk in _WALKS}
        self.translator = Translator(self.graph, turns, frame_reads=self.frame_reads, opaque=opaque)
        self.type_bits: Value = self.graph.integer(TYPES, 0, ALL_HASH_TYPES) if self.types is None else self.types
        self.tunnel_bits: Value = self.tunnels or 0
        if self.tunnels is None:
            kinds = self.graph.integer(TUNNELS, 0, ALL_TUNNEL_TYPES)
            # For NEGOTIATED, a lower bit that is no type either: numbers, and so all terms, are half as wide.
            enabled = self.graph.bit_or(kinds, ALL_TUNNEL_TYPES + 1)
            self.tunnel_bits = self.graph.choose(self.graph.truth(HAS_TUNNELS), enabled, 0)

    def readings(self, chosen: Mapping[str, int] | None = None) -> Row:
        """Return readings, by field: those that are chosen as numbers, the others unknown."""
        values: list[Value] = []
        for question in load_questions().values():
            if chosen is not None and question.field in chosen:
                values.append(chosen[question.field])
            else:
                values.append(self.graph.integer(question.field, 0, len(question.readings) - 1))
        return Row(Readings, tuple(values))

    def decide(self, readings: Row) -> Row:
        """Return the selection under readings, a `Selection`."""
        arguments = (Frame(self.length), self.length, self.type_bits, self.tunnel_bits, readings)
        row = self.translator.call(cast("FunctionType", decide), *arguments)
        assert isinstance(row, Row)
        assert row.kind is Selection
        return row

    def _anything(self, walk: str, graph: Graph, arguments: tuple[Thing, ...]) -> tuple[Thing, Log]:
        """Return what a walk through options may return, an offset in the frame and a refusal, and may ask.

        The same for the same place, whatever the readings: those that a walk asks for must be the same in the whole
        scene. The events that a walk would return are looked at nowhere.
        """
        place = tuple(key(argument) for argument in arguments if not isinstance(argument, Row | Frame))
        number = self._walked.setdefault((walk, *place), len(self._walked))
        offset: Value = graph.integer(f"{walk}.{number}", 0, self.most)
        if walk == source_route.__name__:
            return offset, Log()
        header, size = cast("tuple[Value, Value]", arguments[1:3])
        readings = arguments[-1]
        inside = True
        if isinstance(readings, Row):
            chosen = Readings(*readings.values)  # type: ignore[arg-type]
            inside = chosen.home_overrun == 0 and chosen.home_length == 0
        if inside:
            # Sixteen bytes behind two of the header and two of the option: proved in `options_walk.py`.
            fits = graph.negate(graph.less(graph.add(header, size), graph.add(offset, 16)))
            fits = graph.both(fits, graph.negate(graph.less(offset, graph.add(header, 4))))
            offset = graph.choose(graph.both(graph.truth(f"found.{number}"), fits), offset, 0)
        if not isinstance(readings, Row):
            return offset, Log()
        walked = in_walk(readings, self.asked_from)
        asked = {field: graph.negate(graph.less(size, least)) for field, least in walked.asked.items()}
        refused = graph.truth(f"refused.{number}") if walked.refuses else False
        return Row(Address, (offset, refused, 0)), Log(asked=asked)

    def octet(self, offset: Value) -> Value:
        """Return a byte as `reference.hash_input` does: 0 behind the end of the frame."""
        return self.graph.choose(self.graph.less(offset, self.length), self.graph.byte(offset), 0)

    def differ(self, first: Row, second: Row) -> Value:
        """Say whether two selections differ in the report or in a byte of the hash input."""
        graph = self.graph
        one, other = Selection(*first.values), Selection(*second.values)  # type: ignore[arg-type]
        hashed = graph.negate(graph.equal(one.report, 0))
        result = graph.negate(graph.equal(one.report, other.report))
        bytes_differ: Value = False
        for left, right in ((one.source, other.source), (one.destination, other.destination)):
            bytes_differ = graph.either(bytes_differ, self._range_differs(left, right, 0, 4))
            long = self._range_differs(left, right, 4, 16)
            bytes_differ = graph.either(bytes_differ, graph.both(graph.equal(one.size, 16), long))
        has, also = (graph.negate(graph.equal(ports, 0)) for ports in (one.ports, other.ports))
        ports_differ = self._range_differs(one.ports, other.ports, 0, 4)
        bytes_differ = graph.either(bytes_differ, graph.negate(graph.equal(has, also)))
        bytes_differ = graph.either(bytes_differ, graph.both(graph.both(has, also), ports_differ))
        # The report implies the size of the addresses, so equal reports come with equal sizes (proved in the tests).
        return graph.either(result, graph.both(hashed, bytes_differ))

    def _range_differs(self, left: Value, right: Value, start: int, stop: int) -> Value:
        result: Value = False
        if left is right:
            return result
        for step in range(start, stop):
            one = self.octet(self.graph.add(left, step))
            other = self.octet(self.graph.add(right, step))
            result = self.graph.either(result, self.graph.negate(self.graph.equal(one, other)))
        # Bytes at the same place do not differ; the solver is told, because it would take long to see it.
        return self.graph.both(self.graph.negate(self.graph.equal(left, right)), result)

    def overrun(self) -> Value:
        """Say whether some loop would go on behind its bound, in what was translated so far."""
        result: Value = False
        for condition in self.translator.log.unwinding.values():
            result = self.graph.either(result, condition)
        return result
