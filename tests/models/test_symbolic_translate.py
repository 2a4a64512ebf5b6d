"""The translated model says what CPython says, and what cannot be translated is refused."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import z3
from vnethash.models import link as link_module
from vnethash.models.packet import Selection
from vnethash.models.reference import NEGOTIATED, decide
from vnethash.models.symbolic import translate
from vnethash.models.symbolic.encode import Encoder
from vnethash.models.symbolic.evaluate import evaluate
from vnethash.models.symbolic.late import LATE
from vnethash.models.symbolic.scene import Scene
from vnethash.models.symbolic.search import RECURSION
from vnethash.models.symbolic.subset import SubsetError, load
from vnethash.models.symbolic.terms import Graph
from vnethash.models.symbolic.translate import Frame, Row, Translator
from vnethash.spec.errors import EXIT_TOOL
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

from tests.models.random_frames import any_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of the longest frame, and turns: few enough to build fast; frames that need more are counted, not compared.
MOST = 200
TURNS = {"options.home_address": 5, "options.plain_home": 4, "ipv6.ipv6": 7, "ipv4.source_route": 6, "link.shim": 3}


@pytest.fixture(autouse=True)
def deep_recursion() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION)
    yield
    sys.setrecursionlimit(before)


def random_case(r: Random) -> tuple[bytes, int, int, Readings]:
    """Return frame, types, tunnels and readings."""
    frame = any_frame(r)
    while len(frame) > MOST:
        frame = any_frame(r)
    numbers = [r.randrange(len(question.readings)) if r.random() < 0.3 else 0 for question in load_questions().values()]
    tunnels = r.choice((0, 0, NEGOTIATED | r.randrange(512)))
    return frame, r.randrange(512), tunnels, Readings(*numbers)


def unknowns(frame: bytes, types: int, tunnels: int, readings: Readings) -> dict[str, bool | int]:
    enabled = {"negotiated": tunnels != 0, "tunnels": tunnels & 511}
    return {**readings._asdict(), "length": len(frame), "types": types, **enabled}


def test_all_unknown_the_terms_come_to_what_cpython_returns_for_hundreds_of_frames() -> None:
    scene = Scene(most=MOST, tunnels=None, turns=TURNS)
    chosen = scene.decide(scene.readings())
    overrun = scene.overrun()
    r = Random(1)
    compared = 0
    for _ in range(540):
        case = random_case(r)
        frame, types, tunnels, readings = case
        values = unknowns(*case)
        if evaluate((overrun,), values, frame)[0]:
            continue
        compared += 1
        expected = decide(frame, len(frame), types, tunnels, readings)
        got = Selection(*evaluate(chosen.values, values, frame))  # type: ignore[arg-type]
        assert got == expected, f"{frame.hex()} {types:#x} {tunnels:#x} {readings}"
    assert compared > 500
    # Every question is asked in `decide`, or is one of those that are known to be asked behind it, or (option-limit)
    # is asked behind 30 options, more than these turns.
    assert set(scene.translator.log.asked) | LATE | {"option_limit"} == set(Readings._fields)
    assert not set(scene.translator.log.asked) & LATE


def test_z3_computes_what_cpython_returns() -> None:
    r = Random(2)
    readings = Readings()
    scene = Scene(most=MOST, turns=TURNS)
    chosen = scene.decide(scene.readings(readings._asdict()))
    encoder = Encoder((*chosen.values, scene.overrun(), scene.length))
    expressions = [encoder.expression(value) for value in chosen.values[:6]]
    overrun = encoder.expression(scene.overrun())
    compared = 0
    for _ in range(30):
        frame, types, _, _ = random_case(r)
        array = z3.K(z3.BitVecSort(encoder.width), z3.BitVecVal(0, 8))
        for place, octet in enumerate(frame):
            array = z3.Store(array, place, octet)
        known = {"length": len(frame), "types": types}
        given = [(encoder.frame, array)]
        given += [(unknown, z3.BitVecVal(known[name], encoder.width)) for name, unknown in encoder.variables.items()]
        results = [z3.simplify(z3.substitute(term, *given)) for term in (*expressions, overrun)]
        if not z3.is_false(results.pop()):
            continue
        compared += 1
        assert tuple(result.as_long() for result in results) == decide(frame, len(frame), types, 0, readings)[:6]
    assert compared > 20


#: Readings under which every operator matters.
SENSITIVE = Readings(source_route=1, home_alignment=1)


@pytest.fixture(scope="module")
def cases() -> list[tuple[bytes, int]]:
    """Return frames and types for which the loops are unrolled far enough."""
    sys.setrecursionlimit(RECURSION)
    scene = Scene(most=MOST, turns=TURNS)
    scene.decide(scene.readings(SENSITIVE._asdict()))
    overrun = scene.overrun()
    r = Random(3)
    found = [random_case(r)[:2] for _ in range(500)]
    return [
        (frame, types) for frame, types in found
        if not evaluate((overrun,), unknowns(frame, types, 0, SENSITIVE), frame)[0]
    ]


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("ast.Lt()", "graph.less(first, second)", "graph.less(first, second)"),
        ("ast.Lt()", "graph.less(first, second)", "graph.negate(graph.less(second, first))"),
        ("ast.Sub()", "graph.subtract(first, second)", "graph.add(first, second)"),
        ("ast.Mult()", "graph.multiply(first, second)", "graph.add(first, second)"),
    ],
)
def test_an_operator_that_is_translated_wrongly_is_noticed_and_only_that(
    place: str, old: str, new: str, cases: list[tuple[bytes, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = Path(translate.__file__).read_text("utf-8")
    start = text.index(old, text.index(place))
    mutant = ModuleType("mutant")
    monkeypatch.setitem(sys.modules, "mutant", mutant)
    exec(compile(text[:start] + new + text[start + len(old):], "mutant", "exec"), vars(mutant))
    for name in ("Translator", "Frame", "Row"):
        monkeypatch.setattr(f"vnethash.models.symbolic.scene.{name}", getattr(mutant, name))
    scene = Scene(most=MOST, turns=TURNS)
    chosen = scene.decide(scene.readings(SENSITIVE._asdict()))
    wrong = 0
    for frame, types in cases:
        got = evaluate(chosen.values[:6], unknowns(frame, types, 0, SENSITIVE), frame)
        wrong += tuple(got) != decide(frame, len(frame), types, 0, SENSITIVE)[:6]
    assert (wrong > 0) == (old != new)


def module_of(text: str, folder: Path) -> Any:
    path = folder / "outside.py"
    path.write_text("from typing import NamedTuple\n\n" + text)
    spec = importlib.util.spec_from_file_location("outside", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFUSED = {
    "for loop": ("def f(x):\n    for i in (1, 2):\n        x = i\n    return x\n", 4, "while loop"),
    "augmented assignment": ("def f(x):\n    x += 1\n    return x\n", 4, "x = x + 1"),
    "division": ("def f(x):\n    return x // 2\n", 4, "use + -"),
    "chained comparison": ("def f(x):\n    return 1 < x < 3\n", 4, "a < b and b < c"),
    "membership": ("def f(x):\n    return x in (1, 2)\n", 4, "x == A or x == B"),
    "truth of a number": ("def f(x):\n    if x:\n        return 1\n    return 2\n", 4, "x != 0"),
    "arithmetic of truth values": ("def f(x):\n    return (x == 1) + 1\n", 4, "if and else"),
    "name that may be unbound": ("def f(x):\n    if x == 1:\n        y = 2\n    return y\n", 6, "on every path"),
    "path without return": ("def f(x):\n    if x == 1:\n        return 2\n", 3, "on every path"),
    "keyword argument": ("def g(x):\n    return x\n\n\ndef f(x):\n    return g(x=x)\n", 8, "by its name"),
    "method": ("def f(x):\n    return x.bit_length()\n", 4, "by its name"),
    "exception": ("def f(x):\n    raise ValueError\n", 4, "return a value"),
    "text": ("def f(x):\n    return 'a'\n", 4, "numbers and truth"),
    "list": ("def f(x):\n    return [x]\n", 4, "NamedTuple"),
    "default": ("def f(x=1):\n    return x\n", 3, "by position"),
    "unknown function": ("def f(x):\n    return abs(x)\n", 4, "function of the model"),
    "branches of two kinds": ("def f(x):\n    if x == 1:\n        return True\n    return 2\n", 4, "one kind"),
    "shift by an unknown": ("def f(x):\n    return 1 << x\n", 4, "constant"),
    "slice": ("def f(x):\n    return x[1:2]\n", 4, "docs/proofs.md"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_outside_the_subset_is_refused_with_file_line_and_a_hint(name: str, tmp_path: Path) -> None:
    text, line, hint = REFUSED[name]
    module = module_of(text, tmp_path)
    graph = Graph()
    with pytest.raises(SubsetError) as caught:
        Translator(graph).call(module.f, graph.integer("x", 0, 9))
    assert caught.value.where.endswith(f"/outside.py:{line}")
    assert hint in caught.value.hint
    assert caught.value.exit_code == EXIT_TOOL


def test_a_loop_that_goes_on_behind_its_bound_is_recorded_with_its_place(tmp_path: Path) -> None:
    text = "def f(x):\n    n = 0\n    while n < x:\n        n = n + 1\n    return n\n"
    graph = Graph()
    translator = Translator(graph, iterations=4)
    result = translator.call(module_of(text, tmp_path).f, graph.integer("x", 0, 6))
    (place, condition), = translator.log.unwinding.items()
    assert place.endswith("/outside.py:5")
    for x in range(7):
        assert evaluate((condition,), {"x": x}, b"")[0] == (x > 4)
        if x <= 4:
            assert evaluate((result,), {"x": x}, b"")[0] == x  # type: ignore[arg-type]


def test_a_read_behind_the_end_of_the_frame_is_recorded(tmp_path: Path) -> None:
    text = "def f(frame, x):\n    if x < 3:\n        return frame[x + 1]\n    return 0\n"
    graph = Graph()
    translator = Translator(graph, frame_reads=True)
    translator.call(module_of(text, tmp_path).f, Frame(3), graph.integer("x", 0, 9))
    (place, condition), = translator.log.reads.items()
    assert place.endswith("/outside.py:5")
    assert [evaluate((condition,), {"x": x}, b"")[0] for x in range(5)] == [0, 0, 1, 0, 0]


def test_a_call_is_known_again_under_readings_that_differ_only_where_it_does_not_look(tmp_path: Path) -> None:
    text = (
        "def g(readings):\n    return readings.tcp_cut + 1\n"
        "def f(x, readings):\n    return x + g(readings)\n"
        "def h(x, readings):\n    if readings.vlan_tags == 1:\n        return 5\n    return f(x, readings)\n"
    )
    module = module_of(text, tmp_path)
    translator = Translator(Graph())
    fields = Readings._fields

    def called(function: Any, **chosen: int) -> Any:
        return translator.call(function, 10, Row(Readings, tuple(chosen.get(field, 0) for field in fields)))

    assert (called(module.h), called(module.h, tcp_cut=1), called(module.h, vlan_tags=1)) == (11, 12, 5)
    assert set(translator.log.asked) == {"tcp_cut", "vlan_tags"}
    known = len(translator._memory)
    assert called(module.h, udp_cut=1) == 11
    assert called(module.f, vlan_tags=1) == 11
    assert len(translator._memory) == known


def test_every_function_of_the_model_is_in_the_subset() -> None:
    assert load(link_module.link).parameters == ("frame", "length", "readings")
    scene = Scene(most=60)
    scene.decide(scene.readings())  # translates all that `decide` calls
