"""Proofs function by function, for frames of any length: what a function needs and gives, what a loop keeps.

Unrolling ends at some length. Here each function of the model is translated alone: its arguments are unknown and as
`contracts.py` says that they are, a call of another function with a contract returns anything that its contract allows,
and a loop stands for one turn from any state that its invariant allows. What must hold then is a list of checks, each
small: no read outside the frame, what calls need, what the function gives, that each turn keeps the invariant and
brings the loop nearer to its end. If all hold, they hold for the whole model at every length (induction over calls and
turns).
"""

from __future__ import annotations

import ast
import inspect
import typing
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vnethash.models import contracts
from vnethash.models.events import EVENTS
from vnethash.models.symbolic.subset import load
from vnethash.models.symbolic.terms import Graph, Value, high, is_boolean, low
from vnethash.models.symbolic.translate import Frame, Row, Thing, Translator, _identity, _Run, _State
from vnethash.spec.constants import ALL_HASH_TYPES
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Greatest length in bytes of a frame: an IP packet of 65,535 bytes behind tags, labels and a tunnel.
MOST = 1 << 17
#: Greatest number that an unknown argument or field can be; offsets behind a cut header lie behind the frame.
_WIDE = (1 << 18) - 1
_ALL_EVENTS = (1 << max(EVENTS).bit_length()) - 1 if EVENTS else 0
#: The number of bytes of the frame, as predicates call it.
THERE = "there"


class Check(NamedTuple):
    """Something that must not happen: `wrong` where `guard` holds, under all assumptions of the session."""

    kind: str
    place: str
    guard: Value
    wrong: Value


class Call(NamedTuple):
    """A call that was replaced by its contract; `agree` stands for "the readings agree on all that it asks"."""

    function: FunctionType
    arguments: tuple[Thing, ...]
    result: Thing
    guard: Value
    agree: Value


class Turn(NamedTuple):
    """One turn of a loop: the states before and after it, whether it is taken, what it asks and calls."""

    head: dict[str, Thing]
    end: dict[str, Thing]
    inside: Value
    met: Met


class Passed(NamedTuple):
    """A loop that was replaced by its invariant: the states before and behind it, and any turn."""

    owner: Modular
    statement: ast.While
    before: dict[str, Thing]
    behind: dict[str, Thing]
    turn: Turn
    guard: Value
    agree: Value


