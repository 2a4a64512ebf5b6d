"""The command `vnethash`: finds the subcommand, and turns errors into one line and an exit code."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import sys
from typing import Any

import click
from vnethash.spec.errors import EXIT_TARGET, EXIT_TOOL, VnethashError

#: Subcommand -> (module, one line of help). Modules are imported only when called, so that --help answers at once.
COMMANDS = {
    "targets": ("targets", "what can be driven on this machine, and why the rest cannot"),
    "check": ("check", "conformance run: verdicts, findings with the smallest witnesses, a folder of records"),
    "compare": ("compare", "where two targets differ, no oracle needed"),
    "identify": ("identify", "the readings that a target follows, by few packets"),
    "hash": ("hash", "the hash, report and queue of every frame of captures"),
    "explain": ("explain", "every step for one frame and the clause behind it"),
    "fuzz": ("fuzz", "coverage-guided differential fuzzing that reports causes"),
    "findings": ("findings", "the ledger of causes that campaigns found: list, show, set, export, merge"),
    "replay": ("replay", "put a finding's witness to its target again"),
    "report": ("report", "draw the reports of a run again from its records"),
    "vectors": ("vectors", "the published vectors: list, export, lint"),
    "adapter": ("adapter", "scaffold an adapter, try one, serve any target through the protocol"),
    "prove": ("prove", "what holds of the model on all frames, by solvers; counterexamples that CPython confirms"),
    "clarify": ("clarify", "the specification clarification report: open questions and words that would settle them"),
    "spec": ("spec", "clauses, questions and readings: list, show"),
}


#: Thresholds of Python's collector of cycles (gc.set_threshold).
COLLECTED = (50_000, 20, 20)

#: Libraries that a subcommand imports when it needs them, and what to install.
LIBRARIES = {
    "z3": "z3-solver", "bitwuzla": "'vnethash[formal]'", "numba": "'vnethash[fast]'", "numpy": "'vnethash[fast]'",
    "atheris": "'vnethash[fuzz]'", "hypothesis": "'vnethash[fuzz]'", "scapy": "scapy", "elftools": "pyelftools",
}


class Subcommands(click.Group):
    """Imports a subcommand only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"vnethash.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group(cls=Subcommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vnethash")
def group() -> None:
    """Conformance, formal and fuzzing toolkit for the packet hashing of virtio-net.

    Exit codes: 0 conforms or all as expected, 1 deviations, 2 usage, 3 a target could not be driven, 4 fault of the
    tool.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit."""
    # Millions of small answers live long here, and hardly anything is a cycle: it is looked for less often.
    gc.set_threshold(*COLLECTED)
    code = run(arguments)
    model = sys.modules.get("vnethash.targets.model")
    if model is not None and model.compiling():
        # LLVM would abort the process if it were taken down under the thread that compiles.
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return the exit code; a user's mistake gets one clear line."""
    try:
        result: Any = group.main(arguments, standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.Abort:
        click.echo("vnethash: interrupted", err=True)
        return 130
    except click.ClickException as mistake:
        click.echo(f"vnethash: {' '.join(mistake.format_message().split())}", err=True)
        return mistake.exit_code
    except VnethashError as error:
        click.echo(f"vnethash: {error.line()}", err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        click.echo("vnethash: interrupted", err=True)
        return 130
    except Exception as error:
        library = str(getattr(error, "name", "")).partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and library in LIBRARIES:
            click.echo(f"vnethash: {library} is not installed (pip install {LIBRARIES[library]})", err=True)
            return EXIT_TARGET
        import traceback  # noqa: PLC0415

        traceback.print_exc()
        click.echo(f"vnethash: fault of the tool: {type(error).__name__}: {error}", err=True)
        return EXIT_TOOL
    return result if isinstance(result, int) else 0
