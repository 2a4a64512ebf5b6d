"""The shortest frames that tell the readings of a question apart, for all pairs of them at once.

Lengths grow window by window. In each, the first thing to know is whether the question is asked at all: where it is
not, no pair differs, so one proof serves all. Only then two readings are compared. The walks through options are left
out of it as long as that goes well (`Scene.walks`): what is proved without them holds for any number of options, and a
frame that is found without them counts if CPython says so.
"""

from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.symbolic.options_walk import MATTERS_FROM
from vnethash.models.symbolic.query import ReplayError, Witness, configuration_of, differs, plainest, questions_raised
from vnethash.models.symbolic.scene import ASKED_FROM, WALK_QUESTIONS
from vnethash.models.symbolic.stage import Found, Limits, Stage
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vnethash.models.symbolic.terms import Value
    from vnethash.spec.questions import Question

#: Where the windows of lengths end: a cut IPv4 header, one with ports, an IPv6 header, one more extension header each.
_TOPS = (33, 41, 53, *range(61, 400, 8))

#: Seconds that are spent on a frame that raises fewer other questions.
_FEWER = 8.0

#: Turns of loops where frames are sought and nothing is proved; more for what asks for more.
_FEW_TURNS = {"options.home_address": 4, "options.plain_home": 3, "ipv4.source_route": 4}
_ENOUGH: Mapping[str, Mapping[str, int]] = {"option_limit": {"options.home_address": 34, "ipv6.ipv6": 2}}
#: How frames that raise a question are likely to look, bytes by offset, tried first at the least length of a window.
#: Thirty options of one byte at the front of a Destination Options header; a solver takes minutes to think of them.
_HINTS: Mapping[str, Mapping[int, int]] = {"option_limit": {20: 60, **dict.fromkeys(range(56, 86), 0)}}

Pair = tuple[int, int]


class Space(NamedTuple):
    """Where to look: kinds of frames, lengths, types and tunnels (None for unknown ones)."""

    links: tuple[str, ...]
    least: int
    most: int
    types: int | None = None
    tunnels: int | None = 0


class Apart(NamedTuple):
    """What is known of two readings.

    Attributes:
        witness: the shortest that was found, None if none was.
        none_below: no shorter frame tells them apart.
        reason: why more is not known, "" if all is.
    """

    witness: Witness | None
    none_below: int
    reason: str = ""


