"""All that the text allows for one frame: the model run under every reading of every question that it asks.

The model asks for a reading only where it matters. So one run shows which questions a frame raises, and the runs with
their other readings show the rest: a decision tree, whose leaves are outcomes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from vnethash.models.reference import conclude, decide, enabled_tunnels, hash_input
from vnethash.spec.questions import load_dialects, load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vnethash.models.packet import Selection
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome

#: Runs of the model for one frame, behind which the tree is given up as too open to judge.
MOST_LEAVES = 20_000


class Cube(NamedTuple):
    """Readings under which an outcome follows: (question field, numbers of the readings) pairs, all of which hold."""

    outcome: Outcome
    when: tuple[tuple[str, frozenset[int]], ...]

    def holds(self, readings: Mapping[str, int]) -> bool:
        """Say whether a full set of readings (field -> number) lies in the cube."""
        return all(readings[field] in numbers for field, numbers in self.when)


class Expectation(NamedTuple):
    """The cubes of a frame; together they cover all readings that were offered, unless `complete` is False."""

    cubes: tuple[Cube, ...]
    complete: bool

    def under(self, readings: Mapping[str, int]) -> Outcome | None:
        """Return the outcome under a full set of readings, None where the tree was given up before it got there."""
        for cube in self.cubes:
            if cube.holds(readings):
                return cube.outcome
        return None

    def outcomes(self) -> set[Outcome]:
        """Return the different outcomes."""
        return {cube.outcome for cube in self.cubes}

    def questions(self) -> set[str]:
        """Return the fields of the questions on which the outcome depends."""
        return {field for cube in self.cubes for field, _ in cube.when}


class Asked:
    """Readings that are chosen when asked for, and remembered in the order of asking."""

    def __init__(self, chosen: Mapping[str, int], offered: Mapping[str, tuple[int, ...]]) -> None:
        self.__dict__["chosen"] = chosen
        self.__dict__["offered"] = offered
        self.__dict__["path"] = {}

    def __getattr__(self, name: str) -> int:
        inner = self.__dict__
        number: int = inner["chosen"][name] if name in inner["chosen"] else inner["offered"][name][0]
        inner["path"][name] = number
        inner[name] = number
        return number


@cache
def offered_readings(*, defects: bool) -> Mapping[str, tuple[int, ...]]:
    """Return the readings of each question, by field; those that nothing supports only if `defects`."""
    return {
        question.field: tuple(range(len(question.readings))) if defects else question.allowed
        for question in load_questions().values()
    }


def dialect(name: str) -> Readings:
    """Return the readings of a dialect; raises KeyError for a name that is none."""
    questions = load_questions()
    return Readings(**{questions[key].field: number for key, number in load_dialects()[name].items()})


def leaves(
    frame: bytes, configuration: Configuration, offered: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[dict[str, int], Selection, Outcome]]:
    """Yield each path through the readings that the model asks for: the path in order, what is hashed, the outcome."""
    tunnels = enabled_tunnels(configuration)
    length = len(frame)
    stack: list[dict[str, int]] = [{}]
    while stack:
        chosen = stack.pop()
        asked = Asked(chosen, offered)
        readings = cast("Readings", asked)
        selection = decide(frame, length, configuration.hash_types, tunnels, readings)
        outcome = conclude(hash_input(frame, length, selection), selection, configuration, readings)
        path: dict[str, int] = asked.__dict__["path"]
        yield path, selection, outcome
        prefix: dict[str, int] = {}
        for name, number in path.items():
            if name not in chosen:
                for other in offered[name][1:]:
                    stack.append({**prefix, name: other})
            prefix[name] = number


def expectation(
    frame: bytes,
    configuration: Configuration,
    offered: Mapping[str, tuple[int, ...]] | None = None,
    *,
    most_leaves: int = MOST_LEAVES,
) -> Expectation:
    """Return what is allowed for a frame; `offered` defaults to the readings that something supports."""
    trie: _Trie = {}
    complete = True
    found = leaves(frame, configuration, offered or offered_readings(defects=False))
    for count, (path, _, outcome) in enumerate(found):
        if count == most_leaves:
            complete = False
            break
        node = trie
        steps = list(path.items())
        for name, number in steps:
            node = cast("_Trie", node.setdefault((name, number), {}))
        node[_END] = outcome
    return Expectation(tuple(_cubes(_simplify(trie), ())), complete)


_Trie = dict[object, object]
_END = ("", 0)


class _Node(NamedTuple):
    field: str
    branches: tuple[tuple[frozenset[int], object], ...]


def _simplify(trie: _Trie) -> object:
    """Return an outcome, or a node whose branches differ; branches with the same subtree are one."""
    if _END in trie:
        return trie[_END]
    field = ""
    same: dict[object, set[int]] = {}
    for key, child in trie.items():
        field, number = cast("tuple[str, int]", key)
        same.setdefault(_simplify(cast("_Trie", child)), set()).add(number)
    if len(same) == 1:
        return next(iter(same))
    return _Node(field, tuple((frozenset(numbers), subtree) for subtree, numbers in same.items()))


def _cubes(tree: object, when: tuple[tuple[str, frozenset[int]], ...]) -> Iterator[Cube]:
    if isinstance(tree, _Node):
        for numbers, subtree in tree.branches:
            yield from _cubes(subtree, (*when, (tree.field, numbers)))
    else:
        yield Cube(cast("Outcome", tree), when)
