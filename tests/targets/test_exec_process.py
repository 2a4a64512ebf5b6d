"""The life and the end of an adapter's process."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_exec_client import FRAME, command, configured, opened
from vnethash.spec.errors import TargetError
from vnethash.spec.outcome import Observation
from vnethash.targets.exec.client import Limits


def is_there(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while is_there(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_there(pid)


def test_no_process_is_left():
    target = configured("speak")
    pid = target.pid
    assert is_there(pid)
    target.close()
    target.close()
    assert gone(pid)


def test_a_closed_target_cannot_be_used():
    target = configured("speak")
    target.close()
    with pytest.raises(TargetError, match="closed already"):
        target.run([FRAME])


def test_what_the_adapter_started_ends_too():
    target = opened("parent")
    child = int(target.implementation.version)
    assert is_there(child)
    target.close()
    assert gone(child)


def test_on_stop_is_killed():
    target = opened("wrong", "ignores-stop", limits=Limits(start=20, stop=0.2))
    pid = target.pid
    target.close()
    assert gone(pid)


def test_a_forgotten_target_ends():
    target = opened("speak")
    pid = target.pid
    del target
    gc.collect()
    assert gone(pid)


def test_the_adapter_dies_with_us(tmp_path):
    ours = tmp_path / "ours.py"
    ours.write_text(
        "import sys, time\nfrom vnethash.targets.exec.client import open_exec\n"
        f"target = open_exec({command('wrong', 'ignores-stop')!r})\n"
        "print(target.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, str(ours)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # so that it cannot notice that its input has ended
        assert is_there(pid)
        process.kill()
        assert gone(pid)


def test_an_adapter_outlives_the_thread_that_opened_it():
    targets = []
    thread = threading.Thread(target=lambda: targets.append(configured("speak")))
    thread.start()
    thread.join()
    with targets[0] as target:
        pid = target.pid
        time.sleep(0.1)
        assert target.run([FRAME]) == [Observation(None, 3, 7)]
        assert target.pid == pid
        assert target.notes == ()


def test_an_interrupted_run_does_not_spoil_the_next(monkeypatch):
    with configured("speak") as target:

        def interrupt(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("vnethash.targets.exec.messages.to_results", interrupt)
            with pytest.raises(KeyboardInterrupt):
                target.run([FRAME] * 1000)
        assert target.run([b"\x09"]) == [Observation(None, 1, 9)]
