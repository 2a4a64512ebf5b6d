"""apt with a state of its own: packages of another suite are downloaded and verified, and nothing is installed.

Its configuration is a file of ours; of the system's own only how to reach a mirror (`Acquire`, with its proxies) is
taken over. No hook of the system runs, and no file of the system is written.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.qemu.versions import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_TOOLS = ("apt-get", "apt-config", "dpkg-deb")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: Names under which the system's sources may know a suite of Debian.
_SUITES = frozenset((
    "buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid",
    "oldoldstable", "oldstable", "stable", "testing", "unstable",
))
#: Without a sign of life, in seconds.
_SECONDS = 30
_INST = re.compile(r"^Inst (\S+) \((\S+) .*\[(\S+)\]\)")
_STATUS = re.compile(r"^dlstatus:[^:]*:([0-9.]+):")
_COMPLAINT = re.compile(r"^(?:E|Err|W):?[0-9]*:? ?")


class Apt:
    """apt on a state of its own, for some suites of one age; the archives are shared with its neighbours."""

    def __init__(self, folder: Path, base: str, suites: Sequence[str]) -> None:
        """Prepare the state; raises TargetUnavailable where apt is not there or knows no mirror of Debian."""
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            raise TargetUnavailable(f"no {missing[0]} here", hint="fetching other versions needs Debian's apt")
        self._base = base
        self._root = folder / base
        self._archives = folder / "archives"
        mirror = find_mirror()
        signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
        try:
            for place in (self._root / "lists" / "partial", self._root / "none", self._archives / "partial"):
                place.mkdir(parents=True, exist_ok=True)
            (self._root / "status").write_text("")
            (self._root / "sources.list").write_text(
                "".join(f"deb {signed}{mirror} {suite} main\n" for suite in suites)
            )
            self._configuration = self._root / "apt.conf"
            self._configuration.write_text(self._settings())
        except OSError as error:
            raise TargetUnavailable(f"{error.filename}: cannot be written: {error.strerror}") from None

    def _settings(self) -> str:
        inherited = [
            line for line in run(["apt-config", "dump"]).splitlines() if re.match(r'Acquire::[^"]* ".+";$', line)
        ]
        root = self._root
        places: dict[str, object] = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": root / "none",
            "Dir::Etc::sourcelist": root / "sources.list",
            "Dir::Etc::sourceparts": root / "none",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": root / "none",
            "Dir::State": root,
            "Dir::State::lists": root / "lists",
            "Dir::State::status": root / "status",
            "Dir::State::extended_states": root / "extended_states",
            "Dir::Cache": root,
            "Dir::Cache::archives": self._archives,
            "Dir::Log": root / "none",
            "Acquire::Languages": "none",
            "Acquire::Retries": 2,
            "Acquire::http::Timeout": _SECONDS,
            "Acquire::https::Timeout": _SECONDS,
            "APT::Install-Recommends": "false",
            "APT::Install-Suggests": "false",
        }
        if os.geteuid() == 0:
            places["APT::Sandbox::User"] = "root"  # the sandbox's user cannot write into a cache in our home
        return "\n".join([*inherited, *(f'{name} "{value}";' for name, value in places.items()), ""])

    def update(self, progress: Callable[[float], None]) -> None:
        """Fetch the package lists; raises TargetUnavailable where not even those of the base are to be had."""
        words = self._apt("update", progress=progress)
        names = [path.name for path in (self._root / "lists").glob("*_Packages*")]
        if not any(f"_dists_{self._base}_main_" in name for name in names):
            raise TargetUnavailable(f"{self._base}: the mirror gives no package lists: {_complaint(words)}")

    def download(self, package: str, suite: str, progress: Callable[[float], None]) -> list[Path]:
        """Download a package of a suite and all that it depends on, and return the archives.

        Raises TargetUnavailable where the suite has no such package or an archive is not to be had.
        """
        asked = ["-t", suite, "install", package] if suite != self._base else ["install", package]
        planned = self._apt("--simulate", *asked)
        names = [
            f"{match[1].partition(':')[0]}_{match[2].replace(':', '%3a')}_{match[3]}.deb"
            for match in map(_INST.match, planned.splitlines()) if match
        ]
        if not any(name.startswith(f"{package}_") for name in names):
            raise TargetUnavailable(f"{suite} has no {package} that could be installed: {_complaint(planned)}")
        words = self._apt("--yes", "--download-only", *asked, progress=progress)
        archives = [self._archives / name for name in names]
        lost = [path.name for path in archives if not path.is_file()]
        if lost:
            raise TargetUnavailable(
                f"{len(lost)} of {len(archives)} packages were not downloaded: {_complaint(words)}",
                hint="what came is kept; try again",
            )
        return archives

    def _apt(self, *arguments: str, progress: Callable[[float], None] | None = None) -> str:
        environment = {"APT_CONFIG": str(self._configuration), "DEBIAN_FRONTEND": "noninteractive"}
        return run(["apt-get", "--quiet", *arguments], environment=environment, progress=progress)


def find_mirror() -> str:
    """Return the address of the mirror from which the system takes Debian; raises TargetUnavailable."""
    # Without release info, so that it answers as well where no lists were fetched yet.
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = run(["apt-get", "indextargets", "--no-release-info", "--format", form, "Created-By: Packages"])
    rows = [line.split() for line in listed.splitlines()]
    found = [row[0] for row in rows if len(row) == 3 and row[1] in _SUITES and row[2] == "main"]
    if not found:
        raise TargetUnavailable(
            "apt's sources name no mirror of Debian", hint="other versions are fetched from other suites of Debian"
        )
    return next((uri for uri in found if uri.rstrip("/").endswith("/debian")), found[0])


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a package into a folder, run nothing of it; raises TargetUnavailable."""
    words = run(["dpkg-deb", "--extract", str(archive), str(folder)])
    if words.strip():
        raise TargetUnavailable(f"{archive.name} cannot be unpacked: {words.strip().splitlines()[-1]}")


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> str:
    """Run a program to its end and return what it said; it ends with us. `progress` hears apt's own."""
    reading, writing = os.pipe() if progress else (-1, -1)
    if progress:
        command = [command[0], "-o", f"APT::Status-Fd={writing}", *command[1:]]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {}), "LC_ALL": "C.UTF-8"},
            pass_fds=(writing,) if progress else (),
            preexec_fn=die_with_parent if sys.platform.startswith("linux") else None,  # noqa: PLW1509 - no threads
        )
    except OSError as error:
        if progress:
            os.close(reading)
            os.close(writing)
        raise TargetUnavailable(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        if progress:
            os.close(writing)
            _follow(reading, progress)
        return process.communicate()[0]
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        with contextlib.suppress(OSError):
            process.stdout.close() if process.stdout else None


def _follow(reading: int, progress: Callable[[float], None]) -> None:
    """Pass on what apt says of its progress, until it ends."""
    with open(reading, errors="replace") as lines:
        for line in lines:
            if match := _STATUS.match(line):
                progress(float(match[1]) / 100)


def _complaint(words: str) -> str:
    """Return the line in which apt says what is wrong."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    for sign in ("E:", "Err:", "W:"):
        if found := next((line for line in lines if line.startswith(sign)), ""):
            return _COMPLAINT.sub("", found)
    return lines[-1] if lines else "apt says nothing"
