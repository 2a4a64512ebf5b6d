"""Puts the scripts of the control suite to a device and keeps what came out; judges nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vnethash.spec.errors import TargetDied, TargetError, TargetTimeout
from vnethash.targets.base import Refused
from vnethash.targets.driving import put

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.device.script import Script
    from vnethash.models.device.matching import Seen
    from vnethash.targets.device import Device

#: Scripts in a row that a device may die of before it is given up.
_MOST_FAILURES = 3


class Play(NamedTuple):
    """What came out for one script.

    `seen` ends early where the device refused the features, gave no ack or died; `error` says how it failed, `skipped`
    why it was not asked; `late` that it gave no answer in time.
    """

    script: Script
    seen: tuple[Seen, ...]
    error: str = ""
    skipped: str = ""
    late: bool = False


class PlayBook(Protocol):
    """Where answers are kept as they come, and what it holds of a run that was cut short."""

    def known_play(self, script: Script) -> Play | None:
        """Return what came out for a script before."""

    def keep_play(self, play: Play) -> None:
        """Keep what just came out."""


class NoPlayBook:
    """Keeps nothing."""

    def known_play(self, script: Script) -> Play | None:
        """Know nothing."""
        return None

    def keep_play(self, play: Play) -> None:
        """Keep nothing."""


@dataclass
class Plays:
    """The answers of one device, and why they end early if they do."""

    plays: list[Play] = field(default_factory=list)
    ended: str = ""
    interrupted: bool = False
    seconds: float = 0.0


def run_scripts(
    device: Device,
    scripts: Sequence[Script],
    progress: Callable[[int], None] = lambda _: None,
    book: PlayBook | None = None,
) -> Plays:
    """Put every script to the device; `progress` is told how many more are done.

    A device that dies is started anew, unless it keeps dying. Ctrl-C ends the run. Both keep what was answered. What
    comes out of each script goes into `book`; a script that the book holds already is not put again.
    """
    run = Plays()
    book = book or NoPlayBook()
    started = time.monotonic()
    failures = 0
    try:
        for script in scripts:
            known = book.known_play(script)
            play = known or _play(device, script)
            run.plays.append(play)
            if known is None:
                book.keep_play(play)
            progress(1)
            failures = failures + 1 if play.error else 0
            if failures == _MOST_FAILURES:
                run.ended = play.error
                break
            if play.error and known is None:
                device.restart()
    except TargetError as error:
        run.ended = error.line()
    except KeyboardInterrupt:
        run.interrupted = True
    run.seconds = time.monotonic() - started
    return run


def _play(device: Device, script: Script) -> Play:
    if script.skip:
        return Play(script, (), skipped=script.skip)
    seen: list[Seen] = []
    try:
        put(device, script.steps, fresh=script.fresh, seen=seen)
    except Refused as refused:
        return Play(script, tuple(seen), skipped=refused.message)
    except (TargetDied, TargetTimeout) as error:
        words = f"{error.message}, at step {len(seen) + 1}"
        return Play(script, tuple(seen), error=words, late=isinstance(error, TargetTimeout))
    return Play(script, tuple(seen))
