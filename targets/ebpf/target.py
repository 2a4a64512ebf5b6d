"""The targets `ebpf:PATH.o` and `qemu-ebpf[:BINARY]`: a steering program, in the kernel or in our interpreter.

Options follow the path, after commas:

    kernel, interpreter     where it runs (default: the kernel where bpf(2) is permitted)
    route=auto              in the kernel, each frame by BPF_PROG_TEST_RUN if that shows it as a device would, on a TAP
                            if not: frames with VLAN tags, with cut IP headers, with more than 3712 bytes (default)
    route=test_run, =tun    in the kernel, all frames one way; what it cannot show is skipped
    tap                     in the interpreter, with frames shown as a TAP shows them
    program=NAME            one of several programs of an object
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import FormatError, UsageError, VnethashError
from vnethash.targets.base import Implementation, TargetInfo
from vnethash.targets.ebpf import bpf, qemu
from vnethash.targets.ebpf.elf import read_programs
from vnethash.targets.ebpf.program import Engine, InterpreterEngine, Roles, find_roles, limit_of_tap, limit_of_test_run
from vnethash.targets.ebpf.steering import SHOWS, SteeringTarget
from vnethash.targets.tun import tap
from vnethash.targets.tun.engine import ROUTES, RoutedEngine, SharedTap, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.ebpf.program import Program
    from vnethash.targets.base import Errored, Skipped

__all__ = ["Options", "SteeringTarget", "open_ebpf", "open_qemu_ebpf", "probe", "split"]

_FLAGS = ("interpreter", "kernel", "tap", *tap.OPTIONS)


class Options(NamedTuple):
    """What follows the path in the name of a target.

    `route` is empty where none was named; `flags` are words; `program` is the name of one, "" for the only one.
    """

    flags: frozenset[str] = frozenset()
    route: str = ""
    program: str = ""


class _Interpreted(InterpreterEngine):
    """Our interpreter, asked only for frames that the way in which it shows them is right for."""

    def __init__(self, program: Program, roles: Roles, *, tap: bool) -> None:
        """Translate the program; raises FormatError."""
        super().__init__(program, roles, tap=tap)
        self._limit = limit_of_tap if tap else limit_of_test_run

    def run(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        """Run over frames; those beyond the limit are Skipped."""
        return ask(frames, self._limit, super().run)


def steer(
    name: str, program: Program, roles: Roles, implementation: Implementation, options: Options, notes: tuple[str, ...]
) -> SteeringTarget:
    """Return the target for a program with its options; raises TargetUnavailable, TargetDied, or FormatError."""
    flags, route = options.flags, options.route
    if flags & {"interpreter", "tap"}:
        shown = ", frames as a TAP shows them" if "tap" in flags else ""
        return _interpreted(name, program, roles, implementation, (*notes, _INTERPRETER + shown + ": asked for"),
                            "tap" in flags)  # fmt: skip
    if "kernel" in flags or route:
        bpf.require()
    if reason := bpf.permitted():
        return _interpreted(name, program, roles, implementation, (*notes, f"{_INTERPRETER}: {reason}"), tap=False)
    if route == "tun":
        tap.require()
    shared, where = None, "run in the kernel, by BPF_PROG_TEST_RUN"
    missing = "" if route == "test_run" else tap.permitted()
    if route != "test_run" and not missing:
        ingress = "bridge" if "bridge" in flags else "packet"
        shared = SharedTap(ingress, gso="gso" in flags, paged="paged" in flags)
        how = "".join(f", {tap.OPTIONS[word]}" for word in tap.OPTIONS if word in flags)
        if route == "tun":
            where = f"run in the kernel, on a TAP with {tap.QUEUES} queues{how}"
        else:
            where += f"; frames with VLAN tags, cut IP headers or more than {bpf.MAX_FRAME} bytes on a TAP{how}"
    elif missing:
        where += f"; frames that it cannot show are skipped: {missing}"

    def engine() -> Engine:
        return RoutedEngine(program, roles, shared, always=route == "tun")

    queues = tap.QUEUES if route == "tun" else 0x10000
    return SteeringTarget(name, program, roles, implementation, engine, in_kernel=True, queues=queues,
                          notes=(*notes, where))  # fmt: skip


_INTERPRETER = "run by vnethash's interpreter"


def _interpreted(
    name: str, program: Program, roles: Roles, implementation: Implementation, notes: tuple[str, ...], tap: bool
) -> SteeringTarget:
    return SteeringTarget(
        name, program, roles, implementation, lambda: _Interpreted(program, roles, tap=tap), in_kernel=False,
        notes=notes,
    )  # fmt: skip


def split(argument: str) -> tuple[str, Options]:
    """Split `PATH,option,...` into path and options.

    Raises UsageError for options that contradict each other, and for words that are none where no path is named.
    """
    path, flags, route, name = argument, set[str](), "", ""
    while path:
        head, comma, last = path.rpartition(",")
        if last in _FLAGS and (comma or last not in tap.OPTIONS):
            flags.add(last)
        elif last.startswith("program=") and comma:
            name = last.removeprefix("program=")
        elif last.startswith("route=") and comma:
            if route:
                raise UsageError(f"{argument}: two routes")
            route = last.removeprefix("route=")
            if route not in ROUTES:
                raise UsageError(f"{argument}: no route {route!r}", hint=f"routes: {', '.join(ROUTES)}")
        else:
            break
        path = head
    if path.startswith(","):
        known = [*_FLAGS, *(f"route={one}" for one in ROUTES), "program=NAME"]
        raise UsageError(f"{argument}: no option {path.rpartition(',')[2]!r}", hint=f"there are {', '.join(known)}")
    if flags & {"interpreter", "tap"} and (route or flags - {"interpreter", "tap"}):
        raise UsageError(f"{argument}: `interpreter` or `tap` and a way through the kernel contradict each other")
    if route == "test_run" and flags & tap.OPTIONS.keys():
        raise UsageError(f"{argument}: `route=test_run` and an option of the TAP contradict each other")
    return path, Options(frozenset(flags), route, name)


def read_object(path_text: str, wanted: str, scheme: str) -> tuple[Program, Roles, tuple[str, ...]]:
    """Return the program of an object file, its maps, and a note; raises UsageError and FormatError."""
    if not path_text:
        raise UsageError(f"{scheme}: needs the path of an object file", hint=f"{scheme}:PATH.o")
    path = Path(path_text).expanduser()
    programs = read_programs(path)
    names = ", ".join(program.name for program in programs)
    if wanted:
        programs = [program for program in programs if program.name == wanted]
        if not programs:
            raise FormatError(f"{path}: no program {wanted}; there are: {names}")
    if len(programs) > 1:
        raise FormatError(f"{path}: {len(programs)} programs: {names}", hint=f"choose: {scheme}:{path},program=NAME")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return programs[0], find_roles(programs[0], str(path)), (f"object {digest}",)


def open_ebpf(argument: str) -> SteeringTarget:
    """Open `ebpf:ARGUMENT`, where the argument is `PATH.o[,option...]`.

    Raises UsageError, FormatError for a file that is no steering program, TargetDied where the kernel refuses it,
    TargetUnavailable for the option `kernel` or a route where it cannot be had.
    """
    path, options = split(argument)
    program, roles, notes = read_object(path, options.program, "ebpf")
    implementation = Implementation(program.name, language="eBPF")
    return steer(f"ebpf:{argument}", program, roles, implementation, options, notes)


def open_qemu_ebpf(argument: str = "") -> SteeringTarget:
    """Open `qemu-ebpf[:ARGUMENT]`, where the argument is `[BINARY][,option...]`; the binary may be a wheel.

    Raises UsageError, TargetUnavailable where no QEMU with the program is to be had, TargetDied where the kernel
    refuses it.
    """
    path, options = split(argument)
    return steer_qemu(f"qemu-ebpf:{argument}" if argument else "qemu-ebpf", path, options)


def steer_qemu(name: str, path: str, options: Options) -> SteeringTarget:
    """Return the target for the program of the QEMU at `path`, or of an installed one; raises as `open_qemu_ebpf`."""
    if options.program:
        raise UsageError(f"{name}: takes no `program=`")
    found = qemu.find(path)
    implementation = Implementation("QEMU steering eBPF", found.version, "C (eBPF)", "https://www.qemu.org")
    notes = (f"object {found.digest} from {found.origin}",)
    return steer(name, found.program, found.roles, implementation, options, notes)


def probe() -> list[TargetInfo]:
    """Return the lines of `vnethash targets`; nothing is fetched and nothing loaded but a probe."""
    where = _where()
    lines = [TargetInfo("ebpf:PATH.o", f"a steering program of yours, {where}", True, shows=SHOWS)]
    try:
        found = qemu.find(fetch=False)
    except VnethashError as error:
        return [*lines, TargetInfo("qemu-ebpf", "QEMU's steering program", False, error.line(), SHOWS)]
    what = f"the steering program of QEMU {found.version}, {where}"
    return [*lines, TargetInfo("qemu-ebpf", what, True, shows=SHOWS, judged=True)]


def _where() -> str:
    if reason := bpf.permitted():
        return f"in vnethash's interpreter ({reason})"
    if reason := tap.permitted():
        return f"in the kernel by test runs alone ({reason})"
    return "in the kernel, by test runs and on a TAP"
