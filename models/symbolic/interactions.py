"""Which questions bear on each other: for some frame and configuration the answer to one changes what another decides.

With all other questions read literally, let T[a][b] be the outcome under reading a of A and b of B. A and B interact if
for some frame and configuration which of A's readings have equal outcomes depends on b, or the other way round. For
that, some run must ask both. Say that it asks A first: then it is a run with some reading of A in which B is asked, and
B's reading does not matter before. So A and B never meet if no frame makes the model ask both, with A's reading unknown
and B's literal, nor the other way round. Each task is one half of that, for one question and all others.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, partial
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from vnethash.models.allowed import Asked
from vnethash.models.packet import Selection
from vnethash.models.reference import conclude, outcome
from vnethash.models.symbolic.corpus import cases, shown
from vnethash.models.symbolic.effects import BEYOND, MOST, MOST_HOME, OPTIONS, effect
from vnethash.models.symbolic.late import LATE
from vnethash.models.symbolic.obligations import Task, Verdict
from vnethash.models.symbolic.query import configuration_of
from vnethash.models.symbolic.scene import WALK_QUESTIONS, Scene
from vnethash.models.symbolic.stage import LINKS, Limits, Stage
from vnethash.models.symbolic.terms import same
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vnethash.models.symbolic.stage import Found
    from vnethash.models.symbolic.terms import Value
    from vnethash.spec.questions import Question

GROUP = "interactions"
#: Questions in one task; what they share is made once.
_TOGETHER = 6
#: Seconds at least for a pair of which a solver is asked whether it has an effect.
_LEAST = 40.0
#: Frames that are tried before a solver is asked.
_CASES = 4000
_MOST = 96
#: Cases that are varied for each question that was asked beside another without effect, and how often.
_EXAMPLES, _VARIANTS = 4, 60
#: A question under whose literal reading all others are looked at.
_PROBE = "tcp_cut"
#: Asked where no type is enabled, so that nothing is hashed whatever else is asked.
_NO_TYPES = "no_hash_types"
#: What raises the questions that are asked behind the selection: keys, tables, types; taken in turn.
_RAISING: Mapping[str, tuple[dict[str, Any], ...]] = {
    "short_key": ({"key": MICROSOFT_KEY[:8]}, {"key": bytes(8)}),
    "empty_key": ({"key": b""},),
    "long_key": ({"key": MICROSOFT_KEY + bytes(40)}, {"key": bytes(52)}),
    "zero_value": ({"key": bytes(40)}, {"key": b""}, {"key": bytes(8)}, {"key": bytes(52)}),
    _NO_TYPES: ({"hash_types": 0},),
    "table_size": ({"indirection_table": (0, 1, 2)},),
}
#: Turns of the walks where frames are sought and nothing is proved.
_FEW_TURNS = {"options.home_address": 3, "options.plain_home": 2}
#: Late questions of which a reading takes away the hash.
_UNHASHING = frozenset({"short_key", "empty_key", "zero_value"})
_LITERAL = dict.fromkeys(Readings._fields, 0)


class Case(NamedTuple):
    """A frame and a configuration."""

    frame: bytes
    configuration: Configuration


class Shown(NamedTuple):
    """An interaction: where, and readings of the two questions and the outcomes that show it."""

    case: Case
    words: str


def tasks() -> list[Task]:
    """Return tasks for some questions each: what is known of each of them and every other question."""
    found = []
    for area, fields in _areas().items():
        for first in range(0, len(fields), _TOGETHER):
            part = fields[first:first + _TOGETHER]
            name = f"{area} {first // _TOGETHER + 1}"
            names = ", ".join(questions_by_field()[field].id for field in part)
            statement = (
                f"whether any other question is asked beside one of {names}; where two interact, a frame shows it"
            )
            cost = 30.0 * len(part) if area == "tunnel" else 8.0 * len(part)
            found.append(Task(GROUP, name, statement, _bounds(area), seconds=90.0 * len(part), cost=cost))
    return found


def _areas() -> dict[str, list[str]]:
    areas: dict[str, list[str]] = {}
    for field, question in questions_by_field().items():
        areas.setdefault("hash" if field in LATE else question.area, []).append(field)
    return areas


def run(task: Task) -> Verdict:
    """Say it of each question of a task."""
    area, _, number = task.name.rpartition(" ")
    first = (int(number) - 1) * _TOGETHER
    fields = _areas()[area][first:first + _TOGETHER]
    verdicts = {questions_by_field()[field].id: look_at(field, task.seconds / len(fields)) for field in fields}
    counts = {
        part: sum(len(cast("list[str]", verdict.data[part])) for verdict in verdicts.values())
        for part in ("interact", "never", "without_effect", "met_without_effect", "undecided")
    }
    unanswered = [
        f"{name} and {other}" for name, verdict in verdicts.items()
        for other in cast("list[str]", verdict.data["unanswered"])
    ]
    detail = (
        f"{counts['interact']} pairs interact, {counts['without_effect']} are asked together without effect, "
        f"{counts['never']} never are; not claimed: {counts['met_without_effect']} that are asked together without an "
        f"effect so far, {counts['undecided']} of which it is not known whether they are asked together"
    )
    if unanswered:
        detail = f"no answer for {'; '.join(unanswered)}; {detail}"
    cover = "each interaction was run in CPython"
    data: dict[str, object] = {name: verdict.data for name, verdict in verdicts.items()}
    return Verdict("open" if unanswered else "proved", detail, cover, data=data)


@cache
def _corpus() -> list[Case]:
    # Short frames first: what one shows need not be tried again with a longer one.
    return [Case(*case) for case in sorted([*shown(), *cases(_CASES)], key=_length)]


def look_at(field: str, seconds: float) -> Verdict:
    """Look for interactions of one question, then prove of the others that they never meet it."""
    started = time.monotonic()
    question = questions_by_field()[field]
    row = Row(question, started + seconds * 0.9)
    for case in _corpus():
        row.look_raised(case)
    # Tunnels make terms large; what is not settled soon is not settled.
    row.deadline = time.monotonic() + (0.1 if question.area == "tunnel" else 0.8) * seconds
    never, unsure = row.exclude()
    row.vary()
    idle = set()
    if field == _NO_TYPES and without_types():  # said once, in its own row; `pairs_of` finds it there
        idle = set(row.met) - set(row.shown) - LATE
    row.deadline = started + seconds
    mine = {other for other in (set(row.met) | unsure) - set(row.shown) - idle if row.asks_for(other)}
    none = row.ask(sorted(mine)) if question.area != "tunnel" else set()
    idle |= none
    unsure -= none | set(row.shown)
    identifiers = {name: entry.id for name, entry in questions_by_field().items()}
    interact = {
        identifiers[other]: {
            "frame": shown.case.frame.hex(), "configuration": shown.case.configuration.to_json(), "shows": shown.words,
        }
        for other, shown in sorted(row.shown.items())
    }
    met = {identifiers[other]: count for other, count in sorted(row.met.items()) if other not in {*row.shown, *idle}}
    data: dict[str, object] = {
        "interact": interact, "without_effect": [identifiers[other] for other in sorted(idle)],
        "never": [identifiers[other] for other in sorted(never)], "met_without_effect": met,
        "undecided": [identifiers[other] for other in sorted(unsure)],
        "unanswered": [identifiers[other] for other in sorted(mine - none - set(row.shown))],
    }
    return Verdict("open" if met or unsure else "proved", "", "", time.monotonic() - started, None, data)


def _length(case: tuple[bytes, Configuration]) -> int:
    return len(case[0])


def _bounds(area: str) -> str:
    tunnels = "HASH_TUNNEL not negotiated" if area != "tunnel" else "any tunnel types"
    kinds = "any EtherType" if area == "link" else "EtherType IPv4 or IPv6"
    return (
        f"frames of 14 to {_MOST} bytes, {kinds}, {tunnels}, all other questions read literally (never); the same to "
        f"{MOST} bytes, to {MOST_HOME} where a Home Address matters, with up to {OPTIONS} options a walk, without "
        f"tunnels, keys and tables and option-limit (without effect); "
        f"{_CASES:,} frames of a corpus, those of shown.txt and those that a solver found (interactions)"
    )


def _links(question: Question) -> tuple[str, ...]:
    return tuple(LINKS) if question.area == "link" else ("ipv4", "ipv6")


class Row:
    """One question and all others."""

    def __init__(self, question: Question, deadline: float) -> None:
        self.question = question
        self.field = question.field
        self.deadline = deadline
        #: The shortest interaction with each other question.
        self.shown: dict[str, Shown] = {}
        #: How many frames asked both, and some of them.
        self.met: dict[str, int] = {}
        self.examples: dict[str, list[Case]] = {}
        self._tried = 0

    def look_raised(self, case: Case) -> set[str]:
        """Try a case with what raises this question."""
        changes = _RAISING.get(self.field, ({},))
        self._tried += 1
        change = changes[self._tried % len(changes)]
        return self.look(case._replace(configuration=replace(case.configuration, **change)))

    def look(self, case: Case) -> set[str]:
        """Try a case; return the questions that are asked beside this one."""
        beside = _beside(case, self.field)
        for other in beside:
            self.met[other] = self.met.get(other, 0) + 1
            examples = self.examples.setdefault(other, [])
            if len(examples) < _EXAMPLES:
                examples.append(case)
            self._try(case, other)
        return beside

    def _try(self, case: Case, other: str) -> bool:
        """Keep a case that shows an interaction with another question, if none as short is known."""
        before = self.shown.get(other)
        if before is not None and len(before.case.frame) <= len(case.frame):
            return True
        words = interaction(case, self.field, other)
        if words:
            self.shown[other] = Shown(case, words)
        return bool(words)

    def vary(self) -> None:
        """Try variants of the cases that asked this question and another without any effect."""
        for other in sorted(set(self.met) - set(self.shown)):
            for case in self.examples[other]:
                if any(self._try(variant, other) for variant in variants(case)):
                    break

    def asks_for(self, other: str) -> bool:
        """Say whether it is this row that asks a solver about both: the other does where it meets this one, too."""
        areas = questions_by_field()
        if {self.field, other} & (LATE | BEYOND) or "tunnel" in {areas[self.field].area, areas[other].area}:
            return False
        examples = self.examples.get(other, ())
        return self.field < other or not any(self.field in _beside(case, other) for case in examples)

    def ask(self, others: list[str]) -> set[str]:
        """Ask a solver whether some questions bear on this one; keep frames, return those of which there is none."""
        none = set()
        for number, other in enumerate(others):
            now = time.monotonic()
            share = max((self.deadline - now) / (len(others) - number), _LEAST)
            answer = effect(self.field, other, now + share, partial(self._shows, other))
            if answer.found is None and answer.answered:
                none.add(other)
        return none

    def _shows(self, other: str, found: Found) -> bool:
        return self._try(Case(found.frame, configuration_of(found.types, found.tunnels)), other)

    def exclude(self) -> tuple[set[str], set[str]]:
        """Prove of the others that they are never asked beside this one; return those, and those of which it failed."""
        pending = set(_LITERAL) - {self.field} - set(self.met)
        unsure: set[str] = set()
        if self.field in LATE:
            beside = late_beside(self.field)
            pending -= LATE
            # What is asked behind the selection depends on it; any early question serves to look at all others.
            self._settle_all(_PROBE, pending, unsure)
            never = {*pending, *LATE} - beside - unsure - {self.field}
            return never - set(self.met), (unsure | beside) - set(self.met)
        self._settle_all(self.field, pending, unsure)
        unsure -= set(self.met)
        if unsure - LATE and self.field not in WALK_QUESTIONS:
            # The walks are needed to find a frame; a few options in each are enough.
            limits = Limits("ipv6", 54, _MOST, None, self._tunnels())
            stage = Stage(self.field, _LITERAL, limits, vary=True, turns=_FEW_TURNS)
            for field in sorted(unsure - LATE):
                self._never(stage, field, stage.graph.both(stage.asked_within(), self._others(stage)[field]))
        return pending - unsure - set(self.met), unsure - set(self.met)

    def _tunnels(self) -> int | None:
        return None if self.question.area == "tunnel" else 0

    def _settle_all(self, field: str, pending: set[str], unsure: set[str]) -> None:
        """Settle what is pending for all kinds of frames; what fails goes to `unsure`."""
        for link in _links(self.question):
            for low, high in ((14, 53), (54, 69), (70, _MOST)):
                limits = Limits(link, low, high, None, self._tunnels())
                stage = Stage(field, _LITERAL, limits, walks=False, vary=field == self.field)
                unsure |= self._settle(stage, pending - unsure - set(self.met))

    def _others(self, stage: Stage) -> dict[str, Value]:
        """Return where the other questions may be asked, those behind the selection too."""
        report = stage.selection(0).values[0]
        others = stage.others()
        if stage.field != self.field:
            others[stage.field] = stage.asked
        for field in LATE:
            others[field] = _asked_late(stage, field, cast("Value", report), always=self.field in _UNHASHING)
        others.pop(self.field, None)
        return {field: others.get(field, False) for field in _LITERAL}

    def _settle(self, stage: Stage, pending: set[str]) -> set[str]:
        """Return the questions that may be asked beside this one in a stage without a frame that shows it."""
        graph = stage.graph
        here = stage.asked
        if stage.field != self.field:
            here = _asked_late(stage, self.field, cast("Value", stage.selection(0).values[0]), always=False)
        others = self._others(stage)
        both = {field: graph.both(graph.both(stage.case, here), others[field]) for field in pending}
        unsure: set[str] = set()
        left = {field for field, condition in both.items() if condition is not False}
        while left:
            some: Value = False
            for field in sorted(left):
                some = graph.either(some, both[field])
            kind, found = stage.check(some, seconds=self._share())
            if kind == "unsat":
                return unsure
            beside: set[str] = set()
            if found is not None:
                beside = self._look(found) & left
            if not beside:
                # No frame, or one that CPython does not confirm: one question at a time.
                field = min(left)
                beside = {field}
                if not self._never(stage, field, both[field]):
                    unsure.add(field)
            left -= beside
        return unsure

    def _look(self, found: Found) -> set[str]:
        """Try a frame of the solver."""
        return self.look_raised(Case(found.frame, configuration_of(found.types, found.tunnels)))

    def _never(self, stage: Stage, field: str, both: Value) -> bool:
        """Say whether it is settled that a question is asked beside this one (by a frame) or is not."""
        kind, found = stage.check(both, seconds=self._share())
        if found is None:
            return kind == "unsat"
        return field in self._look(found)

    def _share(self) -> float:
        return max(0.1, (self.deadline - time.monotonic()) / 3)


def _asked_late(stage: Stage, field: str, report: Value, *, always: bool) -> Value:
    """Say where a question that is asked behind the selection may be asked; keys and tables may be any.

    `always`: a reading may take away the hash that was selected.
    """
    graph = stage.graph
    if field == _NO_TYPES:
        return graph.equal(stage.scene.type_bits, 0)
    if field == "unhashed_value":
        return always or graph.equal(report, 0)
    if field == "ex_label":
        return graph.negate(graph.less(report, 7))
    return graph.negate(graph.equal(report, 0))


@cache
def late_beside(field: str) -> set[str]:
    """Return the questions that `reference.conclude` asks beside one that it asks: all reports, key lengths, tables."""
    beside: set[str] = set()
    sizes = {0: 0, 1: 8, 2: 12, 4: 32, 5: 36, 7: 32, 8: 36}
    keys = [fill * size for size in (0, 1, 8, *range(11, 42), 255) for fill in (b"\0", b"\x6d")]
    for (report, size), key, types, entries, features in product(
        sizes.items(), keys, (0, 0x1FF), (1, 2, 3), (frozenset({"RSS"}), frozenset({"HASH_REPORT"}))
    ):
        if types == 0 and report != 0:
            continue  # no type, no hash: proved by form (`without_types`)
        configuration = Configuration(
            hash_types=types, key=key, indirection_table=tuple(range(entries)), features=features
        )
        selection = Selection(report, 0, 0, size, 0, 0, 0)
        for number in _numbers(field):
            asked = Asked({**_LITERAL, field: number}, {})
            conclude(b"\x55" * size, selection, configuration, cast("Readings", asked))
            path = set(asked.__dict__["path"])
            if field in path:
                beside |= path
    return beside - {field}


@cache
def without_types() -> bool:
    """Say whether nothing is hashed where no type is enabled, under any readings: proved by form."""
    scene = Scene(most=_MOST, types=0, tunnels=None, walks=False)
    return same(scene.decide(scene.readings()).values[0], 0)  # type: ignore[arg-type]


def variants(case: Case) -> Iterator[Case]:
    """Yield cases like one: other hash types, other lengths, a byte changed; the same in every run."""
    r = Random(len(case.frame))  # noqa: S311 - the same variants in every run
    for types in (0x1FF, 0x1C0, 0x3F, 0x40, 0x9F, 0x12F, *(r.randrange(1, 512) for _ in range(6))):
        yield case._replace(configuration=replace(case.configuration, hash_types=types))
    configuration = replace(case.configuration, hash_types=0x1FF)
    for _ in range(_VARIANTS):
        frame = bytearray(case.frame)
        for _ in range(r.randrange(1, 3)):
            place = r.randrange(min(14, len(frame) - 1), len(frame))
            frame[place] = r.choice((0, 1, 2, 4, 6, 17, 43, 44, 60, 0xC9, frame[place] ^ 1 << r.randrange(8)))
        if r.randrange(3) == 0:
            frame = frame[:len(frame) - r.randrange(9)]
        yield Case(bytes(frame), configuration)


def _beside(case: Case, field: str) -> set[str]:
    """Return the questions that are asked beside one, empty if that is not asked under all of its readings."""
    beside: set[str] = set()
    for number in _numbers(field):
        asked = _asked(case, {field: number})
        if field not in asked:
            return set()
        beside |= asked
    return beside - {field}


def _asked(case: Case, chosen: dict[str, int]) -> set[str]:
    """Return the questions that the model asks about a case."""
    asked = Asked({**_LITERAL, **chosen}, {})
    outcome(case.frame, case.configuration, cast("Readings", asked))
    return set(asked.__dict__["path"])


def interaction(case: Case, first: str, second: str) -> str:
    """Return words for how two questions bear on each other in a case, "" if they do not."""
    table = {
        (one, other): outcome(case.frame, case.configuration, Readings(**{first: one, second: other}))
        for one, other in product(_numbers(first), _numbers(second))
    }
    for name, mate, turned in ((first, second, False), (second, first, True)):
        partitions: dict[tuple[int, ...], int] = {}
        for other in _numbers(mate):
            column = [table[(other, one) if turned else (one, other)] for one in _numbers(name)]
            partitions.setdefault(tuple(column.index(entry) for entry in column), other)
        if len(partitions) > 1:
            (left, here), (right, there), *_ = partitions.items()
            return f"{_told(name, left)} under {_name(mate, here)}, {_told(name, right)} under {_name(mate, there)}"
    return ""


@cache
def _numbers(field: str) -> range:
    return range(len(questions_by_field()[field].readings))


def _name(field: str, number: int) -> str:
    question = questions_by_field()[field]
    return f"{question.id} {question.readings[number].name}"


def _told(field: str, partition: tuple[int, ...]) -> str:
    """Return which readings of a question lead to the same outcome, e.g. "tcp-cut: addresses = beyond, ports"."""
    question = questions_by_field()[field]
    groups: dict[int, list[str]] = {}
    for number, leader in enumerate(partition):
        groups.setdefault(leader, []).append(question.readings[number].name)
    return f"{question.id}: {', '.join(' = '.join(names) for names in groups.values())}"


def pairs_of(rows: dict[str, Verdict]) -> Iterator[tuple[str, str, str]]:
    """Yield each pair of questions once, with what both rows together say."""
    names = list(rows)
    for number, first in enumerate(names):
        for second in names[number + 1:]:
            told = (rows[first].data, rows[second].data)
            ways = ((told[0], second), (told[1], first))
            if any(name in cast("dict[str, object]", data["interact"]) for data, name in ways):
                yield first, second, "interact"
            elif any(name in cast("list[str]", data["without_effect"]) for data, name in ways):
                yield first, second, "without effect"
            elif any(name in cast("dict[str, int]", data["met_without_effect"]) for data, name in ways):
                yield first, second, "met"
            elif all(name in cast("list[str]", data["never"]) for data, name in ways):
                yield first, second, "never"
            else:
                yield first, second, "undecided"
