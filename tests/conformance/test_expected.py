"""Expected results: only change fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_samples import ACME, LITERAL, QEMU, conclusion, finding, findings, header, stream
from vnethash.conformance.expected import accept, compare, exit_code, read_expected, write_expected
from vnethash.conformance.records import AnyRecord, Finding, Footer, TargetRecord
from vnethash.conformance.report import Report, gather
from vnethash.spec.errors import FormatError, UsageError

FOOTER = Footer("2026-11-22T10:11:19Z", cases=0, findings=0, exit_code=1)


def report_of(*made: Finding, target: str = QEMU, end: TargetRecord | None = None) -> Report:
    """A whole report of one target without cases."""
    lines: list[AnyRecord] = [header((target,)), *made, end or conclusion(target)]
    return gather([*lines, footer(len(made))], Path("run/report.jsonl"))


def footer(count: int, *, interrupted: bool = False) -> Footer:
    return Footer(FOOTER.finished, cases=0, findings=count, exit_code=1, interrupted=interrupted)


def ended(verdict: str, target: str = QEMU, reason: str = "") -> TargetRecord:
    return TargetRecord(target, {}, [], [], verdict, reason, {}, {}, {}, 0.0)  # type: ignore[arg-type]


def whole() -> Report:
    return gather([*stream(), Footer("", cases=120, findings=6, exit_code=1)], Path("run/report.jsonl"))


def differences(*made: Finding, before: tuple[Finding, ...], end: TargetRecord | None = None) -> list[tuple[str, str]]:
    found = compare(report_of(*made, end=end), accept(report_of(*before)))
    assert exit_code(found) == (1 if found else 0)
    return [(one.kind, one.text) for one in found]


def test_what_was_accepted_is_as_expected(tmp_path):
    path = write_expected(accept(whole()), tmp_path / "deep" / "expected.json")
    found = compare(whole(), read_expected(path))
    assert found == []
    assert exit_code(found) == 0


def test_the_file_is_for_review(tmp_path):
    data = json.loads(write_expected(accept(whole()), tmp_path / "e.json").read_text())
    assert data["format"] == 1
    assert list(data["targets"]) == sorted([LITERAL, QEMU, ACME])
    assert data["targets"][QEMU]["conclusion"] == "deviates"
    assert data["targets"][QEMU]["findings"][0] == {
        "cause": "defect",
        "title": "Hashes the ports of a first fragment",
        "effect": "computes over addresses and ports where the text has addresses only",
        "clauses": ["V4-2", "HT-1"],
        "question": "first-fragment",
        "reading": "ports",
        "note": "",
    }
    assert (tmp_path / "e.json").read_text().count("\n") > 50


def test_a_new_finding_is_a_difference():
    found = differences(finding("1"), finding("2", question="other", title="New"), before=(finding("1"),))
    words = "computes over addresses and ports where the text has addresses only"
    assert found == [("new", f"new: defect 'New', {words} (6 cases)")]


def test_a_finding_that_vanished_is_a_difference():
    found = differences(before=(finding("1"),))
    assert found == [("vanished", "defect 'Hashes the ports of a first fragment' is gone: fixed? accept again")]


def test_a_finding_with_another_effect_fails_another_way():
    found = differences(finding("1", effect="not hashed"), before=(finding("1", effect="hashed as IPV4"),))
    what = "fails another way: defect 'Hashes the ports of a first fragment'"
    assert found == [("changed", f"{what}: effect was 'hashed as IPV4', is 'not hashed'")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clauses": ["V4-2"]}, "clauses was 'HT-1, V4-2', is 'V4-2'"),
        ({"cause": "unexplained"}, "cause was 'defect', is 'unexplained'"),
        ({"reading": "none"}, "reading was 'ports', is 'none'"),
    ],
)
def test_every_part_of_the_signature_counts(change, words):
    ((kind, text),) = differences(finding("1", **change), before=(finding("1"),))
    assert kind == "changed"
    assert words in text


def test_an_unexplained_finding_is_known_by_its_title_and_then_by_its_clauses():
    before = finding("1", cause="unexplained", question="", reading="", title="Old", clauses=["HT-1"])
    after = finding("1", cause="unexplained", question="", reading="", title="New", clauses=["HT-1"])
    ((kind, text),) = differences(after, before=(before,))
    assert kind == "changed"
    assert "title was 'Old', is 'New'" in text
    other = finding("1", cause="unexplained", question="", reading="", title="New", clauses=["HT-2"])
    assert [kind for kind, _ in differences(other, before=(before,))] == ["new", "vanished"]


def test_what_belongs_to_the_witness_may_change():
    before = finding("T1.x", effect="queue 3 where 5 is expected", title="Old words", cases=3)
    changes = {"title": "New words", "cases": 900, "clauses": ["HT-1", "V4-2"]}
    after = finding("T2.x", effect="queue 7 where 0x1f is expected", **changes)
    assert differences(after, before=(before,)) == []


def test_numbers_within_names_do_not_belong_to_the_witness():
    found = differences(finding("1", effect="hashed as IPV6"), before=(finding("1", effect="hashed as IPV4"),))
    assert [kind for kind, _ in found] == ["changed"]


def test_two_findings_alike_are_two():
    assert differences(finding("1"), finding("2"), before=(finding("1"), finding("2"))) == []
    assert [kind for kind, _ in differences(finding("1"), finding("2"), before=(finding("1"),))] == ["new"]
    assert [kind for kind, _ in differences(finding("1"), before=(finding("1"), finding("2")))] == ["vanished"]


def test_another_reading_of_a_question_is_told_without_the_word_fails():
    before = finding("1", cause="reading", reading="a")
    ((_, text),) = differences(finding("1", cause="reading", reading="b"), before=(before,))
    assert text.startswith("behaves another way: ")


def test_another_conclusion_is_a_difference():
    found = differences(before=(), end=ended("conforms"))
    assert found == [("conclusion", "conforms, expected: deviates")]


def test_a_target_that_could_not_be_driven_has_no_vanished_findings():
    found = differences(before=(finding("1"),), end=ended("not-driven", reason="no QEMU"))
    assert found == [("conclusion", "not-driven (no QEMU), expected: deviates")]


def test_deviations_of_a_target_that_the_file_does_not_name_are_unexpected():
    nothing = accept(report_of(target=LITERAL))
    found = compare(report_of(*findings(QEMU)), nothing)
    assert [(one.kind, one.finding) for one in found] == [("conclusion", ""), ("new", "Q-1"), ("new", "Q-2")]
    assert compare(report_of(end=ended("conforms")), nothing) == []
    assert compare(report_of(finding("1", cause="reading"), end=ended("conforms")), nothing) == []
    assert compare(report_of(end=ended("not-driven")), nothing) == []


def test_targets_of_the_file_that_were_not_run_are_left_alone():
    assert compare(report_of(target=LITERAL), accept(whole())) == []


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_run_that_did_not_come_to_its_end_is_never_as_expected(interrupted):
    made: list[AnyRecord] = [header((QEMU,)), finding("1"), conclusion(QEMU)]
    made += [footer(1, interrupted=True)] if interrupted else []
    report = gather(made, Path("run/report.jsonl"), partial=True)
    found = compare(report, accept(report_of(finding("1"), finding("2"))))
    assert [one.kind for one in found] == ["unfinished"]
    assert found[0].line().startswith("the run ")
    with pytest.raises(UsageError, match="run"):
        accept(report)


def test_a_target_without_conclusion_adds_nothing_to_an_unfinished_run():
    report = gather([header((QEMU,))], Path("run/report.jsonl"), partial=True)
    assert [one.kind for one in compare(report, accept(report_of()))] == ["unfinished"]


def test_accepting_again_keeps_notes_and_targets_that_were_not_run(tmp_path):
    path = write_expected(accept(whole()), tmp_path / "e.json")
    path.write_text(path.read_text().replace('"note": ""', '"note": "issue 7"'))
    again = accept(report_of(finding("9"), finding("10", question="q")), read_expected(path))
    assert [one.note for one in again.targets[QEMU].findings] == ["issue 7", ""]
    assert set(again.targets) == {LITERAL, QEMU, ACME}
    kept = accept(report_of(end=ended("not-driven")), again)
    assert kept.targets[QEMU] == again.targets[QEMU]
    assert accept(report_of(end=ended("not-driven"))).targets == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "JSON is malformed"),
        ("", "truncated"),
        ('{"format":2,"tool":"t","suite":"s","targets":{}}', "format 2, this tool reads format 1"),
        ('{"format":1,"tool":"t","suite":"s","targets":{},"x":1}', "unknown field `x`"),
        ('{"format":1,"tool":"t","suite":"s"}', "missing required field `targets`"),
        ('{"format":1,"tool":"t","suite":"s","targets":{"a":{"conclusion":"fine","findings":[]}}}', "Invalid enum"),
        ("[" * 90000, "recursion|truncated|Expected"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "e.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_expected(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.line()


def test_a_file_that_is_not_there_or_cannot_be_is_a_users_mistake(tmp_path):
    with pytest.raises(UsageError, match="there is no"):
        read_expected(tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot read"):
        read_expected(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        write_expected(accept(whole()), tmp_path / "file" / "e.json")


def test_a_difference_names_target_and_finding():
    (one, *_) = compare(report_of(finding("Q-7", question="new")), accept(report_of()))
    assert one.line().startswith("qemu-ebpf Q-7: new: defect ")
