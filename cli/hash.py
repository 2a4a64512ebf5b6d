"""`vnethash hash FILE...`: the hash, report and queue of every frame of captures, by the compiled model."""

from __future__ import annotations

import itertools
import json
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from vnethash.spec.errors import EXIT_OK, EXIT_USAGE, UsageError, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vnethash.cli.hash_rows import Row, Writer
    from vnethash.models.capture_ahead import Engine
    from vnethash.models.capture_reader import Batch, Capture
    from vnethash.models.capture_totals import Totals
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.readings import Readings

#: Captures up to these sizes are answered before the twin would be loaded, and compiled.
_TINY = 1 << 20
_SMALL = 8 << 20
_QUEUES_SHOWN = 16


class _Limit(click.ParamType[int]):
    name = "N|all"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        text = str(value)
        if text == "all":
            return sys.maxsize
        if not (text.isascii() and text.isdecimal()):
            self.fail(f"{value!r} is no number of lines, and not `all`", param, ctx)
        return int(text)


@click.command(name="hash")
@click.option("--config", "-c", "config", default="", metavar="C", help="JSON file, JSON, or NAME=VALUE,...")
@click.option("--dialect", default="literal", show_default=True, metavar="NAME", help="Readings to begin with.")
@click.option("--reading", "readings", multiple=True, metavar="QUESTION=READING", help="Take this reading; repeatable.")
@click.option("--limit", type=_Limit(), default=20, show_default=True, help="Lines shown, 0 for none, or `all`.")
@click.option("--where", "conditions", multiple=True, metavar="TEST",
              help="Only such frames in lines and output, e.g. report==NONE or queue!=3; repeatable, all must hold.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path),
              help="Write all frames to FILE.csv, FILE.jsonl or FILE.npy.")
@click.option("--engine", "chosen", type=click.Choice(["auto", "compiled", "python"]), default="auto",
              show_default=True, help="What runs the model.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object, and no lines.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def hash(  # noqa: A001 - the name of the command
    config: str, dialect: str, readings: tuple[str, ...], limit: int, conditions: tuple[str, ...],
    output: Path | None, chosen: str, as_json: bool, quiet: bool, files: tuple[str, ...],
) -> int:
    """Hash the frames of captures: hash report, value and receive queue of each, and what they add up to.

    FILE is a pcap or pcapng capture of Ethernet frames, also through gzip, or `-` for standard input. C is as in
    `vnethash explain`. Ctrl-C ends it with the summary of what was done, and keeps what was written.
    """
    from vnethash.cli import hash_rows  # noqa: PLC0415
    from vnethash.cli.explain import read_configuration, read_readings  # noqa: PLC0415

    configuration = read_configuration(config)
    taken = read_readings(dialect, readings)
    wanted = hash_rows.condition(conditions)
    if files.count("-") > 1:
        raise UsageError("standard input is named twice")
    if output and output.exists() and any(Path(name).exists() and output.samefile(name) for name in files):
        raise UsageError(f"--output {output} is one of the captures")
    say = (lambda text: None) if quiet else (lambda text: click.echo(f"vnethash: {text}", err=True))
    engine = choose_engine(chosen, configuration, taken, files, say)
    run = _Run(engine, 0 if as_json else limit, wanted, hash_rows.Writer(output) if output else None, quiet)
    interrupted = False
    try:
        for name in files:
            run.file(name)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        run.close()
    summary = summarise(run, configuration, engine, interrupted=interrupted)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    else:
        run.rest_of_lines()
        for text in summary_lines(summary):
            click.echo(text)
    if interrupted:
        click.echo("vnethash: interrupted", err=True)
        return 130
    return EXIT_USAGE if any(entry["damage"] for entry in summary["files"]) else EXIT_OK


def choose_engine(
    chosen: str, configuration: Configuration, readings: Readings, files: tuple[str, ...], say: Callable[[str], None]
) -> Engine:
    """Return what runs the model: the compiled twin, or CPython where numba is missing or little is to be done."""
    from vnethash.models.capture_ahead import Engine  # noqa: PLC0415

    if chosen == "python":
        return Engine.interpreted(configuration, readings)
    from vnethash.models import compiled  # noqa: PLC0415

    paths = [Path(name) for name in files]
    size = sum(path.stat().st_size for path in paths) if all(path.is_file() for path in paths) else sys.maxsize
    if chosen == "auto" and size <= _TINY:
        return Engine.interpreted(configuration, readings)
    try:
        if not compiled.is_compiled(readings):
            if chosen == "auto" and size <= _SMALL:
                return Engine.interpreted(configuration, readings)
            say("compiling the model for these readings, once: some 15 seconds")
        return compiled.engine(configuration, readings)
    except VnethashError as error:
        if chosen == "compiled" or "needs numba" not in error.message:
            raise
        say(f"no numba, so that CPython runs the model, some hundred times slower ({error.hint})")
        return Engine.interpreted(configuration, readings)


