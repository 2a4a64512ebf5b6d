"""Profiles found with few packets."""

from __future__ import annotations

import pytest
from vnethash.conformance.identify import MOST_PACKETS, identify
from vnethash.conformance.judge import judge
from vnethash.conformance.runner import run_suite
from vnethash.conformance.suite import load_suite
from vnethash.models.allowed import dialect
from vnethash.models.expectations import Expectations
from vnethash.spec.errors import TargetDied
from vnethash.spec.readings import Readings
from vnethash.targets.base import Errored

from tests.conformance.planted import Planted

CASES = load_suite("quick").cases
EXPECTATIONS = Expectations()


@pytest.mark.parametrize(
    "readings",
    [
        dialect("literal"),
        dialect("ndis"),
        Readings(fragment_flags=1, zero_value=1),
        Readings(atomic_fragment=1, esp_header=1, home_header=1, tcp_cut=1, chain_cut=1),
    ],
)
def test_few_packets_find_the_profile_that_the_whole_suite_finds(readings: Readings) -> None:
    target = Planted(readings=readings)
    found = identify(target, CASES, EXPECTATIONS)
    whole = judge(run_suite(target, CASES).answers, target.capabilities.observes, EXPECTATIONS).profile
    assert found.finished
    assert found.consistent
    assert found.packets <= MOST_PACKETS
    for field, numbers in whole.possible.items():
        assert numbers & found.profile.possible.get(field, numbers)
        if len(numbers) == 1:
            assert found.profile.readings[field] in numbers


def test_what_no_reading_explains_is_counted() -> None:
    target = Planted(lambda frame, configuration, told: told._replace(value=told.value ^ 1) if told.report else told)
    found = identify(target, CASES, EXPECTATIONS)
    assert found.unexplained > 0
    assert not found.consistent


def test_packets_are_limited_and_it_says_so() -> None:
    found = identify(Planted(), CASES, EXPECTATIONS, most=10)
    assert found.packets == 10
    assert not found.finished
    assert found.doubts


def test_a_target_that_answers_nothing_is_no_profile() -> None:
    with pytest.raises(TargetDied, match="no case could be put"):
        identify(Planted(lambda frame, configuration, told: Errored("no")), CASES, EXPECTATIONS)
