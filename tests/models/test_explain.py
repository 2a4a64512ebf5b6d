"""An explanation names every step, every question and the right outcome, for any frame."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from vnethash.cli import explain as command
from vnethash.models.allowed import dialect
from vnethash.models.explain import explain, outcome_words
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, UsageError
from vnethash.spec.outcome import Outcome

from tests.models import random_frames

if TYPE_CHECKING:
    from pathlib import Path

FRAME = bytes.fromhex(
    "02000000000102000000000286dd60000000001c000601020304050607080910111213141516"
    "2122232425262728293031323334353606000104000000000aea06e60000000000000000500000000000000000"
)
TCP4 = bytes.fromhex(
    "0200000000010200000000020800450000280000000040060000420995bba18e64500aea06e60000000000000000500000000000000000"[:108]
)


def test_any_frame_can_be_explained_and_the_explanation_is_json() -> None:
    r = Random(51)
    for _ in range(60):
        frame, configuration = random_frames.any_frame(r), random_frames.any_configuration(r)
        readings = random_frames.any_readings(r)
        explanation = explain(frame, configuration, readings)
        assert explanation.outcome == outcome(frame, configuration, readings)
        assert json.loads(json.dumps(explanation.to_json()))["frame"] == frame.hex()
        assert command.plain_lines(explanation)


def test_each_dialect_says_its_own_outcome() -> None:
    for name in ("literal", "ndis"):
        explanation = explain(TCP4, Configuration(), name)
        assert explanation.outcome == outcome(TCP4, Configuration(), dialect(name)) == Outcome(2, 0x51CCC178, 0x78)
        assert explanation.dialect == name


def test_the_steps_name_addresses_ports_rule_key_hash_and_queue() -> None:
    words = "\n".join(line.text for line in explain(TCP4, Configuration()).lines)
    for piece in ("66.9.149.187", "161.142.100.80", "ports 2794 and 1766", "TCPv4 is enabled", "420995bb", "0aea06e6",
                  "6d5a56da255b0ec24167253d43a38fb0", "0x51ccc178", "entry 120 of 128"):
        assert piece in words
    places = {line.text.partition(":")[0]: line.where for line in explain(TCP4, Configuration()).lines if line.where}
    assert places["input source"] == 26
    assert places["input ports"] == 34


def test_a_question_comes_with_what_its_other_readings_give() -> None:
    fragment = TCP4[:20] + b"\x20\0" + TCP4[22:]
    choices = [line.choice for line in explain(fragment, Configuration()).lines if line.choice]
    first = next(choice for choice in choices if choice.question == "ipv4-first-fragment")
    assert (first.reading, first.standing) == ("ports", "text")
    assert [(other.reading, other.standing, other.outcome.report) for other in first.others] == [
        ("addresses", "ancestor", 1)
    ]
    allowed = explain(fragment, Configuration()).allowed
    assert {entry.outcome.report for entry in allowed} == {1, 2}


def test_a_frame_without_a_question_allows_one_outcome() -> None:
    explanation = explain(TCP4, Configuration())
    assert explanation.complete
    assert [entry.outcome for entry in explanation.allowed] == [explanation.outcome]
    assert explanation.allowed[0].when == ({},)


def test_the_packet_inside_a_tunnel_is_shown() -> None:
    outer = TCP4[:14] + b"\x45\0\0\x40" + bytes(4) + b"\x40\x2f\0\0" + bytes(range(8)) + b"\0\0\x08\0" + TCP4[14:]
    configuration = Configuration(features=frozenset({"RSS", "HASH_TUNNEL"}), tunnel_types=1)
    parts = {line.part for line in explain(outer, configuration).lines}
    assert "inner" in parts
    assert explain(outer, configuration).outcome.report == 2
    assert "inner" not in {line.part for line in explain(outer, Configuration()).lines}


def test_outcomes_read_well() -> None:
    assert outcome_words(Outcome(0, 0, 3)) == "not hashed (report NONE, value 0), queue 3"
    assert outcome_words(Outcome(0, -1, -1)) == "not hashed (report NONE, value anything)"
    assert outcome_words(Outcome(5, 16, 2)) == "report TCPV6 (5), value 0x00000010, queue 2"


def run(*arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(command.explain, arguments, input=stdin)


def test_the_command_prints_plain_text_and_json() -> None:
    answer = run(TCP4.hex(" "))
    assert answer.exit_code == 0
    assert "report TCPV4 (2), value 0x51ccc178, queue 120" in answer.output
    spaced = json.loads(run(TCP4.hex(":"), "--json", "--dialect", "ndis").output)
    assert spaced["outcome"] == {"report": 2, "value": 0x51CCC178, "queue": 120}
    assert run("-", stdin=TCP4.hex()).output == answer.output


def test_readings_can_be_changed() -> None:
    fragment = (TCP4[:20] + b"\x20\0" + TCP4[22:]).hex()
    answer = json.loads(run(fragment, "--json", "--reading", "ipv4-first-fragment=addresses").output)
    assert answer["outcome"]["report"] == 1


def test_frames_come_from_files_and_captures(tmp_path: Path) -> None:
    from scapy.utils import PcapNgWriter, wrpcap

    raw, text = tmp_path / "raw.bin", tmp_path / "frame.txt"
    raw.write_bytes(TCP4)
    text.write_text(TCP4.hex(" ") + "\n")
    assert command.read_frame(f"@{raw}") == command.read_frame(f"@{text}") == TCP4
    capture = tmp_path / "two.pcap"
    wrpcap(str(capture), [FRAME, TCP4], linktype=1)
    assert command.read_frame(f"{capture}:2") == command.read_frame(f"@{capture}:2") == TCP4
    newer = tmp_path / "two.pcapng"
    with PcapNgWriter(str(newer)) as writer:
        writer.write_header(None)
        for frame in (FRAME, TCP4):
            writer.write_packet(frame)
    assert command.read_frame(f"{newer}:1") == FRAME
    wrong = ((f"{capture}:3", "there are 2"), (f"{capture}:0", "from 1 on"), ("none.pcap:1", "no such file"))
    for name, words in wrong:
        with pytest.raises(UsageError, match=words):
            command.read_frame(name)
    (tmp_path / "bad.pcap").write_bytes(b"this is no capture at all")
    with pytest.raises(FormatError, match="not a capture"):
        command.read_frame(f"{tmp_path / 'bad.pcap'}:1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("abc", "3 hex digits"), ("01 0g", "'g' at position 5"), ("@/nowhere/at/all", "No such file"),
        ("00" * 70000, "70000 bytes"),
    ],
)
def test_a_frame_that_cannot_be_read_gets_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        command.read_frame(text)


def test_configurations_come_from_json_files_and_shorthand(tmp_path: Path) -> None:
    expected = Configuration(hash_types=3, key=b"\x01\x02", indirection_table=(5, 6), features=frozenset({"RSS"}))
    shorthand = "hash_types=IPV4|tcpv4,key=0102,indirection_table=5|6,features=RSS"
    assert command.read_configuration(shorthand) == expected
    assert command.read_configuration(json.dumps(expected.to_json())) == expected
    path = tmp_path / "c.json"
    path.write_text(json.dumps(expected.to_json()))
    assert command.read_configuration(str(path)) == expected
    assert command.read_configuration("") == Configuration()
    assert command.read_configuration("hash_types=0x1ff,unclassified_queue=3") == Configuration(unclassified_queue=3)
    table = tuple(range(128)) * 4  # longer than any name of a file
    words = f"indirection_table={'|'.join(map(str, table))}"
    assert command.read_configuration(words).indirection_table == table


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hash_types=IPV5", "IPV5"), ("key=012", "even number"),
        ("colour=1", "unknown field"), ("{", "line 1, column 2"),
        ("nowhere.json", "No such file"), ("key=00,key=01", "twice"), ("key=00,x", "NAME=VALUE"),
        ('{"key": 1}', "key"),
    ],
)
def test_a_configuration_that_cannot_be_read_gets_one_clear_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        command.read_configuration(text)


def test_names_that_are_none_get_one_clear_line() -> None:
    for change in ("no-question=x", "vlan-tags=many", "vlan-tags"):
        with pytest.raises(UsageError):
            command.read_readings("literal", (change,))
    with pytest.raises(UsageError, match="no dialect"):
        command.read_readings("quux", ())
    with pytest.raises(UsageError, match="no dialect"):
        explain(TCP4, Configuration(), "quux")
