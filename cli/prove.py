"""`vnethash prove model`: what holds of the model on all frames, and what the text leaves open."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click
from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from vnethash.conformance.proof import Proof
    from vnethash.models.symbolic.obligations import Task, Verdict


@click.command()
@click.argument("subject", metavar="model")
@click.option("--only", multiple=True, metavar="GROUP[/NAME]", help="Only this group, or this statement; repeatable.")
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 2, show_default="the processors here",
              help="Statements that are proved at once.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Time for each statement, in place of its own limit.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("vnethash-proof"),
              show_default=True, help="Folder for proof.jsonl and proof.md.")
@click.option("--list", "listing", is_flag=True, help="List the statements and prove nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a verdict on standard output.")
def prove(
    subject: str, only: tuple[str, ...], jobs: int, seconds: float | None, output: Path, *, listing: bool, as_json: bool
) -> int:
    """Prove what is claimed of the reference model, by z3 and bitwuzla over its own source.

    Exit code 0 if every statement is proved, 1 if one is refuted (with a counterexample that CPython confirmed), 3 if
    one has no answer within its time.
    """
    if subject != "model":
        raise UsageError(f"{subject!r} cannot be proved", hint="vnethash prove model")
    from vnethash.conformance.proof import Proof, ProofWriter, page  # noqa: PLC0415
    from vnethash.models.symbolic.prover import all_tasks  # noqa: PLC0415
    from vnethash.models.symbolic.prover import prove as run  # noqa: PLC0415

    tasks = all_tasks(only)
    if listing:
        for task in tasks:
            click.echo(f"{task.group}/{task.name}: {task.statement}")
        return 0
    solvers = {name: metadata.version(package) for name, package in _solvers().items()}
    tool = f"vnethash {metadata.version('vnethash')}"
    proof = Proof(tasks)
    started = time.monotonic()
    with ProofWriter(output, tool, _now(), sys.argv, solvers) as writer, _Progress(len(tasks), hidden=as_json) as bar:
        try:
            with closing(run(tasks, jobs, seconds)) as verdicts:
                for task, verdict in verdicts:
                    proof.verdicts[task.group, task.name] = verdict
                    writer.verdict(task, verdict)
                    bar.heard(task, verdict)
                    if as_json:
                        click.echo(json.dumps({"group": task.group, "name": task.name, **asdict(verdict)}))
        except KeyboardInterrupt:
            proof.interrupted = True
        proof.seconds = time.monotonic() - started
        writer.footer(proof, _now())
    (output / "proof.md").write_text(page(proof, tool, solvers), encoding="utf-8")
    if not as_json:
        _show(proof, output)
    return 130 if proof.interrupted else proof.exit_code


def _solvers() -> dict[str, str]:
    found = {"z3": "z3-solver"}
    try:
        metadata.version("bitwuzla")
    except metadata.PackageNotFoundError:
        click.echo("vnethash: bitwuzla is not installed: z3 alone is slower (pip install bitwuzla)", err=True)
        return found
    return {**found, "bitwuzla": "bitwuzla"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class _Progress:
    """A bar on standard error, with the statements that fail above it."""

    def __init__(self, total: int, *, hidden: bool) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        console = Console(stderr=True)
        columns = (TextColumn("{task.description:44.44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=hidden or not console.is_terminal)
        self._task = self._bar.add_task("proving", total=total)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def heard(self, task: Task, verdict: Verdict) -> None:
        """Go on by one."""
        self._bar.update(self._task, advance=1, description=f"{task.group}/{task.name}")
        if verdict.kind != "proved":
            self._bar.console.print(f"{verdict.kind}: {task.group}/{task.name}: {verdict.detail}", markup=False)


def _show(proof: Proof, output: Path) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from vnethash.models.symbolic.prover import GROUPS  # noqa: PLC0415

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("group")
    table.add_column("what")
    for name in ("statements", "proved", "refuted", "open", "seconds"):
        table.add_column(name, justify="right")
    for group, (_, words) in GROUPS.items():
        total = sum(task.group == group for task in proof.tasks)
        if total:
            counts = proof.counts(group)
            spent = sum(verdict.seconds for (name, _), verdict in proof.verdicts.items() if name == group)
            numbers = (total, counts["proved"], counts["refuted"], counts["open"], round(spent))
            table.add_row(group, words, *map(str, numbers))
    console.print(table)
    for kind in ("refuted", "open"):
        for task, verdict in proof.of_kind(kind):
            console.print(f"\n{kind}: {task.group}/{task.name}: {task.statement}\n  {verdict.detail}", markup=False)
            if (found := verdict.counterexample) is not None:
                readings = " ".join(f"{question}={reading}" for question, reading in found.readings.items())
                console.print(f"  {found.shows}\n  frame {found.frame}", markup=False)
                if found.configuration:
                    console.print(f"  configuration {json.dumps(found.configuration)}", markup=False)
                console.print(f"  readings {readings or 'literal'}", markup=False)
    for bounds in dict.fromkeys(task.bounds for task, _ in proof.of_kind("proved")):
        console.print(f"\nproved for {bounds}", markup=False)
    words = {0: "all is proved", 1: "refuted, see above", 3: "not all has an answer"}[proof.exit_code]
    if proof.interrupted:
        words = f"stopped; {len(proof.verdicts)} of {len(proof.tasks)} statements were looked at"
    console.print(f"\n{words}: {len(proof.of_kind('proved'))} of {len(proof.tasks)} statements, "
                  f"{proof.seconds:.0f} s; {output / 'proof.md'}", markup=False)
