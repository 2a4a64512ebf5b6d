"""A conformance run: every target is put the suite, judged, and each cause shown by its smallest witness."""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnethash.conformance import records
from vnethash.conformance.coverage import ask
from vnethash.conformance.dependence import dependent
from vnethash.conformance.device.control import Control, OnlyDevice, Session
from vnethash.conformance.device.control import finding as control_finding
from vnethash.conformance.findings import find_groups
from vnethash.conformance.journal import Book, Taken
from vnethash.conformance.judge import Judged, Judgement, conclude, judge
from vnethash.conformance.progress import Silent
from vnethash.conformance.runner import Run, run_suite
from vnethash.conformance.tally import by_clause, settled
from vnethash.conformance.witness import Prober, allowed_list, find, shown, summarize
from vnethash.models.expectations import Expectations
from vnethash.spec.errors import TargetError, TargetUnavailable, VnethashError
from vnethash.spec.questions import questions_by_field

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.device.judge import JudgedPlay
    from vnethash.conformance.journal import Journal
    from vnethash.conformance.progress import Progress
    from vnethash.conformance.suite import Case
    from vnethash.targets.base import Target, Witness

#: Allowed outcomes written out for one case; a frame that asks much has more.
MOST_ALLOWED = 12


@dataclass
class Summary:
    """What a run came to."""

    conclusions: dict[str, records.Conclusion]
    cases: int = 0
    findings: int = 0
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code of the run, before any expected results are considered."""
        if any(conclusion in {"deviates", "inconsistent"} for conclusion in self.conclusions.values()):
            return 1
        return 3 if "not-driven" in self.conclusions.values() else 0


def check(
    names: Sequence[str],
    suite: str,
    cases: Sequence[Case],
    opener: Callable[[str], Target],
    sink: Callable[[records.AnyRecord], None],
    *,
    progress: Progress | None = None,
    command: Sequence[str] = (),
    now: Callable[[], str],
    expectations: Expectations | None = None,
    control: Control | None = None,
    witnesses: Sequence[Witness] = (),
    journal: Journal | None = None,
) -> Summary:
    """Check targets one after the other; each record goes to `sink` as soon as it is known.

    What `witnesses` show is recorded beside it, and judged by nobody.
    With `control` those that are devices get its part of the control suite as well.
    A target that cannot be driven is recorded as such, and the others are still judged. Ctrl-C ends the run and keeps
    what was answered until then. Answers go into `journal` as they come. If it is of a run that was cut short, what is
    done stands, what was answered is not asked again; raises UsageError or a TargetError for a target that is another
    than before, or cannot be opened any more.
    """
    progress = progress or Silent()
    expectations = expectations or Expectations()
    taken = journal.taken if journal else Taken()
    summary = taken_up(taken)
    if not taken.records:
        sink(
            records.Header(records.FORMAT, tool(), now(), suite, list(names), platform.platform(), list(command))
        )
    for position, name in enumerate(names, 1):
        if summary.interrupted:
            break
        if name in taken.targets:
            continue
        book = journal.book(name) if journal else Book()
        session: Session | None = None
        try:
            session = _session(name, control)
            target = opener(name) if cases or control is None else _only_device(name, session)
        except (TargetError, VnethashError) as error:
            if session:
                session.close()
            if not book.empty:
                raise
            sink(_not_driven(name, error.line()))
            summary.conclusions[name] = "not-driven"
            book.done()
            continue
        try:
            book.begin(target, session)
            progress.stage(name, "running", len(cases))
            run = run_suite(target, cases, progress.advance, book)
            summary.interrupted = run.interrupted
            if session and not run.interrupted:
                progress.stage(name, "commands", len(session.scripts))
                session.put(progress.advance, book)
                summary.interrupted = session.run.interrupted
            _report(target, f"T{position}", run, session, expectations, sink, progress, summary, book)
            if not summary.interrupted:
                book.done()
        except KeyboardInterrupt:
            summary.interrupted = True
            sink(_not_driven(name, "interrupted before its answers were judged"))
            summary.conclusions[name] = "not-driven"
        finally:
            target.close()
            if session:
                session.close()
    if not summary.interrupted:
        left = [witness for witness in witnesses if witness.name not in taken.witnesses]
        summary.interrupted = not ask(left, sink, progress)
    sink(
        records.Footer(now(), summary.cases, summary.findings, summary.exit_code, interrupted=summary.interrupted)
    )
    return summary


def _session(name: str, control: Control | None) -> Session | None:
    """Return a session with the device of a target, None if it is none or no control suite is asked for."""
    device = control.opener(name) if control else None
    if control is None or device is None:
        return None
    try:
        return Session(device, control)
    except BaseException:
        device.close()
        raise


def _only_device(name: str, session: Session | None) -> Target:
    if session is None:
        raise TargetUnavailable(f"{name} takes no control commands", hint="model: and qemu do")
    return OnlyDevice(name, session.device)


def _report(
    target: Target,
    label: str,
    run: Run,
    session: Session | None,
    expectations: Expectations,
    sink: Callable[[records.AnyRecord], None],
    progress: Progress,
    summary: Summary,
    book: Book,
) -> None:
    observes = target.capabilities.observes
    progress.stage(target.name, "judging", len(run.answers))
    beside = session.constraints() if session else ()
    judgement = judge(run.answers, observes, expectations, progress.advance, beside)
    prober = Prober(target, reduces=not run.ended and not run.interrupted)
    try:
        depends = dependent(prober, judgement)
    except KeyboardInterrupt:
        summary.interrupted, prober.reduces, depends = True, False, {}
    if depends:
        judgement = judge(run.answers, observes, expectations, beside=beside, depends=depends)
    if session:
        session.judge(judgement.profile)
    for entry in sorted(judgement.judged, key=lambda entry: entry.answer.case.id):
        sink(_case_record(target.name, entry))
        summary.cases += 1
    for sequence in session.sequences(target.name) if session else ():
        sink(sequence)
        summary.cases += 1
    groups = find_groups(judgement, observes)
    progress.stage(target.name, "reducing", len(groups))
    # A cause that both suites show is told once, with a frame.
    scripts = session.names_of_groups(judgement.profile) if session else {}
    for group in groups:
        identifier, sequences = f"{label}.{group.slug}", scripts.get(group.slug, [])
        try:
            finding = find(prober, identifier, group, judgement, expectations, sequences)
        except KeyboardInterrupt:
            # What was found is told all the same, with the frames as they are.
            summary.interrupted = True
            prober.reduces = False
            finding = find(prober, identifier, group, judgement, expectations, sequences)
        sink(finding)
        summary.findings += 1
        progress.advance(1)
    if session:
        told = {group.slug for group in groups}
        _control_findings(session, label, told, judgement, target.name, sink, progress, summary)
    judged: list[Judged | JudgedPlay] = [*judgement.judged, *(session.judged if session else ())]
    conclusion, reason = conclude(judged, judgement.profile)
    ended = run.ended or (session.run.ended if session else "")
    if ended:
        reason = f"{reason}; the run ended early: {ended}"
        if not any(entry.verdict == "fail" for entry in judged):
            conclusion = "not-driven"
    summary.conclusions[target.name] = conclusion
    sink(
        records.TargetRecord(
            target.name,
            {
                "name": target.implementation.name, "version": target.implementation.version,
                "language": target.implementation.language, "homepage": target.implementation.homepage,
            },
            book.all_notes(),
            sorted(observes),
            conclusion,
            reason,
            dict(Counter(entry.verdict for entry in judged)),
            settled(judgement.profile),
            by_clause(judged, observes),
            round(book.seconds + run.seconds + (session.run.seconds if session else 0.0), 3),
        )
    )


def _control_findings(
    session: Session,
    label: str,
    told: set[str],
    judgement: Judgement,
    name: str,
    sink: Callable[[records.AnyRecord], None],
    progress: Progress,
    summary: Summary,
) -> None:
    groups = session.groups(judgement.profile, told)
    prober = session.prober(judgement.profile)
    prober.reduces = prober.reduces and not summary.interrupted
    progress.stage(name, "reducing commands", len(groups))
    for group in groups:
        identifier = f"{label}.{group.slug}"
        try:
            found = control_finding(identifier, name, group, prober)
        except KeyboardInterrupt:
            summary.interrupted = True
            prober.reduces = False
            found = control_finding(identifier, name, group, prober)
        sink(found)
        summary.findings += 1
        progress.advance(1)


def _case_record(target: str, entry: Judged) -> records.Case:
    questions = questions_by_field()
    case = entry.answer.case
    literal = shown(entry.expected.literal)
    if entry.verdict in {"fail", "pass-under"} or literal is None:
        allowed = allowed_list(entry.expected.allowed, MOST_ALLOWED)
    else:
        allowed = [records.Allowed(literal)]
    return records.Case(
        target, case.id, case.comment, list(case.clauses), entry.answer.configuration.to_json(), case.frame.hex(),
        summarize(case.frame), allowed, shown(entry.observation), entry.verdict,
        {questions[name].id: questions[name].readings[number].name for name, number in (entry.readings or {}).items()},
        entry.clause, entry.reason,
    )


def _not_driven(name: str, reason: str) -> records.TargetRecord:
    return records.TargetRecord(name, {"name": name}, [], [], "not-driven", reason, {}, {}, {}, 0.0)


def tool() -> str:
    """Return the name and version of this tool, as a header has it."""
    from importlib.metadata import version  # noqa: PLC0415

    return f"vnethash {version('vnethash')}"


def taken_up(taken: Taken) -> Summary:
    """Return what the part of a run that stands came to."""
    kinds = [type(record) for record in taken.records]
    return Summary(
        {name: record.conclusion for name, record in taken.targets.items()},
        kinds.count(records.Case) + kinds.count(records.Sequence),
        kinds.count(records.Finding),
    )

