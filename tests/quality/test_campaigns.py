"""Campaigns end within their time, tell one cause once, and find what the static suite finds."""

from __future__ import annotations

import sys
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from against_static import Row, beside, campaign_on, held_against
from defects import DEFECTS
from hidden import HIDDEN, several
from hunts import hunt, shown_by
from in_process import InProcess, campaign_of
from plain import Packet, Plain
from vnethash.fuzz.campaign import Campaign, Limits
from vnethash.fuzz.case import Case
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.found import Found
from vnethash.fuzz.reducer import reduce
from vnethash.fuzz.seeds import traffic
from vnethash.fuzz.signature import Signature, frame_features
from vnethash.fuzz.subject import Subject
from vnethash.fuzz.sweep import Sweep, settings
from vnethash.models.allowed import dialect
from vnethash.models.before import PREVIOUS
from vnethash.spec import craft
from vnethash.spec.configuration import Configuration
from vnethash.spec.questions import load_questions
from vnethash.targets.base import Capabilities
from vnethash.targets.registry import open_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.targets.base import Result

ALL = Capabilities(
    frozenset({"queue"}), frozenset({"RSS", "HASH_REPORT", "HASH_TUNNEL"}), tunnel_types=511, queues=1024,
    max_indirection_table_length=512,
)


class Slow(InProcess):
    """A device that takes a second for each time it is asked, by a clock of its own."""

    now = 0.0

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        type(self).now += 1
        return super().run(frames)


def test_a_campaign_asks_nothing_more_when_its_time_is_over() -> None:
    for seconds in (40, 300):
        Slow.now = 0.0
        subject = Subject("slow", lambda _: Slow("slow", several("ttl", "option-length", "vlan-priority", "urgent")))
        began = Slow.now
        campaign = Campaign([subject], Corpus(), None, seed=1, limits=Limits(seconds), clock=lambda: Slow.now)
        campaign.run(load_engine("builtin"))
        # What was asked last may be the answer to a witness that was being reduced.
        assert seconds * 0.5 < Slow.now - began <= seconds + 1
    assert campaign.causes()


def test_a_cause_that_shows_only_without_some_hash_types_is_told_once() -> None:
    (cause,) = campaign_of(several("all-but-udp6"), 4_000, seed=2).causes()
    assert ("config.hash_types", 0x1DF) in cause.signature.features


@pytest.mark.parametrize("name", ["parse-window", "fallback-to-addresses", "tag-8021ad-two"])
def test_what_shows_by_many_headers_or_hash_types_is_told_once(name: str) -> None:
    found = hunt(DEFECTS[name].device, 1, executions=12_000, awaited=sys.maxsize)
    assert len(found.causes) == 1, [cause.signature.words() for cause in found.causes]


def test_a_reading_that_odd_frames_alone_speak_for_is_not_told() -> None:
    # What it reads of later fragments looks as if it never used a route, but of plain packets it does.
    found = hunt(DEFECTS["later-fragment-options"].device, 1, executions=12_000, awaited=sys.maxsize)
    assert found.causes
    assert "home-route-pair" not in {cause.question for cause in found.causes}


def test_a_cause_of_any_headers_far_into_the_frame_hides_no_other() -> None:
    class Both(DEFECTS["parse-window"].device, HIDDEN["option-length"].device):  # type: ignore[misc]
        name = "both"

    found = hunt(Both, 1, executions=12_000, awaited=sys.maxsize)
    devices = {name: table[name].device for table, name in ((DEFECTS, "parse-window"), (HIDDEN, "option-length"))}
    assert sorted(shown_by(cause, devices) for cause in found.causes) == [["option-length"], ["parse-window"]]


