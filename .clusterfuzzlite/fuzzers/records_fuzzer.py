"""Records of runs, and files of expected results: read or refused in one line; what is read can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness
import msgspec

with harness.instrumented():
    from vnethash.conformance.expected import Expected, ExpectedFinding, ExpectedTarget, accept, read_expected
    from vnethash.conformance.records import Allowed, Case, Finding, Footer, Header, Shown, TargetRecord, Witness
    from vnethash.conformance.report import encode, read_report
    from vnethash.conformance.summary import render_markdown
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = harness.DataFile()


def one(data: bytes) -> None:
    """Read it as either."""
    path = FILE.write(data)
    for partial in (False, True):
        try:
            report = read_report(path, partial=partial)
        except VnethashError as error:
            harness.one_line(error.line())
            continue
        render_markdown(report)
        if not report.state:
            accept(report)
    try:
        read_expected(path)
    except VnethashError as error:
        harness.one_line(error.line())


def seeds() -> Iterator[bytes]:
    """Yield a small run, its head, and a file of expectations."""
    allowed = [Allowed(Shown(2, 5, 1)), Allowed(Shown(1, 6, 1), {"atomic-fragment": "whole"})]
    config, frame = Configuration().to_json(), bytes(60).hex()
    witness = Witness(frame, config, "60 bytes", "decoded", ["step"], allowed, Shown(3, 7, 1))
    records = (
        Header(1, "vnethash 0", "2026-01-01T00:00:00Z", "suite", ["a"], "machine"),
        Case("a", 1, "comment", ["V4-1"], config, frame, "60 bytes", allowed, Shown(3, 7, 1), "fail"),
        Finding("a.V4-1", "a", "unexplained", "title", ["V4-1"], "effect", 1, witness),
        TargetRecord("a", {"name": "a"}, [], ["queue"], "deviates", "", {"fail": 1}, {}, {"V4-1": {"fail": 1}}, 0.5),
        Footer("2026-01-01T00:00:01Z", 1, 1, 1),
    )
    yield b"".join(encode(record) + b"\n" for record in records)
    yield encode(records[0]) + b"\n"
    known = ExpectedFinding("unexplained", "title", "effect", ["V4-1"])
    yield msgspec.json.encode(Expected(1, "vnethash 0", "suite", {"a": ExpectedTarget("deviates", [known])}))


def words() -> tuple[bytes, ...]:
    """Return the names of records and of their fields."""
    names = (
        "record", "header", "target", "case", "finding", "footer", "format", "tool", "started", "suite", "targets",
        "name", "verdicts", "id", "clauses", "witness", "frame", "config", "expected", "observed", "title", "kind",
    )  # fmt: skip
    return tuple(f'"{name}":'.encode() for name in names)


if __name__ == "__main__":
    harness.fuzz(one)
