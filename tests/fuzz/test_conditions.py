"""Conditions of causes: what any number, and any extension header, means in them, and who is drawn for mutation."""

from __future__ import annotations

from random import Random

from vnethash.fuzz.anatomy import headers
from vnethash.fuzz.case import Case
from vnethash.fuzz.engines.builtin import _Parents
from vnethash.fuzz.signature import ANY, EXTENSION, covers, exchanged, frame_features, variants
from vnethash.spec import craft
from vnethash.spec.configuration import Configuration


def kinds(frame: bytes) -> list[str]:
    return [header.kind for header in headers(frame)]


def test_another_length_of_a_header_comes_with_its_bytes() -> None:
    for part, kind in (
        (craft.destination_options(craft.padn(12)), "dstopts"), (craft.extension(253, bytes(14)), "exp"),
        (craft.authentication(bytes(8)), "ah"),
    ):  # fmt: skip
        frame = craft.ethernet(craft.ipv6(part, craft.udp()))
        number = frame[55]
        longer = variants(frame, f"{kind}.len", number)
        assert len(longer) == 3
        for other in longer:
            assert kinds(other)[-1] == kinds(frame)[-1] == "udp"
            assert other[55] > number
            assert other[-8:] == frame[-8:]
            assert not any(place.endswith(("cut", "payload", "option.len")) for place, _ in frame_features(other))


def test_more_of_a_header_that_is_cut_and_other_protocols_are_tried() -> None:
    cut = craft.ethernet(craft.ipv6(craft.destination_options(craft.padn(20)), craft.udp()))[:60]
    (number,) = [number for place, number in frame_features(cut) if place == "dstopts.cut"]
    assert [dict(frame_features(other))["dstopts.cut"] for other in variants(cut, "dstopts.cut", number)] == [
        number + 1, number + 2, number + 5
    ]  # fmt: skip
    other = craft.ethernet(craft.ipv4(craft.raw(77, b"abcd")))
    assert [dict(frame_features(each))["protocol"] for each in variants(other, "protocol", 77)] == [99, 114, 200]


def test_a_header_that_is_just_there_is_exchanged_for_others_in_its_place() -> None:
    frame = craft.ethernet(craft.ipv6(craft.hop_by_hop(), craft.tcp()))
    others = exchanged(frame, "has hbh")
    assert [kinds(each)[2] for each in others] == ["dstopts", "rt"]
    assert all(kinds(each)[-1] == "tcp" and each[-20:] == frame[-20:] for each in others)
    twice = craft.ethernet(craft.ipv6(craft.hop_by_hop(), craft.hop_by_hop(), craft.tcp()))
    assert exchanged(twice, "has hbh") == exchanged(frame, "has tcp") == exchanged(frame, "hbh.len") == []


def test_any_extension_header_meets_a_condition_on_one_and_no_other_header_does() -> None:
    condition = ((EXTENSION, 1), ("has ipv6", 1))
    for part in (craft.hop_by_hop(), craft.fragment(), craft.mobility(), craft.authentication()):
        assert covers(condition, frame_features(craft.ethernet(craft.ipv6(part, craft.udp()))))
    assert not covers(condition, frame_features(craft.ethernet(craft.ipv6(craft.tcp()))))
    assert not covers(condition, frame_features(craft.ethernet(craft.ipv4(craft.udp()), tags=(0x8100,))))
    assert covers((("rt.len", ANY),), (("rt.len", 6),))


def test_tags_are_told_apart_by_their_number() -> None:
    frames = [craft.ethernet(craft.ipv4(craft.udp()), tags=(tag,)) for tag in (0x8100, 0x88A8, 0x9100)]
    assert [dict(frame_features(frame)).get("vlan.tag") for frame in frames] == [None, 0x88A8, 0x9100]


def test_parents_that_were_drawn_seldom_and_that_bore_something_new_are_preferred() -> None:
    cases = [Case(Configuration(), (bytes([number]) * 20,)) for number in range(40)]
    parents, rng = _Parents(), Random(1)
    parents.fresh(cases)
    drawn = [parents.draw(rng, cases) for _ in range(400)]
    by_chance = [rng.choice(cases) for _ in range(400)]
    counts, others = ([some.count(case) for case in cases] for some in (drawn, by_chance))
    assert 2 * (max(counts) - min(counts)) < max(others) - min(others)
    for _ in range(5):
        parents.reward(cases[7])
    again = [parents.draw(rng, cases) for _ in range(100)]
    assert again.count(cases[7]) > 2 * 100 / len(cases)
