"""The model against its compiled twin: the same outcome for every frame, configuration and dialect."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.fuzz.case import Case, decode, encode
    from vnethash.fuzz.mutation import dictionary
    from vnethash.fuzz.seeds import traffic
    from vnethash.models.allowed import dialect
    from vnethash.models.reference import outcome
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.questions import load_dialects

from vnethash.models.compiled import Compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.spec.readings import Readings

READINGS = tuple(dialect(name) for name in load_dialects())


@lru_cache(maxsize=256)
def compiled(configuration: Configuration, readings: Readings) -> Compiled:
    """Return the twin under a configuration."""
    return Compiled(configuration, readings)


def one(data: bytes) -> None:
    """Run one frame through both."""
    case = decode(data)
    for readings in READINGS:
        expected = outcome(case.frame, case.configuration, readings)
        (answer,) = compiled(case.configuration, readings).outcomes([case.frame])
        assert answer == expected, (case, readings, answer, expected)


def seeds() -> Iterator[bytes]:
    """Yield plain traffic under the plain configuration."""
    for frame in traffic():
        yield encode(Case(Configuration(), (frame,)))


def words() -> tuple[bytes, ...]:
    """Return numbers, headers, options, addresses."""
    return dictionary()


if __name__ == "__main__":
    harness.fuzz(one)
