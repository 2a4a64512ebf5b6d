"""Edge counters of a library that was built with -fsanitize-coverage: how they are had, and read from here.

The library's process loads `coverage.c` before it, runs each frame of a batch once more alone when it is asked to, and
puts what each counted into memory that it shares with us:

    uint32  counters          how many the library has; 0 until it is loaded, or if it has none
    uint32  wanted            1 where the next batch is to be measured; we write this, the rest is the process's
    uint32  frames            of the batch that was measured last; 0 while it is measured
    4096    the rows          of `ROWS` frames, one octet a counter

Answers are those of the batch as ever; the second run's are thrown away. So whether coverage is measured changes no
answer of a library that keeps to the header.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import weakref
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vnethash.spec.errors import TargetUnavailable, VnethashError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from vnethash.targets.base import Result, Target

#: The environment variable that names the shared memory's descriptor to the process.
VARIABLE = "VNETHASH_COVERAGE"
HEAD = struct.Struct("=III")
START, ROWS = 4096, 256
#: Counters of the largest library that is measured.
MOST = 1 << 18
_SOURCE = Path(__file__).with_name("coverage.c")
_FLAGS = ("-shared", "-fPIC", "-O2", "-fno-stack-protector", "-pipe")
_SECONDS = 60
_HINT = "install gcc or clang, or build the library without -fsanitize-coverage"


def has_counters(undefined: Collection[str]) -> bool:
    """Say whether a library with these undefined names waits for somebody to count its edges."""
    return any(name.startswith(("__sanitizer_cov_", "__sancov_")) for name in undefined)


class SharedCounters:
    """The memory of one target, and the preloaded object; raises TargetUnavailable where there is no compiler."""

    def __init__(self) -> None:
        self._object = os.memfd_create("vnethash-coverage.so", os.MFD_CLOEXEC)
        self._memory = os.memfd_create("vnethash-counters", os.MFD_CLOEXEC)
        weakref.finalize(self, _close, self._object, self._memory)
        os.write(self._object, _compiled())
        os.ftruncate(self._memory, START)

    @property
    def descriptors(self) -> tuple[int, int]:
        """What the process must inherit."""
        return self._object, self._memory

    @property
    def preload(self) -> str:
        """The path by which the process finds the object."""
        return f"/proc/self/fd/{self._object}"

    def mapped(self) -> mmap.mmap | None:
        """Return the memory, None where the library has no counters after all."""
        size = os.fstat(self._memory).st_size
        return mmap.mmap(self._memory, size) if size > START else None


class CountedLibrary:
    """A library whose counters are read: says which frames reached something new.

    Attributes:
        target: the target that is asked; another process of the same library may take its place.
        seen: the bits of the buckets that were seen, an array of uint8, one a counter.
    """

    def __init__(self, target: Target, counters: SharedCounters) -> None:
        """Raise VnethashError where numpy is missing, or there is nothing to read."""
        try:
            import numpy  # noqa: PLC0415 - only fuzzing needs it
        except ImportError as error:
            raise VnethashError("coverage of libraries needs numpy", hint="pip install 'vnethash[fast]'") from error
        self._numpy = numpy
        self.target = target
        self.seen: Any = numpy.zeros(0, dtype=numpy.uint8)
        self.adopt(target, counters)

    def adopt(self, target: Target, counters: SharedCounters) -> None:
        """Go on with another process of the library."""
        memory = counters.mapped()
        count = HEAD.unpack_from(memory)[0] if memory is not None else 0
        if memory is None or not count:
            raise VnethashError("the library counts no edges", hint="-fsanitize-coverage=inline-8bit-counters,pc-table")
        self.target, self._memory = target, memory
        if count != len(self.seen):
            self.seen = self._numpy.zeros(count, dtype=self._numpy.uint8)

    def explore(self, frames: Sequence[bytes]) -> tuple[list[Result], list[int]]:
        """Return the answers, and the indices of frames that reached an edge in a new bucket of counts."""
        results: list[Result] = []
        new: list[int] = []
        for start in range(0, len(frames), ROWS):
            batch = frames[start:start + ROWS]
            HEAD.pack_into(self._memory, 0, len(self.seen), 1, 0)
            try:
                results += self.target.run(batch)
            finally:
                count, _, measured = HEAD.unpack_from(self._memory)
                HEAD.pack_into(self._memory, 0, count, 0, 0)
            # In a batch in which the process died, frames have no rows of their own.
            if measured == len(batch) and count == len(self.seen):
                new += [start + index for index in self._fresh(len(batch))]
        return results, new

    def _fresh(self, frames: int) -> list[int]:
        from vnethash.targets.ebpf.counted import buckets  # noqa: PLC0415

        numpy, count = self._numpy, len(self.seen)
        rows = numpy.frombuffer(self._memory, dtype=numpy.uint8, count=frames * count, offset=START)
        bits = buckets()[rows.reshape(frames, count)]
        new = []
        for index in numpy.flatnonzero((bits & ~self.seen).any(axis=1)).tolist():
            if (bits[index] & ~self.seen).any():
                self.seen |= bits[index]
                new.append(index)
        return new


@cache
def _compiled() -> bytes:
    """Return coverage.c as an object that can be preloaded."""
    if not shutil.which("cc"):
        raise TargetUnavailable("a library built with -fsanitize-coverage needs a C compiler `cc` here", hint=_HINT)
    output = os.memfd_create("vnethash-coverage", os.MFD_CLOEXEC)
    try:
        done = subprocess.run(
            ["cc", *_FLAGS, "-o", f"/proc/self/fd/{output}", str(_SOURCE)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", pass_fds=(output,), timeout=_SECONDS, check=False,
        )  # fmt: skip
        data = os.pread(output, os.fstat(output).st_size, 0)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetUnavailable(f"coverage.c could not be compiled: {error}", hint=_HINT) from None
    finally:
        os.close(output)
    if done.returncode or not data.startswith(b"\x7fELF"):
        words = (done.stderr.strip() or f"cc ended with status {done.returncode}").splitlines()
        raise TargetUnavailable(f"coverage.c could not be compiled: {words[-1]}", hint=_HINT)
    return data


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
