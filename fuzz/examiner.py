"""Judges what differs from the filter: which readings explain it, which cause it has, how little shows it.

An answer that no listed reading explains is a cause by itself, at once. An answer that some readings explain changes
the target's profile, the one set of readings by which it is filtered; causes that are readings, and mixtures of
readings, are told at a checkpoint (`settle`), when the solver has found the profile that explains most of what was
seen. So a target that consistently follows some other reading is never accused, and one that follows none always is.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.found import Exemplar, Found
from vnethash.fuzz.oracle import reached
from vnethash.fuzz.reducer import fewer_frames, plainer_cases, reduce
from vnethash.fuzz.signature import ANY, Signature, configuration_features, covers, frame_features, variants
from vnethash.fuzz.subject import failed
from vnethash.models.causes import effect, kind_of_effect, mixed_cause, unexplained_cause
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.models.reference import outcome
from vnethash.models.symbolic.profile import cost, find_profile, satisfied
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings
from vnethash.spec.text import clip, one_line
from vnethash.targets.base import Result, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.fuzz.signature import Features
    from vnethash.fuzz.subject import Subject
    from vnethash.models.expectations import Expected
    from vnethash.models.symbolic.profile import Constraint, Profile
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.questions import Question

#: Frames in front of one that are tried when its answer depends on what came before it.
_LOOK_BACK = (1, 4, 16, 64, 256)
#: Expectations that are kept, and constraints that the profile rests on.
_MOST_KEPT = 4000
MOST_EVIDENCE = 1500
_MOST_ALSO = 200
#: Events of a frame whose answer is taken for evidence; one that asks much costs much and says little.
_MOST_EVENTS = 2
#: Mixtures that one checkpoint looks into.
_MOST_MIXED = 12


class Examiner:
    """What is known of one target: its causes, and the evidence for its profile."""

    def __init__(self, subject: Subject, tell: Callable[[Found, bool], None]) -> None:
        """`tell` hears each cause when it is new (True) and when it is met again (False)."""
        self.subject = subject
        self.causes: dict[str, Found] = {}
        self.profile: Profile | None = None
        self.evidence: dict[Constraint, Exemplar] = {}
        self.seconds = 0.0
        self.unjudged = 0
        self.observations = 0
        self._tell = tell
        self._expectations = Expectations()
        self._expected = 0
        self._settled = -1

    # -------------------------------------------------------------------------------------------- judging

    def examine(self, configuration: Configuration, frames: Sequence[bytes], index: int) -> None:
        """Judge the frame at an index of a batch that differs from the filter."""
        began = time.process_time()
        try:
            self._examine(configuration, frames, index)
        finally:
            self.seconds += time.process_time() - began

    def _examine(self, configuration: Configuration, frames: Sequence[bytes], index: int) -> None:
        case = Case(configuration, (frames[index],))
        features = self._features(case)
        known = self._known(features)
        if known is not None and not self._looks_behind(known):
            return
        result = self._observe(configuration, case.frames)
        if result is None or isinstance(result, Skipped):
            return
        if words := failed(result):
            self._error(case, words)
            return
        assert isinstance(result, Observation)
        if self._as_filtered(case, result):
            self._depends(configuration, frames, index)
            return
        constraint = self._constraint(case, result)
        if constraint is None or satisfied(constraint, self.subject.readings._asdict()):
            return
        if constraint:
            if known is None:
                self._learn(constraint, Exemplar(case, result))
        elif self._expect(case).full.complete:
            self._definite(case, result, known)

    def learn(self, configuration: Configuration, frame: bytes) -> None:
        """Take an answer that is as filtered into the evidence: it may rule readings out."""
        if len(self.evidence) >= MOST_EVIDENCE // 2:
            return
        if reached(frame, configuration, self.subject.readings)[1].bit_count() > _MOST_EVENTS:
            return
        began = time.process_time()
        case = Case(configuration, (frame,))
        result = self._observe(configuration, case.frames)
        if isinstance(result, Observation):
            constraint = self._constraint(case, result)
            if constraint and satisfied(constraint, self.subject.readings._asdict()):
                self.evidence.setdefault(constraint, Exemplar(case, result))
        self.seconds += time.process_time() - began

    def _observe(self, configuration: Configuration, frames: Sequence[bytes]) -> Result | None:
        self.observations += 1
        return self.subject.observe(configuration, frames)

    def _expect(self, case: Case) -> Expected:
        self._expected += 1
        if self._expected > _MOST_KEPT:
            self._expectations, self._expected = Expectations(), 0
        return self._expectations.of(case.frame, case.configuration)

    def _constraint(self, case: Case, observed: Observation) -> Constraint | None:
        return self._expect(case).explained_by(observed, self.subject.observes)

    def _as_filtered(self, case: Case, observed: Observation) -> bool:
        expected = outcome(case.frame, case.configuration, self.subject.readings)
        return matches(expected, observed, self.subject.observes)

    def _features(self, case: Case) -> Features:
        return (*configuration_features(case.configuration, self.subject.plain), *frame_features(case.frame))

    def _known(self, features: Features, besides: frozenset[str] = frozenset()) -> Found | None:
        """Return a cause whose condition a case meets; the one that asks most."""
        best: Found | None = None
        for key, cause in self.causes.items():
            if (
                cause.kind in {"unexplained", "error", "inconsistent"} and not cause.question
                and key not in besides
                and not cause.signature.before
                and cause.covers(features)
                and (best is None or len(cause.signature.features) > len(best.signature.features))
            ):
                best = cause
        return best

    def _looks_behind(self, known: Found) -> bool:
        """Count one more of a known cause; say whether to look this time if another one hides behind it."""
        known.count += 1
        self._tell(known, False)
        return known.count & (known.count - 1) == 0

    # -------------------------------------------------------------------------------------------- profile

    def _learn(self, constraint: Constraint, exemplar: Exemplar) -> None:
        """Take an answer into the evidence that the readings do not explain, and repair them if they can be."""
        if constraint in self.evidence or len(self.evidence) >= MOST_EVIDENCE:
            return
        self.evidence[constraint] = exemplar
        now = self.subject.readings._asdict()
        best: tuple[int, int, int] | None = None
        chosen: dict[str, int] = {}
        for order, when in enumerate(sorted(constraint, key=repr)):
            changed = dict(now)
            for name, numbers in when:
                if changed[name] not in numbers:
                    changed[name] = min(numbers, key=lambda number: cost(name, number))
            price = self._violations(changed), sum(cost(name, number) for name, number in changed.items()), order
            if best is None or price < best:
                best, chosen = price, changed
        here = self._violations(now), sum(cost(name, number) for name, number in now.items()), 0
        if best is not None and best < here:
            self.subject.adopt(Readings(**chosen))

    def _violations(self, readings: dict[str, int]) -> int:
        return sum(not satisfied(constraint, readings) for constraint in self.evidence)

    def settle(self, *, last: bool = False) -> None:
        """Find the profile that explains most; at the `last` settlement tell the causes that are readings or mix them.

        Before that, what mixes readings may only lack evidence, and nobody is told what would be withdrawn again.
        """
        if not last:
            if len(self.evidence) != self._settled:
                self._settled = len(self.evidence)
                began = time.process_time()
                self.subject.adopt(find_profile(list(self.evidence)).as_readings())
                self.seconds += time.process_time() - began
            return
        began = time.process_time()
        for _ in range(_MOST_MIXED):
            self.profile = profile = find_profile(list(self.evidence))
            self.subject.adopt(profile.as_readings())
            # A mixture is one cause; what it explains must not speak for readings as well.
            if not self._settle_mixed(profile):
                break
        self._settle_readings(profile)
        self.seconds += time.process_time() - began

    def _settle_readings(self, profile: Profile) -> None:
        told = set()
        for question in load_questions().values():
            number = profile.readings[question.field]
            if number == 0 or 0 in profile.possible.get(question.field, frozenset({0})):
                continue
            found = self._reading(profile, question, number)
            if found is not None:
                told.add(found.id)
                self._enter(found)
        for key, cause in list(self.causes.items()):
            if cause.kind in {"defect", "reading"} and key not in told:
                # More evidence has another explanation.
                del self.causes[key]
                cause.count = 0
                self._tell(cause, False)

    def _reading(self, profile: Profile, question: Question, number: int) -> Found | None:
        standing = question.readings[number].standing
        others = question.allowed if standing == "defect" else (0,)
        showing = [
            exemplar for constraint, exemplar in self.evidence.items()
            if constraint in profile.satisfied and self._shows(constraint, profile, question, others)
        ]
        observes = self.subject.observes
        odd = [each for each in showing if not matches(self._expect(each.case).literal, each.observed, observes)]
        if not odd:
            return None
        definite = [each for each in odd if not self._expect(each.case).is_allowed(each.observed, observes)]
        kind = "reading" if standing != "defect" else "defect" if definite else "inconsistent"
        best = min(definite or odd, key=lambda each: len(each.case.frame))
        name = f"{self.subject.name} {question.id}"
        signature = Signature("reading", question.id, ((question.field, number),))
        already = next((cause for cause in self.causes.values() if cause.signature == signature), None)
        if already is not None and already.kind == kind:
            already.count = max(already.count, len(showing))
            return already

        def still(candidate: Case) -> bool:
            result = self._observe(candidate.configuration, candidate.frames)
            if not isinstance(result, Observation):
                return False
            constraint = self._constraint(candidate, result)
            expected = self._expect(candidate)
            return (
                bool(constraint) and satisfied(constraint or frozenset(), profile.readings)
                and self._shows(constraint or frozenset(), profile, question, others)
                and not matches(expected.literal, result, self.subject.observes)
                and (not definite or not expected.is_allowed(result, self.subject.observes))
            )

        witness, observed = self._reduced(best.case, best.observed, still)
        return Found(
            self.subject.name, kind, question.readings[number].words, question.clauses, signature, witness, observed,
            self._effect(witness, observed) or name, question.id, question.readings[number].name, len(showing),
        )

    @staticmethod
    def _shows(constraint: Constraint, profile: Profile, question: Question, others: tuple[int, ...]) -> bool:
        """Say whether an answer follows under the profile, and under no alternative to its reading of the question."""
        if not any(name == question.field for when in constraint for name, _ in when):
            return False
        return not any(
            satisfied(constraint, {**profile.readings, question.field: number})
            for number in others if number != profile.readings[question.field]
        )

    def _settle_mixed(self, profile: Profile) -> bool:
        """Tell the cause of one answer that the profile does not explain; say whether there was one."""
        for constraint in sorted(profile.violated, key=lambda each: (len(self.evidence[each].case.frame), repr(each))):
            exemplar = self.evidence[constraint]

            def still(candidate: Case) -> bool:
                result = self._observe(candidate.configuration, candidate.frames)
                if not isinstance(result, Observation):
                    return False
                explained = self._constraint(candidate, result)
                return explained is not None and not satisfied(explained, profile.readings)

            del self.evidence[constraint]
            if self._known(self._features(exemplar.case)) is not None or not still(exemplar.case):
                return True
            witness, observed = self._reduced(exemplar.case, exemplar.observed, still)
            explained = self._constraint(witness, observed)
            if not explained:
                self._definite(witness, observed, None)
                return True
            cause = mixed_cause(explained, profile, self._expect(witness).clause)
            found = Found(
                self.subject.name, "inconsistent", cause.title, cause.clauses, self._signature(witness, observed),
                witness, observed, self._effect(witness, observed),
            )
            self._enter(found)
            self._generalise(found, still)
            self._forget(found)
            return True
        return False

    # -------------------------------------------------------------------------------------------- causes

    def _definite(self, case: Case, observed: Observation, known: Found | None) -> None:
        """Reduce an answer that no reading explains, and enter its cause."""
        features = self._features(case)
        besides = frozenset(key for key, cause in self.causes.items() if cause.covers(features))

        def disagrees(candidate: Case) -> bool:
            result = self._observe(candidate.configuration, candidate.frames)
            if not isinstance(result, Observation) or self._as_filtered(candidate, result):
                return False
            return self._unexplained(candidate, result)

        def still(candidate: Case) -> bool:
            # Not into another cause, that the case did not have.
            return self._known(self._features(candidate), besides) is None and disagrees(candidate)

        if known is not None:
            cured = self._cured(case, known, still)
            if cured is None:
                return
            case = cured
            besides -= {known.id}
        if not still(case):
            return
        witness, observed = self._reduced(case, observed, still)
        # What one more step of reduction makes a known cause is that cause: only its being known kept it apart.
        for candidate in plainer_cases(witness, self.subject.plain):
            near = self._known(self._features(candidate), besides)
            if near is not None and disagrees(candidate):
                near.also = (*near.also, self._features(witness))[:_MOST_ALSO]
                near.count += 1
                self._tell(near, False)
                return
        found = self._enter_definite(witness, observed)
        if found is not None:
            self._generalise(found, disagrees)
            self._forget(found)

    def _unexplained(self, case: Case, observed: Observation) -> bool:
        return self._constraint(case, observed) == frozenset() and self._expect(case).full.complete

    def _enter_definite(self, witness: Case, observed: Observation) -> Found | None:
        """Enter the cause of a witness; None if it is known."""
        cause, clause = unexplained_cause(
            witness.frame, witness.configuration, observed, self.subject.observes, self.subject.readings,
            self._expect(witness).full.outcomes(),
        )
        signature = self._signature(witness, observed)._replace(clause=clause)
        found = Found(
            self.subject.name, "unexplained", cause.title, cause.clauses, signature, witness, observed,
            self._effect(witness, observed),
        )
        self._enter(found)
        return found if found.id in self.causes and self.causes[found.id] is found else None

    def _cured(self, case: Case, known: Found, still: Callable[[Case], bool]) -> Case | None:
        """Return the case without what makes the known cause show, if it still disagrees then: another cause."""
        gone = set(known.signature.features)

        def without_known(candidate: Case) -> bool:
            return not covers(tuple(gone), self._features(candidate))

        for candidate in plainer_cases(case, self.subject.plain):
            if without_known(candidate) and still(candidate):
                return candidate
        return None

    def _depends(self, configuration: Configuration, frames: Sequence[bytes], index: int) -> None:
        """Look into an answer that differed in the batch and does not alone: what came before matters."""
        for back in _LOOK_BACK:
            if back > index and back > 1 and back // 4 >= index:
                break
            case = Case(configuration, tuple(frames[max(0, index - back):index + 1]))
            result = self._observe(configuration, case.frames)
            if not isinstance(result, Observation) or self._as_filtered(case, result):
                continue
            if not self._unexplained(case, result) or len(case.frames) < 2:
                return

            def still(candidate: Case) -> bool:
                if len(candidate.frames) < 2:
                    return False
                result = self._observe(candidate.configuration, candidate.frames)
                if not isinstance(result, Observation) or not self._unexplained(candidate, result):
                    return False
                alone = self._observe(candidate.configuration, candidate.frames[-1:])
                return isinstance(alone, Observation) and self._as_filtered(candidate, alone)

            if not still(case):
                return
            case = fewer_frames(case, still)
            witness, observed = self._reduced(case, result, still)
            self._enter(Found(
                self.subject.name, "unexplained", "the answer depends on the frame before it",
                (self._expect(witness).clause,), self._signature(witness, observed), witness, observed,
                self._effect(witness, observed),
            ))  # fmt: skip
            return

    def _error(self, case: Case, words: str) -> None:
        def still(candidate: Case) -> bool:
            return bool(failed(self._observe(candidate.configuration, candidate.frames)))

        line = clip(one_line(words), 200)
        if self.subject.ended or not still(case):
            # It fails now and then, on nothing in particular.
            signature = Signature("error", "none", (("unsteady", 1),))
            self._enter(Found(
                self.subject.name, "error", f"fails, and not when asked again: {line}", (), signature, case, None, line
            ))  # fmt: skip
            return
        witness = reduce(case, self.subject.plain, still, 200)
        features = self._features(witness)
        clause = self._expect(witness).clause
        self._enter(Found(
            self.subject.name, "error", line, (clause,), Signature("error", clause, features), witness, None, line
        ))  # fmt: skip

    def _reduced(
        self, case: Case, observed: Observation, still: Callable[[Case], bool]
    ) -> tuple[Case, Observation]:
        witness = reduce(case, self.subject.plain, still)
        result: Result | None = self._observe(witness.configuration, witness.frames)
        return (witness, result) if isinstance(result, Observation) else (case, observed)

    def _signature(self, witness: Case, observed: Observation) -> Signature:
        expected = outcome(witness.frame, witness.configuration, self.subject.readings)
        before = tuple(
            (f"-{len(witness.frames) - 1 - position} {place}", number)
            for position, frame in enumerate(witness.frames[:-1]) for place, number in frame_features(frame)
        )
        kind = kind_of_effect(expected, observed, self.subject.observes)
        return Signature(kind, self._expect(witness).clause, self._features(witness), before)

    def _effect(self, witness: Case, observed: Observation) -> str:
        expected = self._expect(witness)
        against = expected.literal
        if matches(against, observed, self.subject.observes):
            against = outcome(witness.frame, witness.configuration, self.subject.readings)
        return effect(against, observed, self.subject.observes, expected.full.outcomes())

    def _enter(self, found: Found) -> None:
        """Count a cause that is known; otherwise enter it, in place of those that it is more general than."""
        same = self.causes.get(found.id)
        if same is None and found.kind == "unexplained" and not found.signature.before:
            same = self._known(found.signature.features)
        if same is not None:
            if same is not found:
                same.count += 1
            self._tell(same, False)
            return
        if found.kind in {"unexplained", "inconsistent"}:
            before = found.signature.before
            for other in self.causes.values():
                # The other was reduced to something more special than need be; it keeps its name.
                theirs = other.signature.before
                if (
                    other.kind == found.kind and bool(before) == bool(theirs)
                    and ({place for place, _ in before} <= {place for place, _ in theirs} or covers(theirs, before))
                    and covers(found.signature.features, other.signature.features)
                ):
                    other.also = (*other.also, found.signature.features)
                    other.count += 1
                    self._tell(other, False)
                    return
        self.causes[found.id] = found
        self._tell(found, True)

    def _generalise(self, found: Found, disagrees: Callable[[Case], bool]) -> None:
        """Learn at which places of the condition any number will do, so that others like it are known at once."""
        if len(found.case.frames) > 1:
            return
        pattern = []
        for place, number in found.signature.features:
            chosen = number
            for bits, general in ((False, ANY), (True, ~number)):
                tried = variants(found.case.frame, place, number, bits=bits)
                if tried and all(disagrees(replace(found.case, frames=(other,))) for other in tried):
                    chosen = general
                    break
            pattern.append((place, chosen if number > 1 or chosen == ANY else number))
        if tuple(pattern) != found.signature.features:
            found.also = (tuple(pattern), *found.also)

    def _forget(self, found: Found) -> None:
        """Take out of the evidence what a cause explains."""
        for constraint, exemplar in list(self.evidence.items()):
            if found.covers(self._features(exemplar.case)):
                del self.evidence[constraint]
