"""Proofs about questions: any two readings of a question can be told apart, and by which shortest frame.

A question whose readings never differ is none and has to go. The witnesses are for readers: as short as can be, raising
as few other questions as can be, with as many bits cleared as can be.
"""

from __future__ import annotations

import time
from itertools import combinations
from typing import TYPE_CHECKING

from vnethash.models.symbolic.late import LATE, late_witness
from vnethash.models.symbolic.obligations import Task, Verdict
from vnethash.models.symbolic.options_walk import MATTERS_FROM, address_inside, may_be_asked, may_matter
from vnethash.models.symbolic.place import asked_elsewhere, chosen, moved
from vnethash.models.symbolic.query import Witness, questions_raised
from vnethash.models.symbolic.scene import ASKED_FROM, WALK_QUESTIONS
from vnethash.models.symbolic.shortest import Apart, Hunt, Pair, Space
from vnethash.models.symbolic.stage import LINKS
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.spec.questions import Question

GROUP = "questions"
#: Names of the tasks that are about frames and not about a question.
PLACE, ELSEWHERE, OPTIONS = "packets in other places", "frames without IP", "walks through options"
#: Questions that are asked only under another reading of another question.
CONTEXTS: Mapping[str, Mapping[str, int]] = {
    "icmpv6_ports": {"icmpv6_header": 1}, "option_walk_end": {"home_overrun": 2},
}
#: Greatest length of a frame: where options are walked one by one, and elsewhere (17 extension headers and UDP).
_MOST_WALKED = 128
_MOST = 200
_MOST_PLACE = 80
_PLAIN_LINKS = ("ipv4", "ipv6")
#: The question that takes longest: chains of seventeen headers.
_LONGEST = "header_limit"
#: Questions of area "link" that are asked of a packet, not of what stands before it.
_OF_PACKETS = frozenset({"ethertype_version", "short_ip_header"})


def tasks() -> list[Task]:
    """Return one task for each question, and two that say why frames without tags are enough for most."""
    found = [
        Task(
            GROUP, PLACE, "an IP packet is judged alike wherever in the frame it begins",
            f"frames of 18 to {_MOST_PLACE} bytes, all readings and hash types, HASH_TUNNEL not negotiated",
            seconds=300, cost=20,
        ),
        Task(
            GROUP, ELSEWHERE, "where the EtherType names neither IP nor a tag only questions about links are asked",
            f"frames of up to {_MOST} bytes, literal readings of area link, HASH_TUNNEL not negotiated",
            seconds=120, cost=2,
        ),
    ]
    found.append(Task(
        GROUP, OPTIONS, "an address that a walk finds lies inside its header; questions of walks matter from a size on",
        "headers of any size for the first; literal readings of home-overrun and home-length", seconds=200, cost=12,
    ))
    for question in load_questions().values():
        statement = "any two readings are told apart, and no shorter frame does it"
        limit = 300 if question.field != _LONGEST else 900
        found.append(Task(GROUP, question.id, statement, _bounds(question), seconds=limit, cost=_cost(question)))
    return found


def run(task: Task) -> Verdict:
    """Prove one task; raises ReplayError where the solver and CPython disagree."""
    started = time.monotonic()
    if task.name == PLACE:
        return _place(task, started)
    if task.name == ELSEWHERE:
        raised = asked_elsewhere(_MOST) - link_questions()
        detail = f"asked there: {', '.join(sorted(raised))}" if raised else "every EtherType was tried"
        return Verdict("open" if raised else "proved", detail, seconds=time.monotonic() - started)
    if task.name == OPTIONS:
        return _options(task, started)
    question = load_questions()[task.name]
    context = Readings(**CONTEXTS.get(question.field, {}))
    if question.field in LATE:
        return _verdict(question, _late(question), started, _bounds(question))
    hunt = Hunt(question, space_of(question), context, seconds=task.seconds * 0.9)
    return _verdict(question, hunt.run(), started, _bounds(question))


def space_of(question: Question) -> Space:
    """Return where the shortest frames of a question are sought."""
    links = tuple(LINKS) if question.field in link_questions() else _PLAIN_LINKS
    most = _MOST_WALKED if question.field in WALK_QUESTIONS else _MOST
    return Space(links, 14, most, None, None if question.area == "tunnel" else 0)


def link_questions() -> set[str]:
    """Return the questions (fields) about what stands before a packet: for others the kind of link does not matter."""
    return {question.field for question in load_questions().values() if question.area == "link"} - _OF_PACKETS