@dataclass
class Met:
    """What a run met: questions asked by the function itself, calls and loops that were replaced."""

    asked: list[tuple[str, Value]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    loops: list[Passed] = field(default_factory=list)


@dataclass
class Session:
    """Everything about one function: unknowns, what may be assumed of them, what is to be checked.

    Attributes:
        function: the function.
        graph: its terms.
        assumptions: truths.
        checks: what must not happen.
        met: what the run met so far.
        unknowns: the arguments, to read a counterexample.
    """

    function: FunctionType
    graph: Graph = field(default_factory=Graph)
    assumptions: list[Value] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    met: Met = field(default_factory=Met)
    unknowns: dict[str, Thing] = field(default_factory=dict)
    fresh: int = 0

    def __post_init__(self) -> None:
        self.there = self.graph.integer(THERE, 0, MOST)
        self.translator = Translator(self.graph)
        self.memory: dict[tuple[object, ...], Call] = {}

    def assume(self, value: Value) -> None:
        """Add a truth."""
        if value is not True:
            self.assumptions.append(value)

    def name(self, hint: str) -> str:
        """Return a name that is not taken."""
        self.fresh += 1
        return f"{hint}.{self.fresh}"

    def unknown(self, kind: Any, hint: str) -> Thing:
        """Return anything of an annotated type."""
        if kind is bool:
            return self.graph.truth(self.name(hint))
        if kind is int:
            return self.graph.integer(self.name(hint), 0, _most(hint))
        if kind is bytes:
            return Frame(self.there)
        if kind is Readings:
            return self.readings(hint)
        hints = typing.get_type_hints(kind)
        return Row(kind, tuple(self.unknown(hints[name], f"{hint}.{name}") for name in kind._fields))

    def readings(self, hint: str) -> Row:
        """Return any readings."""
        questions = load_questions().values()
        numbers = (self.graph.integer(f"{hint}:{q.field}", 0, len(q.readings) - 1) for q in questions)
        return Row(Readings, tuple(numbers))

    def predicate(self, function: Callable[..., bool | int], names: Mapping[str, Thing]) -> Value:
        """Return what a predicate of contracts.py says of values, which it takes by name."""
        arguments = [self.there if name == THERE else names[name] for name in parameters(function)]
        value = self.translator.call(cast("FunctionType", function), *arguments)
        assert not isinstance(value, Row | Frame)
        return value

    def implies(self, condition: Value, value: Value) -> Value:
        """Return condition -> value."""
        return self.graph.either(self.graph.negate(condition), value)


def _most(hint: str) -> int:
    last = hint.rpartition(".")[2]
    return {"events": _ALL_EVENTS, "types": ALL_HASH_TYPES, "tunnels": (1 << 33) - 1, "seen": 63}.get(last, _WIDE)


def parameters(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's parameters."""
    return list(inspect.signature(function).parameters)


def name_of(function: FunctionType) -> str:
    """Return "module.function", as contracts are named."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def arguments_of(session: Session, function: FunctionType, readings: Row) -> dict[str, Thing]:
    """Return unknown arguments of a function, with these readings."""
    hints = typing.get_type_hints(function)
    names: dict[str, Thing] = {}
    for name in parameters(function):
        if name == "readings":
            names[name] = readings
        else:
            names[name] = session.unknown(hints[name], name)
    return names


class Modular(_Run):
    """One function whose calls and loops are replaced by what is claimed of them; guards count from its beginning."""

    def __init__(self, session: Session, function: FunctionType) -> None:
        super().__init__(session.translator, function, load(function), session.translator.log)
        self.session = session
        self.function = function

    def run(self, names: dict[str, Thing], guard: Value = True) -> Thing:
        """Return what the function returns for these arguments."""
        state = self.block(self.source.tree.body, names, guard)
        if state.alive is not False or state.returned is None:
            raise self.source.refused(self.source.tree, "a path without a return", "return a value on every path")
        return state.returned

    def check_width(self, name: str, value: Thing, node: ast.AST, guard: Value) -> None:
        """Check that a number is one that `Session.unknown` would allow where the value is only claimed."""
        if isinstance(value, Row):
            for field_name, member in zip(value.kind._fields, value.values, strict=True):  # type: ignore[attr-defined]
                self.check_width(field_name, member, node, guard)
        elif not isinstance(value, Frame) and not is_boolean(value) and value is not None:
            if high(value) > _most(name):
                self.check(f"{name} greater than claimed", node, guard, self.graph.less(_most(name), value))
            if low(value) < 0:
                self.check(f"{name} less than 0", node, guard, self.graph.less(value, 0))

    def check(self, kind: str, node: ast.AST, guard: Value, wrong: Value) -> None:
        """Note what must not happen."""
        if wrong is not False and guard is not False:
            self.session.checks.append(Check(kind, self.source.place(node), guard, wrong))

    def byte(self, node: ast.AST, frame: Thing, offset: Value, guard: Value) -> Value:
        """Read the frame; outside it is wrong."""
        graph = self.graph
        outside = graph.negate(graph.less(offset, self.session.there))
        outside = graph.either(outside, graph.less(offset, 0))
        self.check("read outside the frame", node, guard, outside)
        return graph.byte(offset)

    def attribute(self, node: ast.Attribute, names: dict[str, Thing], guard: Value) -> Thing:
        """Read a field; which question is asked is noted."""
        value = super().attribute(node, names, guard)
        row = names.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if isinstance(row, Row) and row.kind is Readings:
            self.session.met.asked.append((node.attr, guard))
        return value

    def application(self, node: ast.Call, names: dict[str, Thing], guard: Value) -> Thing:
        """Replace a call by its contract; run functions that have none."""
        assert isinstance(node.func, ast.Name)
        called = self.outside.get(node.func.id)
        if node.func.id in names or not isinstance(called, FunctionType):
            return super().application(node, names, guard)
        arguments = tuple(self.value(argument, names, guard) for argument in node.args)
        named = dict(zip(parameters(called), arguments, strict=True))
        contract = contracts.CONTRACTS.get(name_of(called))
        if contract is None:
            return Modular(self.session, called).run(named, guard)
        session = self.session
        needed = session.predicate(contract.needs, named)
        self.check(f"what {name_of(called)} needs", node, guard, self.graph.negate(needed))
        place = (called, *(_identity(argument, None) for argument in arguments))
        if place not in session.memory:
            result = session.unknown(typing.get_type_hints(called)["return"], session.name(called.__name__))
            agree = session.graph.truth(session.name("agree")) if "readings" in named else True
            session.memory[place] = Call(called, arguments, result, guard, agree)
            given = session.predicate(contract.gives, {**named, "result": result})
            session.assume(session.implies(needed, given))
        session.met.calls.append(session.memory[place]._replace(guard=guard))
        return session.memory[place].result

    def loop(self, statement: ast.While, names: dict[str, Thing], guard: Value, turn: int) -> _State:
        """Replace a loop by its invariant: checked before it and after one turn, assumed behind it."""
        session, graph = self.session, self.graph
        claim = contracts.LOOPS[name_of(self.function)]
        changed = {
            node.targets[0].id for node in ast.walk(statement)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        before = {name: value for name, value in names.items() if name not in changed}
        state = {name: value for name, value in names.items() if name in changed}
        self.check("loop entered otherwise than claimed", statement, guard, graph.negate(self._holds(claim, names)))
        anything = {name: self._like(value, name) for name, value in state.items()}
        head = {**before, **anything}
        session.assume(session.implies(guard, self._holds(claim, head)))
        taken = self.turn(statement, head, guard)
        # Behind the loop is another such state, in which its condition does not hold.
        behind = {**before, **{name: self._like(value, name) for name, value in state.items()}}
        session.assume(session.implies(guard, self._holds(claim, behind)))
        session.assume(session.implies(guard, graph.negate(self.truth(statement.test, behind, guard))))
        agree = graph.truth(session.name("agree"))
        session.met.loops.append(Passed(self, statement, dict(names), behind, taken, guard, agree))
        return _State(True, None, behind)

    def turn(self, statement: ast.While, head: dict[str, Thing], guard: Value) -> Turn:
        """Take one turn from a state, and check what is claimed of it."""
        session, graph = self.session, self.graph
        claim = contracts.LOOPS[name_of(self.function)]
        outside, session.met = session.met, Met()
        inside = graph.both(guard, self.truth(statement.test, head, guard))
        body = self.block(statement.body, head, inside)
        if body.alive is not True:
            raise self.source.refused(statement, "a loop that returns", "set a variable and return behind the loop")
        end = {name: body.names[name] for name in head}
        again = graph.both(inside, self.truth(statement.test, end, inside))
        found, session.met = session.met, outside
        for name, value in end.items():
            self.check_width(name, value, statement, inside)
        self.check("a turn does not keep what is claimed", statement, inside, graph.negate(self._holds(claim, end)))
        before, after = session.predicate(claim.left, head), session.predicate(claim.left, end)
        nearer = graph.negate(graph.less(before, graph.add(after, claim.step)))
        self.check("a turn brings the end no nearer", statement, again, graph.negate(nearer))
        return Turn(head, end, inside, found)

    def _holds(self, claim: contracts.Loop, names: Mapping[str, Thing]) -> Value:
        return self.session.predicate(claim.holds, names)

    def _like(self, value: Thing, name: str) -> Thing:
        if isinstance(value, Row):
            return self.session.unknown(value.kind, name)
        assert not isinstance(value, Frame)
        truth = isinstance(value, bool) or (not isinstance(value, int) and value.boolean)
        return self.session.unknown(bool if truth else int, name)
