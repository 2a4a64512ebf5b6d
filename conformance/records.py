"""The records of a run: one stream of JSON lines, from which every report is drawn.

    header      who ran what, when, with which tool and suite
    case        one frame under one configuration at one target: what was allowed, what came out, the verdict
    sequence    a sequence of steps at one device, likewise (control suite; since format 2)
    finding     a disagreement reduced to its cause, with a witness
    target      the conclusion about one target, with its profile of readings
    coverage    which fields a witness's hash covers, beside what the clauses hash (no verdict; since format 2)
    footer      the counts; a report without it is not a report

All numbers are integers, all bytes lower-case hex. Readers reject unknown fields.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

FORMAT = 3
#: Formats that are read; each has all that those before it had.
READ = (1, 2, 3)

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


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of a driver, and what it showed.

    `do` says which of the fields it has: "negotiate" `features` (hex, as many bits as are needed), "command"
    `command_class`, `command` and `data`, "packet" `frame`, `header` (what the backend puts before it) and `looks`
    (the parts that count). `words` is the step for people, `allowed` what some reading of the text has, `observed`
    what came; `fits` if that is among the allowed.
    """

    do: Literal["negotiate", "reset", "command", "packet", "space"]
    words: str
    allowed: list[str]
    observed: str
    features: str = ""
    command_class: int = 0
    command: int = 0
    data: str = ""
    frame: str = ""
    header: str = ""
    looks: list[str] = []
    fits: bool = True


class Sequence(Record, frozen=True, tag="sequence"):
    """A sequence of steps at one device; `failed` is the number of the step that is not allowed, from 1, 0 for none."""

    target: str
    name: str
    comment: str
    clauses: list[str]
    steps: list[Step]
    verdict: Kind
    readings: dict[str, str] = {}
    clause: str = ""
    reason: str = ""
    failed: int = 0


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The smallest frame and configuration that were found to show a finding.

    `summary` is one line such as "eth/ipv4(df)/tcp", `decoded` a dissection for people, `steps` the model's
    explanation with clauses, `expected` what is allowed, `observed` what the target showed. A witness of the control
    suite is a `sequence` instead; `fresh` if the device must be started anew for it, and `frame` is its last packet.
    `before` are frames that are put in front of `frame`, on which its answer depends (since format 3).
    """

    frame: str
    config: dict[str, Any]
    summary: str
    decoded: str
    steps: list[str]
    expected: list[Allowed]
    observed: Shown | None
    reason: str = ""
    sequence: list[Step] = []
    fresh: bool = False
    before: list[str] = []


class Finding(Record, frozen=True, tag="finding"):
    """A disagreement reduced to its cause.

    `cause` is "defect" for a known behaviour that nothing supports, "reading" for one that differs from the literal
    text but that a reading allows, "inconsistent" for a mix of readings, "unexplained" for a deviation that no listed
    reading explains, "error" for a target that failed. `vectors` are the numbers of the cases that show it,
    `sequences` the names of the sequences.
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
    sequences: list[str] = []


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


AnyRecord = Header | Case | Sequence | Finding | TargetRecord | Coverage | Footer
