"""Whatever becomes of us, no QEMU, TAP, file or namespace is left; and none of it needs a privilege."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import needs
import pytest
from ebpf_support import MICROSOFT, frame_between

NEED = {"sockets": "cc", "tap": "tap"}
FRAME = frame_between(*MICROSOFT[0][:4])

#: Opens targets, runs frames, restarts and closes for ever; says when it has begun with each.
RESTLESS = f"""
import sys
from vnethash.spec.configuration import Configuration
from vnethash.targets.qemu.target import open_qemu
print("begun", flush=True)
while True:
    target = open_qemu(sys.argv[1])
    target.configure(Configuration())
    target.run([bytes.fromhex("{FRAME.hex()}") + bytes([number]) for number in range(200)])
    target.device.restart()
    print("restarted", flush=True)
    target.close()
"""

#: Drives the device as user nobody, who may do nothing.
NOBODY = f"""
import ctypes, os, pathlib, sys
from vnethash.spec.configuration import Configuration
from vnethash.targets.qemu import shim
from vnethash.targets.qemu.target import open_qemu
from vnethash.targets import children, fitting
import concurrent.futures.thread
shim._SOURCE = pathlib.Path(sys.argv[1])
libc = ctypes.CDLL(None)
if os.geteuid() == 0:  # else we are nobody already
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as after an exec
    assert "CapEff:\\t0000000000000000" in pathlib.Path("/proc/self/status").read_text()
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
target = open_qemu(",sockets")
target.configure(Configuration())
print(target.run([bytes.fromhex("{FRAME.hex()}")]))
target.close()
"""


#: Kills runs on a TAP where there can be but one network namespace: none can begin before that of the last is freed.
ONE_NAMESPACE = """
import ctypes, os, pathlib, random, subprocess, sys, time
folder, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
libc, own = ctypes.CDLL(None), (os.geteuid(), os.getegid())
assert libc.unshare(0x10000000) == 0  # CLONE_NEWUSER
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {own[0]} 1"), ("gid_map", f"0 {own[1]} 1")):
    pathlib.Path("/proc/self", name).write_text(text)
pathlib.Path("/proc/sys/user/max_net_namespaces").write_text("1")
from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.tun.tap import Tap

def free():
    try:
        Tap(queues=1).close()
    except TargetUnavailable as error:
        assert "ENOSPC" in error.message, error.message
        return False
    return True

def within(seconds, what):
    end = time.monotonic() + seconds
    while not (there := what()) and time.monotonic() < end:
        time.sleep(0.01)
    return there

words = [sys.executable, "-c", "from vnethash.cli.main import main; main()", "check", "--quiet"]
begin = [*words, "qemu:,tap", "--suite", "quick", "--clause", "V4-1", "--output", str(folder)]
chance, journal = random.Random(seed), folder / "answers.jsonl"
answered = lambda: journal.exists() and journal.read_bytes().count(b'"line":"answer"')
for moment in ("while it begins", "while it asks"):
    with subprocess.Popen(begin, stdout=subprocess.DEVNULL) as run:
        if moment == "while it begins":
            assert within(60, journal.exists)
            time.sleep(chance.uniform(0, 0.3))
        else:
            assert within(60, answered) and run.poll() is None and not free()
        run.kill()
    print(moment, run.returncode, within(20, free))
    begin = [*words, "--resume", str(folder)]
print(subprocess.run(begin, stdout=subprocess.DEVNULL).returncode, within(20, free))
"""


def marked(mark: str) -> list[str]:
    """Return the command lines of all processes that have inherited the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                state = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        else:
            if mark.encode() in (folder / "environ").read_bytes() and state != "Z":
                found.append(words.decode("utf-8", "replace"))
    return found


def traces() -> set[str]:
    """Return what we could have left on this machine beside processes; semaphores are those of parallel tests."""
    folders = [folder for name in ("/dev/shm", "/run/netns", "/sys/class/net") if (folder := Path(name)).is_dir()]
    names = {str(path) for folder in folders for path in folder.iterdir()}
    return {name for name in names if not name.startswith(("/dev/shm/sem.", "/dev/shm/psm_"))}


@pytest.mark.needs_qemu
@pytest.mark.parametrize("backend", NEED)
def test_killed_at_any_moment_we_leave_nothing_behind(backend: str, tmp_path: Path) -> None:
    needs.require(NEED[backend])
    chance = random.Random(20260301)
    before = traces()
    seen_running = 0
    for number in range(6):
        mark = f"VNETHASH_TEST_{uuid.uuid4().hex}"
        cache = tmp_path / str(number // 3)  # with a cache that is empty at first, so that the library is compiled
        environment = {**os.environ, mark: "1", "XDG_CACHE_HOME": str(cache), "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-c", RESTLESS, f",{backend}"]
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child, child.stdout:
            assert child.stdout.readline() == "begun\n"
            time.sleep(chance.uniform(0, 0.8))
            seen_running += any("virtio-net-device" in command for command in marked(mark))
            child.kill()
        end = time.monotonic() + 20
        while (left := marked(mark)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left
        for path in (path for path in cache.rglob("*") if path.is_file()):
            assert path.name.startswith("shim-")
            assert path.read_bytes().startswith(b"\x7fELF")
    assert seen_running > 1
    assert traces() <= before
    assert {path.name for path in tmp_path.iterdir()} <= {"0", "1"}


@pytest.mark.needs_qemu
@pytest.mark.needs_userns
def test_a_killed_run_frees_its_tap_and_its_network_namespace_and_the_next_goes_on(tmp_path: Path) -> None:
    mark = f"VNETHASH_TEST_{uuid.uuid4().hex}"
    command = [sys.executable, "-c", ONE_NAMESPACE, str(tmp_path), "20260501"]
    done = subprocess.run(command, env={**os.environ, mark: "1"}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "while it begins -9 True\nwhile it asks -9 True\n1 True\n"
    assert not marked(mark)


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_closing_ends_qemu_and_gives_back_every_file() -> None:
    from vnethash.targets.qemu.target import open_qemu

    mine = Path("/proc/self/fd")
    open_qemu(",queues=3").close()
    before = len(list(mine.iterdir()))
    target = open_qemu(",queues=3")
    pid = target.device.pid
    assert Path(f"/proc/{pid}").exists()
    target.close()
    target.close()
    assert not Path(f"/proc/{pid}").exists()
    assert len(list(mine.iterdir())) == before


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_no_privilege_is_needed() -> None:
    from vnethash.targets.qemu import shim

    environment = {**os.environ, "HOME": "/nonexistent"}
    environment.pop("XDG_CACHE_HOME", None)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        source = Path(folder, "shim.c")
        source.write_bytes(shim._SOURCE.read_bytes())
        command = [sys.executable, "-c", NOBODY, source]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.stderr == ""
    assert done.stdout == "[Observation(report=2, value=1372373368, queue=120)]\n"
