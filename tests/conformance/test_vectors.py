"""The published vectors: writing them, reading them, what a reader must refuse."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from vnethash.conformance.suite import Suite, load_suite
from vnethash.conformance.vectors import SCHEMA, expected, export, lint, read, read_suite, schema
from vnethash.models.allowed import dialect
from vnethash.models.reference import ANY_VALUE, outcome
from vnethash.spec.errors import FormatError, UsageError
from vnethash.spec.questions import load_dialects, load_questions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = load_suite("quick")
DATA = export(QUICK)
#: A few cases of different configurations, for what is done to many copies.
FEW = Suite("few", QUICK.cases[5:60:6])
VALIDATOR = jsonschema.Draft202012Validator(schema())


def few() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(export(FEW))
    return found


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_export_writes_the_same_bytes_twice() -> None:
    assert export(QUICK) == DATA


def test_one_test_is_one_line() -> None:
    lines = [line for line in DATA.decode().splitlines() if line.startswith('    {"id": ')]
    assert len(lines) == len(QUICK.cases)


def test_what_is_exported_is_read_again_as_the_same_suite(tmp_path: Path) -> None:
    path = tmp_path / "quick.json"
    path.write_bytes(DATA)
    assert lint(path) == []
    assert read_suite(path) == QUICK
    file = read(path)
    assert (file.schema, file.suite, file.number_of_tests) == (SCHEMA, "quick", len(QUICK.cases))
    assert file.generator.name == "vnethash"


def test_the_default_suite_has_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "default.json"
    path.write_bytes(export(load_suite("default")))
    assert lint(path) == []


def test_an_empty_suite_can_be_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_bytes(export(Suite("empty", ())))
    assert read_suite(path) == Suite("empty", ())
    VALIDATOR.validate(json.loads(path.read_bytes()))


def test_the_schema_is_a_schema_and_takes_what_is_exported() -> None:
    VALIDATOR.check_schema(schema())
    VALIDATOR.validate(json.loads(DATA))


def test_the_notes_name_every_question_that_an_expectation_depends_on() -> None:
    document = json.loads(DATA)
    asked = {
        question for group in document["groups"] for test in group["tests"] for entry in test["expectation"]
        for question in entry["when"]
    }
    assert set(document["notes"]) == asked
    for question, note in document["notes"].items():
        allowed = load_questions()[question].allowed
        assert list(note["readings"]) == [load_questions()[question].readings[number].name for number in allowed]


@pytest.mark.parametrize("name", ["literal", "ndis"])
def test_exactly_one_entry_holds_under_a_dialect_and_gives_the_outcome_of_the_model(name: str) -> None:
    questions = load_questions()
    numbers = load_dialects()[name]
    readings = {question: questions[question].readings[number].name for question, number in numbers.items()}
    for case in QUICK.cases:
        holding = [
            entry["outcome"] for entry in expected(case.frame, case.configuration)
            if all(readings[question] in names for question, names in entry["when"].items())
        ]
        assert len(holding) == 1
        model = outcome(case.frame, case.configuration, dialect(name))
        assert holding[0]["report"] == model.report
        assert holding[0]["value"] == (None if model.value == ANY_VALUE else model.value)
        assert holding[0]["queue"] == (None if model.queue < 0 else model.queue)


def test_the_literal_entry_comes_first() -> None:
    literal = {question: found.readings[0].name for question, found in load_questions().items()}
    for case in QUICK.cases:
        first = expected(case.frame, case.configuration)[0]
        assert all(literal[question] in names for question, names in first["when"].items())


def test_without_rss_there_is_no_queue() -> None:
    case = next(case for case in load_suite("default").cases if "RSS" not in case.configuration.features)
    assert {entry["outcome"]["queue"] for entry in expected(case.frame, case.configuration)} == {None}


def first_test(document: dict[str, Any]) -> dict[str, Any]:
    test: dict[str, Any] = document["groups"][0]["tests"][0]
    return test


def asked_test(document: dict[str, Any]) -> dict[str, Any]:
    """A test whose expectation depends on a question."""
    return next(
        test for group in document["groups"] for test in group["tests"] if any(e["when"] for e in test["expectation"])
    )


def change(name: str) -> Callable[[Any], None]:
    """What is done to a document; the names are those of the parametrization."""

    def do(document: Any) -> None:
        test, config = first_test(document), document["groups"][0]["config"]
        first_outcome = test["expectation"][0]["outcome"]
        changes: dict[str, Callable[[], Any]] = {
            "unknown field at the top": lambda: document.update(extra=1),
            "unknown field of a group": lambda: document["groups"][0].update(extra=1),
            "unknown field of a test": lambda: test.update(extra=1),
            "unknown field of an expectation": lambda: test["expectation"][0].update(extra=1),
            "unknown field of an outcome": lambda: first_outcome.update(extra=1),
            "unknown field of a configuration": lambda: config.update(extra=1),
            "unknown feature": lambda: config.update(features=["RSS", "TELEPATHY"]),
            "no table": lambda: config.update(indirection_table=[]),
            "missing field of a configuration": lambda: config.pop("key"),
            "missing id": lambda: test.pop("id"),
            "missing expectation": lambda: test.pop("expectation"),
            "missing count": lambda: document.pop("numberOfTests"),
            "id of text": lambda: test.update(id="1"),
            "id 0": lambda: test.update(id=0),
            "another schema": lambda: document.update(schema="vectors-2.schema.json"),
            "odd hex": lambda: test.update(frame=test["frame"][:-1]),
            "hex in capitals": lambda: test.update(frame="AB" + test["frame"][2:]),
            "no hex": lambda: test.update(frame="xy"),
            "empty frame": lambda: test.update(frame=""),
            "long frame": lambda: test.update(frame="00" * 65536),
            "empty clauses": lambda: test.update(clauses=[]),
            "empty comment": lambda: test.update(comment=""),
            "empty expectation": lambda: test.update(expectation=[]),
            "report 10": lambda: first_outcome.update(report=10),
            "negative value": lambda: first_outcome.update(value=-1),
            "queue of text": lambda: first_outcome.update(queue="3"),
            "odd key": lambda: config.update(key="abc"),
            "key in capitals": lambda: config.update(key="AB" * 40),
            "readings of a number": lambda: test["expectation"][0].update(when={"tcp-cut": 1}),
            "no reading": lambda: test["expectation"][0].update(when={"tcp-cut": []}),
            "no tests in a group": lambda: document["groups"][0].update(tests=[]),
        }
        changes[name]()

    return do


FORM = [
    "unknown field at the top", "unknown field of a group", "unknown field of a test",
    "unknown field of an expectation", "unknown field of an outcome", "unknown field of a configuration",
    "unknown feature", "no table", "missing field of a configuration", "missing id", "missing expectation",
    "missing count", "id of text", "id 0", "another schema", "odd hex", "hex in capitals", "no hex", "empty frame",
    "long frame", "empty clauses", "empty comment", "empty expectation", "report 10", "negative value",
    "queue of text", "odd key", "key in capitals", "readings of a number", "no reading", "no tests in a group",
]


@pytest.mark.parametrize("name", FORM)
def test_what_has_not_the_form_is_refused_by_reader_and_schema_alike(name: str, tmp_path: Path) -> None:
    document = few()
    VALIDATOR.validate(document)
    change(name)(document)
    assert not VALIDATOR.is_valid(document)
    path = write(tmp_path / "broken.json", document)
    problems = lint(path)
    assert problems
    assert all(problem.startswith("broken.json: ") and "\n" not in problem for problem in problems)
    with pytest.raises(FormatError) as caught:
        read(path)
    assert caught.value.message == problems[0]
    with pytest.raises(FormatError):
        read_suite(path)


def only(document: object, tmp_path: Path) -> str:
    problems = lint(write(tmp_path / "broken.json", document))
    assert len(problems) == 1, problems
    return problems[0]


def test_a_problem_of_a_test_names_file_and_test(tmp_path: Path) -> None:
    document = few()
    test = document["groups"][1]["tests"][0]
    test["frame"] = test["frame"] + "0"
    assert only(document, tmp_path) == (
        f"broken.json: test {test['id']}: frame is not an even number of lower-case hex digits"
    )


def test_an_unknown_field_is_named(tmp_path: Path) -> None:
    document = few()
    first_test(document)["colour"] = "red"
    assert "unknown field 'colour'" in only(document, tmp_path)


def test_a_wrong_count_is_told(tmp_path: Path) -> None:
    document = few()
    document["numberOfTests"] += 1
    count = document["numberOfTests"]
    assert only(document, tmp_path) == f"broken.json: numberOfTests is {count}, there are {count - 1}"


def test_an_id_that_is_there_twice_is_a_wrong_id(tmp_path: Path) -> None:
    document = few()
    group = document["groups"][0]
    group["tests"].append(copy.deepcopy(group["tests"][-1]))
    document["numberOfTests"] += 1
    assert "a wrong id" in only(document, tmp_path)


def test_an_id_out_of_order_is_a_wrong_id(tmp_path: Path) -> None:
    document = few()
    first, last = document["groups"][0]["tests"][0], document["groups"][-1]["tests"][-1]
    first["id"], last["id"] = last["id"], first["id"]
    problems = lint(write(tmp_path / "broken.json", document))
    assert problems
    assert all("a wrong id" in problem for problem in problems)


def test_an_unknown_clause_is_told_with_the_nearest(tmp_path: Path) -> None:
    document = few()
    first_test(document)["clauses"] = ["V4-9"]
    assert "unknown clause 'V4-9' (did you mean V4-" in only(document, tmp_path)


def test_an_unknown_question_is_told(tmp_path: Path) -> None:
    document = few()
    asked_test(document)["expectation"][0]["when"] = {"tcp-cutt": ["addresses"]}
    assert "unknown question 'tcp-cutt' (did you mean tcp-cut" in only(document, tmp_path)


def test_an_unknown_reading_is_told(tmp_path: Path) -> None:
    document = few()
    asked_test(document)["expectation"][0]["when"] = {"tcp-cut": ["adresses"]}
    assert "question tcp-cut has no reading 'adresses' (did you mean addresses" in only(document, tmp_path)


def test_an_unknown_question_of_the_notes_is_told(tmp_path: Path) -> None:
    document = few()
    document["notes"]["weather"] = {"title": "Rain", "readings": {}}
    assert "notes: unknown question 'weather'" in only(document, tmp_path)


@pytest.mark.parametrize(("field", "value"), [("value", 12345), ("report", 9), ("queue", 77)])
def test_an_outcome_that_the_model_does_not_confirm_is_told(field: str, value: int, tmp_path: Path) -> None:
    document = few()
    test = first_test(document)
    test["expectation"][0]["outcome"][field] = value
    problem = only(document, tmp_path)
    assert problem.startswith(f"broken.json: test {test['id']}: the model does not confirm ")
    assert f"{field} {value}" in problem


def test_an_entry_that_is_missing_is_told(tmp_path: Path) -> None:
    document = few()
    test = asked_test(document)
    test["expectation"].pop()
    assert f"test {test['id']}: the model also expects " in only(document, tmp_path)


def test_the_order_of_entries_and_readings_does_not_matter(tmp_path: Path) -> None:
    document = few()
    for group in document["groups"]:
        for test in group["tests"]:
            test["expectation"].reverse()
            for entry in test["expectation"]:
                for names in entry["when"].values():
                    names.reverse()
    assert lint(write(tmp_path / "other.json", document)) == []


def test_all_problems_are_listed_each_on_its_line(tmp_path: Path) -> None:
    document = few()
    tests = [test for group in document["groups"] for test in group["tests"]]
    tests[0]["clauses"] = []
    tests[2]["frame"] = "zz"
    tests[3]["odd"] = True
    document["numberOfTests"] = 0
    assert len(lint(write(tmp_path / "broken.json", document))) == 4


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "\xff"])
def test_what_is_no_file_of_vectors_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    assert len(lint(path)) == 1
    with pytest.raises(FormatError):
        read(path)


def test_a_vector_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(DATA.replace(b'"comment": "', b'"comment": "\xc9', 1))
    assert path.read_bytes() != DATA
    assert len(lint(path)) == 1


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        lint(tmp_path / "none.json")
