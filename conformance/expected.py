"""Expected results: known deviations, accepted once, so that CI fails only on change.

The file names every finding of every target by its signature. A target that starts to fail in another way, stops
failing, or comes to another conclusion differs from it, and each difference is exit code 1:

    new          a finding that the file does not name
    changed      a finding that the file names, with another effect, cause or other clauses: it fails another way
    vanished     a finding that the file names and the run does not have: fixed? accept again
    conclusion   the target came to another conclusion
    unfinished   the run did not come to its end, so nothing can be said

The number of cases, the witness and, for findings of a named question, the title may change freely. So may bare
numbers in titles and effects ("queue 3 where 5 is expected"): they belong to the witness.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from vnethash.conformance.records import Cause, Conclusion, Finding
from vnethash.spec.errors import EXIT_DEVIATIONS, EXIT_OK, FormatError, UsageError
from vnethash.spec.text import count, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.report import Report, TargetReport

EXPECTED_FORMAT = 1

_NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|[0-9]+)\b")


class ExpectedFinding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signature of a finding, and a note of the person who accepted it."""

    cause: Cause
    title: str
    effect: str
    clauses: list[str]
    question: str = ""
    reading: str = ""
    note: str = ""


class ExpectedTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is expected of one target."""

    conclusion: Conclusion
    findings: list[ExpectedFinding]


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The expected-results file; `suite` and `tool` only say where it came from."""

    format: int
    tool: str
    suite: str
    targets: dict[str, ExpectedTarget]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a run is not as expected; `finding` is the id in the report, if the report has it."""

    kind: Literal["new", "changed", "vanished", "conclusion", "unfinished"]
    target: str
    text: str
    finding: str = ""

    def line(self) -> str:
        """Return the one line that a user sees."""
        where = f"{self.target} {self.finding}".strip()
        return f"{where}: {self.text}" if where else self.text


def accept(report: Report, previous: Expected | None = None) -> Expected:
    """Return what this report shows as the new expectation.

    Notes are kept for findings that stay, and targets that this run did not drive keep what was expected of them.
    """
    if report.state:
        raise UsageError(f"{report.path}: {report.state}", hint="only a whole run can be accepted")
    targets = dict(previous.targets) if previous else {}
    for target in report.targets:
        if target.record is None or target.record.conclusion == "not-driven":
            continue
        before = targets[target.name].findings if target.name in targets else []
        notes = {_signature(one): one.note for one in before if one.note}
        findings = [_expected(finding, notes) for finding in target.findings]
        targets[target.name] = ExpectedTarget(conclusion=target.record.conclusion, findings=findings)
    return Expected(
        format=EXPECTED_FORMAT,
        tool=report.header.tool,
        suite=report.header.suite,
        targets=dict(sorted(targets.items())),
    )


def write_expected(expected: Expected, path: Path | str) -> Path:
    """Write the file, indented, so that a review shows what was accepted."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(expected), indent=2) + b"\n")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return path


def read_expected(path: Path | str) -> Expected:
    """Read the file strictly."""
    path = Path(path)
    try:
        expected = msgspec.json.decode(path.read_bytes(), type=Expected)
    except FileNotFoundError:
        raise UsageError(f"there is no {path}", hint="`--accept` writes it") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"{path}: {error}") from error
    if expected.format != EXPECTED_FORMAT:
        raise FormatError(
            f"{path}: format {expected.format}, this tool reads format {EXPECTED_FORMAT}",
            hint=f"written by {expected.tool}",
        )
    return expected


def compare(report: Report, expected: Expected) -> list[Difference]:
    """Return every way in which a report is not as expected; targets of the file that were not run are left alone.

    A target that the file does not name is expected to conform.
    """
    differences = [Difference("unfinished", "", report.state)] if report.state else []
    for target in report.targets:
        known = expected.targets.get(target.name)
        differences += _unlisted(target) if known is None else _compare_target(target, known, whole=not report.state)
    return differences


def exit_code(differences: Sequence[Difference]) -> int:
    """Return 0 if all is as expected, 1 otherwise."""
    return EXIT_DEVIATIONS if differences else EXIT_OK


