"""The target `dpdk`: rte_net_get_ptype and rte_softrss of an installed DPDK, in a process of their own.

rte_softrss is an inline function of a header, so a shim (shim.c) is compiled when it is first needed, with the compiler
and the DPDK of this machine, and kept in the cache under a name that follows from both.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from vnethash.spec.errors import TargetUnavailable, UsageError
from vnethash.targets.base import TargetInfo
from vnethash.targets.exec.client import DEFAULT_TIMEOUT
from vnethash.targets.lib.target import LibTarget, open_lib

_PACKAGE = "libdpdk"
_FLAGS = ("-O2", "-std=gnu11", "-shared", "-fPIC", "-fvisibility=hidden")
_HINT = "apt-get install libdpdk-dev pkg-config gcc"
_SECONDS = 120
_SHOWS = ("report", "value")
_NOTE = "the tuple and the hash type are read off DPDK's packet type by a shim of vnethash: docs/dpdk.md"


def missing() -> str:
    """Return why DPDK cannot be driven here, "" if it can; compiles nothing."""
    for program, what in (("cc", "no C compiler `cc` on PATH"), ("pkg-config", "no pkg-config on PATH")):
        if not shutil.which(program):
            return what
    if _said("pkg-config", "--exists", _PACKAGE) is None:
        return f"no DPDK to compile against: pkg-config does not know {_PACKAGE}"
    return ""


def version() -> str:
    """Return the version of the installed DPDK, "" if there is none."""
    return (_said("pkg-config", "--modversion", _PACKAGE) or "").strip()


def open_dpdk(argument: str = "", *, timeout: float = DEFAULT_TIMEOUT) -> LibTarget:
    """Open the installed DPDK as a target; raises TargetUnavailable with what to install, UsageError."""
    check_argument(argument)
    target = open_lib(str(library()), timeout=timeout, name="dpdk")
    target.notes = (*target.notes, _NOTE)
    return target


def check_argument(argument: str) -> None:
    """Raise UsageError for any argument."""
    if argument:
        raise UsageError(f"dpdk:{argument}: takes no argument; pkg-config says which DPDK it is")


def library() -> Path:
    """Return the path of the compiled shim, compiled now or earlier; raises TargetUnavailable."""
    if reason := missing():
        raise TargetUnavailable(f"dpdk: {reason}", hint=_HINT)
    flags = _flags("--cflags"), _flags("--libs")
    with (
        as_file(files("vnethash.targets.dpdk") / "shim.c") as source,
        as_file(files("vnethash.targets.lib") / "vnethash.h") as header,
    ):
        parts = [source.read_bytes(), header.read_bytes(), version(), _said("cc", "--version"), _FLAGS, flags]
        path = _cache() / f"dpdk-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}.so"
        if not path.is_file():
            command = ["cc", *_FLAGS, *flags[0], f"-I{header.parent}", str(source), *flags[1]]
            _compile(command, path)
    return path


def probe() -> list[TargetInfo]:
    """Return the line of `vnethash targets`; compiles nothing."""
    if reason := missing():
        return [TargetInfo("dpdk", "DPDK's rte_net_get_ptype and rte_softrss", False, f"{reason} ({_HINT})", _SHOWS)]
    what = f"rte_net_get_ptype and rte_softrss of DPDK {version()}"
    return [TargetInfo("dpdk", what, True, shows=_SHOWS, judged=True)]


def _flags(which: str) -> list[str]:
    return (_said("pkg-config", which, _PACKAGE) or "").split()


def _said(*command: str) -> str | None:
    """Return what a program says, None if it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


def _compile(command: list[str], path: Path) -> None:
    """Compile the shim to `path`, whole or not at all; raises TargetUnavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            done = subprocess.run(
                [*command, "-o", str(made)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
            if done.returncode or not made.is_file():
                lines = done.stderr.splitlines() or ["no reason given"]
                why = next((line for line in lines if "error" in line), lines[0])
                raise TargetUnavailable(f"dpdk: the shim does not compile: {why}", hint=_HINT)
            made.replace(path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetUnavailable(
            f"dpdk: the shim could not be compiled: {error}", hint="XDG_CACHE_HOME names another folder for it"
        ) from None


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vnethash"
