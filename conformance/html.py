"""report.html: one self-contained page that needs neither a network nor a server.

The page is drawn by `templates/report.html.j2`; this module prepares what the template places. Everything from a
target or a file goes through autoescape, and the page's own policy forbids it to load anything.
"""

from __future__ import annotations

import re
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import BaseLoader, Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape
from vnethash.conformance import coverage
from vnethash.conformance.matrix import build
from vnethash.conformance.report import KINDS
from vnethash.conformance.summary import HISTORY, conclusion_words, figures
from vnethash.conformance.wording import (
    CAUSES,
    STANDINGS,
    HexRow,
    all_allowed_words,
    configuration_words,
    hex_rows,
    observed_words,
    readings_words,
    replay_command,
    settled_words,
    value_words,
    witness_words,
)
from vnethash.spec.clauses import load
from vnethash.spec.configuration import report_name
from vnethash.spec.questions import all_questions
from vnethash.spec.text import clip, count, natural, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.conformance.records import Case, Settled, Shown, Witness
    from vnethash.conformance.report import Report, TargetReport

#: Bytes of a frame, cases and findings of a target that the page shows; report.jsonl always holds all of them.
FRAME_LIMIT = 1024
CASES_LIMIT = 400
FINDINGS_LIMIT = 150
ALLOWED_LIMIT = 24
_TEXT_LIMIT = 6000

_CLAUSE_ID = re.compile(r"\b[A-Z][A-Z0-9]*(?:-[A-Z]?[0-9]+)+\b")


class Cell(NamedTuple):
    """One cell of the verdict matrix: the clause at one target."""

    passed: int
    under: int
    failed: int
    other: int
    worst: str
    title: str


class MatrixRow(NamedTuple):
    """One clause of the verdict matrix, with its rank: 0 fails somewhere, 3 was not judged anywhere."""

    clause: str
    says: str
    rank: int
    fails: int
    cells: list[Cell | None]


class Part(NamedTuple):
    """One part of an outcome, and whether it differs from what was observed."""

    text: str
    differs: bool


class OutcomeRow(NamedTuple):
    """One row of the table that puts the allowed outcomes beside the observed one."""

    label: str
    parts: list[Part]
    when: str


def render(report: Report) -> str:
    """Return the page."""
    environment = Environment(
        loader=_loader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        plain=plain,
        line=one_line,
        clip=clip,
        count=count,
        readings=readings_words,
        observed=observed_words,
        allowed=all_allowed_words,
        settled=_settled,
        configuration=configuration_words,
        clause=_clause,
        question=_question,
        reading=_reading,
        with_clauses=_with_clauses,
        outcomes=_outcomes,
        dump=_dump,
        conclusion=conclusion_words,
        figures=figures,
        witness=witness_words,
        shown_cases=_shown_cases,
        text=_limited,
        coverage_rows=coverage.rows,
        coverage_title=coverage.title,
    )
    page = environment.get_template("report.html.j2").render(
        report=report,
        matrix=_matrix(report),
        by_cause=build(report),
        history_heading=HISTORY,
        standings=STANDINGS,
        causes=CAUSES,
        coverage_caption=coverage.CAPTION,
        replay=partial(replay_command, report.folder),
        frame_limit=FRAME_LIMIT,
        cases_limit=CASES_LIMIT,
        findings_limit=FINDINGS_LIMIT,
        allowed_limit=ALLOWED_LIMIT,
    )
    return page + "\n"


def _loader() -> BaseLoader:
    folder = resources.files("vnethash.conformance") / "templates"
    return FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8"))


def _clause(name: str) -> Markup:
    """Return a clause id that shows what the clause says when pointed at."""
    known = load().get(name)
    if known is None:
        return Markup('<span class="clause">{}</span>').format(plain(name))
    title = f"{known.strength}, {known.document} {known.versions[-1]}, {known.section}: {known.says}"
    return Markup('<abbr class="clause" title="{}">{}</abbr>').format(title, name)


def _question(name: str) -> Markup:
    """Return a question that shows what it asks when pointed at."""
    known = all_questions().get(name)
    if known is None:
        return Markup("<code>{}</code>").format(plain(name))
    return Markup('<abbr class="clause" title="{}">{}</abbr>').format(f"{known.title}: {known.asks}", name)


