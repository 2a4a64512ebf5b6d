"""The text of the module that numba compiles: the model's own functions, with what they name put in its place.

There is no second parser here. The functions are read as syntax trees, names of constants, readings and functions are
resolved as Python would resolve them, and the result is one flat module of the same functions. Two things are left out
because no answer depends on them: events that no function tests and, where the readings are fixed, the branches of
other readings.
"""

from __future__ import annotations

import ast
import inspect
from enum import IntEnum
from graphlib import TopologicalSorter
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, get_type_hints

from vnethash.models import (
    batch,
    captures,
    chain,
    events,
    ipv4,
    ipv6,
    link,
    options,
    packet,
    reference,
    select,
    transport,
    tunnel,
)
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Modules all of whose functions are translated; of `reference` those that the three executions share.
_MODULES = (packet, link, transport, chain, options, ipv4, ipv6, tunnel, select, batch, captures)
_SHARED = ("network", "dissect", "decide", "decide_inner", "table_index")
#: What Python calls: with a wrapper each, under the function's own name.
_ENTRIES = ("batch_batch",)
_FOLLOWED_ENTRIES = ("batch_follow",)
_CAPTURE_ENTRIES = ("captures_frames", "captures_guess", "batch_tally")
#: Called where a packet may be encapsulated, which is seldom: not worth being there more than once.
_APART = ("reference_decide_inner",)

#: The names of events: bits of a mask, unlike those of the rules.
_EVENTS = {
    node.targets[0].id for node in ast.parse(inspect.getsource(events)).body
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.BinOp)
}


def source(readings: Readings | None = None, *, followed: bool = False) -> str:
    """Return the text of the twin; with `readings` it answers under these alone, and captures too.

    If it is to be `followed`, it answers nothing, and says what was met on the way instead: all events are kept. Each
    function stands behind those that it calls.
    """
    entries = _FOLLOWED_ENTRIES if followed else _ENTRIES if readings is None else _ENTRIES + _CAPTURE_ENTRIES
    functions = [function for module in _MODULES for function in _functions_of(module)]
    functions += [vars(reference)[name] for name in _SHARED]
    tuples: dict[str, type] = {}
    translated: dict[str, _Translator] = {}
    observed = frozenset(name for function in functions for name in _observed(function))
    if followed:
        observed |= _EVENTS
    for function in functions:
        translated[_name_of(function)] = _Translator(function, tuples, observed, readings)
    needed = _reached(translated, entries)
    calls = {name: sorted(translated[name].calls) for name in sorted(needed)}
    order = [name for name in TopologicalSorter(calls).static_order() if name in needed]
    parts = [_HEAD, *(_tuple_source(name, kind) for name, kind in tuples.items())]
    parts += [translated[name].text for name in order]
    kinds = {name: "".join(f"{_type_source(kind)}, " for kind in translated[name].types) for name in order}
    for name in entries:
        arguments = ", ".join(translated[name].arguments)
        parts.append(f"@entry\ndef {_entry_name(name)}({arguments}):\n    return {name}({arguments})")
    rows = [f"    ({name}, {name}_kinds)," for name in tuples]
    rows += [f"    ({name}, ({kinds[name]}))," for name in order]
    parts.append("\n".join(["SIGNATURES = (", *rows, ")"]))
    parts.append("\n".join(["ENTRIES = (", *(f"    ({_entry_name(name)}, ({kinds[name]}))," for name in entries), ")"]))
    return "\n\n".join(parts) + "\n"


#: The functions are called by one another only and allocate nothing: without wrappers and reference counts, and each
#: where it is called, so that what one of them leaves unused is never computed.
_HEAD = '''"""Generated from vnethash.models by vnethash.models.compiled_source, not to be edited."""

from collections import namedtuple
from numba import bool_, config, int32, int64, njit, types, uint8, uint16, uint32, uint64
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

apart = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, no_rewrites=True, _nrt=False)
plain = njit(
    nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, no_rewrites=True, _nrt=False, forceinline=True
)
entry = njit(nogil=True, cache=True)
octets = types.Array(types.uint8, 1, "C", readonly=True)
numbers = int64[::1]


def part(data, start, stop):
    """Return bytes that are known to lie in the data; a slice would hold both ends against its length."""
    return data[start:stop]


def part_compiled(typing_context, data, start, stop):
    def generate(context, builder, signature, arguments):
        make = context.make_array(signature.return_type)
        whole, result = make(context, builder, arguments[0]), make(context, builder)
        length = builder.sub(arguments[2], arguments[1])
        begin = builder.gep(whole.data, [arguments[1]])
        populate_array(result, begin, [length], [whole.itemsize], whole.itemsize, whole.meminfo, whole.parent)
        return result._getvalue()
    return data(data, start, stop), generate


if not config.DISABLE_JIT:
    part = intrinsic(part_compiled)


def compile_all():
    """Compile each function once, for the types that it declares; else numba does so for each constant given to it."""
    for function, kinds in SIGNATURES:
        function.compile(kinds)
        function.disable_compile()


def compile_entries():
    """Compile what Python calls, or take it from the cache."""
    for function, kinds in ENTRIES:
        function.compile(kinds)
        function.disable_compile()
'''


