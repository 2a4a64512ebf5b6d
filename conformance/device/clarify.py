"""The pages of the clarification report about the device: each question with sequences that tell its readings apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, cast

from vnethash.conformance.clarify import as_markdown
from vnethash.conformance.device.suite import control_suite
from vnethash.conformance.who import against, differing, seen_in
from vnethash.models.allowed import Asked, dialect
from vnethash.models.device.allowed import offered_readings, play
from vnethash.models.device.state import Command
from vnethash.models.device.words import answer_words, step_words
from vnethash.spec.clauses import load
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.proposals import TRAFFIC, load_device_proposals
from vnethash.spec.questions import all_by_field
from vnethash.spec.text import count
from vnethash.targets.device_model import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vnethash.conformance.device.script import Script
    from vnethash.conformance.report import Report
    from vnethash.conformance.who import Seen
    from vnethash.models.device.state import Answer
    from vnethash.spec.clauses import Clause
    from vnethash.spec.proposals import Proposal
    from vnethash.spec.questions import Question, Reading


#: Fields of questions with numbers of readings that are not the literal ones.
_Beside = tuple[tuple[str, int], ...]

_SILENT = "They are silent: no clause of theirs that we know bears on the question."


@dataclass(frozen=True)
class SequenceWitness:
    """The shortest sequence whose answers differ between pairs of readings, all other questions read literally.

    `rows` has for each step its words, and what it shows under each reading of the question, in their order. Where the
    pairs show only beside a reading of another question that is not literal, `beside` has that question and reading.
    """

    script: Script
    pairs: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def context(self) -> str:
        """Words for `beside`, "" if the literal readings will do."""
        return ", ".join(f"{question} = {reading}" for question, reading in self.beside)


@dataclass(frozen=True)
class DevicePage:
    """All that is known about one question about the device; `missing` are pairs without a witness."""

    question: Question
    proposal: Proposal
    witnesses: tuple[SequenceWitness, ...]
    missing: tuple[tuple[str, str], ...]
    seen: tuple[Seen, ...]

    @property
    def differing(self) -> tuple[str, ...]:
        """Implementations that do not read it literally."""
        return differing(self.question, self.seen)

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
    def clauses(self) -> tuple[Clause, ...]:
        """The clauses of virtio that the question cites."""
        return tuple(one for one in self._cited() if one.document == "virtio")

    @property
    def ancestors(self) -> tuple[Clause, ...]:
        """Those of Microsoft's documents."""
        return tuple(one for one in self._cited() if one.document != "virtio")

    def _cited(self) -> list[Clause]:
        known = load()
        return [known[name] for name in self.question.clauses]


def device_page(question: Question, runs: Sequence[Report] = ()) -> DevicePage:
    """Return the page of one question about the device."""
    readings = question.readings
    wanted = [
        (one, other) for one, other in combinations(range(len(readings)), 2)
        if one == 0 or "defect" not in {readings[one].standing, readings[other].standing}
    ]
    found: dict[tuple[str, _Beside], tuple[Script, list[tuple[str, str]]]] = {}
    missing = []
    for one, other in wanted:
        pair = (readings[one].name, readings[other].name)
        telling = _telling(question, one, other)
        if telling is None:
            missing.append(pair)
        else:
            script, beside = telling
            found.setdefault((script.name, beside), (script, []))[1].append(pair)
    witnesses = tuple(
        _witness(script, tuple(pairs), question, beside) for (_, beside), (script, pairs) in found.items()
    )
    proposal = load_device_proposals()[question.id]
    return DevicePage(question, proposal, witnesses, tuple(missing), seen_in(runs, question))


@cache
def _by_size() -> tuple[Script, ...]:
    scripts = [script for script in control_suite(EVERYTHING) if not script.skip]
    return tuple(sorted(scripts, key=lambda one: (len(one.steps), _size(one))))


def _size(script: Script) -> int:
    return sum(len(step.data) for step in script.steps if isinstance(step, Command))


