"""The specification clarification report: each open question as a page that an editor of the standard can act on.

A page has the clauses, the readings, a witness for each pair of readings that matters, who does what, and words that
would settle it. The witnesses are the smallest cases of the suite; a solver may be asked for smaller ones. Markdown and
the HTML page are drawn from the same pages (`templates/clarify.*.j2`).
"""

from __future__ import annotations

import html
import json
import re
import shlex
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vnethash.conformance.suite import numbered
from vnethash.conformance.suite.coverage import CONTEXTS, Pair, reach
from vnethash.conformance.who import against, differing, seen_in
from vnethash.conformance.wording import STANDINGS, configuration_words
from vnethash.models.allowed import dialect
from vnethash.models.reference import conclude, decide, dissect, enabled_tunnels, hash_input
from vnethash.models.summarize import summarize
from vnethash.spec.clauses import did_you_mean, load
from vnethash.spec.configuration import Configuration, report_name
from vnethash.spec.errors import UsageError
from vnethash.spec.proposals import TRAFFIC, load_proposals
from vnethash.spec.questions import all_questions, load_dialects, load_questions
from vnethash.spec.text import clip, count, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jinja2 import Environment
    from vnethash.conformance.device.clarify import DevicePage
    from vnethash.conformance.report import Report
    from vnethash.conformance.suite import Case
    from vnethash.conformance.who import Seen
    from vnethash.models.packet import Packet, Selection
    from vnethash.spec.clauses import Clause
    from vnethash.spec.outcome import Outcome
    from vnethash.spec.proposals import Proposal
    from vnethash.spec.questions import Question, Reading
    from vnethash.spec.readings import Readings

FORMATS = ("md", "html")

_COMMENT_LIMIT = 8000


class Found(NamedTuple):
    """A frame and a configuration that tell two readings apart; `context`: readings of others that are not literal."""

    frame: bytes
    configuration: Configuration
    context: tuple[tuple[str, str], ...]
    origin: str


class Solver(Protocol):
    """Looks for a witness of two readings that is shorter than the one found; None where there is none."""

    def __call__(self, question: Question, one: int, other: int, found: Found) -> Found | None:
        """Return the shorter witness."""


class Row(NamedTuple):
    """The outcome of a witness under one reading, and the fields that are hashed, in order."""

    reading: Reading
    outcome: Outcome
    hashed: str

    @property
    def report(self) -> str:
        """The name of `hash_report`."""
        return report_name(self.outcome.report)

    @property
    def value(self) -> str:
        """`hash_value` in hex; "anything" where it may be anything."""
        return "anything" if self.outcome.value < 0 else f"0x{self.outcome.value:08x}"

    @property
    def queue(self) -> str:
        """The receive queue; "-" without steering."""
        return "-" if self.outcome.queue < 0 else str(self.outcome.queue)

    def words(self) -> str:
        """Return the row on one line."""
        return f"{self.reading.name}: {self.report} {self.value} queue {self.queue}, hashed: {self.hashed}"


@dataclass(frozen=True)
class Witness:
    """The pairs of readings for which it is the witness, all outcomes, and `others`: questions that it raises too."""

    found: Found
    pairs: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    others: tuple[str, ...]

    @property
    def hex(self) -> str:
        """The frame in hex."""
        return self.found.frame.hex()

    @property
    def summary(self) -> str:
        """The headers of the frame on one line."""
        return summarize(self.found.frame)

    @property
    def length(self) -> str:
        """The length in words."""
        return count(len(self.found.frame), "byte")

    @property
    def configuration(self) -> list[tuple[str, str]]:
        """What of the configuration matters: the hash types, and what is not as in the default one."""
        usual = dict(configuration_words(Configuration().to_json()))
        words = configuration_words(self.found.configuration.to_json())
        kept = [(name, text) for name, text in words if name == "hash types" or usual.get(name) != text]
        return [(name, text.replace("|", ", ")) for name, text in kept]

    @property
    def settings(self) -> str:
        """The configuration on one line."""
        return "; ".join(f"{name}: {text}" for name, text in self.configuration)

    @property
    def context(self) -> str:
        """Readings of other questions that are not literal."""
        return ", ".join(f"{question} = {reading}" for question, reading in self.found.context)

    def command(self, question: str, reading: str) -> str:
        """Return the command that explains the witness under a reading."""
        usual = Configuration().to_json()
        config = {name: value for name, value in self.found.configuration.to_json().items() if usual[name] != value}
        words = ["vnethash", "explain", self.hex or "-"]
        if config:
            words += ["--config", json.dumps(config)]
        for name, taken in (*self.found.context, (question, reading)):
            words += ["--reading", f"{name}={taken}"]
        return shlex.join(words)


