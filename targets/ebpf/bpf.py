"""bpf(2) by ctypes: maps, programs, and BPF_PROG_TEST_RUN with everything prepared beforehand.

Sources: linux/bpf.h (`union bpf_attr`), kernel/bpf/syscall.c, net/bpf/test_run.c. The package index has no kept
binding, and the part that we need is small.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.ebpf import instruction as isa
from vnethash.models.ebpf.program import ARRAY, READ_ONLY, MapDefinition, Program
from vnethash.spec.errors import TargetDied, TargetUnavailable, VnethashError
from vnethash.targets.base import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from mmap import mmap

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351, "ppc64le": 361}

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _PROG_LOAD, _TEST_RUN, _MAP_FREEZE, _MAP_UPDATE_BATCH = 0, 1, 2, 5, 10, 22, 26
#: Program types (enum bpf_prog_type).
SOCKET_FILTER, SCHED_CLS = 1, 3

_KINDS = {SOCKET_FILTER: "socket filter", SCHED_CLS: "classifier of traffic control"}

#: Bytes of `union bpf_attr` that we hand over; the kernel takes what is not there for 0.
_ATTR_SIZE = 128
_LOG_SIZE = 1 << 20

#: The longest frame that BPF_PROG_TEST_RUN takes for a socket buffer (one page less headroom and shared info).
MAX_FRAME = 3712

_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."


class _Attr:
    """A `union bpf_attr` in place, with the arguments of its system call."""

    def __init__(self, command: int) -> None:
        self.buffer = ctypes.create_string_buffer(_ATTR_SIZE)
        self.arguments = (
            ctypes.c_long(_NUMBERS.get(platform.machine(), -1)),
            ctypes.c_long(command),
            ctypes.c_void_p(ctypes.addressof(self.buffer)),
            ctypes.c_ulong(_ATTR_SIZE),
        )

    def pack(self, form: str, at: int, *values: object) -> None:
        """Write fields at an offset."""
        struct.pack_into("=" + form, self.buffer, at, *values)


@lru_cache(maxsize=2)
def _syscall(use_errno: bool) -> Callable[..., int]:
    """Return syscall(2); keeping errno costs time at every call."""
    function = ctypes.CDLL(None, use_errno=use_errno).syscall
    function.restype = ctypes.c_long
    return function


def _call(attr: _Attr) -> int:
    """Make the call; raises OSError."""
    result = _syscall(True)(*attr.arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _address(data: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(data)


def error_name(error: OSError) -> str:
    """Return e.g. "EPERM"."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))


