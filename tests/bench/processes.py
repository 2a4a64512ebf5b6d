"""Processor time of this process and all that it started, as far as they run still or were waited for."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path


def processor_seconds() -> float:
    """Return the seconds of this process, of its children that ended, and of all that run below it."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(seconds_of, descendants(os.getpid())))


def seconds_of(process: int) -> float:
    """Return the seconds of another process, all of its threads; 0 for one that is gone."""
    total = 0
    for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
        try:
            total += int(task.read_text("ascii").split()[0])
        except (OSError, IndexError):
            continue
    return total / 1e9


def descendants(process: int) -> list[int]:
    """Return the processes below one."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text("ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found
