"""`vnethash findings`: the ledger of causes."""

from __future__ import annotations

import json
from pathlib import Path

import click

LEDGER = Path("vnethash-fuzz/ledger.sqlite")
_ledger = click.option("--ledger", type=click.Path(path_type=Path), default=LEDGER, show_default=True)
_json = click.option("--json", "as_json", is_flag=True, help="JSON, one object a cause.")


@click.group()
def findings() -> None:
    """Read and keep the ledger of causes that campaigns found."""


@findings.command("list")
@_ledger
@click.option("--status", help="Only causes with this status.")
@click.option("--target", help="Only causes of this target.")
@_json
def list_(ledger: Path, status: str | None, target: str | None, as_json: bool) -> int:
    """List causes."""
    from vnethash.fuzz.ledger import Ledger  # noqa: PLC0415
    from vnethash.spec.text import clip, one_line  # noqa: PLC0415

    opened = Ledger(ledger, create=False, write=False)
    entries = [
        entry for entry in opened.entries()
        if (status is None or entry.status == status) and (target is None or entry.target == target)
    ]
    opened.close()
    if entries and not as_json:
        click.echo(f"{'cause':40} {'status':10} {'kind':12} {'times':>9} {'executions':>11}  target and title")
    for entry in entries:
        if as_json:
            click.echo(json.dumps(entry.to_json()))
        else:
            click.echo(
                f"{entry.id:40} {entry.status:10} {entry.kind:12} {entry.count:>9,} {entry.executions:>11,}  "
                f"{one_line(entry.target)}: {clip(one_line(entry.title), 90)}"
            )
    if not entries and not as_json:
        click.echo("no causes")
    return 0


@findings.command()
@click.argument("cause")
@_ledger
@_json
def show(cause: str, ledger: Path, as_json: bool) -> int:
    """Show one cause with its witness."""
    from vnethash.fuzz.export import report  # noqa: PLC0415
    from vnethash.fuzz.ledger import Ledger  # noqa: PLC0415

    opened = Ledger(ledger, create=False, write=False)
    entry = opened.find(cause)
    opened.close()
    click.echo(json.dumps(entry.to_json()) if as_json else report(entry))
    return 0


@findings.command("set")
@click.argument("cause")
@click.argument("status")
@click.option("--note", default="", help="Why.")
@_ledger
def set_(cause: str, status: str, note: str, ledger: Path) -> int:
    """Set a cause's STATUS: open, intended, fixed, or question."""
    from vnethash.fuzz.ledger import Ledger  # noqa: PLC0415

    opened = Ledger(ledger, create=False)
    opened.set_status(cause, status, note)
    opened.close()
    return 0


@findings.command()
@click.argument("causes", nargs=-1)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@_ledger
def export(causes: tuple[str, ...], output: Path, ledger: Path) -> int:
    """Write causes (all by default) as vectors.json, causes.pcapng, and for each a bug report and a reproducer."""
    from vnethash.conformance.suite import Case as SuiteCase  # noqa: PLC0415
    from vnethash.conformance.suite import Suite  # noqa: PLC0415
    from vnethash.conformance.vectors import expected  # noqa: PLC0415
    from vnethash.conformance.vectors import export as export_vectors  # noqa: PLC0415
    from vnethash.fuzz.device.export import steps  # noqa: PLC0415
    from vnethash.fuzz.export import capture, report, script  # noqa: PLC0415
    from vnethash.fuzz.ledger import Ledger  # noqa: PLC0415
    from vnethash.spec.errors import UsageError, VnethashError  # noqa: PLC0415

    opened = Ledger(ledger, create=False, write=False)
    entries = [opened.find(cause) for cause in causes] if causes else opened.entries()
    opened.close()
    files = {output / "causes.pcapng": capture(entries)}
    alone = []
    for entry in entries:
        folder = output / entry.id
        files[folder / "report.md"] = report(entry).encode()
        if entry.shown is None:
            files[folder / "reproduce.py"] = script(entry).encode()
        else:
            files[folder / "steps.json"] = steps(entry, entry.shown).encode()
        if len(entry.witness.frames) == 1 and entry.clauses:
            try:
                expected(entry.witness.frame, entry.witness.configuration)
            except VnethashError as error:
                click.echo(f"vnethash: {entry.id} is no vector: {error.line()}", err=True)
            else:
                alone.append(entry)
    cases = tuple(
        SuiteCase(f"{entry.id}: {entry.title}", entry.clauses, entry.witness.frame, entry.witness.configuration, number)
        for number, entry in enumerate(sorted(alone, key=lambda each: repr(each.witness.configuration)), 1)
    )
    files[output / "vectors.json"] = export_vectors(Suite("findings", cases))
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o755 if path.suffix == ".py" else 0o644)
    except OSError as error:
        raise UsageError(f"{error.filename or output}: {error.strerror}", hint="--output names a folder") from None
    click.echo(f"{len(entries)} causes written to {output}")
    return 0


@findings.command()
@click.argument("others", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--damaged", is_flag=True, help="Take what can be read of ledgers that are damaged.")
@_ledger
def merge(others: tuple[Path, ...], ledger: Path, damaged: bool) -> int:
    """Take the causes of other ledgers into this one; what was taken before is not counted again."""
    from vnethash.fuzz.ledger import Ledger, salvaged  # noqa: PLC0415

    opened = Ledger(ledger)
    for path in others:
        if damaged:
            entries = salvaged(path)
            click.echo(f"{path}: {opened.take(entries)} new causes of {len(entries)} that can be read")
            continue
        other = Ledger(path, create=False, write=False)
        click.echo(f"{path}: {opened.merge(other)} new causes")
        other.close()
    opened.close()
    return 0
