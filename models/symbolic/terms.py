"""Terms: what a translated function returns in place of numbers, simplified as they are built.

A value is a Python `bool` or `int` where it is known, else a `Term`. Integers are mathematical: every term knows an
interval that it lies in, so that nothing overflows; only `encode.py` chooses a width. Terms that are equal by form are
one object. Sums are kept as linear forms, so that two offsets behind the same headers differ by a number. Booleans and
integers do not mix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Conjunctions and disjunctions are flattened up to this many members.
_FLAT = 16


class Term:
    """One node. Its operation says how to read `args` and `number`:

    variable: unknown named `name`. byte: byte of the frame at offset args[0]. sum: args[i] * factors[i] + number.
    times, and, or, xor: of two integers. right: args[0] >> number. if: args[1] where args[0] holds, else args[2].
    less, equal: args[0] < args[1], args[0] == args[1]. not, all, any: of booleans.
    """

    __slots__ = ("args", "boolean", "factors", "high", "low", "name", "number", "operation", "serial")

    def __init__(
        self, operation: str, args: tuple[Value, ...], *, boolean: bool, low: int = 0, high: int = 1,
        number: int = 0, factors: tuple[int, ...] = (), name: str = "", serial: int = 0,
    ) -> None:
        self.operation = operation
        self.args = args
        self.boolean = boolean
        self.low = low
        self.high = high
        self.number = number
        self.factors = factors
        self.name = name
        self.serial = serial

    def __repr__(self) -> str:
        return f"<{self.operation} {self.name or self.serial}>"


Value = bool | int | Term


class Linear(NamedTuple):
    """A sum: factors of terms, in the order of their making, and a number."""

    parts: tuple[tuple[Term, int], ...]
    number: int


def low(value: Value) -> int:
    """Return the least number that an integer can be."""
    return value.low if isinstance(value, Term) else int(value)


def high(value: Value) -> int:
    """Return the greatest number that an integer can be."""
    return value.high if isinstance(value, Term) else int(value)


def is_boolean(value: Value) -> bool:
    """Say whether a value is a truth value."""
    return value.boolean if isinstance(value, Term) else isinstance(value, bool)


def key(value: Value) -> tuple[str, int]:
    """Return what tells values apart: terms by identity, numbers and truth values by value."""
    if isinstance(value, Term):
        return ("t", value.serial)
    return (type(value).__name__, int(value))


def same(first: Value, second: Value) -> bool:
    """Say whether two values are one."""
    if isinstance(first, Term) or isinstance(second, Term):
        return first is second
    return first == second and isinstance(first, bool) == isinstance(second, bool)


def linear(value: Value) -> Linear:
    """Return an integer as a sum."""
    if not isinstance(value, Term):
        return Linear((), int(value))
    if value.operation == "sum":
        return Linear(tuple(zip(value.args, value.factors, strict=True)), value.number)  # type: ignore[arg-type]
    return Linear(((value, 1),), 0)


def combine(first: Linear, second: Linear, factor: int) -> Linear:
    """Return first + factor * second."""
    factors: dict[int, tuple[Term, int]] = {term.serial: (term, number) for term, number in first.parts}
    for term, number in second.parts:
        before = factors[term.serial][1] if term.serial in factors else 0
        factors[term.serial] = (term, before + factor * number)
    parts = tuple(part for _, part in sorted(factors.items()) if part[1] != 0)
    return Linear(parts, first.number + factor * second.number)


class Graph:
    """The terms of one translation; each is made once. `known` are bytes of the frame that are no unknowns."""

    def __init__(self, known: Mapping[int, int] | None = None) -> None:
        self.known = dict(known or {})
        self._made: dict[tuple[object, ...], Term] = {}
        self._masked: dict[tuple[int, int], Value] = {}
        self._equated: dict[tuple[tuple[str, int], tuple[str, int]], Value] = {}
        self._serial = 0

    def __len__(self) -> int:
        return self._serial

    def _term(
        self, operation: str, args: tuple[Value, ...], *, boolean: bool, bounds: tuple[int, int] = (0, 1),
        number: int = 0, factors: tuple[int, ...] = (), name: str = "",
    ) -> Term:
        place = (operation, name, number, factors, *map(key, args))
        found = self._made.get(place)
        if found is None:
            self._serial += 1
            found = Term(
                operation, args, boolean=boolean, low=bounds[0], high=bounds[1],
                number=number, factors=factors, name=name, serial=self._serial,
            )
            self._made[place] = found
        return found

    # Unknowns

    def integer(self, name: str, least: int, most: int) -> Term:
        """Return an unknown integer from `least` to `most`."""
        return self._term("variable", (), boolean=False, bounds=(least, most), name=name)

    def truth(self, name: str) -> Term:
        """Return an unknown truth value."""
        return self._term("variable", (), boolean=True, name=name)

    def byte(self, offset: Value) -> Value:
        """Return the byte of the frame at an offset."""
        if not isinstance(offset, Term) and offset in self.known:
            return self.known[offset]
        return self._term("byte", (offset,), boolean=False, bounds=(0, 255))

    # Integers

    def add(self, first: Value, second: Value) -> Value:
        """Return first + second."""
        return self._sum(combine(linear(first), linear(second), 1))

    def subtract(self, first: Value, second: Value) -> Value:
        """Return first - second."""
        return self._sum(combine(linear(first), linear(second), -1))

    def multiply(self, first: Value, second: Value) -> Value:
        """Return first * second."""
        if isinstance(first, Term) and isinstance(second, Term):
            corners = [a * b for a in (first.low, first.high) for b in (second.low, second.high)]
            return self._term("times", (first, second), boolean=False, bounds=(min(corners), max(corners)))
        if isinstance(first, Term):
            first, second = second, first
        return self._sum(combine(Linear((), 0), linear(second), int(first)))  # type: ignore[arg-type]

    def _sum(self, form: Linear) -> Value:
        if not form.parts:
            return form.number
        if len(form.parts) == 1 and form.parts[0][1] == 1 and form.number == 0:
            return form.parts[0][0]
        least, most = bounds_of(form)
        args = tuple(term for term, _ in form.parts)
        factors = tuple(factor for _, factor in form.parts)
        return self._term("sum", args, boolean=False, bounds=(least, most), number=form.number, factors=factors)

    def left(self, value: Value, by: int) -> Value:
        """Return value << by."""
        return self.multiply(value, 1 << by)

    def right(self, value: Value, by: int) -> Value:
        """Return value >> by."""
        if not isinstance(value, Term):
            return int(value) >> by
        if value.low < 0:
            raise VnethashError("models/symbolic: a number that may be negative is shifted to the right")
        if value.high >> by == 0:
            return 0
        return self._term(
            "right", (value,), boolean=False, bounds=(value.low >> by, value.high >> by), number=by
        )

    def bit_and(self, first: Value, second: Value) -> Value:
        """Return first & second."""
        if not isinstance(first, Term) and not isinstance(second, Term):
            return int(first) & int(second)
        if isinstance(second, Term) and not isinstance(first, Term):
            first, second = second, first
        if isinstance(second, Term):
            if low(first) < 0 or second.low < 0:
                raise VnethashError("models/symbolic: & of two numbers that may be negative")
            return self._term("and", (first, second), boolean=False, bounds=(0, min(high(first), second.high)))
        assert isinstance(first, Term)
        place = (first.serial, int(second))
        if place not in self._masked:  # terms share parts: without memory this takes exponential time
            self._masked[place] = self._mask(first, int(second))
        return self._masked[place]

    def _mask(self, term: Term, mask: int) -> Value:
        if term.low >= 0:
            mask &= (1 << term.high.bit_length()) - 1
            if mask == (1 << term.high.bit_length()) - 1:
                return term
        if mask == 0:
            return 0
        if term.operation == "if":
            return self.choose(term.args[0], self.bit_and(term.args[1], mask), self.bit_and(term.args[2], mask))
        if term.operation == "or":
            return self.bit_or(self.bit_and(term.args[0], mask), self.bit_and(term.args[1], mask))
        if term.operation == "sum" and term.number >> mask.bit_length() != 0:
            number = term.number & ((1 << mask.bit_length()) - 1)  # what lies above the mask falls away
            return self.bit_and(self._sum(Linear(linear(term).parts, number)), mask)
        if term.operation == "and" and not isinstance(term.args[1], Term):
            return self.bit_and(term.args[0], int(term.args[1]) & mask)
        return self._term("and", (term, mask), boolean=False, bounds=(0, mask))

    def bit_or(self, first: Value, second: Value) -> Value:
        """Return first | second."""
        if not isinstance(first, Term) and not isinstance(second, Term):
            return int(first) | int(second)
        if same(first, second) or (not isinstance(second, Term) and second == 0):
            return first
        if not isinstance(first, Term):
            return self.bit_or(second, first)
        if low(first) < 0 or low(second) < 0:
            raise VnethashError("models/symbolic: | of numbers that may be negative")
        for upper, lower in ((first, second), (second, first)):
            step = 1 << high(lower).bit_length()
            form = linear(upper)
            if form.number % step == 0 and all(factor % step == 0 for _, factor in form.parts):
                return self.add(upper, lower)  # no bit in common
        if first.operation == "or" and not isinstance(first.args[1], Term) and not isinstance(second, Term):
            return self.bit_or(first.args[0], int(first.args[1]) | int(second))
        top = (1 << max(high(first), high(second)).bit_length()) - 1
        return self._term("or", (first, second), boolean=False, bounds=(max(low(first), low(second)), top))

    def bit_xor(self, first: Value, second: Value) -> Value:
        """Return first ^ second."""
        if not isinstance(first, Term) and not isinstance(second, Term):
            return int(first) ^ int(second)
        if low(first) < 0 or low(second) < 0:
            raise VnethashError("models/symbolic: ^ of numbers that may be negative")
        top = (1 << max(high(first), high(second)).bit_length()) - 1
        return self._term("xor", (first, second), boolean=False, bounds=(0, top))

    # Comparisons

    def less(self, first: Value, second: Value) -> Value:
        """Return first < second."""
        if not isinstance(first, Term) and not isinstance(second, Term):
            return first < second
        least, most = bounds_of(combine(linear(second), linear(first), -1))
        if least > 0 or low(second) > high(first):
            return True
        if most <= 0 or high(second) <= low(first):
            return False
        left, right = self._sides(first, second)
        return self._term("less", (left, right), boolean=True)

    def equal(self, first: Value, second: Value) -> Value:
        """Return first == second, of two integers or of two truth values."""
        if is_boolean(first):
            return self.choose(first, second, self.negate(second))
        if not isinstance(first, Term) and not isinstance(second, Term):
            return first == second
        place = (key(first), key(second))
        if place not in self._equated:  # as in bit_and
            self._equated[place] = self._equal(first, second)
        return self._equated[place]

    def _equal(self, first: Value, second: Value) -> Value:
        difference = combine(linear(first), linear(second), -1)
        least, most = bounds_of(difference)
        if least == most == 0:
            return True
        if least > 0 or most < 0 or low(first) > high(second) or high(first) < low(second):
            return False
        for one, other in ((first, second), (second, first)):
            # A choice of which a branch is known is pushed upwards: most of it falls away.
            if isinstance(one, Term) and one.operation == "if" and not isinstance(other, Term):
                return self.choose(one.args[0], self.equal(one.args[1], other), self.equal(one.args[2], other))
        two = self._two_bytes(difference)
        if two is not None:
            return two
        left, right = self._sides(first, second)
        if key(left) > key(right):
            left, right = right, left
        return self._term("equal", (left, right), boolean=True)

    def _two_bytes(self, form: Linear) -> Value | None:
        """Return `word == number` as two equations of bytes."""
        if len(form.parts) != 2:
            return None
        (first, one), (second, other) = sorted(form.parts, key=lambda part: abs(part[1]))
        if one < 0:
            one, other, form = -one, -other, Linear((), -form.number)
        if one != 1 or other != 256 or (first.low, first.high, second.low, second.high) != (0, 255, 0, 255):
            return None
        number = -form.number
        return self.both(self.equal(first, number & 255), self.equal(second, number >> 8))

    def _sides(self, first: Value, second: Value) -> tuple[Value, Value]:
        """Return both sides of a comparison without what they share, and without negative numbers."""
        form = combine(linear(second), linear(first), -1)
        ahead = tuple((term, factor) for term, factor in form.parts if factor > 0)
        behind = tuple((term, -factor) for term, factor in form.parts if factor < 0)
        return (
            self._sum(Linear(behind, max(0, -form.number))),
            self._sum(Linear(ahead, max(0, form.number))),
        )

    # Truth values

    def negate(self, value: Value) -> Value:
        """Return not value."""
        if not isinstance(value, Term):
            return not value
        if value.operation == "not":
            return value.args[0]
        return self._term("not", (value,), boolean=True)

    def both(self, first: Value, second: Value) -> Value:
        """Return first and second."""
        return self._join("all", first, second, neutral=True)

    def either(self, first: Value, second: Value) -> Value:
        """Return first or second."""
        return self._join("any", first, second, neutral=False)

    def _join(self, operation: str, first: Value, second: Value, *, neutral: bool) -> Value:
        if not isinstance(first, Term):
            return second if first is neutral else first
        if not isinstance(second, Term):
            return first if second is neutral else second
        members: list[Value] = []
        seen: set[int] = set()
        parts = [value.args if value.operation == operation else (value,) for value in (first, second)]
        if len(parts[0]) + len(parts[1]) > _FLAT:
            parts = [(first,), (second,)]
        for member in (*parts[0], *parts[1]):
            assert isinstance(member, Term)
            if member.serial in seen:
                continue
            opposite = self.negate(member)
            if isinstance(opposite, Term) and opposite.serial in seen:
                return not neutral
            seen.add(member.serial)
            members.append(member)
        if len(members) == 1:
            return members[0]
        return self._term(operation, tuple(members), boolean=True)

    def choose(self, condition: Value, first: Value, second: Value) -> Value:
        """Return first if condition else second."""
        if not isinstance(condition, Term):
            return first if condition else second
        if same(first, second):
            return first
        if condition.operation == "not":
            return self.choose(condition.args[0], second, first)
        if isinstance(first, Term) and first.operation == "if" and first.args[0] is condition:
            return self.choose(condition, first.args[1], second)
        if isinstance(second, Term) and second.operation == "if":
            if second.args[0] is condition:
                return self.choose(condition, first, second.args[2])
            if same(second.args[1], first):
                return self.choose(self.either(condition, second.args[0]), first, second.args[2])
        if is_boolean(first):
            return self._choose_truth(condition, first, second)
        least, most = self._narrowed(condition, first, second)
        return self._term("if", (condition, first, second), boolean=False, bounds=(least, most))

    def _choose_truth(self, condition: Term, first: Value, second: Value) -> Value:
        if not isinstance(first, Term) or first is condition:
            if first is False:
                return self.both(self.negate(condition), second)
            return self.either(condition, second)
        if not isinstance(second, Term) or second is condition:
            if second is True:
                return self.either(self.negate(condition), first)
            return self.both(condition, first)
        return self._term("if", (condition, first, second), boolean=True)

    def _narrowed(self, condition: Term, first: Value, second: Value) -> tuple[int, int]:
        """Return the interval of a choice: `a if a < b else ...` is less than b, `b - a if a < b` at least 1."""
        tops = [high(first), high(second)]
        bottoms = [low(first), low(second)]
        if condition.operation == "less":
            left, right = condition.args
            offset = combine(linear(first), linear(left), -1)
            if not offset.parts:
                tops[0] = min(tops[0], high(right) - 1 + offset.number)
            offset = combine(linear(second), linear(right), -1)
            if not offset.parts:
                tops[1] = min(tops[1], high(left) + offset.number)
            gap = combine(linear(right), linear(left), -1)
            offset = combine(linear(first), gap, -1)
            if not offset.parts:
                bottoms[0] = max(bottoms[0], 1 + offset.number)
            offset = combine(linear(second), gap, 1)
            if not offset.parts:
                bottoms[1] = max(bottoms[1], offset.number)
        return min(bottoms), max(tops)


def bounds_of(form: Linear) -> tuple[int, int]:
    """Return the least and the greatest number that a sum can be."""
    least = most = form.number
    for term, factor in form.parts:
        ends = (term.low * factor, term.high * factor)
        least += min(ends)
        most += max(ends)
    return least, most
