"""`vnethash report`: draws again from the records alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
from report_samples import LITERAL, QEMU, finding, stream, write
from vnethash.cli.main import run
from vnethash.conformance.report import DRAWN


def test_all_reports_are_drawn_and_the_table_is_shown(tmp_path, capsys):
    assert run(["report", str(write(tmp_path))]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"report.jsonl", *DRAWN}
    assert "qemu-ebpf" in capsys.readouterr().out


def test_the_json_form_is_one_object(tmp_path, capsys):
    assert run(["report", "--json", str(write(tmp_path))]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["drawn"] == list(DRAWN)
    assert answer["finished"] is True
    assert answer["targets"][QEMU] == {
        "conclusion": "deviates",
        "counts": {"pass": 20, "pass-under": 5, "fail": 9, "error": 0, "skipped": 6, "timeout": 0},
        "findings": 3,
    }
    assert answer["differences"] == []


def test_what_was_accepted_is_expected_until_it_changes(tmp_path, capsys):
    folder, known = write(tmp_path / "one"), tmp_path / "expected.json"
    assert run(["report", str(folder), "--accept", str(known)]) == 0
    assert run(["report", str(folder), "--expected", str(known)]) == 0
    assert capsys.readouterr().out.endswith("as expected\n")
    made = stream()
    made.insert(-1, finding("NEW", question="other"))
    other = write(tmp_path / "two", made)
    assert run(["report", str(other), "--expected", str(known)]) == 1
    assert "qemu-ebpf NEW: new: defect" in capsys.readouterr().out
    assert run(["report", str(other), "--json", "--expected", str(known)]) == 1
    (difference,) = json.loads(capsys.readouterr().out)["differences"]
    assert (difference["kind"], difference["target"], difference["finding"]) == ("new", QEMU, "NEW")
    assert run(["report", str(other), "--accept", str(known)]) == 0
    assert run(["report", str(other), "--expected", str(known)]) == 0


def test_an_unfinished_run_is_drawn_only_when_asked_for(tmp_path, capsys):
    write(tmp_path, stream((LITERAL,)))
    lines = (tmp_path / "report.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "report.jsonl").write_bytes(b"".join(lines[:-1]))
    assert run(["report", str(tmp_path)]) == 2
    assert "the run did not finish (`vnethash report --partial` draws what there is)" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
    assert run(["report", "--partial", str(tmp_path)]) == 0
    assert "incomplete" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nowhere"], ["--expected", "nowhere.json", "."], []])
def test_a_users_mistake_gets_one_line(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
