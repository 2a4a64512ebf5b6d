"""The published vectors: a suite as one JSON file, in Wycheproof's manner.

    {"schema", "suite", "generator": {"name", "version"}, "numberOfTests",
     "notes": {QUESTION: {"title", "readings": {READING: words}}},
     "groups": [{"config": {...},
                 "tests": [{"id", "comment", "clauses", "frame",
                            "expectation": [{"when": {QUESTION: [READING, ...]}, "outcome": {...}}]}]}]}

What is expected is a list: under the readings of `when` (all of them; none is always) the `outcome` follows, and one
entry holds whatever the readings are. `value` is null where it may be anything, `queue` is null without RSS. The
schema is `schemas/vectors-1.schema.json`; the reader asks for more than a schema can: that the ids are in order, the
clauses and readings known, and that the model comes to the same expectation.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec
from vnethash.conformance.suite import Case, Suite
from vnethash.models.allowed import expectation
from vnethash.models.reference import ANY_VALUE
from vnethash.spec.clauses import did_you_mean
from vnethash.spec.clauses import load as load_clauses
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, UsageError, VnethashError
from vnethash.spec.questions import load_questions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vnethash.models.allowed import Expectation
    from vnethash.spec.questions import Question

SCHEMA = "vectors-1.schema.json"
LONGEST_FRAME = 65535
_CONFIG_FIELDS = frozenset(Configuration().to_json())
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HEX = re.compile(r"([0-9a-f]{2})+")

Text = Annotated[str, msgspec.Meta(min_length=1)]


class VectorOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`report`, `value` (None: anything) and `queue` (None: no steering)."""

    report: Annotated[int, msgspec.Meta(ge=0, le=9)]
    value: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None
    queue: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)] | None = None


class VectorExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome and the readings, of each question any of those listed, under which it is expected."""

    when: dict[str, Annotated[list[str], msgspec.Meta(min_length=1)]]
    outcome: VectorOutcome


class Vector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One test."""

    id: Annotated[int, msgspec.Meta(ge=1)]
    comment: Text
    clauses: list[str]
    frame: str
    expectation: Annotated[list[VectorExpectation], msgspec.Meta(min_length=1)]


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tests of one configuration; each test is decoded by itself, so that an error says which."""

    config: dict[str, Any]
    tests: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1)]


class Generator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who wrote the file."""

    name: Text
    version: Text


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question in words."""

    title: Text
    readings: dict[str, str]


class VectorFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"number_of_tests": "numberOfTests"}):
    """The whole file."""

    schema: str
    suite: Text
    generator: Generator
    number_of_tests: Annotated[int, msgspec.Meta(ge=0)]
    notes: dict[str, Note]
    groups: list[Group]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file."""
    text = (files("vnethash.conformance") / "schemas" / SCHEMA).read_text(encoding="utf-8")
    return cast("dict[str, Any]", json.loads(text))


# ------------------------------------------------------------------------------------------------ writing


def export(suite: Suite) -> bytes:
    """Return a suite as a file: the same bytes every time, one test a line."""
    tests = [(case, expected(case.frame, case.configuration)) for case in suite.cases]
    asked = {question for _, found in tests for entry in found for question in entry["when"]}
    head = {
        "schema": SCHEMA, "suite": suite.name, "generator": {"name": "vnethash", "version": tool_version()},
        "numberOfTests": len(tests),
    }
    lines = [f'"{name}": {_json(value)},' for name, value in head.items()]
    questions = [question for name, question in load_questions().items() if name in asked]
    notes = [f"  {_json(question.id)}: {_json(_note(question))}" for question in questions]
    lines += ['"notes": {', ",\n".join(notes), "},"] if notes else ['"notes": {},']
    groups: list[tuple[Configuration, list[str]]] = []
    for case, found in tests:
        if not groups or groups[-1][0] != case.configuration:
            groups.append((case.configuration, []))
        test = {
            "id": case.id, "comment": case.comment, "clauses": list(case.clauses), "frame": case.frame.hex(),
            "expectation": found,
        }
        groups[-1][1].append(f"    {_json(test)}")
    shown = [
        f'  {{"config": {_json(configuration.to_json())}, "tests": [\n' + ",\n".join(found) + "\n  ]}"
        for configuration, found in groups
    ]
    lines += ['"groups": [', ",\n".join(shown), "]"] if shown else ['"groups": []']
    return ("{\n" + "\n".join(lines) + "\n}\n").encode()