@dataclass(frozen=True)
class Page:
    """All that is known about one question."""

    question: Question
    proposal: Proposal
    clauses: tuple[Clause, ...]
    ancestors: tuple[Clause, ...]
    ndis: Reading
    witnesses: tuple[Witness, ...]
    missing: tuple[tuple[str, str], ...]
    seen: tuple[Seen, ...]
    differing: tuple[str, ...]

    @property
    def against(self) -> tuple[str, ...]:
        """Who takes another reading than the proposed words choose, with versions."""
        return against(self.question, self.proposal.recommend, self.seen)

    @property
    def opposed(self) -> int:
        """How many implementations these are."""
        return len(differing(self.question, self.seen, self.proposal.recommend))

    @property
    def recommended(self) -> Reading:
        """The reading that the proposed words choose."""
        return self.question.readings[self.question.index(self.proposal.recommend)]

    @property
    def keeps(self) -> bool:
        """Whether the proposed words only make the literal reading plain."""
        return self.recommended is self.question.readings[0]

    @property
    def ancestor_readings(self) -> list[Reading]:
        """The readings that Microsoft's documents support."""
        return [reading for reading in self.question.readings if reading.standing == "ancestor"]


# ------------------------------------------------------------------------------------------------ witnesses


def wanted_pairs(question: Question) -> list[tuple[int, int]]:
    """Return the pairs of readings that need a witness: those that something supports; each defect and the literal."""
    pairs = list(combinations(question.allowed, 2))
    return pairs + [(0, number) for number in range(len(question.readings)) if number not in question.allowed]


def smallest(question: Question) -> dict[tuple[int, int], Found]:
    """Return the smallest case of the suite for each pair; of equals, the one that raises the fewest questions."""
    best = {}
    for pair in wanted_pairs(question):
        found: list[tuple[tuple[int, int, int, int], Found]] = []
        for case, raised in _telling().get(Pair(question.id, *pair), ()):
            context = _context(question, pair, case.frame, case.configuration)
            if context is not None:
                size = (len(context), len(case.frame), raised, case.id)
                found.append((size, Found(case.frame, case.configuration, context, f"case {case.id} of the suite")))
        if found:
            best[pair] = min(found)[1]
    return best


@cache
def _telling() -> Mapping[Pair, list[tuple[Case, int]]]:
    """Return for each pair of readings the cases that tell them apart, and how many questions each of these raises."""
    telling: dict[Pair, list[tuple[Case, int]]] = {}
    for case, reached in numbered():
        for pair in reached.pairs:
            if pair.sight == "outcome":
                telling.setdefault(pair, []).append((case, len(reached.questions)))
    return telling


def _context(
    question: Question, pair: tuple[int, int], frame: bytes, configuration: Configuration
) -> tuple[tuple[str, str], ...] | None:
    """Return the fewest other readings under which the two readings differ: () where literal ones do."""
    if question.id not in CONTEXTS:
        return ()
    for context in ({}, *CONTEXTS[question.id]):
        found = Found(frame, configuration, tuple(context.items()), "")
        one, other = (outcome_of(found, question, number)[0] for number in pair)
        if one != other:
            return found.context
    return None


def readings_of(found: Found, question: Question, number: int) -> Readings:
    """Return literal readings with those of the context and one of the question."""
    questions = load_questions()
    chosen = {questions[name].field: questions[name].index(reading) for name, reading in found.context}
    return dialect("literal")._replace(**{**chosen, question.field: number})


def outcome_of(found: Found, question: Question, number: int) -> tuple[Outcome, Selection]:
    """Return what the model makes of a witness under one reading, and what it hashes."""
    readings, frame, configuration = readings_of(found, question, number), found.frame, found.configuration
    selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    return conclude(hash_input(frame, len(frame), selection), selection, configuration, readings), selection


