"""`vnethash fuzz` and `vnethash findings` from the command line."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner
from vnethash.cli.main import group, run

if TYPE_CHECKING:
    import pytest

HIDDEN = Path(__file__).parents[1] / "quality" / "implementations" / "hidden.py"


def test_a_campaign_is_run_listed_exported_and_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = f"exec:{shlex.join([sys.executable, str(HIDDEN), 'option-length'])}"
    ledger = str(tmp_path / "ledger.sqlite")
    code = run([
        "fuzz", target, "--executions", "20000", "--seed", "1", "--seeds", "traffic", "--ledger", ledger, "--corpus",
        str(tmp_path / "corpus"), "--report", str(tmp_path / "page.html"), "--json",
    ])  # fmt: skip
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert lines[-1]["event"] == "end"
    (cause,) = [line for line in lines if line["event"] == "cause"]
    assert "dstopts.len 4" in cause["condition"]
    assert cause["id"] in (tmp_path / "page.html").read_text("utf-8")
    assert run(["findings", "list", "--ledger", ledger, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == cause["id"]
    assert run(["findings", "export", "--ledger", ledger, "--output", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"vectors.json", "causes.pcapng", "report.md", "reproduce.py"}
    assert run(["vectors", "lint", str(tmp_path / "out" / "vectors.json")]) == 0
    assert run(["findings", "set", cause["id"], "fixed", "--ledger", ledger]) == 0
    assert run(["findings", "set", cause["id"], "nonsense", "--ledger", ledger]) == 2
    assert run(["replay", cause["id"], "--ledger", ledger]) == 1
    assert run(["replay", cause["id"], "--ledger", ledger, "--target", "model:literal"]) == 0


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = ["--ledger", str(tmp_path / "ledger"), "--corpus", str(tmp_path / "corpus")]
    assert run(["fuzz", "model:literal", "--engine", "none", *ledger]) == 2
    assert run(["fuzz", "nothing:here", *ledger]) == 2
    assert run(["fuzz", "model:literal", "model:literal", *ledger]) == 2
    assert run(["fuzz", "ebpf:/nothing.o", "--executions", "10", *ledger]) in {2, 3}
    assert run(["findings", "list", "--ledger", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_the_help_names_all_that_there_is() -> None:
    assert "--engine" in CliRunner().invoke(group, ["fuzz", "--help"]).output
    assert "merge" in CliRunner().invoke(group, ["findings", "--help"]).output
