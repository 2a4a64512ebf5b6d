"""What a hash covers beside what the clauses hash: the fields, the comparison, the records, the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from vnethash.cli.main import run
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.coverage import apart, hashed_by_clauses, measure, render, rows, words
from vnethash.conformance.kinds import fields_of, kinds
from vnethash.conformance.report import ReportWriter, draw_all, read_report
from vnethash.conformance.summary import make_console, render_terminal
from vnethash.models.allowed import dialect
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import ethernet, ipv4, ipv6, tcp
from vnethash.targets.base import Implementation
from vnethash.targets.registry import open_witness

if TYPE_CHECKING:
    from pathlib import Path


class Planted:
    """A witness that covers what it is told: the fields of these names, and every other bit of none."""

    name = "planted"
    implementation = Implementation("planted", "1")
    machine = "here, now"

    def __init__(self, *names, masks=None):
        self.names, self.masks = names, masks or {}

    def covered(self, frame):
        mask = bytearray(len(frame))
        for name, field in fields_of(frame).items():
            if name in self.names:
                bits = self.masks.get(name, field.mask)
                mask[field.offset:field.offset + len(bits)] = bits
        return bytes(mask)

    def close(self):
        pass


def test_there_are_some_eighty_kinds_each_with_its_own_name_and_frame():
    assert len(kinds()) > 85
    assert len({kind.what for kind in kinds()}) == len({kind.frame for kind in kinds()}) == len(kinds())


def test_no_two_fields_of_a_frame_lie_over_each_other():
    for kind in kinds():
        bits = [
            (field.offset + at, bit) for field in kind.fields.values()
            for at, octet in enumerate(field.mask) for bit in range(8) if octet >> bit & 1
        ]
        assert len(bits) == len(set(bits)), kind.what
        assert all(at < len(kind.frame) for at, _ in bits), kind.what


def test_fields_lie_where_the_headers_have_them():
    fields = fields_of(ethernet(ipv6(tcp(), flow_label=0x5C3A7), tags=((0x8100, 0x7064),)))
    assert {name: (field.offset, field.mask.hex()) for name, field in fields.items()} == {
        "tag 1": (14, "ffff"), "source": (26, "ff" * 16), "destination": (42, "ff" * 16), "source port": (58, "ffff"),
        "destination port": (60, "ffff"), "flow label": (19, "0fffff"),
    }
    assert fields_of(ethernet(ipv4(tcp())))["IPv4 id"].offset == 18
    assert fields_of(bytes(60)) == {}


def test_what_the_clauses_hash_is_what_changes_the_hash_of_the_model():
    """Flip one byte of each field: the literal model's value changes if and only if the clauses hash the field."""
    literal, configuration = dialect("literal"), Configuration()
    for kind in kinds():
        hashed = hashed_by_clauses(kind.frame)
        plain = outcome(kind.frame, configuration, literal)
        for name, field in kind.fields.items():
            at = field.offset + len(field.mask) - 1
            flipped = kind.frame[:at] + bytes([kind.frame[at] ^ 1]) + kind.frame[at + 1:]
            changed = outcome(flipped, configuration, literal).value != plain.value
            assert changed is (at in hashed), (kind.what, name)


def test_a_witness_that_covers_what_the_clauses_hash_is_nowhere_apart():
    class Literal(Planted):
        def covered(self, frame):
            return bytes(255 * (at in hashed_by_clauses(frame)) for at in range(len(frame)))

    assert [row for row in rows(measure(Literal())) if row[3]] == []


def test_what_is_more_less_and_only_partly_covered_is_told():
    record = measure(Planted("source", "tag 1", "flow label", masks={"source": b"\0\xff", "tag 1": b"\xef\xff"}))
    found = {row[0]: row for row in rows(record)}
    assert found["IPv4 TCP"][1:3] == ("source&00ff0000", "addresses, ports")
    assert found["IPv4 TCP"][3] == "- destination, ports; only source&00ff0000"
    assert found["802.1Q, IPv4 TCP"][1] == "tag 1&efff, source&00ff0000"
    assert found["ARP"][2] == "nothing"
    assert "+ flow label" in found["IPv6 TCP"][3]
    assert words({}, {}) == "nothing"
    assert apart(records.Covered("", "", "", {"source": "ff"}, {"source": "ff"}, ["source"])) == ""


def written(folder, *witnesses):
    with ReportWriter(folder) as writer:
        return check([], "none", [], lambda _: None, writer.write, now=lambda: "now", witnesses=witnesses)


