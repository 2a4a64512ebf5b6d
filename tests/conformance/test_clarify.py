"""The clarification report: every question, every witness true, and no more than is known about who does what."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from vnethash.conformance import clarify
from vnethash.conformance.clarify import (
    Found,
    all_pages,
    capture,
    page_of,
    question_of,
    render,
    smallest,
    wanted_pairs,
)
from vnethash.conformance.records import Footer, Header, Settled, TargetRecord
from vnethash.conformance.report import Report, gather
from vnethash.conformance.who import against, differing, implementation_of, seen_in
from vnethash.models.allowed import dialect
from vnethash.models.reference import outcome
from vnethash.spec.clauses import load
from vnethash.spec.errors import UsageError
from vnethash.spec.proposals import TRAFFIC, load_proposals
from vnethash.spec.questions import load_questions

QUESTIONS = load_questions()
EVIL = "<b>evil</b> | `x` \x1b[31m"


@pytest.fixture(scope="module")
def pages() -> list[clarify.Page]:
    return all_pages(QUESTIONS.values())


def a_run(name: str = "qemu-ebpf", implementation: str = "QEMU steering eBPF", **profile: Settled) -> Report:
    record = TargetRecord(
        target=name, implementation={"name": implementation, "version": "7.2.22"}, notes=[], observes=["queue"],
        conclusion="deviates", reason="", counts={}, clauses={}, seconds=0.1,
        profile={question.replace("_", "-"): settled for question, settled in profile.items()},
    )
    header = Header(
        format=1, tool="vnethash", started="2026-11-22T10:11:12Z", suite="default", targets=[name], machine="here"
    )
    footer = Footer(finished="2026-11-22T10:12:00Z", cases=0, findings=0, exit_code=1)
    return gather([header, record, footer], Path("run/report.jsonl"))


def settled(*readings: str, cases: int = 3) -> Settled:
    return Settled(list(readings), "text", cases)


def test_every_question_has_a_page_and_the_order_is_by_traffic_then_by_who_differs(pages):
    assert {page.question.id for page in pages} == set(QUESTIONS)
    keys = [(list(TRAFFIC).index(page.proposal.traffic), -len(page.differing)) for page in pages]
    assert keys == sorted(keys)


def test_every_pair_that_matters_has_a_witness(pages):
    for page in pages:
        assert page.missing == ()
        names = [reading.name for reading in page.question.readings]
        wanted = {(names[one], names[other]) for one, other in wanted_pairs(page.question)}
        told = [pair for witness in page.witnesses for pair in witness.pairs]
        assert set(told) == wanted
        assert len(told) == len(wanted)


def test_pairs_are_those_that_something_supports_and_each_defect_beside_the_literal_reading():
    assert wanted_pairs(QUESTIONS["tcp-cut"]) == [(0, 1), (0, 2), (1, 2), (0, 3)]


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_witness_gives_the_printed_outcomes_and_they_differ(name: str):
    question = QUESTIONS[name]
    for witness in page_of(question).witnesses:
        literal = dialect("literal")
        for other, reading in witness.found.context:
            literal = literal._replace(**{QUESTIONS[other].field: QUESTIONS[other].index(reading)})
        rows = {row.reading.name: row for row in witness.rows}
        assert list(rows) == [reading.name for reading in question.readings]
        for number, row in enumerate(rows.values()):
            readings = literal._replace(**{question.field: number})
            assert row.outcome == outcome(witness.found.frame, witness.found.configuration, readings)
            assert row.outcome.hashed == (row.hashed != "nothing")
        for one, other in witness.pairs:
            assert rows[one].outcome != rows[other].outcome


def test_a_witness_is_the_shortest_case_of_the_suite_that_needs_the_fewest_other_readings():
    question = QUESTIONS["atomic-fragment"]
    (witness,) = page_of(question).witnesses
    telling = clarify._telling()[clarify.Pair(question.id, 0, 1)]
    assert len(witness.found.frame) == min(len(case.frame) for case, _ in telling)
    assert witness.context == ""
    (ports,) = page_of(QUESTIONS["icmpv6-ports"]).witnesses
    assert ports.context == "icmpv6-header = walked"


def test_other_questions_on_which_a_witness_hangs_are_named():
    page = page_of(QUESTIONS["ex-packets"])
    others = page.witnesses[0].others
    assert set(others) == {"announced-header", "esp-header", "ex-label"}
    assert f"\nIts outcome also hangs on {', '.join(others)}.\n" in render([page], "md", alone=True)


def test_the_hashed_fields_are_named_with_their_place():
    rows = {row.reading.name: row.hashed for row in page_of(QUESTIONS["ipv4-first-fragment"]).witnesses[0].rows}
    assert rows["ports"] == "source address (byte 26), destination address (byte 30), ports (byte 34)"
    assert rows["addresses"] == "source address (byte 26), destination address (byte 30)"
    hashed = [row.hashed for witness in page_of(QUESTIONS["inner-transport"]).witnesses for row in witness.rows]
    assert any(words.startswith("inner source address (byte ") for words in hashed)
    rows = {row.reading.name: row.hashed for row in page_of(QUESTIONS["field-order"]).witnesses[0].rows}
    assert rows["listed"] == "Home Address (byte 62), destination address (byte 38)"
    assert rows["packet"] == "destination address (byte 38), Home Address (byte 62)"
    hashed = [row.hashed for witness in page_of(QUESTIONS["route-header"]).witnesses for row in witness.rows]
    assert "source address (byte 22), route address (byte 62)" in hashed
    hashed = [row.hashed for witness in page_of(QUESTIONS["udp-cut"]).witnesses for row in witness.rows]
    assert any("not all of it in the frame" in words for words in hashed)


def test_one_question_alone_is_a_whole_page_without_the_head():
    page = page_of(QUESTIONS["ipv4-first-fragment"])
    text = render([page], "md", alone=True)
    assert text.startswith("# ipv4-first-fragment: Ports of a first IPv4 fragment\n")
    assert "\n> For a packet that is an IPv4 fragment" in text
    for clause in page.question.clauses:
        assert load()[clause].cite() in text
    assert page.witnesses[0].hex in text
    assert "who, from reading the source" in text
    assert "Seen in runs" not in text
    assert "`addresses` has their support" in text
    for reading in page.question.readings:
        assert reading.words in text


def test_the_report_has_a_head_with_counts_and_every_question(pages):
    text = render(pages, "md")
    assert text.startswith("# virtio-net packet hashing: questions that the text leaves open\n")
    assert f"{len(QUESTIONS)} questions with " in text
    assert "No run was given" in text
    changed = [name for name, one in load_proposals().items() if one.recommend != QUESTIONS[name].readings[0].name]
    listed = re.search(r"they choose another: (.*)\.\n", text)
    assert listed
    assert sorted(re.findall(r"\]\(#([a-z0-9-]+)\)", listed[1])) == sorted(changed)
    for name, proposal in load_proposals().items():
        assert f"\n| [{name}](#{name}) | " in text
        assert f'<a id="{name}"></a>\n\n## {name}: ' in text
        assert f"> {proposal.words}\n" in text


def test_tables_of_the_markdown_have_as_many_cells_in_every_row(pages):
    for block in re.findall(r"(?:^\|.*\n)+", render(pages, "md"), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_the_html_page_is_one_file_that_loads_nothing(pages):
    page = render(pages, "html")
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r"""(?:src|srcset|action)=|@import|url\(|<link|<iframe""", page)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    anchors = re.findall(r'id="([^"]*)"', page)
    assert sorted(anchors) == sorted(QUESTIONS)
    assert page.count("<details") == page.count("</details>") == len(QUESTIONS)


def test_runs_say_what_they_saw_with_version_and_date():
    question = QUESTIONS["vlan-tags"]
    run = a_run(vlan_tags=settled("service-type"), esp_header=settled("upper-layer", cases=0))
    (seen,) = seen_in([run], question)
    assert seen[:6] == ("qemu-ebpf", "QEMU steering eBPF", "7.2.22", "2026-11-22", "service-type", False)
    text = render([page_of(question, [run])], "md", runs=[run], alone=True)
    assert "| QEMU steering eBPF 7.2.22 | qemu-ebpf | 2026-11-22 | service-type |" in text
    assert seen_in([run], QUESTIONS["esp-header"]) == ()
    head = render(all_pages([question], [run]), "md", runs=[run])
    assert "- qemu-ebpf, QEMU steering eBPF 7.2.22, 2026-11-22T10:11:12Z, suite default\n" in head


@pytest.mark.parametrize(
    ("name", "implementation", "reading", "counted"),
    [
        ("qemu-ebpf", "QEMU steering eBPF", ["service-type"], 4),
        ("exec:./acme", "acme-nic", ["none"], 5),
        ("exec:./acme", "acme-nic", [], 5),
        ("exec:./acme", "acme-nic", ["any", "one"], 4),
        ("exec:./acme", "acme-nic", ["any"], 4),
        ("model:ndis", "vnethash", ["none"], 4),
    ],
)
def test_an_implementation_that_differs_is_counted_once(name, implementation, reading, counted):
    question = QUESTIONS["vlan-tags"]
    run = a_run(name, implementation, vlan_tags=settled(*reading))
    assert len(differing(question, seen_in([run], question))) == counted


def test_who_takes_another_reading_than_the_proposed_words_choose_is_named_with_versions_and_runs():
    question = QUESTIONS["ipv4-first-fragment"]
    assert against(question, "addresses", ()) == ()
    assert "QEMU device" in against(question, "ports", ())
    run = a_run("exec:./acme", "acme-nic", ipv4_first_fragment=settled("ports"))
    page = page_of(question, [run])
    assert page.against == ("acme-nic 7.2.22 (run of 2026-11-22)",)
    assert page.opposed == 1
    for form in ("md", "html"):
        text = render([page], form, runs=[run], alone=True)
        words = r"Take another reading than these words choose:(</b>|\*\*) acme-nic 7\.2\.22 \(run of 2026-11-22\)\."
        assert re.search(words, text)
        assert "No implementation is known to take another reading" in render([page_of(question)], form, alone=True)
    either = a_run("exec:./acme", "acme-nic", ipv4_first_fragment=settled("ports", "addresses"))
    own = a_run("model:literal", "vnethash", ipv4_first_fragment=settled("ports"))
    assert page_of(question, [either, own]).against == ()


def test_the_place_of_the_words_and_the_configuration_of_the_witnesses_are_said():
    text = render([page_of(QUESTIONS["table-size"])], "md", alone=True)
    assert "\nTo stand in 5.1.9.5.7.3 Device Requirements: RSS processing.\n" in text
    assert "They are silent" not in text
    assert "\nWhere a witness does not say otherwise: features HASH_REPORT, RSS; " in text
    assert "The key is 6d5a56da" in text
    silent = render([page_of(QUESTIONS["nested-tunnel"])], "md", alone=True)
    assert "They are silent: no clause of theirs that we know bears on the question." in silent


@pytest.mark.parametrize(
    ("who", "implementation"),
    [
        ("QEMU eBPF 9.0 and later", "QEMU eBPF"), ("QEMU eBPF, all versions", "QEMU eBPF"),
        ("QEMU device up to 7.2 (IPv4)", "QEMU device"), ("NetKVM before 2021", "NetKVM"), ("all known", ""),
        ("all but QEMU eBPF", ""), ("Linux flow dissector (15 headers)", "Linux flow dissector"),
    ],
)
def test_versions_and_remarks_are_no_part_of_an_implementation(who, implementation):
    assert implementation_of(who) == implementation


def test_what_a_run_says_cannot_bend_the_report():
    run = a_run(EVIL, EVIL, vlan_tags=settled("none"))
    page = page_of(QUESTIONS["vlan-tags"], [run])
    for form in ("md", "html"):
        for alone in (True, False):
            text = render([page], form, runs=[run], alone=alone)
            assert "<b>evil" not in text
            assert "\x1b" not in text
    (row,) = [line for line in render([page], "md", alone=True).splitlines() if "| 2026-11-22 |" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_a_question_that_is_none_is_a_users_mistake():
    with pytest.raises(UsageError, match="no question 'vlan-tag'") as refused:
        question_of("vlan-tag")
    assert "vlan-tags" in refused.value.hint


def test_the_capture_has_every_witness_with_its_question_and_outcomes():
    chosen = [page_of(QUESTIONS[name]) for name in ("vlan-tags", "empty-key")]
    blocks = [block for block in FileScanner(BytesIO(capture(chosen))) if isinstance(block, EnhancedPacket)]
    expected = [(page, witness) for page in chosen for witness in page.witnesses]
    assert len(blocks) == len(expected)
    for block, (page, witness) in zip(blocks, expected, strict=True):
        words = block.options["opt_comment"]
        assert block.packet_data == witness.found.frame
        assert block.interface.options["if_name"] == page.question.id
        assert words.startswith(f"{page.question.id}: {page.question.title}\n")
        for row in witness.rows:
            assert row.words() in words


def test_a_shorter_witness_of_the_solver_takes_the_place_of_the_case():
    question = QUESTIONS["no-hash-types"]
    (known,) = smallest(question).values()
    shorter = Found(bytes(14), known.configuration, (), "found by the solver")
    asked = []

    def solver(*arguments: object) -> Found:
        asked.append(arguments)
        return shorter

    (witness,) = page_of(question, solver=solver).witnesses
    assert asked == [(question, 0, 1, known)]
    assert witness.found == shorter
    assert witness.rows[0].outcome != witness.rows[1].outcome
    (kept,) = page_of(question, solver=lambda *_: None).witnesses
    assert kept.found == known


def test_the_solver_finds_a_shorter_frame_than_the_suite_has():
    pytest.importorskip("z3")
    question = QUESTIONS["ethertype-version"]
    known = smallest(question)[0, 1]
    said: list[str] = []
    found = clarify.ask_solver(60.0, said.append)(question, 0, 1, known)
    assert said == [f"ethertype-version: agree or ethertype, shorter than {len(known.frame)} bytes"]
    assert found is not None
    assert len(found.frame) < len(known.frame)
    assert clarify.outcome_of(found, question, 0)[0] != clarify.outcome_of(found, question, 1)[0]
