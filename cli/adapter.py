"""`vnethash adapter`: scaffold an adapter, try one, serve any target through the protocol."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vnethash.targets.exec.smoke import Check

_MARKS = {True: "ok", False: "FAIL", None: "-"}


@click.group()
def adapter() -> None:
    """Connect an implementation: scaffold an adapter, try one, serve a target.

    docs/adapters.md goes through it step by step; docs/protocol.md is the reference.
    """


@adapter.command()
@click.option("--lang", "--language", "lang", type=click.Choice(["python", "c", "c-lib"]),
              help="Language; the ending of PATH decides otherwise. c-lib: a shared library, for lib:PATH.so.")
@click.option("--force", is_flag=True, help="Overwrite PATH.")
@click.argument("path", type=click.Path(path_type=Path))
def new(lang: str | None, force: bool, path: Path) -> None:
    """Write a working adapter to PATH, to be filled in."""
    from vnethash.targets.kit import write  # noqa: PLC0415

    for line in write(path, lang, force=force):
        click.echo(line)


@adapter.command(context_settings={"allow_interspersed_args": False})
@click.option("--timeout", default=10.0, show_default=True, metavar="SECONDS", help="Time limit of every answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def smoke(context: click.Context, timeout: float, as_json: bool, command: tuple[str, ...]) -> None:
    """Check that COMMAND speaks the adapter protocol.

    This looks at the adapter, not at what it computes: `vnethash check exec:COMMAND` does that. Exits with 0 if every
    check passes, with 3 otherwise. Options go before COMMAND; what follows it is its own.
    """
    from vnethash.spec.errors import EXIT_OK, EXIT_TARGET, UsageError  # noqa: PLC0415
    from vnethash.targets.exec.smoke import smoke as checks  # noqa: PLC0415

    if timeout <= 0:
        raise UsageError("a time limit is more than 0 seconds")
    line = _joined(command)
    made = []
    for check in checks(line, timeout=timeout):
        made.append(check)
        if not as_json:
            click.echo(_line(check))
    failed = sum(check.ok is False for check in made)
    if as_json:
        click.echo(_json(line, made))
    elif failed:
        click.echo(f"{failed} of {len(made)} checks failed")
    else:
        click.echo(f"all {len(made)} checks passed; next: vnethash check 'exec:{line}'")
    context.exit(EXIT_TARGET if failed else EXIT_OK)


@adapter.command()
@click.option("--binary", is_flag=True, help="Agree on binary framing: faster.")
@click.option("--validate", is_flag=True, help="Refuse requests with unknown fields.")
@click.argument("target")
def serve(binary: bool, validate: bool, target: str) -> None:
    """Put TARGET behind the adapter protocol on standard input and output.

    `vnethash check "exec:ssh lab vnethash adapter serve qemu"` reaches a machine elsewhere.
    """
    import os  # noqa: PLC0415

    from vnethash.targets.exec.serve import serve as answer  # noqa: PLC0415
    from vnethash.targets.registry import open_target  # noqa: PLC0415

    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb") as stdout:
        os.dup2(2, 1)  # whatever else is printed in this process belongs on stderr
        opened = open_target(target)
        try:
            answer(opened, sys.stdin.buffer, stdout, framing="binary" if binary else "json", validate=validate)
        except KeyboardInterrupt:
            pass
        finally:
            opened.close()


def _joined(command: tuple[str, ...]) -> str:
    """Return the command as one line; a single word is taken as the line that `exec:` would be given."""
    import shlex  # noqa: PLC0415

    if len(command) == 1:
        return command[0].removeprefix("exec:")
    return shlex.join((command[0].removeprefix("exec:"), *command[1:]))


def _line(check: Check) -> str:
    return f"{_MARKS[check.ok]:<5} {check.name}" + (f": {check.detail}" if check.detail else "")


def _json(command: str, checks: list[Check]) -> str:
    import json  # noqa: PLC0415

    made: list[dict[str, Any]] = [check._asdict() for check in checks]
    return json.dumps({"command": command, "ok": not any(check.ok is False for check in checks), "checks": made})
