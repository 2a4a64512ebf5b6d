"""The binary framing of protocol version 1: `run` and its answer as packed little-endian records.

A message of this framing starts with a byte that no JSON text starts with, so both kinds can follow each other on the
same stream. README.md beside this module draws the layout.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate, pairwise
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Result, Skipped
from vnethash.targets.exec.messages import VERSION, Unreadable, observations, only_observations, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN = 0xB1
RESULTS = 0xB2
HEADER = Struct("<BBHIII")
RECORD = Struct("<BBHIiI")

OUTCOME = 0
SKIPPED = 1
ERROR = 2
SHOWS_REPORT = 1
SHOWS_VALUE = 2
SHOWS_QUEUE = 4
_ALL = SHOWS_REPORT | SHOWS_VALUE | SHOWS_QUEUE

_BIG_ENDIAN = sys.byteorder == "big"


class Header(NamedTuple):
    """The 16 bytes before every binary message: for how many frames it is, and how many bytes follow."""

    seq: int
    frames: int
    size: int


def read_header(data: bytes) -> Header:
    """Return the header, whose kind was looked at already; raises Unreadable for another version."""
    _, version, reserved, seq, count, size = HEADER.unpack(data)
    if version != VERSION or reserved:
        raise Unreadable(f"a binary message of version {version}, reserved {reserved}; {VERSION} and 0 were due")
    return Header(seq, count, size)


def run_message(seq: int, frames: Sequence[bytes]) -> bytes:
    """Return the request `run`."""
    lengths = _packed(array("I", map(len, frames)))
    data = b"".join(frames)
    return b"".join((HEADER.pack(RUN, VERSION, 0, seq, len(frames), len(lengths) + len(data)), lengths, data))


def read_run_body(header: Header, body: bytes) -> tuple[bytes, array[int]]:
    """Return (all frames in one piece, count + 1 offsets) of a `run`; raises Unreadable."""
    head = 4 * header.frames
    if len(body) < head:
        raise Unreadable(f"{len(body)} bytes do not hold the lengths of {header.frames} frames")
    offsets = array("q", accumulate(_unpacked("I", body[:head]), initial=0))
    if offsets[-1] != len(body) - head:
        raise Unreadable(f"frames of {offsets[-1]} bytes announced, {len(body) - head} came")
    return body[head:], offsets


def split(data: bytes, offsets: array[int]) -> list[bytes]:
    """Return the frames one by one."""
    return [data[start:end] for start, end in pairwise(offsets)]


def results_message(seq: int, results: Sequence[Result]) -> bytes:
    """Return the answer to `run`."""
    if results and only_observations(results):
        reports, values, queues = zip(*results, strict=True)
        if None not in reports and None not in values and None not in queues:
            return outcomes_message(seq, len(results), reports, values, queues)
    records = []
    messages = []
    pack = RECORD.pack
    for result in results:
        if isinstance(result, Observation):
            report, value, queue = result
            if report is None or value is None or queue is None:
                shown = (report is not None) | (value is not None) << 1 | (queue is not None) << 2
                records.append(pack(OUTCOME, shown, report or 0, value or 0, queue or 0, 0))
            else:
                records.append(pack(OUTCOME, _ALL, report, value, queue, 0))
        else:
            skipped, error = words_of(result)
            words = (skipped if error is None else error) or ""
            message = words.encode("utf-8", "backslashreplace")
            messages.append(message)
            records.append(pack(SKIPPED if error is None else ERROR, 0, 0, 0, 0, len(message)))
    body = b"".join(records + messages)
    return HEADER.pack(RESULTS, VERSION, 0, seq, len(results), len(body)) + body


def outcomes_message(
    seq: int,
    count: int,
    reports: Sequence[int] | None,
    values: Sequence[int] | None,
    queues: Sequence[int] | None,
) -> bytes:
    """Return the answer to `run` from columns; a column that is None is not shown."""
    shown = (reports is not None) | (values is not None) << 1 | (queues is not None) << 2
    words = array("I", bytes(RECORD.size * count))
    base = shown << 8
    words[0::4] = array("I", [base | report << 16 for report in reports]) if reports else array("I", [base]) * count
    if values is not None:
        words[1::4] = array("I", values)
    if queues is not None:
        words[2::4] = array("I", array("i", queues).tobytes())
    body = _packed(words)
    return HEADER.pack(RESULTS, VERSION, 0, seq, count, len(body)) + body


def read_results(header: Header, body: bytes, *, observes: frozenset[str] | None = None) -> list[Result]:
    """Return the results of a batch; `observes` (what was claimed) turns validation on; raises Unreadable."""
    head = RECORD.size * header.frames
    if len(body) < head:
        raise Unreadable(f"{len(body)} bytes do not hold {header.frames} records of {RECORD.size}")
    first = _unpacked("I", body[:head])
    values = first[1::4]
    queues = _unpacked("i", body[:head])[2::4]
    lengths = first[3::4]
    first = first[0::4]
    low, high = (min(queues), max(queues)) if queues else (0, 0)
    if low < -1 or high > 0xFFFF:
        raise Unreadable(f"queue {low if low < -1 else high} in a record; -1 to 65535 can be")
    if observes is not None:
        _check_records(first, values, queues, observes)
    if len(body) == head and not any(lengths) and {word & 0xFFFF for word in first} <= {_ALL << 8}:
        return observations(zip([word >> 16 for word in first], values, queues, strict=True))
    return _mixed(first, values, queues, lengths, body[head:])


def _mixed(
    first: array[int], values: array[int], queues: array[int], lengths: array[int], messages: bytes
) -> list[Result]:
    results: list[Result] = []
    position = 0
    for index, (word, value, queue, length) in enumerate(zip(first, values, queues, lengths, strict=True)):
        status, shown = word & 0xFF, word >> 8 & 0xFF
        if status == OUTCOME:
            if length or shown & ~_ALL:
                raise Unreadable(f"record {index}: an outcome with shown bits {shown} and a message of {length} bytes")
            results.append(
                Observation(
                    word >> 16 if shown & SHOWS_REPORT else None,
                    value if shown & SHOWS_VALUE else None,
                    queue if shown & SHOWS_QUEUE else None,
                )
            )
        elif status in (SKIPPED, ERROR):
            words = messages[position : position + length].decode("utf-8", "backslashreplace")
            position += length
            results.append(Skipped(words) if status == SKIPPED else Errored(words))
        else:
            raise Unreadable(f"record {index}: status {status}; 0, 1 and 2 can be")
    if position != len(messages):
        raise Unreadable(f"messages of {position} bytes announced, {len(messages)} came")
    return results


def _check_records(first: array[int], values: array[int], queues: array[int], observes: frozenset[str]) -> None:
    for index, (word, value, queue) in enumerate(zip(first, values, queues, strict=True)):
        shown = word >> 8 & 0xFF
        for bit, name, number in (
            (SHOWS_REPORT, "report", word >> 16), (SHOWS_VALUE, "value", value), (SHOWS_QUEUE, "queue", queue),
        ):  # fmt: skip
            if shown & bit and name not in observes:
                raise Unreadable(f"record {index}: shows {name!r}, which capabilities.observes does not name")
            if number and not shown & bit:
                raise Unreadable(f"record {index}: {name} is {number} but not marked as shown; 0 is due there")
        if shown and word & 0xFF != OUTCOME:
            raise Unreadable(f"record {index}: status {word & 0xFF} together with an outcome")


def _packed(numbers: array[int]) -> bytes:
    if _BIG_ENDIAN:
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(typecode: str, data: bytes) -> array[int]:
    numbers = array(typecode)
    numbers.frombytes(data)
    if _BIG_ENDIAN:
        numbers.byteswap()
    return numbers
