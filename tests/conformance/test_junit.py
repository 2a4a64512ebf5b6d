"""junit.xml as CI servers read it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from report_samples import ACME, LITERAL, QEMU, case, conclusion, header, stream, write
from vnethash.conformance.junit import render
from vnethash.conformance.records import TargetRecord
from vnethash.conformance.report import gather, read_report


@pytest.fixture
def root(tmp_path: Path) -> ET.Element:
    return ET.fromstring(render(read_report(write(tmp_path))))


def drawn(*made) -> ET.Element:
    return ET.fromstring(render(gather(made, Path("run/report.jsonl"), partial=True)))


def test_each_target_is_a_testsuite_and_each_vector_a_testcase(root):
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == [LITERAL, QEMU, ACME]
    assert [len(suite.findall("testcase")) for suite in suites] == [40, 40, 40]
    first = suites[0].find("testcase")
    assert first is not None
    assert first.attrib == {"classname": "V4-1", "name": "100 addresses & ports of <eth/ipv4/tcp>", "time": "0"}


def test_the_counts_are_those_of_the_elements(root):
    for suite in root.findall("testsuite"):
        for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            assert int(suite.get(name, "")) == len(suite.findall(f"testcase/{tag}"))
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))
    for name, number in {"tests": 120, "failures": 13, "errors": 3, "skipped": 9}.items():
        assert root.get(name) == str(number)


def test_a_suite_has_what_the_common_schemas_ask_for(root):
    suite = root.findall("testsuite")[1]
    assert suite.get("timestamp") == "2026-11-22T10:11:12"
    assert suite.get("time") == "1.250"
    assert suite.get("hostname") == "Linux 6.12 x86_64, 2 processors"
    assert suite.get("id") == "1"
    assert (suite[0].tag, suite[-1].tag) == ("properties", "system-out")
    properties = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}
    assert properties["conclusion"] == "deviates"
    assert properties["reading.first-fragment"] == "ports"
    assert all(len(list(test)) <= 1 for test in suite.findall("testcase"))


def test_a_failure_says_what_was_allowed_what_came_and_how_to_see_it_again(root):
    failure = root.find(f"testsuite[@name='{QEMU}']/testcase/failure")
    assert failure is not None
    assert failure.get("type") == "fail"
    assert re.match(r"\S+: allowed \S+ 0x\w{8} queue \d+; observed ", failure.get("message", ""))
    for words in ("frame:", "allowed:", "observed:", "clauses:", "hash types: IPV4|TCPV4|UDPV4|IPV6|TCPV6|UDPV6"):
        assert words in (failure.text or "")


def test_error_timeout_and_skipped_are_told_apart(root):
    suite = root.find(f"testsuite[@name='{ACME}']")
    assert suite is not None
    assert [error.get("type") for error in suite.findall("testcase/error")] == ["error", "error", "timeout"]
    assert {skip.get("message") for skip in suite.findall("testcase/skipped")} == {"shows no report"}


def test_a_pass_under_a_reading_is_a_pass_that_says_so(root):
    passed = root.find(f"testsuite[@name='{QEMU}']/testcase/system-out")
    assert passed is not None
    assert (passed.text or "").startswith("pass under first-fragment = ")


def test_characters_that_xml_cannot_hold_are_written_out():
    bad = "".join(map(chr, range(0x20))) + "\x7f\x85\ufffe\uffff\u2028\U0001f600 <&\"'>]]>"
    made = case(QEMU, 1, "error", comment=bad, reason=bad, summary=bad, clauses=[bad])
    root = drawn(header((QEMU,)), made)
    test = root.find("testsuite/testcase")
    assert test is not None
    assert "\\x00" in (test.get("name") or "")
    assert "]]>" in (test.get("name") or "")
    assert "\\ufffe" in (test.get("name") or "")


def test_a_target_that_could_not_be_driven_is_an_error_and_not_silence():
    record = TargetRecord(QEMU, {}, [], [], "not-driven", "bpf(2) is not permitted", {}, {}, {}, 0.0)
    error = drawn(header((QEMU,)), record).find(f"testsuite[@name='{QEMU}']/testcase/error")
    assert error is not None
    assert error.get("message") == "bpf(2) is not permitted"


def test_a_run_that_did_not_finish_is_an_error():
    root = drawn(*stream((LITERAL,)))
    assert root.get("failures") == "0"
    error = root.find("testsuite[@name='vnethash']/testcase/error")
    assert error is not None
    assert "did not finish" in (error.get("message") or "")


def test_a_long_frame_is_shortened_and_a_case_without_clause_has_a_classname():
    made = case(QEMU, 1, "fail", frame="ab" * 65536, clauses=[], clause="", config={"hash_types": "broken"})
    root = drawn(header((QEMU,)), made, conclusion(QEMU))
    test = root.find("testsuite/testcase")
    assert test is not None
    assert test.get("classname") == "no clause"
    failure = test.find("failure")
    assert failure is not None
    assert "(whole in report.jsonl) (65,536 bytes)" in (failure.text or "")
    assert len(failure.text or "") < 6000


@pytest.mark.parametrize(
    ("started", "expected"),
    [
        ("2026-11-22T10:11:12+02:00", "2026-11-22T08:11:12"),
        ("2026-11-22T10:11:12", "2026-11-22T10:11:12"),
        ("yesterday", "1970-01-01T00:00:00"),
    ],
)
def test_the_timestamp_is_in_utc_without_a_zone(started, expected):
    first = header((QEMU,))
    changed = type(first)(**{**{name: getattr(first, name) for name in first.__struct_fields__}, "started": started})
    suite = drawn(changed).find("testsuite")
    assert suite is not None
    assert suite.get("timestamp") == expected
