"""report.jsonl: nothing written is lost, nothing broken is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from report_samples import ACME, LITERAL, QEMU, case, cases, conclusion, finding, findings, header, stream, write
from vnethash.conformance.records import Footer, Shown
from vnethash.conformance.report import (
    DRAWN,
    KINDS,
    MissingFooter,
    ReportWriter,
    draw_all,
    gather,
    now,
    read_report,
    sort_findings,
)
from vnethash.spec.errors import EXIT_TOOL, EXIT_USAGE, FormatError, UsageError, VnethashError


def rewrite(folder: Path, change) -> Path:
    """Change the lines of a written report."""
    path = folder / "report.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    return path


def edited(lines: list[bytes], number: int, **changes: object) -> list[bytes]:
    """Return the lines with fields of one record changed."""
    record = {**json.loads(lines[number]), **changes}
    return [*lines[:number], json.dumps(record).encode() + b"\n", *lines[number + 1 :]]


def test_what_is_written_is_read_back_grouped_per_target(tmp_path):
    report = read_report(write(tmp_path / "run"))
    assert report.header == header()
    assert [target.name for target in report.targets] == [LITERAL, QEMU, ACME]
    assert [len(target.cases) for target in report.targets] == [40, 40, 40]
    assert report.targets[1].cases == tuple(cases(QEMU))
    assert report.targets[1].record == conclusion(QEMU)
    assert report.footer == Footer("2026-11-22T10:11:19Z", cases=120, findings=6, exit_code=1)
    assert report.state == ""
    assert report.folder == tmp_path / "run"


def test_findings_come_worst_cause_first_and_then_by_cases():
    made = [
        finding("1", cause="reading", cases=99),
        finding("2", cause="error"),
        finding("3", cause="unexplained"),
        finding("4", cause="inconsistent"),
        finding("10", cases=2),
        finding("9", cases=2),
        finding("5", cases=3),
    ]
    assert [one.id for one in sort_findings(made)] == ["5", "9", "10", "4", "3", "2", "1"]


def test_counts_come_from_the_conclusion_or_else_from_the_cases(tmp_path):
    whole = read_report(write(tmp_path))
    made = [record for record in stream() if record != conclusion(ACME)]
    partial = gather(made, tmp_path / "report.jsonl", partial=True)
    assert whole.targets[2].counts() == partial.targets[2].counts()
    assert whole.targets[2].clause_counts() == {
        clause: {kind: number for kind, number in counts.items() if number}
        for clause, counts in whole.targets[2].clause_counts().items()
    }
    assert partial.targets[2].conclusion == "unfinished"
    assert list(partial.targets[2].clause_counts()) == [
        "HT-1", "REP-4", "RSS-7", "RSS-D4", "V4-1", "V4-2", "V4-3", "V6-10", "X6-2",
    ]
    assert partial.targets[2].counts() == {
        "pass": 22, "pass-under": 8, "fail": 4, "error": 2, "skipped": 3, "timeout": 1,
    }
    assert tuple(partial.targets[2].counts()) == KINDS


def test_skipped_reasons_are_grouped_with_the_most_frequent_first():
    made = [header((QEMU,)), *(case(QEMU, number, "skipped", reason="ab"[number > 0]) for number in range(3))]
    report = gather(made, Path("report.jsonl"), partial=True)
    assert report.targets[0].skipped_reasons() == [("b", 2), ("a", 1)]


def test_each_record_is_in_the_file_when_write_returns(tmp_path):
    with ReportWriter(tmp_path) as writer:
        for number, record in enumerate(stream((QEMU,)), 1):
            writer.write(record)
            assert len((tmp_path / "report.jsonl").read_bytes().splitlines()) == number


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_leaves_all_that_it_reported(tmp_path, sent):
    script = textwrap.dedent("""
        import sys, time
        from report_samples import QEMU, case, header
        from vnethash.conformance.report import ReportWriter
        with ReportWriter(sys.argv[1]) as writer:
            writer.write(header((QEMU,)))
            for vector in range(10**6):
                writer.write(case(QEMU, vector, "pass"))
                if vector == 200:
                    print("ready", flush=True)
                    time.sleep(0.001)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(sent)
    process.wait()
    process.stdout.close()
    with pytest.raises(MissingFooter, match="the run did not finish"):
        read_report(tmp_path)
    report = read_report(tmp_path, partial=True)
    assert len(report.targets[0].cases) >= 201
    assert report.footer is None
    assert "did not finish" in report.state
    assert len(draw_all(tmp_path, partial=True)) == len(DRAWN)


