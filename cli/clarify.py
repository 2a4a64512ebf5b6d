"""`vnethash clarify`: the specification clarification report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from vnethash.spec.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from vnethash.conformance.clarify import Page


@click.command(short_help="The specification clarification report.")
@click.option("--question", "identifiers", multiple=True, metavar="ID", help="This question alone; repeatable.")
@click.option("--format", "form", type=click.Choice(["md", "html"]), default="md", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file instead of standard output.")
@click.option(
    "--runs", multiple=True, type=click.Path(path_type=Path), metavar="FOLDER",
    help="Folder that `vnethash check` wrote; repeatable. More folders may follow the first.",
)
@click.option("--pcapng", type=click.Path(path_type=Path), help="Also write the witnesses to this capture.")
@click.option("--solver", is_flag=True, help="Ask the solver for witnesses smaller than those of the suite.")
@click.option("--solver-seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Each time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
@click.argument("more_runs", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
def clarify(
    identifiers: tuple[str, ...], form: str, output: Path | None, runs: tuple[Path, ...], pcapng: Path | None,
    solver: bool, solver_seconds: float, as_json: bool, more_runs: tuple[Path, ...],
) -> int:
    """Show each place where the text allows more than one behaviour, and words that would settle it.

    A page has what is asked, the clauses, the readings, a frame that tells each two of them apart with the outcome
    under each, who does what, and a proposal. With --question it is ready to be pasted into an issue.

    What implementations do is taken from the runs given with --runs, with version and date; the rest is marked as from
    reading the source.
    """
    from vnethash.conformance.clarify import all_pages, ask_solver, capture, question_of, render  # noqa: PLC0415
    from vnethash.conformance.device import clarify as device  # noqa: PLC0415
    from vnethash.conformance.report import read_report  # noqa: PLC0415
    from vnethash.spec.questions import load_device_questions, load_questions  # noqa: PLC0415

    if more_runs and not runs:
        raise UsageError(f"unexpected argument {str(more_runs[0])!r}", hint="folders of runs follow --runs")
    about_device = load_device_questions()
    wanted = list(dict.fromkeys(identifiers)) or [*load_questions(), *about_device]
    chosen = [question_of(name) for name in wanted if name not in about_device]
    reports = [read_report(folder) for folder in (*runs, *more_runs)]
    ask = ask_solver(solver_seconds, lambda line: click.echo(line, err=True)) if solver else None
    pages = all_pages(chosen, reports, ask)
    others = [device.device_page(about_device[name], reports) for name in wanted if name in about_device]
    if as_json:
        found = [*(to_json(page) for page in pages), *(device.to_json(page) for page in others)]
        text = json.dumps({"questions": found}, indent=2) + "\n"
    elif form == "html":
        text = render(pages, form, runs=reports, alone=bool(identifiers), devices=device.ordered(others))
    else:
        parts = [render(pages, form, runs=reports, alone=bool(identifiers))] if pages else []
        parts += [device.render(others, alone=not pages)] if others else []
        text = "\n".join(parts)
    if pcapng:
        _write(pcapng, capture(pages))
    if output:
        _write(output, text.encode())
    else:
        click.echo(text, nl=False)
    return EXIT_OK


def to_json(page: Page) -> dict[str, Any]:
    """Return a page in plain values."""
    question, proposal = page.question, page.proposal
    return {
        "id": question.id, "title": question.title, "asks": question.asks,
        "clauses": [clause.cite() for clause in (*page.clauses, *page.ancestors)],
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
        "witnesses": [
            {
                "frame": one.hex, "summary": one.summary, "config": one.found.configuration.to_json(),
                "context": dict(one.found.context), "origin": one.found.origin, "others": list(one.others),
                "pairs": [list(pair) for pair in one.pairs],
                "outcomes": {row.reading.name: {**row.outcome._asdict(), "hashed": row.hashed} for row in one.rows},
            }
            for one in page.witnesses
        ],
        "without_witness": [list(pair) for pair in page.missing],
    }


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
