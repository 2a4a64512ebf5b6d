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

    from vnethash.models.allowed import When
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


class _Cubes:
    """All alternatives of all constraints, numbered in a row; sets of them are the bits of an integer."""

    def __init__(self, counts: Mapping[Constraint, int]) -> None:
        self.all = 0
        #: (field, number) -> alternatives that hold with this reading, of those that name the field.
        self.allowed: dict[tuple[str, int], int] = {}
        #: field -> alternatives that name it.
        self.named: dict[str, int] = {}
        #: For each constraint its alternatives, as bits and as such, and what it costs to leave it unexplained.
        self.groups: list[tuple[int, tuple[When, ...], int]] = []
        position = 0
        for constraint in sorted(counts, key=lambda each: sorted(map(_ordered, each))):
            alternatives = tuple(sorted(constraint, key=_ordered))
            mask = ((1 << len(alternatives)) - 1) << position
            self.groups.append((mask, alternatives, unexplained_cost(counts[constraint])))
            for when in alternatives:
                for name, numbers in when:
                    self.named[name] = self.named.get(name, 0) | 1 << position
                    for number in numbers:
                        self.allowed[name, number] = self.allowed.get((name, number), 0) | 1 << position
                position += 1
        self.all = (1 << position) - 1

    def part(self, name: str, number: int) -> int:
        """Return the alternatives that a reading does not rule out."""
        return self.allowed.get((name, number), 0) | self.all & ~self.named[name]

    def holding(self, readings: Mapping[str, int]) -> int:
        """Return the alternatives that hold under readings."""
        left = self.all
        for name in self.named:
            left &= self.part(name, readings[name])
        return left

    def price(self, holding: int) -> int:
        """Return what the constraints cost of which no alternative holds."""
        return sum(cost for mask, _, cost in self.groups if not holding & mask)


def _ordered(when: When) -> list[tuple[str, list[int]]]:
    return [(name, sorted(numbers)) for name, numbers in when]


def descend(counts: Mapping[Constraint, int], starts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the cheapest readings found from any of the starts (field -> number), which have all fields asked for."""
    cubes = _Cubes(counts)
    names = sorted(cubes.named)
    best: tuple[int, list[int]] | None = None
    for start in starts:
        found = _from(cubes, names, {name: start[name] for name in names})
        ranked = _whole_price(cubes, found), [found[name] for name in names]
        if best is None or ranked < best:
            best = ranked
    assert best is not None
    return dict(zip(names, best[1], strict=True))


def _whole_price(cubes: _Cubes, readings: Mapping[str, int]) -> int:
    return cubes.price(cubes.holding(readings)) + sum(cost(name, number) for name, number in readings.items())


def _from(cubes: _Cubes, names: Sequence[str], readings: dict[str, int]) -> dict[str, int]:
    price = _settled(cubes, names, readings)
    for _ in range(_MOST_ROUNDS):
        better = _freed(cubes, names, readings, price)
        if better is None:
            break
        price, readings = better
    return readings


def _settled(cubes: _Cubes, names: Sequence[str], readings: dict[str, int]) -> int:
    """Change one reading at a time for as long as that lowers the price, in place; return the price."""
    price = _whole_price(cubes, readings)
    changed = True
    while changed:
        changed = False
        # The alternatives that hold but for one question: those before it at its place, those behind it.
        behind = [cubes.all] * (len(names) + 1)
        for place in range(len(names) - 1, -1, -1):
            behind[place] = behind[place + 1] & cubes.part(names[place], readings[names[place]])
        before = cubes.all
        spent = sum(cost(name, number) for name, number in readings.items())
        for place, name in enumerate(names):
            others, now = before & behind[place + 1], readings[name]
            for number in range(len(all_by_field()[name].readings)):
                if number == readings[name]:
                    continue
                changed_spent = spent - cost(name, readings[name]) + cost(name, number)
                if changed_spent >= price:
                    continue
                other = changed_spent + cubes.price(others & cubes.part(name, number))
                if other < price:
                    price, spent, readings[name] = other, changed_spent, number
            changed = changed or readings[name] != now
            before &= cubes.part(name, readings[name])
    return price


def _freed(
    cubes: _Cubes, names: Sequence[str], readings: dict[str, int], price: int
) -> tuple[int, dict[str, int]] | None:
    """Return cheaper readings, and their price, that give one more answer what it needs; None if none were found."""
    holding = cubes.holding(readings)
    changes: dict[tuple[int, ...], int] = {}
    for mask, alternatives, _ in cubes.groups:
        if holding & mask:
            continue
        for when in alternatives:
            changed = dict(readings)
            for name, numbers in when:
                if changed[name] not in numbers:
                    changed[name] = min(numbers, key=lambda number, name=name: cost(name, number))  # type: ignore[misc]
            key = tuple(changed[name] for name in names)
            if key not in changes:
                changes[key] = _whole_price(cubes, changed)
    for key in sorted(changes, key=lambda key: (changes[key], key))[:_FOLLOWED]:
        changed = dict(zip(names, key, strict=True))
        found = _settled(cubes, names, changed)
        if found < price:
            return found, changed
    return None
