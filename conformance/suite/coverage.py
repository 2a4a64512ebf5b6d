"""What a suite reaches: rules, events, readings that it tells apart, hash types, clauses.

Two readings of a question are told apart by a case whose outcome differs between them, all other questions being read
literally. Some readings show only beside others (`CONTEXTS`): a type of ICMPv6 is taken for TCP only by who walks
ICMPv6 in the first place.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from vnethash.models.allowed import Asked, offered_readings
from vnethash.models.events import EVENTS, RULES
from vnethash.models.reference import conclude, decide, enabled_tunnels, hash_input
from vnethash.spec.questions import load_questions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vnethash.conformance.suite.case import Case
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome
    from vnethash.spec.readings import Readings

#: Readings of other questions under which the readings of a question are compared as well.
CONTEXTS: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "icmpv6-ports": ({"icmpv6-header": "walked"},),
    "option-walk-end": ({"home-overrun": "taken"}, {"home-length": "taken"}),
}

#: How a difference shows: in the whole outcome, or to who sees the queue, the value or the report only.
Sight = Literal["outcome", "queue", "value", "report"]
SIGHTS: tuple[Sight, ...] = ("outcome", "queue", "value", "report")


class Pair(NamedTuple):
    """Two readings of a question, by number, that a case tells apart."""

    question: str
    one: int
    other: int
    sight: Sight = "outcome"


class Reach(NamedTuple):
    """What one case reaches."""

    rule: int
    events: int
    questions: tuple[str, ...]
    pairs: frozenset[Pair]


class Coverage(NamedTuple):
    """What a suite reaches, and what it does not."""

    rules: frozenset[int]
    events: int
    pairs: frozenset[Pair]
    hash_types: frozenset[int]
    clauses: frozenset[str]

    def missing_rules(self) -> list[str]:
        """Return the words of rules that no case reaches."""
        return [step.words for number, step in RULES.items() if number not in self.rules]

    def missing_events(self) -> list[str]:
        """Return the words of events that no case has."""
        return [step.words for bit, step in EVENTS.items() if not self.events & bit]

    def missing_pairs(self, sight: Sight = "outcome") -> list[tuple[str, str, str]]:
        """Return question and names of the pairs of readings that no case tells apart."""
        return [
            (pair.question, names[pair.one], names[pair.other])
            for pair in all_pairs(sight) if pair not in self.pairs
            for names in [[reading.name for reading in load_questions()[pair.question].readings]]
        ]

    def questions(self) -> set[str]:
        """Return the questions of which some readings are told apart."""
        return {pair.question for pair in self.pairs}


def all_pairs(sight: Sight = "outcome") -> list[Pair]:
    """Return every pair of readings of every question."""
    return [
        Pair(question.id, one, other, sight)
        for question in load_questions().values() for one, other in combinations(range(len(question.readings)), 2)
    ]


def coverage(cases: Iterable[Case]) -> Coverage:
    """Return what the cases reach."""
    rules: set[int] = set()
    events = 0
    pairs: set[Pair] = set()
    types: set[int] = set()
    clauses: set[str] = set()
    for case in cases:
        found = reach(case.frame, case.configuration)
        rules.add(found.rule)
        events |= found.events
        pairs |= found.pairs
        types.add(case.configuration.hash_types)
        clauses.update(case.clauses)
    return Coverage(frozenset(rules), events, frozenset(pairs), frozenset(types), frozenset(clauses))


def reach(frame: bytes, configuration: Configuration) -> Reach:
    """Return what one frame under one configuration reaches: one run for each reading of each question it asks."""
    questions = load_questions()
    literal = run(frame, configuration, {})
    events = literal.events
    told: list[str] = []
    pairs: set[Pair] = set()
    names = {question.field: question.id for question in questions.values()}
    for field in (field for field in names if field in literal.asked):  # in the order of the list, in every process
        found, seen = compare(frame, configuration, names[field], {}, literal)
        events |= seen
        if found:
            told.append(names[field])
            pairs |= found
    for identifier, contexts in CONTEXTS.items():
        for context in contexts:
            if not any(questions[other].field in literal.asked for other in context):
                continue
            chosen = {questions[other].field: questions[other].index(name) for other, name in context.items()}
            base = run(frame, configuration, chosen)
            if questions[identifier].field in base.asked:
                found, seen = compare(frame, configuration, identifier, chosen, base)
                events |= seen
                if found:
                    told.append(identifier)
                    pairs |= found
    return Reach(literal.rule, events, tuple(dict.fromkeys(told)), frozenset(pairs))


class Run(NamedTuple):
    """One run of the model: what came out, and which questions it asked."""

    outcome: Outcome
    rule: int
    events: int
    asked: frozenset[str]


def run(frame: bytes, configuration: Configuration, chosen: Mapping[str, int]) -> Run:
    """Run the model with some readings chosen and all others literal."""
    asked = Asked(chosen, offered_readings(defects=True))
    readings = cast("Readings", asked)
    length = len(frame)
    selection = decide(frame, length, configuration.hash_types, enabled_tunnels(configuration), readings)
    outcome = conclude(hash_input(frame, length, selection), selection, configuration, readings)
    return Run(outcome, selection.rule, selection.events, frozenset(asked.__dict__["path"]))


def compare(
    frame: bytes, configuration: Configuration, identifier: str, context: Mapping[str, int], base: Run
) -> tuple[set[Pair], int]:
    """Return the pairs of readings of a question that differ, and the events of all of them."""
    question = load_questions()[identifier]
    outcomes = [base.outcome]
    events = 0
    for number in range(1, len(question.readings)):
        other = run(frame, configuration, {**context, question.field: number})
        outcomes.append(other.outcome)
        events |= other.events
    if len(set(outcomes)) == 1:
        return set(), events
    found = set()
    for one, other_number in combinations(range(len(outcomes)), 2):
        first, second = outcomes[one], outcomes[other_number]
        if first != second:
            found.add(Pair(identifier, one, other_number))
            found.update(
                Pair(identifier, one, other_number, sight)
                for sight in SIGHTS[1:] if getattr(first, sight) != getattr(second, sight)
            )
    return found, events
