"""The proof that nothing else is open: what comes out depends on the answers to the questions asked, and on no more.

Two runs of a function on the same arguments, under any two readings that agree on every question which the first run
asks, give the same. It is proved function by function for frames of any length: a call in both runs with the same
arguments gives the same if the readings agree on what the call asks, and a loop that begins in the same state ends in
the same if one turn from any state does (induction over calls and turns). For `reference.decide` it says: where the
text leaves no question, there is one outcome.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vnethash.models.contracts import CONTRACTS
from vnethash.models.symbolic.modular import MOST, Call, Met, Modular, Session, arguments_of, parameters
from vnethash.models.symbolic.obligations import Task, Verdict
from vnethash.models.symbolic.solve import Problem
from vnethash.models.symbolic.translate import Frame, Row, Thing
from vnethash.models.watched import function_of
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vnethash.models.symbolic.terms import Graph, Value

GROUP = "completeness"
_BOUNDS = f"frames of any length up to {MOST:,} bytes, any number of headers and options, any two readings"


def tasks() -> list[Task]:
    """Return one task for each function with a contract that knows readings."""
    return [
        Task(
            GROUP, name, f"{name} gives the same under readings that agree on every question that it asks", _BOUNDS,
            seconds=180.0, cost=8.0,
        )
        for name in CONTRACTS
        if "readings" in parameters(function_of(name))
    ]


def run(task: Task) -> Verdict:
    """Prove it of one function: of each of its loops for one turn, then of the whole."""
    started = time.monotonic()
    function = function_of(task.name)
    session = Session(function)
    one, other = session.readings("one"), session.readings("other")
    session.unknowns = arguments_of(session, function, one)
    session.assume(session.predicate(CONTRACTS[task.name].needs, session.unknowns))
    first = Modular(session, function).run(session.unknowns)
    met, session.met = session.met, Met()
    second = Modular(session, function).run({**session.unknowns, "readings": other})
    again = session.met
    # What must not happen: (what it is about, under which conditions, results that differ).
    claims: list[tuple[str, Value, Value]] = []
    related: list[Value] = [*_related(session, met, again)]
    for loop in met.loops:
        session.met = Met()
        turned = loop.owner.turn(loop.statement, _under(loop.turn.head, other), loop.guard)
        related += _related(session, loop.turn.met, turned.met)
        same = equal_names(session.graph, loop.turn.end, turned.end)
        agree = session.graph.both(loop.turn.inside, _agree(session, loop.turn.met, one, other))
        place = loop.owner.source.place(loop.statement)
        claims.append((f"a turn of the loop at {place}", agree, session.graph.negate(same)))
    agree = _agree(session, met, one, other)
    claims.append((task.name, agree, session.graph.negate(equal(session.graph, first, second))))
    known = [*session.assumptions, *related]
    problem = Problem(*known, *(value for claim in claims for value in claim[1:]), session.there)
    matters = 0
    for about, agree, differ in claims:
        left = task.seconds - (time.monotonic() - started)
        answer = problem.check(*known, agree, differ, seconds=left)
        if answer.kind != "unsat":
            why = "no answer" if answer.kind == "unknown" else "readings matter that it does not ask for"
            return Verdict("open", f"{about}: {why}")
        cover = problem.check(*known, agree, seconds=20.0, likely="sat")
        if cover.kind != "sat":
            return Verdict("open", f"{about}: nothing shows that readings can agree there")
        matters += problem.check(*known, differ, seconds=20.0, likely="sat").kind == "sat"
    questions = len({field for field, _ in met.asked} | {f for loop in met.loops for f, _ in loop.turn.met.asked})
    return Verdict(
        "proved", f"{questions} questions asked here, {len(met.calls)} calls, {len(met.loops)} loops",
        cover=f"agreement is possible; without it {matters} of {len(claims)} results differ",
        data={"questions": questions},
    )


def _under(names: Mapping[str, Thing], readings: Row) -> dict[str, Thing]:
    return {
        name: readings if isinstance(value, Row) and value.kind is Readings else value for name, value in names.items()
    }


def _agree(session: Session, met: Met, one: Row, other: Row) -> Value:
    """Say that two readings agree on every question that a run asks, itself or in a call or in a loop."""
    graph = session.graph
    result: Value = True
    for field, guard in met.asked:
        place = Readings._fields.index(field)
        same = equal(graph, one.values[place], other.values[place])
        result = graph.both(result, session.implies(guard, same))
    for called in met.calls:
        result = graph.both(result, session.implies(called.guard, called.agree))
    for loop in met.loops:
        result = graph.both(result, session.implies(loop.guard, loop.agree))
    return result


def _related(session: Session, met: Met, again: Met) -> Iterator[Value]:
    """Yield what links two runs: equal calls and loops give the same where the readings agree."""
    graph = session.graph
    for call in met.calls:
        for other in again.calls:
            if call.function is other.function and call.result is not other.result:
                alike = graph.both(_same_arguments(graph, call, other), call.agree)
                yield session.implies(alike, equal(graph, call.result, other.result))
    for loop in met.loops:
        for other_loop in again.loops:
            if loop.statement is other_loop.statement:
                alike = graph.both(equal_names(graph, loop.before, other_loop.before), loop.agree)
                yield session.implies(alike, equal_names(graph, loop.behind, other_loop.behind))


def _same_arguments(graph: Graph, call: Call, other: Call) -> Value:
    result: Value = True
    for one, two in zip(call.arguments, other.arguments, strict=True):
        result = graph.both(result, equal(graph, one, two))
    return result


def equal_names(graph: Graph, first: Mapping[str, Thing], second: Mapping[str, Thing]) -> Value:
    """Say whether two sets of variables have the same values, where both have a variable."""
    result: Value = True
    for name, value in first.items():
        if name in second:
            result = graph.both(result, equal(graph, value, second[name]))
    return result


def equal(graph: Graph, first: Thing, second: Thing) -> Value:
    """Say whether two values are one: tuples field by field; readings, which two runs have of their own, always."""
    if isinstance(first, Frame) or isinstance(second, Frame) or first is second:
        return True
    if isinstance(first, Row) and isinstance(second, Row):
        result: Value = True
        if first.kind is not Readings:
            for one, other in zip(first.values, second.values, strict=True):
                result = graph.both(result, equal(graph, one, other))
        return result
    assert not isinstance(first, Row)
    assert not isinstance(second, Row)
    return graph.equal(first, second)


