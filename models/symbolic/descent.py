"""A profile that is near the best one, quickly: descent over readings, with the answers as sets of bits.

Where many answers contradict each other, weighted MaxSAT takes minutes to prove what is best. Here one reading is
changed at a time, or all that an answer needs, for as long as that lowers the price; what is found need not be the
best. The same constraints and starts always give the same readings.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vnethash.models.symbolic.profile import Profile, cost, satisfied, unexplained_cost
from vnethash.spec.questions import all_by_field, questions_by_field

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vnethash.models.symbolic.profile import Constraint

#: Rounds in which what unexplained answers need is tried, and how many of these changes are followed in a round.
_MOST_ROUNDS, _FOLLOWED = 40, 24


def near_profile(constraints: Iterable[Constraint], starts: Iterable[Mapping[str, int]] = ()) -> Profile:
    """Return a profile that explains about as much as can be; what its answers leave open is not said.

    It is sought from the literal readings and from each of `starts`, full sets of readings (field -> number).
    """
    counts = Counter(constraints)
    spoke: Counter[str] = Counter()
    for constraint, count in counts.items():
        for name in {name for when in constraint for name, _ in when}:
            spoke[name] += count
    literal = dict.fromkeys((*questions_by_field(), *sorted(spoke)), 0)
    readings = {**literal, **(descend(counts, [literal, *starts]) if counts else {})}
    kept = frozenset(constraint for constraint in counts if satisfied(constraint, readings))
    return Profile(readings, {}, kept, frozenset(counts) - kept, dict(spoke))


class Answers:
    """Constraints whose alternatives are numbered in a row; sets of them are the bits of an integer."""

    def __init__(self, counts: Mapping[Constraint, int]) -> None:
        self._size = 0
        #: (field, number) -> alternatives that hold with this reading, of those that name the field.
        self._allowed: dict[tuple[str, int], int] = {}
        #: field -> alternatives that name it.
        self.named: dict[str, int] = {}
        #: For each constraint its alternatives, as bits and as such, and what it costs to leave it unexplained.
        self.groups: list[tuple[int, Constraint, int]] = []
        for constraint, count in counts.items():
            self.add(constraint, count)

    def add(self, constraint: Constraint, count: int = 1) -> None:
        """Take in a constraint that is not there yet."""
        mask = ((1 << len(constraint)) - 1) << self._size
        self.groups.append((mask, constraint, unexplained_cost(count)))
        for when in constraint:
            for name, numbers in when:
                self.named[name] = self.named.get(name, 0) | 1 << self._size
                for number in numbers:
                    self._allowed[name, number] = self._allowed.get((name, number), 0) | 1 << self._size
            self._size += 1

    @property
    def all(self) -> int:
        """All alternatives."""
        return (1 << self._size) - 1

    def unexplained(self, readings: Mapping[str, int]) -> int:
        """Return how many constraints do not hold under readings."""
        holding = self.holding(readings)
        return sum(not holding & mask for mask, _, _ in self.groups)

    def part(self, name: str, number: int) -> int:
        """Return the alternatives that a reading does not rule out."""
        return self._allowed.get((name, number), 0) | self.all & ~self.named[name]

    def holding(self, readings: Mapping[str, int]) -> int:
        """Return the alternatives that hold under readings."""
        left = self.all
        for name in self.named:
            left &= self.part(name, readings[name])
        return left

    def price(self, holding: int) -> int:
        """Return what the constraints cost of which no alternative holds."""
        return sum(cost for mask, _, cost in self.groups if not holding & mask)


def descend(counts: Mapping[Constraint, int], starts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the cheapest readings found from any of the starts (field -> number), which have all fields asked for."""
    answers = Answers(counts)
    names = sorted(answers.named)
    best: tuple[int, list[int]] | None = None
    for start in starts:
        found = _from(answers, names, {name: start[name] for name in names})
        ranked = _whole_price(answers, found), [found[name] for name in names]
        if best is None or ranked < best:
            best = ranked
    assert best is not None
    return dict(zip(names, best[1], strict=True))


def _whole_price(answers: Answers, readings: Mapping[str, int]) -> int:
    return answers.price(answers.holding(readings)) + sum(cost(name, number) for name, number in readings.items())


def _from(answers: Answers, names: Sequence[str], readings: dict[str, int]) -> dict[str, int]:
    price = _settled(answers, names, readings)
    for _ in range(_MOST_ROUNDS):
        better = _freed(answers, names, readings, price)
        if better is None:
            break
        price, readings = better
    return readings


def _settled(answers: Answers, names: Sequence[str], readings: dict[str, int]) -> int:
    """Change one reading at a time for as long as that lowers the price, in place; return the price."""
    price = _whole_price(answers, readings)
    changed = True
    while changed:
        changed = False
        # The alternatives that hold but for one question: those before it at its place, those behind it.
        behind = [answers.all] * (len(names) + 1)
        for place in range(len(names) - 1, -1, -1):
            behind[place] = behind[place + 1] & answers.part(names[place], readings[names[place]])
        before = answers.all
        spent = sum(cost(name, number) for name, number in readings.items())
        for place, name in enumerate(names):
            others, now = before & behind[place + 1], readings[name]
            for number in range(len(all_by_field()[name].readings)):
                if number == readings[name]:
                    continue
                changed_spent = spent - cost(name, readings[name]) + cost(name, number)
                if changed_spent >= price:
                    continue
                other = changed_spent + answers.price(others & answers.part(name, number))
                if other < price:
                    price, spent, readings[name] = other, changed_spent, number
            changed = changed or readings[name] != now
            before &= answers.part(name, readings[name])
    return price


def _freed(
    answers: Answers, names: Sequence[str], readings: dict[str, int], price: int
) -> tuple[int, dict[str, int]] | None:
    """Return cheaper readings, and their price, that give one more answer what it needs; None if none were found."""
    holding = answers.holding(readings)
    changes: dict[tuple[int, ...], int] = {}
    for mask, alternatives, _ in answers.groups:
        if holding & mask:
            continue
        for when in alternatives:
            changed = dict(readings)
            for name, numbers in when:
                if changed[name] not in numbers:
                    changed[name] = min(numbers, key=lambda number, name=name: cost(name, number))  # type: ignore[misc]
            key = tuple(changed[name] for name in names)
            if key not in changes:
                changes[key] = _whole_price(answers, changed)
    for key in sorted(changes, key=lambda key: (changes[key], key))[:_FOLLOWED]:
        changed = dict(zip(names, key, strict=True))
        found = _settled(answers, names, changed)
        if found < price:
            return found, changed
    return None
