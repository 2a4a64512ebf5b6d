"""Hunts: campaigns in this process on devices with planted defects; what each cause cost, which defect it shows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from in_process import InProcess
from plain import Plain
from vnethash.fuzz.campaign import Campaign, Limits, Silent
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vnethash.fuzz.found import Found


@dataclass
class Hunt:
    """What came of one: causes, and for each id the executions and the seconds of CPU behind which it was told."""

    seed: int
    executions: int = 0
    seconds: float = 0.0
    causes: list[Found] = field(default_factory=list)
    told: dict[str, tuple[int, float]] = field(default_factory=dict)

    def first(self) -> tuple[int, float] | None:
        """Return what the first cause cost that is still one at the end, None if there is none."""
        return min((self.told[cause.id] for cause in self.causes), default=None)


class _Clock(Silent):
    """Notes when causes are told."""

    def __init__(self) -> None:
        self.began = time.process_time()
        self.told: dict[str, tuple[int, float]] = {}
        self.campaign: Campaign | None = None

    def seconds(self) -> float:
        return time.process_time() - self.began

    def cause(self, found: Found, what: str) -> None:
        if what != "withdrawn" and self.campaign is not None:
            self.told.setdefault(found.id, (self.campaign.totals.executions, self.seconds()))


class _Hunting(Campaign):
    """A campaign that ends by CPU seconds, or when it went on for a while behind the last of the causes it awaits."""

    clock: _Clock
    most: float
    awaited: int
    beyond: float

    def over(self) -> bool:
        seconds = self.clock.seconds()
        if super().over() or seconds >= self.most:
            return True
        last = max((at for _, at in self.clock.told.values()), default=0.0)
        return len(self.clock.told) >= self.awaited and seconds >= last + (max(last, self.beyond) if self.beyond else 0)


def hunt(
    make: Callable[[], Plain], seed: int, *, seconds: float = 60.0, awaited: int = 1, beyond: float = 3.0,
    executions: int | None = None, engine: str = "builtin",
) -> Hunt:
    """Run a campaign until `awaited` causes are told and as long again, at least `beyond` seconds of CPU.

    With a `beyond` of 0 it ends when they are told.
    """
    clock = _Clock()
    subject = Subject("device", lambda _: InProcess("device", make()))
    campaign = _Hunting([subject], Corpus(), None, engine=engine, seed=seed, limits=Limits(executions=executions),
                        watcher=clock)  # fmt: skip
    campaign.clock, campaign.most, campaign.awaited, campaign.beyond = clock, seconds, awaited, beyond
    clock.campaign = campaign
    campaign.run(load_engine(engine))
    return Hunt(seed, campaign.totals.executions, clock.seconds(), campaign.causes(), clock.told)


def shown_by(found: Found, devices: Mapping[str, Callable[[], Plain]]) -> list[str]:
    """Return the names of the devices that answer the witness of a cause otherwise than the plain one does."""
    case = found.case
    wanted = InProcess("plain", Plain())
    wanted.configure(case.configuration)
    answers = wanted.run(case.frames)[-1:]
    names = []
    for name, make in devices.items():
        target = InProcess(name, make())
        target.configure(case.configuration)
        if target.run(case.frames)[-1:] != answers:
            names.append(name)
    return names