def test_a_line_cut_in_its_middle_is_left_out_of_a_partial_report(tmp_path):
    rewrite(write(tmp_path), lambda lines: [*lines[:11], lines[11][:50]])
    with pytest.raises(MissingFooter):
        read_report(tmp_path)
    assert len(read_report(tmp_path, partial=True).targets[0].cases) == 10


def test_a_character_cut_in_its_middle_is_a_cut_line_too(tmp_path):
    rewrite(write(tmp_path), lambda lines: [*lines[:5], b'{"record":"case","comment":"\xc3'])
    assert len(read_report(tmp_path, partial=True).targets[0].cases) == 4


def test_a_last_line_without_its_newline_is_whole_if_it_parses(tmp_path):
    rewrite(write(tmp_path), lambda lines: [*lines[:-1], lines[-1].rstrip()])
    assert read_report(tmp_path).footer is not None


def test_missing_footer_names_the_file_and_what_to_do(tmp_path):
    rewrite(write(tmp_path), lambda lines: lines[:-1])
    with pytest.raises(MissingFooter) as caught:
        read_report(tmp_path)
    assert caught.value.message == f"{tmp_path}/report.jsonl has no footer: the run did not finish"
    assert caught.value.hint == "`vnethash report --partial` draws what there is"
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: edited(lines, 3, colour="red"), r"report.jsonl:4: Object contains unknown field `colour`"),
        (lambda lines: edited(lines, 3, record="verse"), r"report.jsonl:4: Invalid value 'verse'"),
        (lambda lines: edited(lines, 3, verdict="fine"), r"report.jsonl:4: Invalid enum value 'fine'"),
        (lambda lines: edited(lines, 3, vector="1"), r"report.jsonl:4: Expected `int`"),
        (lambda lines: edited(lines, 3, vector=100), r"report.jsonl:4: a second case for vector 100 at model:literal"),
        (lambda lines: edited(lines, 3, frame="0G"), r"report.jsonl:4: frame is not an even number of lower-case hex"),
        (lambda lines: edited(lines, 3, frame="ABCD"), r"report.jsonl:4: frame is not"),
        (lambda lines: edited(lines, 3, frame="abc"), r"report.jsonl:4: frame is not"),
        (lambda lines: edited(lines, 3, target="other"), r"report.jsonl:4: the header does not name"),
        (lambda lines: edited(lines, 0, format=4), r"report.jsonl:1: format 4, this tool reads format 1 and 2 and 3"),
        (lambda lines: edited(lines, 0, targets=["a", "a"]), r"report.jsonl:1: the header names a target twice"),
        (lambda lines: [*lines[:4], *lines[5:]], r"the footer counts 120 cases"),
        (lambda lines: [*lines[:2], b"hello\n", *lines[2:]], r"report.jsonl:3: not JSON"),
        (lambda lines: [*lines[:2], b"\n", *lines[2:]], r"report.jsonl:3: not JSON"),
        (lambda lines: [*lines[:2], b'{"record":"case","target":"\xff"}\n', *lines[2:]], r"report.jsonl:3: not JSON"),
        (lambda lines: [lines[0], b'{"record":"case","config":{"a":' + b"[" * 90000 + b"\n"], r":2: not JSON"),
        (lambda lines: [*lines, lines[1]], r"report.jsonl:132: a record after the footer"),
        (lambda lines: [*lines, lines[-1]], r"report.jsonl:132: a record after the footer"),
        (lambda lines: [lines[0], *lines], r"report.jsonl:2: a second header"),
        (lambda lines: lines[1:], r"report.jsonl:1: the first record is not the header"),
        (lambda lines: [*lines[:42], lines[41], *lines[42:]], r"report.jsonl:43: a second conclusion about"),
        (lambda lines: edited(lines, 41, counts={"passed": 1}), r"report.jsonl:42: counts of 'passed'"),
        (lambda lines: edited(lines, 41, clauses={"HT-1": {"x": 1}}), r"report.jsonl:42: counts of 'x'"),
        (lambda lines: edited(lines, 83, id="Q-3"), r"report.jsonl:84: a second finding with the id 'Q-3'"),
        (lambda _: [], r"report.jsonl is empty"),
        (lambda _: [b"hello"], r"report.jsonl:1: not JSON"),
    ],
)
def test_a_broken_report_is_refused_with_its_line(tmp_path, change, message):
    rewrite(write(tmp_path), change)
    with pytest.raises(FormatError, match=message) as caught:
        read_report(tmp_path)
    assert not isinstance(caught.value, MissingFooter)
    assert "\n" not in caught.value.line()


