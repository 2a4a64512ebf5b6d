"""The compiled twin: the source of the model, translated by numba, for millions of frames.

There is no second parser here. The functions of the model are read as syntax trees, names of constants, readings and
functions are resolved as Python would resolve them, and the result is one flat module of the same functions that numba
compiles. Readings, keys and tables are arguments of it, so that it is compiled once and then taken from the cache
(XDG_CACHE_HOME/vnethash), under a name that follows from its text.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
from enum import IntEnum
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from vnethash.models import chain, ipv4, ipv6, link, options, packet, reference, select, transport, tunnel
from vnethash.models.packet import octet
from vnethash.models.reference import (
    ANY_VALUE,
    conclude,
    decide,
    enabled_tunnels,
    key_for,
    table_index,
)
from vnethash.models.select import unhashed
from vnethash.models.toeplitz import byte_tables
from vnethash.spec.errors import UsageError, VnethashError
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import ExLabel, Readings, UnhashedValue, ZeroValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.configuration import Configuration

#: Modules all of whose functions are translated; of `reference` those that the three executions share.
_MODULES = (packet, link, transport, chain, options, ipv4, ipv6, tunnel, select)
_SHARED = ("network", "dissect", "decide", "decide_inner", "table_index")

#: Bytes of the four hash inputs: addresses without and with ports, IPv4 and IPv6.
_SIZES = (8, 12, 32, 36)


def batch(
    data: Any, offsets: Any, types: int, tunnels: int, readings: Readings, keys: Any, hashed: Any, table: Any,
    no_queue: int, report: Any, value: Any, queue: Any,
) -> None:
    """Answer frames that lie end to end in `data`; `keys` holds the byte tables of each input size (see `_SIZES`).

    This is `conclude` with what depends on the configuration alone worked out before; it is compiled as the model is.
    """
    for number in range(len(offsets) - 1):
        start = offsets[number]
        length = offsets[number + 1] - start
        frame = data[start:start + length]
        chosen = decide(frame, length, types, tunnels, readings)
        label = chosen.report
        result = 0
        if label != 0:
            which = 0
            if chosen.size == 16:
                which = 2
            if chosen.ports != 0:
                which = which + 1
            if hashed[which]:
                place = 0
                for step in range(chosen.size):
                    result = result ^ keys[which, place, octet(frame, length, chosen.source + step)]
                    place = place + 1
                for step in range(chosen.size):
                    result = result ^ keys[which, place, octet(frame, length, chosen.destination + step)]
                    place = place + 1
                if chosen.ports != 0:
                    for step in range(4):
                        result = result ^ keys[which, place, octet(frame, length, chosen.ports + step)]
                        place = place + 1
                if result == 0 and readings.zero_value == ZeroValue.UNHASHED:
                    label = 0
            else:
                label = 0
            if label >= 7 and readings.ex_label == ExLabel.REGULAR:
                label = label - 3
        report[number] = label
        if label != 0 and len(table) != 0:
            queue[number] = table[table_index(result, len(table), readings)]
        else:
            queue[number] = no_queue
        if label == 0:
            result = 0
        value[number] = result


class Compiled:
    """The compiled twin for one configuration and one set of readings; raises VnethashError where numba is missing."""

    def __init__(self, configuration: Configuration, readings: Readings) -> None:
        numpy = _numpy()
        self._batch = load().models_batch
        self._configuration = configuration
        self._any_value = readings.unhashed_value == UnhashedValue.UNSPECIFIED
        self._readings = numpy.array(readings, dtype=numpy.int64)
        self._hashed = numpy.zeros(len(_SIZES), dtype=numpy.bool_)
        self._keys = numpy.zeros((len(_SIZES), 36, 256), dtype=numpy.uint32)
        for which, size in enumerate(_SIZES):
            key = key_for(configuration.key, size, readings)
            if key is not None:
                self._hashed[which] = True
                self._keys[which] = _key_array(key)
        steered = "RSS" in configuration.features
        table = configuration.indirection_table if steered else ()
        self._table = numpy.array(table, dtype=numpy.int32)
        # What `conclude` says of a packet without a hash does not depend on the packet. Where no table is there, the
        # queue of a hashed packet is that of no steering, or of the illegal configuration with an empty table.
        self._no_queue = conclude(b"", unhashed(0, 0), configuration, readings).queue

    def run_packed(self, data: bytes, offsets: Sequence[int]) -> tuple[Any, Any, Any]:
        """Return report (u16), value (u32; 0 where nothing was hashed) and queue (i32; -1 for none) of each frame.

        Frame i is `data[offsets[i]:offsets[i + 1]]`; raises UsageError for offsets that are not in order or not in it.
        """
        numpy = _numpy()
        octets = numpy.frombuffer(data, dtype=numpy.uint8)
        octets.flags.writeable = False
        places = numpy.ascontiguousarray(offsets, dtype=numpy.int64)
        if places.ndim != 1 or len(places) == 0:
            raise UsageError("offsets of packed frames: one more than there are frames")
        if places[0] < 0 or places[-1] > len(octets) or bool((places[1:] < places[:-1]).any()):
            raise UsageError("offsets of packed frames: not in order, or outside of the data")
        count = len(places) - 1
        report = numpy.empty(count, dtype=numpy.uint16)
        value = numpy.empty(count, dtype=numpy.uint32)
        queue = numpy.empty(count, dtype=numpy.int32)
        self._batch(
            octets, places, self._configuration.hash_types, enabled_tunnels(self._configuration), self._readings,
            self._keys, self._hashed, self._table, self._no_queue, report, value, queue,
        )
        return report, value, queue

    def outcomes(self, frames: Sequence[bytes]) -> list[Outcome]:
        """Return what `reference.outcome` returns for each frame."""
        offsets = [0]
        for frame in frames:
            offsets.append(offsets[-1] + len(frame))
        columns = (column.tolist() for column in self.run_packed(b"".join(frames), offsets))
        return [
            Outcome(report, ANY_VALUE if report == 0 and self._any_value else value, queue)
            for report, value, queue in zip(*columns, strict=True)
        ]


def outcomes(frames: Sequence[bytes], configuration: Configuration, readings: Readings) -> list[Outcome]:
    """Return what `reference.outcome` returns for each frame, by the compiled twin."""
    return Compiled(configuration, readings).outcomes(frames)


@cache
def load() -> Any:
    """Return the module of compiled functions; raises VnethashError where numba is missing."""
    _numpy()
    text = source()
    import numba  # noqa: PLC0415 - takes a second

    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {text}".encode()).hexdigest()[:16]
    name = f"vnethash_compiled_{digest}"
    path = _written(f"{name}.py", text)
    if path is None:
        # Nowhere to write: compile in memory, every time.
        module = ModuleType(name)
        exec(compile(text.replace("cache=True", "cache=False"), name, "exec"), vars(module))  # noqa: S102 - our source
    else:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # numba looks a cached function's module up by name
        spec.loader.exec_module(module)
    if path is None or not any((path.parent / "__pycache__").glob(f"{name}.*.nbi")):
        module.compile_all()
    return module


def source() -> str:
    """Return the text of the module that numba compiles, each function behind those that it calls."""
    functions: list[FunctionType] = [member for module in _MODULES for member in _functions_of(module)]
    functions += [vars(reference)[name] for name in _SHARED]
    tuples: dict[str, type] = {}
    texts: dict[str, str] = {}
    calls: dict[str, list[str]] = {}
    signatures: dict[str, str] = {}
    functions.append(cast("FunctionType", batch))
    for function in functions:
        name = _name_of(function)
        translator = _Translator(function, tuples)
        texts[name] = translator.text()
        calls[name] = sorted(translator.calls)  # so that the text, and its name in the cache, is always the same
        signatures[name] = ", ".join(_type_source(kind) for kind in translator.types)
    order = list(TopologicalSorter(calls).static_order())
    parts = [_HEAD, *(_tuple_source(name, kind) for name, kind in tuples.items())]
    parts += [texts[name] for name in order if name in texts]
    rows = [f"    ({name}, ({signatures[name]},))," for name in order if name in texts and signatures[name]]
    rows = [row for row in rows if "models_batch" not in row]
    makers = [f"    ({name}, {name}_kinds)," for name in tuples]
    parts.append("\n".join(["SIGNATURES = (", *makers, *rows, ")"]))
    return "\n\n".join(parts) + "\n"


#: The model's functions are called by one another only and allocate nothing: without wrappers and reference counts.
_HEAD = '''"""Generated from vnethash.models by vnethash.models.compiled, not to be edited."""

from collections import namedtuple
from numba import bool_, int64, njit, types

plain = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, no_rewrites=True, _nrt=False)
entry = njit(nogil=True, cache=True)
octets = types.Array(types.uint8, 1, "C", readonly=True)
numbers = int64[::1]


def compile_all():
    """Compile each function once, for the types that it declares; else numba does so for each constant given to it."""
    for function, kinds in SIGNATURES:
        function.compile(kinds)
        function.disable_compile()
'''


def _functions_of(module: ModuleType) -> list[FunctionType]:
    return [
        member for member in vars(module).values()
        if isinstance(member, FunctionType) and member.__module__ == module.__name__
    ]


def _name_of(thing: FunctionType | type) -> str:
    """Return e.g. "ipv6_plain": functions of different modules may have the same name."""
    module = "models" if thing is batch else thing.__module__.rpartition(".")[2]
    return f"{module}_{thing.__name__}"


def _type_source(kind: Any) -> str:
    """Return the numba type of an argument of the model."""
    if isinstance(kind, type) and issubclass(kind, tuple) and kind is not Readings:
        return f"{_name_of(kind)}_type"
    return {int: "int64", bool: "bool_", bytes: "octets", Readings: "numbers"}.get(kind, "")


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


class _Translator(ast.NodeTransformer):
    """Resolves what a function takes from its module; raises VnethashError for what the subset does not have."""

    def __init__(self, function: FunctionType, tuples: dict[str, type]) -> None:
        self.calls: set[str] = set()
        self._function = function
        self._names = function.__globals__
        self._tuples = tuples
        self._tree = ast.parse(inspect.getsource(function)).body[0]
        assert isinstance(self._tree, ast.FunctionDef)
        arguments = [argument.arg for argument in self._tree.args.args]
        used = [node for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        self._local = {*arguments, *(node.id for node in used if isinstance(node.ctx, ast.Store))}
        names = {**self._names, "Configuration": object}  # of what is imported for type checking only
        hints = get_type_hints(function, names)
        self.types = [hints[argument] for argument in arguments]

    def text(self) -> str:
        """Return the function's text in the generated module."""
        tree = self._tree
        assert isinstance(tree, ast.FunctionDef)
        for argument in tree.args.args:
            argument.annotation = None
        tree.returns = None
        tree.name = _name_of(self._function)
        tree.decorator_list = [ast.Name("entry" if self._function is batch else "plain", ast.Load())]
        tree.body = [self.visit(statement) for statement in tree.body[1:]]  # without the docstring
        return ast.unparse(ast.fix_missing_locations(tree))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._local or node.id not in self._names:
            return node
        thing = self._names[node.id]
        if isinstance(thing, int):
            return ast.Constant(int(thing))
        if isinstance(thing, FunctionType):
            self.calls.add(_name_of(thing))
            return ast.Name(_name_of(thing), node.ctx)
        if isinstance(thing, type) and issubclass(thing, tuple):
            self._tuples[_name_of(thing)] = thing
            return ast.Name(_name_of(thing), node.ctx)
        raise VnethashError(f"models/compiled.py cannot translate {node.id!r}", hint="see docs/model.md, the subset")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id not in self._local:
            thing = self._names.get(node.value.id)
            if isinstance(thing, type) and issubclass(thing, IntEnum):
                return ast.Constant(int(thing[node.attr]))
        if isinstance(node.value, ast.Name) and node.value.id == "readings":
            return ast.Subscript(node.value, ast.Constant(Readings._fields.index(node.attr)), ast.Load())
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "frame":
            return ast.Call(ast.Name("int64", ast.Load()), [node], [])
        return node


def _written(name: str, text: str) -> Path | None:
    """Write the module into the user's cache and return its path, None where nothing can be written."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "vnethash"
    path = folder / name
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return path if os.access(folder, os.W_OK) else None
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".new", delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError:
        return None
    return path


@cache
def _numpy() -> Any:
    try:
        import numba  # noqa: F401, PLC0415
        import numpy  # noqa: PLC0415
    except ImportError as error:
        raise VnethashError("compiled twin needs numba", hint="pip install 'vnethash[fast]'") from error
    return numpy


@cache
def _key_array(key: bytes) -> Any:
    numpy = _numpy()
    return numpy.array(byte_tables(key), dtype=numpy.uint32)
