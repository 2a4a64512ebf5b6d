"""Terms without a solver: what they come to for a frame, so that the translation can be held against CPython."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.symbolic.terms import Term, Value

if TYPE_CHECKING:
    from collections.abc import Mapping


def evaluate(values: tuple[Value, ...], unknowns: Mapping[str, bool | int], frame: bytes) -> list[int]:
    """Return what values come to, with truth values as 0 and 1; bytes behind the frame are 0.

    Only what is needed is looked at, so a branch that is not taken costs nothing.
    """
    known: dict[int, int] = {}
    for value in values:
        if isinstance(value, Term):
            _evaluate(value, known, unknowns, frame)
    return [_known(value, known) or 0 for value in values]


def _known(value: Value, known: Mapping[int, int]) -> int | None:
    return known.get(value.serial) if isinstance(value, Term) else int(value)


def _evaluate(root: Term, known: dict[int, int], unknowns: Mapping[str, bool | int], frame: bytes) -> None:
    stack = [root]
    while stack:
        term = stack[-1]
        if term.serial in known:
            stack.pop()
            continue
        wanted, result = _step(term, known, unknowns, frame)
        if wanted is None:
            known[term.serial] = result
            stack.pop()
        else:
            stack.append(wanted)


def _step(
    term: Term, known: Mapping[int, int], unknowns: Mapping[str, bool | int], frame: bytes
) -> tuple[Term | None, int]:
    """Return a term that is to be evaluated before this one, or None and this one's number."""
    operation = term.operation
    if operation == "variable":
        return None, int(unknowns[term.name])
    numbers: list[int] = []
    for member in term.args:
        number = _known(member, known)
        if number is None:
            assert isinstance(member, Term)
            return member, 0
        numbers.append(number)
        if operation == "if":
            chosen = term.args[1] if number else term.args[2]
            number = _known(chosen, known)
            return (chosen, 0) if number is None else (None, number)  # type: ignore[return-value]
        if (operation == "all" and not number) or (operation == "any" and number):
            return None, number
    return None, _apply(term, numbers, frame)


def _apply(term: Term, numbers: list[int], frame: bytes) -> int:
    match term.operation:
        case "sum":
            return term.number + sum(a * b for a, b in zip(numbers, term.factors, strict=True))
        case "byte":
            return frame[numbers[0]] if 0 <= numbers[0] < len(frame) else 0
        case "times":
            return numbers[0] * numbers[1]
        case "and":
            return numbers[0] & numbers[1]
        case "or":
            return numbers[0] | numbers[1]
        case "xor":
            return numbers[0] ^ numbers[1]
        case "right":
            return numbers[0] >> term.number
        case "less":
            return int(numbers[0] < numbers[1])
        case "equal":
            return int(numbers[0] == numbers[1])
        case "not":
            return 1 - numbers[0]
        case _:  # all and any, of which nothing decided
            return int(term.operation == "all")
