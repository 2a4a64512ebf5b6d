"""The walker agrees with the closed forms of `plain.py`, on frames of any length.

A closed form fixes the beginning of the frame, so that few turns of any loop are left; that these suffice is part of
what is proved.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vnethash.models import plain
from vnethash.models.contracts import LOOPS
from vnethash.models.packet import Selection
from vnethash.models.reference import NEGOTIATED, decide, enabled_tunnels
from vnethash.models.symbolic.modular import parameters
from vnethash.models.symbolic.obligations import Counterexample, Task, Verdict
from vnethash.models.symbolic.query import configuration_of
from vnethash.models.symbolic.scene import HAS_TUNNELS, LENGTH, TUNNELS, TYPES, Scene
from vnethash.models.symbolic.search import RECURSION
from vnethash.models.symbolic.solve import Model, Problem
from vnethash.models.symbolic.translate import Frame, Row
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FunctionType

    from vnethash.models.symbolic.terms import Value
    from vnethash.spec.configuration import Configuration

GROUP = "closed forms"
#: An IP packet of 65,535 bytes behind an Ethernet header and two tags.
MOST = 65_557
_TURNS = 4
_BOUNDS = f"frames of any length up to {MOST:,} bytes, any hash types; readings as each statement says"


class Law(NamedTuple):
    """A closed form and when it holds.

    Attributes:
        form: the function of `plain.py`.
        known: bytes of the frame that it fixes, by offset; it says so itself too.
        settled: questions that are read literally; all others are read in any way. None: all are read literally.
        tunnels: what `enabled_tunnels` returns, None for anything; a form that is about tunnels takes it.
        least: the shortest frames that it is about, in bytes, if the known bytes do not say so.
        most: the longest.
    """

    form: Callable[..., plain.Expected]
    known: Mapping[int, int]
    settled: tuple[str, ...] | None = ()
    tunnels: int | None = 0
    least: int = 0
    most: int = MOST


_IPV4 = {12: 8, 13: 0, 14: 0x45}
_IPV6 = {12: 0x86, 13: 0xDD, 14: 0x60}
_TAGGED = {12: 0x81, 13: 0, 16: 8, 17: 0, 18: 0x45, 27: 6}

LAWS: dict[str, Law] = {
    law.form.__name__.replace("_", "-"): law
    for law in (
        Law(plain.runt, {}, most=13),
        Law(plain.not_ip, {}, least=14),
        Law(plain.ipv4_tcp, {**_IPV4, 23: 6}),
        Law(plain.ipv4_udp, {**_IPV4, 23: 17}),
        Law(plain.ipv4_other, _IPV4, ("tunnel-unnegotiated",)),
        Law(
            plain.ipv4_options, {**_IPV4, 14: 0x46, 23: 6, 34: 1, 35: 1, 36: 1, 37: 0},
            ("ipv4-options", "other-transport"),
        ),
        Law(plain.ipv4_later_fragment, _IPV4, ("ipv4-later-fragment", "tunnel-unnegotiated")),
        Law(plain.ipv4_flags, {**_IPV4, 23: 6}, ("fragment-flags", "other-transport")),
        Law(plain.ipv4_tagged, _TAGGED, ("vlan-tags", "vlan-tpid", "other-transport")),
        Law(plain.ipv6_tcp_base, {**_IPV6, 20: 6}),
        Law(plain.ipv6_udp_base, {**_IPV6, 20: 17}),
        Law(plain.ipv6_tcp, {**_IPV6, 20: 6}, ("ex-packets",)),
        Law(plain.ipv6_udp, {**_IPV6, 20: 17}, ("ex-packets",)),
        Law(plain.ipv6_other, {**_IPV6, 20: 89}, ("ex-packets",)),
        Law(plain.ipv6_hop_by_hop, {**_IPV6, 20: 0, 54: 6, 56: 1}, None),
        Law(plain.ipv6_authentication, {**_IPV6, 20: 51, 54: 6}, None),
        Law(plain.ipv6_home_address, {**_IPV6, 20: 60, 54: 6, 55: 2, 56: 1, 57: 2, 60: 0xC9, 61: 16}, None),
        Law(plain.ipv6_route, {**_IPV6, 20: 43, 54: 6, 55: 2, 56: 2, 57: 1}, None),
        Law(
            plain.ipv6_route_and_home,
            {**_IPV6, 20: 43, 54: 60, 55: 2, 56: 2, 57: 1, 78: 17, 79: 2, 80: 1, 81: 2, 84: 0xC9, 85: 16},
            None,
        ),
        Law(plain.ipv6_later_fragment, {**_IPV6, 20: 44, 54: 6, 55: 0}, None),
        Law(plain.ip_in_ip, {**_IPV4, 23: 4, 34: 0x45, 43: 6}, None, tunnels=None),
        Law(plain.vxlan, {**_IPV4, 23: 17, 36: 0x12, 37: 0xB5, 62: 8, 63: 0, 64: 0x45, 73: 6}, None, tunnels=None),
        Law(plain.no_tunnel_enabled, _IPV4, (), tunnels=NEGOTIATED),
    )
}


def tasks() -> list[Task]:
    """Return one task for each law."""
    return [
        Task(GROUP, name, _statement(law), _BOUNDS, seconds=240.0, cost=10.0 if law.settled is None else 4.0)
        for name, law in LAWS.items()
    ]


def _statement(law: Law) -> str:
    words = " ".join((law.form.__doc__ or "").split()).rstrip(".")
    if law.settled is None:
        readings = "the literal readings"
    else:
        readings = "all readings" + (f" but of {', '.join(law.settled)}" if law.settled else "")
    tunnels = {0: "", None: "; HASH_TUNNEL with any types or not negotiated"}
    told = tunnels.get(law.tunnels, "; HASH_TUNNEL negotiated")
    return f"{words}: frames of {shortest(law)} to {law.most:,} bytes, {readings}{told}"


def shortest(law: Law) -> int:
    """Return the least number of bytes of a frame that can be of the kind."""
    return max(law.least, *(place + 1 for place in law.known), 0)


def takes_tunnels(law: Law) -> bool:
    """Say whether a closed form is about tunnels."""
    return "tunnels" in parameters(law.form)


def run(task: Task) -> Verdict:
    """Prove one law; a counterexample is run through CPython."""
    sys.setrecursionlimit(RECURSION)
    started = time.monotonic()
    law = LAWS[task.name]
    scene = Scene(
        most=law.most, least=shortest(law), known=law.known, tunnels=law.tunnels,
        turns=dict.fromkeys(LOOPS, _TURNS),
    )
    graph = scene.graph
    applies, expected = _expected(law, scene)
    chosen = scene.decide(scene.readings(settled(law)))
    agrees: Value = True
    for field in ("report", "source", "destination", "size", "ports"):
        one = chosen.values[Selection._fields.index(field)]
        other = expected.values[plain.Expected._fields.index(field)]
        agrees = graph.both(agrees, graph.equal(cast("Value", one), cast("Value", other)))
    wrong = graph.both(applies, graph.either(graph.negate(agrees), scene.overrun()))
    report = cast("Value", expected.values[plain.Expected._fields.index("report")])
    problem = Problem(wrong, applies, scene.length, scene.type_bits, scene.tunnel_bits, report)
    problem.fix(law.known)
    answer = problem.check(wrong, seconds=task.seconds)
    if answer.kind == "unknown":
        return Verdict("open", f"no answer within {task.seconds:g} s")
    if answer.model is not None:
        return _refuted(task.name, law, scene, _shorter(problem, scene, wrong, answer.model))
    reports = _reports(problem, scene, applies, report)
    if not reports:
        return Verdict("open", "no frame is of this kind: the statement is empty")
    return Verdict(
        "proved", f"by {answer.by} in {answer.seconds:.1f} s",
        cover=f"frames with report {', '.join(map(str, reports))}", seconds=time.monotonic() - started,
        data={"reports": reports},
    )


def _shorter(problem: Problem, scene: Scene, wrong: Value, model: Model) -> Model:
    """Return a model with a short frame, if one is found soon."""
    for most in (64, 128, 256, 1514):
        short = scene.graph.negate(scene.graph.less(most, scene.length))
        answer = problem.check(wrong, short, seconds=5.0, likely="sat")
        if answer.model is not None:
            return answer.model
    return model


def settled(law: Law) -> dict[str, int]:
    """Return the readings that a law takes literally, by field."""
    if law.settled is None:
        return dict.fromkeys(Readings._fields, 0)
    questions = load_questions()
    return {questions[name].field: 0 for name in law.settled}


def _expected(law: Law, scene: Scene) -> tuple[Value, Row]:
    arguments: list[Any] = [Frame(scene.length), scene.length, scene.type_bits]
    if takes_tunnels(law):
        arguments.append(scene.tunnel_bits)
    row = scene.translator.call(cast("FunctionType", law.form), *arguments)
    assert isinstance(row, Row)
    return cast("Value", row.values[0]), row


def _reports(problem: Problem, scene: Scene, applies: Value, report: Value) -> list[int]:
    """Return the reports that frames of the kind can have: what shows that a law is not empty."""
    found = []
    for number in range(10):
        equal = scene.graph.equal(report, number)
        if equal is not False and problem.check(applies, equal, seconds=20.0, likely="sat").kind == "sat":
            found.append(number)
    return found


def _refuted(name: str, law: Law, scene: Scene, model: Model) -> Verdict:
    size = model.number(LENGTH, MOST)
    frame = bytearray(model.octets(size))
    for place, octet in law.known.items():
        if place < size:
            frame[place] = octet
    tunnels = law.tunnels or 0
    if law.tunnels is None and model.number(HAS_TUNNELS):
        tunnels = NEGOTIATED | model.number(TUNNELS)
    configuration = configuration_of(model.number(TYPES), tunnels)
    fixed = settled(law)
    readings = Readings(**{
        field: fixed.get(field, model.number(field)) for field in Readings._fields
    })
    shows = broken(law, bytes(frame), configuration, readings)
    if not shows:
        return Verdict("open", "the solver's counterexample does not hold in CPython: a fault of the translation")
    differing = {
        question.id: question.readings[getattr(readings, question.field)].name
        for question in load_questions().values()
        if getattr(readings, question.field) != 0
    }
    shown = Counterexample(bytes(frame).hex(), configuration.to_json(), differing, shows)
    return Verdict("refuted", f"{name}: {_statement(law)}", counterexample=shown)


def broken(law: Law, frame: bytes, configuration: Configuration, readings: Readings) -> str:
    """Say in one line how CPython breaks a law on a frame, "" if it does not."""
    tunnels = enabled_tunnels(configuration)
    arguments = (frame, len(frame), configuration.hash_types, *((tunnels,) if takes_tunnels(law) else ()))
    expected = law.form(*arguments)
    chosen = decide(frame, len(frame), configuration.hash_types, tunnels, readings)
    got = (chosen.report, chosen.source, chosen.destination, chosen.size, chosen.ports)
    if not expected.applies or got == tuple(expected[1:]):
        return ""
    words = "report {}, addresses at {} and {} of {} bytes, ports at {}"
    return f"the model: {words.format(*map(int, got))}; the closed form: {words.format(*map(int, expected[1:]))}"
