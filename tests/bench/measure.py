"""Rates, and the table that sets them in relation."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROUNDS = 3


class Missing(Exception):  # noqa: N818 - not an error: the bench is skipped
    """What a bench needs is not here."""


class Rate(NamedTuple):
    """So many a second; `base` is the name of the rate that it is a ratio of."""

    name: str
    each: float
    base: str = ""


def best(work: Callable[[], object], count: int, rounds: int = ROUNDS) -> float:
    """Return how often a second, the best of some rounds after one that warms up."""
    work()
    fastest = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - begun)
    return count / fastest


def in_turn(
    works: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.thread_time
) -> dict[str, list[float]]:
    """Return the seconds of this thread that each took in each round, one behind the other, after one that warms up.

    A thread's own seconds do not count what others on the machine do meanwhile, and what slows all slows all alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            begun = clock()
            work()
            if number:
                seconds[name].append(clock() - begun)
    return seconds


def ratio(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how many times the seconds of the second the first took: the median over rounds."""
    return statistics.median(one / other for one, other in zip(first, second, strict=True))


def table(title: str, rates: Sequence[Rate]) -> str:
    """Return the rates as a table of text."""
    known = {rate.name: rate.each for rate in rates}
    width = max(len(rate.name) for rate in rates)
    lines = [title]
    for rate in rates:
        ratio = f"{rate.each / known[rate.base]:9.3g} x {rate.base}" if rate.base else ""
        lines.append(f"  {rate.name:{width}}  {rate.each:>12,.0f}/s  {ratio}".rstrip())
    return "\n".join(lines)
