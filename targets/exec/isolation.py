"""Which frames of a batch killed or hung an adapter, found with few restarts.

A batch that failed is asked again in sixteen pieces, a piece that failed in sixteen smaller ones, down to single
frames: with 256 frames, one bad frame costs three failures (and so three time limits if it hangs) and at most 32
further requests. No frame is blamed before the adapter has failed twice with it, once with it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import TargetDied, TargetTimeout
from vnethash.targets.base import Errored, Result, Skipped, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PIECES = 16


class Isolated(NamedTuple):
    """The results of a batch that failed at first.

    `failures` counts how often the adapter died or hung; `blamed` the frames that did it, 0 if none did when asked
    again.
    """

    results: list[Result]
    failures: int
    blamed: int


def isolate(
    frames: Sequence[bytes],
    failure: TargetDied | TargetTimeout,
    *,
    ask: Callable[[Sequence[bytes]], list[Result]],
    restart: Callable[[], None],
    most: int,
    seconds: float,
) -> Isolated:
    """Return one result a frame, after `ask(frames)` has raised `failure`.

    After `most` failures, a hang counted as four because it costs a time limit, the frames not asked yet are Skipped;
    if not one frame was answered until then, the last failure is raised. What `restart` raises is passed on.
    """
    results: list[Result | None] = [None] * len(frames)
    failures, blamed, answered = 1, 0, 0
    spent = _cost(failure)
    pending: list[tuple[int, int]] = []
    failed: tuple[int, int] | None = (0, len(frames))
    while failed or pending:
        if failed:
            first, end = failed
            if end - first == 1 and failures > 1:
                results[first] = _verdict(failure, seconds)
                blamed += 1
            else:
                pending.extend(reversed(_pieces(first, end)))
            if spent >= most or not pending:
                break
            restart()
        first, end = pending.pop()
        failed = None
        try:
            results[first:end] = ask(frames[first:end])
            answered += end - first
        except (TargetDied, TargetTimeout) as again:
            failure, failed = again, (first, end)
            failures += 1
            spent += _cost(again)
    if any(result is None for result in results) and not answered:
        times = f"; {failures} times in a row, none of {len(frames)} frames answered" if failures > 1 else ""
        raise type(failure)(failure.message + times, hint=failure.hint)
    reason = f"not asked: the target had died or hung {failures} times in this batch"
    return Isolated([Skipped(reason) if r is None else r for r in results], failures, blamed)


def _pieces(first: int, end: int) -> list[tuple[int, int]]:
    size = -(-(end - first) // _PIECES)
    return [(start, min(start + size, end)) for start in range(first, end, size)]


def _cost(failure: TargetDied | TargetTimeout) -> int:
    return 4 if isinstance(failure, TargetTimeout) else 1


def _verdict(failure: TargetDied | TargetTimeout, seconds: float) -> Result:
    return TimedOut(seconds) if isinstance(failure, TargetTimeout) else Errored(failure.message)
