"""Captures, pcap and pcapng: read or refused in one line, and the same from a file as from a pipe."""

from __future__ import annotations

import gzip
import io
import struct
import sys
from typing import TYPE_CHECKING, Any

import harness

with harness.instrumented():
    from vnethash.fuzz.seeds import traffic
    from vnethash.models.capture_ahead import Engine
    from vnethash.models.capture_reader import Capture
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.errors import VnethashError
    from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = harness.DataFile()
ENGINE = Engine.interpreted(Configuration(), Readings())


def frames_of(name: str) -> tuple[list[tuple[int, ...]], object]:
    """Return the numbers, lengths and answers of a capture, and what is said about it as a whole."""
    found: list[tuple[int, ...]] = []
    try:
        with Capture(name, ENGINE) as capture:
            for batch in capture.batches():
                found += zip(*batch[:3], *batch.answers[:3], strict=False)
            said = (capture.form.partition(",")[0], capture.frames, bool(capture.damage), sorted(capture.others))
    except VnethashError as error:
        harness.one_line(error.line())
        return found, "refused"
    return found, said


class Pipe(io.BufferedReader):
    """Standard input that holds a capture."""

    def fileno(self) -> int:
        """Say that it is no file."""
        raise OSError


class Input:
    """A stand-in for `sys.stdin`."""

    def __init__(self, data: bytes) -> None:
        self.buffer: Any = Pipe(io.BytesIO(data))  # type: ignore[arg-type]


def one(data: bytes) -> None:
    """Read it as a file, and as standard input."""
    from_file, words = frames_of(FILE.write(data))
    stdin, sys.stdin = sys.stdin, Input(data)  # type: ignore[assignment]
    try:
        from_pipe, piped = frames_of("-")
    finally:
        sys.stdin = stdin
    assert (from_file, words) == (from_pipe, piped)


def pcap(frames: list[bytes], order: str = "<", magic: int = 0xA1B2C3D4) -> bytes:
    """Return a capture in the older format."""
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1)]
    for frame in frames:
        parts += (struct.pack(f"{order}IIII", 1, 2, len(frame), len(frame)), frame)
    return b"".join(parts)


def block(kind: int, body: bytes) -> bytes:
    """Return one block of the newer format."""
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def seeds() -> Iterator[bytes]:
    """Yield captures in both formats, both orders of bytes, and packed."""
    frames = list(traffic()[:4])
    yield pcap(frames)
    yield pcap(frames, ">", 0xA1B23C4D)
    head = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0))
    packets = [block(6, struct.pack("<IIIII", 0, 0, 0, len(each), len(each)) + each) for each in frames]
    simple = block(3, struct.pack("<I", len(frames[0])) + frames[0])
    yield head + b"".join(packets) + simple
    yield gzip.compress(pcap(frames), mtime=0)


def words() -> tuple[bytes, ...]:
    """Return magic numbers, kinds of blocks, and options."""
    numbers = (0xA1B2C3D4, 0xA1B23C4D, 0x0A0D0D0A, 0x1A2B3C4D, 1, 2, 3, 5, 6)
    return tuple(struct.pack(f"{order}I", number) for number in numbers for order in "<>")


if __name__ == "__main__":
    harness.fuzz(one)
