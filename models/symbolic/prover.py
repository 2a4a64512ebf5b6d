"""Runs what is to be proved: each task in a process of its own, some at once, each ended when its time has passed.

    for task, verdict in prove(all_tasks(), jobs=2):
        ...

A child is `python -m vnethash.models.symbolic.prover GROUP NAME SECONDS`; it writes one JSON object, the verdict.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import resource
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vnethash.models.symbolic.obligations import Counterexample, Task, Verdict
from vnethash.spec.errors import UsageError, VnethashError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import ModuleType

#: Group -> (module, what it proves), in the order of a report.
GROUPS = {
    "walks": ("walks", "reads stay inside the frame, loops end, a report is one of an enabled type"),
    "completeness": ("dependence", "nothing else is open: the outcome follows from the answers to the questions asked"),
    "closed forms": ("laws", "plain packets are hashed as the text says, under all readings"),
    "questions": ("pairs", "the readings of each question differ, and the smallest frame that shows it"),
    "interactions": ("interactions", "which questions bear on each other"),
}
#: Megabytes that one child may take.
MEMORY = 4096
#: Merging states nests calls as deep as loops are unrolled.
RECURSION = 20_000
#: Seconds more than a task's own limit until its process is ended.
_GRACE = 15.0

# The child asks the kernel (prctl 1, PR_SET_PDEATHSIG) to be killed (9) when its parent ends.
_CHILD = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.getppid() == int(sys.argv[1]) or sys.exit();"
    "from vnethash.models.symbolic.prover import main; main(sys.argv[2:])"
)


def group_module(group: str) -> ModuleType:
    """Return the module of a group."""
    return importlib.import_module(f"vnethash.models.symbolic.{GROUPS[group][0]}")


def all_tasks(only: Sequence[str] = ()) -> list[Task]:
    """Return all tasks, or those that `only` names as "group" or "group/name"; raises UsageError for unknown ones."""
    found: list[Task] = []
    for group in GROUPS:
        if not only or any(name.partition("/")[0] == group for name in only):
            found += group_module(group).tasks()
    if not only:
        return found
    chosen = []
    for name in only:
        group, _, part = name.partition("/")
        if group not in GROUPS:
            raise UsageError(f"no group of proofs {group!r}", hint=f"there are {', '.join(GROUPS)}")
        matching = [task for task in found if task.group == group and part in {"", task.name}]
        if not matching:
            names = ", ".join(task.name for task in found if task.group == group)
            raise UsageError(f"no proof {part!r} in {group!r}", hint=f"there are {names}")
        chosen += [task for task in matching if task not in chosen]
    return chosen


def prove(
    tasks: Sequence[Task], jobs: int, seconds: float | None = None
) -> Generator[tuple[Task, Verdict], None, None]:
    """Prove tasks, `jobs` at once, and yield each verdict as it comes; `seconds` is a limit for each, if given.

    Whoever stops listening (Ctrl-C, `close`) ends the children. An error of the tool, such as a model outside the
    subset, is raised.
    """
    waiting = sorted(tasks, key=lambda task: -task.cost)
    done: queue.Queue[tuple[Task, Verdict | VnethashError]] = queue.Queue()
    running: set[subprocess.Popen[str]] = set()
    lock = threading.Lock()
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                if not waiting:
                    return
                task = waiting.pop(0)
            done.put((task, _one(task, seconds or task.seconds, running, lock)))

    # The kernel ends children with the thread that began them (PR_SET_PDEATHSIG), so threads outlive their children.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, jobs))]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            task, verdict = _next(done)
            if isinstance(verdict, VnethashError):
                raise verdict
            yield task, verdict
    finally:
        stopped.set()
        with lock:
            for child in running:
                child.kill()
        for thread in threads:
            thread.join(timeout=5)


def _next(done: queue.Queue[tuple[Task, Verdict | VnethashError]]) -> tuple[Task, Verdict | VnethashError]:
    while True:
        try:
            return done.get(timeout=0.2)  # a wait without end would not hear Ctrl-C
        except queue.Empty:
            continue


def _one(
    task: Task, seconds: float, running: set[subprocess.Popen[str]], lock: threading.Lock
) -> Verdict | VnethashError:
    started = time.monotonic()
    command = [sys.executable, "-c", _CHILD, str(os.getpid()), task.group, task.name, str(seconds)]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with lock:
        running.add(child)
    try:
        told, errors = child.communicate(timeout=seconds + _GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return Verdict("open", f"no answer within {seconds:g} s", seconds=time.monotonic() - started)
    finally:
        with lock:
            running.discard(child)
    spent = time.monotonic() - started
    if child.returncode != 0 or not told.strip():
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        return VnethashError(f"the proof {task.group}/{task.name} ended with {child.returncode}: {last}")
    line = json.loads(told.splitlines()[-1])
    if "fault" in line:
        return VnethashError(line["fault"], hint=line["hint"])
    return verdict_from(line, spent)


def verdict_from(line: dict[str, Any], seconds: float) -> Verdict:
    """Return a verdict from what a child wrote."""
    shown = line.pop("counterexample")
    counterexample = Counterexample(**shown) if shown else None
    return Verdict(**{**line, "counterexample": counterexample, "seconds": round(seconds, 2)})


def main(arguments: list[str]) -> None:
    """Prove one task and write its verdict."""
    sys.setrecursionlimit(RECURSION)
    threading.stack_size(512 << 20)
    group, name, seconds = arguments
    room = MEMORY << 20
    resource.setrlimit(resource.RLIMIT_AS, (room, room))

    def run() -> None:
        try:
            module = group_module(group)
            (task,) = [task for task in module.tasks() if task.name == name]
            limited = Task(**{**asdict(task), "seconds": float(seconds)})
            answer: dict[str, Any] = asdict(module.run(limited))
        except MemoryError:
            answer = asdict(Verdict("open", f"more than {MEMORY} MB"))
        except VnethashError as error:
            answer = {"fault": error.message, "hint": error.hint}
        print(json.dumps(answer), flush=True)

    # Deep terms are walked by deep calls; the main thread's stack is not ours to size.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
