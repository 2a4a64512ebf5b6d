"""Proofs about pairs of readings: witnesses hold, are as short as can be, and a reading without effect is noticed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from vnethash.models import transport
from vnethash.models.options import home_address
from vnethash.models.packet import Packet
from vnethash.models.reference import decide, enabled_tunnels, hash_input, outcome
from vnethash.models.symbolic import options_walk, pairs, place
from vnethash.models.symbolic.late import LATE
from vnethash.models.symbolic.options_walk import address_inside, may_be_asked, may_matter
from vnethash.models.symbolic.place import asked_elsewhere, chosen, moved
from vnethash.models.symbolic.query import questions_raised
from vnethash.models.symbolic.scene import WALK_QUESTIONS, Scene, in_walk
from vnethash.models.symbolic.shortest import Hunt, Space
from vnethash.models.symbolic.stage import Found
from vnethash.models.transport import Transport, reach
from vnethash.spec.configuration import Configuration
from vnethash.spec.questions import load_questions, questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from vnethash.models.symbolic.obligations import Task, Verdict


def task(name: str) -> Task:
    return next(item for item in pairs.tasks() if item.name == name)


def rows(verdict: Verdict) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", verdict.data["pairs"])


def selected(frame: bytes, configuration: Configuration, readings: Readings) -> tuple[int, bytes]:
    found = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    return found.report, hash_input(frame, len(frame), found)


def test_there_is_a_task_for_every_question_and_names_are_unique() -> None:
    names = [item.name for item in pairs.tasks()]
    assert set(load_questions()) < set(names)
    assert len(set(names)) == len(names)


#: Question, and for some pairs the bytes of the shortest frame, worked out by hand.
SAMPLES: dict[str, dict[tuple[str, str], int]] = {
    "udp-cut": {("addresses", "ports"): 38, ("addresses", "beyond"): 34},
    "ipv4-first-fragment": {("ports", "addresses"): 42},
    "ipv4-ah": {("upper-layer", "skipped"): 50},  # 14 Ethernet, 20 IPv4, an AH of 8, 8 UDP
    "unknown-next-header": {("upper-layer", "unhashed"): 54},
    "short-ip-header": {("unhashed", "zero-filled"): 14},
    "gre-version": {("outer", "unhashed"): 38},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_pair_has_a_shortest_frame_that_holds_in_cpython(name: str) -> None:
    question = load_questions()[name]
    verdict = pairs.run(task(name))
    assert verdict.kind == "proved", verdict.detail
    found = rows(verdict)
    count = len(question.readings)
    assert len(found) == count * (count - 1) // 2
    for row in found:
        first, second = (Readings(**{question.field: question.index(reading)}) for reading in row["readings"])
        frame, configuration = bytes.fromhex(row["frame"]), Configuration.from_json(row["configuration"])
        assert selected(frame, configuration, first) != selected(frame, configuration, second)
        assert row["minimal"]
        assert row["none_below"] == row["length"] == len(frame)
        expected = SAMPLES[name].get(tuple(row["readings"]))
        assert expected in (None, len(frame))


@pytest.mark.parametrize("field", sorted(LATE))
def test_pairs_of_questions_about_keys_and_tables_are_told_apart_by_outcomes(field: str) -> None:
    question = next(item for item in load_questions().values() if item.field == field)
    verdict = pairs.run(task(question.id))
    assert verdict.kind == "proved"
    for row in rows(verdict):
        first, second = (Readings(**{field: question.index(reading)}) for reading in row["readings"])
        frame, configuration = bytes.fromhex(row["frame"]), Configuration.from_json(row["configuration"])
        assert outcome(frame, configuration, first) != outcome(frame, configuration, second)


def udp_without_beyond(frame: bytes, offset: int, end: int, readings: Readings) -> Transport:
    """Take the reading "beyond" of udp-cut for "addresses": what a slip in the model would do."""
    if offset + 8 > end:
        if readings.udp_cut == 1 and offset + 4 <= end:
            return Transport(17, False, 0)
        return Transport(0, readings.udp_cut == 2, 0)
    return Transport(17, False, reach(frame, offset, end, 17) * 0)


def test_a_reading_that_the_model_ignores_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "udp", udp_without_beyond)
    monkeypatch.setattr(pairs, "_MOST", 61)
    verdict = pairs.run(replace(task("udp-cut"), seconds=200))
    assert verdict.kind == "refuted"
    assert "addresses and beyond" in verdict.detail
    assert "ports and beyond" not in verdict.detail
    assert "14 to 61 bytes" in verdict.detail


def test_of_two_frames_as_short_the_one_that_raises_fewer_questions_is_told() -> None:
    question = load_questions()["ihl-below-five"]
    hunt = Hunt(question, Space(("ipv4",), 34, 38), seconds=100, pairs=((0, 2),))
    hunt.best[0, 2] = Found(bytes.fromhex("00" * 12 + "0800 4400 0013" + "00" * 16 + "01020304"), 1, 0)
    hunt.found_in[0, 2] = "ipv4"
    raised = questions_raised(hunt.witness((0, 2), hunt.best[0, 2]), question)
    fewer = questions_raised(hunt.witness((0, 2), hunt.alone((0, 2))), question)
    assert raised == ("total_length_short",)
    assert fewer == ()


def test_a_packet_is_judged_alike_in_two_places() -> None:
    assert chosen(60).holds()
    for ethertype in (0x0800, 0x86DD):
        assert moved(ethertype, 58, 60).holds()


def test_a_model_that_looks_at_the_place_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "network", looks_at_place)
    found = moved(0x0800, 40, 60)
    assert not found.holds()
    assert "short_ip_header" in found.asked


def looks_at_place(frame: bytes, ethertype: int, start: int, end: int, readings: Readings) -> Packet:
    refused = True
    if start < 22:
        refused = readings.short_ip_header == 0
    return Packet(4, start, 0, end, 0, 0, refused, False, False, 0, 0, 0, 0)


def test_where_no_packet_is_announced_only_questions_about_links_are_asked() -> None:
    assert asked_elsewhere(60) <= {"llc_snap", "shim_headers", "vlan_tpid", "vlan_tags"}
    ranges = place.others()
    covered = sum(top - least + 1 for _, (least, top) in ranges)
    assert covered == 65536 - 4


def test_walks_through_options_keep_what_is_used_of_them() -> None:
    assert address_inside(60) == ()
    assert not may_be_asked("home_repeated", 24, 60)
    assert may_be_asked("home_repeated", 40, 60)
    assert not may_matter("option_limit", 32, 60)


def walk_behind_its_header(frame: bytes, header: int, size: int) -> int:
    if frame[header + 2] == 0xC9:
        return header + 4
    return 0


def test_an_address_that_may_lie_outside_its_header_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_walk, "plain_home", walk_behind_its_header)
    assert address_inside(60) == ("plain_home",)


def random_options(r: Random) -> tuple[bytes, int]:
    """Return a frame that is a Destination Options header at 14 with such options as raise questions, and its size."""
    size = 8 * r.randrange(1, 7)
    octets = [r.choice((0, 0, 1, 2, 4, 5, 9, 16, 17, 0x3F, 0xC9, 0xC9)) for _ in range(size)]
    place = r.randrange(2, size)
    octets[place:place + 2] = [0xC9, r.choice((0, 4, 16, 16, 17, 32))]
    if size >= 40 and r.randrange(4) == 0:
        octets[2:4] = octets[20:22] = [0xC9, 16]
    frame = bytes(14) + bytes(octets[:size]) + bytes(24)
    return frame[:r.randrange(16, len(frame))], size


def refusing_walks(field: str, number: int) -> bool:
    """Say whether under one reading, others being literal, a walk was seen to refuse a packet."""
    r = Random(7)
    readings = Readings(**{field: number})
    for _ in range(4000):
        frame, size = random_options(r)
        end = len(frame) if r.randrange(2) else min(len(frame), 14 + size)
        if home_address(frame, 14, size, end, readings).refused:
            return True
    return False


@pytest.mark.parametrize("field", sorted({*WALK_QUESTIONS, "chain_cut", "header_limit"}))
def test_a_walk_that_is_left_out_refuses_under_the_readings_under_which_walks_do(field: str) -> None:
    scene = Scene(most=90)
    literal = dict.fromkeys(Readings._fields, 0)
    for number in range(len(questions_by_field()[field].readings)):
        walked = in_walk(scene.readings({**literal, field: number}), {})
        assert walked.refuses == refusing_walks(field, number), number


#: Questions whose frames hold home addresses, with the kind and the length of the frame.
WALKED = {"home_header": 86, "home_overrun": 74, "plain_addresses": 78}


@pytest.mark.parametrize("field", WALKED)
def test_a_frame_is_found_though_walks_are_left_out_where_nothing_is_found(field: str) -> None:
    question = questions_by_field()[field]
    size = WALKED[field]
    pair = (0, len(question.readings) - 1)
    found = Hunt(question, Space(("ipv6",), size - 1, size), seconds=200, pairs=(pair,)).run()
    (apart,) = found.values()
    assert apart.witness is not None
    assert (len(apart.witness.frame), apart.none_below, apart.reason) == (size, size, "")