def expected(frame: bytes, configuration: Configuration) -> list[dict[str, Any]]:
    """Return what the model expects, in the form of the file; the entry that holds for the literal text comes first."""
    found: Expectation = expectation(frame, configuration)
    if not found.complete:
        raise VnethashError(f"a frame of {len(frame)} bytes is open to too many readings to be a vector")
    fields = {question.field: question for question in load_questions().values()}
    entries = []
    for outcome, when in found.cubes:
        value = None if outcome.value == ANY_VALUE else outcome.value
        queue = None if outcome.queue < 0 else outcome.queue
        entries.append({
            "when": {fields[field].id: _names(fields[field], numbers) for field, numbers in when},
            "outcome": {"report": outcome.report, "value": value, "queue": queue},
        })
    return entries


def tool_version() -> str:
    """Return the version of this package."""
    try:
        return version("vnethash")
    except PackageNotFoundError:
        return "0"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _names(question: Question, numbers: frozenset[int]) -> list[str]:
    return [question.readings[number].name for number in sorted(numbers)]


def _note(question: Question) -> dict[str, Any]:
    readings = {question.readings[number].name: question.readings[number].words for number in question.allowed}
    return {"title": question.title, "readings": readings}


# ------------------------------------------------------------------------------------------------ reading


def read(path: Path | str) -> VectorFile:
    """Read a file strictly; raises FormatError for the first thing that is wrong with it."""
    return _sound(path)[0]


def read_suite(path: Path | str) -> Suite:
    """Read a file as a suite."""
    file, cases = _sound(path)
    return Suite(file.suite, tuple(cases))


def lint(path: Path | str) -> list[str]:
    """Return all that is wrong with a file, a line each; an empty list if nothing is."""
    return _examine(path)[2]


def _sound(path: Path | str) -> tuple[VectorFile, list[Case]]:
    file, cases, problems = _examine(path)
    if file is None or problems:
        raise FormatError(problems[0], hint="`vnethash vectors lint` lists all that is wrong" if problems[1:] else "")
    return file, cases


def _examine(path: Path | str) -> tuple[VectorFile | None, list[Case], list[str]]:
    """Return the file, its cases, and what is wrong with it."""
    name = Path(path).name
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    try:
        file = msgspec.json.decode(data, type=VectorFile)
    except _UNREADABLE as error:
        return None, [], [f"{name}: {_plain(error)}"]
    problems = [f"{name}: {problem}" for problem in _head(file)]
    cases: list[Case] = []
    last = 0
    count = 0
    for number, group in enumerate(file.groups):
        configuration, problem = _configuration(group.config)
        if problem:
            problems.append(f"{name}: group {number + 1}: {problem}")
        for raw in group.tests:
            count += 1
            where, found, test = _test(raw, last)
            problems += [f"{name}: {where}: {problem}" for problem in found]
            if test is None:
                continue
            last = max(last, test.id)
            if not found and configuration is not None:
                frame = bytes.fromhex(test.frame)
                cases.append(Case(test.comment, tuple(test.clauses), frame, configuration, test.id))
                problems += [f"{name}: {where}: {problem}" for problem in _unconfirmed(test, frame, configuration)]
    if count != file.number_of_tests:
        problems.append(f"{name}: numberOfTests is {file.number_of_tests}, there are {count}")
    return file, cases, problems