class KernelMap:
    """A map in the kernel; `fd` is its file descriptor."""

    def __init__(self, definition: MapDefinition) -> None:
        """Create it; raises TargetDied with the kernel's reason."""
        self.definition = definition
        attr = _Attr(_MAP_CREATE)
        attr.pack("5I", 0, definition.kind, definition.key_size, definition.value_size, definition.max_entries,
                  definition.flags)  # fmt: skip
        name = "".join(letter for letter in definition.name if letter in _NAME)[-15:]
        attr.pack("15s", 28, name.encode())
        try:
            self.fd = _call(attr)
        except OSError as error:
            raise TargetDied(
                f"the kernel refuses map {definition.name} ({error_name(error)}): type {definition.kind}, "
                f"key {definition.key_size}, value {definition.value_size}, {definition.max_entries} entries"
            ) from None
        self._key = ctypes.create_string_buffer(max(definition.key_size, 4))
        self._value = ctypes.create_string_buffer(definition.value_size)
        self._update, self._lookup = _Attr(_MAP_UPDATE), _Attr(_MAP_LOOKUP)
        for each in (self._update, self._lookup):
            each.pack("I4xQQQ", 0, self.fd, _address(self._key), _address(self._value), 0)
        if definition.initial:
            self.write(0, definition.initial)
        if definition.flags & READ_ONLY:
            freeze = _Attr(_MAP_FREEZE)
            freeze.pack("I", 0, self.fd)
            _call(freeze)

    def write(self, index: int, value: bytes) -> None:
        """Set entry `index` of an array; raises TargetDied."""
        self._value.raw = value.ljust(self.definition.value_size, b"\0")
        self._element(self._update, index)

    def read(self, index: int) -> bytes:
        """Return entry `index` of an array; raises TargetDied."""
        self._element(self._lookup, index)
        return self._value.raw

    def _element(self, attr: _Attr, index: int) -> None:
        struct.pack_into("=I", self._key, 0, index)
        try:
            _call(attr)
        except OSError as error:
            raise TargetDied(f"map {self.definition.name}, entry {index}: {error_name(error)}") from None

    def write_all(self, values: Sequence[bytes]) -> None:
        """Set the entries from 0 on, in one call where the kernel has it (5.6); raises TargetDied."""
        keys = ctypes.create_string_buffer(struct.pack(f"={len(values)}I", *range(len(values))))
        data = ctypes.create_string_buffer(b"".join(values))
        attr = _Attr(_MAP_UPDATE_BATCH)
        attr.pack("QQQQIIQQ", 0, 0, 0, _address(keys), _address(data), len(values), self.fd, 0, 0)
        try:
            _call(attr)
        except OSError:
            for index, value in enumerate(values):
                self.write(index, value)

    def close(self) -> None:
        """Give it back; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


#: data_size_in and data_size_out are written as one number: the kernel writes the latter, and holds the next run to it
#: (ENOSPC).
_LENGTH_SHIFT = 0 if sys.byteorder == "little" else 32


class TestRun(NamedTuple):
    """A prepared BPF_PROG_TEST_RUN: the arguments of syscall(2), where a frame is taken from, and the attributes.

    The length of a frame, shifted left by `shift`, is the 64-bit number at offset 8 of the attributes; the return value
    is the 32-bit number at offset 4.
    """

    number: int
    command: int
    attr: int
    size: int
    shift: int
    frame: ctypes.Array[ctypes.c_char]
    attributes: ctypes.Array[ctypes.c_char]


class KernelProgram:
    """A program in the kernel with its maps, ready for BPF_PROG_TEST_RUN; a socket filter unless `kind` is another."""

    def __init__(self, program: Program, kind: int = SOCKET_FILTER) -> None:
        """Create the maps and load the program; raises TargetDied with the verifier's words where it is refused."""
        self.program = program
        self.maps: list[KernelMap] = []
        self.fd = -1
        try:
            for definition in program.maps:
                self.maps.append(KernelMap(definition))
            self.fd = _load(program, [each.fd for each in self.maps], kind)
        except VnethashError:
            self.close()
            raise
        self._frame = ctypes.create_string_buffer(MAX_FRAME)
        self._attr = _Attr(_TEST_RUN)
        self._attr.pack("IIIIQQII", 0, self.fd, 0, 0, 0, _address(self._frame), 0, 1, 0)
        buffer = memoryview(self._attr.buffer).cast("B")
        self._words, self._sizes = buffer.cast("I"), buffer.cast("Q")

    def run(self, frames: Sequence[bytes]) -> list[int | Skipped]:
        """Return the program's 32-bit return value for each frame, Skipped where the kernel refuses the frame."""
        syscall, memmove = _syscall(False), ctypes.memmove
        number, command, attr, size = self._attr.arguments
        address, words = _address(self._frame), self._words  # words[1] is the return value
        sizes, shift = self._sizes, _LENGTH_SHIFT
        results: list[int | Skipped] = []
        append = results.append
        for frame in frames:
            length = len(frame)
            if length > MAX_FRAME:
                append(Skipped(f"the frame has {length} bytes, BPF_PROG_TEST_RUN takes {MAX_FRAME}"))
                continue
            memmove(address, frame, length)
            sizes[1] = length << shift
            if syscall(number, command, attr, size):
                append(self._refused())
            else:
                append(words[1])
        return results

    def run_watched(
        self, frames: Sequence[bytes], wanted: Sequence[bool], watched: mmap, copies: memoryview, size: int
    ) -> list[int]:
        """Return the low 16 bits of the return value for each frame, -1 where it is not wanted or the kernel refuses.

        After frame i the first `size` bytes of `watched` are copied to row i + 1 of `copies`.
        """
        syscall, memmove = _syscall(False), ctypes.memmove
        number, command, attr, size_of = self._attr.arguments
        address, words = _address(self._frame), self._words
        sizes, shift = self._sizes, _LENGTH_SHIFT
        results: list[int] = []
        append = results.append
        at = size
        for frame, run in zip(frames, wanted, strict=True):
            answer = -1
            if run:
                length = len(frame)
                memmove(address, frame, length)
                sizes[1] = length << shift
                if not syscall(number, command, attr, size_of):
                    answer = words[1] & 0xFFFF
            append(answer)
            copies[at:at + size] = watched[:size]
            at += size
        return results

    def prepared(self) -> TestRun:
        """Return what another loop needs to make the runs itself."""
        number, command, attr, size = (int(argument.value or 0) for argument in self._attr.arguments)
        return TestRun(number, command, attr, size, _LENGTH_SHIFT, self._frame, self._attr.buffer)

    def _refused(self) -> Skipped:
        """Make the failed run again, to learn why it failed."""
        try:
            _call(self._attr)
        except OSError as error:
            return Skipped(f"BPF_PROG_TEST_RUN refuses the frame ({error_name(error)})")
        return Skipped("BPF_PROG_TEST_RUN refused the frame once, and took it when asked again")

    def close(self) -> None:
        """Give all back; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        for each in self.maps:
            each.close()


def _load(program: Program, map_fds: Sequence[int], kind: int) -> int:
    """Load a program; a socket filter is what TUNSETSTEERINGEBPF takes. Raises TargetDied."""
    code = bytearray(program.code)
    for item in isa.decode(program.code):
        if item is not None and item.wide and item.src in (isa.PSEUDO_MAP, isa.PSEUDO_MAP_VALUE):
            struct.pack_into("<i", code, item.pc * isa.SLOT + 4, map_fds[item.imm])
    instructions = ctypes.create_string_buffer(bytes(code), len(code))
    text = ctypes.create_string_buffer(program.license.encode())
    attr = _Attr(_PROG_LOAD)
    attr.pack("IIQQ", 0, kind, len(code) // isa.SLOT, _address(instructions), _address(text))
    name = "".join(letter for letter in program.name if letter in _NAME)[:15]
    attr.pack("15s", 48, name.encode())
    try:
        return _patient(attr)
    except OSError as error:
        reason = error
    log = ctypes.create_string_buffer(_LOG_SIZE)
    attr.pack("IIQ", 24, 1, _LOG_SIZE, _address(log))
    try:
        return _patient(attr)
    except OSError:
        words = verifier_words(log.value.decode("ascii", "replace"))
    raise TargetDied(
        f"the kernel refuses program {program.name} ({error_name(reason)})" + (f": {words}" if words else ""),
        hint=f"it must load as a {_KINDS[kind]}; it is from section {program.section!r}, licence {program.license!r}",
    )


def _patient(attr: _Attr) -> int:
    """Load; the verifier answers EAGAIN when a signal is pending."""
    for _ in range(5):
        try:
            return _call(attr)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
    return _call(attr)


def verifier_words(log: str) -> str:
    """Return the last meaningful lines of the verifier's log, in one line: the instruction, and what is wrong."""
    noise = ("processed ", "verification time", "stack depth", "max_states", "mark_precise", "from ", "insns ")
    lines = [line.strip() for line in log.splitlines()]
    lines = [line for line in lines if line and not line.startswith(noise)]
    instruction = [line for line in lines[:-1] if line[0].isdigit() and ": (" in line][-1:]
    return " | ".join([*instruction, *lines[-1:]])


