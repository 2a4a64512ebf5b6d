"""Child processes that die with us: started, watched, ended by their own id."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1


def spawn(
    argv: Sequence[str], *, pass_fds: Sequence[int] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a child that dies with this process, with three pipes, in a session of its own; raises OSError.

    `environment` replaces ours; the descriptors `pass_fds` keep their numbers. Linux ties a child's death to the
    *thread* that started it, so anything but the main thread leaves it to one that stays.
    """
    if threading.current_thread() is threading.main_thread():
        return _popen(tuple(argv), tuple(pass_fds), environment)
    return _spawner(os.getpid()).submit(_popen, tuple(argv), tuple(pass_fds), environment).result()


def how_ended(pid: int) -> str:
    """Return how a child ended, "" if it runs; it stays a zombie, so that its id stays ours."""
    try:
        info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return "ended"
    if info is None:
        return ""
    if info.si_code == os.CLD_EXITED:
        return f"ended with status {info.si_status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(info.si_status).name}"
    return f"was killed by signal {info.si_status}"


def end_group(popen: subprocess.Popen[bytes]) -> None:
    """Kill the process group while its leader is not yet reaped, then reap it."""
    if popen.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
    for stream in (popen.stdin, popen.stdout, popen.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    if popen.returncode is None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # e.g. in uninterruptible sleep: not ours to wait for
            popen.wait(5)


@functools.lru_cache(maxsize=1)
def _spawner(_pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="vnethash-spawn")


def _popen(
    argv: tuple[str, ...], pass_fds: tuple[int, ...], environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        env=environment,
        pass_fds=pass_fds,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_die_with_parent(),  # noqa: PLW1509 - prctl alone, bound beforehand
    )


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def set_death_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)

    return set_death_signal
