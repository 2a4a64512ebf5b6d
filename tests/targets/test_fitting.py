"""Configurations fitted to what targets can take."""

from __future__ import annotations

from dataclasses import replace

import pytest
from vnethash.spec.configuration import Configuration
from vnethash.targets.base import Capabilities
from vnethash.targets.fitting import fit, is_legal

ALL = frozenset({"queue", "report", "value"})


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
