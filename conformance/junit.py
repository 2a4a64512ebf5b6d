"""junit.xml: one testsuite a target, one testcase a vector, as CI servers read it.

The classname is the vector's first clause. A deviation is a `failure`; what the target could not answer is an `error`;
a target that could not be driven and a run that did not finish are errors too, so that no server shows them as green.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vnethash.conformance.wording import (
    all_allowed_words,
    configuration_words,
    observed_words,
    readings_words,
    settled_words,
    step_lines,
    witness_words,
)
from vnethash.spec.text import count, one_line, plain

if TYPE_CHECKING:
    from vnethash.conformance.records import Case, Sequence
    from vnethash.conformance.report import Report, TargetReport

#: Characters that XML 1.0 has no way to write, not even as a reference.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FRAME_LIMIT = 4096
_OUTCOME = {"fail": "failure", "error": "error", "timeout": "error", "skipped": "skipped"}


def render(report: Report) -> bytes:
    """Return the XML document."""
    root = ET.Element("testsuites", name=_clean(f"{report.header.tool} {report.header.suite}"))
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    suites = [_suite(report, target, number) for number, target in enumerate(report.targets)]
    if report.state:
        suites.append(_unfinished(report, len(suites)))
    for suite in suites:
        root.append(suite)
        for name in totals:
            totals[name] += int(suite.get(name, "0"))
    for name, number in totals.items():
        root.set(name, str(number))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(report: Report, target: TargetReport, number: int) -> ET.Element:
    suite = _start(report, target.name, number)
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(target):
        ET.SubElement(properties, "property", name=_clean(name), value=_clean(value))
    for case in target.cases:
        suite.append(_testcase(case))
    for sequence in target.sequences:
        suite.append(_sequence(sequence))
    if target.conclusion in ("not-driven", "unfinished"):
        reason = target.record.reason if target.record else "the run did not come to a conclusion about this target"
        single = ET.SubElement(suite, "testcase", classname="target", name=_clean(target.name), time="0")
        ET.SubElement(single, "error", type=target.conclusion, message=_clean(reason)).text = _clean(reason)
    if target.findings:
        ET.SubElement(suite, "system-out").text = _clean(_findings(target))
    seconds = target.record.seconds if target.record else 0.0
    suite.set("time", f"{seconds:.3f}")
    return _tally(suite)


def _start(report: Report, name: str, number: int) -> ET.Element:
    return ET.Element(
        "testsuite",
        name=_clean(name),
        id=str(number),
        package="vnethash",
        timestamp=_timestamp(report.header.started),
        hostname=_clean(one_line(report.header.machine)),
        time="0.000",
    )


def _unfinished(report: Report, number: int) -> ET.Element:
    suite = _start(report, "vnethash", number)
    case = ET.SubElement(suite, "testcase", classname="run", name="the run came to its end", time="0")
    ET.SubElement(case, "error", type="unfinished", message=report.state).text = report.state
    return _tally(suite)


def _tally(suite: ET.Element) -> ET.Element:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _properties(target: TargetReport) -> list[tuple[str, str]]:
    pairs = [("conclusion", target.conclusion)]
    if target.record is None:
        return pairs
    record = target.record
    pairs += [("reason", one_line(record.reason)), ("implementation", target.title)]
    pairs += [("observes", ", ".join(record.observes))]
    pairs += [("note", one_line(note)) for note in record.notes]
    pairs += [(f"reading.{question}", settled_words(settled)) for question, settled in sorted(record.profile.items())]
    return [(name, value) for name, value in pairs if value]


def _testcase(case: Case) -> ET.Element:
    comment = one_line(case.comment) or one_line(case.summary)
    element = ET.Element(
        "testcase",
        classname=_clean(case.clauses[0] if case.clauses else "no clause"),
        name=_clean(f"{case.vector} {comment}".rstrip()),
        time="0",
    )
    tag = _OUTCOME.get(case.verdict)
    if tag == "skipped":
        ET.SubElement(element, "skipped", message=_clean(one_line(case.reason)))
    elif tag:
        child = ET.SubElement(element, tag, type=case.verdict, message=_clean(_message(case)))
        child.text = _clean(_details(case))
    elif case.verdict == "pass-under":
        ET.SubElement(element, "system-out").text = _clean(f"pass under {readings_words(case.readings)}")
    return element


def _sequence(sequence: Sequence) -> ET.Element:
    element = ET.Element(
        "testcase",
        classname=_clean(sequence.clauses[0] if sequence.clauses else "no clause"),
        name=_clean(f"{sequence.name} {one_line(sequence.comment)}"),
        time="0",
    )
    tag = _OUTCOME.get(sequence.verdict)
    reason = one_line(sequence.reason) or sequence.verdict
    if tag == "skipped":
        ET.SubElement(element, "skipped", message=_clean(reason))
    elif tag:
        where = f" at step {sequence.failed}" if sequence.failed else ""
        message = f"{sequence.clause}{where}: {reason}" if sequence.clause else reason
        child = ET.SubElement(element, tag, type=sequence.verdict, message=_clean(message))
        child.text = _clean("\n".join([f"target:   {sequence.target}", *step_lines(sequence.steps)]))
    elif sequence.verdict == "pass-under":
        ET.SubElement(element, "system-out").text = _clean(f"pass under {readings_words(sequence.readings)}")
    return element


def _message(case: Case) -> str:
    if case.verdict == "fail":
        observed = observed_words(case.observed, case.reason)
        prefix = f"{case.clause}: " if case.clause else ""
        return f"{prefix}allowed {all_allowed_words(case.allowed)}; observed {observed}"
    return one_line(case.reason) or case.verdict


def _details(case: Case) -> str:
    frame = case.frame if len(case.frame) <= _FRAME_LIMIT else f"{case.frame[:_FRAME_LIMIT]}... (whole in report.jsonl)"
    lines = [
        f"target:   {case.target}",
        f"vector:   {case.vector} {plain(case.comment)}",
        f"clauses:  {', '.join(case.clauses)}",
        f"packet:   {plain(case.summary)}",
        f"frame:    {frame} ({count(len(case.frame) // 2, 'byte')})",
        f"allowed:  {all_allowed_words(case.allowed)}",
        f"observed: {observed_words(case.observed, case.reason)}",
        "configuration:",
        *(f"  {name}: {words}" for name, words in configuration_words(case.config)),
    ]
    return "\n".join(lines)


def _findings(target: TargetReport) -> str:
    lines = [f"{count(len(target.findings), 'finding')}:"]
    for finding in target.findings:
        where = f"{', '.join(finding.clauses)}; {count(finding.cases, 'case')}"
        lines.append(f"{finding.id} {finding.cause}: {one_line(finding.title)} ({where})")
        lines.append(f"    {one_line(finding.effect)}; witness: {witness_words(finding)}")
    return "\n".join(lines)


def _timestamp(started: str) -> str:
    """Return the time in UTC without a zone, the one form that every JUnit schema takes."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return "1970-01-01T00:00:00"
    moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _clean(text: str) -> str:
    """Return the text with what XML cannot hold written out as \\xNN or \\uNNNN."""
    return _ILLEGAL.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
