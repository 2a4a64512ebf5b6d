"""The two solvers: they agree, models hold, and what takes too long is unknown."""

from __future__ import annotations

import pytest
from vnethash.models.symbolic import solve
from vnethash.models.symbolic.solve import Problem
from vnethash.models.symbolic.terms import Graph, Value
from vnethash.spec.errors import VnethashError


def word(graph: Graph, offset: Value) -> Value:
    return graph.add(graph.left(graph.byte(offset), 8), graph.byte(graph.add(offset, 1)))


def only_bitwuzla(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let z3 say nothing but to a problem that another solver has settled (three conditions and more)."""
    plain = solve._ask_z3

    def silent(asserted: list[object], seconds: float) -> tuple[str, object]:
        return plain(asserted, seconds) if len(asserted) > 6 else ("unknown", None)

    pytest.importorskip("bitwuzla")
    monkeypatch.setattr(solve, "_ask_z3", silent)


@pytest.mark.parametrize("by", ["z3", "bitwuzla"])
def test_a_model_satisfies_the_conditions_whoever_found_it(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "bitwuzla":
        only_bitwuzla(monkeypatch)
    graph = Graph()
    place = graph.integer("place", 3, 9)
    flag = graph.truth("flag")
    conditions = (graph.equal(word(graph, place), 0x1234), graph.less(5, place), flag)
    answer = Problem(*conditions).check(*conditions, seconds=20)
    assert (answer.kind, answer.by) == ("sat", by)
    assert answer.model is not None
    offset = answer.model.number("place")
    assert 5 < offset <= 9
    assert answer.model.octets(11)[offset:offset + 2] == b"\x12\x34"
    assert answer.model.number("flag") == 1
    assert answer.model.number("absent", 7) == 7


@pytest.mark.parametrize("by", ["z3", "bitwuzla"])
def test_what_cannot_be_is_unsat(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "bitwuzla":
        only_bitwuzla(monkeypatch)
    graph = Graph()
    place = graph.integer("place", 3, 9)
    conditions = (graph.equal(graph.byte(place), 7), graph.equal(graph.byte(4), 8), graph.equal(place, 4))
    answer = Problem(*conditions).check(*conditions, seconds=20)
    assert (answer.kind, answer.by) == ("unsat", by)
    assert answer.model is None


def test_a_condition_that_is_false_by_its_form_needs_no_solver() -> None:
    graph = Graph()
    condition = graph.less(9, graph.integer("place", 3, 9))
    assert Problem(condition).check(condition, seconds=1).by == "form"


def test_what_is_too_hard_is_unknown_in_time() -> None:
    graph = Graph()
    first, second = (graph.integer(name, 2, 0x7FFFFFFF) for name in ("first", "second"))
    hard = graph.equal(graph.multiply(first, second), 1500450271 * 1073807359)  # two primes
    apart = graph.less(second, first)
    answer = Problem(hard, apart).check(hard, apart, seconds=0.6)
    assert answer.kind == "unknown"


def test_a_condition_made_later_is_encoded_if_it_is_not_wider() -> None:
    graph = Graph()
    place = graph.integer("place", 3, 9)
    problem = Problem(place)
    assert problem.check(graph.less(place, 4), seconds=5).kind == "sat"
    with pytest.raises(VnethashError, match="wider"):
        problem.check(graph.less(place, graph.integer("great", 0, 1 << 40)), seconds=5)
