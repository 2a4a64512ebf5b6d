"""Proofs for frames of any length: reads stay inside the frame, loops end, every function gives what others rely on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.models.contracts import CONTRACTS, LOOPS
from vnethash.models.symbolic.dependence import equal_names
from vnethash.models.symbolic.modular import MOST, THERE, Check, Modular, Session, arguments_of, parameters
from vnethash.models.symbolic.obligations import Counterexample, Task, Verdict
from vnethash.models.symbolic.solve import Model, Problem
from vnethash.models.symbolic.terms import Term, Value
from vnethash.models.symbolic.translate import Frame, Row, Thing
from vnethash.models.watched import Broken, Bytes, ask, counted, function_of, watched
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "walks"
_BOUNDS = f"frames of any length up to {MOST:,} bytes, any number of headers and options, all readings"

#: Variables of loops that are or come from masks of events, which would make every number as wide as they are.
_EVENTS = frozenset({"events", "padded"})


def tasks() -> list[Task]:
    """Return one task for each function with a contract."""
    return [
        Task(GROUP, name, _statement(name), _BOUNDS, seconds=180.0, cost=15.0 if name.endswith("_inner") else 2.0)
        for name in CONTRACTS
    ]


def _statement(name: str) -> str:
    loops = "; its loop ends" if name in LOOPS else ""
    gives = (CONTRACTS[name].gives.__doc__ or "").partition(".")[0]
    return f"{name} reads inside the frame only{loops}; its result: {gives}"


def session_of(name: str) -> Session:
    """Return all that is to be checked of one function."""
    function = function_of(name)
    session = Session(function)
    readings = session.readings("readings")
    session.unknowns = arguments_of(session, function, readings)
    contract = CONTRACTS[name]
    session.assume(session.predicate(contract.needs, session.unknowns))
    run = Modular(session, function)
    result = run.run(session.unknowns)
    run.check_width("result", result, run.source.tree, True)
    given = session.predicate(contract.gives, {**session.unknowns, "result": result})
    run.check(f"what {name} gives is not as claimed", run.source.tree, True, session.graph.negate(given))
    return session


def run(task: Task) -> Verdict:
    """Prove all checks of one function."""
    started = time.monotonic()
    session = session_of(task.name)
    values = [*session.assumptions, session.there]
    for check in session.checks:
        values += [check.guard, check.wrong]
    problem = Problem(*values, *_numbers(session.unknowns))
    reached = 0
    for check in session.checks:
        left = task.seconds - (time.monotonic() - started)
        answer = problem.check(*session.assumptions, check.guard, check.wrong, seconds=left)
        if answer.kind == "unknown":
            return Verdict("open", f"{check.place}: {check.kind}: no answer within {task.seconds:g} s")
        if answer.model is not None:
            return _refuted(task.name, session, check, _models(problem, session, check, answer.model))
        cover = problem.check(*session.assumptions, check.guard, seconds=20.0, likely="sat")
        reached += cover.kind == "sat"
    if reached == 0:
        return Verdict("open", "nothing of it is reached under what it needs", cover="")
    detail = f"{len(session.checks)} checks, {len(session.met.calls)} calls, {len(session.met.loops)} loops"
    return Verdict(
        "proved", detail, cover=f"{reached} of {len(session.checks)} places reached",
        data={"checks": len(session.checks), "reached": reached},
    )


def _numbers(names: dict[str, Thing]) -> list[Value]:
    found: list[Value] = []
    for value in names.values():
        if isinstance(value, Row):
            found += _numbers(dict(enumerate(value.values)))  # type: ignore[arg-type]
        elif not isinstance(value, Frame):
            found.append(value)
    return found


class Call(NamedTuple):
    """A call of a function of the model with numbers, as a solver found it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def concrete(session: Session, model: Model) -> Call:
    """Return the call that a model of the solver stands for."""
    size = model.number(THERE)
    frame = Bytes(model.octets(size))

    def number(value: Thing) -> Any:
        if isinstance(value, Frame):
            return frame
        if isinstance(value, Row):
            return value.kind(*map(number, value.values))
        if isinstance(value, Term):
            found = model.number(value.name, value.low)
            return bool(found) if value.boolean else found
        return value

    return Call(session.function, tuple(number(value) for value in session.unknowns.values()))


def confirm(name: str, call: Call) -> str:
    """Return what CPython finds broken when it makes the call under watch, "" if nothing."""
    values = dict(zip(function_names(call.function), call.arguments, strict=True))
    values[THERE] = len(values["frame"]) if "frame" in values else MOST
    if not ask(CONTRACTS[name].needs, values):
        return ""
    try:
        with watched(), counted():
            result = call.function(*call.arguments)
    except Broken as broken:
        return str(broken)
    if not ask(CONTRACTS[name].gives, {**values, "result": result}):
        return f"{name} gives other than others rely on"
    return ""


def function_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters."""
    return tuple(parameters(function))


def _models(problem: Problem, session: Session, check: Check, model: Model) -> Iterator[Model]:
    """Yield what breaks a check: short frames first, and of loops the first turn, which a call surely takes."""
    graph = session.graph
    short = graph.less(session.there, 300)
    first: list[Value] = [
        equal_names(graph, {name: value for name, value in loop.before.items() if name not in _EVENTS}, loop.turn.head)
        for loop in session.met.loops
    ]
    for more in ([short, *first], first, [short]):
        if more:
            answer = problem.check(
                *session.assumptions, check.guard, check.wrong, *more, seconds=20.0, likely="sat"
            )
            if answer.model is not None:
                yield answer.model
    yield model


def _refuted(name: str, session: Session, check: Check, models: Iterator[Model]) -> Verdict:
    found = ""
    for model in models:
        call = concrete(session, model)
        found = confirm(name, call)
        if found:
            break
    if not found:
        return Verdict("open", f"{check.place}: {check.kind}: the step is not proved, and no real call shows it wrong")
    values = dict(zip(function_names(call.function), call.arguments, strict=True))
    frame = bytes(values.get("frame", b""))
    chosen = {}
    if "readings" in values:
        questions = questions_by_field()
        for field, index in values["readings"]._asdict().items():
            if index != Readings()._asdict()[field]:
                chosen[questions[field].id] = questions[field].readings[index].name
    shown = ", ".join(f"{key}={value}" for key, value in values.items() if key not in {"frame", "readings"})
    return Verdict(
        "refuted", f"{check.place}: {check.kind}",
        counterexample=Counterexample(frame.hex(), {}, chosen, f"{name}({shown}): {found}"),
    )
