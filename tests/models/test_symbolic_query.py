"""Witnesses of the solver: as short as they can be, and true in CPython."""

from __future__ import annotations

import dataclasses
import os

import pytest
from vnethash.models.reference import NEGOTIATED, decide, enabled_tunnels, hash_input, outcome
from vnethash.models.symbolic import query
from vnethash.models.symbolic.late import LATE
from vnethash.models.symbolic.query import ReplayError, Sat, Unknown, Unsat, Witness, distinguish, plainest
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import TunnelType
from vnethash.spec.errors import EXIT_TOOL, FormatError, UsageError
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

#: Question, readings, bytes of the shortest witness, worked out by hand. All but "ex-precedence" are searched from
#: the shortest frame on.
SHORTEST = [
    ("ipv4-first-fragment", "ports", "addresses", 42),  # 14 Ethernet, 20 IPv4, 8 UDP
    ("tcp-cut", "addresses", "ports", 38),  # the ports alone
    ("atomic-fragment", "whole", "fragment", 70),  # 14, 40 IPv6, 8 Fragment, 8 UDP
    ("ex-precedence", "ip-ex-first", "transport-first", 70),
    ("home-length", "ignored", "taken", 74),  # an option of a wrong length, and 16 bytes behind it
    ("no-next-header", "upper-layer", "extension", 54),
    ("authentication-header", "extension", "upper-layer", 54),  # announced, not there
]


@pytest.mark.parametrize(("question", "first", "second", "size"), SHORTEST)
def test_the_shortest_witness_is_as_long_as_it_must_be(question: str, first: str, second: str, size: int) -> None:
    least = 63 if question == "ex-precedence" else 14
    most = size if question == "home-length" else 96  # longer frames of options take a quarter of a minute
    links = ("ipv6",) if size >= 54 else None
    answer = distinguish(question, first, second, least=least, most=most, links=links, seconds=120)
    assert isinstance(answer, Sat)
    assert len(answer.witness.frame) == size
    assert answer.minimal
    assert answer.none_below == size
    assert replayed(answer.witness, answer.witness.first) != replayed(answer.witness, answer.witness.second)
    if question == "ipv4-first-fragment":
        assert answer.others == ()
        assert answer.witness.frame[20] & 0xE0 == 0x20  # MF and nothing else


def replayed(witness: Witness, readings: Readings) -> tuple[int, bytes]:
    frame, configuration = witness.frame, witness.configuration
    chosen = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    return chosen.report, hash_input(frame, len(frame), chosen)


def test_a_tag_makes_a_packet_four_bytes_longer() -> None:
    answer = distinguish("vlan-tags", "any", "none", links=("customer-tag", "service-tag"), seconds=120)
    assert isinstance(answer, Sat)
    assert len(answer.witness.frame) == 14 + 4 + 20


def test_a_gre_header_that_matches_no_enabled_type_needs_no_inner_packet() -> None:
    tunnels = NEGOTIATED | TunnelType.NVGRE
    answer = distinguish(
        "gre-types", "by-header", "any", links=("ipv4",), least=34, most=41, types=1, tunnels=tunnels, seconds=120
    )
    assert isinstance(answer, Sat)
    assert len(answer.witness.frame) == 14 + 20 + 4
    assert "HASH_TUNNEL" in answer.witness.configuration.features
    assert replayed(answer.witness, answer.witness.first) != replayed(answer.witness, answer.witness.second)


def test_below_the_shortest_witness_there_is_none() -> None:
    answer = distinguish("ipv4-first-fragment", "ports", "addresses", most=41)
    assert isinstance(answer, Unsat)
    assert answer.exact
    assert (answer.least, answer.most) == (14, 41)


def test_under_other_readings_of_other_questions_a_question_may_be_without_consequence() -> None:
    refused = Readings(ipv4_options=1, udp_cut=2)
    answer = distinguish("udp-cut", "unhashed", "addresses", context=refused, most=33)
    assert isinstance(answer, Unsat)


def test_loops_that_are_not_unrolled_far_enough_make_no_proof() -> None:
    answer = distinguish(
        "home-repeated", "first", "last", links=("ipv6",), turns={"options.home_address": 1}, least=62, most=62
    )
    assert isinstance(answer, Unsat)
    assert not answer.exact


def test_a_query_that_takes_too_long_is_killed_and_answers_unknown() -> None:
    answer = distinguish("route-segments", "any", "one", seconds=0.3)
    assert isinstance(answer, Unknown)
    assert "0.3 s" in answer.reason
    assert 0.3 <= answer.seconds < 5
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # no child is left


def test_a_query_that_needs_too_much_memory_answers_unknown() -> None:
    answer = distinguish("route-segments", "any", "one", megabytes=64, seconds=60)
    assert isinstance(answer, Unknown)


@pytest.mark.parametrize("field", sorted(LATE))
def test_questions_about_keys_and_tables_are_answered_without_a_solver(field: str) -> None:
    question = next(item for item in load_questions().values() if item.field == field)
    for reading in question.readings[1:]:
        answer = distinguish(question.id, question.readings[0].name, reading.name)
        assert isinstance(answer, Sat)
        witness = answer.witness
        first = outcome(witness.frame, witness.configuration, witness.first)
        assert first != outcome(witness.frame, witness.configuration, witness.second)
        assert len(witness.frame) <= 54


def test_a_witness_that_does_not_hold_in_cpython_is_a_fault_of_the_tool() -> None:
    question = load_questions()["fragment-flags"]
    wrong = Witness(bytes(60), Configuration(), Readings(), Readings(fragment_flags=1))
    with pytest.raises(ReplayError, match="does not hold") as caught:
        plainest(wrong, question)
    assert caught.value.exit_code == EXIT_TOOL


def test_the_plainest_witness_has_no_bit_that_could_be_spared() -> None:
    answer = distinguish("fragment-flags", "mf-or-offset", "any-flag", links=("ipv4",))
    assert isinstance(answer, Sat)
    frame = answer.witness.frame
    assert (len(frame), answer.minimal) == (42, True)
    for place in range(len(frame)):
        for bit in range(8):
            if frame[place] >> bit & 1:
                spared = frame[:place] + bytes([frame[place] & ~(1 << bit)]) + frame[place + 1:]
                other = dataclasses.replace(answer.witness, frame=spared)
                raised = query.questions_raised(other, load_questions()["fragment-flags"])
                assert not query.differs(other) or len(raised) > len(answer.others)


def test_what_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no question"):
        distinguish("nonsense", "a", "b")
    with pytest.raises(FormatError, match="no reading"):
        distinguish("fragment-flags", "a", "b")
    with pytest.raises(UsageError, match="links"):
        distinguish("fragment-flags", "mf-or-offset", "any-flag", links=("token-ring",))
