"""The solver's part of a query, run in a process of its own: `python -m vnethash.models.symbolic.search`.

It reads one task (JSON) from standard input and writes one line (JSON) for each thing it learns, so that what is known
survives when `query.py` ends it. The length grows window by window and, in each, frames are split by what EtherType
they have: short frames with a known beginning leave little for the solver to do.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import z3
from vnethash.models.reference import NEGOTIATED
from vnethash.models.symbolic.stage import LINKS, RECURSION, Found, Limits, Stage
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vnethash.models.symbolic.solve import Kind

__all__ = ["LINKS", "NEGOTIATED", "RECURSION", "Task", "search"]

#: Bytes that lengths grow by, and where the first window ends: an IPv6 header, then one extension header a window.
_WINDOW = 8
_FIRST = 38


class Task(NamedTuple):
    """What `distinguish` asks: readings as (field, number); see `Scene` for lengths, types, tunnels and turns."""

    field: str
    first: int
    second: int
    context: tuple[tuple[str, int], ...]
    links: tuple[str, ...]
    least: int
    most: int
    types: int | None
    tunnels: int | None
    turns: tuple[tuple[str, int], ...]
    seconds: float
    megabytes: int

    def stage(self, link: str, least: int, most: int) -> Stage:
        """Return one case and one range of lengths."""
        context = {**dict.fromkeys(Readings._fields, 0), **dict(self.context), self.field: self.first}
        limits = Limits(link, least, most, self.types, self.tunnels)
        return Stage(self.field, context, limits, turns=dict(self.turns))


def search(task: Task, tell: Callable[[dict[str, Any]], None]) -> None:
    """Look for the shortest frame; tell each frame that is found, each length below which there is none, the end."""
    deadline = time.monotonic() + task.seconds
    exact = True
    for low, high in _windows(task.least, task.most):
        top = high
        found: Found | None = None
        case = ""
        for link in task.links:
            answer, better, proved = _shortest(task, link, low, top, deadline)
            exact = exact and proved
            if better is not None:
                found, case = better, link
                tell(_line(found))
                top = len(found.frame) - 1
            if answer == "unknown":
                tell({"end": "unknown", "reason": f"no solver had an answer for {link} frames of up to {top} bytes"})
                return
            if top < low:
                break
        if found is not None:
            tell({"below": len(found.frame), "exact": exact})
            _tell_alone(task, case, len(found.frame), deadline, tell)
            tell({"end": "sat"})
            return
        tell({"below": top + 1, "exact": exact})
    tell({"end": "unsat"})


def _windows(least: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of lengths that cover those from `least` to `most`."""
    top = max(_FIRST, least + (_FIRST - least) % _WINDOW)
    while least <= most:
        yield least, min(top, most)
        least, top = top + 1, top + _WINDOW


def _tell_alone(task: Task, link: str, size: int, deadline: float, tell: Callable[[dict[str, Any]], None]) -> None:
    """Tell a frame of the same size that raises no other question, if one is found soon: it shows the point best."""
    stage = task.stage(link, size, size)
    differ = stage.differ(task.first, task.second)
    alone = stage.none_of(stage.others())
    _, found = stage.check(differ, alone, seconds=min(3.0, deadline - time.monotonic()), likely="sat")
    if found is not None:
        tell(_line(found))


def _line(found: Found) -> dict[str, Any]:
    return {"found": found.frame.hex(), "types": found.types, "tunnels": found.tunnels}


def _shortest(task: Task, link: str, low: int, top: int, deadline: float) -> tuple[Kind, Found | None, bool]:
    """Return the last answer, the shortest frame, and whether loops were unrolled far enough for `unsat` to hold."""
    best: Found | None = None
    while low <= top:
        stage = task.stage(link, low, top)
        differ = stage.differ(task.first, task.second)
        answer, found = stage.check(differ, seconds=deadline - time.monotonic(), likely="sat")
        if found is None:
            exact = True
            if answer == "unsat":
                exact = stage.check(stage.overrun(), seconds=deadline - time.monotonic())[0] == "unsat"
            return answer, best, exact
        best = found
        top = len(found.frame) - 1
    return "unsat", best, True


def main() -> None:
    """Run the task on standard input, within its memory."""
    sys.setrecursionlimit(RECURSION)
    values = json.load(sys.stdin)
    for name in ("context", "turns"):
        values[name] = tuple((key, number) for key, number in values[name])
    task = Task(**{**values, "links": tuple(values["links"])})
    room = task.megabytes << 20
    resource.setrlimit(resource.RLIMIT_AS, (room, room))

    def tell(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    try:
        search(task, tell)
    except MemoryError:
        tell({"end": "unknown", "reason": f"more than {task.megabytes} MB"})
    except z3.Z3Exception as error:
        tell({"end": "unknown", "reason": f"z3: {error}"})
    except VnethashError as error:
        tell({"end": "fault", "reason": error.line()})


if __name__ == "__main__":
    main()
