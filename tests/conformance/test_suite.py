"""The static suite."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations

import pytest
from vnethash.conformance.suite import SUITES, Case, coverage, load_suite, numbered, told_apart
from vnethash.conformance.suite.combinations import MASKS
from vnethash.conformance.suite.coverage import CONTEXTS, Pair, all_pairs, run
from vnethash.conformance.suite.steering import zero_flow
from vnethash.conformance.suite.tunnel import TUNNELS
from vnethash.models.allowed import dialect, leaves, offered_readings
from vnethash.models.reference import outcome
from vnethash.models.toeplitz import toeplitz
from vnethash.spec.clauses import load as load_clauses
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.craft import FLOWS4, FLOWS6
from vnethash.spec.errors import UsageError
from vnethash.spec.questions import load_questions

DEFAULT = load_suite("default")
QUICK = load_suite("quick")
COVERAGE = coverage(DEFAULT.cases)
#: Differences that cannot show in a queue: what is only reported, and the value where nothing is hashed.
NOT_IN_THE_QUEUE = {"ex-label", "unhashed-value"}


def by_comment(words: str) -> list[Case]:
    return [case for case in DEFAULT.cases if words in case.comment]


def test_every_rule_is_reached() -> None:
    assert COVERAGE.missing_rules() == []


def test_every_event_is_seen() -> None:
    assert COVERAGE.missing_events() == []


def test_every_two_readings_of_every_question_are_told_apart() -> None:
    assert COVERAGE.missing_pairs() == []
    assert COVERAGE.questions() == set(load_questions())


def test_who_sees_only_the_queue_can_tell_readings_apart_but_for_labels_and_values() -> None:
    assert {question for question, _, _ in COVERAGE.missing_pairs("queue")} == NOT_IN_THE_QUEUE


def test_most_pairs_are_told_apart_by_several_cases() -> None:
    counts = dict.fromkeys(all_pairs(), 0)
    for _, reached in numbered():
        for pair in reached.pairs & counts.keys():
            counts[pair] += 1
    assert min(counts.values()) >= 3


def test_a_hidden_question_shows_only_in_its_context() -> None:
    frame = next(case for case in by_comment("ICMPv6 message of type 6 with 8 bytes"))
    ports = load_questions()["icmpv6-ports"]
    alone = run(frame.frame, frame.configuration, {ports.field: 1})
    assert alone.outcome == run(frame.frame, frame.configuration, {}).outcome
    walked = {load_questions()["icmpv6-header"].field: 1}
    assert run(frame.frame, frame.configuration, walked).outcome != run(
        frame.frame, frame.configuration, {**walked, ports.field: 1}
    ).outcome


def test_the_contexts_name_readings_that_there_are() -> None:
    for question, contexts in CONTEXTS.items():
        assert question in load_questions()
        for context in contexts:
            for other, reading in context.items():
                assert load_questions()[other].index(reading) > 0


def test_every_hash_type_is_asked_alone_and_left_out_alone_and_in_pairs() -> None:
    assert set(MASKS) <= COVERAGE.hash_types
    assert {0, 0x1FF} <= set(MASKS)
    assert {1 << bit for bit in range(9)} <= set(MASKS)
    assert {0x1FF & ~(1 << bit) for bit in range(9)} <= set(MASKS)
    assert {1 << bit | 1 << bit + 3 for bit in range(3, 6)} <= set(MASKS)


def test_keys_and_tables_of_every_size_are_there() -> None:
    configurations = {case.configuration for case in DEFAULT.cases}
    assert {0, 4, 8, 16, 35, 40, 52, 255} <= {len(found.key) for found in configurations}
    assert {1, 2, 3, 100, 128} <= {len(found.indirection_table) for found in configurations}
    assert any(found.key == bytes(40) for found in configurations)
    inside = {found.unclassified_queue in found.indirection_table for found in configurations}
    assert inside == {True, False}
    assert {frozenset({"RSS"}), frozenset({"HASH_REPORT"})} <= {found.features for found in configurations}


def test_every_tunnel_type_is_asked_alone() -> None:
    asked = {case.configuration.tunnel_types for case in DEFAULT.cases if "HASH_TUNNEL" in case.configuration.features}
    assert {1 << bit for bit in range(9)} | {0, 0x1FF} <= asked
    assert {bit for _, _, bit in TUNNELS} == {1 << bit for bit in range(9)}


def test_the_suite_has_a_size_that_can_be_judged_in_seconds() -> None:
    assert 1500 <= len(DEFAULT.cases) <= 3100
    offered = offered_readings(defects=False)
    counts = [sum(1 for _ in leaves(case.frame, case.configuration, offered)) for case in DEFAULT.cases]
    assert max(counts) <= 200
    assert sum(counts) <= 40_000


def test_no_case_is_there_twice() -> None:
    assert len({(case.frame, case.configuration) for case in DEFAULT.cases}) == len(DEFAULT.cases)


def test_no_two_cases_have_the_same_comment_but_for_their_configuration() -> None:
    seen: dict[tuple[str, object], Case] = {}
    for case in DEFAULT.cases:
        other = seen.setdefault((case.comment, case.configuration), case)
        assert other is case, (other.id, case.id)


def test_a_comment_is_a_sentence_that_asks() -> None:
    for case in DEFAULT.cases:
        assert case.comment[0].isupper() or case.comment[0].isdigit(), case.comment
        assert case.comment.endswith("?")
        assert case.comment.isascii()
        assert case.comment.isprintable()


def test_every_case_has_clauses_that_there_are() -> None:
    for case in DEFAULT.cases:
        assert case.clauses, case.comment
        assert set(case.clauses) <= set(load_clauses())
        assert len(set(case.clauses)) == len(case.clauses)


def test_the_rules_of_the_text_are_all_cited() -> None:
    rules = {f"{prefix}-{number}" for prefix in ("V4", "V6", "X6") for number in range(5)}
    assert rules <= COVERAGE.clauses
    assert {"TUN-1", "TUN-2", "TUN-3", "TUN-4", "REP-1", "REP-2", "RSS-D3", "RSS-D4"} <= COVERAGE.clauses


def test_every_frame_fits_a_frame() -> None:
    assert all(1 <= len(case.frame) <= 65535 for case in DEFAULT.cases)
    assert {42, 54, 62, 74} <= {len(case.frame) for case in DEFAULT.cases}
    assert any(len(case.frame) > 3712 for case in DEFAULT.cases)


def test_the_smallest_frame_comes_first() -> None:
    assert len(DEFAULT.cases[0].frame) == 42


def test_ids_count_the_cases_in_order_and_cases_of_one_configuration_stand_together() -> None:
    assert [case.id for case in DEFAULT.cases] == list(range(1, len(DEFAULT.cases) + 1))
    changes = sum(one.configuration != other.configuration for one, other in zip(
        DEFAULT.cases, DEFAULT.cases[1:], strict=False))
    assert changes + 1 == len({case.configuration for case in DEFAULT.cases})


def test_ids_are_the_same_in_another_process() -> None:
    code = (
        "from vnethash.conformance.suite import load_suite\n"
        "import hashlib\n"
        "for name in ('default', 'quick'):\n"
        "    shown = repr([(case.id, case.frame, case.comment) for case in load_suite(name).cases])\n"
        "    print(hashlib.sha256(shown.encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_quick_is_small_and_tells_as_much_apart() -> None:
    assert len(QUICK.cases) <= 300
    found = coverage(QUICK.cases)
    assert found.pairs == COVERAGE.pairs
    assert found.rules == COVERAGE.rules
    assert found.events == COVERAGE.events
    assert found.clauses == COVERAGE.clauses


def test_quick_has_the_cases_of_default_with_their_ids() -> None:
    whole = {case.id: case for case in DEFAULT.cases}
    assert all(whole[case.id] == case for case in QUICK.cases)
    assert [case.id for case in QUICK.cases] == sorted(case.id for case in QUICK.cases)


def test_quick_tells_each_pair_apart_twice() -> None:
    counts = dict.fromkeys(all_pairs(), 0)
    for case, reached in numbered():
        if case in set(QUICK.cases):
            for pair in reached.pairs & counts.keys():
                counts[pair] += 1
    assert min(counts.values()) >= 2


def test_a_suite_that_is_none_is_a_usage_error_with_the_names() -> None:
    with pytest.raises(UsageError) as caught:
        load_suite("slow")
    assert all(name in caught.value.hint for name in SUITES)


def test_microsoft_vectors_have_the_values_that_their_comments_give() -> None:
    literal = dialect("literal")
    cases = by_comment("is the value Microsoft's")
    assert len(cases) == 3 * len((*FLOWS4, *FLOWS6))
    for case in cases:
        value = int(case.comment.partition("(value ")[2][:8], 16)
        assert outcome(case.frame, case.configuration, literal).value == value


def test_a_zero_flow_hashes_to_zero() -> None:
    source, ports = zero_flow(FLOWS4[0].source, FLOWS4[0].destination)
    data = source + FLOWS4[0].destination + ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    assert toeplitz(MICROSOFT_KEY, data) == 0
    literal = dialect("literal")
    for case in by_comment("which hash to 0"):
        assert outcome(case.frame, case.configuration, literal)[:2] in {(2, 0), (3, 0), (5, 0), (6, 0)}


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("fragment-flags", "with DF set"), ("zero-value", "which hash to 0"), ("no-next-header", "Next header 59"),
        ("icmpv6-header", "Neighbor Solicitation for ::1"), ("ipv4-ah", "AH and TCP over IPv4"),
        ("authentication-header", "AH and TCP over IPv6"), ("header-limit", "12 Mobility Headers"),
        ("option-limit", "behind 31 Pad1"), ("home-length", "option of length 8"),
        ("vlan-tags", "behind two customer tags"),
        ("total-length-bound", "the rest being padding"), ("ex-precedence", "TCPV6|IP_EX enabled"),
        ("ipv6-later-fragment", "payload looks like Destination Options"), ("tcp-cut", "8 bytes of a TCP header"),
    ],
)
def test_a_known_bug_has_its_case(question: str, words: str) -> None:
    assert any(question in told_apart(case) for case in by_comment(words)), (question, words)


def test_pairs_are_those_of_the_questions() -> None:
    expected = sum(
        len(list(combinations(question.readings, 2))) for question in load_questions().values()
    )
    assert len(all_pairs()) == expected
    assert Pair("ex-label", 0, 1) in all_pairs()
