"""Two targets against each other."""

from __future__ import annotations

from dataclasses import replace

from vnethash.conformance.compare import compare
from vnethash.conformance.suite import Case
from vnethash.spec.configuration import Configuration
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings

from tests.conformance.planted import FRAMES, Planted, cases, ipv6


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


def test_a_mistake_of_one_that_has_a_name_is_told_by_it() -> None:
    def limited(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        return told._replace(queue=told.queue % configuration.max_tx_vq)

    asked = [replace(case, configuration=replace(case.configuration, max_tx_vq=4)) for case in cases((0x3F,))]
    found = compare(Planted(name="one"), Planted(limited, name="two"), asked)
    (difference,) = found.differences
    assert (difference.slug, difference.title) == ("max-tx-vq", "a receive queue number is taken modulo max_tx_vq")


def test_an_answer_that_depends_on_the_frames_before_is_told_so() -> None:
    last = [0]

    def following(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        last[0] = told.queue if told.report else last[0]
        return told._replace(queue=last[0])

    found = compare(Planted(name="one"), Planted(following, name="two"), cases())
    (difference,) = found.differences
    assert difference.slug == "depends-on-frames-before"
    assert difference.observed[0] != difference.observed[1]


def test_a_reading_that_stays_open_names_a_difference_where_no_settled_one_does() -> None:
    # Nothing in this frame says whether the first walks ICMPv6 and only ignores the ports behind it.
    message = bytes([17, 0]) + bytes(6) + b"\x12\x34\x56\x78\0\x08\0\0"
    frame = ipv6(58, message)
    case = Case("ICMPv6 of type 17", ("V6-3",), frame, Configuration(hash_types=0x3F), 1)
    walked = Readings(icmpv6_header=1, icmpv6_ports=1)
    found = compare(Planted(name="one"), Planted(readings=walked, name="two"), [case])
    (difference,) = found.differences
    assert difference.slug in {"icmpv6-header", "icmpv6-ports"}