def _telling(question: Question, one: int, other: int) -> tuple[Script, _Beside] | None:
    """Return the shortest sequence that tells two readings apart, and beside which reading of another question."""
    for beside in (False, True):
        for script in _by_size():
            for company in _company(script, question, one, other) if beside else ((),):
                if _answers(script, question, one, company) != _answers(script, question, other, company):
                    return script, company
    return None


def _company(script: Script, question: Question, one: int, other: int) -> Iterator[_Beside]:
    """Yield each supported reading, but the literal ones, of the other questions that a sequence asks."""
    asked: set[str] = set()
    for number in (one, other):
        readings = Asked({question.field: number}, offered_readings(defects=False))
        for _ in play(script.steps, EVERYTHING, cast("DeviceReadings", readings), dialect("literal")):
            pass
        asked.update(readings.__dict__["path"])
    for field in DeviceReadings._fields:
        if field in asked and field != question.field:
            yield from (((field, number),) for number in offered_readings(defects=False)[field] if number)


@cache
def _played(script: Script, numbers: _Beside) -> tuple[Answer, ...]:
    device = DeviceReadings()._replace(**dict(numbers))
    return tuple(one.answer for one in play(script.steps, EVERYTHING, device, dialect("literal")))


def _answers(script: Script, question: Question, number: int, beside: _Beside) -> tuple[Answer, ...]:
    return _played(script, (*beside, (question.field, number)))


def _witness(
    script: Script, pairs: tuple[tuple[str, str], ...], question: Question, beside: _Beside
) -> SequenceWitness:
    under = [_answers(script, question, number, beside) for number in range(len(question.readings))]
    rows = tuple(
        (step_words(step), tuple(answer_words(answers[place]) for answers in under))
        for place, step in enumerate(script.steps)
    )
    others = ((all_by_field()[field], number) for field, number in beside)
    return SequenceWitness(script, pairs, rows, tuple((one.id, one.readings[number].name) for one, number in others))


def ordered(pages: Sequence[DevicePage]) -> list[DevicePage]:
    """Return the pages in the order of those about packets: by what is concerned, then by how many differ."""
    classes = list(TRAFFIC)
    return sorted(pages, key=lambda page: (classes.index(page.proposal.traffic), -len(page.differing)))


def render(pages: Sequence[DevicePage], *, alone: bool) -> str:
    """Return the pages as Markdown; `alone` if they are not behind the pages about packets."""
    level = "#" if alone else "##"
    parts = [] if alone else [_head(pages)]
    for page in ordered(pages):
        anchor = "" if alone else f'<a id="{page.question.id}"></a>\n\n'
        parts.append(anchor + _page(page, level))
    return "\n".join(parts)


_HEAD = """# The device

{questions} about features, control commands, resets and headers. For {kept} the proposed words only make the literal \
reading plain; for {changed} they choose another.

To reproduce the witnesses of a question: `vnethash check TARGET --suite control --question ID`. Without this tool, \
send the steps to a device in their order. The key is that of the questions about packets.

| question | asks about | concerns | differ from the literal reading | literal reading | recommended \
| take another than the recommended |
|---|---|---|---|---|---|---|"""


def _head(pages: Sequence[DevicePage]) -> str:
    changed = sum(not page.keeps for page in pages)
    lines = [_HEAD.format(questions=count(len(pages), "question"), kept=len(pages) - changed, changed=changed)]
    for page in ordered(pages):
        question, proposal = page.question, page.proposal
        literal = question.readings[0].name
        lines.append(
            f"| [{question.id}](#{question.id}) | {question.title} | {proposal.traffic} | {len(page.differing)} "
            f"| `{literal}` | `{proposal.recommend}`{'' if page.keeps else ' (another)'} | {page.opposed} |"
        )
    return "\n".join([*lines, ""])


