"""The profile of a target: the one set of readings that explains most of what it showed.

Each answer says which readings would have led to it. z3 finds the full set of readings that satisfies as many answers
as can be, with as few unsupported readings as can be, as close to the literal ones as can be (weighted MaxSAT). What
stays open, and what cannot be otherwise, follows by asking again with one reading fixed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.questions import all_by_field, questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import z3
    from vnethash.models.allowed import When

#: What it costs to leave an answer unexplained, to take a reading that nothing supports, to leave the literal one. A
#: reading costs its number more, so that of two that explain the same the first is taken, in every run.
_UNEXPLAINED = 4000
_DEFECT = 900
_OTHER = 100
#: How much odder than the profile another explanation may be, to leave a question open: one unsupported reading.
_SLACK = 950
#: What the solver may take to say whether one reading is open.
_MILLISECONDS = 400

#: The alternatives under which one answer would follow; never empty.
Constraint = frozenset["When"]


@dataclass(frozen=True)
class Profile:
    """One full set of readings and how sure it is.

    Attributes:
        readings: field -> number of the reading, for every question about packets and those about the device that were
            asked.
        possible: field -> numbers that the answers leave open, for the questions that some answer depends on.
        satisfied: the constraints that the readings satisfy.
        violated: those that they do not, so that no one set of readings explains all.
        spoke: field -> number of answers that depend on the question.
        others: for each open reading, (field, number), a full set of readings with it that explains the same.
    """

    readings: Mapping[str, int]
    possible: Mapping[str, frozenset[int]]
    satisfied: frozenset[Constraint]
    violated: frozenset[Constraint]
    spoke: Mapping[str, int] = field(default_factory=dict)
    others: Mapping[tuple[str, int], Mapping[str, int]] = field(default_factory=dict)

    def as_readings(self) -> Readings:
        """Return the readings of the questions about packets as the model takes them."""
        return Readings(**{name: self.readings[name] for name in Readings._fields})

    def as_device_readings(self) -> DeviceReadings:
        """Return the readings of the questions about the device; the literal ones where no answer spoke to any."""
        return DeviceReadings(**{name: self.readings.get(name, 0) for name in DeviceReadings._fields})

    def literal(self) -> bool:
        """Say whether all readings are the literal ones."""
        return not any(self.readings.values())


def satisfied(constraint: Constraint, readings: Mapping[str, int]) -> bool:
    """Say whether an answer follows under a full set of readings."""
    return any(all(readings[name] in numbers for name, numbers in when) for when in constraint)


def find_profile(
    constraints: Iterable[Constraint], *, effort: int = 0, otherwise: Profile | None = None
) -> Profile:
    """Find the profile that explains most answers.

    `effort` limits the solver's steps (0: no limit), of which it takes one to three million a second. Where they do not
    suffice, the readings are those of `otherwise`, a profile of the same answers.
    """
    counts = Counter(constraints)
    questions = all_by_field()
    asked = sorted({name for constraint in counts for when in constraint for name, _ in when})
    literal = dict.fromkeys((*questions_by_field(), *asked), 0)
    spoke: Counter[str] = Counter()
    for constraint, count in counts.items():
        for name in {name for when in constraint for name, _ in when}:
            spoke[name] += count
    if not asked:
        return Profile(literal, {}, frozenset(), frozenset(), {})
    import z3  # noqa: PLC0415 - half a second that only a verdict needs

    variables = {
        name: [z3.Bool(f"{name}={number}") for number in range(len(questions[name].readings))] for name in asked
    }
    shared: dict[tuple[str, frozenset[int]], z3.BoolRef] = {}
    terms = {constraint: _term(constraint, variables, shared) for constraint in counts}
    optimizer = z3.Optimize()
    for bits in variables.values():
        optimizer.add(z3.PbEq([(bit, 1) for bit in bits], 1))
    for constraint, count in counts.items():
        optimizer.add_soft(terms[constraint], unexplained_cost(count))
    for name, bits in variables.items():
        for number, bit in enumerate(bits[1:], 1):
            optimizer.add_soft(z3.Not(bit), cost(name, number))
    if effort:
        optimizer.set("rlimit", effort)
    if optimizer.check() == z3.sat or otherwise is None:
        readings = {**literal, **_chosen(optimizer.model(), variables)}
    else:
        readings = {**literal, **otherwise.readings}
    kept = frozenset(constraint for constraint in counts if satisfied(constraint, readings))
    possible, others = _possible(asked, variables, [terms[constraint] for constraint in kept], readings)
    return Profile(readings, possible, kept, frozenset(counts) - kept, dict(spoke), others)


def explained_beside(
    kept: Iterable[Constraint], others: Sequence[Constraint], late: Callable[[], bool] = lambda: False
) -> list[bool]:
    """Say for each other answer whether some set of readings, however odd, explains it and all that are kept.

    What the solver cannot say in time, or before it is `late`, counts as explained: nobody is told to contradict
    himself without proof.
    """
    import z3  # noqa: PLC0415

    kept = list(kept)
    questions = all_by_field()
    asked = sorted({name for constraint in (*kept, *others) for when in constraint for name, _ in when})
    variables = {
        name: [z3.Bool(f"{name}={number}") for number in range(len(questions[name].readings))] for name in asked
    }
    shared: dict[tuple[str, frozenset[int]], z3.BoolRef] = {}
    solver = z3.Solver()
    solver.set("timeout", _MILLISECONDS)
    for bits in variables.values():
        solver.add(z3.PbEq([(bit, 1) for bit in bits], 1))
    solver.add([_term(constraint, variables, shared) for constraint in kept])
    return [late() or solver.check(_guarded(solver, _term(other, variables, shared), number)) != z3.unsat
            for number, other in enumerate(others)]  # fmt: skip


def _guarded(solver: z3.Solver, term: z3.BoolRef, number: int) -> z3.BoolRef:
    """Return a literal that switches a term on."""
    import z3  # noqa: PLC0415

    guard = z3.Bool(f"other {number}")
    solver.add(z3.Implies(guard, term))
    return guard


def _term(
    constraint: Constraint,
    variables: Mapping[str, list[z3.BoolRef]],
    known: dict[tuple[str, frozenset[int]], z3.BoolRef],
) -> z3.BoolRef:
    """Return a constraint as a term; `known` keeps the small terms that constraints share."""
    import z3  # noqa: PLC0415

    for when in constraint:
        for name, numbers in when:
            if (name, numbers) not in known:
                known[name, numbers] = z3.Or([variables[name][number] for number in sorted(numbers)])
    return z3.Or([z3.And([known[part] for part in when]) for when in constraint])


def _possible(
    asked: list[str], variables: Mapping[str, list[z3.BoolRef]], kept: list[z3.BoolRef], readings: Mapping[str, int]
) -> tuple[dict[str, frozenset[int]], dict[tuple[str, int], dict[str, int]]]:
    """Return the readings that the satisfied answers leave open, and for each a full set of readings with it.

    A reading is open if some full set of readings with it explains the same answers and is not much odder than the
    profile: it may cost one unsupported reading more. So nothing is called settled, and nobody accused, on evidence
    that a second explanation of nearly the same plainness covers.
    """
    import z3  # noqa: PLC0415

    explains = z3.Solver()
    for bits in variables.values():
        explains.add(z3.PbEq([(bit, 1) for bit in bits], 1))
    explains.add(kept)
    costs = [
        (bit, cost(name, number)) for name, bits in variables.items() for number, bit in enumerate(bits) if number
    ]
    spent = sum(cost(name, readings[name]) for name in asked)
    plain = z3.Solver()
    plain.set("timeout", _MILLISECONDS)
    plain.add(explains.assertions())
    plain.add(z3.PbLe(costs, spent + _SLACK))
    possible = {}
    others = {}
    for name in asked:
        numbers = {readings[name]}
        for number, bit in enumerate(variables[name]):
            # What no set of readings explains is quickly said; what is too hard to say stays open.
            if number == readings[name] or explains.check(bit) == z3.unsat:
                continue
            answer = plain.check(bit)
            if answer != z3.unsat:
                numbers.add(number)
            if answer == z3.sat:
                others[name, number] = {**readings, **_chosen(plain.model(), variables)}
        possible[name] = frozenset(numbers)
    return possible, others


def _chosen(model: z3.ModelRef, variables: Mapping[str, list[z3.BoolRef]]) -> dict[str, int]:
    """Return the readings that a model of the solver has."""
    import z3  # noqa: PLC0415

    return {
        name: next(
            (number for number, bit in enumerate(bits) if z3.is_true(model.eval(bit, model_completion=True))), 0
        )
        for name, bits in variables.items()
    }


def cost(name: str, number: int) -> int:
    """Return what it costs to take a reading of the question with a field."""
    if number == 0:
        return 0
    return (_DEFECT if all_by_field()[name].readings[number].standing == "defect" else _OTHER) + number


def unexplained_cost(count: int) -> int:
    """Return what it costs to leave an answer unexplained that was met so often."""
    return _UNEXPLAINED + 10 * min(count, 40)
