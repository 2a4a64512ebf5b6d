"""Asks one target, and holds its answers against the model: the questions that an examination puts again and again."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from vnethash.fuzz.oracle import reached
from vnethash.fuzz.reducer import MOST_ATTEMPTS, reduce
from vnethash.fuzz.signature import BEFORE, Signature, configuration_features, depths, frame_features
from vnethash.models.causes import effect, kind_of_effect
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.models.reference import outcome
from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vnethash.fuzz.case import Case
    from vnethash.fuzz.signature import Features
    from vnethash.fuzz.subject import Subject
    from vnethash.models.expectations import Expected
    from vnethash.models.symbolic.profile import Constraint
    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Result

#: Expectations that are kept.
_MOST_KEPT = 4000


class Judge:
    """One target and what the model says of it.

    Attributes:
        observations: how often the target was asked.
        late: says that the time is up, so that what is being reduced stays as it is.
    """

    def __init__(self, subject: Subject, late: Callable[[], bool]) -> None:
        self.subject = subject
        self.late = late
        self.observations = 0
        self._expectations = Expectations()
        self._expected = 0

    def observe(self, configuration: Configuration, frames: Sequence[bytes]) -> Result | None:
        """Return the answer to the last frame, as `Subject.observe` does, and count it."""
        self.observations += 1
        return self.subject.observe(configuration, frames)

    def answer(self, case: Case) -> Observation | None:
        """Return the answer to a case, None if it is none that can be judged, or the time is up."""
        if self.late():
            return None
        result = self.observe(case.configuration, case.frames)
        return result if isinstance(result, Observation) else None

    def expect(self, case: Case) -> Expected:
        """Return what is expected of a case, worked out once."""
        self._expected += 1
        if self._expected > _MOST_KEPT:
            self._expectations, self._expected = Expectations(), 0
        return self._expectations.of(case.frame, case.configuration)

    def constraint(self, case: Case, observed: Observation) -> Constraint | None:
        """Return the readings under which an answer follows: None for all, an empty set for none."""
        return self.expect(case).explained_by(observed, self.subject.observes)

    def unexplained(self, case: Case, observed: Observation) -> bool:
        """Say whether no reading explains an answer."""
        return self.constraint(case, observed) == frozenset() and self.expect(case).full.complete

    def as_filtered(self, case: Case, observed: Observation) -> bool:
        """Say whether an answer follows under the target's current readings."""
        expected = outcome(case.frame, case.configuration, self.subject.readings)
        return matches(expected, observed, self.subject.observes)

    def kind(self, case: Case, observed: Observation) -> tuple[int, int, str]:
        """Return what an answer that differs has in common with others: rule, events, and how it is wrong."""
        readings, observes = self.subject.readings, self.subject.observes
        expected = outcome(case.frame, case.configuration, readings)
        return *reached(case.frame, case.configuration, readings), kind_of_effect(expected, observed, observes)

    def features(self, case: Case) -> Features:
        """Return all of a case that conditions may ask for."""
        return (*self.condition(case), *depths(case.frame))

    def condition(self, case: Case) -> Features:
        """Return what of a case is not plain."""
        return (*configuration_features(case.configuration, self.subject.plain), *frame_features(case.frame))

    def signature(self, witness: Case, observed: Observation) -> Signature:
        """Return what tells the cause of a reduced witness from others."""
        expected = outcome(witness.frame, witness.configuration, self.subject.readings)
        before = tuple(
            (f"-{len(witness.frames) - 1 - position} {place}", number)
            for position, frame in enumerate(witness.frames[:-1])
            for place, number in frame_features(frame) or ((BEFORE, 1),)
        )
        kind = kind_of_effect(expected, observed, self.subject.observes)
        return Signature(kind, self.expect(witness).clause, self.condition(witness), before)

    def effect(self, witness: Case, observed: Observation) -> str:
        """Say how an answer differs, from the literal outcome where it does."""
        expected = self.expect(witness)
        against = expected.literal
        if matches(against, observed, self.subject.observes):
            against = outcome(witness.frame, witness.configuration, self.subject.readings)
        return effect(against, observed, self.subject.observes, expected.full.outcomes())

    def reduced(
        self, case: Case, observed: Observation, still: Callable[[Case], bool],
        check: Callable[[Case, Observation], bool] | None = None,
    ) -> tuple[Case, Observation]:
        """Return the plainest case of which `still` says yes, and the answer to it; as far as the time allows.

        `check` is what `still` says of a case and the answer to it. With it many cases are asked in a row first,
        because some targets take long to be configured; what looks good is then asked alone.
        """
        screen = None if check is None else lambda cases: self._screened(cases, check)
        witness = reduce(case, self.subject.plain, still, MOST_ATTEMPTS, self.late, screen)
        result = self.observe(witness.configuration, witness.frames) if witness != case else None
        return (witness, result) if isinstance(result, Observation) else (case, observed)

    def _screened(self, cases: Sequence[Case], check: Callable[[Case, Observation], bool]) -> Iterator[Case]:
        """Yield those of some cases that look as if they were answered so, in order; those that cannot be told, too."""
        for configuration, group in groupby(cases, key=lambda case: case.configuration):
            alike = list(group)
            if len(alike) == 1 or any(len(case.frames) > 1 for case in alike):
                yield from alike
                continue
            if self.late():
                return
            self.observations += len(alike)
            results = self.subject.answers(configuration, [case.frame for case in alike])
            for case, result in zip(alike, results, strict=False):
                if self.late():
                    return
                if isinstance(result, Observation) and check(case, result):
                    yield case

    def reduced_case(self, case: Case, still: Callable[[Case], bool], most: int = MOST_ATTEMPTS) -> Case:
        """Return the plainest case of which `still` says yes, found by so many attempts, as far as the time allows."""
        return reduce(case, self.subject.plain, still, most, self.late)
