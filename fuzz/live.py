"""How a campaign is watched: lines for people, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from vnethash.models.summarize import summarize
from vnethash.spec.configuration import report_name
from vnethash.spec.text import clip, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vnethash.fuzz.found import Found
    from vnethash.fuzz.run import Run
    from vnethash.spec.outcome import Observation

#: Seconds between lines of progress where standard error is no terminal.
_SLOW = 15.0


def observed_words(observed: Observation | None) -> str:
    """Return an observation as a person reads it."""
    if observed is None:
        return "nothing"
    parts = []
    if observed.report is not None:
        parts.append(report_name(observed.report))
    if observed.value is not None:
        parts.append(f"0x{observed.value:08x}")
    if observed.queue is not None:
        parts.append(f"queue {observed.queue}")
    return " ".join(parts) or "not hashed"


def state(campaign: Run[Any, Any, Any]) -> dict[str, Any]:
    """Return how a campaign stands."""
    totals, seconds = campaign.totals, campaign.seconds()
    return {
        "engine": campaign.engine, "seed": campaign.seed, "interrupted": totals.interrupted,
        "seconds": round(seconds, 1), "executions": totals.executions,
        "per_second": round(totals.executions / seconds) if seconds else 0, "coverage": campaign.coverage(),
        "corpus": len(campaign.corpus), "causes": {"new": totals.new, "known": totals.known,
                                                   "regressions": totals.regressions},
        "since_new": round(seconds - totals.last_new, 1),
        "targets": {
            subject.name: {
                "edges": list(subject.edges), "rules": len(subject.rules.features), "skipped": subject.skipped,
                "causes": len(campaign.examiners[subject.name].causes),
                "unjudged": campaign.examiners[subject.name].unjudged,
            }
            for subject in campaign.subjects
        },
    }  # fmt: skip


def together(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how several processes stand that share a ledger and a corpus, each as `state` has it."""
    causes, targets = [each["causes"] for each in states], [each["targets"] for each in states]
    names = dict.fromkeys(name for each in targets for name in each)
    whole = {name: [each[name] for each in targets if name in each] for name in names}
    return {
        "engine": states[0]["engine"], "seed": min(each["seed"] for each in states),
        "interrupted": any(each["interrupted"] for each in states),
        "seconds": max(each["seconds"] for each in states),
        "executions": sum(each["executions"] for each in states),
        "per_second": sum(each["per_second"] for each in states),
        "coverage": max(each["coverage"] for each in states), "corpus": max(each["corpus"] for each in states),
        "causes": {name: sum(each[name] for each in causes) for name in causes[0]},
        "since_new": min(each["since_new"] for each in states),
        "targets": {
            name: {
                "edges": list(max(each["edges"] for each in shares)),
                "rules": max(each["rules"] for each in shares), "skipped": sum(each["skipped"] for each in shares),
                "causes": max(each["causes"] for each in shares),
                "unjudged": sum(each["unjudged"] for each in shares),
            }
            for name, shares in whole.items()
        },
    }


def unwritten_words(found: Found) -> str:
    """Return a cause that is in no ledger, as JSON with all that shows it."""
    return json.dumps({
        "id": found.id, "target": found.target, "kind": found.kind, "title": found.title, **_witness(found),
    })  # fmt: skip


def _witness(found: Found) -> dict[str, Any]:
    """Return what shows a cause: configuration and frames, or the steps of a sequence."""
    if found.shown is not None:
        return found.shown.to_json()
    return {"config": found.case.configuration.to_json(), "frames": [frame.hex() for frame in found.case.frames]}


class Show(Protocol):
    """Shows how campaigns go; a state is what `state` returns."""

    def begin(self, at: dict[str, Any], jobs: int) -> None:
        """Say what begins."""

    def cause(self, found: Found, what: str) -> None:
        """Show a cause."""

    def show(self, at: dict[str, Any]) -> None:
        """Show how it stands."""

    def note(self, words: str) -> None:
        """Show a line."""

    def unwritten(self, found: Found) -> None:
        """Show a cause that is in no ledger."""

    def end(self, at: dict[str, Any]) -> None:
        """Sum up."""


