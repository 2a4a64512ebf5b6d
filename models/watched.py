"""The model under watch: every call is held against its contract, every read against the frame, every loop is counted.

    with watched():
        decide(Bytes(frame), len(frame), types, tunnels, readings)

raises `Broken` where a claim of `contracts.py` does not hold on a real frame. It confirms what a solver says, and tests
hold the claims against frames that no solver made.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vnethash.models.contracts import CONTRACTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, FunctionType

#: The modules of the model, whose functions call each other by name.
FAMILY = ("link", "ipv4", "ipv6", "chain", "options", "transport", "tunnel", "select", "reference")
#: Lines that one run may take: a frame of 64 kB needs less than a million.
_MOST_LINES = 4_000_000


class Broken(Exception):  # noqa: N818 - a finding about the model, not an error of ours
    """A claim does not hold; the message says which."""


class Bytes(bytes):
    """A frame that can be read inside only; `bytes` would answer for negative offsets."""

    def __getitem__(self, place: Any) -> Any:
        """Return a byte; raises Broken outside."""
        if isinstance(place, int) and not 0 <= place < len(self):
            caller = sys._getframe(1)
            where = f"{caller.f_code.co_filename.rpartition('/')[2]}:{caller.f_lineno}"
            raise Broken(f"{where} reads byte {place} of a frame of {len(self)} bytes")
        return super().__getitem__(place)


def function_of(name: str) -> FunctionType:
    """Return the function of the model that a contract names as "module.function"."""
    module, _, function = name.partition(".")
    found: FunctionType = getattr(importlib.import_module(f"vnethash.models.{module}"), function)
    return getattr(found, "__wrapped__", found)


@contextmanager
def watched() -> Iterator[None]:
    """Put a watch before every function that has a contract, and take it away again."""
    wrappers = {}
    for name in CONTRACTS:
        function = function_of(name)
        wrappers[function] = _watch(name, function)
    changed: list[tuple[Any, str, Any]] = []
    for module_name in FAMILY:
        module = importlib.import_module(f"vnethash.models.{module_name}")
        for name, thing in list(vars(module).items()):
            if inspect.isfunction(thing) and thing in wrappers:
                changed.append((module, name, thing))
                setattr(module, name, wrappers[thing])
    try:
        yield
    finally:
        for module, name, thing in changed:
            setattr(module, name, thing)


def _watch(name: str, function: FunctionType) -> Any:
    contract = CONTRACTS[name]
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        values = dict(zip(names, arguments, strict=True))
        if "frame" in values:
            values["there"] = len(values["frame"])
        else:
            values["there"] = 1 << 17
        if not ask(contract.needs, values):
            raise Broken(f"{name} is called with other than it needs ({contract.needs.__name__})")
        result = function(*arguments)
        if not ask(contract.gives, {**values, "result": result}):
            raise Broken(f"{name} gives other than others rely on ({contract.gives.__name__})")
        return result

    return call


def ask(predicate: Callable[..., bool], values: dict[str, Any]) -> bool:
    """Return what a predicate of contracts.py says of values, which it takes by name."""
    return bool(predicate(*(values[name] for name in inspect.signature(predicate).parameters)))


@contextmanager
def counted(most: int = _MOST_LINES) -> Iterator[None]:
    """Raise Broken when the model runs more lines than any frame needs: a loop that does not end."""
    left = most

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Broken(f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}: a loop does not end")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