def _unlisted(target: TargetReport) -> list[Difference]:
    differences = []
    if target.conclusion in ("deviates", "inconsistent"):
        text = f"{target.conclusion}, and the expected results do not name this target"
        differences.append(Difference("conclusion", target.name, text))
    differences += [_new(target, finding) for finding in target.findings if finding.cause != "reading"]
    return differences


def _compare_target(target: TargetReport, known: ExpectedTarget, *, whole: bool) -> list[Difference]:
    if target.record is None:
        return []  # the run as a whole is unfinished, and that is a difference already
    differences = []
    if target.record.conclusion != known.conclusion:
        reason = f" ({one_line(target.record.reason)})" if target.record.reason else ""
        text = f"{target.record.conclusion}{reason}, expected: {known.conclusion}"
        differences.append(Difference("conclusion", target.name, text))
        if target.record.conclusion == "not-driven":
            return differences
    missing = list(known.findings)
    found = list(target.findings)
    _pair(found, missing, _signature)
    changed = _pair(found, missing, _identity) + _pair(found, missing, _subject)
    differences += [
        Difference("changed", target.name, _change(finding, before), finding.id)
        for finding, before in changed
    ]
    differences += [_new(target, finding) for finding in found]
    if whole:
        differences += [
            Difference("vanished", target.name, f"{_name(before)} is gone: fixed? accept again") for before in missing
        ]
    return differences


_Comparable = Finding | ExpectedFinding


def _pair(
    found: list[Finding], missing: list[ExpectedFinding], key: Callable[[_Comparable], object]
) -> list[tuple[Finding, ExpectedFinding]]:
    """Take the pairs that agree under `key` out of both lists and return them."""
    pairs = []
    for finding in tuple(found):
        before = next((one for one in missing if key(one) == key(finding)), None)
        if before is not None:
            pairs.append((finding, before))
            found.remove(finding)
            missing.remove(before)
    return pairs


def _signature(one: _Comparable) -> tuple[object, ...]:
    """All that must stay for a finding to be the same one."""
    return (*_identity(one), _plain_set(one.clauses), _stable(one.effect))


def _identity(one: _Comparable) -> tuple[object, ...]:
    """What names the cause: the question and its reading, or the title where no question is behind it."""
    return (one.cause, one.question, one.reading) if one.question else (one.cause, _stable(one.title))


def _subject(one: _Comparable) -> tuple[object, ...]:
    """What a finding is about, whatever its cause."""
    return (one.question,) if one.question else ("", _plain_set(one.clauses))


def _stable(words: str) -> str:
    """Return the words without the numbers that come from the witness; those within a name (IPV4) stay."""
    return _NUMBER.sub("N", one_line(words))


def _plain_set(names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _change(finding: Finding, before: ExpectedFinding) -> str:
    title = finding.title if finding.question else before.title  # of a named question the title may change
    changes = []
    for label, old, new in (
        ("cause", before.cause, finding.cause),
        ("title", _stable(title), _stable(finding.title)),
        ("reading", before.reading, finding.reading),
        ("clauses", ", ".join(_plain_set(before.clauses)), ", ".join(_plain_set(finding.clauses))),
        ("effect", _stable(before.effect), _stable(finding.effect)),
    ):
        if old != new:
            changes.append(f"{label} was '{old}', is '{new}'")
    fails = "behaves" if finding.cause == before.cause == "reading" else "fails"
    return f"{fails} another way: {_name(finding)}: {'; '.join(changes)}"


def _new(target: TargetReport, finding: Finding) -> Difference:
    text = f"new: {_name(finding)}, {one_line(finding.effect)} ({count(finding.cases, 'case')})"
    return Difference("new", target.name, text, finding.id)


def _name(one: _Comparable) -> str:
    return f"{one.cause} '{one_line(one.title)}'"


def _expected(finding: Finding, notes: dict[tuple[object, ...], str]) -> ExpectedFinding:
    return ExpectedFinding(
        cause=finding.cause,
        title=finding.title,
        effect=finding.effect,
        clauses=finding.clauses,
        question=finding.question,
        reading=finding.reading,
        note=notes.get(_signature(finding), ""),
    )