@lru_cache(maxsize=1)
def permitted() -> str:
    """Return "" where maps, socket filters and test runs may be made here, otherwise the reason, in words."""
    if not sys.platform.startswith("linux"):
        return "bpf(2) is a system call of Linux"
    if platform.machine() not in _NUMBERS:
        return f"the number of bpf(2) on {platform.machine()} is not known to vnethash"
    trivial = isa.encode(isa.Instruction(0, isa.ALU64 | isa.MOV, 0, 0, 0, 7)) + isa.encode(
        isa.Instruction(1, isa.JMP | isa.EXIT, 0, 0, 0, 0)
    )
    attr = _Attr(_MAP_CREATE)
    attr.pack("4I", 0, ARRAY, 4, 4, 1)
    try:
        os.close(_call(attr))
    except OSError as error:
        return f"bpf(2) is not permitted ({error_name(error)})"
    try:
        program = KernelProgram(Program("vnethash_probe", "socket", trivial, (), "GPL"))
    except VnethashError as error:
        return f"bpf(2) loads no programs here: {error.message}"
    try:
        results = program.run([bytes(64)])
    finally:
        program.close()
    if results != [7]:
        return f"bpf(2) runs no programs here: {results[0]}"
    return ""


def require() -> None:
    """Raise TargetUnavailable where `permitted` has a reason."""
    if reason := permitted():
        raise TargetUnavailable(reason, hint="needs root or CAP_BPF and CAP_NET_ADMIN; or use the interpreter")
