"""What a device showed that some readings explain: its profile, and the causes that are readings or mix them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.fuzz.case import Case
from vnethash.fuzz.device.case import legal
from vnethash.fuzz.device.found import ControlFound
from vnethash.fuzz.device.reducer import FEW_ATTEMPTS, MOST_ATTEMPTS, reduce
from vnethash.fuzz.device.shown import shown
from vnethash.fuzz.device.signature import Steps
from vnethash.models.causes import alternatives, mixed_cause
from vnethash.models.device.state import CTRL_VQ, HASH_REPORT, RSS, Negotiate
from vnethash.models.symbolic.profile import cost, find_profile, satisfied
from vnethash.spec.configuration import Configuration
from vnethash.spec.questions import all_by_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vnethash.fuzz.device.examiner import ControlExaminer
    from vnethash.fuzz.device.subject import Played
    from vnethash.models.device.state import Step
    from vnethash.models.symbolic.profile import Constraint, Profile
    from vnethash.spec.questions import Question

#: Answers that the profile rests on.
MOST_EVIDENCE = 1000
#: Mixtures of readings that are looked into.
_MOST_MIXED = 12
#: Readings that explain whatever is shown.
_LOOSE = frozenset({"unspecified", "own", "any-queue"})
#: Features that are tried, for whether they leave no other reading; and answers for which they are.
_FEATURES = ((CTRL_VQ, HASH_REPORT), (CTRL_VQ, RSS), (CTRL_VQ, RSS, HASH_REPORT))
_SHARPENED = 4
_NOTHING = Case(Configuration(), ())


class _Ready(NamedTuple):
    """An answer that shows a reading, reduced.

    Attributes:
        witness: what a device showed that was started anew.
        kind: of the cause.
        alone: whether no other reading but the literal ones is needed to explain it.
        whole: whether it shows all that can be shown, so that more evidence would not make it better.
        evidence: how many answers there were when it was made.
        times: how many of them showed the reading.
    """

    witness: Played
    kind: str
    alone: bool
    whole: bool
    evidence: int
    times: int


class Evidence:
    """Answers by what would explain them, the shortest of each, and the profile that follows."""

    def __init__(self, examiner: ControlExaminer) -> None:
        self.exemplars: dict[Constraint, Played] = {}
        self.profile: Profile | None = None
        self._examiner = examiner
        self._subject = examiner.subject
        self._settled = -1
        self._made: dict[tuple[str, int], _Ready] = {}

    def agree(self, constraint: Constraint, played: Played) -> None:
        """Take in an answer that is as filtered: it may rule readings out."""
        if len(self.exemplars) < MOST_EVIDENCE // 2:
            self.exemplars.setdefault(constraint, played)

    def differ(self, constraint: Constraint, played: Played) -> None:
        """Take in an answer that the readings do not explain, and repair them if they can be."""
        if constraint in self.exemplars or len(self.exemplars) >= MOST_EVIDENCE:
            return
        self.exemplars[constraint] = played
        now = self._subject.readings
        best: tuple[int, int, int] | None = None
        chosen: dict[str, int] = {}
        for order, when in enumerate(sorted(constraint, key=_in_order)):
            changed = dict(now)
            for name, numbers in when:
                if changed[name] not in numbers:
                    changed[name] = min(numbers, key=lambda number: cost(name, number))
            price = self._violations(changed), _price(changed), order
            if best is None or price < best:
                best, chosen = price, changed
        if best is not None and best < (self._violations(now), _price(now), 0):
            self._subject.adopt(chosen)

    def forget(self, tainted: Callable[[tuple[Step, ...]], bool]) -> None:
        """Take out what a cause explains."""
        for constraint, played in list(self.exemplars.items()):
            if tainted(played.steps):
                del self.exemplars[constraint]

    def _violations(self, readings: Mapping[str, int]) -> int:
        return sum(not satisfied(constraint, readings) for constraint in self.exemplars)

    def settle(self) -> None:
        """Find the profile again if there is more evidence."""
        if len(self.exemplars) != self._settled:
            self.profile = find_profile(sorted(self.exemplars, key=_order))
            self._settled = len(self.exemplars)  # only now: Ctrl-C may come before
            self._subject.adopt(self.profile.readings)

    def prepare(self) -> None:
        """Find the profile, and reduce an answer for each of its readings while there is time for that."""
        self.settle()
        for question, number in self._readings():
            if self._examiner.late() or self._subject.ended:
                break
            self._ready(question, number)

    def conclude(self) -> list[ControlFound]:
        """Enter what the profile does not explain, then the readings that it has; return those causes."""
        for _ in range(_MOST_MIXED):
            self.settle()
            # A mixture is one cause; what it explains must not speak for readings as well.
            if self._examiner.late() or not self._mixed():
                break
        self.settle()
        found = []
        for question, number in self._readings():
            one = self._reading(question, number)
            if one is not None:
                found.append(one)
                self._examiner.enter(one)
        return found

    def _readings(self) -> list[tuple[Question, int]]:
        """Return the questions that the profile answers otherwise than the words say, with the readings."""
        profile = self.profile
        assert profile is not None
        numbers = {name: profile.readings.get(name, 0) for name in all_by_field()}
        return [
            (question, numbers[name]) for name, question in all_by_field().items()
            if numbers[name] and 0 not in profile.possible.get(name, frozenset({0}))
        ]

    def _ready(self, question: Question, number: int) -> _Ready | None:
        """Return a reduced answer that shows a reading, None if none does; made once for the evidence that there is."""
        key = (question.field, number)
        known = self._made.get(key)
        if known is not None and (known.whole or known.evidence == len(self.exemplars)) and self._still(
                known.witness, question, number, known):  # fmt: skip
            return known
        made = self._reduced_for(question, number)
        if made is not None:
            self._made[key] = made
        return made

    def _reduced_for(self, question: Question, number: int) -> _Ready | None:
        profile = self.profile
        assert profile is not None
        standing = question.readings[number].standing
        showing = [
            played for constraint, played in self.exemplars.items()
            if constraint in profile.satisfied and self._shows(played, question, number)
        ]
        if not showing:
            return None
        definite = [played for played in showing if not self._allowed(played)] if standing == "defect" else []
        if standing == "defect" and not definite and not self._examiner.late():
            definite = self._sharpened(showing, lambda played: self._shows(played, question, number))
        kind = "reading" if standing != "defect" else "defect" if definite else "inconsistent"
        best = min(definite or showing, key=lambda played: (
            self._needs_others(played, question, number), len(played.steps), len(repr(played.steps))))  # fmt: skip
        alone = not self._needs_others(best, question, number)
        ready = _Ready(best, kind, alone, kind != "inconsistent" and alone, len(self.exemplars), len(showing))
        return ready._replace(witness=self._reduced(
            best, lambda again: again is not None and self._still(again, question, number, ready)))  # fmt: skip

    def _still(self, again: Played, question: Question, number: int, ready: _Ready) -> bool:
        """Say whether what was seen shows a reading as clearly as what is being reduced."""
        if again.error or len(again.seen) != len(again.steps) or not self._shows(again, question, number):
            return False
        if ready.alone and self._needs_others(again, question, number):
            return False
        return ready.kind != "defect" or not self._allowed(again)

    def _needs_others(self, played: Played, question: Question, number: int) -> bool:
        """Say whether the literal readings and this one do not explain what was seen."""
        only = {**dict.fromkeys(all_by_field(), 0), question.field: number}
        return self._subject.fault(played, only) is not None

    def _reading(self, question: Question, number: int) -> ControlFound | None:
        examiner, profile = self._examiner, self.profile
        assert profile is not None
        ready = self._ready(question, number)
        if ready is None:
            return None
        numbers = (number, *self._also(profile, question, number))
        signature = Steps("reading", question.id, ((question.field, number if len(numbers) == 1 else -1),))
        already = next((cause for cause in examiner.causes.values() if cause.signature == signature), None)
        if already is not None and already.kind == ready.kind:
            already.count = max(already.count, ready.times)
            return already
        witness = ready.witness
        # What this reading alone changes, the others being as they are.
        literal = dict.fromkeys(all_by_field(), 0)
        first = self._subject.fault(witness, {**literal, **profile.readings, question.field: 0})
        words = f"at step {first.step + 1}: {first.fault.words}" if first else question.readings[number].words
        return ControlFound(
            self._subject.name, ready.kind, "; or ".join(question.readings[one].words for one in numbers),
            question.clauses, signature, _NOTHING, None, words, question.id,
            " or ".join(question.readings[one].name for one in numbers), ready.times,
            shown=shown(witness.steps, witness.seen, self._subject.traits),
        )

    @staticmethod
    def _also(profile: Profile, question: Question, number: int) -> tuple[int, ...]:
        """Return the readings of a question that explain the evidence as well, but for those that explain anything."""
        return tuple(
            other for other in sorted(profile.possible.get(question.field, frozenset()))
            if other != number and question.readings[other].name not in _LOOSE
            and question.readings[other].standing != "defect"
        )

    def _sharpened(self, showing: list[Played], shows: Callable[[Played], bool]) -> list[Played]:
        """Return an answer that no supported reading explains, if other features lead from one that shows to one."""
        examiner = self._examiner
        for played in sorted(showing, key=lambda each: len(each.steps))[:_SHARPENED]:
            for bits in _FEATURES:
                steps = legal([
                    Negotiate(one.features & ~sum(_FEATURES[-1]) | sum(bits)) if isinstance(one, Negotiate) and last
                    else one for one, last in _with_last(played.steps)
                ], self._subject.traits.offered)  # fmt: skip
                again = examiner.observe(steps, fresh=True) if steps else None
                if again is not None and not again.error and shows(again) and not self._allowed(again):
                    return [again]
        return []

    def _shows(self, played: Played, question: Question, number: int) -> bool:
        """Say whether answers follow under the profile, under no alternative to its reading, and not literally."""
        profile = self.profile
        assert profile is not None
        readings = {**dict.fromkeys(all_by_field(), 0), **profile.readings}
        fault = self._subject.fault
        if fault(played, readings) is not None or fault(played, dict.fromkeys(readings, 0)) is None:
            return False
        return all(
            fault(played, {**readings, question.field: other}) is not None
            for other in alternatives(question, number) if other != number
        )

    def _allowed(self, played: Played) -> bool:
        """Say whether some supported readings explain what was shown."""
        found = self._examiner.explain(played, defects=False)
        return found.constraint != frozenset() or not found.complete

    def _reduced(self, played: Played, still: Callable[[Played | None], bool]) -> Played:
        """Return the smallest that a device shows which was started anew."""
        examiner, traits = self._examiner, self._subject.traits

        def holds(steps: tuple[Step, ...], *, fresh: bool) -> bool:
            return not examiner.late() and still(examiner.observe(steps, fresh=fresh))

        for fresh, most in ((False, MOST_ATTEMPTS), (True, FEW_ATTEMPTS)):
            small = played.steps
            if not examiner.late():
                small = reduce(played.steps, traits, lambda steps: holds(steps, fresh=fresh), most)
            again = examiner.observe(small, fresh=True)
            if again is not None and still(again):
                return again
        return played

    def _mixed(self) -> bool:
        """Tell the cause of one answer that the profile does not explain; say whether there was one."""
        profile = self.profile
        assert profile is not None
        whole = {**dict.fromkeys(all_by_field(), 0), **profile.readings}
        for constraint in self._violated(profile):
            played = self.exemplars.pop(constraint)

            def still(again: Played | None) -> bool:
                if again is None or again.error or len(again.seen) != len(again.steps):
                    return False
                explained = self._examiner.explain(again)
                return explained.complete and explained.constraint is not None and not satisfied(
                    explained.constraint, whole)  # fmt: skip

            if not still(self._examiner.observe(played.steps, fresh=True)):
                return True
            witness = self._reduced(played, still)
            explained = self._examiner.explain(witness).constraint
            if not explained:
                self._examiner.definite(witness)
                return True
            first = self._subject.fault(witness, whole)
            clause = first.clause if first else "CVQ-2"
            cause = mixed_cause(explained, _with(profile, whole), clause)
            self._examiner.enter(ControlFound(
                self._subject.name, "inconsistent", cause.title, cause.clauses,
                Steps(first.fault.kind if first else "mixed", cause.slug, ()), _NOTHING, None,
                f"at step {first.step + 1}: {first.fault.words}" if first else cause.title,
                shown=shown(witness.steps, witness.seen, self._subject.traits), shapes=(),
            ))  # fmt: skip
            self._forget(cause.slug, profile, whole)
            return True
        return False

    def _violated(self, profile: Profile) -> Iterator[Constraint]:
        violated = [constraint for constraint in profile.violated if constraint in self.exemplars]
        yield from sorted(violated, key=lambda each: (len(self.exemplars[each].steps), _order(each)))

    def _forget(self, slug: str, profile: Profile, whole: Mapping[str, int]) -> None:
        """Take out of the evidence what the same cause explains."""
        for constraint in list(self._violated(profile)):
            if mixed_cause(constraint, _with(profile, whole), "").slug == slug:
                del self.exemplars[constraint]


def _with_last(steps: tuple[Step, ...]) -> list[tuple[Step, bool]]:
    """Return steps, and whether each is the last negotiation."""
    last = max((place for place, step in enumerate(steps) if isinstance(step, Negotiate)), default=-1)
    return [(step, place == last) for place, step in enumerate(steps)]


def _with(profile: Profile, readings: Mapping[str, int]) -> Profile:
    return type(profile)(readings, profile.possible, profile.satisfied, profile.violated)


def _price(readings: Mapping[str, int]) -> int:
    return sum(cost(name, number) for name, number in readings.items())


def _in_order(when: tuple[tuple[str, frozenset[int]], ...]) -> list[tuple[str, list[int]]]:
    return [(name, sorted(numbers)) for name, numbers in when]


def _order(constraint: Constraint) -> list[list[tuple[str, list[int]]]]:
    return sorted(map(_in_order, constraint))
