"""A conformance run: every target is put the suite, judged, and each cause shown by its smallest witness."""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from vnethash.conformance import records
from vnethash.conformance.coverage import ask
from vnethash.conformance.describe import decode
from vnethash.conformance.device.control import Control, OnlyDevice, Session
from vnethash.conformance.device.control import finding as control_finding
from vnethash.conformance.findings import Group, find_groups
from vnethash.conformance.journal import Book, Taken
from vnethash.conformance.judge import Judged, Judgement, conclude, judge
from vnethash.conformance.progress import Silent
from vnethash.conformance.runner import Run, run_suite
from vnethash.conformance.tally import by_clause, settled
from vnethash.models.causes import company, effect, mixed_cause, shows_reading, unexplained_cause
from vnethash.models.events import RULES, steps
from vnethash.models.expectations import LITERAL, Expectations, Expected
from vnethash.models.matching import matches
from vnethash.models.reduce import reduce
from vnethash.models.reference import ANY_VALUE, decide, enabled_tunnels, outcome
from vnethash.models.summarize import summarize as summarize_once
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.errors import TargetError, TargetUnavailable, VnethashError
from vnethash.spec.outcome import Observation, Outcome
from vnethash.spec.questions import questions_by_field
from vnethash.targets.base import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.device.judge import JudgedPlay
    from vnethash.conformance.journal import Journal
    from vnethash.conformance.progress import Progress
    from vnethash.conformance.suite import Case
    from vnethash.models.allowed import Expectation
    from vnethash.models.symbolic.profile import Profile
    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Target, Witness

#: In the reason of a witness that only the run showed.
NOT_ALONE = "not shown when the frame is put alone"
#: Allowed outcomes written out for one case; a frame that asks much has more.
MOST_ALLOWED = 12


summarize = lru_cache(maxsize=8192)(summarize_once)


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
    judgement = judge(
        run.answers, observes, expectations, progress.advance, beside=session.constraints() if session else ()
    )
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
    prober = Prober(target, reduces=not run.ended and not run.interrupted)
    for group in groups:
        identifier = f"{label}.{group.slug}"
        try:
            finding = _finding(prober, identifier, group, judgement, expectations)
        except KeyboardInterrupt:
            # What was found is told all the same, with the frames as they are.
            summary.interrupted = True
            prober.reduces = False
            finding = _finding(prober, identifier, group, judgement, expectations)
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


class Prober:
    """Puts single frames to a target while a witness is reduced."""

    def __init__(self, target: Target, *, reduces: bool) -> None:
        self.target = target
        self.reduces = reduces
        self._configuration: Configuration | None = None

    def observe(self, frame: bytes, configuration: Configuration) -> Observation | None:
        """Return what the target shows, None if it shows nothing or cannot be driven any more."""
        if not self.reduces:
            return None
        try:
            if configuration != self._configuration:
                self._configuration = None
                self.target.configure(configuration)
                self._configuration = configuration
            result = self.target.run([frame])[0]
        except Refused:
            return None
        except TargetError:
            self.reduces = False
            return None
        return result if isinstance(result, Observation) else None


def _finding(
    prober: Prober, identifier: str, group: Group, judgement: Judgement, expectations: Expectations
) -> records.Finding:
    observes = prober.target.capabilities.observes
    entry = min(group.entries, key=lambda entry: _rank(entry, group, judgement.profile, observes))
    frame, configuration = entry.answer.case.frame, entry.answer.configuration
    observed, reason = None, entry.reason
    if group.cause != "error":
        shows = _shows(prober, group, judgement, expectations)
        best = _rank(entry, group, judgement.profile, observes)[:3]

        def still(candidate: bytes, candidate_configuration: Configuration) -> bool:
            observation = prober.observe(candidate, candidate_configuration)
            if observation is None or not shows(candidate, candidate_configuration, observation):
                return False
            expected = expectations.of(candidate, candidate_configuration)
            return _clarity(
                candidate, candidate_configuration, observation, expected, group, judgement.profile, observes
            ) <= best

        if still(frame, configuration):
            frame, configuration = reduce(frame, configuration, still)
            observed = prober.observe(frame, configuration)
        elif prober.reduces:
            # What came before the frame in the run mattered: the target keeps state.
            reason = f"{reason}; {NOT_ALONE}".removeprefix("; ")
    if observed is None:
        observed = entry.observation
    expected = expectations.of(frame, configuration)
    words = group.title
    if observed is not None:
        against = expected.literal
        if matches(against, observed, observes):
            # The literal text allows it; what it is at odds with are the target's other answers.
            against = outcome(frame, configuration, judgement.profile.as_readings())
        words = effect(against, observed, observes, expected.full.outcomes())
    return records.Finding(
        identifier, prober.target.name, group.cause, group.title, list(group.clauses), words, len(group.entries),
        records.Witness(
            frame.hex(), configuration.to_json(), summarize(frame), decode(frame), explanation(frame, configuration),
            allowed_list(expected.allowed), shown(observed), reason,
        ),
        question=group.question.id if group.question else "",
        reading=group.reading,
        detail=group.question.asks if group.question else "",
        also=sorted({other.answer.case.comment for other in group.entries} - {entry.answer.case.comment})[:8],
        vectors=sorted(other.answer.case.id for other in group.entries),
    )


