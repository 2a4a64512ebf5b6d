"""Who does what: the implementations that take a reading, from reading their source and from runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from vnethash.conformance.wording import settled_words
from vnethash.spec.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vnethash.conformance.report import Report
    from vnethash.spec.questions import Question

#: Where the name of an implementation ends and its versions begin: "QEMU eBPF 9.0 and later", "NetKVM (8100 only)".
_VERSIONS = re.compile(r" \(| up to | before |, all versions| \d+\.\d")
#: Not implementations: they stand in `who` for all that were looked at.
_ALL = ("all known", "all but ")


class Seen(NamedTuple):
    """What one run says about a question; `readings`: those that it leaves open."""

    target: str
    implementation: str
    version: str
    date: str
    words: str
    literal: bool
    readings: tuple[str, ...]


def implementation_of(who: str) -> str:
    """Return the implementation that an entry of `who` names, without versions and remarks; "" if it names none."""
    return "" if who.startswith(_ALL) else _VERSIONS.split(who)[0].strip()


def seen_in(runs: Sequence[Report], question: Question) -> tuple[Seen, ...]:
    """Return what runs say about a question; targets that were not asked it are left out."""
    found = []
    for run in runs:
        for target in run.targets:
            settled = target.record.profile.get(question.id) if target.record else None
            if target.record is None or settled is None or not settled.cases:
                continue
            known = target.record.implementation
            literal = question.readings[0].name in settled.readings
            found.append(
                Seen(
                    one_line(target.name), one_line(known.get("name", "")), one_line(known.get("version", "")),
                    one_line(run.header.started)[:10], settled_words(settled), literal,
                    tuple(settled.readings),
                )
            )
    return tuple(found)


def differing(question: Question, seen: Iterable[Seen], reading: str = "") -> tuple[str, ...]:
    """Return the implementations that do not take a reading (the literal one), each once; our own model is none."""
    reading = reading or question.readings[0].name
    names = [implementation_of(who) for other in question.readings if other.name != reading for who in other.who]
    known = dict.fromkeys(name for name in names if name)
    for one in seen:
        if reading in one.readings or one.target.startswith("model:"):
            continue
        if not any(_same(one.implementation, other) or _same(one.target, other) for other in known):
            known[one.implementation or one.target] = None
    return tuple(known)


def against(question: Question, recommended: str, seen: Iterable[Seen]) -> tuple[str, ...]:
    """Return who takes another reading, with versions and remarks, from reading the source and from runs."""
    entries = (who for reading in question.readings if reading.name != recommended for who in reading.who)
    found = dict.fromkeys(who for who in entries if implementation_of(who))
    for one in seen:
        if recommended not in one.readings and not one.target.startswith("model:"):
            found[f"{one.implementation or one.target} {one.version}".rstrip() + f" (run of {one.date})"] = None
    return tuple(found)


def _same(one: str, other: str) -> bool:
    first, second = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (one, other))
    return bool(first) and bool(second) and (second in first or first in second)