def _functions_of(module: ModuleType) -> Iterator[FunctionType]:
    for member in vars(module).values():
        if isinstance(member, FunctionType) and member.__module__ == module.__name__:
            yield member


def _reached(translated: dict[str, _Translator], entries: tuple[str, ...]) -> set[str]:
    """Return the functions that the entries need."""
    needed: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in translated and name not in needed:
            needed.add(name)
            waiting.extend(translated[name].calls)
    return needed


def _name_of(thing: FunctionType | type) -> str:
    """Return e.g. "ipv6_plain": functions of different modules may have the same name."""
    return f"{thing.__module__.rpartition('.')[2]}_{thing.__name__}"


def _entry_name(name: str) -> str:
    return name.partition("_")[2]


def _type_source(kind: Any) -> str:
    """Return the numba type of an argument of the model."""
    if metadata := getattr(kind, "__metadata__", None):
        return str(metadata[0])
    if isinstance(kind, type) and issubclass(kind, tuple) and kind is not Readings:
        return f"{_name_of(kind)}_type"
    return {int: "int64", bool: "bool_", bytes: "octets", Readings: "numbers"}[kind]


def _tuple_source(name: str, kind: type) -> str:
    """Return a named tuple, its type, and the function that makes one of fields of the types that were declared."""
    types = get_type_hints(kind)
    fields = ", ".join(types)
    kinds = ", ".join(_type_source(field) for field in types.values())
    return (
        f'{name}_fields = namedtuple("{name}_fields", "{fields}")\n'
        f"{name}_kinds = ({kinds})\n"
        f"{name}_type = types.BaseTuple.from_types({name}_kinds, {name}_fields)\n"
        f"@plain\ndef {name}({fields}):\n    return {name}_fields({fields})"
    )


