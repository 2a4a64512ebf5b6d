"""The command itself: subcommands, errors, exit codes."""

from __future__ import annotations

import click
import pytest
from vnethash.cli import main
from vnethash.spec.errors import TargetDied


@pytest.mark.parametrize("name", list(main.COMMANDS))
def test_every_subcommand_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([name, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_an_unknown_subcommand_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["cheque"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(TargetDied("it died", hint="look"), 3), (RuntimeError("a bug"), 4), (KeyboardInterrupt(), 130)]
)
def test_errors_become_one_line_and_their_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(main.Subcommands, "get_command", lambda *_: failing)
    assert main.run(["failing"]) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("vnethash: ")
    if code == 3:
        assert last == "vnethash: it died (look)"


def test_targets_are_listed_with_what_they_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["targets"]) == 0
    listed = capsys.readouterr().out
    assert "model:literal" in listed
    assert "qemu-ebpf" in listed


def test_two_models_are_compared_without_an_oracle(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["compare", "model:literal", "model:literal", "--suite", "quick", "--quiet"]) == 0
    assert main.run(["compare", "model:literal", "model:ndis", "--suite", "quick", "--quiet"]) == 1
    assert "ipv4-first-fragment" in capsys.readouterr().out
