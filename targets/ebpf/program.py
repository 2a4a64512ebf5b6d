"""Steering programs: their map interface, and the two engines that run them.

A steering program is a socket filter for TUNSETSTEERINGEBPF that returns a queue number. The interface is the one of
QEMU's program (tools/ebpf/rss.bpf.c); an object for `ebpf:PATH.o` has exactly one program and these three array maps,
with keys of 4 bytes, found by how their names end:

    *configurations      1 entry of 10 bytes, packed, in the byte order of the machine:
                         u8 redirect (1: steer by RSS), u8 populate_hash, u32 hash_types,
                         u16 number of entries in use of the table, u16 unclassified_queue
    *toeplitz_key        1 entry of 40 bytes or more: u32 first four bytes of the key, as a number in the byte order
                         of the machine (the leftmost bit is its top bit), then the other bytes of the key in order
    *indirection_table   128 entries or more of u16: receive queue numbers

It answers `table[hash % entries]`, or unclassified_queue for a frame that it did not hash. The kernel takes the answer
modulo 65536 (and then modulo the attached queues of the TAP, of which there are none here).
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vnethash.models.ebpf.machine import Machine, ProgramFault
from vnethash.models.ebpf.memory import ArrayMap
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import ARRAY, PERCPU_ARRAY, Program
from vnethash.spec.errors import FormatError
from vnethash.targets.base import Errored, Skipped
from vnethash.targets.ebpf.bpf import MAX_FRAME, KernelProgram

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap

    from vnethash.targets.ebpf.bpf import TestRun

#: Entries of the table that recovery of the hash value needs.
TABLE_LENGTH = 128


class Roles(NamedTuple):
    """Which of a program's maps is which, as indices; and how much the maps hold."""

    configurations: int
    key: int
    table: int
    key_size: int
    table_length: int


class Settings(NamedTuple):
    """What is written into the maps; fields as in `Configuration`."""

    hash_types: int
    key: bytes
    table: tuple[int, ...]
    unclassified_queue: int
    populate_hash: bool = False


def find_roles(program: Program, where: str) -> Roles:
    """Find the three maps of a steering program; raises FormatError that says what is missing or of another size."""
    hint = "the interface is QEMU's: see the documentation of vnethash.targets.ebpf.program"

    def find(suffix: str, value_size: tuple[int, int], entries: int) -> int:
        found = [n for n, each in enumerate(program.maps) if each.name.endswith(suffix)]
        if len(found) != 1:
            names = ", ".join(each.name for each in program.maps) or "no maps"
            raise FormatError(
                f"{where}: program {program.name} uses {names}: {len(found)} of them named *{suffix}, not one",
                hint=hint,
            )
        each = program.maps[found[0]]
        if each.kind not in (ARRAY, PERCPU_ARRAY) or each.key_size != 4:
            raise FormatError(f"{where}: map {each.name} is not an array with keys of 4 bytes", hint=hint)
        low, high = value_size
        if not low <= each.value_size <= high or each.max_entries < entries:
            raise FormatError(
                f"{where}: map {each.name} has {each.max_entries} entries of {each.value_size} bytes, "
                f"{entries} of {low} are needed",
                hint=hint,
            )
        return found[0]

    configurations = find("configurations", (_CONFIGURATION.size, _CONFIGURATION.size), 1)
    key = find("toeplitz_key", (40, 256), 1)
    table = find("indirection_table", (2, 2), TABLE_LENGTH)
    return Roles(configurations, key, table, program.maps[key].value_size, program.maps[table].max_entries)


_CONFIGURATION = struct.Struct("=BBIHH")


def key_value(key: bytes, size: int, order: str = sys.byteorder) -> bytes:
    """Return the value of the key map: filled up with zeros to `size`, the first four bytes in the machine's order."""
    padded = key.ljust(size, b"\0")
    return (padded[3::-1] if order == "little" else padded[:4]) + padded[4:]


