"""Observations held against outcomes, and configurations fitted to targets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vnethash.conformance.matching import fit, is_legal, matches
from vnethash.models.reference import ANY_VALUE
from vnethash.spec.configuration import Configuration
from vnethash.spec.outcome import Observation, Outcome
from vnethash.targets.base import Capabilities

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


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        (Configuration(hash_types=3), "hash types"),
        (Configuration(hash_types=1, tunnel_types=1), "HASH_TUNNEL"),
        (Configuration(hash_types=1, key=bytes(41)), "41 bytes"),
        (Configuration(hash_types=1, indirection_table=(0,) * 256), "256 entries"),
        (Configuration(hash_types=1, features=frozenset({"MQ"})), "neither RSS nor HASH_REPORT"),
    ],
)
def test_what_a_target_does_not_claim_is_not_asked(configuration: Configuration, reason: str) -> None:
    fitted = fit(configuration, Capabilities(ALL, hash_types=1))
    assert isinstance(fitted, str)
    assert reason in fitted


def test_queue_numbers_are_folded_onto_the_queues_that_a_target_has() -> None:
    fitted = fit(Configuration(), Capabilities(ALL, queues=4))
    assert isinstance(fitted, Configuration)
    assert set(fitted.indirection_table) == {0, 1, 2}
    assert fitted.unclassified_queue == 3


def test_a_configuration_that_fits_is_left_as_it_is_but_for_features() -> None:
    fitted = fit(Configuration(), Capabilities(ALL, features=frozenset({"RSS"}), queues=256))
    assert fitted == replace(Configuration(), features=frozenset({"RSS"}))


def test_only_what_a_driver_may_send_is_legal() -> None:
    assert is_legal(Configuration())
    assert not is_legal(Configuration(indirection_table=(0, 1, 2)))
    assert not is_legal(Configuration(key=b"short"))
    assert not is_legal(Configuration(hash_types=0x200))
