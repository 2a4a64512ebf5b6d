"""The smallest witness of a cause: frames put to the target again while they are made smaller, told as a finding."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from vnethash.conformance import records
from vnethash.conformance.dependence import shown_behind
from vnethash.conformance.describe import decode
from vnethash.models.before import PREVIOUS
from vnethash.models.causes import company, effect, mixed_cause, shows_reading, unexplained_cause
from vnethash.models.events import RULES, steps
from vnethash.models.expectations import LITERAL, Expectations, Expected
from vnethash.models.matching import matches
from vnethash.models.reduce import reduce
from vnethash.models.reference import ANY_VALUE, decide, enabled_tunnels, outcome
from vnethash.models.summarize import summarize as summarize_once
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.errors import TargetError
from vnethash.spec.outcome import Observation, Outcome
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings
from vnethash.targets.base import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.findings import Group
    from vnethash.conformance.judge import Judged, Judgement
    from vnethash.models.allowed import Expectation
    from vnethash.models.symbolic.profile import Profile
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.questions import Question
    from vnethash.targets.base import Result, Target

#: In the reason of a witness that only the run showed.
NOT_ALONE = "not shown when the frame is put alone"

#: Answers that are tried for a witness that depends on the frames before it.
_MOST_ENTRIES = 6

summarize = lru_cache(maxsize=8192)(summarize_once)


class Prober:
    """Puts frames to a target while a witness is reduced."""

    def __init__(self, target: Target, *, reduces: bool) -> None:
        self.target = target
        self.reduces = reduces
        self._configuration: Configuration | None = None

    def ask(self, frames: Sequence[bytes], configuration: Configuration) -> list[Result] | None:
        """Return what comes out for frames, None if they cannot be put or the target cannot be driven any more."""
        if not self.reduces:
            return None
        try:
            if configuration != self._configuration:
                self._configuration = None
                self.target.configure(configuration)
                self._configuration = configuration
            return self.target.run(frames)
        except Refused:
            return None
        except TargetError:
            self.reduces = False
            return None

    def ask_each(self, frames: Sequence[bytes], configuration: Configuration) -> list[Result] | None:
        """Return the same for frames that are put one after the other: not every target keeps the order of a batch."""
        found: list[Result] = []
        for frame in frames:
            results = self.ask([frame], configuration)
            if results is None:
                return None
            found += results
        return found

    def observe(self, frame: bytes, configuration: Configuration) -> Observation | None:
        """Return what the target shows for one frame, None if it shows nothing."""
        results = self.ask([frame], configuration)
        return results[0] if results and isinstance(results[0], Observation) else None


def find(
    prober: Prober,
    identifier: str,
    group: Group,
    judgement: Judgement,
    expectations: Expectations,
    sequences: Sequence[str] = (),
) -> records.Finding:
    """Return a cause with its smallest witness; `sequences` of the control suite show it, too."""
    observes = prober.target.capabilities.observes
    entry = min(group.entries, key=lambda entry: _rank(entry, group, judgement.profile, observes))
    frame, configuration = entry.answer.case.frame, entry.answer.configuration
    observed, reason = None, entry.reason if group.question is None or _of_packets(group.question) else group.title
    before: tuple[bytes, ...] = ()
    if group.depends:
        shown_again = None
        for candidate in sorted(group.entries, key=lambda one: not one.definite)[:_MOST_ENTRIES]:
            shown_again = shown_behind(prober, candidate, candidate.depends or PREVIOUS, judgement, expectations)
            if shown_again:
                entry = candidate
                before, frame, configuration, observed = shown_again
                break
        if shown_again is None and prober.reduces:
            reason = f"{reason}; {NOT_ALONE}".removeprefix("; ")
    elif group.cause != "error":
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
        identifier, prober.target.name, group.cause, group.title, list(group.clauses), words,
        len(group.entries) + len(sequences),
        records.Witness(
            frame.hex(), configuration.to_json(), summarize(frame), decode(frame), explanation(frame, configuration),
            allowed_list(expected.allowed), shown(observed), reason, before=[one.hex() for one in before],
        ),
        question=group.question.id if group.question else "",
        reading=group.reading,
        detail=group.question.asks if group.question else "",
        also=sorted({other.answer.case.comment for other in group.entries} - {entry.answer.case.comment})[:8],
        vectors=sorted(other.answer.case.id for other in group.entries),
        sequences=list(sequences),
    )


def _of_packets(question: Question) -> bool:
    """Say whether the packet model asks a question."""
    return question.field in Readings._fields


def _shows(
    prober: Prober, group: Group, judgement: Judgement, expectations: Expectations
) -> Callable[[bytes, Configuration, Observation], bool]:
    """Return what says whether a frame still shows the cause of a group."""
    observes = prober.target.capabilities.observes
    profile = judgement.profile
    question = group.question
    if question is not None and _of_packets(question):
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
        company(frame, configuration, observation, observes, profile, group.question)
        if group.question and _of_packets(group.question) else 0,
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
