"""Every step from a frame to its outcome, with the clause behind it and what the text would allow besides."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vnethash.models.allowed import Asked, dialect, expectation, offered_readings
from vnethash.models.events import RULES, steps
from vnethash.models.ipv6 import extent_of
from vnethash.models.link import link
from vnethash.models.reference import (
    ANY_VALUE,
    NEGOTIATED,
    conclude,
    decide,
    dissect,
    enabled_tunnels,
    hash_input,
    key_for,
    network,
    outcome,
    table_index,
)
from vnethash.models.toeplitz import toeplitz
from vnethash.models.tunnel import tunnel
from vnethash.spec.configuration import Configuration, hash_type_names, report_name, tunnel_type_names
from vnethash.spec.constants import ALL_TUNNEL_TYPES
from vnethash.spec.errors import UsageError
from vnethash.spec.questions import Question, Standing, load_dialects, load_questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vnethash.models.packet import Packet, Selection
    from vnethash.spec.outcome import Outcome
    from vnethash.spec.readings import Readings

#: Runs of the model for the list of what is allowed.
MOST_LEAVES = 4_000

_PROTOCOLS = {
    0: "Hop-by-Hop Options", 1: "ICMP", 4: "IPv4", 6: "TCP", 17: "UDP", 33: "DCCP", 41: "IPv6", 43: "Routing",
    44: "Fragment", 47: "GRE", 50: "ESP", 51: "AH", 58: "ICMPv6", 59: "No Next Header", 60: "Destination Options",
    132: "SCTP", 135: "Mobility", 136: "UDP-Lite", 139: "HIP", 140: "Shim6",
}
_FRAGMENTS = ("", ", first fragment", ", later fragment", ", atomic fragment")


class Alternative(NamedTuple):
    """What another reading of one question alone would give."""

    reading: str
    standing: Standing
    words: str
    outcome: Outcome


class Choice(NamedTuple):
    """A question that the frame raised, the reading taken, and the others."""

    question: str
    asks: str
    reading: str
    standing: Standing
    words: str
    others: tuple[Alternative, ...]


class Line(NamedTuple):
    """One step; `where` is an offset in the frame, `choice` what was asked there."""

    part: str
    text: str
    clauses: tuple[str, ...] = ()
    where: int | None = None
    choice: Choice | None = None


class Allowed(NamedTuple):
    """An outcome that the text allows, and the conditions, one of which must hold: question -> readings."""

    outcome: Outcome
    when: tuple[dict[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one outcome came about."""

    frame: bytes
    configuration: Configuration
    dialect: str
    lines: tuple[Line, ...]
    outcome: Outcome
    allowed: tuple[Allowed, ...]
    complete: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "frame": self.frame.hex(),
            "configuration": self.configuration.to_json(),
            "dialect": self.dialect,
            "lines": [_line_json(line) for line in self.lines],
            "outcome": _outcome_json(self.outcome),
            "allowed": [
                {"outcome": _outcome_json(entry.outcome),
                 "when": [{field: list(names) for field, names in when.items()} for when in entry.when]}
                for entry in self.allowed
            ],
            "complete": self.complete,
        }


def explain(frame: bytes, configuration: Configuration, readings: Readings | str = "literal") -> Explanation:
    """Explain what a device with these readings, or of this dialect, makes of a frame.

    Raises UsageError for a dialect that is none.
    """
    name = ""
    if isinstance(readings, str):
        name = readings
        if name not in load_dialects():
            raise UsageError(f"no dialect {name!r}", hint=f"there are {', '.join(load_dialects())}")
        readings = dialect(name)
    result = outcome(frame, configuration, readings)
    allowed, complete = _allowed(frame, configuration)
    lines = tuple(_lines(frame, configuration, readings))
    return Explanation(frame, configuration, name, lines, result, allowed, complete)


def outcome_words(result: Outcome) -> str:
    """Return an outcome as people read it."""
    queue = "" if result.queue < 0 else f", queue {result.queue}"
    if not result.hashed:
        value = "anything" if result.value == ANY_VALUE else f"{result.value}"
        return f"not hashed (report NONE, value {value}){queue}"
    return f"report {report_name(result.report)} ({result.report}), value {result.value:#010x}{queue}"


