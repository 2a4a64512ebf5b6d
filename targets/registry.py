"""From a name on the command line to a target: `SCHEME[:ARGUMENT]`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from vnethash.spec.errors import TargetUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.targets.base import Target, TargetInfo, Witness

#: Scheme -> what it drives; the order is that of `vnethash targets`.
SCHEMES = {
    "model": "our own model, DIALECT[,QUESTION=READING...]",
    "qemu-ebpf": "the steering program in an installed QEMU [BINARY]",
    "ebpf": "a steering program PATH.o",
    "tun": "a steering program on a real TAP, PATH.o or qemu[=BINARY]",
    "qemu": "the virtio-net device of an installed QEMU [BINARY or VERSION]",
    "dpdk": "packet type and hash of the installed DPDK",
    "exec": "any program that speaks protocol version 1, COMMAND",
    "lib": "a shared library PATH.so that exports vnethash.h",
}

#: What shows something beside the targets and is not judged -> what it is.
WITNESSES = {"linux-dissector": "which fields the kernel's flow hash covers"}


def check_name(name: str) -> None:
    """Raise UsageError for a name that no target can have."""
    if name in WITNESSES:
        return
    scheme, _, argument = name.partition(":")
    if scheme not in SCHEMES:
        known = ", ".join((*SCHEMES, *WITNESSES))
        raise UsageError(f"{name}: no target scheme {scheme!r}", hint=f"there are {known}")
    if not argument and scheme not in {"dpdk", "qemu", "qemu-ebpf"}:
        raise UsageError(f"{name}: {scheme}: needs an argument: {SCHEMES[scheme]}")


def check_options(name: str) -> None:
    """Raise UsageError for options behind a target's name that there are not, or that contradict each other.

    Nothing is opened: what the machine or a file lacks is known only then.
    """
    check_name(name)
    scheme, _, argument = name.partition(":")
    if scheme == "qemu":
        from vnethash.targets.qemu.target import split as split_qemu  # noqa: PLC0415 - each only where it is named

        split_qemu(argument)
    elif scheme in {"ebpf", "qemu-ebpf"}:
        from vnethash.targets.ebpf.target import split  # noqa: PLC0415

        split(argument)
    elif scheme == "tun":
        from vnethash.targets.tun.target import split_tun  # noqa: PLC0415

        split_tun(argument)
    elif scheme == "dpdk":
        from vnethash.targets.dpdk.target import check_argument  # noqa: PLC0415

        check_argument(argument)
    elif scheme == "model":
        from vnethash.targets.model import open_model  # noqa: PLC0415

        with suppress(TargetUnavailable):  # a dialect that is none
            open_model(argument)


def with_routes(names: Sequence[str], route: str) -> list[str]:
    """Return names under which the steering programs among the targets get all frames by one route.

    The names say what was asked for, so that a report and a replay do too. Raises UsageError where none has routes.
    """
    if route == "auto":
        return list(names)
    routed = []
    for name in names:
        scheme, _, argument = name.partition(":")
        routed.append(f"{scheme}:{argument},route={route}" if scheme in {"ebpf", "qemu-ebpf"} else name)
    if routed == list(names):
        raise UsageError(f"--route {route}: none of the targets has routes", hint="ebpf: and qemu-ebpf have")
    return routed


def open_target(name: str, *, validate: bool = False, timeout: float | None = None) -> Target:
    """Open a target; raises UsageError for a name that is none, TargetUnavailable where it cannot run here.

    `validate` holds every message of an `exec:` target against the protocol's schema; `timeout` is its limit in
    seconds for one answer, 10 by default.
    """
    check_name(name)
    if name in WITNESSES:
        raise UsageError(f"{name} is a witness, not a target: it is not judged", hint=f"vnethash check {name}")
    scheme, _, argument = name.partition(":")
    if scheme == "model":
        from vnethash.targets.model import open_model  # noqa: PLC0415 - each scheme imports only what it needs

        return open_model(argument)
    if scheme == "exec":
        from vnethash.targets.exec.client import open_exec  # noqa: PLC0415

        return open_exec(argument, validate=validate, timeout=10.0 if timeout is None else timeout)
    if scheme == "qemu":
        from vnethash.targets.qemu.target import open_qemu  # noqa: PLC0415

        return open_qemu(argument, seconds=20.0 if timeout is None else timeout)
    if scheme == "dpdk":
        from vnethash.targets.dpdk.target import open_dpdk  # noqa: PLC0415

        return open_dpdk(argument, timeout=10.0 if timeout is None else timeout)
    if scheme == "lib":
        from vnethash.targets.lib.target import open_lib  # noqa: PLC0415

        return open_lib(argument, timeout=10.0 if timeout is None else timeout)
    if scheme == "tun":
        from vnethash.targets.tun.target import open_tun  # noqa: PLC0415

        return open_tun(argument)
    from vnethash.targets.ebpf.target import open_ebpf, open_qemu_ebpf  # noqa: PLC0415

    return open_qemu_ebpf(argument) if scheme == "qemu-ebpf" else open_ebpf(argument)


def open_witness(name: str) -> Witness:
    """Open a witness; raises UsageError for a name that is none, TargetUnavailable where it cannot run here."""
    if name not in WITNESSES:
        raise UsageError(f"{name}: no witness", hint=f"there are {', '.join(WITNESSES)}")
    from vnethash.targets.linux.dissector import Dissector  # noqa: PLC0415

    return Dissector()


def probe_all() -> list[TargetInfo]:
    """Return what can be driven on this machine, and why the rest cannot."""
    from vnethash.targets import model  # noqa: PLC0415
    from vnethash.targets.base import TargetInfo  # noqa: PLC0415
    from vnethash.targets.dpdk import target as dpdk  # noqa: PLC0415
    from vnethash.targets.ebpf import target as ebpf  # noqa: PLC0415
    from vnethash.targets.lib import target as lib  # noqa: PLC0415
    from vnethash.targets.linux import dissector  # noqa: PLC0415
    from vnethash.targets.qemu import target as qemu  # noqa: PLC0415
    from vnethash.targets.tun import target as tun  # noqa: PLC0415

    return [
        *model.probe(),
        *ebpf.probe(),
        *tun.probe(),
        *qemu.probe(),
        *dpdk.probe(),
        TargetInfo("exec:COMMAND", SCHEMES["exec"], available=True, shows=("what it says",)),
        *lib.probe(),
        *dissector.probe(),
    ]
