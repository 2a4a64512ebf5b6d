"""`vnethash check` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from vnethash.cli.main import run
from vnethash.targets.exec.client import open_exec

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ["--suite", "quick", "--quiet"]


def check(*arguments: str, folder: Path) -> int:
    return run(["check", *arguments, *QUICK, "--output", str(folder)])


def test_the_literal_model_conforms_and_the_folder_holds_every_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    assert check("model:literal", folder=folder) == 0
    assert "conforms" in capsys.readouterr().out
    names = {path.name for path in folder.iterdir()}
    assert {"report.jsonl", "junit.xml", "report.html", "summary.md", "witnesses.pcapng", "badge.json"} <= names


def test_a_defect_exits_1_and_is_replayed_from_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "report"
    assert check("model:literal,fragment-flags=any-flag", folder=folder) == 1
    assert "fragment-flags" in capsys.readouterr().out
    assert run(["replay", str(folder), "fragment-flags"]) == 1
    assert "still there" in capsys.readouterr().out
    assert run(["replay", str(folder), "T1.fragment-flags", "--target", "model:literal", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "fixed"
    assert run(["replay", str(folder), "nothing-like-it"]) == 2


def test_accepted_deviations_pass_and_any_change_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accepted = tmp_path / "expected.json"
    bad, worse = "model:literal,fragment-flags=any-flag", "model:literal,fragment-flags=any-flag,esp-header=walked"
    assert check(bad, "--accept", str(accepted), folder=tmp_path / "one") == 0
    assert check(bad, "--expected", str(accepted), folder=tmp_path / "two") == 0
    assert check(worse, "--expected", str(accepted), folder=tmp_path / "three") == 1
    capsys.readouterr()


def test_json_gives_the_records_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("model:literal", "--json", folder=tmp_path / "report") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["record"] == "header"
    assert lines[-1]["record"] == "footer"
    assert {line["record"] for line in lines} == {"header", "case", "target", "footer"}


def test_a_clause_and_a_question_choose_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check("model:literal", "--clause", "X6-3", "--json", folder=tmp_path / "one") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all("X6-3" in line["clauses"] for line in lines if line["record"] == "case")
    assert check("model:literal", "--question", "fragment-flags", "--json", folder=tmp_path / "two") == 0
    chosen = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 0 < sum(line["record"] == "case" for line in chosen) < 40


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no target is named"),
        (("nonsense:x",), 2, "no target scheme 'nonsense'"),
        (("model:",), 2, "needs an argument"),
        (("model:literal", "model:literal"), 2, "named twice"),
        (("model:literal", "--clause", "X9-9"), 2, "X9-9"),
        (("model:literal", "--question", "x"), 2, "no question 'x'"),
        (("model:literal", "--expected", "/nonexistent/expected.json"), 2, "expected.json"),
        (("model:literal", "--no-such-option"), 2, "no-such-option"),
    ],
)
def test_a_users_mistake_gets_one_clear_line(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(*arguments, folder=tmp_path / "report") == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not an object", "ELF"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "ELF"),
        (b"", "ELF"),
    ],
)
def test_a_target_that_cannot_be_opened_is_told_and_the_others_are_judged(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.o"
    broken.write_bytes(content)
    assert check(f"ebpf:{broken}", "model:literal", "--json", folder=tmp_path / "report") == 3
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    targets = {line["target"]: line for line in lines if line["record"] == "target"}
    assert targets[f"ebpf:{broken}"]["conclusion"] == "not-driven"
    assert words in targets[f"ebpf:{broken}"]["reason"]
    assert "\n" not in targets[f"ebpf:{broken}"]["reason"]
    assert targets["model:literal"]["conclusion"] == "conforms"


@pytest.mark.parametrize(
    "script",
    [
        "print('rubbish', flush=True); input()",
        "raise SystemExit(9)",
        "import time; time.sleep(60)",
    ],
)
def test_an_adapter_that_misbehaves_is_told_and_the_others_are_judged(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = tmp_path / "adapter.py"
    adapter.write_text(script)
    name = f"exec:{sys.executable} {adapter}"
    # One second is enough for any answer here. `start` has half a minute, which nobody shall wait for here.
    assert "start_timeout" in open_exec.__kwdefaults__
    monkeypatch.setitem(open_exec.__kwdefaults__, "start_timeout", 2.0)
    code = check(name, "model:literal", "--timeout", "1", "--json", folder=tmp_path / "report")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    targets = {line["target"]: line["conclusion"] for line in lines if line["record"] == "target"}
    assert targets == {name: "not-driven", "model:literal": "conforms"}
    assert code == 3


def test_options_that_are_none_are_a_usage_error_and_nothing_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check("model:literal", "qemu:,bogus", folder=tmp_path / "report") == 2
    assert capsys.readouterr().err == "vnethash: qemu:,bogus: no option 'bogus' (there are sockets, tap, queues=N)\n"
    assert not (tmp_path / "report").exists()


def test_help_answers_at_once() -> None:
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'from vnethash.cli.main import main; main()', '--help'], "
        "stdout=subprocess.DEVNULL, check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime)\n"
    )
    seconds = min(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.3