def test_a_witness_frame_is_checked_too(tmp_path):
    def change(lines: list[bytes]) -> list[bytes]:
        return edited(lines, 82, witness={**json.loads(lines[82])["witness"], "frame": "x"})

    rewrite(write(tmp_path), change)
    with pytest.raises(FormatError, match=r"report.jsonl:83: witness: frame is not"):
        read_report(tmp_path)


def test_a_report_that_is_not_there_is_a_users_mistake(tmp_path):
    with pytest.raises(UsageError, match=r"there is no .*report\.jsonl"):
        read_report(tmp_path)
    with pytest.raises(UsageError, match=r"there is no .*nowhere"):
        read_report(tmp_path / "nowhere")


def test_the_writer_keeps_the_order_of_records(tmp_path):
    with ReportWriter(tmp_path) as writer:
        with pytest.raises(VnethashError, match="the header must come first"):
            writer.write(case(QEMU, 1, "pass"))
        writer.write(header())
        with pytest.raises(VnethashError, match="a second header"):
            writer.write(header())
        writer.finish(0)
        with pytest.raises(VnethashError, match="after the footer") as caught:
            writer.write(case(QEMU, 1, "pass"))
    assert caught.value.exit_code == EXIT_TOOL
    with pytest.raises(VnethashError, match="is not open"):
        ReportWriter(tmp_path).write(header())


def test_a_second_run_replaces_the_report_and_all_that_was_drawn_from_it(tmp_path):
    draw_all(write(tmp_path))
    (tmp_path / "mine.txt").write_text("kept")
    with ReportWriter(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "report.jsonl"]


def test_without_replace_a_folder_that_holds_a_report_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(UsageError, match="is already there"), ReportWriter(tmp_path, replace=False):
        pass
    read_report(tmp_path)


def test_a_folder_that_cannot_be_one_is_a_users_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError) as caught, ReportWriter(folder):
            pass
        assert "\n" not in caught.value.line()


def test_text_that_is_not_unicode_does_not_end_a_run(tmp_path):
    reason = b"died: \xff".decode(errors="surrogateescape")
    with ReportWriter(tmp_path) as writer:
        writer.write(header((QEMU,)))
        writer.write(case(QEMU, 1, "error", reason=reason, config={reason: [reason]}))
        writer.finish(1)
    assert read_report(tmp_path).targets[0].cases[0].reason == "died: \\udcff"


def test_an_interrupted_run_has_a_footer_that_says_so(tmp_path):
    report = read_report(write(tmp_path, stream((LITERAL,)), interrupted=True))
    assert report.footer is not None
    assert "interrupted" in report.state


def test_no_outcome_is_lost_between_not_shown_and_zero(tmp_path):
    made = [header((QEMU,)), case(QEMU, 1, "pass", observed=Shown(value=0)), case(QEMU, 2, "pass", observed=Shown())]
    one, two = read_report(write(tmp_path, made)).targets[0].cases
    assert one.observed == Shown(report=None, value=0, queue=None)
    assert two.observed == Shown()


def test_every_report_is_drawn_from_the_records_alone(tmp_path):
    folder = write(tmp_path)
    assert [path.name for path in draw_all(folder)] == list(DRAWN)
    first = {name: (folder / name).read_bytes() for name in DRAWN}
    for name in DRAWN:
        (folder / name).unlink()
    draw_all(folder)
    assert {name: (folder / name).read_bytes() for name in DRAWN} == first
    assert not list(folder.glob(".*"))


def test_a_report_of_no_targets_and_no_cases_can_be_drawn(tmp_path):
    draw_all(write(tmp_path / "none", [header(())]))
    draw_all(write(tmp_path / "one", [header((QEMU,))]))
    assert findings(LITERAL) == []


def test_the_time_is_in_utc_to_the_second():
    assert len(now()) == len("2026-11-22T10:11:12Z")
    assert now().endswith("Z")