class Hunt:
    """The search for all pairs of one question; `pairs` all of them if left out."""

    def __init__(
        self, question: Question, space: Space, context: Readings | None = None, *, seconds: float = 60.0,
        pairs: tuple[Pair, ...] | None = None,
    ) -> None:
        self.question = question
        self.field = question.field
        self.space = space
        self.context = (context or Readings())._asdict()
        self.deadline = time.monotonic() + seconds
        self.best: dict[Pair, Found] = {}
        self.found_in: dict[Pair, str] = {}
        self.open: dict[Pair, str] = {}
        self.below: dict[Pair, int] = {}
        self.pairs = pairs or tuple(combinations(range(len(question.readings)), 2))
        self.walks = self.field in WALK_QUESTIONS

    def run(self) -> dict[Pair, Apart]:
        """Search; raises ReplayError where the translation and CPython disagree."""
        top = self.space.most
        for low, high in windows(self.space.least, self.space.most):
            pending = [pair for pair in self.pairs if pair not in self.best]
            if not pending:
                break
            for link in self.space.links:
                self._look(link, low, high, pending)
            for pair in pending:
                if pair not in self.open:
                    self.below[pair] = len(self.best[pair].frame) if pair in self.best else high + 1
        return {pair: self._apart(pair, top) for pair in self.pairs}

    def _apart(self, pair: Pair, top: int) -> Apart:
        below = self.below.get(pair, self.space.least)
        if pair not in self.best:
            return Apart(None, below, self.open.get(pair, ""))
        witness = self.witness(pair, self.alone(pair))
        return Apart(plainest(witness, self.question), below, self.open.get(pair, ""))

    def left(self) -> float:
        """Return the seconds that are left, at least a little."""
        return max(0.1, self.deadline - time.monotonic())

    def _share(self) -> float:
        """Return the seconds for one query: half of what is left, so that the others are not given up with it."""
        return max(0.1, self.left() / 2)

    def witness(self, pair: Pair, found: Found) -> Witness:
        """Return a frame as a witness, replayed or not."""
        first, second = (Readings(**{**self.context, self.field: number}) for number in pair)
        return Witness(found.frame, configuration_of(found.types, found.tunnels), first, second)

    def _stage(
        self, link: str, low: int, high: int, *, walks: bool, turns: Mapping[str, int] | None = None,
        hints: Mapping[int, int] | None = None,
    ) -> Stage:
        limits = Limits(link, low, high, self.space.types, self.space.tunnels)
        asked_from = ASKED_FROM | MATTERS_FROM
        return Stage(self.field, self.context, limits, walks=walks, turns=turns, asked_from=asked_from, hints=hints)

    def _look(self, link: str, low: int, high: int, pairs: list[Pair]) -> None:
        """Look at one kind of frames and one window."""
        pairs = [pair for pair in pairs if pair not in self.best or len(self.best[pair].frame) > low]
        if not pairs:
            return
        stage = self._stage(link, low, high, walks=False)
        if stage.asked is False:
            return
        if not self.walks and all(stage.differ(*pair) is False for pair in pairs):
            return
        if stage.check(stage.asked, seconds=self._share())[0] == "unsat":
            return
        if self.walks:
            self._look_at_walks(stage, pairs)
            return
        if len(pairs) > 1:
            some: Value = False
            for pair in pairs:
                some = stage.graph.either(some, stage.differ(*pair))
            kind, found = stage.check(some, seconds=self._share())
            if kind == "unsat":
                return
            if found is not None:
                self._take(pairs, found, link, low)
        for pair in pairs:
            if self._shorten(stage, pair, low, high):
                continue
            # The walks matter: a few options in each are enough to find a frame, if not to prove that there is none.
            self._shorten(self._stage(link, low, high, walks=True, turns=_FEW_TURNS), pair, low, high)
            if pair in self.best and self._shorten(stage, pair, low, high):
                continue
            if not self._shorten(self._stage(link, low, high, walks=True), pair, low, high):
                raise self._broken(pair)

    def _look_at_walks(self, stage: Stage, pairs: list[Pair]) -> None:
        """Look for the shortest frames where the question is one of walks; `stage` only knows where it may matter."""
        link, low, high = stage.limits[:3]
        for pair in pairs:
            hints = _HINTS.get(self.field)
            if hints and link == "ipv6" and low > max(hints):
                likely = self._stage(link, low, low, walks=True, turns=_ENOUGH[self.field], hints=hints)
                if not self._shorten(likely, pair, low, low):
                    raise self._broken(pair)
            top = min(high, len(self.best[pair].frame) - 1) if pair in self.best else high
            if top < low:
                continue
            few = self._stage(link, low, top, walks=True, turns={**_FEW_TURNS, **_ENOUGH.get(self.field, {})})
            if not self._shorten(few, pair, low, top):
                raise self._broken(pair)
            if pair in self.best:
                top = len(self.best[pair].frame) - 1
            if top < low or stage.check(stage.asked, stage.up_to(top), seconds=self._share())[0] == "unsat":
                continue
            if not self._shorten(self._stage(link, low, top, walks=True), pair, low, top):
                raise self._broken(pair)

    def _take(self, pairs: list[Pair], found: Found, link: str, low: int) -> bool:
        """Keep a frame for those pairs that it tells apart and that have none as short; say whether it did for any."""
        kept = False
        for pair in pairs:
            if differs(self.witness(pair, found)):
                kept = True
                shorter = self._cut(pair, found, low)
                if pair not in self.best or len(shorter.frame) < len(self.best[pair].frame):
                    self.best[pair] = shorter
                    self.found_in[pair] = link
        return kept

    def _shorten(self, stage: Stage, pair: Pair, low: int, high: int) -> bool:
        """Find the shortest frame of a window for a pair; False if a frame that was found does not hold in CPython."""
        differ = stage.differ(*pair)
        top = high
        if pair in self.best:
            top = min(high, len(self.best[pair].frame) - 1)
        middle = low  # windows begin where one more header fits, so this is the likeliest length
        while low <= top:
            kind, found = stage.check(differ, stage.up_to(middle), seconds=self._share(), likely="sat")
            if kind == "unknown":
                if not stage.exact:
                    return True  # it was only to find a frame
                self.open[pair] = f"no answer for {stage.limits.link} frames of {low} to {middle} bytes"
                return True
            if found is None:
                low = middle + 1
                middle = top
                continue
            if not self._take([pair], found, stage.limits.link, low):
                return False
            top = len(self.best[pair].frame) - 1
            middle = (low + top) // 2
        return True

    def _cut(self, pair: Pair, found: Found, low: int) -> Found:
        """Return the frame cut as short as it holds, its outermost length field set right or not."""
        for size in range(low, len(found.frame)):
            frame = found.frame[:size]
            for candidate in (frame, _measured(frame)):
                shorter = found._replace(frame=candidate)
                if differs(self.witness(pair, shorter)):
                    return shorter
        return found

    def _broken(self, pair: Pair) -> ReplayError:
        names = " and ".join(self.question.readings[number].name for number in pair)
        return ReplayError(
            f"{self.question.id}: the solver's witness for {names} does not hold in CPython",
            hint="a fault of models/symbolic: please report it",
        )

    def alone(self, pair: Pair) -> Found:
        """Return a frame of the same length that raises as few other questions as can be.

        As few: none that raises only some of those is found within a few seconds.
        """
        best = self.best[pair]
        raised = set(questions_raised(self.witness(pair, best), self.question))
        if not raised:
            return best
        size = len(best.frame)
        turns = {**_FEW_TURNS, **_ENOUGH.get(self.field, {})}
        stage = self._stage(self.found_in[pair], size, size, walks=self.walks, turns=turns)
        differ = stage.differ(*pair)
        others = stage.others()
        until = time.monotonic() + min(_FEWER, self.left())
        allowed: set[str] = set()
        while raised and time.monotonic() < until:
            # First one that raises no other; then ones that raise some of those that the last one raises.
            fewer: Value = not allowed
            for name, condition in others.items():
                if name in allowed:
                    fewer = stage.graph.either(fewer, stage.graph.negate(condition))
            for name, condition in others.items():
                if name not in allowed:
                    fewer = stage.graph.both(fewer, stage.graph.negate(condition))
            kind, found = stage.check(differ, fewer, seconds=until - time.monotonic(), likely="sat")
            if found is not None and differs(self.witness(pair, found)):
                best = found
                raised = set(questions_raised(self.witness(pair, best), self.question))
            elif allowed or kind == "unknown":
                break
            allowed = raised
        return best


def windows(least: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of lengths that cover those from `least` to `most`."""
    for top in _TOPS:
        if least <= min(top, most):
            yield least, min(top, most)
            least = top + 1


def _measured(frame: bytes) -> bytes:
    """Return the frame with the length field of an IP header behind the Ethernet header set right."""
    size = len(frame)
    if frame[12:14] == b"\x08\x00" and size >= 34:
        return frame[:16] + (size - 14).to_bytes(2, "big") + frame[18:]
    if frame[12:14] == b"\x86\xdd" and size >= 54:
        return frame[:18] + (size - 54).to_bytes(2, "big") + frame[20:]
    return frame
