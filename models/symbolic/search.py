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
from vnethash.models.symbolic.encode import Encoder
from vnethash.models.symbolic.scene import HAS_TUNNELS, LENGTH, TUNNELS, TYPES, Scene
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vnethash.models.symbolic.terms import Value

#: Bytes that lengths grow by, and where the first window ends: an IPv6 header, then one extension header a window.
_WINDOW = 8
_FIRST = 38
#: Merging states nests calls as deep as loops are unrolled.
RECURSION = 20_000

#: The cases into which frames fall, by name: the EtherType, None for a case that is described below.
LINKS: Mapping[str, int | None] = {
    "ipv4": 0x0800, "ipv6": 0x86DD, "customer-tag": 0x8100, "service-tag": 0x88A8, "legacy-tag": 0x9100,
    "pppoe": 0x8864, "mpls": 0x8847, "802.3": None, "other": None,
}


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


class Found(NamedTuple):
    """A frame and what is enabled."""

    frame: bytes
    types: int
    tunnels: int


def known_bytes(link: str) -> dict[int, int]:
    """Return the bytes of the frame that a case settles."""
    ethertype = LINKS[link]
    return {} if ethertype is None else {12: ethertype >> 8, 13: ethertype & 255}


def in_case(scene: Scene, link: str) -> Value:
    """Say whether a frame belongs to a case that bytes do not settle."""
    graph = scene.graph
    short = graph.less(graph.byte(12), 6)
    if link == "802.3":
        return short
    if link != "other":
        return True
    result = graph.negate(short)
    for ethertype in LINKS.values():
        if ethertype is not None:
            word = graph.add(graph.left(graph.byte(12), 8), graph.byte(13))
            result = graph.both(result, graph.negate(graph.equal(word, ethertype)))
    return result


class _Window:
    """One case and one range of lengths: is there a frame under which the readings differ?"""

    def __init__(self, task: Task, link: str, least: int, most: int) -> None:
        scene = Scene(
            most=most, least=least, types=task.types, tunnels=task.tunnels, turns=dict(task.turns),
            known=known_bytes(link),
        )
        context = {**dict.fromkeys(Readings._fields, 0), **dict(task.context)}
        graph = scene.graph
        first = scene.decide(scene.readings({**context, task.field: task.first}))
        # Where the question is not asked its readings do not matter; the solver would take long to see that.
        asked = graph.both(in_case(scene, link), scene.translator.log.asked.get(task.field, False))
        second = scene.decide(scene.readings({**context, task.field: task.second}))
        self.most = most
        self.task = task
        overrun = scene.overrun()
        self.differ = graph.both(graph.both(scene.differ(first, second), asked), graph.negate(overrun))
        # Not only where the question is asked: a loop that is cut off may be the one that would have asked it.
        self.overrun = graph.both(in_case(scene, link), overrun)
        self.alone: Value = True
        for field, condition in scene.translator.log.asked.items():
            if field != task.field:
                self.alone = graph.both(self.alone, graph.negate(condition))
        self.encoder = Encoder((self.differ, self.overrun, self.alone, scene.length))

    def check(self, seconds: float, *conditions: Value) -> tuple[Any, Found | None]:
        """Return z3's answer, and the frame if it is `sat`."""
        if False in conditions:
            return z3.unsat, None
        solver = z3.SolverFor("QF_ABV")
        solver.set("timeout", max(1, int(seconds * 1000)))
        solver.add(self.encoder.bounds)
        for condition in conditions:
            solver.add(self.encoder.expression(condition))
        answer = solver.check()
        return answer, self._found(solver.model()) if answer == z3.sat else None

    def _found(self, model: Any) -> Found:
        def number(name: str, otherwise: int) -> int:
            unknown = self.encoder.variables.get(name)
            return otherwise if unknown is None else int(model.eval(unknown, model_completion=True).as_long())

        size = number(LENGTH, self.most)
        octets = [model.eval(self.encoder.byte(place), model_completion=True).as_long() for place in range(size)]
        tunnels = self.task.tunnels or 0
        has = self.encoder.variables.get(HAS_TUNNELS)
        if has is not None and z3.is_true(model.eval(has, model_completion=True)):
            tunnels = number(TUNNELS, 0) | NEGOTIATED
        return Found(bytes(octets), number(TYPES, self.task.types or 0), tunnels)


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
                tell(_line(found, link))
                top = len(found.frame) - 1
            if answer == z3.unknown:
                tell({"end": "unknown", "reason": f"z3 gave no answer for {link} frames of up to {top} bytes"})
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
    window = _Window(task, link, size, size)
    _, found = window.check(min(3.0, deadline - time.monotonic()), window.differ, window.alone)
    if found is not None:
        tell(_line(found, link))


def _line(found: Found, link: str) -> dict[str, Any]:
    """Return what is told of a frame; the bytes that the case settles are written, the solver has not heard of them."""
    frame = bytearray(found.frame)
    for place, octet in known_bytes(link).items():
        if place < len(frame):
            frame[place] = octet
    return {"found": frame.hex(), "types": found.types, "tunnels": found.tunnels}


def _shortest(task: Task, link: str, low: int, top: int, deadline: float) -> tuple[Any, Found | None, bool]:
    """Return the last answer, the shortest frame, and whether loops were unrolled far enough for `unsat` to hold."""
    best: Found | None = None
    exact = True
    while low <= top:
        window = _Window(task, link, low, top)
        answer, found = window.check(deadline - time.monotonic(), window.differ)
        if found is None:
            if answer == z3.unsat:
                turns, _ = window.check(deadline - time.monotonic(), window.overrun)
                exact = exact and turns == z3.unsat
            return answer, best, exact
        best = found
        top = len(found.frame) - 1
    return z3.unsat, best, exact


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
