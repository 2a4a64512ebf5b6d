"""`vnethash spec list` and `vnethash spec show`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner
from vnethash.cli import spec as module
from vnethash.cli.spec import spec
from vnethash.spec.clauses import load
from vnethash.spec.errors import UsageError
from vnethash.spec.questions import all_questions


def run(*arguments: str) -> str:
    result = CliRunner().invoke(spec, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def ids(*arguments: str) -> list[str]:
    return [one["id"] for one in run_json("list", "--kind", "clause", *arguments)["clauses"]]


def test_it_is_a_group_with_two_commands() -> None:
    assert isinstance(spec, click.Group)
    assert sorted(spec.commands) == ["list", "show"]


def test_list_has_every_clause_and_every_question() -> None:
    answer = run_json("list")
    assert [one["id"] for one in answer["clauses"]] == list(load())
    assert [one["id"] for one in answer["questions"]] == list(all_questions())
    assert "readings" not in answer


def test_list_of_readings_has_every_reading() -> None:
    answer = run_json("list", "--kind", "reading")
    assert list(answer) == ["readings"]
    assert len(answer["readings"]) == sum(len(one.readings) for one in all_questions().values())
    assert set(answer["readings"][0]) == {"question", "name", "standing", "words", "who"}


def test_in_a_pipe_list_writes_one_line_an_item() -> None:
    lines = run("list", "--kind", "clause").splitlines()
    assert len(lines) == len(load())
    assert all(line.count("\t") == 5 for line in lines)
    questions = run("list", "--kind", "question").splitlines()
    assert [line.split("\t")[0] for line in questions] == list(all_questions())
    assert all(line.count("\t") == 4 for line in run("list", "--kind", "reading").splitlines())


def test_strength_filters_also_by_further_words() -> None:
    assert "RXB-2" in ids("--strength", "MUST")
    assert "ARS-1" in ids("--strength", "may")
    assert set(ids("--strength", "MAY,SHOULD NOT")) == set(ids("--strength", "MAY")) | set(
        ids("--strength", "should not")
    )
    assert set(ids("--strength", "reference")) == {f"REF-{number}" for number in range(1, 14)}


def test_version_filters() -> None:
    old = ids("--version", "1.1")
    assert "FB-2" in old
    assert "HC-1" not in old
    assert not [name for name in ids("--version", "1.3") if name.startswith("CTX-")]
    assert "MS-T10" not in ids("--version", "2016-09")


def test_document_filters() -> None:
    assert all(name.startswith("MS-") for name in ids("--document", "microsoft"))
    assert len(ids("--document", "virtio")) == 185


def test_section_filters_by_title_and_by_number_with_subsections() -> None:
    assert ids("--section", "5.1.9.4.3.4") == ["X6-0", "X6-1", "X6-2", "X6-3", "X6-4"]
    assert ids("--section", "ipv6 packets with ext", "--document", "virtio") == ["X6-0", "X6-1", "X6-2", "X6-3", "X6-4"]
    assert {"HC-1", "HT-1", "V4-0", "X6-4"} <= set(ids("--section", "5.1.9.4.3"))
    assert "REP-1" not in ids("--section", "5.1.9.4.3")
    assert ids("--section", "5.1.6.4.4", "--version", "1.2") == ["REP-1", "REP-2", "REP-3", "REP-4"]
    assert ids("--section", "no such section") == []


def test_a_filter_keeps_the_questions_that_cite_what_is_left() -> None:
    answer = run_json("list", "--section", "5.1.9.4.3.2")
    kept = {one["id"] for one in answer["clauses"]}
    assert kept == {"V4-0", "V4-1", "V4-2", "V4-3", "V4-4"}
    assert answer["questions"]
    assert all(kept.intersection(one["clauses"]) for one in answer["questions"])
    assert len(answer["questions"]) < len(all_questions())


def test_show_a_clause_has_everything_and_the_questions_that_cite_it() -> None:
    (answer,) = run_json("show", "X6-3")
    assert answer["kind"] == "clause"
    assert answer["says"] == load()["X6-3"].says
    assert answer["questions"] == [one.id for one in all_questions().values() if "X6-3" in one.clauses]
    text = " ".join(run("show", "X6-3").split())
    for part in ("5.1.9.4.3.4 IPv6 packets with extension header", load()["X6-3"].says, load()["X6-3"].note,
                 "declarative; binds the device", "1.2 (5.1.6.4.3.4)", "1579-1584 at 15f488c1", answer["questions"][0]):
        assert part in text


def test_show_a_question_has_its_clauses_and_readings() -> None:
    question = next(iter(all_questions().values()))
    (answer,) = run_json("show", question.id)
    assert answer["kind"] == "question"
    assert [one["name"] for one in answer["readings"]] == [one.name for one in question.readings]
    text = " ".join(run("show", question.id).split())
    assert question.title in text
    for name in question.clauses:
        assert f"clause {name} (" in text
    for reading in question.readings:
        assert f"{reading.name} ({reading.standing})" in text


@pytest.mark.parametrize("name", [*load(), *all_questions()])
def test_show_works_for_every_id_within_its_width(name: str) -> None:
    output = run("show", name)
    assert output.startswith(name)
    assert all(len(line) <= 100 for line in output.splitlines()[1:])


def test_show_takes_several_ids_in_any_case() -> None:
    answer = run_json("show", "hc-1", "Ms-t6", next(iter(all_questions())).upper())
    assert [one["id"] for one in answer] == ["HC-1", "MS-T6", next(iter(all_questions()))]
    assert "\n\n" in run("show", "HC-1", "HC-2")


def test_an_informal_must_is_said_to_be_so() -> None:
    assert "MUST, outside the normative sections; binds the device" in run("show", "HC-8")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("show", "X6-33"), "no clause and no question has the id 'X6-33'", "X6-3"),
        (("show", "HC-1", "~"), "no clause and no question has the id '~'", "vnethash spec list"),
        (("list", "--strength", "OUGHT"), "no clause has strength 'OUGHT'", "MUST NOT"),
        (("list", "--version", "2.0"), "no document has a version '2.0'", "1.4"),
    ],
)
def test_a_mistake_gets_one_line_and_a_hint(arguments: tuple[str, ...], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        CliRunner().invoke(spec, list(arguments), catch_exceptions=False)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_on_a_terminal_list_draws_tables_that_lose_nothing(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "50")  # without it, rich gives a dumb terminal 80 columns
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(module.sys, "stdout", terminal)
    row = module._clause_row(load()["X6-1"])
    module._print([row], "1 clauses", ("clause", "strength", "says"))
    drawn = terminal.getvalue()
    assert "X6-1" in drawn
    for word in row.text.split():
        assert word in drawn
    assert max(len(line) for line in drawn.splitlines()) <= width


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vnethash.cli.spec import spec\n"
        "try:\n    spec(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('rich', 'tomllib', 'scapy', 'z3', 'vnethash.spec.clauses') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
