"""The translator: runs functions of the subset on terms, so that what they return is a term too.

Both branches of an `if` are run and their variables merged (if-conversion), so the work grows with the length of the
source, not with its number of paths. A `while` is unrolled; that an unrolling suffices is a condition that is recorded,
not assumed. So is every read behind the frame's end, and every question that is asked, with the path that leads there.
A function that is called again with the same arguments is not run again.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vnethash.models.symbolic.subset import Source, load
from vnethash.models.symbolic.terms import Graph, Term, Value, is_boolean, key, low, same
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Row(NamedTuple):
    """A named tuple of the model: its class, and a value for each field."""

    kind: type
    values: tuple[Thing, ...]


class Frame(NamedTuple):
    """The frame: bytes at offsets, of which the first `length` are there."""

    length: Value


Thing = bool | int | Term | Row | Frame


@dataclass
class Log:
    """What a run met, and under which condition: loops that went on (by place), reads outside the frame, questions."""

    unwinding: dict[str, Value] = field(default_factory=dict)
    reads: dict[str, Value] = field(default_factory=dict)
    asked: dict[str, Value] = field(default_factory=dict)

    def tables(self) -> tuple[dict[str, Value], dict[str, Value], dict[str, Value]]:
        """Return all three."""
        return self.unwinding, self.reads, self.asked


class _State(NamedTuple):
    """Behind some statements: whether control gets here, what was returned where it does not, the variables."""

    alive: Value
    returned: Thing | None
    names: dict[str, Thing]


@dataclass
class Translator:
    """Translates calls into terms of one graph.

    `unroll` bounds loops, by function as in "options.home_address"; others have `iterations`. `frame_reads` says
    whether reads are watched. The functions of `opaque` are not run: what stands there says in their place what they
    return and log, for the graph and the arguments of a call.
    """

    graph: Graph
    unroll: Mapping[str, int] = field(default_factory=dict)
    iterations: int = 8
    frame_reads: bool = False
    log: Log = field(default_factory=Log)
    opaque: Mapping[FunctionType, Callable[[Graph, tuple[Thing, ...]], tuple[Thing, Log]]] = field(default_factory=dict)
    _memory: dict[tuple[object, ...], tuple[Thing, Log]] = field(default_factory=dict)
    _reads: dict[FunctionType, tuple[int, ...]] = field(default_factory=dict)

    def call(self, function: FunctionType, *arguments: Thing) -> Thing:
        """Return what a function of the model returns; raises SubsetError for what the subset does not have."""
        return _call(self, function, arguments, self.log, True)


def _call(
    translator: Translator, function: FunctionType, arguments: tuple[Thing, ...], log: Log, guard: Value
) -> Thing:
    place = _place(translator, function, arguments)
    found = translator._memory.get(place)
    if found is None and function in translator.opaque:
        found = translator._memory[place] = translator.opaque[function](translator.graph, arguments)
    if found is None:
        source = load(function)
        inner = Log()
        run = _Run(translator, function, source, inner)
        if len(arguments) != len(source.parameters):
            raise source.refused(
                source.tree, f"{len(arguments)} arguments", f"it has {len(source.parameters)} parameters"
            )
        state = run.block(source.tree.body, dict(zip(source.parameters, arguments, strict=True)), True)
        if state.alive is not False or state.returned is None:
            raise source.refused(source.tree, "a path without a return", "return a value on every path")
        found = (state.returned, inner)
        translator._memory[place] = found
    graph = translator.graph
    for table, inner_table in zip(log.tables(), found[1].tables(), strict=True):
        for name, condition in inner_table.items():
            _record(graph, table, name, graph.both(guard, condition))
    return found[0]


def _record(graph: Graph, table: dict[str, Value], name: str, condition: Value) -> None:
    if condition is not False:
        table[name] = graph.either(table.get(name, False), condition)


def _place(translator: Translator, function: FunctionType, arguments: tuple[Thing, ...]) -> tuple[object, ...]:
    """Return what a call is known again by: the function and its arguments, of readings those that it may look at."""
    if function not in translator._reads:
        read = _readings_read(function, set())
        translator._reads[function] = tuple(
            number for number, name in enumerate(Readings._fields) if name in read
        )
    reads = translator._reads[function]
    return (function, *(_identity(argument, reads) for argument in arguments))


def _readings_read(function: FunctionType, seen: set[FunctionType]) -> set[str]:
    """Return the attributes that a function and those that it may call mention: the questions they ask, and more."""
    seen.add(function)
    attributes, names = _mentioned(function)
    read = set(attributes)
    for name in names:
        called = function.__globals__.get(name)
        if isinstance(called, FunctionType) and called not in seen:
            read |= _readings_read(called, seen)
    return read


@cache
def _mentioned(function: FunctionType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the attributes and the names in the source of a function."""
    nodes = list(ast.walk(load(function).tree))
    return (
        frozenset(node.attr for node in nodes if isinstance(node, ast.Attribute)),
        frozenset(node.id for node in nodes if isinstance(node, ast.Name)),
    )