def _bounds(question: Question) -> str:
    if question.field in LATE:
        return "some frames; keys, tables and reports are what it is about"
    space = space_of(question)
    kinds = "any EtherType" if len(space.links) > 2 else f"EtherType IPv4 or IPv6 (else see: {PLACE}, {ELSEWHERE})"
    tunnels = "" if space.tunnels is None else ", HASH_TUNNEL not negotiated"
    others = "".join(
        f", but {load_questions()[name.replace('_', '-')].readings[number].name} of {name.replace('_', '-')}"
        for name, number in CONTEXTS.get(question.field, {}).items()
    )
    return (
        f"frames of {space.least} to {space.most} bytes, {kinds}, all hash types{tunnels}, "
        f"literal readings of other questions{others}; turns of loops: group walks"
    )


def _cost(question: Question) -> float:
    """Return seconds that a question takes: nested walks and what lies behind them take long."""
    if question.field in LATE:
        return 1.0
    if question.field == _LONGEST:
        return 180.0
    return {"tunnel": 40.0, "home": 30.0, "ex": 15.0, "chain": 8.0, "link": 12.0}.get(question.area, 3.0)


def _late(question: Question) -> dict[Pair, Apart]:
    """Return witnesses of a question that needs no solver; nothing is claimed about their length."""
    found = {}
    for pair in combinations(range(len(question.readings)), 2):
        first, second = (Readings(**{question.field: number}) for number in pair)
        frame, configuration = late_witness(first, second)
        found[pair] = Apart(Witness(frame, configuration, first, second), 0)
    return found


def _verdict(question: Question, found: Mapping[Pair, Apart], started: float, bounds: str) -> Verdict:
    """Say what came out for all pairs of a question."""
    rows: list[dict[str, object]] = []
    never, unsure = [], []
    for pair, apart in found.items():
        names = [question.readings[number].name for number in pair]
        row: dict[str, object] = {"readings": names, "none_below": apart.none_below}
        witness = apart.witness
        if witness is not None:
            size = len(witness.frame)
            row |= {
                "length": size, "frame": witness.frame.hex(), "configuration": witness.configuration.to_json(),
                "minimal": apart.none_below == size, "others": list(questions_raised(witness, question)),
            }
        if apart.reason or (witness is not None and question.field not in LATE and not row["minimal"]):
            unsure.append(f"{' and '.join(names)}: {apart.reason or 'a shorter frame is not excluded'}")
        elif witness is None:
            never.append(" and ".join(names))
        rows.append(row)
    sizes = sorted(len(apart.witness.frame) for apart in found.values() if apart.witness is not None)
    seconds = time.monotonic() - started
    data: dict[str, object] = {"pairs": rows}
    if never:
        detail = f"never told apart ({bounds}): {'; '.join(never)}: such a question is none"
        return Verdict("refuted", detail, seconds=seconds, data=data)
    if unsure:
        return Verdict("open", "; ".join(unsure), seconds=seconds, data=data)
    span = f"{sizes[0]}" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]}"
    detail = f"{len(found)} pair{'s' * (len(found) > 1)}, shortest frames of {span} bytes"
    return Verdict("proved", detail, "each frame was run in CPython under both readings", seconds, None, data)


def _options(task: Task, started: float) -> Verdict:
    limit = task.seconds / 15
    wrong = list(address_inside(limit))
    for field, least in ASKED_FROM.items():
        wrong += [f"{field} asked in {size}" for size in range(8, least, 8) if may_be_asked(field, size, limit)]
    for field, least in MATTERS_FROM.items():
        asked_from = ASKED_FROM[field]
        wrong += [f"{field} in {size}" for size in range(asked_from, least, 8) if may_matter(field, size, limit)]
    detail = "; ".join(wrong) or ", ".join(f"{field} from {least} bytes on" for field, least in MATTERS_FROM.items())
    return Verdict("open" if wrong else "proved", detail, seconds=time.monotonic() - started)


def _place(task: Task, started: float) -> Verdict:
    limit = task.seconds / 12
    results = [chosen(limit), *(moved(ethertype, _MOST_PLACE, limit) for ethertype in (0x0800, 0x86DD))]
    wrong = sorted({name for result in results for name in (*result.asked, *result.loops, *result.fields)})
    terms = sum(result.terms for result in results)
    detail = f"not shown for {', '.join(wrong)}" if wrong else f"one and the same {terms} terms"
    return Verdict("open" if wrong else "proved", detail, seconds=time.monotonic() - started)
