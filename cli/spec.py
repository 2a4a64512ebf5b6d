"""`vnethash spec list` and `vnethash spec show ID...`: what the specification says, and what it leaves open."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vnethash.spec.clauses import Clause
    from vnethash.spec.questions import Question, Reading

_PLAIN_WIDTH = 100


@click.group("spec", short_help="Look up clauses and open questions of the specification.")
def spec() -> None:
    """Look up the clauses of the specification, the questions that it leaves open, and their readings.

    Everything shown is in this project's words; the section and the lines of the source stand beside it.
    """


@spec.command("list", short_help="List clauses, questions or readings.")
@click.option(
    "--kind", type=click.Choice(["clause", "question", "reading"]), multiple=True,
    help="What to list; may be given more than once. Clauses and questions if not given.",
)
@click.option("--strength", multiple=True, help='E.g. MUST, "SHOULD NOT", declarative; also a list, MUST,MAY.')
@click.option("--version", "version", help="Only what this version has: 1.1, 1.2, 1.3, 1.4, or a month for Microsoft.")
@click.option("--document", type=click.Choice(["virtio", "microsoft"]), help="Only clauses of this document.")
@click.option("--section", help="Only clauses of sections with this in title or number (5.1.9.4.3: with subsections).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(
    *, kind: tuple[str, ...], strength: tuple[str, ...], version: str | None, document: str | None,
    section: str | None, as_json: bool,
) -> None:
    """List clauses and questions.

    A filter applies to clauses; a question, and its readings, are kept if a clause that the question cites is. On a
    terminal this draws tables; into a pipe it writes one line an item, fields separated by tabs.
    """
    from dataclasses import asdict  # noqa: PLC0415

    from vnethash.spec.clauses import load  # noqa: PLC0415
    from vnethash.spec.questions import all_questions  # noqa: PLC0415

    clauses = _filtered(load().values(), strength, version, document, section)
    questions = list(all_questions().values())
    if strength or version or document or section:
        kept = {clause.id for clause in clauses}
        questions = [question for question in questions if kept.intersection(question.clauses)]
    kinds = kind or ("clause", "question")
    if as_json:
        answer: dict[str, Any] = {}
        if "clause" in kinds:
            answer["clauses"] = [clause.to_json() for clause in clauses]
        if "question" in kinds:
            answer["questions"] = [asdict(question) for question in questions]
        if "reading" in kinds:
            answer["readings"] = [
                {"question": question.id, **asdict(reading)} for question in questions for reading in question.readings
            ]
        click.echo(json.dumps(answer, indent=2))
        return
    if "clause" in kinds:
        _print([_clause_row(one) for one in clauses], f"{len(clauses)} clauses", ("clause", "strength", "says"))
    if "question" in kinds:
        _print([_question_row(one) for one in questions], f"{len(questions)} questions", ("question", "area", "asks"))
    if "reading" in kinds:
        readings = [_reading_row(one, each) for one in questions for each in one.readings]
        _print(readings, f"{len(readings)} readings", ("question", "standing", "reading"))


@spec.command("show", short_help="Show all of a clause or a question.")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def show(ids: tuple[str, ...], *, as_json: bool) -> None:
    """Show clauses (X6-3) and questions (ipv4-first-fragment) in full.

    A clause comes with the questions that cite it, a question with its readings: what each says, what supports it,
    and who is known to do it.
    """
    from dataclasses import asdict  # noqa: PLC0415

    from vnethash.spec.clauses import did_you_mean, load  # noqa: PLC0415
    from vnethash.spec.questions import all_questions  # noqa: PLC0415

    clauses, questions = load(), all_questions()
    known = {name.upper(): name for name in (*clauses, *questions)}
    chosen = []
    for given in ids:
        name = known.get(given.upper())
        if name is None:
            hint = did_you_mean(given, known.values()) or "`vnethash spec list` has them all"
            raise UsageError(f"no clause and no question has the id {given!r}", hint=hint)
        chosen.append(name)
    citing = {name: [one for one in questions.values() if name in one.clauses] for name in chosen}
    if as_json:
        answer = [
            {"kind": "clause", **clauses[name].to_json(), "questions": [one.id for one in citing[name]]}
            if name in clauses else {"kind": "question", **asdict(questions[name])}
            for name in chosen
        ]
        click.echo(json.dumps(answer, indent=2))
        return
    for number, name in enumerate(chosen):
        if number:
            click.echo()
        if name in clauses:
            _show_clause(clauses[name], citing[name])
        else:
            _show_question(questions[name], [clauses[one] for one in questions[name].clauses])


def _filtered(
    clauses: Iterable[Clause], strength: Sequence[str], version: str | None, document: str | None, section: str | None
) -> list[Clause]:
    from vnethash.spec.clauses import STRENGTHS  # noqa: PLC0415

    known = {name.upper(): name for name in STRENGTHS}
    wanted = set()
    for word in (word.strip() for words in strength for word in words.split(",")):
        if word.upper() not in known:
            raise UsageError(f"no clause has strength {word!r}", hint=f"one of {', '.join(STRENGTHS)}")
        wanted.add(known[word.upper()])
    kept = list(clauses)
    versions = list(dict.fromkeys(each for one in kept for each in one.versions))
    if version is not None and version not in versions:
        raise UsageError(f"no document has a version {version!r}", hint=f"one of {', '.join(sorted(versions))}")
    if wanted:
        kept = [one for one in kept if wanted.intersection(one.strengths)]
    if version:
        kept = [one for one in kept if version in one.versions]
    if document:
        kept = [one for one in kept if one.document == document]
    if section:
        kept = [one for one in kept if _in_section(one, section, version)]
    return kept


def _in_section(clause: Clause, wanted: str, version: str | None) -> bool:
    """Whether the number is the wanted one or below it (of that version, or of any), or a title has the words."""
    numbers = [number for each, number in clause.place.numbers if version in {None, each}]
    if any(f"{number}.".startswith(f"{wanted.rstrip('.')}.") for number in numbers):
        return True
    return any(wanted.casefold() in title.casefold() for title in clause.place.path)


def _strength(clause: Clause) -> str:
    return ", ".join(clause.strengths) + (", informal" if clause.informal else "")


def _versions(clause: Clause) -> str:
    """Return e.g. "1.2-1.4", or "2021-03" and later months as "since 2021-03"."""
    first, last = clause.versions[0], clause.versions[-1]
    if first == last:
        return first
    return f"{first}-{last}" if clause.document == "virtio" else f"since {first}"


class _Row(NamedTuple):
    """One item: the fields of its line in a pipe, and the three cells of its row on a terminal."""

    fields: tuple[str, ...]
    name: str
    about: str
    title: str
    text: str


def _clause_row(one: Clause) -> _Row:
    strength, versions = _strength(one), _versions(one)
    fields = (one.id, strength, one.binds, versions, one.section, one.says)
    return _Row(fields, one.id, f"{strength}\n{one.binds}\n{versions}", one.section, one.says)


def _question_row(one: Question) -> _Row:
    clauses, readings = " ".join(one.clauses), " ".join(reading.name for reading in one.readings)
    text = f"{one.asks}\n{clauses}: {readings}"
    return _Row((one.id, one.area, clauses, readings, one.title, one.asks), one.id, one.area, one.title, text)


def _reading_row(question: Question, one: Reading) -> _Row:
    who = ", ".join(one.who)
    text = f"{one.words}\ndone by {who}" if who else one.words
    return _Row((question.id, one.name, one.standing, who, one.words), question.id, one.standing, one.name, text)


def _print(rows: Sequence[_Row], title: str, columns: tuple[str, str, str]) -> None:
    """Draw a table on a terminal; otherwise write one line a row, its fields separated by tabs."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row.fields))
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(columns[0], style="bold", overflow="fold")
    table.add_column(columns[1], overflow="fold", max_width=20)
    table.add_column(columns[2], overflow="fold", min_width=40)
    for row in rows:
        table.add_row(Text(row.name), Text(row.about), Text.assemble((row.title, "bold"), "\n", row.text))
    Console().print(table)


