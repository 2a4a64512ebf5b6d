"""Causes by targets: which target shows which finding, and between which versions of one implementation that changed.

A cell is "present" where the target has the finding, "absent" where its answers say that it does not behave so, and
"unknown" where nothing was shown that could tell: skipped cases, a question that is still open, a target that was not
driven. Absent is said only on evidence, as a release must not be praised for what it was not asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from vnethash.conformance.report import CAUSE_ORDER
from vnethash.spec.text import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vnethash.conformance.records import Cause, Finding
    from vnethash.conformance.report import Report, TargetReport

State = Literal["present", "absent", "unknown"]
#: How a cell is shown.
WORDS: dict[State, str] = {"present": "present", "absent": "absent", "unknown": "not shown"}

_ANSWERED = frozenset({"pass", "pass-under", "fail"})
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
#: What a finding is named by: question and reading, or the name of its cause.
_Key = tuple[str, str]


class Cell(NamedTuple):
    """One cause at one target; `finding` is the id of what shows it, `why` says what an absence or a doubt rests on."""

    state: State
    finding: str = ""
    why: str = ""

    @property
    def words(self) -> str:
        """The state as it is shown."""
        return WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Row:
    """One cause with a cell for each target; `history` has a line for each implementation of several versions.

    `name` is short: "QUESTION: READING", or the name of the cause in the ids of its findings.
    """

    cause: Cause
    name: str
    title: str
    clauses: tuple[str, ...]
    question: str
    cells: tuple[Cell, ...]
    history: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The rows with the worst cause first; `versions` says whether several targets are versions of one thing."""

    targets: tuple[str, ...]
    rows: tuple[Row, ...]
    versions: bool

    def short_names(self) -> tuple[str, tuple[str, ...]]:
        """Return the scheme that all targets share, e.g. "qemu:", and what is left of their names."""
        schemes = {name.partition(":")[0] for name in self.targets}
        if len(schemes) == 1 and all(":" in name for name in self.targets):
            return f"{schemes.pop()}:", tuple(name.partition(":")[2] for name in self.targets)
        return "", self.targets


class _Answer(NamedTuple):
    """What came out for one case or one sequence of steps: parts of an outcome by name, or words by step."""

    right: bool
    shown: dict[str, object]


class _Answers(NamedTuple):
    """What each target answered, by number of the case or name of the sequence, and what of an outcome each shows."""

    given: dict[str, dict[int | str, _Answer]]
    sights: dict[str, set[str]]


def _answers(targets: Iterable[TargetReport]) -> _Answers:
    """Gather what was answered; what was skipped or failed is no answer."""
    given: dict[str, dict[int | str, _Answer]] = {}
    for target in targets:
        mine = given.setdefault(target.name, {})
        for case in target.cases:
            if case.observed is not None and case.verdict in _ANSWERED:
                shown = case.observed
                parts: dict[str, object] = {"report": shown.report, "value": shown.value, "queue": shown.queue}
                mine[case.vector] = _Answer(case.verdict != "fail", parts)
        for sequence in target.sequences:
            if sequence.verdict in _ANSWERED:
                words: dict[str, object] = {str(place): step.observed for place, step in enumerate(sequence.steps)}
                mine[sequence.name] = _Answer(sequence.verdict != "fail", words)
    return _Answers(given, {target.name: set(target.record.observes) if target.record else set() for target in targets})


def build(report: Report) -> Matrix | None:
    """Return the matrix of a run, None where fewer than two targets were driven or nothing was found."""
    targets = report.targets
    if sum(target.record is not None and target.conclusion != "not-driven" for target in targets) < 2:
        return None
    shown: dict[_Key, list[Finding]] = {}
    for finding in report.findings:
        shown.setdefault(_key(finding), []).append(finding)
    if not shown:
        return None
    answers = _answers(targets)
    cells = {key: tuple(_cell(findings, target, answers) for target in targets) for key, findings in shown.items()}
    wrong = {key for key, findings in shown.items() if findings[0].cause != "reading"}
    families = _families(targets)
    rows = [
        Row(
            findings[0].cause, ": ".join(filter(None, key)), findings[0].title, tuple(findings[0].clauses),
            findings[0].question, cells[key], tuple(_histories(key, findings[0].cause, cells, families, wrong)),
        )
        for key, findings in shown.items()
    ]
    rows.sort(key=lambda row: (CAUSE_ORDER.index(row.cause), _first(row), row.name))
    return Matrix(tuple(target.name for target in targets), tuple(rows), bool(families))


def _first(row: Row) -> int:
    return next(place for place, cell in enumerate(row.cells) if cell.state == "present")


def _key(finding: Finding) -> _Key:
    if finding.question and finding.reading:
        return (finding.question, finding.reading)
    # The name of a failure is a running number; its words, without the target, say more. Any other id is "T1." and the
    # name of the cause.
    words = re.sub(rf"^{re.escape(finding.target)}[^ ]*: ", "", finding.title)
    return ("", words if finding.cause == "error" else finding.id.partition(".")[2] or finding.id)


