"""What a target showed that some readings explain: its profile, and the causes that are readings or mix them.

Each answer that depends on readings is evidence. The profile is the one set of readings that explains most of it; it is
found now and then, and the target's answers are filtered by it. At the end of a campaign, when no more evidence can
come, the readings other than the literal ones are told, and what no one set of readings explains.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.fuzz.found import Exemplar, Found
from vnethash.fuzz.reducer import oddity
from vnethash.fuzz.signature import Signature
from vnethash.models.causes import mixed_cause, shows_reading
from vnethash.models.matching import matches
from vnethash.models.reference import outcome
from vnethash.models.symbolic.descent import Answers, near_profile
from vnethash.models.symbolic.profile import cost, explained_beside, find_profile, satisfied
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vnethash.fuzz.case import Case
    from vnethash.fuzz.judge import Judge
    from vnethash.models.symbolic.profile import Constraint, Profile
    from vnethash.spec.outcome import Observation, Outcome
    from vnethash.spec.questions import Question

#: Answers that the profile rests on.
MOST_EVIDENCE = 1500
#: A target is torn if so many answers for a reading stand against one for the words.
_TORN = 2
#: Unexplained answers that are held against the others at a time.
_MOST_TESTED = 100
#: Steps that the solver may take to find the best profile at the end: about ten seconds.
_EFFORT = 30_000_000


class Evidence:
    """Answers by what would explain them, the plainest of each, and the profile that follows.

    Attributes:
        profile: as it was found last; None before that.
        exemplars: constraint -> a case that shows it.
        version: a number that changes with the exemplars.
    """

    def __init__(self, judge: Judge) -> None:
        self.profile: Profile | None = None
        self.exemplars: dict[Constraint, Exemplar] = {}
        self._judge = judge
        self._subject = judge.subject
        self._changed = True
        self._concluded = False
        self._aside: dict[Constraint, Exemplar] = {}
        self._answers: Answers | None = None
        self.version = 0

    def agree(self, constraint: Constraint, exemplar: Exemplar) -> None:
        """Take in an answer that is as filtered: it may rule readings out."""
        if constraint not in self.exemplars and len(self.exemplars) < MOST_EVIDENCE // 2:
            self._take(constraint, exemplar)

    def _take(self, constraint: Constraint, exemplar: Exemplar) -> None:
        self.exemplars[constraint] = exemplar
        self.version += 1
        self._changed = True
        if self._answers is not None:
            self._answers.add(constraint)

    def differ(self, constraint: Constraint, exemplar: Exemplar) -> None:
        """Take in an answer that the readings do not explain, and repair them if they can be."""
        if constraint in self.exemplars or len(self.exemplars) >= MOST_EVIDENCE:
            return
        self._take(constraint, exemplar)
        now = self._subject.readings._asdict()
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
            self._subject.adopt(Readings(**chosen))

    def restore(self) -> None:
        """Take in again what was put aside for causes that may turn out to be none."""
        self._changed |= bool(self._aside)
        self.exemplars = {**self._aside, **self.exemplars}
        self.version += 1
        self._aside, self._answers = {}, None

    def explained(self) -> bool:
        """Say whether the current readings explain all, so that nothing contradicts them."""
        return self._violations(self._subject.readings._asdict()) == 0

    def _violations(self, readings: dict[str, int]) -> int:
        if self._answers is None:
            self._answers = Answers(dict.fromkeys(self.exemplars, 1))
        return self._answers.unexplained(readings)

    def settle(self, *, last: bool = False) -> bool:
        """Find the profile again if the evidence has changed; say whether it was found.

        At the `last` it is the best one, if the solver can tell in time, and says what the answers leave open.
        """
        if not self._changed and (self._concluded or not last):
            return False
        self.profile = self._untorn(self._found(list(self.exemplars), last=last), last=last)
        self._changed, self._concluded = False, last  # only now: Ctrl-C may come before
        self._subject.adopt(self.profile.as_readings())
        return True

    def _found(self, constraints: list[Constraint], *, last: bool) -> Profile:
        starts = [self._subject.readings._asdict()] + ([] if self.profile is None else [self.profile.readings])
        near = near_profile(constraints, starts)
        return find_profile(constraints, effort=_EFFORT, otherwise=near) if last else near

    def _untorn(self, profile: Profile, *, last: bool) -> Profile:
        """Return the profile without readings that hardly more answers speak for than for the words themselves.

        A target that is torn between the two follows neither; what is other than the words is then what contradicts.
        Nor does it follow a reading that it follows in odd frames, and not in plain ones.
        """
        against: set[Constraint] = set()
        for name, number in profile.readings.items():
            if not number:
                continue
            literal = {**profile.readings, name: 0}
            pro = {each for each in profile.satisfied if not satisfied(each, literal)}
            con = [each for each in profile.violated if satisfied(each, literal)]
            if con and (len(con) * _TORN >= len(pro) or self._plainest(con) < self._plainest(pro)):
                against |= pro
        if not against:
            return profile
        rest = self._found([each for each in self.exemplars if each not in against], last=last)
        kept = frozenset(each for each in self.exemplars if satisfied(each, rest.readings))
        return replace(rest, satisfied=kept, violated=frozenset(self.exemplars) - kept)

    def _plainest(self, constraints: Iterable[Constraint]) -> tuple[int, int]:
        """Return how far the plainest case among some answers is from plain."""
        cases = (self.exemplars[each].case for each in constraints)
        return min((oddity(case, self._subject.plain) for case in cases), default=(0, 0))

    def contradicting(self) -> list[Constraint]:
        """Return what no set of readings explains together with what the profile explains, the shortest frames first.

        What the profile leaves unexplained only because that would be odd is no contradiction.
        """
        if self.profile is None:
            return []
        violated = sorted(
            (constraint for constraint in self.profile.violated if constraint in self.exemplars),
            key=lambda each: (len(self.exemplars[each].case.frame), repr(each)),
        )[:_MOST_TESTED]
        if not violated:
            return []
        kept = [constraint for constraint in self.profile.satisfied if constraint in self.exemplars]
        explained = explained_beside(kept, violated, self._judge.late)
        return [constraint for constraint, can_be in zip(violated, explained, strict=True) if not can_be]

    # -------------------------------------------------------------------------------------------- causes

    def readings(self, already: Callable[[Signature, str], Found | None]) -> list[Found]:
        """Return a cause for each question that the profile answers otherwise than the words say.

        `already` returns the cause of a signature and kind that was told before, if there is one.
        """
        found = []
        assert self.profile is not None
        for question in load_questions().values():
            number = self.profile.readings[question.field]
            if number and 0 not in self.profile.possible.get(question.field, frozenset({0})):
                cause = self._reading(self.profile, question, number, already)
                if cause is not None:
                    found.append(cause)
        return found

    def _reading(
        self, profile: Profile, question: Question, number: int, already: Callable[[Signature, str], Found | None]
    ) -> Found | None:
        judge, subject = self._judge, self._subject
        standing = question.readings[number].standing
        others = question.allowed if standing == "defect" else (0,)
        showing = [
            exemplar for constraint, exemplar in self.exemplars.items()
            if constraint in profile.satisfied and _shows(constraint, profile, question, others)
        ]
        observes = subject.observes
        odd = [each for each in showing if not matches(judge.expect(each.case).literal, each.observed, observes)]
        if not odd:
            return None
        definite = [each for each in odd if not judge.expect(each.case).is_allowed(each.observed, observes)]
        kind = "reading" if standing != "defect" else "defect" if definite else "inconsistent"
        best = min(definite or odd, key=lambda each: len(each.case.frame))
        signature = Signature("reading", question.id, ((question.field, number),))
        known = already(signature, kind)
        if known is not None:
            known.count = max(known.count, len(showing))
            return known

        def so(candidate: Case, answer: Observation) -> bool:
            return (
                not matches(_outcome(candidate, Readings()), answer, observes)
                and shows_reading(candidate.frame, candidate.configuration, answer, observes, profile, question)
            )

        def wrong(candidate: Case, answer: Observation) -> bool:
            return so(candidate, answer) and not judge.expect(candidate).is_allowed(answer, observes)

        witness, observed = self._reduced(best, so)
        if definite and judge.expect(witness).is_allowed(observed, observes):
            # Seldom, and it takes long to work out what is allowed for each frame.
            witness, observed = self._reduced(best, wrong)
        return Found(
            subject.name, kind, question.readings[number].words, question.clauses, signature, witness, observed,
            judge.effect(witness, observed) or f"{subject.name} {question.id}", question.id,
            question.readings[number].name, len(showing), executions=min(each.executions for each in odd),
        )

    def _reduced(self, exemplar: Exemplar, so: Callable[[Case, Observation], bool]) -> tuple[Case, Observation]:
        def still(candidate: Case) -> bool:
            answer = self._judge.answer(candidate)
            return answer is not None and so(candidate, answer)

        return self._judge.reduced(exemplar.case, exemplar.observed, still, so)

    def mixed(self, constraint: Constraint) -> tuple[Found | None, Case, Observation, Callable[[Case], bool]] | None:
        """Reduce an answer that the profile does not explain, and take it out of the evidence.

        Returns the cause, its witness, what was observed, and what says that a case shows the same; no cause if no
        reading at all explains the witness. None if it does not show any more.
        """
        judge, profile = self._judge, self.profile
        assert profile is not None
        readings = profile.as_readings()
        exemplar = self._aside[constraint] = self.exemplars.pop(constraint)
        self.version += 1
        self._answers = None

        def odd(candidate: Case, answer: Observation) -> bool:
            return not matches(_outcome(candidate, readings), answer, self._subject.observes)

        def still(candidate: Case) -> bool:
            answer = judge.answer(candidate)
            return answer is not None and odd(candidate, answer)

        if not still(exemplar.case):
            return None
        witness, observed = judge.reduced(exemplar.case, exemplar.observed, still, odd)
        explained = judge.constraint(witness, observed)
        if not explained:
            return None, witness, observed, still
        cause = mixed_cause(explained, profile, judge.expect(witness).clause)
        found = Found(
            self._subject.name, "inconsistent", cause.title, cause.clauses, judge.signature(witness, observed),
            witness, observed, judge.effect(witness, observed), executions=exemplar.executions,
        )
        return found, witness, observed, still

    def forget(self, covered: Callable[[Case], bool], *, aside: bool = False) -> None:
        """Take out what a cause explains.

        With `aside` it is kept for `restore`, and what the readings explain stays: it is no part of a contradiction.
        """
        now = self._subject.readings._asdict()
        for constraint, exemplar in list(self.exemplars.items()):
            if not (aside and satisfied(constraint, now)) and covered(exemplar.case):
                if aside:
                    self._aside[constraint] = exemplar
                del self.exemplars[constraint]
                self.version += 1
                self._answers = None
                # A profile that did not explain what is gone is the best one still.
                self._changed |= self.profile is None or constraint not in self.profile.violated


def _outcome(case: Case, readings: Readings) -> Outcome:
    return outcome(case.frame, case.configuration, readings)


def _shows(constraint: Constraint, profile: Profile, question: Question, others: tuple[int, ...]) -> bool:
    """Say whether an answer follows under the profile, and under no alternative to its reading of the question."""
    if not any(name == question.field for when in constraint for name, _ in when):
        return False
    return not any(
        satisfied(constraint, {**profile.readings, question.field: number})
        for number in others if number != profile.readings[question.field]
    )