def _show_clause(clause: Clause, questions: Sequence[Question]) -> None:
    binds = {"device": "the device", "driver": "the driver", "both": "device and driver"}[clause.binds]
    strength = ", ".join(clause.strengths)
    if clause.informal:
        strength += ", outside the normative sections"
    _heading(clause.id, clause.section)
    _field("says", clause.says)
    if clause.note:
        _field("note", clause.note)
    _field("strength", f"{strength}; binds {binds}")
    _field("document", f"{clause.document}, {' / '.join(clause.place.path)}")
    _field("versions", ", ".join(_numbered(clause, version) for version in clause.versions))
    _field("source", f"{clause.place.source.repository} {clause.origin}")
    for question in questions:
        _field("question", f"{question.id}: {question.title}")


def _numbered(clause: Clause, version: str) -> str:
    number = dict(clause.place.numbers).get(version)
    return f"{version} ({number})" if number else version


def _show_question(question: Question, clauses: Sequence[Clause]) -> None:
    _heading(question.id, question.title)
    _field("asks", question.asks)
    for clause in clauses:
        _field("clause", f"{clause.id} ({_strength(clause)}): {clause.says}")
    for reading in question.readings:
        _field("reading", f"{reading.name} ({reading.standing}): {reading.words}")
        if reading.who:
            _field("", f"done by {', '.join(reading.who)}")
    if question.items:
        _field("items", " ".join(question.items))


def _heading(name: str, title: str) -> None:
    click.echo(f"{click.style(name, bold=True)}  {title}")


def _field(name: str, text: str) -> None:
    """Write one field, wrapped to the terminal (100 columns elsewhere), with a hanging indent."""
    width = _PLAIN_WIDTH
    if sys.stdout.isatty():
        import shutil  # noqa: PLC0415

        width = max(40, shutil.get_terminal_size().columns)
    wrapped = textwrap.wrap(text, width - 12, break_on_hyphens=False)
    for number, line in enumerate(wrapped):
        label = click.style(f"{name:<10}", dim=True) if number == 0 else " " * 10
        click.echo(f"  {label}{line}")