def _tree_of(function: FunctionType) -> ast.FunctionDef:
    tree = ast.parse(inspect.getsource(function)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


def _observed(function: FunctionType) -> Iterator[str]:
    """Return the events that a function tests; raises VnethashError where it could tell others apart.

    Events are only ever added to a mask and tested by a mask. So one that no function tests changes no answer.
    """
    for node in ast.walk(_tree_of(function)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            names = (side.id for side in (node.left, node.right) if isinstance(side, ast.Name))
            yield from (name for name in names if name in _EVENTS)
        elif isinstance(node, ast.BinOp) and not isinstance(node.op, ast.BitOr):
            _refuse_events(function, [node.left, node.right])
        elif isinstance(node, ast.Compare):
            _refuse_events(function, [node.left, *node.comparators])
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            _refuse_events(function, [node.test])


def _refuse_events(function: FunctionType, nodes: list[ast.expr]) -> None:
    for node in nodes:
        of_packet = isinstance(node, ast.Attribute) and node.attr == "events"
        if of_packet or (isinstance(node, ast.Name) and (node.id == "events" or node.id in _EVENTS)):
            what = f"the compiled twin cannot translate {function.__name__}: events are tested by `&` alone"
            raise VnethashError(what, hint="see docs/model.md, the subset")


class _Translator(ast.NodeTransformer):
    """Resolves what a function takes from its module; raises VnethashError for what the subset does not have."""

    def __init__(
        self, function: FunctionType, tuples: dict[str, type], observed: frozenset[str], readings: Readings | None
    ) -> None:
        self.calls: set[str] = set()
        self._names = function.__globals__
        self._tuples = tuples
        self._observed = observed
        self._readings = readings
        tree = _tree_of(function)
        self.arguments = [argument.arg for argument in tree.args.args]
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        self._local = {*self.arguments, *(node.id for node in used if isinstance(node.ctx, ast.Store))}
        hints = get_type_hints(function, {**self._names, "Configuration": object}, include_extras=True)
        self.types = [hints[argument] for argument in self.arguments]
        # A frame, a part of one, and arrays; readings have an index of their own.
        self._arrays = {"frame"} | {
            name for name, kind in zip(self.arguments, self.types, strict=True)
            if kind is bytes or hasattr(kind, "__metadata__")
        }
        self.text = self._text(function, tree)

    def _text(self, function: FunctionType, tree: ast.FunctionDef) -> str:
        """Return the function's text in the generated module."""
        for argument in tree.args.args:
            argument.annotation = None
        tree.returns = None
        tree.name = _name_of(function)
        tree.decorator_list = [ast.Name("apart" if tree.name in _APART else "plain", ast.Load())]
        tree.body = self._block(tree.body[1:])  # without the docstring
        return ast.unparse(ast.fix_missing_locations(tree))

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        block: list[ast.stmt] = []
        for statement in statements:
            kept = self.visit(statement)
            block.extend(kept if isinstance(kept, list) else [kept])
            if block and isinstance(block[-1], ast.Return):
                break
        return block

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._local or node.id not in self._names:
            return node
        thing = self._names[node.id]
        if node.id in _EVENTS and vars(events)[node.id] == thing and node.id not in self._observed:
            return ast.Constant(0)
        if isinstance(thing, int):
            return ast.Constant(int(thing))
        if isinstance(thing, FunctionType):
            self.calls.add(_name_of(thing))
            return ast.Name(_name_of(thing), node.ctx)
        if isinstance(thing, type) and issubclass(thing, tuple):
            self._tuples[_name_of(thing)] = thing
            return ast.Name(_name_of(thing), node.ctx)
        raise VnethashError(f"the compiled twin cannot translate {node.id!r}", hint="see docs/model.md, the subset")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id not in self._local:
            thing = self._names.get(node.value.id)
            if isinstance(thing, type) and issubclass(thing, IntEnum):
                return ast.Constant(int(thing[node.attr]))
        if isinstance(node.value, ast.Name) and node.value.id == "readings":
            if self._readings is not None:
                return ast.Constant(int(getattr(self._readings, node.attr)))
            return ast.Subscript(node.value, ast.Constant(Readings._fields.index(node.attr)), ast.Load())
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Read all integers as 64 bits; no index is negative, so that none has to be held against 0."""
        self.generic_visit(node)
        if not (isinstance(node.value, ast.Name) and node.value.id in self._arrays):
            return node
        if isinstance(node.slice, ast.Slice):
            assert node.slice.lower is not None
            assert node.slice.upper is not None
            return ast.Call(ast.Name("part", ast.Load()), [node.value, node.slice.lower, node.slice.upper], [])
        if not isinstance(node.slice, ast.Constant):
            node.slice = ast.Call(ast.Name("uint64", ast.Load()), [node.slice], [])
        if isinstance(node.ctx, ast.Store):
            return node
        return ast.Call(ast.Name("int64", ast.Load()), [node], [])

    def visit_If(self, node: ast.If) -> Any:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self._block(node.body if test.value else node.orelse)
        return ast.If(test, self._block(node.body) or [ast.Pass()], self._block(node.orelse))

    def visit_While(self, node: ast.While) -> ast.stmt:
        return ast.While(self.visit(node.test), self._block(node.body), [])

    def visit_For(self, node: ast.For) -> ast.stmt:
        return ast.For(node.target, self.visit(node.iter), self._block(node.body), [])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        other = node.comparators[0]
        if len(node.ops) == 1 and isinstance(node.left, ast.Constant) and isinstance(other, ast.Constant):
            if isinstance(node.ops[0], ast.Eq):
                return ast.Constant(node.left.value == other.value)
            if isinstance(node.ops[0], ast.NotEq):
                return ast.Constant(node.left.value != other.value)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Leave out what is known; nothing in the subset has a side effect."""
        decisive = isinstance(node.op, ast.Or)
        rest = []
        for value in (self.visit(value) for value in node.values):
            if not isinstance(value, ast.Constant):
                rest.append(value)
            elif value.value is decisive:
                return ast.Constant(decisive)
        if not rest:
            return ast.Constant(not decisive)
        return rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant):
            return ast.Constant(not node.operand.value)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.BitOr) and isinstance(node.right, ast.Constant) and node.right.value == 0:
            return node.left
        return node
