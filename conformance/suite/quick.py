"""The quick suite: few cases, chosen so that nothing is lost that the whole suite can show."""

from __future__ import annotations

from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

from vnethash.conformance.suite.coverage import Pair
from vnethash.models.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from vnethash.conformance.suite.case import Case
    from vnethash.conformance.suite.coverage import Reach


def smallest_cover(cases: Iterable[tuple[Case, Reach]]) -> list[Case]:
    """Return cases that show all that the given ones show: greedy, the earlier case wins a tie.

    The two readings of a pair are told apart by two cases, where there are two.
    """
    offered = [(case, shown(case, reached)) for case, reached in cases]
    needed: dict[Hashable, int] = {}
    for _, things in offered:
        for thing in things:
            needed[thing] = min(needed.get(thing, 0) + 1, times(thing))
    # What a case adds only shrinks, so a score from before is never too low and the heap's top can be trusted.
    heap = [(-len(things), number) for number, (_, things) in enumerate(offered)]
    heapify(heap)
    chosen = []
    while needed:
        score, number = heap[0]
        case, things = offered[number]
        adds = things & needed.keys()
        if len(adds) < -score:
            heapreplace(heap, (-len(adds), number))
            continue
        chosen.append(case)
        heapreplace(heap, (0, number))
        for thing in adds:
            needed[thing] -= 1
            if needed[thing] == 0:
                del needed[thing]
    return sorted(chosen, key=lambda case: case.id)


def times(thing: Hashable) -> int:
    """Return how often a thing is to be shown."""
    return 2 if isinstance(thing, Pair) and thing.sight == "outcome" else 1


def shown(case: Case, reached: Reach) -> set[Hashable]:
    """Return what a case shows: rule, events, pairs of readings, questions by rule, single hash types, clauses."""
    things: set[Hashable] = {("rule", reached.rule), *reached.pairs}
    things.update(("event", bit) for bit in EVENTS if reached.events & bit)
    things.update(("question", question, reached.rule) for question in reached.questions)
    types = case.configuration.hash_types
    if types.bit_count() == 1:
        things.add(("type", types, reached.rule))
    things.update(("clause", clause) for clause in case.clauses)
    things.add(("asks", case.comment.rpartition(": ")[2]))
    return things