class Lines:
    """Causes on standard output; on standard error one line that changes, or now and then a new one."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def begin(self, at: dict[str, Any], jobs: int) -> None:
        """Say what begins."""
        seeds = f"seeds {at['seed']} to {at['seed'] + jobs - 1}, one a process" if jobs > 1 else f"seed {at['seed']}"
        print(f"fuzzing {', '.join(at['targets'])} with {at['engine']}, {seeds}")
        for name, each in at["targets"].items():
            if each["edges"][1]:
                print(f"  {name}: {each['edges'][1]} edges are counted")
        sys.stdout.flush()

    def cause(self, found: Found, what: str) -> None:
        """Show a cause when it is new, comes back, or is withdrawn."""
        self._clear()
        if what == "known":
            return
        print(f"{what:10}  {found.id}  {found.kind}: {one_line(found.title)}")
        if what != "withdrawn" and found.shown is not None:
            condition = "" if found.question else f"; shows with {clip(found.signature.words(), 200)}"
            print(f"            {found.target}: {one_line(found.words)}{condition} [{', '.join(found.clauses)}]")
            for line in found.shown.lines():
                print(f"              {clip(one_line(line), 180)}")
        elif what != "withdrawn":
            frames = " then ".join(f"{summarize(frame)}, {len(frame)} bytes" for frame in found.case.frames)
            condition = "" if found.question else f"; shows with {clip(found.signature.words(), 200)}"
            print(f"            {found.target}: {one_line(found.words)}{condition}")
            print(f"            {frames}: {observed_words(found.observed)} [{', '.join(found.clauses)}]")
        sys.stdout.flush()

    def show(self, at: dict[str, Any]) -> None:
        """Show how it stands."""
        now = time.monotonic()
        if not self._terminal and now - self._last < _SLOW:
            return
        self._last = now
        edges = "".join(f", {name} {each['edges'][0]}/{each['edges'][1]} edges" for name, each in at["targets"].items()
                        if each["edges"][1])  # fmt: skip
        line = (
            f"{at['seconds']:.0f} s  {at['executions']:,} executions, {at['per_second']:,}/s  coverage {at['coverage']}"
            f"{edges}  corpus {at['corpus']}  causes {at['causes']['new']} new, {at['causes']['known']} known"
            f"  last new {at['since_new']:.0f} s ago"
        )
        sys.stderr.write(f"\r\x1b[2K{clip(line, 158)}" if self._terminal else f"{line}\n")
        sys.stderr.flush()

    def note(self, words: str) -> None:
        """Show a line."""
        self._clear()
        sys.stderr.write(f"vnethash: {one_line(words)}\n")

    def unwritten(self, found: Found) -> None:
        """Show a cause that is in no ledger."""
        self._clear()
        print(f"unwritten   {unwritten_words(found)}")
        sys.stdout.flush()

    def end(self, at: dict[str, Any]) -> None:
        """Sum up."""
        self._clear()
        cut = " (interrupted; all is kept)" if at["interrupted"] else ""
        print(
            f"{at['executions']:,} executions in {at['seconds']:.0f} s{cut}: {at['causes']['new']} new causes, "
            f"{at['causes']['known']} known, {at['causes']['regressions']} regressions; corpus {at['corpus']}"
        )
        print(f"ledger  {self._ledger}  (vnethash findings list --ledger {self._ledger})")
        sys.stdout.flush()

    def _clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


class JsonLines:
    """Everything as JSON objects, one a line, on standard output; notes too."""

    def _line(self, **fields: object) -> None:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()

    def begin(self, at: dict[str, Any], jobs: int) -> None:
        """Tell what begins."""
        self._line(event="begin", engine=at["engine"], seed=at["seed"], jobs=jobs, targets=list(at["targets"]))

    def cause(self, found: Found, what: str) -> None:
        """Tell a cause."""
        self._line(
            event="cause", what=what, id=found.id, target=found.target, kind=found.kind, title=found.title,
            effect=found.words, clauses=list(found.clauses), condition=found.signature.words(), **_witness(found),
        )  # fmt: skip

    def show(self, at: dict[str, Any]) -> None:
        """Tell how it stands."""
        self._line(event="progress", **at)

    def note(self, words: str) -> None:
        """Tell a line."""
        self._line(event="note", words=one_line(words))

    def unwritten(self, found: Found) -> None:
        """Tell a cause that is in no ledger."""
        self._line(event="unwritten", **json.loads(unwritten_words(found)))

    def end(self, at: dict[str, Any]) -> None:
        """Tell the totals."""
        self._line(event="end", **at)
