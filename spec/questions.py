"""The questions that the text leaves open, with their readings, and the dialects.

The data are the TOML files of `spec/open_questions/`. A question's readings are numbered in the order of the file; the
first is the literal one. `spec/readings.py` is generated from them (`python -m vnethash.spec.generate`).

Questions about what a device does with a packet and questions about what it does with commands (`device.toml`) are
kept apart: the packet model is compiled and proved with the readings of the first alone.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Standing = Literal["text", "ancestor", "defect"]
STANDINGS = ("text", "ancestor", "defect")

_DEVICE = "device.toml"
_DIALECTS = "dialects.toml"
_QUESTION_FIELDS = {"id", "title", "asks", "clauses", "items", "area", "readings"}
_READING_FIELDS = {"name", "standing", "words", "who"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer to a question, precise enough to compute with.

    `standing` is "text" where the words of virtio support it, "ancestor" where Microsoft's documents say it, "defect"
    where nothing supports it though it is out there. `who` names implementations that are known to do it.
    """

    name: str
    standing: Standing
    words: str
    who: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A place where the text is silent, ambiguous or contradicts itself."""

    id: str
    title: str
    asks: str
    clauses: tuple[str, ...]
    items: tuple[str, ...]
    area: str
    readings: tuple[Reading, ...]

    @cached_property
    def field(self) -> str:
        """The name of the question as a Python identifier, as in `Readings`."""
        return self.id.replace("-", "_")

    def index(self, name: str) -> int:
        """Return the number of a reading; raises FormatError for a name that the question does not have."""
        for number, reading in enumerate(self.readings):
            if reading.name == name:
                return number
        names = ", ".join(reading.name for reading in self.readings)
        raise FormatError(f"question {self.id} has no reading {name!r}", hint=f"it has {names}")

    @cached_property
    def allowed(self) -> tuple[int, ...]:
        """Numbers of the readings that something supports."""
        return tuple(number for number, reading in enumerate(self.readings) if reading.standing != "defect")


@cache
def load_questions() -> Mapping[str, Question]:
    """Read the questions about packets, in the order of the files; raises FormatError naming file and entry."""
    return _load(lambda name: name not in {_DIALECTS, _DEVICE})


@cache
def load_device_questions() -> Mapping[str, Question]:
    """Read the questions about commands, features and headers, as `load_questions` does."""
    return _load(lambda name: name == _DEVICE)


@cache
def all_questions() -> Mapping[str, Question]:
    """Return the questions about packets and then those about the device; raises FormatError if an id occurs twice."""
    packet, device = load_questions(), load_device_questions()
    for name in device:
        if name in packet:
            raise FormatError(f"spec/open_questions/{_DEVICE}: question {name} is there twice")
    return MappingProxyType({**packet, **device})


def _load(wanted: Callable[[str], bool]) -> Mapping[str, Question]:
    questions: dict[str, Question] = {}
    for name, table in _tables():
        if not wanted(name):
            continue
        for number, entry in enumerate(table.get("question", [])):
            question = _question(entry, f"spec/open_questions/{name}: question {number + 1}")
            if question.id in questions:
                raise FormatError(f"spec/open_questions/{name}: question {question.id} is there twice")
            questions[question.id] = question
    return MappingProxyType(questions)


@cache
def questions_by_field() -> Mapping[str, Question]:
    """Return the questions by the name that they have in `Readings`."""
    return MappingProxyType({question.field: question for question in load_questions().values()})


@cache
def all_by_field() -> Mapping[str, Question]:
    """Return all questions by the name that they have in `Readings` or `DeviceReadings`."""
    return MappingProxyType({question.field: question for question in all_questions().values()})


@cache
def load_dialects() -> Mapping[str, Mapping[str, int]]:
    """Read the dialects: name -> (question id -> number of the reading), every question in each."""
    questions = load_questions()
    dialects: dict[str, Mapping[str, int]] = {}
    for name, table in _tables():
        if name != _DIALECTS:
            continue
        for dialect, entry in table["dialect"].items():
            readings = dict.fromkeys(questions, 0)
            for identifier, reading in entry.get("readings", {}).items():
                if identifier not in questions:
                    raise FormatError(f"spec/open_questions/{name}: dialect {dialect}: no question {identifier!r}")
                readings[identifier] = questions[identifier].index(reading)
            dialects[dialect] = MappingProxyType(readings)
    return MappingProxyType(dialects)


def _tables() -> list[tuple[str, dict[str, Any]]]:
    folder = files("vnethash.spec") / "open_questions"
    tables = []
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            try:
                tables.append((entry.name, tomllib.loads(entry.read_text(encoding="utf-8"))))
            except tomllib.TOMLDecodeError as error:
                raise FormatError(f"spec/open_questions/{entry.name}: {error}") from None
    return tables


def _question(entry: dict[str, Any], where: str) -> Question:
    if set(entry) != _QUESTION_FIELDS:
        odd = sorted(set(entry) ^ _QUESTION_FIELDS)
        raise FormatError(f"{where}: field {odd[0]!r} is unknown or missing")
    readings = []
    for reading in entry["readings"]:
        if set(reading) != _READING_FIELDS:
            odd = sorted(set(reading) ^ _READING_FIELDS)
            raise FormatError(f"{where}: a reading's field {odd[0]!r} is unknown or missing")
        if reading["standing"] not in STANDINGS:
            raise FormatError(f"{where}: standing {reading['standing']!r} is none of {', '.join(STANDINGS)}")
        standing = cast("Standing", reading["standing"])
        readings.append(Reading(reading["name"], standing, reading["words"], tuple(reading["who"])))
    if len({reading.name for reading in readings}) != len(readings) or len(readings) < 2:
        raise FormatError(f"{where}: a question needs two readings or more, with different names")
    if readings[0].standing != "text":
        raise FormatError(f"{where}: the first reading must be the literal one, with standing text")
    return Question(
        id=entry["id"], title=entry["title"], asks=entry["asks"], clauses=tuple(entry["clauses"]),
        items=tuple(entry["items"]), area=entry["area"], readings=tuple(readings),
    )
