"""The library that makes QEMU take sockets for a TAP: where it comes from, and what it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.qemu import shim

if TYPE_CHECKING:
    from pathlib import Path

#: Asks a socket what QEMU asks of a TAP, by the ioctl of the C library, in a process that has the library preloaded.
ASK = """
import ctypes, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def ask(fd, request, data=b""):
    buffer = ctypes.create_string_buffer(data.ljust(40, b"\\0"), 40)
    result = libc.ioctl(fd, ctypes.c_ulong(request), buffer)
    return result, ctypes.get_errno() if result else 0, buffer.raw
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
queue = near.fileno()
print(hex(struct.unpack_from("<H", ask(queue, 0x800454D2)[2], 16)[0]))
print(struct.unpack_from("<i", ask(queue, 0x800454D7)[2])[0])
print(ask(queue, 0x400454D8, struct.pack("<i", 20))[:2], struct.unpack_from("<i", ask(queue, 0x800454D7)[2])[0])
print(ask(queue, 0x800454E0)[:2])
far.send(b"four")
print(ask(queue, 0x541B)[0], struct.unpack_from("<i", ask(queue, 0x541B)[2])[0])
with open(os.devnull) as other:
    print(ask(other.fileno(), 0x800454D2)[:2])
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vnethash"


@pytest.mark.needs_cc
def test_it_is_compiled_once_and_needs_no_compiler_after_that(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shim.open_shim()
    (kept,) = cache.iterdir()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert shim.missing() == ""
    second = shim.open_shim()
    try:
        assert os.pread(first, 1 << 20, 0) == os.pread(second, 1 << 20, 0) == kept.read_bytes()
    finally:
        os.close(first)
        os.close(second)


@pytest.mark.needs_cc
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    library = shim.open_shim()
    assert os.pread(library, 4, 0) == b"\x7fELF"
    os.close(library)


@pytest.mark.usefixtures("cache")
def test_without_a_compiler_it_is_unavailable_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "no C compiler" in shim.missing()
    with pytest.raises(TargetUnavailable, match="no C compiler") as caught:
        shim.open_shim()
    assert "qemu:,tap" in caught.value.hint


def test_a_compiler_that_fails_is_told_in_its_own_words(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho 'fatal error: no headers' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(TargetUnavailable, match="fatal error: no headers"):
        shim.open_shim()
    assert not cache.exists()


@pytest.mark.needs_cc
@pytest.mark.usefixtures("cache")
def test_it_answers_for_sockets_and_passes_everything_else_to_the_kernel() -> None:
    library = shim.open_shim()
    environment = {**os.environ, "LD_PRELOAD": f"/proc/self/fd/{library}"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, pass_fds=(library,), capture_output=True, text=True, check=True
    )
    os.close(library)
    flags, fresh, set_size, steering, readable, other = done.stdout.splitlines()
    assert (flags, fresh, set_size) == ("0x5102", "10", "(0, 0) 20")
    assert steering == "(-1, 22)"  # EINVAL: QEMU steers by itself
    assert readable == "0 4"  # FIONREAD
    assert other == "(-1, 25)"  # ENOTTY