def _identity(thing: Thing, reads: tuple[int, ...] | None) -> object:
    """Return what a thing is known again by; of readings only those at `reads`, all if None."""
    if isinstance(thing, Row):
        if thing.kind is Readings and reads is not None:
            return (Readings, *[key(cast("Value", thing.values[number])) for number in reads])
        return (thing.kind, *[_identity(value, reads) for value in thing.values])
    if isinstance(thing, Frame):
        return ("frame", key(thing.length))
    return key(thing)


class _Run:
    """One function on given arguments; guards are relative to its beginning."""

    def __init__(self, translator: Translator, function: FunctionType, source: Source, log: Log) -> None:
        self.translator = translator
        self.graph = translator.graph
        self.outside: Mapping[str, Any] = function.__globals__
        self.source = source
        self.log = log
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.bound = translator.unroll.get(name, translator.iterations)

    # Statements

    def block(self, statements: list[ast.stmt], names: dict[str, Thing], guard: Value) -> _State:
        """Run statements; what they return where they return is kept until the end, then merged."""
        left: list[tuple[Value, Thing | None]] = []
        alive: Value = True
        returned: Thing | None = None
        for statement in statements:
            if isinstance(statement, ast.Return):
                assert statement.value is not None
                alive, returned = False, self.value(statement.value, names, guard)
                break
            if isinstance(statement, ast.Assign):
                target = statement.targets[0]
                assert isinstance(target, ast.Name)
                names = {**names, target.id: self.value(statement.value, names, guard)}
            elif isinstance(statement, ast.If):
                state = self.branch(statement, names, guard)
                names = state.names
                if state.alive is False:
                    alive, returned = state.alive, state.returned
                    break
                if state.alive is not True:
                    left.append((state.alive, state.returned))
                    guard = self.graph.both(guard, state.alive)
            elif isinstance(statement, ast.While):
                state = self.loop(statement, names, guard, 0)
                names = state.names
                if state.alive is not True:
                    left.append((state.alive, state.returned))
                    guard = self.graph.both(guard, state.alive)
        for condition, value in reversed(left):
            returned = self.merge(condition, returned, value, statements[0])
            alive = self.graph.both(condition, alive)
        return _State(alive, returned, names)

    def branch(self, statement: ast.If, names: dict[str, Thing], guard: Value) -> _State:
        """Run both branches of an `if`, unless it is known which is taken."""
        graph = self.graph
        condition = self.truth(statement.test, names, guard)
        if condition is True:
            return self.block(statement.body, names, guard)
        if condition is False:
            return self.block(statement.orelse, names, guard)
        first = self.block(statement.body, names, graph.both(guard, condition))
        second = self.block(statement.orelse, names, graph.both(guard, graph.negate(condition)))
        return self.join(condition, first, second, statement)

    def loop(self, statement: ast.While, names: dict[str, Thing], guard: Value, turn: int) -> _State:
        """Run a loop from its `turn`-th turn on, as an `if` around its body and its further turns."""
        graph = self.graph
        condition = self.truth(statement.test, names, guard)
        if condition is False:
            return _State(True, None, names)
        guard = graph.both(guard, condition)
        if turn == self.bound:
            _record(graph, self.log.unwinding, self.source.place(statement), guard)
            return _State(True, None, names)
        body = self.block(statement.body, names, guard)
        if body.alive is not False:
            rest = self.loop(statement, body.names, graph.both(guard, body.alive), turn + 1)
            returned = self.merge(body.alive, rest.returned, body.returned, statement)
            body = _State(graph.both(body.alive, rest.alive), returned, rest.names)
        return self.join(condition, body, _State(True, None, names), statement)

    def join(self, condition: Value, first: _State, second: _State, node: ast.AST) -> _State:
        """Merge two branches. Where one does not go on, the other's variables are those behind it."""
        if condition is True:
            return first
        alive = self.graph.choose(condition, first.alive, second.alive)
        returned = self.merge(condition, first.returned, second.returned, node)
        if first.alive is False:
            names = second.names
        elif second.alive is False:
            names = first.names
        else:
            names = {}
            for name, value in first.names.items():
                if name in second.names:  # else it may be without a value, so reading it is refused
                    merged = self.merge(condition, value, second.names[name], node)
                    assert merged is not None
                    names[name] = merged
        return _State(alive, returned, names)

    def merge(self, condition: Value, first: Thing | None, second: Thing | None, node: ast.AST) -> Thing | None:
        """Return first if condition else second; None stands for what is never looked at."""
        if first is None or first is second:
            return second
        if second is None:
            return first
        if isinstance(first, Row) and isinstance(second, Row) and first.kind is second.kind:
            values = tuple(
                self.merge(condition, one, other, node) for one, other in zip(first.values, second.values, strict=True)
            )
            return Row(first.kind, values)  # type: ignore[arg-type]
        if isinstance(first, Frame) and isinstance(second, Frame) and same(first.length, second.length):
            return first
        if isinstance(first, Row | Frame) or isinstance(second, Row | Frame) or is_boolean(first) != is_boolean(second):
            raise self.source.refused(
                node, "branches leave values of different kinds", "give each name one kind of value"
            )
        return self.graph.choose(condition, first, second)

    # Expressions

    def truth(self, node: ast.expr, names: dict[str, Thing], guard: Value) -> Value:
        """Return a truth value; raises SubsetError for anything else."""
        value = self.value(node, names, guard)
        if isinstance(value, Row | Frame) or not is_boolean(value):
            raise self.source.refused(node, "a number where a truth value is needed", "write x != 0")
        return value

    def number(self, node: ast.expr, names: dict[str, Thing], guard: Value) -> Value:
        """Return an integer; raises SubsetError for anything else."""
        value = self.value(node, names, guard)
        if isinstance(value, Row | Frame) or is_boolean(value):
            raise self.source.refused(node, "a truth value where a number is needed", "choose numbers with if and else")
        return value

    def value(self, node: ast.expr, names: dict[str, Thing], guard: Value) -> Thing:
        """Return the value of an expression that is evaluated under `guard`."""
        match node:
            case ast.Constant(value=bool() | int() as constant):
                return constant
            case ast.Name(id=name):
                return self.name(node, name, names)
            case ast.Attribute():
                return self.attribute(node, names, guard)
            case ast.Subscript(value=inner, slice=index):
                return self.byte(node, self.value(inner, names, guard), self.number(index, names, guard), guard)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.comparison(node, operator, self.value(left, names, guard), self.value(right, names, guard))
            case ast.BoolOp():
                return self.connective(node, names, guard)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as constant)):
                return -constant
            case ast.UnaryOp(operand=inner):
                return self.graph.negate(self.truth(inner, names, guard))
            case ast.BinOp():
                return self.arithmetic(node, names, guard)
            case ast.IfExp(test=test, body=first, orelse=second):
                return self.conditional(node, test, first, second, names, guard)
            case ast.Call():
                return self.application(node, names, guard)
        raise AssertionError(ast.dump(node))  # subset.load lets nothing else through

    def name(self, node: ast.expr, name: str, names: dict[str, Thing]) -> Thing:
        """Return the value of a variable, or of a number of the module."""
        if name in names:
            return names[name]
        thing = self.outside.get(name)
        if isinstance(thing, bool):
            return thing
        if isinstance(thing, int):
            return int(thing)
        if name in self.outside:
            raise self.source.refused(node, f"{name!r}, which is no number", "only numbers, functions and NamedTuples")
        raise self.source.refused(node, f"{name!r}, which may have no value here", "assign it on every path before")

    def attribute(self, node: ast.Attribute, names: dict[str, Thing], guard: Value) -> Thing:
        """Return a field of a tuple, or the number of a member of an IntEnum."""
        if isinstance(node.value, ast.Name) and node.value.id not in names:
            kind = self.outside.get(node.value.id)
            if isinstance(kind, type) and issubclass(kind, IntEnum) and node.attr in kind.__members__:
                return int(kind[node.attr])
            if kind is not None:
                raise self.source.refused(
                    node, f"{ast.unparse(node)!r}", "only members of an IntEnum and fields of a tuple"
                )
        row = self.value(node.value, names, guard)
        fields: tuple[str, ...] = getattr(row.kind, "_fields", ()) if isinstance(row, Row) else ()
        if node.attr not in fields or not isinstance(row, Row):
            raise self.source.refused(node, f"{ast.unparse(node)!r}", "only fields of a NamedTuple")
        if row.kind is Readings:
            _record(self.graph, self.log.asked, node.attr, guard)
        return row.values[fields.index(node.attr)]

    def byte(self, node: ast.AST, frame: Thing, offset: Value, guard: Value) -> Value:
        """Return a byte of the frame, and note whether it may lie outside."""
        if not isinstance(frame, Frame):
            raise self.source.refused(node, "an index of something other than the frame", "use a NamedTuple")
        if self.translator.frame_reads:
            graph = self.graph
            outside = graph.negate(graph.less(offset, frame.length))
            if low(offset) < 0:
                outside = graph.either(outside, graph.less(offset, 0))
            _record(graph, self.log.reads, self.source.place(node), graph.both(guard, outside))
        return self.graph.byte(offset)

    def comparison(self, node: ast.AST, operator: ast.cmpop, first: Thing, second: Thing) -> Value:
        """Compare two values of one kind."""
        graph = self.graph
        if isinstance(first, Row | Frame) or isinstance(second, Row | Frame) or is_boolean(first) != is_boolean(second):
            raise self.source.refused(node, "a comparison of different kinds or of tuples", "compare two numbers")
        if isinstance(operator, ast.Eq):
            return graph.equal(first, second)
        if isinstance(operator, ast.NotEq):
            return graph.negate(graph.equal(first, second))
        if is_boolean(first):
            raise self.source.refused(node, "truth values in order", "compare them by == or !=")
        match operator:
            case ast.Lt():
                return graph.less(first, second)
            case ast.GtE():
                return graph.negate(graph.less(first, second))
            case ast.Gt():
                return graph.less(second, first)
        return graph.negate(graph.less(second, first))

    def connective(self, node: ast.BoolOp, names: dict[str, Thing], guard: Value) -> Value:
        """Return `and` or `or`; a member is looked at only where those before it have not decided."""
        graph = self.graph
        conjunction = isinstance(node.op, ast.And)
        result: Value = conjunction
        for member in node.values:
            value = self.truth(member, names, guard)
            result = graph.both(result, value) if conjunction else graph.either(result, value)
            guard = graph.both(guard, value if conjunction else graph.negate(value))
            if result is (not conjunction) or guard is False:
                break
        return result

    def conditional(
        self, node: ast.AST, test: ast.expr, first: ast.expr, second: ast.expr, names: dict[str, Thing], guard: Value
    ) -> Thing:
        """Return `first if test else second`."""
        condition = self.truth(test, names, guard)
        if condition is True:
            return self.value(first, names, guard)
        if condition is False:
            return self.value(second, names, guard)
        one = self.value(first, names, self.graph.both(guard, condition))
        other = self.value(second, names, self.graph.both(guard, self.graph.negate(condition)))
        merged = self.merge(condition, one, other, node)
        assert merged is not None
        return merged

    def arithmetic(self, node: ast.BinOp, names: dict[str, Thing], guard: Value) -> Value:
        """Return the result of an operator on integers."""
        graph = self.graph
        first = self.number(node.left, names, guard)
        second = self.number(node.right, names, guard)
        match node.op:
            case ast.Add():
                return graph.add(first, second)
            case ast.Sub():
                return graph.subtract(first, second)
            case ast.Mult():
                return graph.multiply(first, second)
            case ast.BitAnd():
                return graph.bit_and(first, second)
            case ast.BitOr():
                return graph.bit_or(first, second)
            case ast.BitXor():
                return graph.bit_xor(first, second)
        if isinstance(second, Term):
            raise self.source.refused(node, "a shift by a number that is not known", "shift by a constant")
        return graph.left(first, second) if isinstance(node.op, ast.LShift) else graph.right(first, second)

    def application(self, node: ast.Call, names: dict[str, Thing], guard: Value) -> Thing:
        """Call a function, make a tuple, or take `min` or `max` of two numbers."""
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        called = self.outside.get(name)
        arguments = tuple(self.value(argument, names, guard) for argument in node.args)
        if name not in names and isinstance(called, FunctionType):
            return _call(self.translator, called, arguments, self.log, guard)
        if name not in names and isinstance(called, type) and issubclass(called, tuple):
            if len(arguments) != len(getattr(called, "_fields", ())):
                raise self.source.refused(node, f"{name} with {len(arguments)} fields", "give all fields by position")
            return Row(called, arguments)
        if name in {"min", "max"} and called is None and len(node.args) == 2:
            first = self.number(node.args[0], names, guard)
            second = self.number(node.args[1], names, guard)
            smaller = self.graph.less(second, first)
            return self.graph.choose(smaller, *((second, first) if name == "min" else (first, second)))
        raise self.source.refused(
            node, f"a call of {name!r}", "call a function of the model, a NamedTuple, min or max of two"
        )