def _shows(
    prober: Prober, group: Group, judgement: Judgement, expectations: Expectations
) -> Callable[[bytes, Configuration, Observation], bool]:
    """Return what says whether a frame still shows the cause of a group."""
    observes = prober.target.capabilities.observes
    profile = judgement.profile
    question = group.question
    if question is not None:
        return lambda frame, configuration, observation: shows_reading(
            frame, configuration, observation, observes, profile, question
        )
    readings = profile.as_readings()

    def same_cause(frame: bytes, configuration: Configuration, observation: Observation) -> bool:
        expected = expectations.of(frame, configuration)
        constraint = frozenset(expected.full.explained_by(lambda outcome: matches(outcome, observation, observes)))
        if group.cause == "inconsistent":
            if not constraint or satisfied(constraint, profile.readings):
                return False
            return mixed_cause(constraint, profile, expected.clause).slug == group.slug
        if constraint:
            return False
        outcomes = expected.full.outcomes()
        return unexplained_cause(frame, configuration, observation, observes, readings, outcomes)[0].slug == group.slug

    return same_cause


def _rank(
    entry: Judged, group: Group, profile: Profile, observes: frozenset[str]
) -> tuple[bool, int, bool, int]:
    """Return how well an answer serves as a witness, the best first: how clear it is, then how short."""
    frame, configuration = entry.answer.case.frame, entry.answer.configuration
    if entry.observation is None:
        return (True, 0, True, len(frame))
    clarity = _clarity(frame, configuration, entry.observation, entry.expected, group, profile, observes)
    return (*clarity, len(frame))


def _clarity(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    expected: Expected,
    group: Group,
    profile: Profile,
    observes: frozenset[str],
) -> tuple[bool, int, bool]:
    """Return whether the literal text allows it, how many other readings it needs, whether any text allows it."""
    return (
        matches(expected.literal, observation, observes),
        company(frame, configuration, observation, observes, profile, group.question) if group.question else 0,
        bool(expected.allowed.explained_by(lambda outcome: matches(outcome, observation, observes))),
    )


def explanation(frame: bytes, configuration: Configuration) -> list[str]:
    """Return the literal model's steps for a frame, each with the clauses behind it."""
    selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), LITERAL)
    lines = [*steps(selection.events), RULES[selection.rule]]
    return [f"{line.words} [{', '.join(line.sources)}]" for line in lines]


def shown(value: Observation | Outcome | None) -> records.Shown | None:
    """Return an outcome or an observation as a record has it."""
    if value is None:
        return None
    return records.Shown(
        value.report, None if value.value == ANY_VALUE else value.value, None if value.queue == -1 else value.queue
    )


def allowed_list(expectation: Expectation, most: int | None = None) -> list[records.Allowed]:
    """Return the allowed outcomes, each with the readings under which it is, the plainest first."""
    questions = questions_by_field()
    allowed = []
    for cube in sorted(expectation.cubes, key=lambda cube: sum(0 not in numbers for _, numbers in cube.when))[:most]:
        when = {
            questions[name].id: " or ".join(questions[name].readings[number].name for number in sorted(numbers))
            for name, numbers in cube.when
        }
        outcome = shown(cube.outcome)
        if outcome is not None:
            allowed.append(records.Allowed(outcome, when))
    return allowed


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

