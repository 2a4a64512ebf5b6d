"""What is used of walks through options where they are left out (`Scene.walks`): sizes, and where addresses lie.

A turn of a walk is the first turn of a shorter walk that begins at its option. So where an address lies that a walk
finds is proved of one turn, from any place; how long a header must be for a question to matter, of whole short walks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from vnethash.models.options import home_address, plain_home
from vnethash.models.symbolic.solve import Problem
from vnethash.models.symbolic.stage import RECURSION
from vnethash.models.symbolic.terms import Graph, Value
from vnethash.models.symbolic.translate import Frame, Row, Translator
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from types import FunctionType

#: Bytes of a header in which two readings lead a walk to different results, others being read literally: an address
#: behind thirty options.
MATTERS_FROM = {"home_repeated": 40, "option_limit": 56}
_TOP = 1 << 12
_HEADER = 54


def _translator(turns: int) -> Translator:
    sys.setrecursionlimit(max(RECURSION, sys.getrecursionlimit()))
    return Translator(Graph(), {"options.home_address": turns, "options.plain_home": turns})


def address_inside(seconds: float) -> tuple[str, ...]:
    """Return the walks that may find an address that is not all inside their header; () is the proof."""
    wrong = []
    for name, walk in (("home_address", home_address), ("plain_home", plain_home)):
        translator = _translator(1)
        graph = translator.graph
        header = graph.integer("header", 54, _TOP)
        size = graph.integer("size", 2, _TOP)
        end = graph.add(graph.add(header, size), graph.integer("behind", 0, _TOP))
        values: list[Value] = []
        for field, question in questions_by_field().items():
            literal = field in {"home_overrun", "home_length"}
            values.append(0 if literal else graph.integer(field, 0, len(question.readings) - 1))
        readings = Row(Readings, tuple(values))
        places = (header, size, end, readings) if walk is home_address else (header, size)
        found = translator.call(cast("FunctionType", walk), Frame(end), *places)
        offset = cast("Value", found.values[0] if isinstance(found, Row) else found)
        early = graph.less(offset, graph.add(header, 4))
        late = graph.less(graph.add(header, size), graph.add(offset, 16))
        outside = graph.both(graph.negate(graph.equal(offset, 0)), graph.either(early, late))
        if Problem(outside).check(outside, seconds=seconds).kind != "unsat":
            wrong.append(name)
    return tuple(wrong)


def may_be_asked(field: str, size: int, seconds: float) -> bool:
    """Say whether a question may be asked in a header of so many bytes, other questions being read literally."""
    return _may(field, size, seconds, differ=False)


def may_matter(field: str, size: int, seconds: float) -> bool:
    """Say whether two readings of a question may lead to different results in a header of so many bytes."""
    return _may(field, size, seconds, differ=True)


def _may(field: str, size: int, seconds: float, *, differ: bool) -> bool:
    """Translate whole walks through one header; where it begins does not matter (`place.moved`)."""
    translator = _translator(size - 2)
    graph = translator.graph
    end = graph.integer("end", _HEADER + size, _TOP)
    results = []
    for number in range(len(questions_by_field()[field].readings) if differ else 1):
        readings = Row(Readings, tuple(number if name == field else 0 for name in Readings._fields))
        found = translator.call(cast("FunctionType", home_address), Frame(end), _HEADER, size, end, readings)
        assert isinstance(found, Row)
        results.append(found)
    wrong = translator.log.asked.get(field, False)
    if differ:
        apart: Value = False
        for result in results[1:]:
            for one, other in zip(results[0].values[:2], result.values[:2], strict=True):
                apart = graph.either(apart, graph.negate(graph.equal(cast("Value", one), cast("Value", other))))
        wrong = graph.both(wrong, apart)
    return wrong is not False and Problem(wrong).check(wrong, seconds=seconds).kind != "unsat"
