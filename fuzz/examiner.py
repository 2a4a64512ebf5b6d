"""Judges what differs from the filter: which readings explain it, which cause it has, how little shows it.

An answer that no listed reading explains is a cause by itself, at once. An answer that some readings explain changes
the target's profile, the one set of readings by which it is filtered; causes that are readings, and mixtures of
readings, are told at the end (`settle`), when the solver has found the profile that explains most of what was
seen. So a target that consistently follows some other reading is never accused, and one that follows none always is.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.evidence import Evidence
from vnethash.fuzz.found import Exemplar, Found
from vnethash.fuzz.general import generalise
from vnethash.fuzz.judge import Judge
from vnethash.fuzz.oracle import reached
from vnethash.fuzz.past import tell_past
from vnethash.fuzz.reducer import fewer_frames, plainer_cases
from vnethash.fuzz.signature import Signature, covers, is_any
from vnethash.fuzz.subject import failed
from vnethash.fuzz.support import Alike, Support
from vnethash.models.before import PREVIOUS
from vnethash.models.causes import unexplained_cause
from vnethash.models.matching import matches
from vnethash.models.reference import outcome
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.outcome import Observation
from vnethash.spec.readings import Readings
from vnethash.spec.text import clip, one_line
from vnethash.targets.base import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.fuzz.signature import Features
    from vnethash.fuzz.subject import Subject
    from vnethash.spec.configuration import Configuration

#: Frames in front of one that are tried when its answer depends on what came before it.
_LOOK_BACK = (1, 4, 16, 64, 256)
_MOST_ALSO = 200
#: Events of a frame whose answer is taken for evidence; one that asks much costs much and says little.
_MOST_EVENTS = 2
#: Mixtures that the end of a campaign looks into.
_MOST_MIXED = 12

#: Rivals of readings for which a batch is looked through (one, while the model may be slow), and frames of it that are
#: asked for each.
_RIVALS, _PARTING = 4, 2

#: How often a frame must make a target fail again, to be what makes it fail; and the signature of all others.
_STEADY = 2
_UNSTEADY = Signature("error", "none", (("unsteady", 1),))


class Examiner:
    """What is known of one target: its causes, and the evidence for its profile."""

    def __init__(
        self, subject: Subject, tell: Callable[[Found, bool], None], late: Callable[[], bool] = lambda: False
    ) -> None:
        """`tell` hears each cause when it is new (True) and when it is met again (False); `late` ends reduction."""
        self.subject = subject
        self.causes: dict[str, Found] = {}
        self.judge = Judge(subject, late)
        self.evidence = Evidence(self.judge)
        self.seconds = 0.0
        self.unjudged = 0
        self._support = Support(subject.observes)
        self._alike = Alike()
        self._changes: Counter[tuple[Readings, Readings]] = Counter()
        #: Executions of the campaign up to the frame that is looked into.
        self.executions = 0
        self._tell = tell

    @property
    def observations(self) -> int:
        """How often the target was asked to judge what differed."""
        return self.judge.observations

    # -------------------------------------------------------------------------------------------- judging

    def examine(
        self, configuration: Configuration, frames: Sequence[bytes], index: int, filtered: Readings, broke: str = ""
    ) -> None:
        """Judge the frame at an index of a batch that differs from the filter.

        `filtered` are the readings by which the batch was filtered, `broke` says how the target failed.
        """
        began = time.process_time()
        try:
            self._examine(configuration, frames, index, filtered, broke)
        finally:
            self.seconds += time.process_time() - began

    def _examine(
        self, configuration: Configuration, frames: Sequence[bytes], index: int, filtered: Readings, broke: str
    ) -> None:
        case = Case(configuration, (frames[index],))
        if broke and (unsteady := self._unsteady()) is not None and not self._looks_behind(unsteady):
            return
        features = self.judge.features(case)
        known = self._known(features)
        if known is not None and not self._looks_behind(known):
            return
        result = self.judge.observe(configuration, case.frames)
        if result is None or isinstance(result, Skipped):
            return
        if words := failed(result):
            self._error(case, words)
            return
        assert isinstance(result, Observation)
        if self.judge.as_filtered(case, result):
            if broke:
                self._now_and_then(case, clip(one_line(broke), 200))
            elif matches(outcome(case.frame, configuration, filtered), result, self.subject.observes):
                self._depends(configuration, frames, index)
            elif known is None and self._changes[filtered, self.subject.readings] < _PARTING:
                # As it was in the batch, and it speaks for the readings, which have changed since.
                self._changes[filtered, self.subject.readings] += 1
                self._agree(case, result)
            return
        kind = self.judge.kind(case, result)
        if not self._alike.is_worth(kind):
            return
        constraint = self.judge.constraint(case, result)
        if constraint is None or satisfied(constraint, self.subject.readings._asdict()):
            return
        if constraint:
            self._alike.explained(kind)
            if known is None:
                self.evidence.differ(constraint, Exemplar(case, result, self.executions))
        elif self.judge.expect(case).full.complete:
            self._definite(case, result, known)

    def learn(self, configuration: Configuration, frame: bytes) -> None:
        """Take an answer that is as filtered into the evidence: it may rule readings out."""
        if reached(frame, configuration, self.subject.readings)[1].bit_count() > _MOST_EVENTS:
            return
        began = time.process_time()
        case = Case(configuration, (frame,))
        result = self.judge.answer(case)
        if result is not None:
            self._agree(case, result)
        self.seconds += time.process_time() - began

    def _agree(self, case: Case, observed: Observation) -> None:
        constraint = self.judge.constraint(case, observed)
        if constraint and satisfied(constraint, self.subject.readings._asdict()):
            self.evidence.agree(constraint, Exemplar(case, observed, self.executions))

    def weigh(self, configuration: Configuration, frames: Sequence[bytes], differing: frozenset[int]) -> None:
        """Take into the evidence what tells a reading from its rivals, where there is little of it.

        `differing` are the indices of frames of the batch that were not answered as filtered.
        """
        readings = self.subject.readings
        count = _RIVALS if self.subject.has_fast_model else 1
        wanted = self._support.wanted(self.evidence.exemplars, self.evidence.version, readings, count)
        if not wanted:
            return
        began = time.process_time()
        rivals = [readings._replace(**{name: number}) for name, number in wanted]
        literal, *parted = self.subject.parting(configuration, frames, [Readings(), *rivals])
        for (_, number), told in zip(wanted, parted, strict=True):
            some = (told & literal if number == 0 else told) - differing
            for index in sorted(some, key=lambda index: (len(frames[index]), index))[:_PARTING]:
                case = Case(configuration, (frames[index],))
                if self._known(self.judge.features(case)) is None and (result := self.judge.answer(case)) is not None:
                    self._agree(case, result)
        self.seconds += time.process_time() - began

    def _known(self, features: Features, besides: frozenset[str] = frozenset()) -> Found | None:
        """Return a cause whose condition a case meets; the one that asks most."""
        best: Found | None = None
        for key, cause in self.causes.items():
            if (
                cause.kind in {"unexplained", "error", "inconsistent"} and not cause.question
                and key not in besides
                and (cause.alone or not cause.signature.before)
                and cause.covers(features)
                and (best is None or len(cause.signature.features) > len(best.signature.features))
            ):
                best = cause
        return best

    def covering(self, case: Case) -> Found | None:
        """Return the cause whose condition a case meets, None if there is none."""
        return self._known(self.judge.features(case))

    def _looks_behind(self, known: Found) -> bool:
        """Count one more of a known cause; say whether to look this time if another one hides behind it."""
        known.count += 1
        self._tell(known, False)
        return known.count & (known.count - 1) == 0

    # -------------------------------------------------------------------------------------------- profile

    def settle(self, *, last: bool = False) -> None:
        """Find the profile that explains most, and tell what mixes readings; at the `last` settlement tell readings."""
        began = time.process_time()
        before: dict[str, Found] = {}
        if last and not self.judge.late():
            # With all that is known now another side of a contradiction may be the odd one.
            before = {key: cause for key, cause in self.causes.items() if self._is_mixed(cause)}
            self.causes = {key: cause for key, cause in self.causes.items() if key not in before}
            self.evidence.restore()
        elif not last and self.evidence.explained():
            return
        self.evidence.settle()
        self._settle_mixed(last=last)
        for key, cause in before.items():
            # Where time ran out before it was told again, it stands unless the readings explain it by now.
            if key in self.causes or (self.judge.late() and not self._is_explained(cause)):
                self.causes[key] = cause
            else:
                cause.count = 0
                self._tell(cause, False)
        if last:
            self._settle_readings()
        self.seconds += time.process_time() - began

    def _settle_mixed(self, *, last: bool) -> None:
        """Enter the causes of what the profile does not explain, and withdraw those that it explains by now."""
        fresh = self._mixtures()
        quick = self.subject.readings
        if self.evidence.settle(last=last) and self.subject.readings != quick:
            # The best profile leaves something else unexplained than the one that was found quickly.
            fresh += self._mixtures()
            self.evidence.settle(last=last)
        for key, cause in list(self.causes.items()):
            if not self._is_mixed(cause) or cause.observed is None:
                continue
            if self._is_explained(cause):
                # It was the other side of the contradiction that is odd.
                del self.causes[key]
                if key not in fresh:
                    cause.count = 0
                    self._tell(cause, False)
            elif key in fresh:
                self._tell(cause, True)

    def _is_explained(self, cause: Found) -> bool:
        """Say whether what was observed of a cause's witness follows under the current readings."""
        assert cause.observed is not None
        constraint = self.judge.constraint(cause.case, cause.observed)
        return constraint is None or satisfied(constraint, self.subject.readings._asdict())

    def _mixtures(self) -> list[str]:
        """Find the causes of what the profile does not explain; return their ids, they are not told yet."""
        fresh: list[str] = []
        for _ in range(_MOST_MIXED):
            # A mixture is one cause; what it explains must not speak for readings as well.
            self.evidence.forget(lambda case: self._known(self.judge.features(case)) is not None, aside=True)
            self.evidence.settle()
            contradicting = [] if self.judge.late() else self.evidence.contradicting()
            if not contradicting:
                break
            mixed = self.evidence.mixed(contradicting[0])
            if mixed is None:
                continue
            found, witness, observed, still = mixed
            if found is None:
                self._definite(witness, observed, None)
                continue
            special = self._more_special(found)
            if special is not None:
                special.also = (*special.also, found.signature.features)
                self._forget(special, aside=True)
                continue
            known = self._known(self.judge.features(found.case))
            if known is not None:
                # Reduced to what is told already.
                known.count += 1
                self._tell(known, False)
                continue
            self._generalise(found, still)
            for key in [key for key in fresh if key in self.causes]:
                if found.covers(self.judge.features(self.causes[key].case)):
                    # Reduced to something more special than need be, and not told yet.
                    del self.causes[key]
            fresh.append(found.id)
            self.causes.setdefault(found.id, found)
            self._forget(found, aside=True)
        return fresh

    def _more_special(self, found: Found) -> Found | None:
        """Return an unexplained cause that asks for all that a mixture asks for: some of it no reading explains."""
        return next(
            (cause for cause in self.causes.values()
             if cause.kind == "unexplained" and not cause.signature.before
             and covers(found.signature.features, cause.signature.features)),
            None,
        )  # fmt: skip

    @staticmethod
    def _is_mixed(cause: Found) -> bool:
        return cause.kind == "inconsistent" and not cause.question

    def _settle_readings(self) -> None:
        told = set()
        for found in self.evidence.readings(self._told):
            told.add(found.id)
            self._enter(found)
        for key, cause in list(self.causes.items()):
            if cause.kind in {"defect", "reading"} and key not in told:
                # More evidence has another explanation.
                del self.causes[key]
                cause.count = 0
                self._tell(cause, False)

    def _told(self, signature: Signature, kind: str) -> Found | None:
        return next(
            (cause for cause in self.causes.values() if cause.signature == signature and cause.kind == kind), None
        )

    # -------------------------------------------------------------------------------------------- causes

    def _definite(self, case: Case, observed: Observation, known: Found | None) -> None:
        """Reduce an answer that no reading explains, and enter its cause."""
        features = self.judge.features(case)
        besides = frozenset(key for key, cause in self.causes.items() if cause.covers(features))

        def wrong(candidate: Case, answer: Observation) -> bool:
            return not self.judge.as_filtered(candidate, answer) and self.judge.unexplained(candidate, answer)

        def disagrees(candidate: Case) -> bool:
            answer = self.judge.answer(candidate)
            return answer is not None and wrong(candidate, answer)

        def still_wrong(candidate: Case, answer: Observation) -> bool:
            # Not into another cause, that the case did not have.
            return self._known(self.judge.features(candidate), besides) is None and wrong(candidate, answer)

        def still(candidate: Case) -> bool:
            return self._known(self.judge.features(candidate), besides) is None and disagrees(candidate)

        if known is not None:
            cured = self._cured(case, known, still)
            if cured is None:
                return
            case = cured
            besides -= {known.id}
        if not still(case):
            return
        witness, observed = self.judge.reduced(case, observed, still, still_wrong)
        kind = self.judge.signature(witness, observed).kind
        # What one more step of reduction makes a known cause is that cause: only its being known kept it apart.
        for candidate in plainer_cases(witness, self.subject.plain):
            near = self._known(self.judge.features(candidate), besides)
            if near is not None and near.signature.kind == kind and disagrees(candidate):
                near.also = (*near.also, self.judge.condition(witness))[:_MOST_ALSO]
                near.count += 1
                self._tell(near, False)
                return
        found = self._enter_definite(witness, observed, disagrees)
        if found is not None:
            self._forget(found)

    def _enter_definite(
        self, witness: Case, observed: Observation, disagrees: Callable[[Case], bool]
    ) -> Found | None:
        """Enter the cause of a witness, and what is alike; None if it is known."""
        cause, clause = unexplained_cause(
            witness.frame, witness.configuration, observed, self.subject.observes, self.subject.readings,
            self.judge.expect(witness).full.outcomes(),
        )
        signature = self.judge.signature(witness, observed)._replace(clause=clause)
        found = Found(
            self.subject.name, "unexplained", cause.title, cause.clauses, signature, witness, observed,
            self.judge.effect(witness, observed),
        )
        if found.id not in self.causes:
            self._generalise(found, disagrees)
            tell_past(found, self.subject.readings, self.judge.answer, self.judge.unexplained)
        self._enter(found)
        return found if found.id in self.causes and self.causes[found.id] is found else None

    def _cured(self, case: Case, known: Found, still: Callable[[Case], bool]) -> Case | None:
        """Return the case without what makes the known cause show, if it still disagrees then: another cause."""
        gone = set(known.signature.features)

        def without_known(candidate: Case) -> bool:
            features = self.judge.features(candidate)
            return not covers(tuple(gone), features) and not known.covers(features)

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
            result = self.judge.answer(case)
            if result is None or self.judge.as_filtered(case, result):
                continue
            if not self.judge.unexplained(case, result) or len(case.frames) < 2:
                return

            def still(candidate: Case) -> bool:
                if len(candidate.frames) < 2:
                    return False
                result = self.judge.answer(candidate)
                if result is None or not self.judge.unexplained(candidate, result):
                    return False
                alone = self.judge.answer(replace(candidate, frames=candidate.frames[-1:]))
                return alone is not None and self.judge.as_filtered(candidate, alone)

            if not still(case):
                return
            case = fewer_frames(case, still)
            witness, observed = self.judge.reduced(case, result, still)
            self._enter(Found(
                self.subject.name, "unexplained", "the answer depends on the frame before it",
                (self.judge.expect(witness).clause,), self.judge.signature(witness, observed), witness, observed,
                self.judge.effect(witness, observed),
            ))  # fmt: skip
            return

    def _error(self, case: Case, words: str) -> None:
        def still(candidate: Case) -> bool:
            return bool(failed(self.judge.observe(candidate.configuration, candidate.frames)))

        line = clip(one_line(words), 200)
        if self.subject.ended or not all(still(case) for _ in range(_STEADY)):
            self._now_and_then(case, line)
            return
        witness = self.judge.reduced_case(case, still, 200)
        features = self.judge.condition(witness)
        clause = self.judge.expect(witness).clause
        self._enter(Found(
            self.subject.name, "error", line, (clause,), Signature("error", clause, features), witness, None, line
        ))  # fmt: skip

    def _unsteady(self) -> Found | None:
        """Return the cause of failures on nothing in particular, if there were any."""
        return next((cause for cause in self.causes.values() if cause.signature == _UNSTEADY), None)

    def _now_and_then(self, case: Case, line: str) -> None:
        """Enter a failure that is not seen when the frame is asked again."""
        self._enter(Found(
            self.subject.name, "error", f"fails, and not when asked again: {line}", (), _UNSTEADY, case, None, line
        ))  # fmt: skip

    def _enter(self, found: Found) -> None:
        """Count a cause that is known; otherwise enter it, in place of those that it is more general than."""
        same = self.causes.get(found.id)
        if same is None and found.kind == "unexplained" and (found.alone or not found.signature.before):
            same = self._known(self.judge.features(found.case))
        if same is not None:
            if same is not found:
                same.count += 1
            self._tell(same, False)
            return
        if found.kind in {"unexplained", "inconsistent"}:
            before = tuple(pair for pair in found.signature.before if not is_any(pair[0]))
            for other in self.causes.values():
                # The other was reduced to something more special than need be; it keeps its name.
                theirs = other.signature.before
                if (found.title == other.title == PREVIOUS.title) or (
                    other.kind == found.kind and bool(found.signature.before) == bool(theirs)
                    and ({place for place, _ in before} <= {place for place, _ in theirs} or covers(theirs, before))
                    and any(covers(each, self.judge.features(other.case), exact=found.exact)
                            for each in (found.signature.features, *found.also))
                ):
                    other.also = (*other.also, found.signature.features, *found.also)
                    other.count += 1
                    self._tell(other, False)
                    return
        found.executions = found.executions or self.executions
        self.causes[found.id] = found
        self._tell(found, True)

    def _generalise(self, found: Found, disagrees: Callable[[Case], bool]) -> None:
        """Learn what of the condition matters, so that others like it are known at once."""
        if len(found.case.frames) == 1 and not self.judge.late():
            generalise(found, self.subject.plain, self.judge.features, disagrees,
                       lambda case: self._known(self.judge.features(case)) is not None)

    def _forget(self, found: Found, *, aside: bool = False) -> None:
        """Take out of the evidence what a cause explains."""
        self.evidence.forget(lambda case: found.covers(self.judge.features(case)), aside=aside)