def _page(page: DevicePage, level: str) -> str:
    question, proposal = page.question, page.proposal
    lines = [f"{level} {question.id}: {question.title}", "", question.asks, ""]
    lines += [f"**Concerns:** {proposal.traffic} ({TRAFFIC[proposal.traffic]}): {proposal.affects}.", ""]
    if page.differing:
        lines += [f"**Differ from the literal reading:** {as_markdown(', '.join(page.differing))}.", ""]
    else:
        lines += ["No implementation is known to differ from the literal reading.", ""]
    lines += [f"{level}# Proposed words", "", f"> {proposal.words}", ""]
    lines += [f"To stand in {'; in '.join(proposal.sections)}.", ""]
    chosen, literal = page.recommended, ", the literal one" if page.keeps else ""
    lines += [f"This is the reading `{chosen.name}`{literal}: {chosen.words}. {proposal.why}", ""]
    if page.against:
        lines += [f"**Take another reading than these words choose:** {as_markdown(', '.join(page.against))}.", ""]
    else:
        lines += ["No implementation is known to take another reading than these words choose.", ""]
    lines += [f"{level}# What the text says", ""]
    lines += [f"- {one.cite()}, {', '.join(one.strengths)}: {one.says}" for one in page.clauses]
    lines += ["", f"{level}# What Microsoft's documents say", ""]
    lines += [f"- {one.cite()}: {one.says}" for one in page.ancestors] or [_SILENT]
    lines += ["", f"{level}# Readings", ""]
    lines += ["| reading | standing | words | who, from reading the source or from runs |", "|---|---|---|---|"]
    for number, one in enumerate(question.readings):
        who = ", ".join(one.who) or "nobody known"
        lines.append(f"| `{one.name}`{'' if number else ' (literal)'} | {one.standing} | {one.words} | {who} |")
    if page.seen:
        lines += ["", f"{level}# Seen in runs", "", "| target | version | date | reading |", "|---|---|---|---|"]
        cells = ((one.target, one.version, one.date, one.words) for one in page.seen)
        lines += [f"| {' | '.join(map(as_markdown, row))} |" for row in cells]
    lines += ["", f"{level}# Witnesses", ""]
    for number, witness in enumerate(page.witnesses, 1):
        pairs = ", ".join(f"`{one}` or `{other}`" for one, other in witness.pairs)
        beside = f", with {witness.context}" if witness.context else ""
        lines += [f"**{number}.** {pairs}: the sequence `{witness.script.name}` of the control suite{beside}", ""]
        names = [f"`{one.name}`" for one in question.readings]
        lines += [f"| step | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
        for place, (words, under) in enumerate(witness.rows, 1):
            lines.append(f"| {place}. {' | '.join(cell.replace('|', chr(92) + '|') for cell in (words, *under))} |")
        lines.append("")
    for first, second in page.missing:
        lines += [f"`{first}` or `{second}`: no sequence of the suite tells them apart by itself.", ""]
    return "\n".join(lines)


def to_json(page: DevicePage) -> dict[str, Any]:
    """Return a page in plain values."""
    question, proposal = page.question, page.proposal
    names = [one.name for one in question.readings]
    return {
        "id": question.id, "title": question.title, "asks": question.asks,
        "clauses": [load()[name].cite() for name in question.clauses],
        "readings": [
            {"name": one.name, "standing": one.standing, "words": one.words, "who": list(one.who)}
            for one in question.readings
        ],
        "runs": [one._asdict() for one in page.seen],
        "differing": list(page.differing), "traffic": proposal.traffic, "affects": proposal.affects,
        "against": list(page.against),
        "proposal": {
            "words": proposal.words, "sections": list(proposal.sections), "reading": proposal.recommend,
            "why": proposal.why,
        },
        "sequences": [
            {
                "name": one.script.name, "pairs": [list(pair) for pair in one.pairs], "context": dict(one.beside),
                "steps": [{"step": words, "under": dict(zip(names, under, strict=True))} for words, under in one.rows],
            }
            for one in page.witnesses
        ],
        "without_witness": [list(pair) for pair in page.missing],
    }