def _row(found: Found, question: Question, number: int) -> Row:
    outcome, selection = outcome_of(found, question, number)
    hashed = "nothing"
    if outcome.hashed:
        outer = dissect(found.frame, len(found.frame), readings_of(found, question, number))
        hashed = hashed_words(selection, outer, len(found.frame))
    return Row(question.readings[number], outcome, hashed)


def hashed_words(selection: Selection, outer: Packet, length: int) -> str:
    """Name the fields of the hash input, each with its first byte, counted from 0."""
    size = selection.size
    first = outer.l3 + (12 if size == 4 else 8)
    names = {first + size: "destination address", first: "source address"}
    if outer.home:
        names[outer.home] = "Home Address"
    if outer.route:
        names[outer.route] = "route address"
    fields = [(selection.source, size, "source address"), (selection.destination, size, "destination address")]
    inner = selection.source not in names
    if selection.ports:
        fields.append((selection.ports, 4, "ports"))
    parts = []
    for offset, extent, role in fields:
        if inner:
            name = f"inner {role}"
        else:
            name = "ports" if role == "ports" else names.get(offset, f"address for the {role.split()[0]}")
        beyond = ", not all of it in the frame" if offset + extent > length else ""
        parts.append(f"{name} (byte {offset}{beyond})")
    return ", ".join(parts)


def witnesses(
    question: Question, solver: Solver | None = None
) -> tuple[tuple[Witness, ...], tuple[tuple[str, str], ...]]:
    """Return the witnesses, and the pairs that have none; pairs with the same smallest case share it."""
    known = smallest(question)
    names = [reading.name for reading in question.readings]
    shared: dict[Found, list[tuple[str, str]]] = {}
    missing = []
    for pair in wanted_pairs(question):
        words = (names[pair[0]], names[pair[1]])
        found = known.get(pair)
        if found is None:
            missing.append(words)
            continue
        smaller = solver(question, *pair, found) if solver else None
        shared.setdefault(smaller or found, []).append(words)
    made = []
    for found, pairs in shared.items():
        rows = tuple(_row(found, question, number) for number in range(len(names)))
        raised = reach(found.frame, found.configuration).questions
        made.append(Witness(found, tuple(pairs), rows, tuple(name for name in raised if name != question.id)))
    return tuple(made), tuple(missing)


def ask_solver(seconds: float, tell: Callable[[str], None] = lambda _: None) -> Solver:
    """Return a solver that looks for shorter witnesses, `seconds` for each pair."""
    from vnethash.models.symbolic.query import Sat, distinguish  # noqa: PLC0415 - only who asks needs it

    def ask(question: Question, one: int, other: int, found: Found) -> Found | None:
        first, second = question.readings[one].name, question.readings[other].name
        most = len(found.frame) - 1
        if most < 14 or found.context:
            return None
        tell(f"{question.id}: {first} or {second}, shorter than {most + 1} bytes")
        answer = distinguish(question.id, first, second, most=most, seconds=seconds)
        if not isinstance(answer, Sat) or len(answer.witness.frame) > most:
            return None
        least = "; none is shorter" if answer.minimal else ""
        made = Found(answer.witness.frame, answer.witness.configuration, (), f"found by the solver{least}")
        return made if outcome_of(made, question, one)[0] != outcome_of(made, question, other)[0] else None

    return ask


# ------------------------------------------------------------------------------------------------ pages


def question_of(identifier: str) -> Question:
    """Return a question; raises UsageError for an id that is none."""
    questions = load_questions()
    if identifier not in questions:
        hint = did_you_mean(identifier, all_questions()) or "`vnethash spec list --kind question` has them all"
        raise UsageError(f"no question {one_line(identifier)!r}", hint=hint)
    return questions[identifier]


def page_of(question: Question, runs: Sequence[Report] = (), solver: Solver | None = None) -> Page:
    """Return the page of one question."""
    known = load()
    cited = [known[name] for name in question.clauses]
    made, missing = witnesses(question, solver)
    seen = seen_in(runs, question)
    return Page(
        question=question, proposal=load_proposals()[question.id],
        clauses=tuple(clause for clause in cited if clause.document == "virtio"),
        ancestors=tuple(clause for clause in cited if clause.document != "virtio"),
        ndis=question.readings[load_dialects()["ndis"][question.id]],
        witnesses=made, missing=missing, seen=seen, differing=differing(question, seen),
    )