def _lines(frame: bytes, configuration: Configuration, readings: Readings) -> Iterator[Line]:
    recorder = Asked(readings._asdict(), offered_readings(defects=True))
    path: Mapping[str, int] = recorder.__dict__["path"]
    asked = cast("Readings", recorder)
    told: set[str] = set()

    def choices(part: str) -> Iterator[Line]:
        for field in path:
            if field not in told:
                told.add(field)
                yield _choice_line(part, field, frame, configuration, readings)

    length = len(frame)
    tunnels = enabled_tunnels(configuration)
    clauses = ("HC-2", "HC-3", "HC-5") if tunnels else ("HC-2", "HC-5")
    yield Line("configuration", _configuration_words(configuration), clauses)
    found = link(frame, length, asked)
    yield from _ethernet_lines(frame, found.ethertype, found.offset)
    yield from choices("link")
    outer = dissect(frame, length, asked)
    yield from _packet_lines("packet", frame, outer, readings)
    yield from choices("packet")
    selection = decide(frame, length, configuration.hash_types, tunnels, asked)
    yield from _inner_lines(frame, outer, tunnels, readings)
    for step in steps(selection.events | outer.events):
        yield Line("seen", step.words, step.sources)
    yield from choices("rule")
    rule = RULES[selection.rule]
    yield Line("rule", rule.words, rule.sources)
    data = hash_input(frame, length, selection)
    result = conclude(data, selection, configuration, asked)
    yield from _hash_lines(frame, data, selection, configuration, readings)
    yield from _queue_lines(result, configuration, readings)
    yield from choices("outcome")


def _configuration_words(configuration: Configuration) -> str:
    words = f"hash types {hash_type_names(configuration.hash_types)}"
    if "HASH_TUNNEL" in configuration.features:
        words += f"; tunnel types {tunnel_type_names(configuration.tunnel_types)}"
    return f"{words}; features {', '.join(sorted(configuration.features)) or 'none'}"


def _ethernet_lines(frame: bytes, ethertype: int, offset: int) -> Iterator[Line]:
    if len(frame) < 14:
        yield Line("link", f"{len(frame)} bytes, no Ethernet header", (), 0)
        return
    destination, source = frame[:6].hex(":"), frame[6:12].hex(":")
    yield Line("link", f"Ethernet from {source} to {destination}, EtherType {frame[12:14].hex()}", (), 0)
    between = frame[14:offset]
    if between:
        yield Line("link", f"between Ethernet and what it carries: {between.hex()}", (), 14)
    if ethertype == 0:
        yield Line("link", "what follows is no IP packet", ("V4-0", "V6-0"), min(offset, len(frame)))


def _packet_lines(part: str, frame: bytes, packet: Packet, readings: Readings) -> Iterator[Line]:
    if packet.version == 0:
        return
    size = 4 if packet.version == 4 else 16
    first = packet.l3 + (12 if size == 4 else 8)
    clauses = ("V4-0", "RFC 791 3.1") if size == 4 else ("V6-0", "RFC 8200 3")
    if first + 2 * size > len(frame):
        yield Line(part, f"IPv{packet.version}, header not whole", clauses, packet.l3)
        return
    source, destination = _address(frame, first, size), _address(frame, first + size, size)
    words = f"IPv{packet.version} from {source} to {destination}, ends at {packet.end}{_FRAGMENTS[packet.fragment]}"
    yield Line(part, words, clauses, packet.l3)
    if size == 16:
        yield from _chain_lines(part, frame, packet, readings)
    for name, offset in (("home address", packet.home), ("route", packet.route)):
        if offset:
            yield Line(part, f"{name} {_address(frame, offset, size)}", ("X6-1",) if size == 16 else (), offset)
    if packet.l4:
        kind = {6: "TCP header", 17: "UDP header"}.get(packet.transport, "no TCP or UDP header counts")
        named = _PROTOCOLS.get(packet.protocol, "unknown to us")
        ports = ""
        if packet.transport and packet.l4 + 4 <= len(frame):
            numbers = [int.from_bytes(frame[o:o + 2], "big") for o in (packet.l4, packet.l4 + 2)]
            ports = f", ports {numbers[0]} and {numbers[1]}"
        yield Line(part, f"protocol {packet.protocol} ({named}): {kind}{ports}", (), packet.l4)


def _chain_lines(part: str, frame: bytes, packet: Packet, readings: Readings) -> Iterator[Line]:
    """Name the extension headers that the model walked: from the base header to where it ended."""
    protocol, p = frame[packet.l3 + 6], packet.l3 + 40
    while p < packet.l4 and p + 2 <= len(frame):
        size = extent_of(frame, p, protocol, readings)
        name = _PROTOCOLS.get(protocol, f"header {protocol}")
        yield Line(part, f"{name} header, {size} bytes", ("X6-0", "RFC 8200 4"), p)
        protocol, p = frame[p], p + size


def _inner_lines(frame: bytes, outer: Packet, tunnels: int, readings: Readings) -> Iterator[Line]:
    found = tunnel(frame, outer, tunnels or ALL_TUNNEL_TYPES | NEGOTIATED, readings)
    if not found.matched or found.ethertype == 0:
        return
    if tunnels == 0 and (readings.tunnel_unnegotiated == 0 or outer.protocol == 17):
        return
    yield Line("inner", "the outer header matches an encapsulation type", ("TUN-2", "TUN-4"), outer.l4)
    inside = network(frame, found.ethertype, found.offset, outer.end, readings)
    yield from _packet_lines("inner", frame, inside, readings)


