"""Frames that solvers found, as seeds: they need no luck, and no solver at run time.

`witnesses.txt` has the shortest frame for each pair of readings, as `vnethash prove model --only questions` proves
them; `models/symbolic/shown.txt` has frames that show how two questions bear on each other. The file is written anew
by `python -m vnethash.fuzz.witnesses PROOF.jsonl`.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.fuzz.case import Case
from vnethash.models.symbolic.corpus import shown
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import FormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_NAME = "witnesses.txt"
_HEAD = (
    "# The shortest frames that tell two readings of a question apart, found by solvers (see fuzz/witnesses.py).\n"
    "# Columns: question, readings, features, hash_types, tunnel_types, key, entries, unclassified_queue, frame.\n"
)
_NAMED_KEYS = {MICROSOFT_KEY.hex(): "microsoft", "": "none"}


class Witness(NamedTuple):
    """One of them; `readings` are the names of the two that it tells apart."""

    question: str
    readings: tuple[str, str]
    case: Case


@cache
def witnesses() -> tuple[Witness, ...]:
    """Return the frames of `witnesses.txt`."""
    text = (files(__package__) / _NAME).read_text(encoding="ascii")
    return tuple(_read(line.split(" ")) for line in text.splitlines() if line and not line.startswith("#"))


def seeds() -> tuple[Case, ...]:
    """Return all frames that solvers found, each once."""
    found = [witness.case for witness in witnesses()]
    found += [Case(configuration, (frame,)) for frame, configuration in shown()]
    return tuple(dict.fromkeys(found))


def _read(words: list[str]) -> Witness:
    question, first, second, features, types, tunnels, key, entries, queue, frame = words
    named = {name: key for key, name in _NAMED_KEYS.items()}
    configuration = Configuration(
        features=frozenset(features.split("|")), hash_types=int(types, 16), tunnel_types=int(tunnels, 16),
        key=bytes.fromhex(named.get(key, key)), indirection_table=tuple(range(int(entries))),
        unclassified_queue=int(queue),
    )  # fmt: skip
    return Witness(question, (first, second), Case(configuration, (bytes.fromhex(frame),)))


def lines(records: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the file for those of a proof; raises FormatError for another form."""
    for record in records:
        try:
            verdict = json.loads(record)
            data = verdict["data"] if verdict.get("group") == "questions" else {}
            for pair in data.get("pairs", ()):
                if pair.get("frame") is not None:
                    yield _line(verdict["name"], pair)
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"not a line of proof.jsonl: {error}") from None


def _line(question: str, pair: dict[str, Any]) -> str:
    configuration = Configuration.from_json(pair["configuration"], where=question)
    table = configuration.indirection_table
    if table != tuple(range(len(table))):
        raise FormatError(f"{question}: the table of its witness is not in order")
    key = configuration.key.hex()
    first, second = pair["readings"]
    words = (
        question, first, second, "|".join(sorted(configuration.features)), f"{configuration.hash_types:x}",
        f"{configuration.tunnel_types:x}", _NAMED_KEYS.get(key, key), str(len(table)),
        str(configuration.unclassified_queue), pair["frame"],
    )  # fmt: skip
    return " ".join(map(str, words))


def main(arguments: list[str]) -> None:
    """Write the file from a proof.jsonl."""
    try:
        text = Path(arguments[0]).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{arguments[0]}: {error.strerror}") from None
    made = "".join(f"{line}\n" for line in sorted(set(lines(text.splitlines()))))
    Path(__file__).with_name(_NAME).write_text(_HEAD + made, encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
