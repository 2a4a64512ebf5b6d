"""The targets `tun:PATH.o` and `tun:qemu[=BINARY]`: a steering program on a real TAP, for every frame.

The same programs and options as `ebpf:` and `qemu-ebpf`, with `route=tun`. Further options say how a frame gets to the
TAP: `bridge`, `gso`, `paged` (see `targets.tun.tap.OPTIONS`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.spec.errors import UsageError, VnethashError
from vnethash.targets.base import Implementation, TargetInfo
from vnethash.targets.ebpf import qemu
from vnethash.targets.ebpf.steering import SHOWS
from vnethash.targets.ebpf.target import read_object, split, steer, steer_qemu
from vnethash.targets.tun import tap

if TYPE_CHECKING:
    from vnethash.targets.ebpf.steering import SteeringTarget
    from vnethash.targets.ebpf.target import Options


def open_tun(argument: str) -> SteeringTarget:
    """Open `tun:ARGUMENT`, where the argument is `PATH.o[,option...]` or `qemu[=BINARY][,option...]`.

    Raises UsageError, FormatError for a file that is no steering program, TargetUnavailable where no TAP or no QEMU is
    to be had, TargetDied where the kernel refuses the program.
    """
    path, options = split_tun(argument)
    name = f"tun:{argument}"
    if path == "qemu" or path.startswith("qemu="):
        return steer_qemu(name, path.removeprefix("qemu").removeprefix("="), options)
    program, roles, notes = read_object(path, options.program, "tun")
    return steer(name, program, roles, Implementation(program.name, language="eBPF"), options, notes)


def split_tun(argument: str) -> tuple[str, Options]:
    """Split `PATH,option,...` into path and options, with the route to a TAP; raises UsageError for another one."""
    path, options = split(argument)
    if options.route not in {"", "tun"} or options.flags & {"interpreter", "tap"}:
        raise UsageError(f"tun:{argument}: every frame of `tun:` goes to a TAP", hint="ebpf: and qemu-ebpf have routes")
    return path, options._replace(route="tun")


def probe() -> list[TargetInfo]:
    """Return the lines of `vnethash targets`; a TAP is made and given back."""
    reason = tap.permitted()
    yours = TargetInfo("tun:PATH.o", "a steering program of yours, on a TAP", not reason, reason, SHOWS)
    try:
        what = f"the steering program of QEMU {qemu.find(fetch=False).version}, on a TAP"
    except VnethashError as error:
        what, reason = "QEMU's steering program, on a TAP", reason or error.line()
    return [yours, TargetInfo("tun:qemu", what, not reason, reason, SHOWS, judged=True)]
