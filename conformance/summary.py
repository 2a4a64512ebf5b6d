"""The short reports: summary.md for a CI job's page, badge.json for a badge, and the table at the end of a run."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from vnethash.conformance import coverage
from vnethash.conformance.matrix import Matrix, build
from vnethash.conformance.report import REPORT, Report, TargetReport, gather
from vnethash.conformance.wording import (
    distinct_outcomes,
    observed_words,
    replay_command,
    settled_words,
    step_lines,
    witness_words,
)
from vnethash.spec.questions import all_questions
from vnethash.spec.text import clip, count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO

    from vnethash.conformance.expected import Difference
    from vnethash.conformance.records import AnyRecord, Coverage, Finding, Settled

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#$])")
#: GitHub takes 1 MiB of summary; a target with more findings than this needs the report, not a summary.
_FINDINGS_LIMIT = 60
_REASONS_LIMIT = 6

_CONCLUSION_STYLES = {
    "conforms": "bold green",
    "inconsistent": "bold yellow",
    "deviates": "bold red",
    "not-driven": "bold magenta",
    "unfinished": "bold magenta",
}
_CAUSE_STYLES = {"defect": "red", "inconsistent": "yellow", "unexplained": "red", "error": "magenta", "reading": "cyan"}
_STATE_STYLES = {"present": "bold", "absent": "green", "unknown": "dim"}
#: Heading of the column that tells versions of one implementation apart.
HISTORY = "fixed in, came with"
_COLUMNS = (("pass", "pass"), ("pass-under", "pass under"), ("fail", "fail"), ("skipped", "skipped"), ("", "error"))


def conclusion_words(target: TargetReport) -> str:
    """Return the conclusion as words: "conforms", "not driven", "did not finish"."""
    return target.conclusion.replace("-", " ") if target.record is not None else "did not finish"


def figures(target: TargetReport) -> tuple[int, int, int, int, int]:
    """Return the numbers of pass, pass-under, fail, skipped, and error with timeout."""
    counts = target.counts()
    return (
        counts["pass"], counts["pass-under"], counts["fail"], counts["skipped"], counts["error"] + counts["timeout"],
    )


# summary.md


def render_markdown(report: Report) -> str:
    """Return the summary as GitHub's Markdown."""
    header = report.header
    lines = [f"## {_md(header.tool)}: {_md(header.suite)}", ""]
    if report.state:
        lines += [f"> **Incomplete:** {_md(report.state)}.", ""]
    names = " | ".join(name for _, name in _COLUMNS)
    lines += [f"| target | conclusion | {names} |", "|---|---|" + "--:|" * len(_COLUMNS)]
    for target in report.targets:
        numbers = " | ".join(f"{number:,}" for number in figures(target))
        title = f"<br>{_md(target.title)}" if target.title else ""
        lines.append(f"| **{_md(target.name)}**{title} | {_md(_reasoned(target))} | {numbers} |")
    matrix = build(report)
    if matrix is not None:
        lines += ["", *_markdown_matrix(matrix)]
    for target in report.targets:
        lines += ["", *_markdown_target(target, report)]
    for witness in report.witnesses:
        lines += ["", *_markdown_witness(witness)]
    lines += ["", f"<sub>{_md(header.machine)}, started {_md(header.started)}{_md(_ended(report))}</sub>", ""]
    return "\n".join(lines)


def _markdown_matrix(matrix: Matrix) -> list[str]:
    """Return causes by targets; a cell that is empty is not shown."""
    names = [f"**{_md(name)}**" for name in matrix.targets] + [HISTORY] * matrix.versions
    lines = ["### Causes by targets", "", f"| what | cause | clauses | {' | '.join(names)} |"]
    lines.append("|---|---|---|" + ":-:|" * len(matrix.targets) + "---|" * matrix.versions)
    for row in matrix.rows[:_FINDINGS_LIMIT]:
        cells = [f"**{_md(row.name)}**<br>{_md(clip(row.title, 200))}", row.cause, _md(", ".join(row.clauses))]
        cells += [f"**{cell.words}**" if cell.state == "present" else cell.words for cell in row.cells]
        cells += ["<br>".join(_md(line) for line in row.history)] * matrix.versions
        lines.append(f"| {' | '.join(cells)} |")
    if len(matrix.rows) > _FINDINGS_LIMIT:
        lines += ["", f"{count(len(matrix.rows) - _FINDINGS_LIMIT, 'more cause')} in report.html."]
    return lines


