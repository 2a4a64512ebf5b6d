"""Holds a campaign against the static suite: which of its findings have a cause, and behind how many executions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnethash.cli.main import run
from vnethash.fuzz.campaign import Campaign, Limits
from vnethash.fuzz.case import Case
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.subject import Subject
from vnethash.spec.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vnethash.fuzz.found import Found
    from vnethash.fuzz.signature import Signature
    from vnethash.targets.base import Target


@dataclass(frozen=True)
class Row:
    """A finding of the static suite, and the cause of the campaign that covers it, if there is one.

    `how` says by what: "reading", "question" (with another reading of it), "witness" (the cause's condition is met by
    the finding's witness), "before" (both depend on what came before), "effect" (the finding's witness is wrong in the
    same way under the same rule), "" for none.
    """

    finding: str
    kind: str
    reading: str
    by_frames: bool
    cause: Found | None
    how: str

    def line(self) -> str:
        """Return the row as text."""
        if self.cause is None:
            found = "not found" if self.by_frames else "needs sequences of commands"
            return f"{self.finding:26} {self.kind:12} {self.reading:18} {found}"
        return (
            f"{self.finding:26} {self.kind:12} {self.reading:18} {self.cause.executions:>9,}  {self.cause.kind} "
            f"{self.cause.id} ({self.how})"
        )


def static_findings(name: str, folder: Path) -> list[dict[str, Any]]:
    """Run the static suite on a target and return its findings as the records have them."""
    run(["check", name, "--output", str(folder), "--overwrite", "--brief"])
    lines = (folder / "report.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for line in lines if (record := json.loads(line))["record"] == "finding"]


def campaign_on(
    name: str, opener: Callable[[str], Target], seed: int, *, executions: int | None = None,
    seconds: float | None = None,
) -> Campaign:
    """Run a campaign from an empty corpus, without the frames of the suite."""
    subject = Subject(name, opener)
    campaign = Campaign([subject], Corpus(), None, seed=seed, limits=Limits(seconds, executions))
    campaign.run(load_engine("builtin"))
    return campaign


def held_against(campaign: Campaign, findings: Sequence[dict[str, Any]]) -> list[Row]:
    """Return a row for each finding of the static suite."""
    (examiner,) = campaign.examiners.values()
    rows = []
    for finding in findings:
        by_frames = bool(finding["vectors"])
        cause, how = None, ""
        for each in campaign.causes():
            if each.question and each.question == finding["question"]:
                cause, how = each, "reading" if each.reading == finding["reading"] else "question"
        witness = finding["witness"] or {}
        if cause is None and by_frames and "frame" in witness:
            configuration = campaign.subjects[0].fit(Configuration.from_json(witness["config"]))
            if configuration is not None:
                case = Case(configuration, (bytes.fromhex(witness["frame"]),))
                cause, how = examiner.covering(case), "witness"
                answer = examiner.judge.answer(case)
                if cause is None and answer is not None:
                    if not examiner.judge.as_filtered(case, answer):
                        cause, how = _wrong_alike(campaign, examiner.judge.signature(case, answer)), "effect"
                    elif witness.get("before"):
                        cause, how = next((each for each in campaign.causes() if each.signature.before), None), "before"
        rows.append(Row(finding["id"], finding["cause"], finding["reading"], by_frames, cause, how if cause else ""))
    return rows


def _wrong_alike(campaign: Campaign, signature: Signature) -> Found | None:
    """Return a cause that is wrong as a witness is whose condition is none of the causes'."""
    return next(
        (each for each in campaign.causes() if each.kind == "unexplained" and each.signature[:2] == signature[:2]), None
    )


def beside(campaign: Campaign, rows: Sequence[Row]) -> list[Found]:
    """Return the causes of a campaign that cover no finding of the static suite."""
    used = {row.cause.id for row in rows if row.cause is not None}
    return [cause for cause in campaign.causes() if cause.id not in used]