def _reading(name: str, question: str) -> Markup:
    """Return a reading that shows its words when pointed at."""
    known = all_questions().get(question)
    reading = next((one for one in known.readings if one.name == name), None) if known else None
    if reading is None:
        return Markup("<code>{}</code>").format(plain(name))
    title = f"{reading.words} ({STANDINGS[reading.standing]}{'; ' + ', '.join(reading.who) if reading.who else ''})"
    return Markup('<abbr class="clause" title="{}">{}</abbr>').format(title, name)


def _settled(settled: Settled, question: str) -> Markup:
    """Return what a run settled, as `settled_words` does, with each reading's words behind it."""
    if not settled.cases or not settled.readings:
        return escape(settled_words(settled))
    names = Markup(" or ").join(_reading(name, question) for name in settled.readings)
    return names if len(settled.readings) == 1 else Markup("open: {}").format(names)


def _with_clauses(text: str) -> Markup:
    """Return the text with the clause ids in it marked."""
    text = plain(text)
    clauses = load()
    result = Markup("")
    end = 0
    for match in _CLAUSE_ID.finditer(text):
        if match[0] in clauses:
            result += escape(text[end : match.start()]) + _clause(match[0])
            end = match.end()
    return result + escape(text[end:])


def _limited(text: str) -> str:
    return clip(plain(text), _TEXT_LIMIT)


def _matrix(report: Report) -> list[MatrixRow]:
    by_target = [target.clause_counts() for target in report.targets]
    places = {clause: place for place, clause in enumerate(load())}
    seen = {clause for counts in by_target for clause in counts}
    rows = []
    for clause in sorted(seen, key=lambda name: (places.get(name, len(places)), natural(name))):
        cells = [_cell(counts.get(clause)) for counts in by_target]
        shown = [cell for cell in cells if cell is not None]
        ranks = [("fail", "under", "pass", "none").index(cell.worst) for cell in shown]
        says = load()[clause].says if clause in places else ""
        rows.append(MatrixRow(clause, says, min(ranks, default=3), sum(cell.failed for cell in shown), cells))
    return rows


def _cell(counts: Mapping[str, int] | None) -> Cell | None:
    if not counts or not any(counts.values()):
        return None
    passed, under, failed = (counts.get(kind, 0) for kind in ("pass", "pass-under", "fail"))
    other = sum(counts.get(kind, 0) for kind in ("skipped", "error", "timeout"))
    worst = "fail" if failed else "under" if under else "pass" if passed else "none"
    title = ", ".join(f"{counts[kind]:,} {kind.replace('-', ' ')}" for kind in KINDS if counts.get(kind))
    return Cell(passed, under, failed, other, worst, title)


def _outcomes(witness: Witness) -> list[OutcomeRow]:
    observed = witness.observed
    rows = [
        OutcomeRow("allowed", _parts(allowed.outcome, observed), readings_words(allowed.when) or "always")
        for allowed in witness.expected[:ALLOWED_LIMIT]
    ]
    rows.append(OutcomeRow("observed", _parts(observed, None), one_line(witness.reason)))
    return rows


def _parts(shown: Shown | None, observed: Shown | None) -> list[Part]:
    if shown is None:
        return [Part("-", differs=False)] * 3
    texts = (
        "-" if shown.report is None else report_name(shown.report),
        "-" if shown.value is None else value_words(shown.value),
        "-" if shown.queue is None else "none" if shown.queue < 0 else str(shown.queue),
    )
    pairs: list[tuple[int | None, int | None]] = [(None, None)] * 3
    if observed is not None:
        pairs = [(shown.report, observed.report), (shown.value, observed.value), (shown.queue, observed.queue)]
    return [
        Part(text, differs=mine is not None and theirs is not None and mine != theirs)
        for text, (mine, theirs) in zip(texts, pairs, strict=True)
    ]


def _dump(witness: Witness) -> list[HexRow]:
    return hex_rows(bytes.fromhex(witness.frame), FRAME_LIMIT)


def _shown_cases(target: TargetReport) -> list[Case]:
    """Return the cases worth a row: failed, not answered, or passed under a reading that the target mixes."""
    mixed = {finding.question for finding in target.findings if finding.cause == "inconsistent"} - {""}
    bad = [case for case in target.cases if case.verdict in ("fail", "error", "timeout")]
    return bad + [case for case in target.cases if case.verdict == "pass-under" and mixed & set(case.readings)]
