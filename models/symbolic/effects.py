"""Whether two questions bear on each other, asked of a solver: a frame that shows it, or that there is none.

The model is translated under each pair of readings of the two, all others read literally. They bear on each other if
for some frame two readings of the one lead to the same selection under one reading of the other, and to different ones
under another. That is one question to the solver for each kind of frames and window of lengths.
"""

from __future__ import annotations

import sys
import time
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.symbolic.pairs import link_questions
from vnethash.models.symbolic.scene import LENGTH, TYPES, Scene
from vnethash.models.symbolic.solve import Problem
from vnethash.models.symbolic.stage import LINKS, RECURSION, Found, in_case, known_bytes
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vnethash.models.symbolic.terms import Value
    from vnethash.models.symbolic.translate import Row

#: Windows of lengths, for terms are smaller where fewer headers fit: three extension headers; a Home Address and one.
MOST = 78
MOST_HOME = 86
_WINDOWS = ((14, 53), (54, 69), (70, MOST), (MOST + 1, MOST_HOME))
_AREAS_HOME = frozenset({"home", "ex"})
#: Options that a walk goes through at most: a Home Address and what makes it end at a multiple of eight.
OPTIONS = 2
_TURNS = {"options.home_address": OPTIONS, "options.plain_home": OPTIONS, "ipv4.source_route": OPTIONS + 1}
#: A question that needs more options, and the turns for that.
_MORE = {"home_repeated": 3}
#: Questions that need more options than are looked at here; nothing is said of them.
BEYOND = frozenset({"option_limit"})


class Effect(NamedTuple):
    """What is known: a frame that shows the effect, None if there is none; `answered` if the solver said so."""

    found: Found | None
    answered: bool


def effect(first: str, second: str, deadline: float, shows: Callable[[Found], bool]) -> Effect:
    """Look for a frame in which two questions (fields) bear on each other, until a moment of `time.monotonic`.

    `shows` is asked whether CPython confirms a frame; one that it does not is no answer.
    """
    sys.setrecursionlimit(max(RECURSION, sys.getrecursionlimit()))
    answered = not BEYOND & {first, second}
    for link, low, high in _cases(first, second):
        left = deadline - time.monotonic()
        if left <= 0:
            return Effect(None, False)
        scene, wanted = _depends(first, second, link, low, high)
        if wanted is False:
            continue
        answer = Problem(wanted, scene.length).check(wanted, seconds=left)
        if answer.model is not None:
            size = answer.model.number(LENGTH, high)
            frame = bytearray(answer.model.octets(size))
            for place, octet in known_bytes(link).items():
                if place < size:
                    frame[place] = octet
            found = Found(bytes(frame), answer.model.number(TYPES), 0)
            return Effect(found, True) if shows(found) else Effect(None, False)
        answered = answered and answer.kind == "unsat"
    return Effect(None, answered)


def _cases(first: str, second: str) -> Iterator[tuple[str, int, int]]:
    """Yield the kinds of frames and the lengths in which the two may be asked."""
    areas = {questions_by_field()[name].area for name in (first, second)}
    links = tuple(LINKS) if link_questions() & {first, second} else ("ipv4", "ipv6")
    for low, high in _WINDOWS:
        if high > MOST and not areas & _AREAS_HOME:
            return
        for link in links:
            yield link, low, high


def _depends(first: str, second: str, link: str, low: int, high: int) -> tuple[Scene, Value]:
    """Say where equality of two selections under readings of the one depends on the reading of the other."""
    turns = dict(_TURNS)
    turns["options.home_address"] = max([OPTIONS, *(_MORE[name] for name in (first, second) if name in _MORE)])
    scene = Scene(most=high, least=low, types=None, tunnels=0, known=known_bytes(link), turns=turns)
    graph = scene.graph
    mine, theirs = (range(len(questions_by_field()[name].readings)) for name in (first, second))
    literal = dict.fromkeys(Readings._fields, 0)
    rows: dict[tuple[int, int], Row] = {}

    def both_asked(pairs: Iterable[tuple[int, int]]) -> Value:
        """Translate the model under some readings; say where both were asked under any so far."""
        for one, other in pairs:
            if (one, other) not in rows:
                rows[one, other] = scene.decide(scene.readings({**literal, first: one, second: other}))
        asked = scene.translator.log.asked
        met = graph.both(asked.get(first, False), asked.get(second, False))
        return graph.both(in_case(scene, link), met)

    # Which of the two a run asks first does not hang on either; then the reading of the other does not matter yet. So
    # one of them is asked under the literal readings, and where both are, both are with one of them read literally.
    both_asked([(0, 0)])
    if not {first, second} & set(scene.translator.log.asked):
        return scene, False
    both = both_asked([*((one, 0) for one in mine), *((0, other) for other in theirs)])
    if both is False:
        return scene, False
    both = both_asked(product(mine, theirs))
    some: Value = False
    for (one, two), (other, another) in product(combinations(mine, 2), combinations(theirs, 2)):
        corners = [rows[one, other], rows[two, other], rows[one, another], rows[two, another]]
        for at, to, off, up in ((0, 1, 2, 3), (0, 2, 1, 3)):
            here = scene.differ(corners[at], corners[to])
            there = scene.differ(corners[off], corners[up])
            unlike = graph.either(graph.both(here, graph.negate(there)), graph.both(there, graph.negate(here)))
            some = graph.either(some, unlike)
    return scene, graph.both(both, graph.both(some, graph.negate(scene.overrun())))
