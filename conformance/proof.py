"""What `vnethash prove` leaves behind: one line for each statement (proof.jsonl), and a page for people (proof.md).

The lines are a header, verdicts, a footer; without its footer a proof is not complete.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self, TextIO, cast

from vnethash.models.symbolic.interactions import GROUP as INTERACTIONS
from vnethash.models.symbolic.interactions import pairs_of
from vnethash.models.symbolic.obligations import Verdict
from vnethash.models.symbolic.prover import GROUPS
from vnethash.spec.errors import EXIT_DEVIATIONS, EXIT_OK, EXIT_TARGET, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vnethash.models.symbolic.obligations import Task

FORMAT = 1


@dataclass
class Proof:
    """The verdicts so far.

    Attributes:
        tasks: all that was to be proved.
        verdicts: what came out, by (group, name).
        seconds: wall-clock time of the whole.
        interrupted: it was stopped before its end.
    """

    tasks: Sequence[Task]
    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    def counts(self, group: str) -> Counter[str]:
        """Return how many statements of a group have which verdict."""
        return Counter(verdict.kind for (name, _), verdict in self.verdicts.items() if name == group)

    def of_kind(self, kind: str) -> list[tuple[Task, Verdict]]:
        """Return the statements with a verdict, in the order of the groups."""
        return [
            (task, self.verdicts[task.group, task.name])
            for task in self.tasks
            if (task.group, task.name) in self.verdicts and self.verdicts[task.group, task.name].kind == kind
        ]

    @property
    def exit_code(self) -> int:
        """0: all proved; 1: something is refuted; 3: something has no answer."""
        if self.of_kind("refuted"):
            return EXIT_DEVIATIONS
        return EXIT_OK if len(self.of_kind("proved")) == len(self.tasks) else EXIT_TARGET


class ProofWriter:
    """Writes proof.jsonl line by line, so that a run that is stopped keeps what it proved."""

    def __init__(self, folder: Path, tool: str, started: str, command: Sequence[str], solvers: dict[str, str]) -> None:
        self._file: TextIO
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "proof.jsonl").open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write into {folder}: {error.strerror}", hint="--output names a folder") from None
        self._line({
            "record": "header", "format": FORMAT, "tool": tool, "started": started, "command": list(command),
            "solvers": solvers,
        })

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def verdict(self, task: Task, verdict: Verdict) -> None:
        """Write one verdict."""
        about = {"group": task.group, "name": task.name, "statement": task.statement, "bounds": task.bounds}
        self._line({"record": "verdict", **about, **asdict(verdict)})

    def footer(self, proof: Proof, ended: str) -> None:
        """Write the counts."""
        kinds = {kind: len(proof.of_kind(kind)) for kind in ("proved", "refuted", "open")}
        self._line({
            "record": "footer", "ended": ended, "statements": len(proof.tasks), **kinds,
            "seconds": round(proof.seconds, 1), "interrupted": proof.interrupted, "exit_code": proof.exit_code,
        })

    def _line(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def page(proof: Proof, tool: str, solvers: dict[str, str]) -> str:
    """Return the proof as Markdown."""
    used = ", ".join(f"{name} {version}" for name, version in solvers.items())
    lines = [
        "# What is proved of the model", "",
        f"{tool}; {used}; {len(proof.verdicts)} of {len(proof.tasks)} statements in {proof.seconds:.0f} s"
        + ("; stopped before its end" if proof.interrupted else ""), "",
        "| group | what | statements | proved | refuted | open |", "|---|---|---|---|---|---|",
    ]
    groups = [group for group in GROUPS if any(task.group == group for task in proof.tasks)]
    for group in groups:
        counts = proof.counts(group)
        total = sum(task.group == group for task in proof.tasks)
        lines.append(
            f"| {group} | {GROUPS[group][1]} | {total} | {counts['proved']} | {counts['refuted']} | {counts['open']} |"
        )
    for kind in ("refuted", "open"):
        found = proof.of_kind(kind)
        if found:
            lines += ["", f"## {kind.capitalize()}", ""]
        lines += [
            line for task, verdict in found
            for line in (f"- **{task.group}/{task.name}**: {task.statement}. {verdict.detail}", *_shown(verdict))
        ]
    for group in groups:
        lines += ["", f"## {group.capitalize()}", ""]
        for bounds in dict.fromkeys(task.bounds for task in proof.tasks if task.group == group):
            lines += [f"For {bounds}:", ""]
            for task in proof.tasks:
                one = proof.verdicts.get((task.group, task.name))
                if task.group == group and task.bounds == bounds and one is not None and one.kind == "proved":
                    cover = f"; cover: {one.cover}" if one.cover else ""
                    lines.append(f"- {task.name}: {task.statement} ({one.detail}{cover}; {one.seconds:.1f} s)")
            lines.append("")
        if group == INTERACTIONS and proof.counts(group):
            lines += [_pairs(proof), ""]
    return "\n".join(lines).rstrip() + "\n"


def _pairs(proof: Proof) -> str:
    """Return what all rows together say of the pairs of questions."""
    rows: dict[str, Verdict] = {}
    for (group, _), verdict in proof.verdicts.items():
        if group == INTERACTIONS:
            rows |= {name: Verdict("proved", "", data=cast("Any", data)) for name, data in verdict.data.items()}
    counts = Counter(word for _, _, word in pairs_of(rows))
    return (
        f"Of {counts.total():,} pairs of {len(rows)} questions {counts['interact']:,} interact, "
        f"{counts['without effect']} are asked together without effect, {counts['never']} are never asked together; "
        f"nothing is claimed of {counts['met']} that were met together without an effect so far, and of "
        f"{counts['undecided']} of which it is not known whether they are asked together."
    )


def _shown(verdict: Verdict) -> list[str]:
    found = verdict.counterexample
    if found is None:
        return []
    readings = ", ".join(f"{question}={reading}" for question, reading in found.readings.items()) or "literal"
    lines = ["", f"      {found.shows}", f"      frame {found.frame}"]
    if found.configuration:
        lines.append(f"      configuration {json.dumps(found.configuration)}")
    return [*lines, f"      readings {readings}", ""]
