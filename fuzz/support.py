"""What holds up the readings of a target that are not the literal ones: answers that would be others under a rival.

An answer that differs changes the readings by which a target is filtered, and what differs no more is no evidence. So
a reading may rest on one answer, and fall with it, or stand for lack of another. Here frames are sought on which a
reading and a rival of it part, until each reading is held against each of its rivals by a few answers.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vnethash.models.matching import matches
from vnethash.models.reference import outcome
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from vnethash.fuzz.found import Exemplar
    from vnethash.models.symbolic.profile import Constraint

#: A question's field and the number of a reading that is not the current one.
Rival = tuple[str, int]

#: Answers that are wanted against each rival.
_ENOUGH = 3
#: Differing answers of each kind that are looked into one by one.
_OF_EACH_KIND = 16


class Alike:
    """Counts differing answers that some readings explain, by what they look like, and says which to look into.

    All that is allowed for a frame takes long to work out. Where a target contradicts itself, answers differ in great
    numbers, and most are like others: met under the same rule with the same events, and wrong in the same way.
    """

    def __init__(self) -> None:
        self._explained: Counter[Hashable] = Counter()
        self._met: Counter[Hashable] = Counter()

    def is_worth(self, kind: Hashable) -> bool:
        """Say whether to look into one more of its kind: the first, and ever fewer behind them."""
        if self._explained[kind] < _OF_EACH_KIND:
            return True
        self._met[kind] += 1
        count = self._met[kind]
        return count & (count - 1) == 0

    def explained(self, kind: Hashable) -> None:
        """Count one of which it was found that some readings explain it."""
        self._explained[kind] += 1


class Support:
    """Counts, for each rival of a current reading, the answers that would be others under it.

    Against the literal reading only answers count that are not the literal ones: no others can be told.
    """

    def __init__(self, observes: frozenset[str]) -> None:
        self._observes = observes
        self._known: dict[Constraint, tuple[tuple[int, ...], frozenset[Rival]]] = {}
        self._wanted: list[Rival] = []
        self._of: tuple[int, Readings] | None = None
        self._next = 0

    def wanted(
        self, exemplars: Mapping[Constraint, Exemplar], version: int, readings: Readings, count: int
    ) -> list[Rival]:
        """Return some rivals against which there is too little, by turns; `version` is that of the evidence."""
        if self._of != (version, readings):
            self._of = version, readings
            self._wanted = self._weak(exemplars, readings)
        some = [self._wanted[(self._next + step) % len(self._wanted)] for step in range(min(count, len(self._wanted)))]
        self._next += len(some)
        return some

    def _weak(self, exemplars: Mapping[Constraint, Exemplar], readings: Readings) -> list[Rival]:
        now = readings._asdict()
        questions = questions_by_field()
        counts: dict[Rival, int] = {
            (name, number): 0
            for name, chosen in now.items() if chosen
            for number in range(len(questions[name].readings)) if number != chosen
        }  # fmt: skip
        for constraint, exemplar in exemplars.items():
            for rival in self._against(constraint, exemplar, now):
                if rival in counts:
                    counts[rival] += 1
        return [rival for rival, count in counts.items() if count < _ENOUGH]

    def _against(self, constraint: Constraint, exemplar: Exemplar, now: Mapping[str, int]) -> frozenset[Rival]:
        """Return the rivals under which an answer that follows under the readings would not follow."""
        names = sorted({name for when in constraint for name, _ in when})
        values = tuple(now[name] for name in names)
        known = self._known.get(constraint)
        if known is not None and known[0] == values:
            return known[1]
        case = exemplar.case
        odd = not matches(outcome(case.frame, case.configuration, Readings()), exemplar.observed, self._observes)
        questions = questions_by_field()
        rivals = frozenset(
            (name, number)
            for name in names for number in range(0 if odd else 1, len(questions[name].readings))
            if number != now[name] and not satisfied(constraint, {**now, name: number})
        ) if satisfied(constraint, now) else frozenset[Rival]()  # fmt: skip
        self._known[constraint] = values, rivals
        return rivals