def test_a_coverage_is_recorded_drawn_and_no_verdict(tmp_path: Path):
    summary = written(tmp_path, Planted("source"))
    assert summary.exit_code == 0
    report = read_report(tmp_path)
    (witness,) = report.witnesses
    assert witness.witness == "planted"
    assert report.targets == ()
    draw_all(tmp_path)
    page, markdown = ((tmp_path / name).read_text("utf-8") for name in ("report.html", "summary.md"))
    for text in (page, markdown):
        assert "IPv4 SCTP" in text
        assert "no verdict" in text
    console = make_console(width=140)
    with console.capture() as capture:
        render_terminal(report, console)
    assert "the clauses hash" in capture.get()
    assert len(render(witness)) == 2


def test_a_coverage_with_a_field_too_many_is_refused(tmp_path: Path):
    written(tmp_path, Planted("source"))
    path = tmp_path / "report.jsonl"
    lines = path.read_text("utf-8").splitlines()
    record = json.loads(lines[1])
    assert record["record"] == "coverage"
    path.write_text("\n".join([lines[0], json.dumps({**record, "more": 1}), lines[2]]) + "\n", "utf-8")
    with pytest.raises(Exception, match="more"):
        read_report(tmp_path)
    path.write_text("\n".join([lines[0], lines[1], lines[1], lines[2]]) + "\n", "utf-8")
    with pytest.raises(Exception, match="a second coverage"):
        read_report(tmp_path)


#: Rows that were measured before by other programs: through a packet socket's ring and on a veth too.
KNOWN = {
    "IPv4 TCP": "addresses, ports",
    "IPv4 TCP, DF": "addresses, ports",
    "IPv4 SCTP": "addresses, ports",
    "IPv4 ICMP echo": "addresses",
    "IPv4 TCP, first fragment": "addresses",
    "IPv4 AH, TCP": "addresses, AH SPI",
    "IPv4 ESP": "addresses, ESP SPI",
    "IPv4 ESP in UDP (4500)": "addresses, ports",
    "IPv4 TCP cut to 4 bytes": "addresses, ports",
    "IPv4 TCP cut to 2 bytes": "addresses",
    "IPv6 TCP": "addresses, ports, flow label",
    "IPv6 TCP, flow label": "addresses, flow label",
    "IPv6 no next header": "addresses, flow label",
    "IPv6 Mobility": "addresses, flow label",
    "IPv6 Home Address, TCP": "addresses, ports, flow label",
    "IPv6 routing type 2, TCP": "addresses, ports, flow label",
    "IPv6 first fragment, TCP": "addresses, flow label",
    "IPv6 atomic fragment, TCP": "addresses, flow label",
    "IPv6 ESP": "addresses, ESP SPI, flow label",
    "IPv6 16 Destination Options, TCP": "addresses, ports, flow label",
    "IPv6 17 Destination Options, TCP": "addresses, flow label",
    "802.1Q, IPv4 TCP": "tag 1&efff, addresses, ports",
    "802.1ad and 802.1Q, IPv4 TCP": "tag 1&efff, addresses, ports",
    "GRE, IPv4 TCP": "inner addresses, inner ports",
    "GRE with key, IPv4 TCP": "GRE key, inner addresses, inner ports",
    "IPIP, IPv4 TCP": "inner addresses, inner ports",
    "4in6, IPv4 TCP, outer flow label": "addresses, flow label",
    "PPPoE, IPv4 TCP": "addresses, ports",
    "MPLS, IPv4 TCP": "nothing",
    "ARP": "nothing",
    "VXLAN, IPv4 TCP": "addresses, ports",
}


@pytest.mark.needs_kernel
def test_linux_covers_what_was_measured_by_other_means():
    witness = open_witness("linux-dissector")
    try:
        found = {row[0]: row[1] for row in rows(measure(witness))}
    finally:
        witness.close()
    assert {what: found[what] for what in KNOWN} == KNOWN


@pytest.mark.needs_kernel
def test_the_command_tells_of_a_witness_beside_targets_and_never_fails_for_it(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    suite = ["--suite", "quick", "--clause", "V4-0", "--quiet"]
    assert run(["check", "linux-dissector", "model:literal", *suite, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["targets"] for line in lines if line["record"] == "header"] == [["model:literal"]]
    (coverage,) = [line for line in lines if line["record"] == "coverage"]
    assert {"kind", "frame", "mask", "fields", "covered", "clauses"} == set(coverage["kinds"][0])
    assert run(["check", "linux-dissector", "--quiet"]) == 0
    assert "it covers" in capsys.readouterr().out
    assert run(["report", "vnethash-report"]) == 0
