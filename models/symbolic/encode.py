"""Terms as z3 expressions: bit-vectors of one width for all integers, the frame as an array of bytes.

The width is found from the intervals of the terms, so that no sum overflows; an offset is as wide as any number. A
frame as an array read at symbolic offsets is two orders of magnitude faster than one wide bit-vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import z3
from vnethash.models.symbolic.terms import Term, Value, high
from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

FRAME = "frame"
#: Bits of an offset at least.
_LEAST_WIDTH = 16


class Encoder:
    """Encodes terms of one query; `values` settle the width: what is asked for later must need no greater one."""

    def __init__(self, values: Iterable[Value]) -> None:
        self._terms = _reachable(values)
        self.width = max([_LEAST_WIDTH, *(_bits(term) for term in self._terms)])
        #: Bytes of the frame that are read are at offsets below this.
        self.places = max((high(term.args[0]) + 1 for term in self._terms if term.operation == "byte"), default=0)
        self.frame = z3.Array(FRAME, z3.BitVecSort(self.width), z3.BitVecSort(8))
        self.variables: dict[str, Any] = {}
        #: What holds of the unknowns: each lies in its interval.
        self.bounds: list[Any] = []
        self._made: dict[int, Any] = {}
        self._prefixes: dict[tuple[tuple[int, int], ...], Any] = {}
        for term in self._terms:
            self._made[term.serial] = self._encode(term)

    def expression(self, value: Value) -> Any:
        """Return the z3 expression of a value; raises VnethashError if it needs numbers that are too wide."""
        if isinstance(value, Term):
            if value.serial not in self._made:
                self._add(value)
            return self._made[value.serial]
        return z3.BoolVal(value) if isinstance(value, bool) else z3.BitVecVal(value, self.width)

    def byte(self, offset: int) -> Any:
        """Return the frame's byte at a known offset."""
        return z3.Select(self.frame, z3.BitVecVal(offset, self.width))

    def _add(self, value: Term) -> None:
        """Encode a value that was made later, of terms that are known or no wider."""
        for term in _reachable((value,), self._made):
            if _bits(term) > self.width:
                raise VnethashError("models/symbolic/encode.py: a term is wider than those that were given first")
            self._made[term.serial] = self._encode(term)

    def _encode(self, term: Term) -> Any:
        arguments = [self.expression(member) for member in term.args]
        match term.operation:
            case "variable":
                return self._variable(term)
            case "byte":
                return z3.ZeroExt(self.width - 8, z3.Select(self.frame, arguments[0]))
            case "sum":
                total = self._prefix(tuple(zip((member.serial for member in term.args), term.factors, strict=True)))  # type: ignore[union-attr]
                return total if term.number == 0 else total + z3.BitVecVal(term.number, self.width)
            case "times":
                return arguments[0] * arguments[1]
            case "and":
                return arguments[0] & arguments[1]
            case "or":
                return arguments[0] | arguments[1]
            case "xor":
                return arguments[0] ^ arguments[1]
            case "right":
                return z3.LShR(arguments[0], term.number)
            case "less":
                if _may_be_negative(term):
                    return arguments[0] < arguments[1]
                return z3.ULT(arguments[0], arguments[1])
            case "equal":
                return arguments[0] == arguments[1]
            case "if":
                return z3.If(arguments[0], arguments[1], arguments[2])
            case "not":
                return z3.Not(arguments[0])
            case "all":
                return z3.And(arguments)
            case "any":
                return z3.Or(arguments)
        raise AssertionError(term.operation)

    def _variable(self, term: Term) -> Any:
        if term.boolean:
            unknown = z3.Bool(term.name)
        else:
            unknown = z3.BitVec(term.name, self.width)
            self.bounds.append(z3.UGE(unknown, term.low))
            self.bounds.append(z3.ULE(unknown, term.high))
        self.variables[term.name] = unknown
        return unknown

    def _prefix(self, parts: tuple[tuple[int, int], ...]) -> Any:
        """Return a sum; sums that begin alike share their beginning, as offsets behind the same headers do."""
        if parts not in self._prefixes:
            serial, factor = parts[-1]
            last = self._made[serial]
            if factor != 1:
                last = last * z3.BitVecVal(factor, self.width)
            self._prefixes[parts] = last if len(parts) == 1 else self._prefix(parts[:-1]) + last
        return self._prefixes[parts]


def _bits(term: Term) -> int:
    """Return the width that a term and the numbers beside it need."""
    if term.boolean:
        known = max((member.bit_length() for member in term.args if not isinstance(member, Term)), default=1)
        if term.operation in {"less", "equal"} and _may_be_negative(term):
            return 1 + max(known, *(_bits(member) for member in term.args if isinstance(member, Term)))
        return known
    numbers = [term.high, term.low, *(member for member in term.args if not isinstance(member, Term))]
    return max(int(number).bit_length() for number in numbers) + (1 if term.low < 0 else 0)


def _may_be_negative(term: Term) -> bool:
    """Say whether one side of a comparison may be negative; the width then has room for the sign of both."""
    return any(isinstance(member, Term) and member.low < 0 for member in term.args)


def _reachable(values: Iterable[Value], without: Container[int] = ()) -> list[Term]:
    """Return the terms below some values, each behind those that it is made of; none whose serial is `without`."""
    found: dict[int, Term] = {}
    stack = [value for value in values if isinstance(value, Term)]
    while stack:
        term = stack.pop()
        if term.serial not in found and term.serial not in without:
            found[term.serial] = term
            stack.extend(member for member in term.args if isinstance(member, Term))
    return [found[serial] for serial in sorted(found)]
