"""A shared library that exports vnethash.h, loaded into this process: only `python -m vnethash.targets.lib` does that.

The header is read by cffi, so what C sees and what we see is one text. A loaded library can do anything to its
process; what can be seen of it is checked: versions, sizes, strings, statuses, and a guard on both sides of the
results.

Each frame lies alone: 64 bytes or more of 0xA5 around it, at an address that is a multiple of 16, so that a library
that reads too far does so in the same way however frames are batched. (Not zeros: Toeplitz is linear, so ports of zero
leave the value as it is without them.) Under AddressSanitizer these bytes are poisoned, and reading one of them ends
the process with a report.

For coverage (fuzz/) see `counters.py`: a library built with -fsanitize-coverage finds `coverage.c` loaded before it,
and each frame of a batch that is to be measured is run once more, alone.
"""

from __future__ import annotations

import mmap
import os
from array import array
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import cffi
from vnethash.spec.errors import ProtocolError, TargetError, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Errored, Implementation, Refused, Result, Skipped
from vnethash.targets.lib.counters import HEAD, MOST, ROWS, START, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.spec.configuration import Configuration

#: Names of the bits, as the header has them.
_FEATURES = ("RSS", "HASH_REPORT", "HASH_TUNNEL", "RSS_CONTEXT")
_PARTS = ("report", "value", "queue")
_OUTCOME, _SKIPPED, _ERROR = 0, 1, 2

_ALIGNMENT = 16
_GAP = 64
_FILL = b"\xa5" * (_GAP + _ALIGNMENT)
_KEY_ROOM = 256
_LONGEST_TEXT = 1024
_GUARD = 0xC3


def header() -> str:
    """Return the text of vnethash.h."""
    return files(__package__).joinpath("vnethash.h").read_text("utf-8")


def declarations() -> str:
    """Return the part of the header that has no preprocessor lines."""
    return header().partition("/* begin")[2].partition("*/")[2].partition("/* end */")[0]


class _Columns(NamedTuple):
    """The results of a batch, a column a field; `words` has those that are no outcome, and is empty if all are."""

    status: Sequence[int]
    shown: Sequence[int]
    report: array[int]
    value: array[int]
    queue: array[int]
    words: Sequence[str]


