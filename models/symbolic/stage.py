"""One kind of frames, one range of lengths, one question: where it is asked, and where its readings differ.

Most of what a solver is asked about readings goes through a stage. It translates the model once for each reading, all
in one graph, and answers by frames that CPython can be run on.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, NamedTuple

from vnethash.models.reference import NEGOTIATED
from vnethash.models.symbolic.scene import ASKED_FROM, HAS_TUNNELS, LENGTH, TUNNELS, TYPES, Scene
from vnethash.models.symbolic.solve import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.models.symbolic.solve import Kind, Model
    from vnethash.models.symbolic.terms import Value
    from vnethash.models.symbolic.translate import Row

#: Merging states nests calls as deep as loops are unrolled.
RECURSION = 20_000

#: The cases into which frames fall, by name: the EtherType, None for a case that is described below.
LINKS: Mapping[str, int | None] = {
    "ipv4": 0x0800, "ipv6": 0x86DD, "customer-tag": 0x8100, "service-tag": 0x88A8, "legacy-tag": 0x9100,
    "pppoe": 0x8864, "mpls": 0x8847, "802.3": None, "other": None,
}


class Found(NamedTuple):
    """A frame and what is enabled; `tunnels` as `reference.enabled_tunnels` returns."""

    frame: bytes
    types: int
    tunnels: int


class Limits(NamedTuple):
    """Which frames and configurations a stage is about; `types` and `tunnels` None for unknown ones."""

    link: str
    least: int
    most: int
    types: int | None = None
    tunnels: int | None = 0


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


class Stage:
    """The model on the frames of `limits` under a context of readings, in which one question varies.

    `walks` as in `Scene`: without them two readings of a question that is asked in a walk cannot be compared. With
    `vary` there is one selection for all readings of the question, which is unknown in it. `hints` are bytes of the
    frame, by offset, where a frame is sought and nothing is proved.
    """

    def __init__(
        self, field: str, context: Mapping[str, int], limits: Limits, *, walks: bool = True,
        turns: Mapping[str, int] | None = None, vary: bool = False, asked_from: Mapping[str, int] = ASKED_FROM,
        hints: Mapping[int, int] | None = None,
    ) -> None:
        sys.setrecursionlimit(max(RECURSION, sys.getrecursionlimit()))
        self.field = field
        self.context = context
        self.vary = vary
        self.limits = limits
        self.known = {**known_bytes(limits.link), **(hints or {})}
        self.scene = Scene(
            most=limits.most, least=limits.least, types=limits.types, tunnels=limits.tunnels, walks=walks,
            known=self.known, turns=turns or {}, asked_from=asked_from,
        )
        #: Whether all frames of this length are there, and all turns that they can ask for.
        self.exact = not turns and not hints
        self.graph = self.scene.graph
        self.case = in_case(self.scene, limits.link)
        self._selections: dict[int, Row] = {}
        self._problem: Problem | None = None
        self.selection(context[field])
        # Where the question is not asked its readings do not matter; the solver would take long to see that. Whether
        # it is asked does not depend on its own reading: that is not known before the first time.
        self.asked = self.graph.both(self.case, self.scene.translator.log.asked.get(field, False))

    def selection(self, number: int) -> Row:
        """Return what is hashed under a reading of the question."""
        if number not in self._selections:
            chosen = {**self.context, self.field: number}
            if self.vary:
                del chosen[self.field]
            self._selections[number] = self.scene.decide(self.scene.readings(chosen))
            self._problem = None
        return self._selections[number]

    def differ(self, first: int, second: int) -> Value:
        """Say where two readings lead to different selections."""
        differ = self.scene.differ(self.selection(first), self.selection(second))
        return self.graph.both(self.graph.both(differ, self.asked), self.within())

    def asked_within(self) -> Value:
        """Say where the question is asked and no loop goes on behind its bound."""
        return self.graph.both(self.asked, self.within())

    def within(self) -> Value:
        """Say that no loop goes on behind its bound, in what was translated so far."""
        return self.graph.negate(self.scene.overrun())

    def overrun(self) -> Value:
        """Say that some loop goes on behind its bound, where the question is asked or not: it may be why it is not."""
        return self.graph.both(self.case, self.scene.overrun())

    def others(self) -> dict[str, Value]:
        """Return where the other questions are asked, under any reading that was translated."""
        asked = self.scene.translator.log.asked
        return {name: condition for name, condition in asked.items() if name != self.field}

    def none_of(self, conditions: Mapping[str, Value]) -> Value:
        """Say that no condition holds."""
        result: Value = True
        for condition in conditions.values():
            result = self.graph.both(result, self.graph.negate(condition))
        return result

    def up_to(self, most: int) -> Value:
        """Say that the frame is no longer than this."""
        return self.graph.less(self.scene.length, most + 1)

    def check(
        self, *conditions: Value, seconds: float, likely: Literal["sat", "unsat"] = "unsat"
    ) -> tuple[Kind, Found | None]:
        """Ask the solvers; return their answer and the frame if it is "sat"."""
        if any(condition is False for condition in conditions):
            return "unsat", None
        if self._problem is None:
            rows = [row.values[:5] for row in self._selections.values()]
            values = [value for row in rows for value in row]
            self._problem = Problem(*values, self.asked, self.scene.overrun(), self.scene.length, *conditions)  # type: ignore[arg-type]
        answer = self._problem.check(*conditions, seconds=seconds, likely=likely)
        return answer.kind, None if answer.model is None else self._found(answer.model)

    def _found(self, model: Model) -> Found:
        """Read a frame; the bytes that are known are written, the solver has not heard of them."""
        size = model.number(LENGTH, self.limits.most)
        frame = bytearray(model.octets(size))
        for place, octet in self.known.items():
            if place < size:
                frame[place] = octet
        tunnels = self.limits.tunnels or 0
        if model.number(HAS_TUNNELS):
            tunnels = model.number(TUNNELS) | NEGOTIATED
        return Found(bytes(frame), model.number(TYPES, self.limits.types or 0), tunnels)