def all_pages(
    questions: Iterable[Question], runs: Sequence[Report] = (), solver: Solver | None = None
) -> list[Page]:
    """Return the pages: those that concern most traffic first, then those in which most implementations differ."""
    classes = list(TRAFFIC)
    pages = [page_of(question, runs, solver) for question in questions]
    return sorted(pages, key=lambda page: (classes.index(page.proposal.traffic), -len(page.differing)))


def usual_words() -> str:
    """Return the configuration of a witness where nothing else is said, with the bytes of the key."""
    usual = Configuration()
    words = [f"{name} {text.replace('|', ', ')}" for name, text in configuration_words(usual.to_json())]
    return "; ".join(words) + f". The key is {usual.key.hex()}"


def counts(pages: Sequence[Page]) -> dict[str, int]:
    """Return the numbers of the report's head."""
    readings = [reading for page in pages for reading in page.question.readings]
    made = {"questions": len(pages), "readings": len(readings)}
    made |= {standing: sum(reading.standing == standing for reading in readings) for standing in STANDINGS}
    made["keep"] = sum(page.keeps for page in pages)
    made["change"] = len(pages) - made["keep"]
    made["disputed"] = sum(bool(page.differing) for page in pages)
    made["pairs"] = sum(len(wanted_pairs(page.question)) for page in pages)
    made["missing"] = sum(len(page.missing) for page in pages)
    made["witnesses"] = sum(len(page.witnesses) for page in pages)
    return made


def render(
    pages: Sequence[Page],
    form: str,
    *,
    runs: Sequence[Report] = (),
    alone: bool = False,
    devices: Sequence[DevicePage] = (),
) -> str:
    """Return the report as "md" or "html"; `alone` leaves out the head, for an issue of the standard's tracker.

    `devices` are the pages about the device, which stand behind the others; "md" has them from `device.clarify`.
    """
    environment = _environment(escape=form == "html")
    groups = {name: [page for page in pages if page.proposal.traffic == name] for name in TRAFFIC}
    text = environment.get_template(f"clarify.{form}.j2").render(
        pages=pages, groups=groups, traffic=TRAFFIC, standings=STANDINGS, counts=counts(pages), runs=runs, alone=alone,
        usual=usual_words(), devices=devices,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n" if form == "md" else text.strip() + "\n"


def _environment(*, escape: bool) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # noqa: PLC0415 - only who draws needs it

    folder = resources.files("vnethash.conformance") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=escape,  # noqa: S701 - in Markdown, what came from a file goes through as_markdown
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters.update(md=as_markdown, count=count, line=one_line)
    return environment


def as_markdown(text: str) -> str:
    """Return text on one line, in which Markdown finds nothing of its own; for what came from a file."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(one_line(text), quote=False))


# ------------------------------------------------------------------------------------------------ capture


class _Commented(bytes):
    """A frame with the attributes that scapy's writer takes from a packet; scapy dissects none of it."""

    comments: list[bytes]
    sniffed_on: str
    time: float


def capture(pages: Iterable[Page]) -> bytes:
    """Return the witnesses as pcapng: each question is an interface, each packet says what it tells apart."""
    from scapy.utils import RawPcapNgWriter  # noqa: PLC0415 - slow to import

    with TemporaryDirectory(prefix="vnethash-") as folder:
        path = Path(folder, "witnesses.pcapng")
        with RawPcapNgWriter(str(path)) as writer:
            writer.linktype = 1  # Ethernet
            writer.write_header(None)
            for page in pages:
                for witness in page.witnesses:
                    frame = _Commented(witness.found.frame)
                    frame.comments = [comment(page, witness).encode()]
                    frame.sniffed_on = page.question.id
                    frame.time = 0.0
                    writer.write_packet(frame)
        return path.read_bytes()


def comment(page: Page, witness: Witness) -> str:
    """Return what a packet says about itself: the question, what it tells apart, the outcome under each reading."""
    lines = [
        f"{page.question.id}: {page.question.title}",
        f"asks: {page.question.asks}",
        f"clauses: {', '.join(page.question.clauses)}",
        f"tells apart: {', '.join(' / '.join(pair) for pair in witness.pairs)}",
        witness.settings,
        *([f"other readings: {witness.context}"] if witness.context else []),
        *(row.words() for row in witness.rows),
    ]
    return clip("\n".join(one_line(line) for line in lines), _COMMENT_LIMIT)