def _hash_lines(
    frame: bytes, data: bytes, selection: Selection, configuration: Configuration, readings: Readings
) -> Iterator[Line]:
    if not data:
        return
    size = selection.size
    names = [("source", selection.source, size), ("destination", selection.destination, size)]
    if selection.ports:
        names.append(("ports", selection.ports, 4))
    at = 0
    for name, offset, count in names:
        piece = data[at:at + count]
        at += count
        short = "" if offset + count <= len(frame) else " (not all of it is in the frame: filled with 0)"
        yield Line("hash", f"input {name}: {piece.hex()}{short}", ("MS-F4",) if size == 4 else ("MS-F5",), offset)
    key = key_for(configuration.key, len(data), readings)
    if key is None:
        yield Line("hash", f"a key of {len(configuration.key)} bytes gives no hash here", ("RSS-10", "HCF-7"))
        return
    window = key[:len(data) + 4].ljust(len(data) + 4, b"\0")
    yield Line("hash", f"key bytes that count: {window.hex()}", ("RSS-10", "MS-F1"))
    yield Line("hash", f"Toeplitz hash {toeplitz(key, data):#010x}", ("RSS-1", "MS-F2", "MS-F3"))


def _queue_lines(result: Outcome, configuration: Configuration, readings: Readings) -> Iterator[Line]:
    if "RSS" not in configuration.features:
        yield Line("queue", "RSS is not negotiated: the hash steers nothing", ("ARS-1",))
    elif result.hashed and configuration.indirection_table:
        entries = len(configuration.indirection_table)
        index = table_index(result.value, entries, readings)
        words = f"entry {index} of {entries} in the indirection table is queue {result.queue}"
        yield Line("queue", words, ("RSS-5", "RSS-D4"))
    elif result.queue == configuration.unclassified_queue:
        yield Line("queue", f"not hashed: unclassified_queue {result.queue}", ("RSS-D3",))
    else:
        yield Line("queue", f"queue {result.queue}", ("RSS-D3",))
    yield Line("outcome", outcome_words(result), ("REP-1",) if result.hashed else ("REP-2",))


def _choice_line(
    part: str, field: str, frame: bytes, configuration: Configuration, readings: Readings
) -> Line:
    question = _by_field()[field]
    number: int = getattr(readings, field)
    taken = question.readings[number]
    others = tuple(
        Alternative(
            reading.name, reading.standing, reading.words,
            outcome(frame, configuration, readings._replace(**{field: other})),
        )
        for other, reading in enumerate(question.readings)
        if other != number
    )
    choice = Choice(question.id, question.asks, taken.name, taken.standing, taken.words, others)
    return Line(part, f"{question.id}: {taken.words}", question.clauses, None, choice)


def _allowed(frame: bytes, configuration: Configuration) -> tuple[tuple[Allowed, ...], bool]:
    expected = expectation(frame, configuration, most_leaves=MOST_LEAVES)
    questions = _by_field()
    found: dict[Outcome, list[dict[str, tuple[str, ...]]]] = {}
    for cube in expected.cubes:
        when = {
            questions[field].id: tuple(questions[field].readings[number].name for number in sorted(numbers))
            for field, numbers in cube.when
        }
        found.setdefault(cube.outcome, []).append(when)
    return tuple(Allowed(result, tuple(conditions)) for result, conditions in found.items()), expected.complete


def _by_field() -> dict[str, Question]:
    return {question.field: question for question in load_questions().values()}


def _address(frame: bytes, offset: int, size: int) -> str:
    piece = frame[offset:offset + size]
    return str(ip_address(piece)) if len(piece) == size else f"{piece.hex()} (cut)"


def _outcome_json(result: Outcome) -> dict[str, Any]:
    return {
        "report": result.report, "value": None if result.value == ANY_VALUE else result.value,
        "queue": None if result.queue < 0 else result.queue,
    }


def _line_json(line: Line) -> dict[str, Any]:
    data: dict[str, Any] = {"part": line.part, "text": line.text, "clauses": list(line.clauses)}
    if line.where is not None:
        data["where"] = line.where
    if line.choice is not None:
        choice = line.choice
        data["question"] = {
            "id": choice.question, "asks": choice.asks, "reading": choice.reading, "standing": choice.standing,
            "others": [
                {"reading": other.reading, "standing": other.standing, "words": other.words,
                 "outcome": _outcome_json(other.outcome)}
                for other in choice.others
            ],
        }
    return data
