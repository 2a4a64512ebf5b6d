"""Cases in bytes, headers of frames, mutants, and reduction: total, and never out of bounds."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vnethash.conformance.suite import load_suite
from vnethash.fuzz.anatomy import follower, headers, without
from vnethash.fuzz.case import MOST_FRAMES, Case, decode, encode
from vnethash.fuzz.mutation import Layout, children, dictionary, mutated_configuration
from vnethash.fuzz.reducer import cost, reduce
from vnethash.fuzz.seeds import traffic
from vnethash.fuzz.signature import ANY, covers, frame_features
from vnethash.models.summarize import summarize
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import (
    destination_options,
    ethernet,
    fragment,
    hop_by_hop,
    ipv4,
    ipv6,
    padn,
    tcp,
    udp,
)
from vnethash.targets.base import Capabilities

ALL = Capabilities(frozenset({"queue"}), frozenset({"RSS", "HASH_REPORT", "HASH_TUNNEL"}), tunnel_types=511)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_case_and_a_case_comes_back_from_its_bytes(data: bytes) -> None:
    case = decode(data)
    assert 1 <= len(case.frames) <= MOST_FRAMES
    assert decode(encode(case)) == case
    assert Configuration.from_json(case.configuration.to_json()) == case.configuration


def test_every_configuration_of_the_suite_survives_being_written_in_bytes() -> None:
    for case in load_suite("quick").cases:
        known = {"RSS", "HASH_REPORT", "HASH_TUNNEL", "CTRL_VQ", "MQ"}
        configuration = case.configuration
        plain = configuration.features <= known and configuration.hash_types < 0x10000
        if plain and configuration.tunnel_types < 0x100 and configuration.max_tx_vq == 1:
            whole = Case(configuration, (case.frame, case.frame[:20], case.frame))
            assert decode(encode(whole)) == whole


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_headers_lie_in_order_inside_of_any_frame(frame: bytes) -> None:
    for header in headers(frame):
        assert 0 <= header.start <= header.end <= len(frame)
        assert header.link < len(frame) or header.link == 0


def test_headers_are_found_where_an_independent_walker_finds_them() -> None:
    names = {"eth": "eth", "vlan": "vlan", "ipv4": "ipv4", "ipv6": "ipv6", "tcp": "tcp", "udp": "udp", "frag": "frag",
             "dstopts": "dstopts", "hbh": "hbh", "rt": "rt"}  # fmt: skip
    for frame in traffic():
        words = summarize(frame)
        for header in headers(frame):
            assert names.get(header.kind, "") in words


def test_a_header_taken_out_leaves_a_frame_that_is_well_formed() -> None:
    whole = ethernet(ipv6(hop_by_hop(), fragment(more=True), udp(payload=b"abc")))
    hop = next(header for header in headers(whole) if header.kind == "hbh")
    assert without(whole, hop, follower(whole, hop)) == ethernet(ipv6(fragment(more=True), udp(payload=b"abc")))


def test_mutants_follow_from_the_seed_and_differ() -> None:
    frames = traffic()
    made = [children(Random(3), Layout(frame), 40, frames) for frame in frames]
    assert made == [children(Random(3), Layout(frame), 40, frames) for frame in frames]
    assert len({child for group in made for child in group}) > 0.8 * 40 * len(frames)
    assert max(len(child) for group in made for child in group) <= 1600


@given(st.binary(max_size=120), st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_no_frame_is_too_odd_to_be_mutated(frame: bytes, seed: int) -> None:
    rng = Random(seed)
    for child in children(rng, Layout(frame), 64, [frame, *traffic()[:3]]):
        headers(child)


def test_mutated_configurations_stay_within_what_a_target_takes() -> None:
    rng = Random(5)
    configuration = Configuration()
    narrow = Capabilities(frozenset({"queue"}), frozenset({"RSS"}), hash_types=0x3F, max_indirection_table_length=16)
    for _ in range(300):
        configuration = mutated_configuration(rng, configuration, narrow)
        if configuration != Configuration():
            assert len(configuration.indirection_table) in {128, 1, 2, 4, 8, 16}
            assert configuration.tunnel_types == 0
    assert dictionary()


def test_reduction_ends_at_the_same_plain_witness_from_anywhere() -> None:
    plain = Configuration()

    def holds(case: Case) -> bool:
        return any(
            header.kind == "dstopts" and header.end - header.start == 40
            for header in headers(case.frame)
        )

    starts = [
        ethernet(ipv6(hop_by_hop(), destination_options(padn(30)), fragment(more=True), tcp(payload=bytes(99)))),
        ethernet(ipv6(destination_options(padn(30)), destination_options(), udp(), flow_label=77), tags=(0x8100,)),
    ]
    ends = {reduce(Case(Configuration(hash_types=3), (start,)), plain, holds) for start in starts}
    assert len(ends) == 1
    end = ends.pop()
    assert end.configuration == plain
    assert ("dstopts.len", 4) in frame_features(end.frame)
    assert {place for place, _ in frame_features(end.frame)} == {"dstopts.len", "has dstopts", "has ipv6"}
    assert all(cost(end, plain) < cost(Case(plain, (start,)), plain) for start in starts)


@pytest.mark.parametrize(
    ("general", "covered"),
    [
        ((), True), ((("ipv4.tos", 3),), True), ((("ipv4.tos", 1),), False), ((("ipv4.tos", ANY),), True),
        ((("ipv4.tos", ~2),), True), ((("ipv4.tos", ~4),), False), ((("has tcp", 1),), True),
        ((("has tcp", 2),), False), ((("ipv4.ttl", ANY),), False),
    ],
)  # fmt: skip
def test_a_condition_covers_what_has_all_it_asks_for(general: tuple[tuple[str, int], ...], covered: bool) -> None:
    assert covers(general, frame_features(ethernet(ipv4(tcp(), tos=3)))) is covered
