"""The library that makes QEMU take sockets for TAP queues (shim.c): compiled once, given to QEMU as an open file.

It is loaded from a memfd, because a path could hold what LD_PRELOAD takes for a separator, and because a machine whose
cache cannot be written can do without.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

from vnethash.spec.errors import TargetUnavailable

_SOURCE = Path(__file__).with_name("shim.c")
_FLAGS = ("-shared", "-fPIC", "-O2", "-nostdlib", "-fno-stack-protector", "-pipe")
_SECONDS = 60
_HINT = "install gcc or clang; as root, qemu:,tap needs none"


def missing() -> str:
    """Return why the library cannot be had here, "" if it can."""
    if shutil.which("cc") or _cached().is_file():
        return ""
    return "no C compiler `cc` on PATH, with which the library shim.c is compiled"


def open_shim() -> int:
    """Return a descriptor of the library, compiled now or earlier; raises TargetUnavailable where there is no cc."""
    cached = _cached()
    with contextlib.suppress(OSError):
        return _memory(cached.read_bytes())
    if not shutil.which("cc"):
        raise TargetUnavailable(missing(), hint=_HINT)
    library = os.memfd_create("vnethash-shim", os.MFD_CLOEXEC)
    try:
        done = subprocess.run(
            ["cc", *_FLAGS, "-o", f"/proc/self/fd/{library}", str(_SOURCE)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            pass_fds=(library,),
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        os.close(library)
        raise TargetUnavailable(f"shim.c could not be compiled: {error}", hint=_HINT) from None
    data = os.pread(library, os.fstat(library).st_size, 0)
    if done.returncode or not data.startswith(b"\x7fELF"):
        os.close(library)
        words = (done.stderr.strip() or f"cc ended with status {done.returncode}").splitlines()
        raise TargetUnavailable(f"shim.c could not be compiled: {words[-1]}", hint=_HINT)
    with contextlib.suppress(OSError):
        _keep(cached, data)
    return library


def _memory(data: bytes) -> int:
    descriptor = os.memfd_create("vnethash-shim", os.MFD_CLOEXEC)
    os.write(descriptor, data)
    return descriptor


def _cached() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    folder = Path(root) if root else Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111 - home() raises
    return folder / "vnethash" / f"shim-{platform.machine()}-{digest}.so"


def _keep(path: Path, data: bytes) -> None:
    """Put the library into the cache, whole or not at all, whatever becomes of us meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o644)
    folder = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.write(descriptor, data)
        os.link(str(descriptor), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(descriptor)
        os.close(folder)
