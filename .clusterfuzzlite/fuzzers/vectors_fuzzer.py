"""Files of vectors: each is read, or all that is wrong with it is named in lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.conformance import vectors
    from vnethash.conformance.suite import Case, Suite
    from vnethash.fuzz.seeds import traffic
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = harness.DataFile()


def one(data: bytes) -> None:
    """Lint it, and read it if nothing is wrong."""
    path = FILE.write(data)
    problems = vectors.lint(path)
    assert all(problem and "\n" not in problem for problem in problems)
    try:
        vectors.read_suite(path)
        sound = True
    except VnethashError:
        sound = False
    assert sound is not bool(problems)


def seeds() -> Iterator[bytes]:
    """Yield a file of a few vectors, and its parts."""
    cases = tuple(
        Case(f"case {number}", ("V4-1",), frame, Configuration(), number)
        for number, frame in enumerate(traffic()[:3], 1)
    )
    yield vectors.export(Suite("seed", cases))
    yield b'{"groups":[]}'


def words() -> tuple[bytes, ...]:
    """Return the names of fields, as the schema has them."""
    text = Path(vectors.__file__).parent.joinpath("schemas", "vectors-1.schema.json")
    names = {word for word in text.read_text("utf-8").split('"') if word.isidentifier()} if text.is_file() else set()
    return tuple(f'"{word}":'.encode() for word in sorted(names | {"groups", "tests", "config", "frame"}))


if __name__ == "__main__":
    harness.fuzz(one)
