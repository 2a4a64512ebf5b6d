"""Two solvers behind one question: can these conditions hold together?

z3 finds models; bitwuzla is often an order of magnitude faster where there is none, so it gets z3's own problem as
SMT-LIB text. Every model is z3's: where bitwuzla finds one, z3 is given its numbers and has to agree.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import z3
from vnethash.models.symbolic.encode import FRAME, Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vnethash.models.symbolic.terms import Value

try:
    import bitwuzla  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # the extra "formal"; z3 alone is slower, not wrong
    bitwuzla = None

Kind = Literal["sat", "unsat", "unknown"]

#: Seconds that the solver that is not thought to be the faster one gets at most, before the other takes over.
_FIRST_TRY = 0.4
#: Bytes of a frame that z3 is told one by one; of longer ones the offsets alone settle enough.
_MOST_PLACES = 4096


class Model(NamedTuple):
    """What z3 says of the unknowns where the conditions hold."""

    encoder: Encoder
    values: Any

    def number(self, name: str, otherwise: int = 0) -> int:
        """Return an unknown's number (truth values as 0 and 1), `otherwise` for one that the conditions lack."""
        unknown = self.encoder.variables.get(name)
        if unknown is None:
            return otherwise
        value = self.values.eval(unknown, model_completion=True)
        return int(z3.is_true(value)) if z3.is_bool(value) else int(value.as_long())

    def octets(self, size: int) -> bytes:
        """Return the first bytes of the frame; those that are known beforehand (`Graph.known`) stand for nothing."""
        return bytes(
            self.values.eval(self.encoder.byte(place), model_completion=True).as_long() for place in range(size)
        )


class Answer(NamedTuple):
    """`unsat`: the conditions never hold together. `by` names the solver, "form" if none was needed."""

    kind: Kind
    by: str
    seconds: float
    model: Model | None = None


class Problem:
    """Conditions over the unknowns of one graph, encoded once; `values` are all that will be asked about."""

    def __init__(self, *values: Value) -> None:
        self.encoder = Encoder(values)

    def fix(self, known: Mapping[int, int]) -> None:
        """Tell the solvers of bytes that are known beforehand: `Graph.known` settles only reads at known offsets."""
        for place, octet in known.items():
            self.encoder.bounds.append(self.encoder.byte(place) == octet)

    def check(self, *conditions: Value, seconds: float, likely: Literal["sat", "unsat"] = "unsat") -> Answer:
        """Say whether conditions can hold together; `unknown` behind `seconds` of wall-clock time.

        `likely` is the answer that is expected: it says which solver is asked first. The solvers watch the time
        themselves and may be late; who needs a hard limit calls this in a process of its own.
        """
        if any(condition is False for condition in conditions):
            return Answer("unsat", "form", 0.0)
        started = time.monotonic()
        asserted = [*self.encoder.bounds, *(self.encoder.expression(condition) for condition in conditions)]

        def left() -> float:
            return seconds - (time.monotonic() - started)

        quick = left() if bitwuzla is None else min(left(), _FIRST_TRY if likely == "unsat" else left() / 2)
        kind, values = _ask_z3(asserted, quick)
        if kind != "unknown" or bitwuzla is None or left() <= 0:
            return self._answer(kind, "z3", started, values)
        kind, hints = self._ask_bitwuzla(asserted, left())
        if kind == "sat":
            # The numbers decide nearly everything, so z3 only has to compute; it says no if the solvers disagree.
            kind, values = _ask_z3([*asserted, *hints], max(1.0, left()))
            return self._answer("sat" if kind == "sat" else "unknown", "bitwuzla", started, values)
        return self._answer(kind, "bitwuzla", started, None)

    def _answer(self, kind: Kind, by: str, started: float, values: Any) -> Answer:
        model = None if values is None else Model(self.encoder, values)
        return Answer(kind, by, time.monotonic() - started, model)

    def _ask_bitwuzla(self, asserted: Sequence[Any], seconds: float) -> tuple[Kind, list[Any]]:
        """Return bitwuzla's answer and, if it is `sat`, equations that say which numbers it found."""
        solver = z3.SolverFor("QF_ABV")
        solver.add(*asserted)
        options = bitwuzla.Options()
        options.set(bitwuzla.Option.PRODUCE_MODELS, True)
        options.set(bitwuzla.Option.TIME_LIMIT_PER, max(1, int(seconds * 1000)))
        parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
        parser.parse(solver.to_smt2(), True, False)
        found = parser.bitwuzla()
        answer = found.check_sat()
        if answer == bitwuzla.Result.UNSAT:
            return "unsat", []
        if answer != bitwuzla.Result.SAT:
            return "unknown", []
        hints = []
        declared = {str(term.symbol()).strip("|"): term for term in parser.get_declared_funs()}
        for name, unknown in self.encoder.variables.items():
            if name in declared:
                value = found.get_value(declared[name]).value(10)
                number = value if isinstance(value, bool) else int(value)
                hints.append(unknown == number)
        if FRAME in declared and self.encoder.places <= _MOST_PLACES:
            for place in range(self.encoder.places):
                octet = parser.parse_term(f"(select {FRAME} (_ bv{place} {self.encoder.width}))")
                hints.append(self.encoder.byte(place) == int(found.get_value(octet).value(10)))
        return "sat", hints


def _ask_z3(asserted: Sequence[Any], seconds: float) -> tuple[Kind, Any]:
    solver = z3.SolverFor("QF_ABV")
    solver.set("timeout", max(1, int(seconds * 1000)))
    solver.add(*asserted)
    answer = solver.check()
    if answer == z3.sat:
        return "sat", solver.model()
    return ("unsat" if answer == z3.unsat else "unknown"), None
