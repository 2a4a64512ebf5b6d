"""Drives a device by the rules for Hypothesis, and follows it step by step through all readings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import initialize
from vnethash.fuzz.device.engines.rules import Rules
from vnethash.models.device.allowed import Follower, offered_readings
from vnethash.targets.driving import put, traits_of

if TYPE_CHECKING:
    from vnethash.models.device.state import Step
    from vnethash.targets.device import Device


class Driver(Rules):
    """Drives `device` and follows it; every answer must be explained by some readings, the same throughout."""

    #: Set by the test: how to get a device, and whether readings that nothing supports may explain it.
    defects: ClassVar[bool] = False

    def open(self) -> Device:
        raise NotImplementedError

    @initialize(seed=st.integers(0, 1 << 30))
    def start(self, seed: int) -> None:
        self.seed = seed
        self.device = self.open()
        self.offered = self.device.offered
        self.follower = Follower(traits_of(self.device), offered_readings(defects=self.defects))
        self.log: list[Step] = []

    def take(self, step: Step) -> object:
        seen: list[object] = []
        put(self.device, (step,), fresh=False, seen=seen)  # type: ignore[arg-type]
        self.log.append(step)
        wrong = self.follower.observe(step, seen[0])  # type: ignore[arg-type]
        assert not wrong, (wrong, self.log)
        return seen[0]

    def teardown(self) -> None:
        if hasattr(self, "device"):
            self.device.close()