class _Run:
    """All files: lines as they come, rows to a file, sums."""

    def __init__(
        self, engine: Engine, limit: int, wanted: Callable[[Row], bool] | None, writer: Writer | None, quiet: bool
    ) -> None:
        from vnethash.models.capture_totals import Totals  # noqa: PLC0415

        self.totals: Totals = Totals()
        self.captures: list[Capture] = []
        self.matched = 0
        self._engine = engine
        self._limit = limit
        self._shown = 0
        self._wanted = wanted
        self._writer = writer
        self._progress = Progress(enabled=not quiet)

    def file(self, name: str) -> None:
        """Answer one capture."""
        from vnethash.models.capture_reader import Capture  # noqa: PLC0415

        with Capture(name, self._engine) as capture:
            self.captures.append(capture)
            self._progress.begin(name, capture.size)
            begun = False
            for batch in capture.batches():
                with _whole():
                    self.totals.add(batch, self._engine)
                    if self._shown < self._limit and not begun:
                        begun = True
                        self._title(name)
                    self._batch(name, batch)
                self._progress.at(capture.position(), self.totals.frames)

    def close(self) -> None:
        """End the progress and close the file of rows."""
        self._progress.end()
        if self._writer:
            self._writer.close()

    def rest_of_lines(self) -> None:
        """Say how many frames were not shown."""
        rest = (self.matched if self._wanted else self.totals.frames) - self._shown
        if rest and self._limit:
            click.echo(f"{'...':>9}  {rest:,} more (--limit, --output)")

    def _title(self, name: str) -> None:
        from vnethash.cli.hash_rows import TITLE  # noqa: PLC0415

        self._progress.pause()
        click.echo(f"{name}\n{TITLE}")

    def _batch(self, name: str, batch: Batch) -> None:
        from vnethash.cli.hash_rows import line, rows  # noqa: PLC0415

        room = self._limit - self._shown
        if not (self._wanted or self._writer or room > 0):
            return
        chosen: Iterator[Row] | list[Row] = rows(batch)
        if self._wanted:
            chosen = list(filter(self._wanted, chosen))
            self.matched += len(chosen)
        if room > 0:
            if not self._writer:
                chosen = itertools.islice(chosen, room)
            chosen = list(chosen)
            lines = [line(row) for row in chosen[:room]]
            if lines:
                self._progress.pause()
                click.echo("\n".join(lines))
            self._shown += len(lines)
        if self._writer:
            self._writer.write(len(self.captures) - 1, name, iter(chosen))


@contextmanager
def _whole() -> Iterator[None]:
    """Keep Ctrl-C until the end, so that a batch is in the sums and in the file, or in neither."""
    held: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C is ignored, or somebody else's
        return
    signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held:
        raise KeyboardInterrupt


class Progress:
    """Bytes of the capture that were taken, on standard error; nothing where that is no terminal."""

    def __init__(self, *, enabled: bool) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._running = False
        if enabled and sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[frames]:,} frames"),
                TimeRemainingColumn(), console=Console(stderr=True), transient=True,
            )

    def begin(self, name: str, size: int) -> None:
        """Show a new bar; a size of 0 is one that is not known."""
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(name, total=size or None, frames=0)

    def at(self, position: int, frames: int) -> None:
        """Move the bar."""
        if self._bar:
            if not self._running:
                self._bar.start()
                self._running = True
            self._bar.update(self._task, completed=position, frames=frames)

    def pause(self) -> None:
        """Take the bar away, because lines follow."""
        if self._running:
            self._bar.stop()
            self._running = False

    def end(self) -> None:
        """Take the bar away."""
        self.pause()


def summarise(run: _Run, configuration: Configuration, engine: Engine, *, interrupted: bool) -> dict[str, Any]:
    """Return what is said of all frames, in plain values."""
    from vnethash.models.capture_totals import most_entropy  # noqa: PLC0415

    totals = run.totals
    others: dict[str, int] = {}
    for capture in run.captures:
        for name, count in capture.others.items():
            others[name] = others.get(name, 0) + count
    steered = "RSS" in configuration.features
    return {
        "files": [
            {
                "name": capture.name, "form": capture.form, "frames": capture.frames,
                "other_link_types": capture.others, "bytes_left": capture.left, "damage": capture.damage,
            }
            for capture in run.captures
        ],
        "configuration": configuration.to_json(),
        "engine": engine.name,
        "frames": totals.frames + sum(others.values()),
        "hashed": totals.hashed,
        "reports": totals.by_report(),
        "unhashed": totals.unhashed() | {f"link type {name}": count for name, count in others.items()},
        "cut": totals.cut,
        "queues": {str(queue): count for queue, count in sorted(totals.queues.items())},
        "entropy": round(totals.entropy(), 4) if steered else None,
        "most_entropy": round(most_entropy(configuration), 4) if steered else None,
        "unclassified_queue": configuration.unclassified_queue if steered else None,
        "interrupted": interrupted,
    }


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary for people."""
    frames = summary["frames"]
    lines = [""]
    for entry in summary["files"]:
        lines.append(f"{entry['name']}: {entry['form']}, {entry['frames']:,} frames")
        if entry["damage"]:
            lines.append(f"  {entry['damage']}; what follows was not read")
        elif entry["bytes_left"]:
            lines.append(f"  it ends inside a record: the last {entry['bytes_left']:,} bytes were not read")
    lines.append(f"{frames:,} frames, {summary['hashed']:,} hashed, by {summary['engine']}")

    def table(rows: dict[str, int]) -> None:
        lines.extend(f"  {count:>13,}  {count / frames:6.1%}  {name}" for name, count in rows.items())

    table({name: count for name, count in summary["reports"].items() if name != "NONE"})
    if summary["unhashed"]:
        lines.append("not hashed")
        table(summary["unhashed"])
    if summary["cut"]:
        lines.append(
            f"{summary['cut']:,} frames are cut by the capture: what they hash to is the hash of the cut frame"
        )
    queues = summary["queues"]
    if queues:
        lines.append(
            f"queues of hashed frames: {len(queues)} used, "
            f"entropy {summary['entropy']:.2f} of {summary['most_entropy']:.2f} bits"
        )
        most = sorted(queues.items(), key=lambda item: (-item[1], int(item[0])))[:_QUEUES_SHOWN]
        table({f"queue {queue}": count for queue, count in sorted(most, key=lambda item: int(item[0]))})
        if len(queues) > len(most):
            rest = sum(queues.values()) - sum(count for _, count in most)
            table({f"{len(queues) - len(most)} other queues, none of them more": rest})
    return lines

