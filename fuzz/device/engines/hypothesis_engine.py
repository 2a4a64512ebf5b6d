"""Hypothesis as an engine for sequences: its state machine draws the steps, and what it drew is put as one sequence.

The machine never fails: disagreements are recorded by the campaign, so that the first does not end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device.case import MOST_STEPS, ControlCase, legal
from vnethash.spec.errors import TargetUnavailable

if TYPE_CHECKING:
    from vnethash.fuzz.device.campaign import ControlCampaign
    from vnethash.models.device.state import Step

#: Sequences that one machine draws, until chance is seeded anew.
_ROUND = 200


def run(campaign: ControlCampaign) -> None:
    """Fuzz until the campaign is over; raises TargetUnavailable where Hypothesis is missing."""
    try:
        from hypothesis import HealthCheck, Phase, seed, settings  # noqa: PLC0415
        from hypothesis.stateful import run_state_machine_as_test  # noqa: PLC0415
        from vnethash.fuzz.device.engines.rules import Rules  # noqa: PLC0415
    except ImportError as error:
        raise TargetUnavailable("engine hypothesis needs hypothesis", hint="pip install 'vnethash[fuzz]'") from error

    class Drawing(Rules):
        """Gathers the steps, and puts them when there are no more."""

        offered = campaign.subjects[0].traits.offered

        def __init__(self) -> None:
            super().__init__()
            self.steps: list[Step] = []

        def take(self, step: Step) -> object:
            self.steps.append(step)
            return True

        def teardown(self) -> None:
            case = ControlCase(legal(self.steps))
            if case.steps and not campaign.over() and campaign.execute(case):
                campaign.keep(case)

    number = 0
    while not campaign.over():
        number += 1
        quiet = settings(
            max_examples=_ROUND, stateful_step_count=MOST_STEPS, database=None, deadline=None,
            phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(seed(campaign.seed + number)(type("Drawn", (Drawing,), {})), settings=quiet)
