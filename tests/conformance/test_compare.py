"""Two targets against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.compare import compare
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings

from tests.conformance.planted import FRAMES, Planted, cases

if TYPE_CHECKING:
    from vnethash.spec.configuration import Configuration


def test_targets_with_the_same_readings_agree() -> None:
    found = compare(Planted(name="one"), Planted(name="two"), cases())
    assert found.compared == len(cases())
    assert found.differing == 0
    assert not found.differences


def test_a_difference_of_readings_is_named_by_its_question_and_has_a_witness() -> None:
    found = compare(Planted(name="one"), Planted(readings=Readings(fragment_flags=1), name="two"), cases())
    (difference,) = found.differences
    assert difference.slug == "fragment-flags"
    assert difference.frame == FRAMES["TCP over IPv4 with DF"]
    assert difference.first != difference.second
    assert difference.observed[0] != difference.observed[1]


def test_only_what_both_show_is_compared() -> None:
    labels = Readings(ex_label=1)
    assert compare(Planted(), Planted(readings=labels), cases()).differing > 0
    assert compare(Planted(), Planted(readings=labels, observes=["queue", "value"]), cases()).differing == 0


def test_a_difference_that_no_reading_names_is_told_by_what_was_shown() -> None:
    def blind(frame: bytes, _: Configuration, told: Outcome) -> Outcome:
        return Outcome(0, 0, 200) if frame == FRAMES["TCP over IPv4"] else told

    found = compare(Planted(name="one"), Planted(blind, name="two"), cases((2,)))
    (difference,) = found.differences
    assert "no question names this" in difference.title
    assert difference.second == "reports NONE"
