"""Whether what a target showed is what an outcome says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.reference import ANY_VALUE

if TYPE_CHECKING:
    from vnethash.spec.outcome import Observation, Outcome


def matches(outcome: Outcome, observation: Observation, observes: frozenset[str]) -> bool:
    """Say whether an observation is the part of the outcome that the target shows.

    A target that shows values says "not hashed" by showing none. Where nothing is hashed and a value is shown all the
    same, it is held against the outcome's (0, or anything under the reading `unspecified`).
    """
    if observation.report is not None and observation.report != outcome.report:
        return False
    if "value" in observes:
        if outcome.report != 0:
            if observation.value != outcome.value:
                return False
        elif observation.value is not None and outcome.value not in {ANY_VALUE, observation.value}:
            return False
    return observation.queue is None or outcome.queue in {-1, observation.queue}
