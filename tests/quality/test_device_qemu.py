"""The control suite on QEMU's device, the installed one and 10.0: what it finds, how it judges it, what replays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import needs
import pytest
from vnethash.conformance.check import check
from vnethash.conformance.device.control import NOT_ALONE, Control
from vnethash.conformance.replay import replay
from vnethash.conformance.report import ReportWriter, draw_all, read_report
from vnethash.targets.devices import open_device

if TYPE_CHECKING:
    from pathlib import Path

    from vnethash.conformance.report import Report
    from vnethash.targets.base import Target

#: The target, and what it needs of the machine.
NAMES = {"qemu:,sockets": ("qemu", "cc"), "qemu:10.0,sockets": ("qemus", "cc")}

#: What QEMU does in every version that was seen: against the text, and by another reading of it.
DEFECTS = {"num-buffers", "max-tx-vq"}
READINGS = {
    "refused-rss-config": "lost", "refused-hash-config": "lost", "refused-pairs": "lost", "unknown-mq-command": "lost",
    "short-key-rest": "previous", "table-entry": "modulo", "hash-config-with-rss": "automatic",
    "pairs-after-rss": "stopped", "pairs-after-hash-config": "stopped", "empty-configuration": "switched-off",
    "empty-key-command": "refused", "unsupported-types": "ignored", "unsupported-types-report": "ignored",
    "feature-dependency": "accepted",
}
#: Until 9.x a reset kept the hash parameters, and header bytes came from the backend.
OLD_DEFECTS = {"reset-hashing", "backend-header"}
#: Since then it keeps bytes of the key.
NEW_READINGS = {"reset-hashing": "key-bytes"}


def no_target(name: str) -> Target:
    raise AssertionError(f"{name}: no packet suite is asked for")


@pytest.fixture(scope="module", params=NAMES)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    needs.require(*NAMES[request.param])
    folder: Path = tmp_path_factory.mktemp("qemu-control")
    clock = (f"2026-01-01T00:00:{second:02}Z" for second in itertools.count())
    with ReportWriter(folder) as writer:
        control = Control(open_device)
        check([request.param], "control", [], no_target, writer.write, now=lambda: next(clock), control=control)
    draw_all(folder)
    return read_report(folder)


def is_old(report: Report) -> bool:
    record = report.targets[0].record
    assert record is not None
    return tuple(int(part) for part in record.implementation["version"].split(".")[:2]) < (9, 1)


def test_qemu_departs_from_the_text_where_it_is_known_to_and_nowhere_else(report: Report) -> None:
    (target,) = report.targets
    assert target.conclusion == "deviates"
    expected = DEFECTS | (OLD_DEFECTS if is_old(report) else set())
    accused = {finding.question for finding in target.findings if finding.cause != "reading"}
    assert accused == expected, [(one.id, one.cause, one.effect) for one in target.findings if one.cause != "reading"]
    assert all(finding.cause == "defect" for finding in target.findings if finding.question in expected)


def test_what_another_reading_allows_is_told_and_never_called_a_defect(report: Report) -> None:
    (target,) = report.targets
    found = {finding.question: finding for finding in target.findings}
    expected = READINGS if is_old(report) else {**READINGS, **NEW_READINGS}
    assert expected.keys() <= found.keys(), expected.keys() - found.keys()
    for question, reading in expected.items():
        assert found[question].cause == "reading", question
        assert found[question].reading == reading, question


def test_each_departure_names_its_clauses_and_shows_it_in_few_steps(report: Report) -> None:
    found = {finding.question: finding for finding in report.findings}
    assert {"RX-7"} <= set(found["num-buffers"].clauses)
    assert {"RSS-D4", "RSS-9"} <= set(found["max-tx-vq"].clauses)
    assert len(found["num-buffers"].witness.sequence) == 2
    assert len(found["max-tx-vq"].witness.sequence) == 3
    if is_old(report):
        assert {"HCF-5"} <= set(found["reset-hashing"].clauses)
        assert [step.do for step in found["reset-hashing"].witness.sequence] == [
            "negotiate", "command", "negotiate", "packet",
        ]
        assert {"REP-2"} <= set(found["backend-header"].clauses)
        assert "deadbeef" in found["backend-header"].witness.sequence[-1].observed
    else:
        # A packet in the middle tells that the types are gone, one at the end that the key is not.
        assert {"HCF-5"} <= set(found["reset-hashing"].clauses)
        assert [step.do for step in found["reset-hashing"].witness.sequence] == [
            "negotiate", "command", "negotiate", "packet", "command", "packet",
        ]
    for finding in report.findings:
        assert 1 <= len(finding.witness.sequence) <= (6 if finding.reading == "key-bytes" else 5), finding.id
        assert not all(step.fits for step in finding.witness.sequence) or finding.cause == "reading"


def test_every_witness_replays_on_a_new_qemu_and_is_fixed_on_the_model(report: Report) -> None:
    for finding in report.findings:
        if finding.witness.reason == NOT_ALONE:
            # Bytes that QEMU leaves as they are in a buffer show only after other packets.
            assert finding.question == "header-padding"
            continue
        assert replay(finding, no_target, open_device).verdict == "still there", finding.id
        answer = replay(finding, no_target, lambda _: open_device("model:literal"))
        assert answer.verdict == "fixed", (finding.id, answer.words)


def test_the_reports_show_the_sequences(report: Report) -> None:
    junit = (report.folder / "junit.xml").read_text()
    assert 'name="rss-max-tx-vq-1 ' in junit
    page = (report.folder / "report.html").read_text()
    assert "Steps" in page
    assert "RSS_CONFIG types" in page
    (target,) = report.targets
    assert target.counts()["fail"] == len([one for one in target.sequences if one.verdict == "fail"]) > 0
