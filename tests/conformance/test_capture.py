"""witnesses.pcapng as Wireshark reads it."""

from __future__ import annotations

import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from report_samples import ACME, QEMU, finding, findings, header, stream, witness, write
from vnethash.conformance.capture import comment, render
from vnethash.conformance.records import Allowed, Shown
from vnethash.conformance.report import draw_all, gather


def packets(*made) -> list[EnhancedPacket]:
    content = render(gather(made, Path("run/report.jsonl"), partial=True))
    return [block for block in FileScanner(BytesIO(content)) if isinstance(block, EnhancedPacket)]


def test_each_finding_is_a_packet_in_the_order_of_the_report():
    blocks = packets(*stream())
    frames = {one.id: bytes.fromhex(one.witness.frame) for target in (QEMU, ACME) for one in findings(target)}
    order = ("Q-1", "Q-2", "Q-3", "A-1", "A-2", "A-3")
    assert [block.packet_data for block in blocks] == [frames[name] for name in order]
    assert {block.timestamp for block in blocks} == {1795342272.0}


def test_each_target_is_an_interface():
    names = [block.interface.options["if_name"] for block in packets(*stream())]
    assert names == [QEMU] * 3 + [ACME] * 3


def test_the_comment_says_what_was_found_expected_and_observed():
    words = packets(*stream())[0].options["opt_comment"]
    assert words.splitlines()[:7] == [
        "Q-1 defect at qemu-ebpf: Hashes the ports of a first fragment",
        "effect: computes over addresses and ports where the text has addresses only (6 cases)",
        "clauses: V4-2, HT-1",
        "question: first-fragment, reading: ports",
        "observed: 0x1234abcd queue 3",
        "allowed: IPV4 0x85f65d33 queue 51 (if first-fragment = none)",
        "allowed: TCPV4 0x85f65d33 queue 51 (if first-fragment = ports)",
    ]
    assert words.splitlines()[-1] == "replay: vnethash replay run Q-1"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 13, 60, 65536])
def test_frames_of_any_length_are_kept_as_they_are(length):
    frame = (bytes(range(256)) * 257)[1 : length + 1]
    blocks = packets(header(), finding("X", witness=witness(frame=frame)))
    assert [block.packet_data for block in blocks] == [frame]
    assert blocks[0].packet_len == length


def test_a_comment_without_end_is_cut_and_control_characters_are_written_out():
    allowed = [Allowed(Shown(queue=number), {"q" * 300: "r" * 300}) for number in range(5000)]
    words = comment(finding("X", title="a\nb\x00" * 999, witness=witness(expected=allowed)), Path("a b"))
    assert len(words) < 8001
    assert "\x00" not in words
    assert "allowed: 4,994 more outcomes, in report.jsonl" in words
    assert words.endswith("vnethash replay 'a b' X")


def test_no_findings_make_an_empty_capture_that_is_still_one():
    assert packets(header()) == []
    assert render(gather([header()], Path("report.jsonl"), partial=True)).startswith(b"\x0a\x0d\x0d\x0a")


def test_a_run_without_a_known_time_is_in_1970():
    first = header((QEMU,))
    changed = type(first)(**{**{name: getattr(first, name) for name in first.__struct_fields__}, "started": "soon"})
    assert packets(changed, finding("X"))[0].timestamp == 0


@pytest.mark.needs_tshark
def test_tshark_shows_and_filters_the_comments(tmp_path):
    draw_all(write(tmp_path))

    def tshark(*arguments: str) -> list[str]:
        command = ["tshark", "-r", str(tmp_path / "witnesses.pcapng"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    lines = tshark("-T", "fields", "-e", "frame.len", "-e", "frame.interface_name", "-e", "frame.comment")
    assert len(lines) == 6
    assert lines[0].startswith("54\tqemu-ebpf\tQ-1 defect at qemu-ebpf: Hashes the ports of a first fragment")
    assert lines[5].startswith("0\texec:./acme-nic --sim\tA-3 error")
    assert "allowed: IPV4 0x85f65d33 queue 51" in lines[0]
    assert len(tshark("-Y", 'frame.comment contains "RSS-7"')) == 1
    assert len(tshark("-Y", f'frame.interface_name == "{ACME}"')) == 3
    assert "IPv4" in "".join(tshark("-c", "1", "-V"))
