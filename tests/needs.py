"""What tests need of the machine: a probe for each, which says why it is missing.

    @pytest.mark.needs_clang                a test that needs it (tests/conftest.py skips or fails it)
    require("clang")                        the same from inside a fixture or a test

`python tests/needs.py` lists them all; `python tests/needs.py steering` also fetches what may be fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _kernel() -> str:
    from vnethash.targets.ebpf.bpf import permitted

    return permitted() or ""


def _tun() -> str:
    from vnethash.targets.tun.tap import permitted

    return permitted()


def _qemu() -> str:
    return _program("qemu-system-x86_64")


def _steering(*, fetch: bool = False) -> str:
    from vnethash.spec.errors import VnethashError
    from vnethash.targets.ebpf.qemu import find

    try:
        find(fetch=fetch)
    except VnethashError as error:
        return error.line()
    return ""


def _apt() -> str:
    return next(filter(None, map(_program, ("apt-get", "apt-config", "dpkg-deb", "gpg", "gpgv"))), "")


def _qemus() -> str:
    from vnethash.targets.qemu.versions import available, fits

    here = [one.version for one in available()]
    missing = [wanted for wanted in ("5.2", "8.2", "10.0", "11.1") if not any(fits(one, wanted) for one in here)]
    return f"no QEMU {', '.join(missing)}: `make qemus` fetches them" if missing else ""


def _tap() -> str:
    from vnethash.targets.qemu.tap import missing

    return missing()


def _userns() -> str:
    script = (
        "import ctypes, os, sys; libc, own = ctypes.CDLL(None), os.geteuid(); sys.exit(bool(libc.unshare(1 << 28)) or "
        "open('/proc/self/setgroups', 'w').write('deny') + open('/proc/self/uid_map', 'w').write(f'0 {own} 1') < 2 or "
        "open('/proc/sys/user/max_net_namespaces', 'w').write('1') < 1 or os.close(os.open('/dev/net/tun', 2)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    return "no user namespace, or no /dev/net/tun in it" if done.returncode else ""


def _sanitizers() -> str:
    if reason := _program("cc"):
        return reason
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "empty.c"
        source.write_text("int main(void) { return 0; }\n")
        command = ["cc", "-fsanitize=address,undefined", "-o", Path(folder) / "empty", source]
        done = subprocess.run(command, check=False, capture_output=True)
    return "cc has no address and undefined sanitizers" if done.returncode else ""


def _dpdk() -> str:
    from vnethash.targets.dpdk.target import missing

    return missing()


def _mounts() -> str:
    if reason := _program("unshare"):
        return reason
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=4k", "none", "/mnt"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return "a small file system cannot be mounted in a namespace of its own" if done.returncode else ""


def _program(*names: str) -> str:
    return "" if any(shutil.which(name) for name in names) else f"no {names[0]} on PATH"


#: Name -> what it is, and the probe: "" or why it is missing.
NEEDS: dict[str, tuple[str, Callable[[], str]]] = {
    "kernel": ("bpf(2) in the kernel", _kernel),
    "tap": ("a TAP in a network namespace: root, /dev/net/tun", _tap),
    "userns": ("a user namespace with a limit of network namespaces, and /dev/net/tun", _userns),
    "tun": ("a TAP with a steering program: root, bpf(2), /dev/net/tun", _tun),
    "qemu": ("an installed qemu-system-x86_64", _qemu),
    "steering": ("QEMU's steering program, out of an installed QEMU or the wheel", _steering),
    "qemus": ("QEMU 5.2, 8.2, 10.0 and 11.1, as `make qemus` fetches them", _qemus),
    "apt": ("apt, dpkg-deb and gpg", _apt),
    "clang": ("clang, for its eBPF back end", lambda: _program("clang")),
    "tshark": ("tshark", lambda: _program("tshark")),
    "chromium": ("a headless Chromium", lambda: _program("chromium", "chromium-browser", "google-chrome")),
    "cc": ("a C compiler", lambda: _program("cc")),
    "mounts": ("a mount namespace with a small file system in it: root", _mounts),
    "dpdk": ("DPDK to compile against", _dpdk),
    "sanitizers": ("a C compiler with sanitizers", _sanitizers),
}


@cache
def why_missing(name: str) -> str:
    """Return why `name` is missing here, "" if it is not."""
    return NEEDS[name][1]()


def required() -> frozenset[str]:
    """Return what no test may be skipped for: VNETHASH_REQUIRE, as .ci/run sets it."""
    names = frozenset(os.environ.get("VNETHASH_REQUIRE", "").split())
    if unknown := names - NEEDS.keys():
        raise ValueError(f"VNETHASH_REQUIRE: no test can need {' '.join(sorted(unknown))}")
    return names


def require(*names: str) -> None:
    """Skip the test if one of them is missing; fail it if VNETHASH_REQUIRE has that one."""
    import pytest

    missing = {name: reason for name in names if (reason := why_missing(name))}
    for name, reason in missing.items():
        if name in required():
            pytest.fail(f"needs {name}, which VNETHASH_REQUIRE demands: {reason}", pytrace=False)
    for name, reason in missing.items():
        pytest.skip(f"needs {name}: {reason}")


def main(arguments: list[str]) -> None:
    """List what is here, or fetch QEMU's steering program."""
    if arguments == ["steering"]:
        if reason := _steering(fetch=True):
            sys.stdout.write(f"tests: the tests of QEMU's steering program are skipped: {reason}\n")
        return
    for name, (what, _) in NEEDS.items():
        reason = why_missing(name)
        sys.stdout.write(f"{name:10} {what}: {reason or 'here'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