class Engine(Protocol):
    """Something that runs one steering program; results are return values, 32 bits unsigned."""

    def set(self, settings: Settings) -> None:
        """Write all three maps."""

    def set_key(self, key: bytes) -> None:
        """Write the key only."""

    def run(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        """Run over frames."""

    def close(self) -> None:
        """Give back what is held; may be called twice."""


class KernelEngine:
    """The program in the kernel, by BPF_PROG_TEST_RUN."""

    def __init__(self, program: Program, roles: Roles) -> None:
        """Load it; raises TargetDied where the kernel refuses."""
        self._roles = roles
        self._kernel = KernelProgram(program)
        self._table: tuple[int, ...] = ()

    def set(self, settings: Settings) -> None:
        """Write all three maps; raises TargetDied."""
        maps = self._kernel.maps
        maps[self._roles.configurations].write(0, _configuration(settings, "="))
        self.set_key(settings.key)
        if settings.table != self._table:
            maps[self._roles.table].write_all([struct.pack("=H", queue) for queue in settings.table])
            self._table = settings.table

    def set_key(self, key: bytes) -> None:
        """Write the key only."""
        self._kernel.maps[self._roles.key].write(0, key_value(key, self._roles.key_size))

    def run(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        """Run over frames; a frame that the kernel refuses to run is Skipped."""
        return list(self._kernel.run(frames))

    def map_fd(self, number: int) -> int:
        """Return the file descriptor of a map of the program."""
        return self._kernel.maps[number].fd

    def run_watched(
        self, frames: Sequence[bytes], wanted: Sequence[bool], watched: mmap, copies: memoryview, size: int
    ) -> list[int]:
        """Run over the wanted frames, see `KernelProgram.run_watched`."""
        return self._kernel.run_watched(frames, wanted, watched, copies, size)

    def prepared(self) -> TestRun:
        """Return what another loop needs to make the runs itself."""
        return self._kernel.prepared()

    def close(self) -> None:
        """Unload."""
        self._kernel.close()


class InterpreterEngine:
    """The program in our interpreter, which is a little-endian machine; `tap` says how frames are shown to it."""

    def __init__(self, program: Program, roles: Roles, *, tap: bool = False) -> None:
        """Translate it; raises FormatError for what the interpreter does not have."""
        self._roles = roles
        self._machine = Machine(program)
        self._packet = Packet.of_tap if tap else Packet.of_test_run

    def _map(self, number: int) -> ArrayMap:
        found = self._machine.maps[number]
        assert isinstance(found, ArrayMap)
        return found

    def set(self, settings: Settings) -> None:
        """Write all three maps."""
        self._map(self._roles.configurations).write(0, _configuration(settings, "<"))
        self.set_key(settings.key)
        table = self._map(self._roles.table)
        for index, queue in enumerate(settings.table):
            table.write(index, queue.to_bytes(2, "little"))

    def set_key(self, key: bytes) -> None:
        """Write the key only."""
        self._map(self._roles.key).write(0, key_value(key, self._roles.key_size, "little"))

    def map_value(self, number: int) -> bytes:
        """Return entry 0 of a map of the program."""
        return self._map(number).read(0)

    def run(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        """Run over frames; a forbidden access of the program is Errored."""
        results: list[int | Skipped | Errored] = []
        for frame in frames:
            try:
                results.append(self._machine.run(self._packet(frame)) & 0xFFFFFFFF)
            except ProgramFault as fault:
                results.append(Errored(str(fault)))
        return results

    def close(self) -> None:
        """Nothing is held."""


def _configuration(settings: Settings, order: str) -> bytes:
    return struct.pack(
        order + _CONFIGURATION.format[1:],
        1,
        settings.populate_hash,
        settings.hash_types,
        len(settings.table),
        settings.unclassified_queue,
    )


_TAGS = {0x8100: "802.1Q", 0x88A8: "802.1ad"}


def limit_of_test_run(frame: bytes) -> str:
    """Return why BPF_PROG_TEST_RUN cannot show this frame as a device would, "" where it can.

    Sources: net/bpf/test_run.c (lengths, complete IP headers); net/packet/af_packet.c (a packet socket moves the
    network header behind VLAN tags, a test run leaves it at 14).
    """
    length = len(frame)
    if length < 14:
        return f"BPF_PROG_TEST_RUN takes frames from 14 bytes on, this one has {length}"
    if length > MAX_FRAME:
        return f"BPF_PROG_TEST_RUN takes frames up to {MAX_FRAME} bytes, this one has {length}; a TAP shows it"
    ethertype = frame[12] << 8 | frame[13]
    if ethertype in _TAGS:
        return f"BPF_PROG_TEST_RUN leaves the network header at the {_TAGS[ethertype]} tag; a TAP shows it rightly"
    if ethertype == 0x0800 and length < 34:
        return f"BPF_PROG_TEST_RUN takes IPv4 frames from 34 bytes on, this one has {length}; a TAP shows it"
    if ethertype == 0x86DD and length < 54:
        return f"BPF_PROG_TEST_RUN takes IPv6 frames from 54 bytes on, this one has {length}; a TAP shows it"
    return ""


def limit_of_tap(frame: bytes) -> str:
    """Return why a TAP cannot show this frame, "" where it can."""
    return f"a packet socket takes frames from 14 bytes on, this one has {len(frame)}" if len(frame) < 14 else ""
