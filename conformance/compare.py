"""Where two targets differ: both are put the same cases, and the differences grouped by what would make them agree.

No oracle says who is right. The profiles of the two serve only to name a difference: the question on which the two
have different readings, if giving one target the other's reading would make the answers equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnethash.conformance.dependence import dependent
from vnethash.conformance.judge import judge
from vnethash.conformance.progress import Silent
from vnethash.conformance.runner import Answer, Run, run_suite
from vnethash.conformance.witness import Prober, shown
from vnethash.models.causes import is_hashed, known_slip
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.models.reduce import reduce
from vnethash.models.reference import outcome
from vnethash.spec.configuration import report_name
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import load_questions
from vnethash.targets.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.conformance.progress import Progress
    from vnethash.conformance.records import Shown
    from vnethash.conformance.suite import Case
    from vnethash.models.causes import Cause
    from vnethash.models.symbolic.profile import Profile
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.questions import Question
    from vnethash.spec.readings import Readings
    from vnethash.targets.base import Target


@dataclass
class Difference:
    """A cause by which two targets differ, with the smallest frame that shows it; `mistake`: one of them is wrong."""

    slug: str
    title: str
    first: str
    second: str
    pairs: list[tuple[Answer, Answer]] = field(default_factory=list)
    frame: bytes = b""
    configuration: Configuration | None = None
    observed: tuple[Shown | None, Shown | None] = (None, None)
    mistake: bool = False


@dataclass
class Comparison:
    """All differences of two targets; `compared` cases were answered by both."""

    differences: list[Difference]
    compared: int
    differing: int
    left_out: int
    interrupted: bool = False


def compare(
    first: Target, second: Target, cases: Sequence[Case], progress: Progress | None = None
) -> Comparison:
    """Put the cases that both can take to both targets and group the differences."""
    progress = progress or Silent()
    common, left_out = _common(first, second, cases)
    runs: list[Run] = []
    for target in (first, second):
        progress.stage(target.name, "running", len(common))
        runs.append(run_suite(target, common, progress.advance))
        if runs[-1].interrupted:
            return Comparison([], 0, 0, left_out, interrupted=True)
    expectations = Expectations()
    probers = (Prober(first, reduces=not runs[0].ended), Prober(second, reduces=not runs[1].ended))
    profiles: list[Profile] = []
    depends: dict[int, Cause] = {}
    for prober, run in zip(probers, runs, strict=True):
        progress.stage(prober.target.name, "finding its profile", len(run.answers))
        observes = prober.target.capabilities.observes
        judgement = judge(run.answers, observes, expectations, progress.advance)
        if mine := dependent(prober, judgement):
            judgement = judge(run.answers, observes, expectations, depends=mine)
        profiles.append(judgement.profile)
        depends |= mine
    answered = {answer.case.id: answer for answer in runs[1].answers}
    namer = _Namer(first, second, profiles[0], profiles[1])
    differences: dict[str, Difference] = {}
    compared = 0
    differing = 0
    for answer in runs[0].answers:
        other = answered.get(answer.case.id)
        if other is None or not isinstance(answer.result, Observation) or not isinstance(other.result, Observation):
            continue
        compared += 1
        if namer.agree(answer.result, other.result):
            continue
        differing += 1
        if cause := depends.get(answer.case.id):
            found = namer.because(cause, answer.result, other.result)
        else:
            found = namer.name(answer.case.frame, answer.configuration, answer.result, other.result)
        differences.setdefault(found.slug, found).pairs.append((answer, other))
    progress.stage(f"{first.name}, {second.name}", "reducing", len(differences))
    for difference in differences.values():
        _shrink(difference, probers, namer)
        progress.advance(1)
    ordered = sorted(differences.values(), key=lambda difference: -len(difference.pairs))
    return Comparison(ordered, compared, differing, left_out)


def _common(first: Target, second: Target, cases: Sequence[Case]) -> tuple[list[Case], int]:
    """Return the cases with a configuration that both take, so fitted that both are given the same."""
    from dataclasses import replace  # noqa: PLC0415

    common = []
    for case in cases:
        fitted = fit(case.configuration, first.capabilities)
        if not isinstance(fitted, str):
            fitted = fit(fitted, second.capabilities)
        if not isinstance(fitted, str):
            common.append(replace(case, configuration=fitted))
    return common, len(cases) - len(common)


class _Namer:
    """Names differences of two targets by the questions on which their profiles part."""

    def __init__(self, first: Target, second: Target, one: Profile, two: Profile) -> None:
        self.observes = (first.capabilities.observes, second.capabilities.observes)
        self.both = self.observes[0] & self.observes[1]
        self.profiles = (one, two)
        # Only what the answers settle names a difference: no reading that one may have is open to the other.
        self.parted = [
            question
            for question in load_questions().values()
            if not _open(one, question.field) & _open(two, question.field)
        ]
        # Else those on which the profiles part as far as the answers say: a reading that one may have is open to both.
        self.perhaps = [
            question for question in load_questions().values()
            if one.readings[question.field] != two.readings[question.field]
        ]

    def agree(self, one: Observation, two: Observation) -> bool:
        """Say whether two observations are the same in all that both targets show."""
        if one.queue is not None and two.queue is not None and one.queue != two.queue:
            return False
        if one.report is not None and two.report is not None and one.report != two.report:
            return False
        if "value" in self.both:
            hashed = is_hashed(one, self.observes[0]), is_hashed(two, self.observes[1])
            if hashed[0] != hashed[1] or (hashed[0] and one.value != two.value):
                return False
        return True

    def name(self, frame: bytes, configuration: Configuration, one: Observation, two: Observation) -> Difference:
        """Name the cause of one difference."""
        readings = self.profiles[0].as_readings(), self.profiles[1].as_readings()
        if matches(outcome(frame, configuration, readings[0]), one, self.observes[0]) and matches(
            outcome(frame, configuration, readings[1]), two, self.observes[1]
        ):
            needed = self._needed(frame, configuration, readings[0], two, self.parted)
            needed = needed or self._needed(frame, configuration, readings[0], two, self.perhaps)
            if needed:
                question = needed[0]
                also = f" (with {', '.join(other.id for other in needed[1:])})" if needed[1:] else ""
                return Difference(
                    question.id, question.title + also,
                    question.readings[self.profiles[0].readings[question.field]].words,
                    question.readings[self.profiles[1].readings[question.field]].words,
                )
        for observed, observes, own in zip((one, two), self.observes, readings, strict=True):
            if slip := known_slip(frame, configuration, observed, observes, own):
                return self.because(slip, one, two)
        first, second = self.words(one, two)
        return Difference(f"{first}-{second}".replace(" ", "-"), "no question names this", first, second)

    def because(self, cause: Cause, one: Observation, two: Observation) -> Difference:
        """Return a difference that is a mistake of one of the two, which has a name."""
        return Difference(cause.slug, cause.title, *self.words(one, two), mistake=True)

    def words(self, one: Observation, two: Observation) -> tuple[str, str]:
        """Say what each of the two shows."""
        return self._words(one, self.observes[0]), self._words(two, self.observes[1])

    def _needed(
        self, frame: bytes, configuration: Configuration, readings: Readings, shown_by_second: Observation,
        parted: list[Question],
    ) -> list[Question]:
        """Return the fewest questions found on which the first, given the second's readings, would answer like it."""

        def agrees(questions: list[Question]) -> bool:
            theirs = {question.field: self.profiles[1].readings[question.field] for question in questions}
            given = outcome(frame, configuration, readings._replace(**theirs))
            return matches(given, shown_by_second, self.observes[1])

        if not agrees(parted):
            return []
        for question in parted:
            if agrees([question]):
                return [question]
        needed = list(parted)
        for question in parted:
            fewer = [other for other in needed if other is not question]
            if agrees(fewer):
                needed = fewer
        return needed

    @staticmethod
    def _words(observation: Observation, observes: frozenset[str]) -> str:
        if observation.report is not None:
            return f"reports {report_name(observation.report)}"
        hashed = is_hashed(observation, observes)
        if hashed is None:
            return "another queue"
        return "hashed" if hashed else "not hashed"


def _open(profile: Profile, field: str) -> frozenset[int]:
    return profile.possible.get(field, frozenset({profile.readings[field]}))


def _shrink(difference: Difference, probers: tuple[Prober, Prober], namer: _Namer) -> None:
    answer, other = min(difference.pairs, key=lambda pair: len(pair[0].case.frame))

    def still(frame: bytes, configuration: Configuration) -> bool:
        one, two = (prober.observe(frame, configuration) for prober in probers)
        if one is None or two is None or namer.agree(one, two):
            return False
        return namer.name(frame, configuration, one, two).slug == difference.slug

    frame, configuration = answer.case.frame, answer.configuration
    if still(frame, configuration):
        frame, configuration = reduce(frame, configuration, still)
        one, two = (prober.observe(frame, configuration) for prober in probers)
    elif isinstance(answer.result, Observation) and isinstance(other.result, Observation):
        one, two = answer.result, other.result
    if difference.mistake and one is not None and two is not None:
        difference.first, difference.second = namer.words(one, two)
    difference.frame, difference.configuration = frame, configuration
    difference.observed = (shown(one), shown(two))