def _markdown_target(target: TargetReport, report: Report) -> list[str]:
    lines = [f"### {_md(target.name)}", ""]
    if target.findings:
        lines += ["| finding | cause | what | clauses | cases | witness |", "|---|---|---|---|--:|---|"]
    for finding in target.findings[:_FINDINGS_LIMIT]:
        what = f"**{_md(clip(finding.title, 200))}**<br>{_md(clip(finding.effect, 300))}"
        cells = (
            _md(finding.id), finding.cause, what, _md(", ".join(finding.clauses)), f"{finding.cases:,}",
            _md(clip(witness_words(finding), 120)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    if len(target.findings) > _FINDINGS_LIMIT:
        lines += ["", f"{count(len(target.findings) - _FINDINGS_LIMIT, 'more finding')} in report.html."]
    if target.findings:
        command = replay_command(report.folder, target.findings[0])
        lines += ["", f"Replay one: <code>{_md(command)}</code>"]
    else:
        lines.append("No findings.")
    if target.record is not None and target.record.profile:
        lines += ["", "<details><summary>Readings taken</summary>", ""]
        lines += ["| question | reading | standing | cases |", "|---|---|---|--:|"]
        for question, settled in sorted(target.record.profile.items()):
            words = _md(settled_words(settled))
            lines.append(f"| {_md(question)} | {words} | {_md(settled.standing)} | {settled.cases:,} |")
        lines += ["", "</details>"]
    reasons = target.skipped_reasons()
    if reasons:
        lines += ["", "<details><summary>Skipped</summary>", ""]
        lines += [f"- {number:,} x {_md(clip(reason, 300))}" for reason, number in reasons[:_REASONS_LIMIT]]
        if len(reasons) > _REASONS_LIMIT:
            lines.append(f"- {count(len(reasons) - _REASONS_LIMIT, 'more reason')}")
        lines += ["", "</details>"]
    return lines


def _markdown_witness(witness: Coverage) -> list[str]:
    lines = [f"### {_md(witness.witness)}", "", f"{_md(coverage.title(witness))}", "", f"{_md(coverage.CAPTION)}", ""]
    lines += ["<details><summary>Packets and fields</summary>", ""]
    lines += ["| packet | it covers | the clauses hash | apart |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(map(_md, row))} |" for row in coverage.rows(witness)]
    return [*lines, "", "</details>"]


def _reasoned(target: TargetReport) -> str:
    reason = one_line(target.record.reason) if target.record else ""
    words = conclusion_words(target)
    return f"{words}: {clip(reason, 300)}" if reason else words


def _ended(report: Report) -> str:
    if report.footer is None:
        return ", did not finish"
    return f", {'interrupted' if report.footer.interrupted else 'finished'} {report.footer.finished}"


def _html(text: str) -> str:
    return one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _md(text: str) -> str:
    """Return the text so that Markdown takes it word for word, also within a table."""
    return _MARKDOWN.sub(r"\\\1", _html(text))


# badge.json


def render_badge(report: Report) -> str:
    """Return the JSON that shields.io's endpoint badge takes."""
    message, color = _badge(report)
    badge = {"schemaVersion": 1, "label": "virtio-net hash", "message": message, "color": color}
    return json.dumps(badge | ({"isError": True} if color == "red" else {}), indent=2) + "\n"


def _badge(report: Report) -> tuple[str, str]:
    if report.state:
        return "run incomplete", "lightgrey"
    driven = [target for target in report.targets if target.conclusion not in ("not-driven", "unfinished")]
    if not driven:
        return "not driven", "lightgrey"
    conforming = sum(target.conclusion == "conforms" for target in driven)
    if len(driven) == 1:
        words = conclusion_words(driven[0])
        return words, {"conforms": "brightgreen", "inconsistent": "orange"}.get(driven[0].conclusion, "red")
    color = "brightgreen" if conforming == len(driven) else "orange" if conforming else "red"
    return f"{conforming} of {len(driven)} conform", color


# the terminal


def make_console(file: IO[str] | None = None, *, width: int | None = None) -> Console:
    """Return a console that does not fold its tables to 80 columns when it is piped."""
    console = Console(file=file, highlight=False, markup=False, emoji=False, width=width)
    if width is None and not console.is_terminal:
        console = Console(file=file, highlight=False, markup=False, emoji=False, width=120)
    return console


def render_terminal(report: Report | Iterable[AnyRecord], console: Console, *, brief: bool = False) -> None:
    """Print what a user sees at the end of a run; `brief` leaves findings and what witnesses show to the report."""
    if not isinstance(report, Report):
        report = gather(report, Path(REPORT), partial=True)
    if report.state:
        console.print(Text(f"incomplete: {report.state}", style="bold magenta"))
    if report.targets:
        console.print(_targets_table(report))
    if brief:
        console.print()
    for target in report.targets:
        parts = [part for part in (_findings_table(target), _readings_table(target), _skipped(target)) if part]
        if brief:
            console.print(_target_line(target))
        elif parts or (target.record and target.record.reason):
            console.print()
            console.print(_target_line(target))
            console.print(Padding(Group(*parts), (0, 0, 0, 2)))
    matrix = build(report)
    if matrix is not None:
        console.print()
        console.print(_matrix_table(matrix))
    for witness in report.witnesses:
        if not brief:
            console.print(*coverage.render(witness), sep="\n")
    console.print()
    where = Text.assemble(("report  ", "dim"), str(report.folder), ("  (open report.html)", "dim"))
    console.print(where, soft_wrap=True)
    if report.findings:
        command = replay_command(report.folder, report.findings[0])
        console.print(Text.assemble(("replay  ", "dim"), command), soft_wrap=True)


def render_differences(differences: Sequence[Difference], console: Console) -> None:
    """Print how a run differs from the expected results, one line each."""
    if not differences:
        console.print(Text("as expected", style="bold green"))
        return
    console.print(Text(f"not as expected: {count(len(differences), 'difference')}", style="bold red"))
    for difference in differences:
        console.print(Text(f"  {one_line(difference.line())}"), soft_wrap=True)


def _table(*, header: bool = True) -> Table:
    return Table(box=None, show_header=header, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)


def _targets_table(report: Report) -> Table:
    table = _table()
    table.add_column("target", overflow="fold")
    table.add_column("conclusion", no_wrap=True)
    for _, name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("findings", justify="right", no_wrap=True)
    for target in report.targets:
        numbers = figures(target)
        cells = [Text(f"{number:,}", style="" if number else "dim") for number in numbers]
        if numbers[2]:
            cells[2].stylize("bold red")
        if numbers[4]:
            cells[4].stylize("bold magenta")
        table.add_row(
            Text(one_line(target.name), style="bold"),
            Text(conclusion_words(target), style=_CONCLUSION_STYLES.get(target.conclusion, "")),
            *cells,
            Text(str(len(target.findings)), style="" if target.findings else "dim"),
        )
    return table


def _matrix_table(matrix: Matrix) -> Table:
    table = _table()
    table.add_column("cause", no_wrap=True)
    scheme, names = matrix.short_names()
    table.add_column(f"what, at {one_line(scheme)}" if scheme else "what", overflow="fold", min_width=24)
    for name in names:
        table.add_column(one_line(name), overflow="fold", min_width=len("not shown"))
    if matrix.versions:
        table.add_column(HISTORY, overflow="fold")
    for row in matrix.rows:
        cells = [Text(cell.words, style=_STATE_STYLES[cell.state]) for cell in row.cells]
        history = [Text("\n".join(map(one_line, row.history)))] if matrix.versions else []
        title = Text(clip(one_line(row.name), 120))
        table.add_row(Text(row.cause, style=_CAUSE_STYLES[row.cause]), title, *cells, *history)
    return table


def _target_line(target: TargetReport) -> Text:
    line = Text(one_line(target.name), style="bold")
    if target.title:
        line.append(f"  {one_line(target.title)}", style="not bold dim")
    if target.record is not None and target.record.observes:
        line.append(f"  shows {', '.join(target.record.observes)}", style="not bold dim")
    if target.record is not None and target.record.reason:
        style = f"not bold {_CONCLUSION_STYLES[target.conclusion].removeprefix('bold ')}"
        line.append(f"\n  {conclusion_words(target)}: {one_line(target.record.reason)}", style=style)
    return line


def _findings_table(target: TargetReport) -> Table | None:
    if not target.findings:
        return None
    table = _table()
    table.add_column("finding", no_wrap=True)
    table.add_column("cause", no_wrap=True)
    table.add_column("what, and the witness", ratio=1, overflow="fold")
    table.add_column("clauses", max_width=18, overflow="fold")
    table.add_column("cases", justify="right", no_wrap=True)
    for finding in target.findings:
        table.add_row(
            Text(one_line(finding.id), style="bold"),
            Text(finding.cause, style=_CAUSE_STYLES[finding.cause]),
            _what(finding),
            Text(one_line(", ".join(finding.clauses))),
            f"{finding.cases:,}",
        )
    return table


def _what(finding: Finding) -> Text:
    """Return what a finding is; one that a reading allows needs fewer words than a deviation."""
    witness = finding.witness
    frame = clip(witness_words(finding), 160)
    effect = clip(one_line(finding.effect), 400)
    text = Text(clip(one_line(finding.title), 300), style="bold")
    if finding.cause == "reading":
        text.append(f"\n{frame}: {effect}", style="not bold")
        return text
    if effect != finding.title:
        text.append(f"\n{effect}", style="not bold")
    if witness.sequence:
        lines = "\n".join(clip(line, 200) for line in step_lines(witness.sequence))
        text.append(f"\n{lines}", style="not bold dim")
        return text
    reason = "" if one_line(witness.reason) == one_line(finding.title) else witness.reason
    observed = clip(observed_words(witness.observed, reason), 160)
    allowed = clip(distinct_outcomes(witness.expected), 160)
    text.append(f"\n{frame}\nobserved {observed}; allowed {allowed}", style="not bold dim")
    return text


def _readings_table(target: TargetReport) -> Group | None:
    """Show the readings that are neither literal nor a finding already; the others are a number."""
    if target.record is None or not target.record.profile:
        return None
    table = _table()
    for name in ("question", "reading", "standing"):
        table.add_column(name, overflow="fold")
    table.add_column("cases", justify="right", no_wrap=True)
    found = {finding.question for finding in target.findings if finding.reading}
    tally: Counter[str] = Counter()
    for question, settled in sorted(target.record.profile.items()):
        kind = _kind_of_reading(question, settled, found)
        tally[kind] += 1
        if kind != "other":
            continue
        style = "yellow" if settled.standing == "defect" or not settled.readings else ""
        table.add_row(
            Text(one_line(question)),
            Text(settled_words(settled), style=style),
            Text(one_line(settled.standing) if settled.readings else ""),
            f"{settled.cases:,}",
        )
    rest = [f"{tally[kind]:,} {words}" for kind, words in _KINDS_OF_READING.items() if tally[kind]]
    line = Text(f"readings: {', '.join(rest)}", style="dim")
    if not tally["other"]:
        return Group(line)
    return Group(table, line) if rest else Group(table)


_KINDS_OF_READING = {"literal": "literal", "found": "as the findings say", "open": "still open", "silent": "not asked"}


def _kind_of_reading(question: str, settled: Settled, found: set[str]) -> str:
    if not settled.cases:
        return "silent"
    if len(settled.readings) > 1:
        return "open"
    known = all_questions().get(question)
    if known and settled.readings == [known.readings[0].name]:
        return "literal"
    return "found" if question in found and settled.readings else "other"


def _skipped(target: TargetReport) -> Text | None:
    reasons = target.skipped_reasons()
    if not reasons:
        return None
    text = Text("skipped", style="dim")
    for reason, number in reasons[:_REASONS_LIMIT]:
        text.append(f"\n  {number:,} x {clip(one_line(reason), 200)}")
    if len(reasons) > _REASONS_LIMIT:
        text.append(f"\n  and {count(len(reasons) - _REASONS_LIMIT, 'more reason')}, in report.html")
    return text
