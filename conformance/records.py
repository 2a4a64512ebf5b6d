"""The records of a run: one stream of JSON lines, from which every report is drawn.

    header      who ran what, when, with which tool and suite
    case        one frame under one configuration at one target: what was allowed, what came out, the verdict
    finding     a disagreement reduced to its cause, with a witness
    target      the conclusion about one target, with its profile of readings
    coverage    which fields a witness's hash covers, beside what the clauses hash (no verdict)
    footer      the counts; a report without it is not a report

All numbers are integers, all bytes lower-case hex. Readers reject unknown fields.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FORMAT = 1

Kind = Literal["pass", "pass-under", "fail", "error", "skipped", "timeout"]
Conclusion = Literal["conforms", "inconsistent", "deviates", "not-driven"]
Cause = Literal["defect", "reading", "inconsistent", "unexplained", "error"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="record"):
    """One line of report.jsonl."""


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An outcome or an observation; a field left out was not shown."""

    report: int | None = None
    value: int | None = None
    queue: int | None = None


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One allowed outcome and the readings (question -> reading) under which it is."""

    outcome: Shown
    when: dict[str, str] = {}


class Header(Record, frozen=True, tag="header"):
    """First line."""

    format: int
    tool: str
    started: str
    suite: str
    targets: list[str]
    machine: str
    command: list[str] = []


class Case(Record, frozen=True, tag="case"):
    """One frame under one configuration at one target."""

    target: str
    vector: int
    comment: str
    clauses: list[str]
    config: dict[str, Any]
    frame: str
    summary: str
    allowed: list[Allowed]
    observed: Shown | None
    verdict: Kind
    readings: dict[str, str] = {}
    clause: str = ""
    reason: str = ""


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The smallest frame and configuration that were found to show a finding.

    `summary` is one line such as "eth/ipv4(df)/tcp", `decoded` a dissection for people, `steps` the model's
    explanation with clauses, `expected` what is allowed, `observed` what the target showed.
    """

    frame: str
    config: dict[str, Any]
    summary: str
    decoded: str
    steps: list[str]
    expected: list[Allowed]
    observed: Shown | None
    reason: str = ""


class Finding(Record, frozen=True, tag="finding"):
    """A disagreement reduced to its cause.

    `cause` is "defect" for a known behaviour that nothing supports, "reading" for one that differs from the literal
    text but that a reading allows, "inconsistent" for a mix of readings, "unexplained" for a deviation that no listed
    reading explains, "error" for a target that failed. `vectors` are the numbers of the cases that show it.
    """

    id: str
    target: str
    cause: Cause
    title: str
    clauses: list[str]
    effect: str
    cases: int
    witness: Witness
    question: str = ""
    reading: str = ""
    detail: str = ""
    also: list[str] = []
    vectors: list[int] = []


class Settled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run says about one question: the readings that are still possible, and how many cases spoke to it."""

    readings: list[str]
    standing: str
    cases: int


class TargetRecord(Record, frozen=True, tag="target"):
    """The conclusion about one target."""

    target: str
    implementation: dict[str, str]
    notes: list[str]
    observes: list[str]
    conclusion: Conclusion
    reason: str
    counts: dict[str, int]
    profile: dict[str, Settled]
    clauses: dict[str, dict[str, int]]
    seconds: float


class Covered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of packet: which bits of it a witness's hash covers.

    `mask` has a bit set for each bit of `frame` that changes the hash. `fields` are the masks of the named fields of
    the frame, `covered` what of them the hash covers, `clauses` those that the literal model hashes. All are hex.
    """

    kind: str
    frame: str
    mask: str
    fields: dict[str, str]
    covered: dict[str, str]
    clauses: list[str]


class Coverage(Record, frozen=True, tag="coverage"):
    """What a witness showed, which is no target and is not judged; `machine` says which one and when."""

    witness: str
    implementation: dict[str, str]
    machine: str
    kinds: list[Covered]


class Footer(Record, frozen=True, tag="footer"):
    """Last line."""

    finished: str
    cases: int
    findings: int
    exit_code: int
    interrupted: bool = False


AnyRecord = Header | Case | Finding | TargetRecord | Coverage | Footer
