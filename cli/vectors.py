"""`vnethash vectors list|export|lint|past`: the published vectors, and the bugs of the past."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from vnethash.spec.errors import EXIT_DEVIATIONS, EXIT_OK, EXIT_TARGET, EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.conformance.past import Told
    from vnethash.conformance.suite import Case


class _Shown(NamedTuple):
    """A case, with the questions whose readings it tells apart and its headers in a line."""

    case: Case
    questions: tuple[str, ...]
    summary: str


@click.group("vectors", short_help="The published vectors: list, export, lint; bugs of the past.")
def vectors() -> None:
    """List the cases of a suite, write a suite as a file of vectors, check such a file, try bugs of the past.

    The format is described in docs/vectors.md.
    """


@vectors.command("list", short_help="List the cases of a suite.")
@click.option("--suite", default="default", show_default=True, help="default, quick, or a file of vectors.")
@click.option("--clause", "clauses", multiple=True, help="Only the cases of this clause (may be repeated).")
@click.option("--question", "questions", multiple=True, help="Only cases that tell readings of this question apart.")
@click.option("--hash-types", "types", help='Only these hash types: "TCPV4|IPV4", "all", "none", 0x1ff.')
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_(
    *, suite: str, clauses: tuple[str, ...], questions: tuple[str, ...], types: str | None, as_json: bool
) -> None:
    """List the cases of a suite with their clauses, headers and comments.

    On a terminal this draws a table; into a pipe it writes one line a case, fields separated by tabs: id, clauses,
    questions, headers, comment.
    """
    from vnethash.conformance.suite import told_apart  # noqa: PLC0415
    from vnethash.models.summarize import summarize  # noqa: PLC0415

    cases = _filtered(_cases(suite), clauses, types)
    _known_questions(questions)
    shown = []
    for case in cases:
        found = told_apart(case)
        if not questions or set(questions) & set(found):
            shown.append(_Shown(case, found, summarize(case.frame)))
    if as_json:
        click.echo(json.dumps({"suite": suite, "cases": [_object(one) for one in shown]}, indent=2))
    else:
        _print(shown)


@vectors.command(short_help="Write a suite as a file of vectors.")
@click.option("--suite", default="default", show_default=True, help="default or quick.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; standard output without it.")
def export(*, suite: str, output: Path | None) -> None:
    """Write a suite with its expectations as a file of vectors; the same suite gives the same bytes."""
    from vnethash.conformance.suite import load_suite  # noqa: PLC0415
    from vnethash.conformance.vectors import export as write  # noqa: PLC0415

    loaded = load_suite(suite)
    data = write(loaded)
    if output is None:
        click.echo(data, nl=False)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
    click.echo(f"{output}: {len(loaded.cases)} tests")


@vectors.command(short_help="Check files of vectors.")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: file -> what is wrong.")
def lint(*, paths: tuple[Path, ...], as_json: bool) -> int:
    """Check files of vectors: their form, ids, clauses, readings, and that the model confirms what they expect.

    Prints a line for each thing that is wrong. Exit code 0 if nothing is, else 2.
    """
    from vnethash.conformance.vectors import lint as examine  # noqa: PLC0415

    found = {str(path): examine(path) for path in paths}
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for path, problems in found.items():
            for problem in problems or [f"{path}: nothing is wrong"]:
                click.echo(problem)
    return EXIT_USAGE if any(found.values()) else EXIT_OK


@vectors.command(short_help="Bugs of the past: list them, or put them to targets.")
@click.argument("names", metavar="[TARGET]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def past(*, names: tuple[str, ...], as_json: bool) -> int:
    """List bugs that implementations have had, or put them to targets and say which has which.

    A bug is absent only where the answer is one that the text allows. What is known of a version is upstream's: a
    distribution may have taken a repair over, and a mark (!) then says so. Exit code 1 if a target
    has one, 3 if a target could not be driven.
    """
    from vnethash.conformance.suite.past import past as bugs  # noqa: PLC0415

    if names:
        return _put_past(names, as_json)
    if as_json:
        fields = ("name", "words", "project", "change", "clauses")
        click.echo(json.dumps([{name: getattr(bug, name) for name in fields} for bug in bugs()], indent=2))
        return EXIT_OK
    for bug in bugs():
        spans = "; ".join(
            f"{span.implementation} {span.since} to before {span.fixed}" if span.fixed else
            f"{span.implementation} from {span.since} on" for span in bug.spans
        )
        click.echo("\t".join((bug.name, bug.words, bug.project, bug.change, " ".join(bug.clauses), spans)))
    return EXIT_OK


def _put_past(names: Sequence[str], as_json: bool) -> int:
    from vnethash.conformance.past import ask_all  # noqa: PLC0415
    from vnethash.targets.registry import check_name, open_target  # noqa: PLC0415

    for name in names:
        check_name(name)
    found: dict[str, tuple[list[Told], str]] = {}
    ask_all(names, open_target, lambda name, told, words: found.update({name: (told, words)}))
    if as_json:
        click.echo(
            json.dumps(
                {
                    name: {
                        "implementation": words if told else "", "not_driven": "" if told else words,
                        "bugs": {
                            one.bug.name: {"state": one.state, "why": one.why, "known": one.known} for one in told
                        },
                    }
                    for name, (told, words) in found.items()
                },
                indent=2,
            )
        )
    else:
        _print_past(found)
    if any(one.state == "present" for told, _ in found.values() for one in told):
        return EXIT_DEVIATIONS
    return EXIT_OK if all(told for told, _ in found.values()) else EXIT_TARGET


def _print_past(found: dict[str, tuple[list[Told], str]]) -> None:
    """Print a table of bugs by targets, and below it what is not as known and who was not driven."""
    from rich.table import Table  # noqa: PLC0415
    from vnethash.conformance.matrix import WORDS  # noqa: PLC0415
    from vnethash.conformance.summary import make_console  # noqa: PLC0415

    driven = {name: told for name, (told, _) in found.items() if told}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("bug", no_wrap=True)
    for name in driven:
        table.add_column(name, overflow="fold")
    table.add_column("clauses", overflow="fold")
    table.add_column("repaired by", overflow="fold")
    for row in zip(*driven.values(), strict=True):
        cells = [WORDS[one.state] + (" (!)" if one.contrary else "") for one in row]
        table.add_row(row[0].bug.name, *cells, " ".join(row[0].bug.clauses), row[0].bug.change)
    console = make_console()
    if driven:
        console.print(table)
    for name, told in driven.items():
        for one in told:
            if one.contrary:
                known = "has it" if one.known else "is without it"
                line = f"(!) {name}: {one.bug.name} is {one.state}; upstream's release of that version {known}"
                console.print(line, soft_wrap=True)
    for name, (told, words) in found.items():
        if not told:
            console.print(f"{name}: not driven: {words}", soft_wrap=True)


def _cases(suite: str) -> Sequence[Case]:
    if suite.endswith(".json"):
        from vnethash.conformance.vectors import read_suite  # noqa: PLC0415

        return read_suite(Path(suite)).cases
    from vnethash.conformance.suite import load_suite  # noqa: PLC0415

    return load_suite(suite).cases


def _filtered(cases: Sequence[Case], clauses: Sequence[str], types: str | None) -> Sequence[Case]:
    from vnethash.spec.clauses import clause as look_up  # noqa: PLC0415

    for identifier in clauses:
        look_up(identifier)
    if clauses:
        cases = [case for case in cases if set(clauses) & set(case.clauses)]
    if types is not None:
        wanted = _hash_types(types)
        cases = [case for case in cases if case.configuration.hash_types == wanted]
    return cases


def _hash_types(text: str) -> int:
    """Read hash types as a user writes them."""
    from vnethash.spec.constants import ALL_HASH_TYPES, HashType  # noqa: PLC0415

    known = {flag.name: int(flag) for flag in HashType}
    words = {"ALL": ALL_HASH_TYPES, "NONE": 0, **known}
    total = 0
    for word in text.upper().replace(",", "|").split("|"):
        name = word.strip()
        if name in words:
            total |= words[name]
            continue
        try:
            total |= int(name, 0)
        except ValueError:
            raise UsageError(f"no hash type {word.strip()!r}", hint=", ".join(filter(None, known))) from None
    return total


def _known_questions(questions: Sequence[str]) -> None:
    from vnethash.spec.clauses import did_you_mean  # noqa: PLC0415
    from vnethash.spec.questions import load_questions  # noqa: PLC0415

    for identifier in questions:
        if identifier not in load_questions():
            hint = did_you_mean(identifier, load_questions()) or "`vnethash spec list --kind question` has them all"
            raise UsageError(f"no question {identifier!r}", hint=hint)


def _object(one: _Shown) -> dict[str, object]:
    case = one.case
    return {
        "id": case.id, "comment": case.comment, "clauses": list(case.clauses), "questions": list(one.questions),
        "summary": one.summary, "frame": case.frame.hex(), "config": case.configuration.to_json(),
    }


def _print(shown: Sequence[_Shown]) -> None:
    if not sys.stdout.isatty():
        for case, questions, summary in shown:
            click.echo("\t".join((str(case.id), " ".join(case.clauses), " ".join(questions), summary, case.comment)))
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=f"{len(shown)} cases", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column("id", style="bold", justify="right")
    table.add_column("case", overflow="fold", min_width=40)
    table.add_column("clauses", overflow="fold", max_width=30)
    for case, _, summary in shown:
        table.add_row(
            str(case.id), Text.assemble((summary, "bold"), "\n", case.comment), Text(" ".join(case.clauses))
        )
    Console().print(table)