def _cell(findings: Sequence[Finding], target: TargetReport, answers: _Answers) -> Cell:
    own = next((one for one in findings if one.target == target.name), None)
    if own is not None:
        return Cell("present", own.id, f"{own.cases:,} cases show it")
    if target.record is None or target.conclusion == "not-driven":
        return Cell("unknown", why="not driven")
    question, reading = findings[0].question, findings[0].reading
    if question and reading:
        # The profile of readings must rule it out.
        settled = target.record.profile.get(question)
        if settled is None or not settled.cases or not settled.readings:
            return Cell("unknown", why=f"no answer speaks to {question}")
        if reading in settled.readings:
            return Cell("unknown", why=f"{question} is open: {' or '.join(settled.readings)}")
        mixed = next((other for other in target.findings if _mixes(other, question)), None)
        if mixed is not None:
            return Cell("unknown", mixed.id, f"mixes readings of {question}")
    # Another wrong answer to the same question is an answer: the behaviour that is looked for has made room for it.
    other = bool(question) and any(one.question == question for one in target.findings)
    return _by_answers(findings, target.name, answers, other=other)


def _mixes(finding: Finding, question: str) -> bool:
    return finding.cause == "inconsistent" and not finding.reading and finding.id.endswith(
        (f".mixed-{question}", ".mixed-readings")
    )


def _by_answers(findings: Sequence[Finding], target: str, answers: _Answers, *, other: bool) -> Cell:
    """Judge by the answers to the cases that show the cause elsewhere.

    None must be as it is there, and some must be right, or wrong for an `other` cause that is known.
    """
    broken = findings[0].cause == "error"
    passed = same = 0
    names: set[int | str] = set()
    for finding in findings:
        sights = answers.sights[finding.target]
        if not sights <= answers.sights[target]:
            continue  # this target shows less of the outcome
        own: list[int | str] = [*finding.vectors, *finding.sequences]
        names.update(own)
        for name in own:
            here, there = (answers.given[one].get(name) for one in (target, finding.target))
            if here is None or (there is None and not broken):
                continue
            alike = there is not None and not broken and _alike(here, there, sights)
            same += alike
            passed += not alike and (here.right or broken or other)
    if same:
        return Cell("unknown", why=f"{count(same, 'case')} answered here as where it is shown")
    if not passed:
        return Cell("unknown", why="none of the cases that show it elsewhere is answered rightly here")
    return Cell("absent", why=f"of {count(len(names), 'case')} that show it elsewhere, none is answered so here")


def _alike(here: _Answer, there: _Answer, sights: set[str]) -> bool:
    if "queue" in here.shown:
        return all(here.shown[name] == there.shown[name] for name in sights)
    return here.shown == there.shown


class _Family(NamedTuple):
    """Targets that are versions of one implementation, oldest first: place in the run and version of each."""

    name: str
    members: tuple[tuple[int, str], ...]


def _families(targets: Sequence[TargetReport]) -> list[_Family]:
    found: dict[str, list[tuple[int, str]]] = {}
    for place, target in enumerate(targets):
        known = target.record.implementation if target.record else {}
        version = _VERSION.match(known.get("version", ""))
        if known.get("name") and version:
            found.setdefault(known["name"], []).append((place, version[0]))
    return [
        _Family(name, tuple(sorted(members, key=lambda one: [int(part) for part in one[1].split(".")])))
        for name, members in found.items() if len({version for _, version in members}) > 1
    ]


def _histories(
    key: _Key, cause: Cause, cells: dict[_Key, tuple[Cell, ...]], families: Sequence[_Family], wrong: set[_Key]
) -> Iterable[str]:
    for family in families:
        words = _history(key, cause, cells, family, wrong)
        if words:
            yield f"{family.name}: {words}" if len(families) > 1 else words


def _history(
    key: _Key, cause: Cause, cells: dict[_Key, tuple[Cell, ...]], family: _Family, wrong: set[_Key]
) -> str:
    known = [
        (place, version, cells[key][place].state) for place, version in family.members
        if cells[key][place].state != "unknown"
    ]
    states = [state for _, _, state in known]
    if "present" not in states or len(known) < 2:
        return ""
    if "absent" not in states:
        return "unchanged" if len(known) == len(family.members) else ""
    changes = []
    for (_, before, old), (place, after, new) in pairwise(known):
        if old == new:
            continue
        if new == "present":
            changes.append(f"came between {before} and {after}")
        else:
            # Another answer to the same question that is no better is no repair; one that the text allows is.
            other = any(
                one[0] == key[0] != "" and one != key and its[place].state == "present"
                and (one in wrong or key not in wrong)
                for one, its in cells.items()
            )
            word = "changed" if other else "gone" if cause in {"reading", "inconsistent"} else "fixed"
            changes.append(f"{word} between {before} and {after}")
    return ", ".join(changes)
