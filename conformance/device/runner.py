"""Puts the scripts of the control suite to a device and keeps what came out; judges nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vnethash.models.device.state import Command, Negotiate, Packet, Reset, Traits
from vnethash.spec.errors import TargetDied, TargetError, TargetTimeout
from vnethash.targets.base import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.device.script import Script
    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Step
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


def traits_of(device: Device) -> Traits:
    """Return what a device says about itself."""
    limits = device.limits()
    return Traits(
        device.offered, max(1, min(limits.pairs, device.pairs)), limits.key or 40, limits.table or 1,
        limits.hash_types, limits.tunnel_types,
    )


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


def put(device: Device, steps: Sequence[Step], *, fresh: bool, seen: list[Seen]) -> None:
    """Take the steps and append what each shows to `seen`; stops where nothing more can be had.

    Raises Refused where the device cannot be asked, TargetDied and TargetTimeout where it fails.
    """
    if fresh:
        device.restart()
    position = 0
    while position < len(steps):
        step = steps[position]
        if isinstance(step, Negotiate):
            seen.append(device.negotiate(step.features))
            if not seen[-1]:
                return
        elif isinstance(step, Reset):
            device.reset()
            seen.append(None)
        elif isinstance(step, Command):
            seen.append(int(device.command(step.class_, step.command, step.data)))
            if seen[-1] == -1:
                return
        elif isinstance(step, Packet):
            batch = _alike(steps, position)
            seen.extend(device.receive([one.frame for one in batch], step.header))
            position += len(batch) - 1
        else:
            seen.append(device.limits())
        position += 1


def _alike(steps: Sequence[Step], position: int) -> list[Packet]:
    """Return the packets from a position on that one call can put: those with the same header before them."""
    batch: list[Packet] = []
    for step in steps[position:]:
        if not isinstance(step, Packet) or (batch and step.header != batch[0].header):
            break
        batch.append(step)
    return batch