def _plain(error: Exception) -> str:
    """Return msgspec's words: "Object missing required field `id` (at $.groups[0])"."""
    return re.sub(r" - at `\$?(.*)`", r" at \1", str(error)).replace("`", "'")


def _head(file: VectorFile) -> Iterator[str]:
    if file.schema != SCHEMA:
        yield f"schema is {file.schema!r}, this reader knows {SCHEMA!r}"
    questions = load_questions()
    for identifier, note in file.notes.items():
        if identifier not in questions:
            yield f"notes: unknown question {identifier!r}{_near(identifier, questions)}"
        else:
            known = {reading.name for reading in questions[identifier].readings}
            for name in note.readings:
                if name not in known:
                    yield f"notes: question {identifier} has no reading {name!r}{_near(name, known)}"


def _configuration(config: dict[str, Any]) -> tuple[Configuration | None, str]:
    missing = sorted(_CONFIG_FIELDS - set(config))
    if missing:
        return None, f"config: field {missing[0]!r} is missing"
    try:
        found = Configuration.from_json(config, where="config")
    except FormatError as error:
        return None, error.line()
    return found, "" if found.to_json() == config else "config: not as the tool writes it (order, case of hex digits)"


def _test(raw: msgspec.Raw, last: int) -> tuple[str, list[str], Vector | None]:
    """Return where a test is, what is wrong with it, and the test if it has the form of one."""
    try:
        test = msgspec.json.decode(raw, type=Vector)
    except _UNREADABLE as error:
        try:
            loose = msgspec.json.decode(raw)
        except _UNREADABLE:  # text that is not UTF-8 shows only here
            loose = None
        identifier = loose.get("id", "?") if isinstance(loose, dict) else "?"
        return f"test {identifier}", [_plain(error)], None
    return f"test {test.id}", list(_wrong(test, last)), test


def _wrong(test: Vector, last: int) -> Iterator[str]:
    if test.id <= last:
        yield f"a wrong id: it comes behind {last}; ids are assigned by the tool, in order"
    if not test.clauses:
        yield "clauses are empty"
    for clause in test.clauses:
        if clause not in load_clauses():
            yield f"unknown clause {clause!r}{_near(clause, load_clauses())}"
    if not _HEX.fullmatch(test.frame):
        yield "frame is not an even number of lower-case hex digits"
    elif len(test.frame) // 2 > LONGEST_FRAME:
        yield f"frame has {len(test.frame) // 2} bytes, more than {LONGEST_FRAME}"
    questions = load_questions()
    for entry in test.expectation:
        for identifier, names in entry.when.items():
            if identifier not in questions:
                yield f"unknown question {identifier!r}{_near(identifier, questions)}"
                continue
            known = [reading.name for reading in questions[identifier].readings]
            for name in names:
                if name not in known:
                    yield f"question {identifier} has no reading {name!r}{_near(name, known)}"


def _unconfirmed(test: Vector, frame: bytes, configuration: Configuration) -> Iterator[str]:
    """Say where the model comes to another expectation."""
    model = {_entry(entry["when"], entry["outcome"]) for entry in expected(frame, configuration)}
    given = {
        _entry(entry.when, msgspec.structs.asdict(entry.outcome)) for entry in test.expectation
    }
    for when, outcome in sorted(given - model):
        yield f"the model does not confirm {outcome} under {when}"
        return
    for when, outcome in sorted(model - given):
        yield f"the model also expects {outcome} under {when}"
        return


def _entry(when: Mapping[str, list[str]], outcome: Mapping[str, Any]) -> tuple[str, str]:
    words = ", ".join(f"{question} {' or '.join(sorted(names))}" for question, names in sorted(when.items()))
    shown = " ".join(f"{name} {_shown(outcome[name])}" for name in ("report", "value", "queue"))
    return words or "any reading", shown


def _shown(value: int | None) -> str:
    return "any" if value is None else str(value)


def _near(name: str, known: Any) -> str:
    hint = did_you_mean(name, known)
    return f" ({hint})" if hint else ""