class Library:
    """A loaded library as a target; see `targets.base.Target`, and `targets.exec.serve.PackedTarget`.

    What it answers against the header raises ProtocolError.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, path: str) -> None:
        """Load the library at an absolute path; raises TargetError where it cannot be loaded or does not fit."""
        self.name = path
        self._ffi: Any = cffi.FFI()
        self._ffi.cdef(declarations())
        try:
            self._library: Any = self._ffi.dlopen(path, self._ffi.RTLD_NOW | self._ffi.RTLD_LOCAL)
            self._calls = (self._library.vnethash_info, self._library.vnethash_configure, self._library.vnethash_run)
        except (OSError, AttributeError) as error:
            why = str(error).removeprefix(f"cannot load library {path!r}: ").partition(".  Additionally, ctypes")[0]
            raise TargetError(f"cannot be loaded: {why}") from None
        self.implementation, self.capabilities = self._info()
        self._shown = sum(1 << bit for bit, part in enumerate(_PARTS) if part in self.capabilities.observes)
        self._poison, self._unpoison = self._address_sanitizer()
        self._room: tuple[Any, int] = (None, 0)
        self._left: tuple[bytes, list[Result]] | None = None
        self._configured = False
        self._measure = _measurer(self._ffi)

    def configure(self, configuration: Configuration) -> None:
        """Hand a configuration on; raises Refused where the library does not take it."""
        ffi = self._ffi
        key = ffi.new("uint8_t[]", _KEY_ROOM)
        ffi.memmove(key, configuration.key, len(configuration.key))
        table = ffi.new("uint16_t[]", list(configuration.indirection_table) or 1)
        given = ffi.new("struct vnethash_configuration *")
        given.size = ffi.sizeof(given[0])
        given.features = sum(1 << bit for bit, name in enumerate(_FEATURES) if name in configuration.features)
        given.hash_types = configuration.hash_types
        given.tunnel_types = configuration.tunnel_types
        given.key, given.key_size = key, len(configuration.key)
        given.indirection_table = table
        given.indirection_table_length = len(configuration.indirection_table)
        given.unclassified_queue = configuration.unclassified_queue
        given.max_tx_vq = configuration.max_tx_vq
        message = ffi.new("const char **")
        status = self._calls[1](given, message)
        self._left = None
        if status in (_SKIPPED, _ERROR):
            words = self._text(message[0], "the message of vnethash_configure") or "no reason given"
            raise Refused(words, skipped=status == _SKIPPED)
        if status != _OUTCOME:
            raise ProtocolError(f"vnethash_configure returned {status}; 0, 1 and 2 can be")
        self._configured = True

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return what comes out for each frame."""
        left, self._left = self._left, None
        if left is not None and left[0] == b"".join(frames) and len(left[1]) == len(frames):
            return left[1]
        return self._results(self._call(frames))

    def run_packed(
        self, data: bytes, offsets: array[int]
    ) -> tuple[array[int] | None, array[int] | None, array[int] | None] | None:
        """Return the columns report, value and queue; None where not every frame shows the same parts.

        Then `run`, which is asked for the same frames next, has the results already: the library is not called twice.
        """
        columns = self._call([data[start:end] for start, end in pairwise(offsets)])
        if columns.words or len(set(columns.shown)) > 1:
            self._left = (data, self._results(columns))
            return None
        self._left = None
        shown = self._mask(0, columns.shown[0]) if columns.shown else self._shown
        return (
            columns.report if shown & 1 else None,
            columns.value if shown & 2 else None,
            columns.queue if shown & 4 else None,
        )

    def close(self) -> None:
        """Leave the library loaded; its process ends soon."""

    def _info(self) -> tuple[Implementation, Capabilities]:
        ours = self._library.VNETHASH_ABI
        info = self._calls[0]()
        if not info:
            raise ProtocolError("vnethash_info returned NULL")
        if info.abi != ours:
            raise ProtocolError(
                f"it was built for version {info.abi} of vnethash.h, and this vnethash has version {ours}",
                hint="`vnethash adapter new --lang c-lib` writes the header beside a new adapter",
            )
        size = self._ffi.sizeof(info[0])
        if info.size != size:
            raise ProtocolError(f"vnethash_info says size {info.size}; its struct has {size} bytes")
        name, *more = (
            self._text(getattr(info, field), f"{field} of vnethash_info")
            for field in ("name", "version", "language", "homepage")
        )
        if not name:
            raise ProtocolError("vnethash_info gives no name")
        for field, low, high, number in (
            ("observes", 1, (1 << len(_PARTS)) - 1, info.observes),
            ("features", 1, (1 << len(_FEATURES)) - 1, info.features),
            ("max_key_size", 0, 255, info.max_key_size),
            ("max_indirection_table_length", 1, 0x10000, info.max_indirection_table_length),
            ("queues", 1, 0x10000, info.queues),
        ):
            if not low <= number <= high:
                raise ProtocolError(f"vnethash_info says {field} {number}; {low} to {high} can be")
        capabilities = Capabilities(
            observes=frozenset(part for bit, part in enumerate(_PARTS) if info.observes >> bit & 1),
            features=frozenset(feature for bit, feature in enumerate(_FEATURES) if info.features >> bit & 1),
            hash_types=info.hash_types,
            tunnel_types=info.tunnel_types,
            max_key_size=info.max_key_size,
            max_indirection_table_length=info.max_indirection_table_length,
            queues=info.queues,
        )
        return Implementation(name, *more), capabilities

    def _text(self, pointer: Any, what: str) -> str:
        """Return a C string, "" for NULL; raises ProtocolError for one without its NUL, or not in UTF-8."""
        if not pointer:
            return ""
        data: bytes = self._ffi.string(pointer, _LONGEST_TEXT)
        if len(data) == _LONGEST_TEXT:
            raise ProtocolError(f"{what} has no NUL within {_LONGEST_TEXT} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from None

    def _call(self, frames: Sequence[bytes]) -> _Columns:
        if not self._configured:
            raise UsageError(f"{self.name}: run before it was configured")
        ffi, count = self._ffi, len(frames)
        lengths, offsets = array("I", map(len, frames)), array("Q")
        pieces, at = [_FILL[:_GAP]], _GAP
        for frame in frames:
            behind = _GAP + -len(frame) % _ALIGNMENT
            offsets.append(at)
            pieces += frame, _FILL[:behind]
            at += len(frame) + behind
        memory = self._buffer(at)
        ffi.memmove(memory, b"".join(pieces), at)
        size = ffi.sizeof("struct vnethash_result")
        records = ffi.new("struct vnethash_result[]", count + 2)
        view, guard = ffi.buffer(records), bytes([_GUARD]) * size
        view[:size] = view[size * (count + 1) :] = guard
        arguments = ffi.from_buffer("uint64_t[]", offsets), ffi.from_buffer("uint32_t[]", lengths), count, records + 1
        if self._poison is not None:
            self._poison(memory, at)
            for offset, length in zip(offsets, lengths, strict=True):
                self._unpoison(memory + offset, length)
        try:
            self._calls[2](memory, *arguments)
            if view[:size] != guard or view[size * (count + 1) :] != guard:
                raise ProtocolError(f"vnethash_run wrote outside of its {count} results")
            columns = self._columns(records, bytes(view[size : size * (count + 1)]))
            if self._measure is not None:  # only now: messages last until the next call
                self._measure(self._calls[2], memory, *arguments[:3])
        finally:
            if self._poison is not None:
                self._unpoison(memory, at)
        return columns

    def _columns(self, records: Any, data: bytes) -> _Columns:
        size = self._ffi.sizeof("struct vnethash_result")

        def column(field: str, typecode: str) -> array[int]:
            numbers = array(typecode)
            numbers.frombytes(data)
            at = self._ffi.offsetof("struct vnethash_result", field)
            return numbers[at // numbers.itemsize :: size // numbers.itemsize]

        status, words = column("status", "B"), []
        if any(status):
            for index, number in enumerate(status):
                if number > _ERROR:
                    raise ProtocolError(f"result {index} has status {number}; 0, 1 and 2 can be")
                words.append(self._text(records[1 + index].message, f"the message of result {index}"))
        return _Columns(
            status, column("shown", "B"), column("report", "H"), column("value", "I"), column("queue", "i"), words
        )

    def _results(self, columns: _Columns) -> list[Result]:
        results: list[Result] = []
        for index, (status, shown, report, value, queue) in enumerate(zip(*columns[:5], strict=True)):
            if status == _OUTCOME:
                mask = self._mask(index, shown)
                results.append(
                    Observation(report if mask & 1 else None, value if mask & 2 else None, queue if mask & 4 else None)
                )
            else:
                words = columns.words[index] or "no reason given"
                results.append(Skipped(words) if status == _SKIPPED else Errored(words))
        return results

    def _mask(self, index: int, shown: int) -> int:
        if shown & ~self._shown:
            raise ProtocolError(f"result {index} shows parts {shown:#x}; vnethash_info says observes {self._shown:#x}")
        return shown or self._shown

    def _address_sanitizer(self) -> tuple[Any, Any]:
        """Return the functions that poison and unpoison memory, None where it is not in this process."""
        process = cffi.FFI()
        process.cdef(
            "void __asan_poison_memory_region(const void *, size_t);"
            "void __asan_unpoison_memory_region(const void *, size_t);"
        )
        try:
            loaded: Any = process.dlopen(None)
            # Written out as attributes, the names would be mangled by Python.
            poison, unpoison = (getattr(loaded, f"__asan_{verb}_memory_region") for verb in ("poison", "unpoison"))
        except AttributeError:
            return None, None
        return poison, unpoison

    def _buffer(self, size: int) -> Any:
        """Return memory at least `size` bytes at a multiple of 16, the same as long as it will do."""
        memory, room = self._room
        if room < size:
            room = max(2 * size, 1 << 20)
            memory = self._ffi.new("uint8_t[]", room + _ALIGNMENT)
            self._room = (memory, room)
        return memory + -int(self._ffi.cast("uintptr_t", memory)) % _ALIGNMENT


def _measurer(ffi: Any) -> Callable[..., None] | None:
    """Return what measures a batch that is to be measured, None for a library without counters; see `counters.py`."""
    descriptor = int(os.environ.get(VARIABLE, "-1"))
    if descriptor < 0:
        return None
    process = cffi.FFI()
    process.cdef(
        "uint32_t vnethash_coverage_size(void);"
        "void vnethash_coverage_measure(void *, const uint8_t *, const uint64_t *, const uint32_t *, uint32_t,"
        " uint8_t *, uint32_t);"
    )
    preloaded: Any = process.dlopen(None)
    size = int(preloaded.vnethash_coverage_size())
    if not 0 < size <= MOST:
        return None
    os.ftruncate(descriptor, START + ROWS * size)
    memory = mmap.mmap(descriptor, START + ROWS * size)
    HEAD.pack_into(memory, 0, size, 0, 0)
    rows = process.cast("uint8_t *", process.from_buffer(memory)) + START

    def measure(run: Any, data: Any, offsets: Any, lengths: Any, count: int) -> None:
        _, wanted, _ = HEAD.unpack_from(memory)
        if wanted and count <= ROWS:
            at = [process.cast("uintptr_t", ffi.cast("uintptr_t", each)) for each in (run, data, offsets, lengths)]
            pointers = [
                process.cast(kind, number)
                for kind, number in zip(("void *", "uint8_t *", "uint64_t *", "uint32_t *"), at, strict=True)
            ]
            preloaded.vnethash_coverage_measure(*pointers, count, rows, size)
            HEAD.pack_into(memory, 0, size, wanted, count)

    return measure
