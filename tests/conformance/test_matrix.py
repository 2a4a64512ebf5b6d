"""Causes by targets: present, absent or not shown, and between which versions that changed."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from report_samples import case, finding, header, stream
from vnethash.conformance.check import check
from vnethash.conformance.html import render
from vnethash.conformance.matrix import build
from vnethash.conformance.records import Case, Finding, Sequence, Settled, Shown, Step, TargetRecord
from vnethash.conformance.report import gather
from vnethash.conformance.suite import cases, load_suite
from vnethash.conformance.summary import make_console, render_markdown, render_terminal
from vnethash.targets.registry import open_target

OLD, MIDDLE, NEW = "nic:1.9", "nic:1.10", "nic:2.0"
SIGHT = ["queue", "report", "value"]


def record(target, *, version=None, profile=None, observes=SIGHT, conclusion="deviates", name="nic"):
    """The conclusion about a target; `profile` is question -> readings that are possible."""
    settled = {question: Settled(readings, "text", 5) for question, readings in (profile or {}).items()}
    implementation = {"name": name, "version": version if version is not None else target.partition(":")[2]}
    return TargetRecord(target, implementation, [], observes, conclusion, "", {}, settled, {}, 0.0)


def by_question(target, reading="ports", label="T1", vectors=(1,), **changes):
    return finding(
        f"{label}.first-fragment", target, question="first-fragment", reading=reading, vectors=list(vectors), **changes
    )


def unnamed(target, vectors, label="T1", slug="odd-queue", **changes):
    return finding(
        f"{label}.{slug}", target, cause="unexplained", title="odd", question="", reading="", vectors=vectors, **changes
    )


def built(*made):
    """The matrix of these records; a target of which no case is given fails those of its findings and passes 1."""
    targets = tuple(dict.fromkeys(one.target for one in made if isinstance(one, TargetRecord)))
    told = {one.target for one in made if isinstance(one, Case)}
    wrong = {one.target for one in made if isinstance(one, Finding)}
    more = [case(target, 1, "fail" if target in wrong else "pass") for target in targets if target not in told]
    return build(gather([header(targets), *more, *made], Path("run/report.jsonl"), partial=True))


def states(matrix, place=0):
    return states_of(matrix.rows[place])


def states_of(row):
    return [cell.state for cell in row.cells]


def test_a_defect_that_a_release_ended_is_named_with_both_releases():
    matrix = built(
        by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}),
        by_question(MIDDLE, label="T2"), record(MIDDLE, profile={"first-fragment": ["ports"]}),
        record(NEW, profile={"first-fragment": ["none"]}, conclusion="conforms"),
    )
    assert states(matrix) == ["present", "present", "absent"]
    assert matrix.rows[0].name == "first-fragment: ports"
    assert matrix.rows[0].history == ("fixed between 1.10 and 2.0",)
    assert matrix.short_names() == ("nic:", ("1.9", "1.10", "2.0"))


def test_versions_are_put_in_order_whatever_the_order_of_the_targets():
    matrix = built(
        record(NEW, profile={"first-fragment": ["none"]}),
        by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}),
        record(MIDDLE, profile={"first-fragment": ["none"]}),
    )
    assert states(matrix) == ["absent", "present", "absent"]
    assert matrix.rows[0].history == ("fixed between 1.9 and 1.10",)


def test_a_regression_and_its_repair_are_both_told():
    matrix = built(
        record(OLD, profile={"first-fragment": ["none"]}),
        by_question(MIDDLE), record(MIDDLE, profile={"first-fragment": ["ports"]}),
        record(NEW, profile={"first-fragment": ["none"]}),
    )
    assert matrix.rows[0].history == ("came between 1.9 and 1.10, fixed between 1.10 and 2.0",)


def test_a_defect_that_made_room_for_another_one_is_not_called_fixed():
    matrix = built(
        case(OLD, 1, "fail"), by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}),
        case(NEW, 1, "fail", observed=Shown(report=3, value=3, queue=3)), by_question(NEW, "garbage", "T2"),
        record(NEW, profile={"first-fragment": ["garbage"]}),
    )
    assert [(row.name, row.history) for row in matrix.rows] == [
        ("first-fragment: ports", ("changed between 1.9 and 2.0",)),
        ("first-fragment: garbage", ("came between 1.9 and 2.0",)),
    ]


def test_a_defect_that_made_room_for_a_reading_of_the_text_is_fixed():
    matrix = built(
        case(OLD, 1, "fail"), by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}),
        case(NEW, 1, "pass-under"), by_question(NEW, "addresses", "T2", cause="reading"),
        record(NEW, profile={"first-fragment": ["addresses"]}),
    )
    assert [(row.name, row.history) for row in matrix.rows] == [
        ("first-fragment: ports", ("fixed between 1.9 and 2.0",)),
        ("first-fragment: addresses", ("came between 1.9 and 2.0",)),
    ]


def test_a_reading_that_the_text_allows_is_gone_and_not_fixed():
    one = finding("T1.udp", OLD, cause="reading", question="udp-fragment", reading="ndis", vectors=[1])
    matrix = built(
        one, record(OLD, profile={"udp-fragment": ["ndis"]}), record(NEW, profile={"udp-fragment": ["text"]})
    )
    assert matrix.rows[0].history == ("gone between 1.9 and 2.0",)


@pytest.mark.parametrize("profile", [{}, {"first-fragment": []}, {"first-fragment": ["none", "ports"]}])
def test_a_question_that_is_open_or_was_not_asked_is_no_absence(profile):
    matrix = built(
        by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}), record(NEW, profile=profile)
    )
    assert states(matrix) == ["present", "unknown"]
    assert matrix.rows[0].history == ()


def test_a_target_that_mixes_readings_of_the_question_has_not_lost_the_defect():
    mixed = finding("T2.mixed-first-fragment", NEW, cause="inconsistent", question="", reading="", vectors=[1])
    matrix = built(
        by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}),
        mixed, record(NEW, profile={"first-fragment": ["none"]}),
    )
    row = next(row for row in matrix.rows if row.question)
    assert states_of(row) == ["present", "unknown"]


def test_an_answer_as_where_it_is_shown_is_no_absence_whatever_the_profile_says():
    wrong = Shown(report=2, value=5, queue=5)
    made = [
        case(OLD, 1, "fail", observed=wrong), case(OLD, 2, "fail", observed=wrong), by_question(OLD, vectors=[1, 2]),
        record(OLD, profile={"first-fragment": ["ports"]}), case(NEW, 1, "pass"),
    ]
    for answer, state in (("fail", "unknown"), ("pass-under", "unknown")):
        matrix = built(
            *made, case(NEW, 2, answer, observed=wrong), record(NEW, profile={"first-fragment": ["none"]})
        )
        assert states(matrix) == ["present", state]
        assert matrix.rows[0].cells[1].why == "1 case answered here as where it is shown"
    other = case(NEW, 2, "fail", observed=Shown(report=2, value=6, queue=6))
    assert states(built(*made, other, record(NEW, profile={"first-fragment": ["none"]}))) == ["present", "absent"]


def test_a_deviation_without_a_name_is_absent_where_its_cases_pass():
    matrix = built(
        case(OLD, 7, "fail"), case(OLD, 8, "fail"), unnamed(OLD, [7, 8]), record(OLD),
        case(MIDDLE, 7, "fail"), case(MIDDLE, 8, "error"), record(MIDDLE),
        case(NEW, 7, "pass"), case(NEW, 8, "skipped"), record(NEW),
    )
    assert states(matrix) == ["present", "unknown", "absent"]
    assert matrix.rows[0].name == "odd-queue"
    assert matrix.rows[0].history == ("fixed between 1.9 and 2.0",)


def test_who_shows_less_is_not_said_to_be_without_it():
    matrix = built(
        case(OLD, 7, "fail"), unnamed(OLD, [7]), record(OLD), case(NEW, 7, "pass"), record(NEW, observes=["queue"])
    )
    assert states(matrix) == ["present", "unknown"]


def test_a_failure_is_one_row_whatever_the_targets_are_called_in_its_words():
    matrix = built(*(
        one for target in (OLD, MIDDLE) for one in (
            finding(f"T{target[-1]}.error-1", target, cause="error", title=f"{target},queues=4: was killed",
                    question="", reading="", vectors=[7]),
            record(target),
        )
    ))
    assert [(row.name, states_of(row)) for row in matrix.rows] == [("was killed", ["present", "present"])]


def test_a_failure_is_absent_where_an_answer_came_whatever_it_was():
    broken = finding("T1.error-1", OLD, cause="error", title="died", question="", reading="", vectors=[7])
    matrix = built(
        case(OLD, 7, "error"), broken, record(OLD), case(MIDDLE, 7, "fail"), record(MIDDLE),
        case(NEW, 7, "timeout"), record(NEW),
    )
    assert states(matrix) == ["present", "absent", "unknown"]


def test_a_cause_of_the_control_suite_is_judged_by_its_sequences():
    def sequence(target, verdict, observed):
        step = Step("packet", "a packet", ["unhashed"], observed)
        return Sequence(target, "reset-hash", "reset", ["HCF-5"], [step], verdict)

    one = finding("T1.reset", OLD, question="reset-hashing", reading="kept", vectors=[], sequences=["reset-hash"])
    made = [
        sequence(OLD, "fail", "hashed"), one, record(OLD, profile={"reset-hashing": ["kept"]}),
        sequence(MIDDLE, "skipped", ""), record(MIDDLE, profile={"reset-hashing": ["cleared"]}),
    ]
    for verdict, observed, state in (
        ("pass", "unhashed", "absent"), ("pass-under", "hashed", "unknown"), ("fail", "lost", "unknown"),
    ):
        matrix = built(
            *made, sequence(NEW, verdict, observed), record(NEW, profile={"reset-hashing": ["cleared"]})
        )
        assert states(matrix) == ["present", "unknown", state]


def test_a_target_that_was_not_driven_or_not_finished_shows_nothing():
    made = [
        case(OLD, 1, "fail"), by_question(OLD), record(OLD, profile={"first-fragment": ["ports"]}),
        case(MIDDLE, 1, "pass"), record(MIDDLE, profile={"first-fragment": ["none"]}),
        record(NEW, conclusion="not-driven", version=""),
    ]
    matrix = build(gather([header((OLD, MIDDLE, NEW, "nic:3")), *made], Path("r.jsonl"), partial=True))
    assert states(matrix) == ["present", "absent", "unknown", "unknown"]


def test_several_implementations_have_a_line_each_and_strangers_none():
    made = []
    for name, place in (("device", "dev"), ("ebpf", "prog")):
        made += [
            by_question(f"{place}:1", label=place),
            record(f"{place}:1", name=name, profile={"first-fragment": ["ports"]}),
            record(f"{place}:2", name=name, profile={"first-fragment": ["none"]}),
        ]
    matrix = built(*made, record("exec:acme", name="acme", version="", profile={"first-fragment": ["none"]}))
    assert matrix.rows[0].history == ("device: fixed between 1 and 2", "ebpf: fixed between 1 and 2")
    assert matrix.short_names()[0] == ""
    one_each = built(
        by_question("a:1"), record("a:1", name="a", profile={"first-fragment": ["ports"]}),
        record("b:2", name="b", profile={"first-fragment": ["none"]}),
    )
    assert not one_each.versions
    assert one_each.rows[0].history == ()


def test_one_target_or_nothing_found_needs_no_matrix():
    assert built(by_question(OLD), record(OLD)) is None
    assert built(record(OLD), record(NEW)) is None
    assert built(by_question(OLD), record(OLD), record(NEW, conclusion="not-driven")) is None


def test_every_report_draws_the_same_matrix():
    report = gather(stream(), Path("run/report.jsonl"), partial=True)
    matrix = build(report)
    file = io.StringIO()
    render_terminal(report, make_console(file, width=140))
    terminal, markdown, page = file.getvalue(), render_markdown(report), render(report)
    assert len(matrix.rows) == len(report.findings)
    for row in matrix.rows:
        line = next(line for line in terminal.splitlines() if f" {row.name} " in line and "present" in line)
        assert re.findall("present|absent|not shown", line) == [cell.words for cell in row.cells]
        assert f"| **{row.name}**<br>" in markdown
    assert page.count('id="causes"') == 1


def test_a_planted_defect_is_present_in_its_dialect_and_absent_in_the_model():
    records = []
    chosen = [one for one in cases() if "zero" in one.comment or one.id % 40 == 0]
    check(
        ["model:literal", "model:literal,zero-value=unhashed"], "test", chosen, open_target, records.append,
        now=lambda: "now",
    )
    matrix = build(gather(records, Path("r.jsonl")))
    row = next(row for row in matrix.rows if row.name == "zero-value: unhashed")
    assert states_of(row) == ["absent", "present"]
    found = next(one for one in records if getattr(one, "question", "") == "zero-value")
    assert len(found.vectors) == found.cases


@pytest.mark.needs_qemus
def test_the_steering_program_lost_its_two_old_bugs_between_8_2_and_10_0():
    records = []
    asked = [one for one in load_suite("quick").cases if "IPv4" in one.comment]
    check(["qemu-ebpf:8.2", "qemu-ebpf:10.0"], "test", asked, open_target, records.append, now=lambda: "now")
    matrix = build(gather(records, Path("r.jsonl")))
    changed = {row.name: (*states_of(row), *row.history) for row in matrix.rows if "unchanged" not in row.history}
    for name in ("fragment-flags: any-flag", "zero-value: unhashed"):
        assert changed.pop(name)[:2] == ("present", "absent")
    assert not [name for name, told in changed.items() if "absent" in told], "nothing else is said to have changed"
