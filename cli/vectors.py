"""`vnethash vectors list|export|lint`: the published vectors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from vnethash.spec.errors import EXIT_OK, EXIT_USAGE, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.conformance.suite import Case


class _Shown(NamedTuple):
    """A case, with the questions whose readings it tells apart and its headers in a line."""

    case: Case
    questions: tuple[str, ...]
    summary: str


@click.group("vectors", short_help="The published vectors: list, export, lint.")
def vectors() -> None:
    """List the cases of a suite, write a suite as a file of vectors, check such a file.

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
