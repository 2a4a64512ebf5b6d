"""Which QEMU is meant by the argument of a target: the installed one, or a path."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from vnethash.spec.errors import TargetUnavailable

#: The emulator of the machine type `microvm`.
PROGRAM = "qemu-system-x86_64"

_VERSION = re.compile(r"QEMU emulator version ([0-9]+(?:\.[0-9]+)*)")
_SECONDS = 20


class Runner(NamedTuple):
    """How one QEMU is started.

    Attributes:
        command: its beginning, the binary last; an ld.so with its library path may stand before it.
        environment: variables that it needs besides ours.
        version: e.g. "7.2.22".
        arguments: what every start needs after the binary, such as `-L FOLDER`.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    version: str
    arguments: tuple[str, ...] = ()


def find_binary(argument: str = "") -> Runner:
    """Return the QEMU at path `argument`, or the installed one; raises TargetUnavailable where there is none."""
    path = shutil.which(argument or PROGRAM) if os.sep not in argument else str(Path(argument).expanduser())
    if path is None:
        raise TargetUnavailable(
            f"no {argument or PROGRAM} on PATH", hint="install qemu-system-x86, or name a binary: qemu:PATH"
        )
    return Runner((path,), {}, read_version((path,)))


@functools.cache
def read_version(command: tuple[str, ...]) -> str:
    """Return the version that a QEMU states of itself; raises TargetUnavailable for what is none."""
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else f"no answer within {_SECONDS} s"
        raise TargetUnavailable(f"{command[-1]}: cannot be run: {why}", hint="name a QEMU: qemu:PATH") from None
    found = _VERSION.search(done.stdout)
    if not found:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise TargetUnavailable(
            f"{command[-1]}: is no QEMU: {said[0] if said else f'ended with status {done.returncode}'}"
        )
    return found[1]
