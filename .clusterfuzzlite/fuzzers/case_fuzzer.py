"""Cases in bytes, and what campaigns do with frames: nothing is too odd to be read, named, changed or reduced."""

from __future__ import annotations

from itertools import islice
from random import Random
from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.fuzz.anatomy import headers
    from vnethash.fuzz.case import MOST_FRAMES, Case, decode, encode
    from vnethash.fuzz.mutation import LONGEST, Layout, children, dictionary
    from vnethash.fuzz.reducer import cost, plainer_cases
    from vnethash.fuzz.seeds import traffic
    from vnethash.fuzz.signature import frame_features
    from vnethash.models.summarize import summarize
    from vnethash.spec.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = Configuration()


def one(data: bytes) -> None:
    """Read a case, and do with it what campaigns do."""
    case = decode(data)
    assert 1 <= len(case.frames) <= MOST_FRAMES
    assert decode(encode(case)) == case
    assert Configuration.from_json(case.configuration.to_json()) == case.configuration
    frame = case.frame
    for header in headers(frame):
        assert 0 <= header.start <= header.end <= len(frame), header
        assert header.link < max(1, len(frame)), header
    assert summarize(frame)
    frame_features(frame)
    for child in children(Random(len(data)), Layout(frame), 4, [frame, *traffic()[:2]]):  # noqa: S311 - chance
        assert len(child) <= max(LONGEST, len(frame) + 64)
        headers(child)
    for plainer in islice(plainer_cases(case, PLAIN), 4):
        cost(plainer, PLAIN)


def seeds() -> Iterator[bytes]:
    """Yield plain traffic, alone and behind another frame."""
    for frame in traffic():
        yield encode(Case(PLAIN, (frame,)))
    yield encode(Case(PLAIN, traffic()[:3]))


def words() -> tuple[bytes, ...]:
    """Return numbers, headers, options, addresses."""
    return dictionary()


if __name__ == "__main__":
    harness.fuzz(one)
