"""`vnethash vectors list`, `export` and `lint`; `past` is in tests/conformance/test_past.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from vnethash.cli.main import run as run_main
from vnethash.cli.vectors import vectors
from vnethash.conformance.suite import load_suite, told_apart
from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(vectors, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def listed(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--suite", "quick", "--json", *arguments))["cases"]
    return found


def test_it_is_a_group_with_four_commands() -> None:
    assert sorted(vectors.commands) == ["export", "lint", "list", "past"]  # type: ignore[attr-defined]


def test_list_has_every_case() -> None:
    found = listed()
    assert [one["id"] for one in found] == [case.id for case in load_suite("quick").cases]
    assert set(found[0]) == {"id", "comment", "clauses", "questions", "summary", "frame", "config"}


def test_in_a_pipe_list_writes_one_line_a_case() -> None:
    lines = run("list", "--suite", "quick").splitlines()
    assert len(lines) == len(load_suite("quick").cases)
    assert all(line.count("\t") == 4 for line in lines)


def test_list_keeps_the_cases_of_a_clause() -> None:
    found = listed("--clause", "X6-3")
    assert found
    assert all("X6-3" in one["clauses"] for one in found)


def test_list_keeps_the_cases_that_tell_readings_of_a_question_apart() -> None:
    found = listed("--question", "zero-value")
    wanted = [case.id for case in load_suite("quick").cases if "zero-value" in told_apart(case)]
    assert [one["id"] for one in found] == wanted
    assert wanted


@pytest.mark.parametrize(
    ("text", "types"), [("TCPV4", 2), ("tcpv4|ipv4", 3), ("IPV4, UDPV4", 5), ("all", 511), ("none", 0), ("0x1c0", 448)]
)
def test_list_keeps_the_cases_of_hash_types(text: str, types: int) -> None:
    found = json.loads(run("list", "--json", "--hash-types", text))["cases"]
    assert found
    assert {one["config"]["hash_types"] for one in found} == {types}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clause", "V4-99"], "no clause 'V4-99'"), (["--question", "weather"], "no question 'weather'"),
        (["--hash-types", "TCPV5"], "no hash type 'TCPV5'"), (["--suite", "slow"], "no suite 'slow'"),
        (["--suite", "none.json"], "cannot read none.json"),
    ],
)
def test_what_is_not_known_is_a_usage_error(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(vectors, ["list", *arguments])
    assert isinstance(result.exception, UsageError)
    assert words in result.exception.message


def test_export_writes_a_file_that_lint_and_list_take(tmp_path: Path) -> None:
    path = tmp_path / "quick.json"
    count = len(load_suite("quick").cases)
    assert run("export", "--suite", "quick", "--output", str(path)) == f"{path}: {count} tests\n"
    assert run("lint", str(path)) == f"{path}: nothing is wrong\n"
    assert len(run("list", "--suite", str(path)).splitlines()) == count
    assert run("export", "--suite", "quick").encode() == path.read_bytes()


def test_export_to_where_it_cannot_write_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(vectors, ["export", "--suite", "quick", "--output", str(tmp_path / "no" / "file")])
    assert isinstance(result.exception, UsageError)


def test_lint_ends_with_2_where_something_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(run("export", "--suite", "quick"), encoding="utf-8")
    bad.write_text(good.read_text(encoding="utf-8").replace('"clauses": ["', '"clauses": ["Q', 1), encoding="utf-8")
    assert run_main(["vectors", "lint", str(good)]) == 0
    capsys.readouterr()
    assert run_main(["vectors", "lint", str(good), str(bad)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{good}: nothing is wrong"
    assert lines[1].startswith("bad.json: test ")
    assert "unknown clause" in lines[1]


def test_lint_can_answer_in_json(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{}", encoding="utf-8")
    result = CliRunner().invoke(vectors, ["lint", "--json", str(path)])
    assert list(json.loads(result.output)) == [str(path)]
