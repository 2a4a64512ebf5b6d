"""Targets that keep something from one frame to the next: found, named, shown by two frames, replayed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from vnethash.conformance import records
from vnethash.conformance.capture import render as render_capture
from vnethash.conformance.check import check
from vnethash.conformance.html import render as render_page
from vnethash.conformance.replay import replay
from vnethash.conformance.report import ReportWriter, read_report
from vnethash.conformance.suite import Case
from vnethash.models.before import HeaderMemory
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import ethernet, ipv4, ipv6, tcp, udp
from vnethash.spec.errors import FormatError
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings

from tests.conformance.planted import FRAMES, Planted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vnethash.targets.base import Result

CUT = {
    "IPv4 cut to 16 bytes": ethernet(ipv4(tcp()))[:30],
    "IPv4 cut to nothing": ethernet(ipv4(tcp()))[:14],
    "IPv6 cut to 24 bytes": ethernet(ipv6(udp()))[:38],
}


def suite(types: tuple[int, ...] = (0x3F, 0x09)) -> list[Case]:
    frames = {**FRAMES, **CUT}
    pairs = [(comment, frame, number) for number in types for comment, frame in frames.items()]
    return [
        Case(comment, ("V4-1",), frame, Configuration(hash_types=number), place)
        for place, (comment, frame, number) in enumerate(pairs, 1)
    ]


def remembering(readings: Readings | None = None) -> Planted:
    """A device that reads every IP header into the same place, as QEMU's did before 8.0."""
    memory = HeaderMemory()

    def change(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        version, is_cut = memory.take(frame, Readings())
        if not is_cut or not configuration.hash_types & (1 if version == 4 else 8):
            return told
        value = memory.value(version, configuration, Readings()) or 0
        return Outcome(1 if version == 4 else 4, value, configuration.indirection_table[value & 127])

    return Planted(change, readings)


def following() -> Planted:
    """A device that sends what it does not hash where the last hashed packet went, as DPDK's TAP driver did."""
    last = [0]

    def change(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        if told.report:
            last[0] = told.queue
            return told
        return told._replace(queue=last[0])

    return Planted(change)


def found(target: Planted, cases: list[Case] | None = None) -> dict[str, records.Finding]:
    stream: list[records.AnyRecord] = []
    check(["planted"], "test", cases or suite(), lambda _: target, stream.append, now=lambda: "")
    return {record.id.partition(".")[2]: record for record in stream if isinstance(record, records.Finding)}


@pytest.fixture(scope="module")
def previous() -> records.Finding:
    findings = found(remembering())
    assert list(findings) == ["previous-addresses"]
    return findings["previous-addresses"]


def test_headers_that_are_completed_by_the_packet_before_are_one_defect_with_its_name(
    previous: records.Finding
) -> None:
    assert previous.cause == "defect"
    assert previous.cases == 6
    assert "the packet before" in previous.title
    assert {"REP-2", "V4-4"} <= set(previous.clauses)
    assert previous.effect == "hashed as IPV4 where no hash is expected"


def test_its_witness_is_two_frames_as_plain_as_can_be(previous: records.Finding) -> None:
    witness = previous.witness
    (before,) = map(bytes.fromhex, witness.before)
    assert len(before) == 34, "an IPv4 header and nothing more"
    assert bytes.fromhex(witness.frame) == CUT["IPv4 cut to nothing"]
    assert "not shown" not in witness.reason


def test_it_replays_with_the_frame_before_it_and_is_fixed_where_nothing_is_kept(previous: records.Finding) -> None:
    answer = replay(previous, lambda _: remembering())
    assert (answer.verdict, answer.exit_code) == ("still there", 1)
    assert replay(previous, lambda _: Planted()).verdict == "fixed"
    bare = msgspec.structs.replace(previous, witness=msgspec.structs.replace(previous.witness, before=[]))
    assert replay(bare, lambda _: remembering()).verdict != "still there", "alone it is another answer"


def test_a_target_that_does_not_keep_the_order_of_a_batch_is_asked_frame_by_frame() -> None:
    class Shuffled(Planted):
        """As QEMU behind a TAP: what lies in several queues is taken in any order."""

        chance = random.Random(11)

        def run(self, frames: Sequence[bytes]) -> list[Result]:
            order = self.chance.sample(range(len(frames)), len(frames))
            results = dict(zip(order, super().run([frames[place] for place in order]), strict=True))
            return [results[place] for place in range(len(frames))]

    memory = remembering()
    findings = found(Shuffled(memory._change))
    finding = findings["previous-addresses"]
    assert len(finding.witness.before) == 1
    assert replay(finding, lambda _: remembering()).verdict == "still there"


def test_other_causes_of_such_a_target_are_told_beside_it() -> None:
    findings = found(remembering(Readings(fragment_flags=1)))
    assert {slug: finding.cause for slug, finding in findings.items()} == {
        "fragment-flags": "defect", "previous-addresses": "defect",
    }


def test_what_has_no_name_is_told_as_an_answer_that_depends_on_the_frames_before() -> None:
    findings = found(following())
    assert list(findings) == ["depends-on-frames-before"]
    finding = findings["depends-on-frames-before"]
    assert finding.cause == "unexplained"
    assert finding.title == "the answer depends on the frames before it"
    assert {"RSS-D3", "RSS-7"} <= set(finding.clauses)
    assert len(finding.witness.before) == 1
    assert replay(finding, lambda _: following()).verdict == "still there"
    assert replay(finding, lambda _: Planted()).verdict == "fixed"


def test_a_target_that_answers_by_chance_is_not_said_to_remember() -> None:
    chance = random.Random(7)

    def change(frame: bytes, configuration: Configuration, told: Outcome) -> Result | Outcome:
        return told._replace(queue=chance.randrange(0x8000)) if told.report == 0 else told

    findings = found(Planted(change))
    assert findings
    assert not {"previous-addresses", "depends-on-frames-before"} & findings.keys()


def test_a_target_without_memory_is_asked_again_and_nothing_is_made_of_it() -> None:
    findings = found(Planted(readings=Readings(fragment_flags=1, short_ip_header=1)))
    assert findings.keys() == {"fragment-flags", "short-ip-header"}
    assert all(not finding.witness.before for finding in findings.values())


def test_reports_show_the_frames_before(previous: records.Finding, tmp_path: Path) -> None:
    with ReportWriter(tmp_path) as writer:
        check(["planted"], "test", suite(), lambda _: remembering(), writer.write, now=lambda: "2026-01-01T00:00:00Z")
    report = read_report(tmp_path)
    assert report.header.format == 3
    (finding,) = report.findings
    assert finding.witness.before == previous.witness.before
    page = render_page(report)
    assert "Put before it" in page
    assert previous.witness.before[0] in page
    assert "behind eth/ipv4/udp cut(0)" in page
    capture = render_capture(report)
    assert capture.index(bytes.fromhex(finding.witness.before[0])) < capture.index(b"T1.previous-addresses defect at")
    assert b"put before the packet of this finding" in capture
    path = tmp_path / "report.jsonl"
    path.write_text(path.read_text().replace('"before":["', '"before":["x', 1))
    with pytest.raises(FormatError, match="witness: before is not"):
        read_report(tmp_path)