class Previous(Plain):
    """Reads each IP header into the same place, so that one that is cut short keeps the rest of the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = {0x0800: bytearray(20), 0x86DD: bytearray(40)}

    def dissect(self, frame: bytes) -> Packet | None:
        kind, at = self.link(frame)
        if kind in self.kept:
            there = frame[at:at + len(self.kept[kind])]
            self.kept[kind][:len(there)] = there
            if len(there) < len(self.kept[kind]):
                frame = frame[:at] + self.kept[kind]
        return super().dissect(frame)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_kept_of_the_packet_before_is_told_with_that_packet(seed: int) -> None:
    (cause,) = hunt(Previous, seed, executions=8_000, awaited=sys.maxsize).causes
    assert cause.title == PREVIOUS.title
    assert cause.signature.before
    assert len(cause.case.frames) == 2
    # A device that was just started shows it, and only behind that packet.
    assert shown_by(cause, {"it": Previous, "plain": Plain}) == ["it"]
    alone = replace(cause, case=replace(cause.case, frames=cause.case.frames[-1:]))
    assert shown_by(alone, {"it": Previous}) == []


class Forgets(Plain):
    """Hashes with another key behind a packet that was hashed; forgets all when it is configured."""

    hashed = False

    def configure(self, config: Any) -> None:
        super().configure(config)
        self.hashed = False

    def judge(self, frame: bytes) -> tuple[int, int, int]:
        report, value, queue = super().judge(frame)
        before, self.hashed = self.hashed, report != 0
        return report, value ^ before if report else value, queue


def test_what_shows_behind_any_frame_says_so() -> None:
    (cause,) = hunt(Forgets, 1, executions=300).causes
    assert cause.signature.words() == "any frame, after any frame"
    assert shown_by(cause, {"it": Forgets}) == ["it"]


def test_an_answer_that_is_the_same_behind_any_packet_is_not_of_the_packet_before() -> None:
    for name, depends in (("stale-queue", True), ("unclassified-to-0", False), ("ttl", False)):
        make = DEFECTS[name].device if name in DEFECTS else HIDDEN[name].device
        (cause,) = [cause for cause in hunt(make, 1, executions=600, beyond=0.0).causes if cause.kind == "unexplained"]
        assert bool(cause.signature.before) is depends
        assert ("any frame" in cause.signature.words()) is depends
        assert shown_by(cause, {name: make}) == [name]


def test_what_contradicts_itself_is_one_cause_and_told_before_the_end() -> None:
    found = hunt(lambda: several("vlan-priority"), 1, executions=60_000, beyond=0.0)
    (cause,) = found.causes
    assert cause.kind == "inconsistent"
    assert ("has vlan", 1) in cause.signature.features
    assert found.told[cause.id][0] < 60_000
    devices = {"it": lambda: several("vlan-priority"), "other": lambda: several("ttl"), "plain": Plain}
    assert shown_by(cause, devices) == ["it"]


def test_a_campaign_from_an_empty_corpus_finds_the_readings_that_the_static_suite_finds() -> None:
    ndis, literal = dialect("ndis")._asdict(), dialect("literal")._asdict()
    findings = [
        {"id": question.id, "cause": "reading", "question": question.id, "witness": None, "vectors": [1],
         "reading": question.readings[ndis[question.field]].name}
        for question in load_questions().values()
        if question.field in ndis and ndis[question.field] != literal[question.field]
    ]  # fmt: skip
    campaign = campaign_on("model:ndis", open_target, 1, executions=20_000)
    rows = held_against(campaign, findings)
    assert len(rows) == 11
    assert {row.how for row in rows if row.cause is not None} == {"reading"}
    assert sum(row.cause is not None for row in rows) >= 9, [row.line() for row in rows]
    assert beside(campaign, rows) == []
    for row in rows:
        assert row.cause is None or 0 < row.cause.executions <= 20_000


def test_a_finding_without_a_cause_is_told_as_such() -> None:
    assert "not found" in Row("T1.x", "defect", "", True, None, "").line()
    assert "sequences" in Row("T1.x", "defect", "", False, None, "").line()


def test_a_frame_that_ends_behind_its_ethertype_is_no_plain_frame() -> None:
    for kind in (0x0800, 0x86DD, 0x88B5):
        assert frame_features(bytes(12) + craft.two(kind)) != frame_features(craft.ethernet(craft.ipv4(craft.udp())))
        assert ("type", kind) in frame_features(bytes(12) + craft.two(kind))


def test_a_cause_that_usual_frames_do_not_show_is_taken_for_nothing_else() -> None:
    case = Case(Configuration(), (traffic()[0],))
    found = Found("it", "unexplained", "", (), Signature("value", "V4-1", ()), case, None, "")
    assert found.covers((("has tcp", 1),))
    found.narrow = True
    assert not found.covers((("has tcp", 1),))
    assert found.covers(())


def test_reduction_that_asks_many_at_once_ends_at_the_same_witness_and_asks_fewer_alone() -> None:
    plain = Configuration()

    def holds(case: Case) -> bool:
        return case.frame[14:15] == b"\x60" and case.configuration.hash_types & 2 == 0

    for upper in (craft.tcp(), craft.udp(payload=b"abc")):
        start = Case(
            Configuration(hash_types=0x18, unclassified_queue=3),
            (craft.ethernet(craft.ipv6(craft.home_options(), craft.fragment(more=True), upper)),),
        )
        alone: list[Case] = []

        def asked(case: Case, alone: list[Case] = alone) -> bool:
            alone.append(case)
            return holds(case)

        witness = reduce(start, plain, asked)
        one_by_one = len(alone)
        alone.clear()
        assert reduce(start, plain, asked, screen=lambda cases: [case for case in cases if holds(case)]) == witness
        assert len(alone) < one_by_one


@pytest.mark.needs_kernel
@pytest.mark.needs_steering
@pytest.mark.needs_tun
def test_frames_that_a_test_run_cannot_show_are_put_to_the_target_on_its_tap() -> None:
    subject = Subject("qemu-ebpf", open_target)
    try:
        tagged = [craft.ethernet(craft.ipv4(craft.udp()), tags=tags) for tags in ((0x8100,), (0x88A8,))]
        batch = subject.put(subject.plain, [traffic()[0], *tagged, bytes(13)])
        assert batch is not None
        assert batch.answered == 3
        assert subject.skipped == 1
        # Its program looks for the EtherType where a second tag would have it.
        assert 2 in batch.differing
        assert 1 not in batch.differing
    finally:
        subject.close()


def test_the_sweep_tries_every_setting_and_nothing_twice_in_one_surrounding() -> None:
    plain = Configuration()
    sweep = Sweep(Random(1), plain, ALL)
    sweep.learn(Case(plain, (craft.ethernet(craft.ipv4(craft.udp())),)))
    seen: set[Configuration] = set()
    ports: list[bytes] = []
    while (drawn := sweep.batch(256)) is not None:
        configuration, frames = drawn
        assert 0 < len(frames) <= 256
        seen.add(configuration)
        ports += [frame[36:38] for frame in frames if configuration == plain and len(frame) == 42]
    assert set(settings(plain, ALL)) < seen
    assert {number.to_bytes(2, "big") for number in range(1024)} <= set(ports)
    sweep.learn(Case(plain, (craft.ethernet(craft.ipv4(craft.udp(payload=b"x"))),)))
    left = sweep.batch(256)
    assert left is None or all(len(frame) <= 43 for frame in left[1])
