"""Observations held against outcomes."""

from __future__ import annotations

import pytest
from vnethash.models.matching import matches
from vnethash.models.reference import ANY_VALUE
from vnethash.spec.outcome import Observation, Outcome

ALL = frozenset({"queue", "report", "value"})
HASHED = Outcome(2, 0x51CCC178, 120)
UNHASHED = Outcome(0, 0, 200)


@pytest.mark.parametrize(
    ("observation", "observes", "same"),
    [
        (Observation(2, 0x51CCC178, 120), ALL, True),
        (Observation(1, 0x51CCC178, 120), ALL, False),
        (Observation(2, 0x51CCC179, 120), ALL, False),
        (Observation(2, 0x51CCC178, 121), ALL, False),
        (Observation(None, 0x51CCC178, 120), frozenset({"queue", "value"}), True),
        (Observation(None, None, 120), frozenset({"queue", "value"}), False),
        (Observation(None, None, 120), frozenset({"queue"}), True),
    ],
)
def test_a_hashed_outcome_is_held_against_what_is_shown(
    observation: Observation, observes: frozenset[str], same: bool
) -> None:
    assert matches(HASHED, observation, observes) is same


def test_a_target_that_shows_values_says_unhashed_by_showing_none() -> None:
    assert matches(UNHASHED, Observation(None, None, 200), frozenset({"queue", "value"}))
    assert not matches(UNHASHED, Observation(None, 0x51CCC178, 200), frozenset({"queue", "value"}))


def test_a_value_that_may_be_anything_matches_anything() -> None:
    assert not matches(UNHASHED, Observation(0, 7, 200), ALL)
    assert matches(UNHASHED._replace(value=ANY_VALUE), Observation(0, 7, 200), ALL)


def test_an_outcome_without_steering_matches_any_queue() -> None:
    assert matches(HASHED._replace(queue=-1), Observation(2, 0x51CCC178, 3), ALL)
