"""`vnethash check TARGET...`: a conformance run, with its table and its folder of records."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from vnethash.spec.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.records import AnyRecord
    from vnethash.conformance.suite import Case

#: What a run that goes on cannot be told again, by the name of the parameter.
_SAID = {
    "names": "targets", "everything": "--all", "suite": "--suite", "clauses": "--clause", "questions": "--question",
    "output": "--output", "overwrite": "--overwrite", "validate": "--validate", "timeout": "--timeout",
    "route": "--route",
}


@click.command()
@click.argument("names", metavar="TARGET...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every implementation that can be driven on this machine.")
@click.option("--suite", default="default", show_default=True, help="default, quick, control, or a file of vectors.")
@click.option("--clause", "clauses", multiple=True, help="Only the cases of this clause (may be repeated).")
@click.option("--question", "questions", multiple=True, help="Only the cases that this question changes.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("vnethash-report"),
              show_default=True, help="Folder of the records; it is made anew.")
@click.option("--overwrite", is_flag=True, help="Also a folder with a run that was killed: discard its answers.")
@click.option("--resume", metavar="FOLDER", type=click.Path(path_type=Path),
              help="Go on with the run in FOLDER that was killed or interrupted; it is named alone, without targets.")
@click.option("--expected", type=click.Path(dir_okay=False, path_type=Path), help="Known results; only change fails.")
@click.option("--accept", type=click.Path(dir_okay=False, path_type=Path), help="Write what was found to this file.")
@click.option("--validate", is_flag=True, help="Hold every message of an exec: target against the protocol's schema.")
@click.option("--timeout", type=click.FloatRange(min=0.01),
              help="Seconds for one answer: exec:, lib:, dpdk (default 10) and qemu (default 20).")
@click.option("--route", type=click.Choice(("auto", "test_run", "tun")), default="auto", show_default=True,
              help="How frames reach a steering program in the kernel.")
@click.option("--json", "as_json", is_flag=True, help="The records on standard output, one JSON object a line.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--brief", is_flag=True, help="The conclusions and the matrix of causes; the findings are in the report.")
def check(
    names: tuple[str, ...],
    everything: bool,
    suite: str,
    clauses: tuple[str, ...],
    questions: tuple[str, ...],
    output: Path,
    overwrite: bool,
    resume: Path | None,
    expected: Path | None,
    accept: Path | None,
    validate: bool,
    timeout: float | None,
    route: str,
    as_json: bool,
    quiet: bool,
    brief: bool,
) -> int:
    """Put the conformance suite to targets and judge each by one consistent profile of readings.

    What a witness such as linux-dissector shows is told beside it, and is no verdict. While the run goes on, each
    answer is kept in the folder: whatever ends it, --resume asks only what is left.

    Exit code 0 if all conform (or all is as --expected says), 1 on deviations, 3 if a target could not be driven.
    """
    import msgspec  # noqa: PLC0415
    from vnethash.conformance import expected as expectations  # noqa: PLC0415
    from vnethash.conformance import journal as journals  # noqa: PLC0415
    from vnethash.conformance.check import check as run_check  # noqa: PLC0415
    from vnethash.conformance.check import tool  # noqa: PLC0415
    from vnethash.conformance.device.control import Control  # noqa: PLC0415
    from vnethash.conformance.report import ReportWriter, draw_all, now, read_report, resume_hint  # noqa: PLC0415
    from vnethash.conformance.summary import make_console, render_differences, render_terminal  # noqa: PLC0415
    from vnethash.targets.devices import is_device, open_device  # noqa: PLC0415
    from vnethash.targets.registry import WITNESSES, check_options, open_target, open_witness, with_routes  # noqa: PLC0415

    with ExitStack() as stack:
        if resume:
            _only_resume()
            output = resume
            journal = stack.enter_context(journals.Journal.resume(output))
            asked = journal.asked
            expected = expected or (Path(asked.expected) if asked.expected else None)
            accept = accept or (Path(asked.accept) if asked.accept else None)
        else:
            chosen = _targets(names, everything)
            for name in chosen:
                check_options(name)
            routed = with_routes([name for name in chosen if name not in WITNESSES], route)
            for name in routed:
                check_options(name)
            asked = journals.Asked(
                journals.FORMAT, tool(), routed, suite,
                "", [name for name in chosen if name in WITNESSES], list(clauses), list(questions), validate, timeout,
                str(expected) if expected else None, str(accept) if accept else None,
            )
        known = expectations.read_expected(expected) if expected else None
        control = None
        if asked.suite == "control" or (asked.suite == "default" and any(map(is_device, asked.targets))):
            fields = frozenset(question_fields(asked.questions))
            control = Control(lambda name: open_device(name, timeout=asked.timeout), frozenset(asked.clauses), fields)
        label, cases = load_cases(asked.suite, asked.clauses, asked.questions, empty=control is not None)
        digest = journals.digest_of(cases)
        witnesses = [stack.enter_context(closing(open_witness(name))) for name in asked.witnesses]
        if resume:
            journal.check(digest, tool())
        else:
            asked = msgspec.structs.replace(asked, digest=digest)
            journal = stack.enter_context(journals.Journal.create(output, asked, overwrite=overwrite))
        writer = stack.enter_context(ReportWriter(output, kept=journal.taken.records))
        sink = _sink(writer.write, as_json, journal.taken.records)
        with Bars(enabled=not quiet and not as_json) as bars:
            summary = run_check(
                asked.targets, label, cases,
                lambda name: open_target(name, validate=asked.validate, timeout=asked.timeout), sink,
                progress=bars, command=sys.argv[1:], now=now, control=control, witnesses=witnesses, journal=journal,
            )
        if not summary.interrupted:
            journal.finish()
    draw_all(output)
    report = read_report(output)
    if not as_json:
        render_terminal(report, make_console(), brief=brief)
    if accept:
        previous = expectations.read_expected(accept) if accept.exists() else known
        expectations.write_expected(expectations.accept(report, previous), accept)
        if not as_json:
            click.echo(f"accepted: {accept}")
        return EXIT_OK
    if known:
        differences = expectations.compare(report, known)
        if not as_json:
            render_differences(differences, make_console())
        return expectations.exit_code(differences)
    if summary.interrupted:
        click.echo(f"vnethash: interrupted; {resume_hint(output)}", err=True)
        return 130
    return summary.exit_code


def _only_resume() -> None:
    """Raise UsageError where the command line says what the run that goes on has said already."""
    context = click.get_current_context()
    for name, words in _SAID.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT and context.params[name]:
            raise UsageError(f"--resume goes on with the run as it was begun; {words} cannot be given again")


def _targets(names: Sequence[str], everything: bool) -> list[str]:
    if everything:
        from vnethash.targets.registry import probe_all  # noqa: PLC0415

        lines = probe_all()
        for line in lines:
            # PATH and COMMAND stand for what only the user has.
            if not line.available and not line.name.rpartition(":")[2].isupper() and "." not in line.name:
                click.echo(f"vnethash: skipped {line.name}: {line.reason}", err=True)
        found = [line.name for line in lines if line.available and (line.judged or line.witness)]
        return [*names, *(name for name in found if name not in names)]
    if not names:
        raise UsageError("no target is named", hint="`vnethash targets` lists them, --all takes every one")
    if len(set(names)) != len(names):
        raise UsageError("a target is named twice")
    return list(names)


def question_fields(questions: Sequence[str]) -> set[str]:
    """Return the fields of questions, about packets or the device; raises UsageError for an id that is none."""
    from vnethash.spec.questions import all_questions  # noqa: PLC0415

    known = all_questions()
    for identifier in questions:
        if identifier not in known:
            raise UsageError(f"no question {identifier!r}", hint="`vnethash spec list --kind question`")
    return {known[identifier].field for identifier in questions}


def load_cases(
    suite: str, clauses: Sequence[str], questions: Sequence[str], *, empty: bool = False
) -> tuple[str, list[Case]]:
    """Return the cases of a suite or a file of vectors that the clauses and questions leave, and what to call them.

    The control suite has no cases; raises UsageError where none is left, unless `empty`.
    """
    from vnethash.conformance.suite import load_suite  # noqa: PLC0415

    if suite == "control":
        loaded = load_suite("quick")._replace(name="control", cases=())
    elif suite.endswith(".json"):
        from vnethash.conformance.vectors import read_suite  # noqa: PLC0415

        loaded = read_suite(Path(suite))
    else:
        loaded = load_suite(suite)
    cases = list(loaded.cases)
    label = loaded.name
    if clauses:
        from vnethash.spec.clauses import clause as look_up  # noqa: PLC0415

        for identifier in clauses:
            look_up(identifier)
        cases = [case for case in cases if set(clauses) & set(case.clauses)]
        label += f", clauses {' '.join(clauses)}"
    if questions:
        from vnethash.models.expectations import Expectations  # noqa: PLC0415

        fields = question_fields(questions)
        expectations = Expectations()
        cases = [
            case for case in cases if fields & expectations.of(case.frame, case.configuration).full.questions()
        ]
        label += f", questions {' '.join(questions)}"
    if not cases and not empty:
        raise UsageError("no case of the suite is left")
    return label, cases


def _sink(
    write: Callable[[AnyRecord], None], as_json: bool, kept: Sequence[AnyRecord]
) -> Callable[[AnyRecord], None]:
    if not as_json:
        return write
    import msgspec  # noqa: PLC0415

    def both(record: AnyRecord) -> None:
        write(record)
        click.echo(msgspec.json.encode(record))

    for record in kept:
        click.echo(msgspec.json.encode(record))
    return both


class Bars:
    """A progress bar a stage, on standard error; nothing where that is no terminal."""

    def __init__(self, *, enabled: bool) -> None:
        self._progress: Any = None
        self._task: Any = None
        if enabled and sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

            self._progress = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                console=Console(stderr=True), transient=True,
            )

    def __enter__(self) -> Bars:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def stage(self, target: str, what: str, total: int) -> None:
        """Show a new bar."""
        if self._progress:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(f"{target}: {what}", total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        if self._progress and self._task is not None:
            self._progress.advance(self._task, count)
