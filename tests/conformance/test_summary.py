"""summary.md, badge.json and the table at the end of a run."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from report_samples import ACME, LITERAL, QEMU, case, conclusion, finding, header, stream, witness, write
from vnethash.conformance.expected import Difference
from vnethash.conformance.records import Allowed, Settled, Shown, TargetRecord
from vnethash.conformance.report import Report, gather, read_report
from vnethash.conformance.summary import (
    make_console,
    render_badge,
    render_differences,
    render_markdown,
    render_terminal,
)


@pytest.fixture
def report(tmp_path) -> Report:
    return read_report(write(tmp_path))


def partial(*made) -> Report:
    return gather(made, Path("run/report.jsonl"), partial=True)


def printed(report, width: int = 110) -> str:
    file = io.StringIO()
    render_terminal(report, make_console(file, width=width))
    return file.getvalue()


def record(target: str, conclusion: str, **changes: object) -> TargetRecord:
    values = {
        "target": target, "implementation": {}, "notes": [], "observes": [], "conclusion": conclusion, "reason": "",
        "counts": {}, "profile": {}, "clauses": {}, "seconds": 0.0, **changes,
    }
    return TargetRecord(**values)  # type: ignore[arg-type]


def test_the_terminal_shows_one_line_a_target_first(report):
    lines = printed(report).splitlines()
    assert lines[0].split() == ["target", "conclusion", "pass", "pass", "under", "fail", "skipped", "error", "findings"]
    assert lines[1].split() == [LITERAL, "conforms", "40", "0", "0", "0", "0", "0"]
    assert lines[2].split() == [QEMU, "deviates", "20", "5", "9", "6", "0", "3"]
    assert lines[3].split() == [*ACME.split(), "inconsistent", "22", "8", "4", "3", "3", "3"]


def test_the_terminal_shows_findings_readings_and_where_the_folder_is(report):
    text = printed(report)
    words = " ".join(text.split())
    for name in ("Q-1", "Q-2", "Q-3", "A-1", "A-2", "A-3"):
        assert f"  {name}  " in text
    assert "eth/ipv4(mf)/tcp, 54 bytes" in text
    assert "observed 0x1234abcd queue 3; allowed IPV4 0x85f65d33 queue 51 or TCPV4 0x85f65d33 queue 51" in words
    assert "6 x shows no report" in text
    assert f"report  {report.folder}" in text
    assert f"replay  vnethash replay {report.folder} Q-1" in text
    assert text.index("Q-1  ") < text.index("Q-2  ") < text.index("Q-3  ")


@pytest.mark.parametrize("width", [60, 100, 120])
def test_no_line_is_wider_than_the_terminal(report, width):
    fixed = ("report  ", "replay  ")  # to be copied, so never folded
    assert all(len(line) <= width for line in printed(report, width).splitlines() if not line.startswith(fixed))


def test_what_is_piped_has_no_colour_and_is_not_folded_to_80_columns():
    console = make_console(io.StringIO())
    assert not console.is_terminal
    assert console.width == 120


def test_nothing_that_a_target_says_reaches_the_terminal_as_a_control_character():
    bad = "\x1b[31m\x07[bold]x[/]\r\n"
    end = record(bad, "deviates", reason=bad, implementation={"name": bad}, profile={bad: Settled([bad], bad, 1)})
    made = finding(bad, bad, title=bad, effect=bad, clauses=[bad], witness=witness(summary=bad, reason=bad))
    text = printed(partial(header((bad,)), case(bad, 1, "skipped", reason=bad), made, end))
    assert not set(text) & {"\x1b", "\x07", "\r"}
    assert "\\x1b[31m\\x07[bold]x[/]" in text


def test_the_terminal_takes_a_stream_of_records_too():
    text = printed(stream((LITERAL,)))
    assert text.startswith("incomplete: the run did not finish")
    assert "model:literal  conforms" in text


def test_literal_open_and_silent_readings_are_only_counted():
    profile = {
        "ipv4-first-fragment": Settled(["addresses"], "ancestor", 3),
        "ipv4-later-fragment": Settled(["addresses"], "text", 3),
        "fragment-flags": Settled(["any-flag"], "defect", 3),
        "tcp-cut": Settled(["a", "b"], "text", 3),
        "udp-cut": Settled(["a"], "text", 0),
    }
    made = finding("X", question="fragment-flags", reading="any-flag")
    text = printed(partial(header((QEMU,)), made, record(QEMU, "deviates", profile=profile)))
    assert "ipv4-first-fragment  addresses  ancestor" in text
    assert "readings: 1 literal, 1 as the findings say, 1 still open, 1 not asked" in text
    assert "fragment-flags" not in text


def test_many_reasons_and_many_outcomes_are_cut():
    cases = [case(QEMU, number, "skipped", reason=f"reason {number}") for number in range(20)]
    allowed = [Allowed(Shown(queue=number)) for number in range(2000)]
    made = finding("X", witness=witness(expected=allowed))
    text = printed(partial(header((QEMU,)), *cases, made))
    assert "and 14 more reasons, in report.html" in text
    assert len(text) < 4000


def test_the_markdown_has_a_table_of_targets_and_one_of_findings_each(report):
    lines = render_markdown(report).splitlines()
    assert lines[0] == "## vnethash 0.1.0: hashing and steering, virtio 1.4"
    (row,) = [line for line in lines if line.startswith("| **qemu-ebpf**")]
    assert row.count("|") == 8
    assert "| 20 | 5 | 9 | 6 | 0 |" in row
    assert lines.index("### qemu-ebpf") < lines.index("### exec:./acme-nic --sim")
    (row,) = [line for line in lines if line.startswith("| Q-1 |")]
    assert row.split(" | ")[1] == "defect"
    assert row.endswith("| V4-2, HT-1 | 6 | eth/ipv4(mf)/tcp, 54 bytes |")
    assert any("<code>vnethash replay " in line for line in lines)
    assert lines.count("</details>") == 5


def test_no_text_breaks_out_of_the_markdown_table():
    bad = "a|b\n# <script>`*_$[x](y)"
    made = finding(bad, title=bad, effect=bad, clauses=[bad], witness=witness(summary=bad))
    end = record(QEMU, "deviates", reason=bad, profile={bad: Settled([bad], bad, 1)})
    text = render_markdown(partial(header((QEMU,)), case(QEMU, 1, "skipped", reason=bad), made, end))
    assert "<script>" not in text
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("| a\\|b")]
    assert [row.count("|") for row in rows] == [7, 5]


def test_the_markdown_stays_small_whatever_a_target_does():
    made = [finding(f"F{number}", title="t" * 5000, effect="e" * 5000) for number in range(500)]
    text = render_markdown(partial(header((QEMU,)), *made, conclusion(QEMU)))
    assert "440 more findings in report.html." in text
    assert len(text) < 100_000


def test_a_run_that_did_not_finish_says_so_everywhere():
    report = partial(*stream((LITERAL,)))
    assert "> **Incomplete:** the run did not finish" in render_markdown(report)
    assert "incomplete: the run did not finish" in printed(report)
    assert json.loads(render_badge(report))["message"] == "run incomplete"


@pytest.mark.parametrize(
    ("conclusions", "message", "color"),
    [
        (["conforms"], "conforms", "brightgreen"),
        (["deviates"], "deviates", "red"),
        (["inconsistent"], "inconsistent", "orange"),
        (["not-driven"], "not driven", "lightgrey"),
        ([], "not driven", "lightgrey"),
        (["conforms", "conforms"], "2 of 2 conform", "brightgreen"),
        (["conforms", "deviates", "not-driven"], "1 of 2 conform", "orange"),
        (["deviates", "inconsistent"], "0 of 2 conform", "red"),
    ],
)
def test_the_badge_is_in_the_form_that_shields_takes(tmp_path, conclusions, message, color):
    names = tuple(f"t{number}" for number in range(len(conclusions)))
    made = [header(names), *(record(name, one) for name, one in zip(names, conclusions, strict=True))]
    badge = json.loads(render_badge(read_report(write(tmp_path, made))))
    assert (badge["schemaVersion"], badge["label"]) == (1, "virtio-net hash")
    assert (badge["message"], badge["color"]) == (message, color)
    assert set(badge) <= {"schemaVersion", "label", "message", "color", "isError"}


def test_differences_are_printed_one_a_line():
    file = io.StringIO()
    console = make_console(file, width=40)
    render_differences([], console)
    render_differences([Difference("new", QEMU, "new: " + "x" * 90, "Q-1"), Difference("vanished", QEMU, "y")], console)
    assert file.getvalue().splitlines() == [
        "as expected", "not as expected: 2 differences", f"  qemu-ebpf Q-1: new: {'x' * 90}", "  qemu-ebpf: y",
    ]
