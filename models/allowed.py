"""All that the text allows for one frame: the model run under every reading of every question that it asks.

The model asks for a reading only where it matters. So one run shows which questions a frame raises, and the runs with
their other readings show the rest: a decision tree, whose leaves are outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from vnethash.models.reference import conclude, decide, enabled_tunnels, hash_input
from vnethash.spec.questions import load_dialects, load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from vnethash.models.packet import Selection
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome

#: Runs of the model for one frame, behind which the tree is given up as too open to judge.
MOST_LEAVES = 20_000


#: Readings, given as (question field, numbers of the readings) pairs, all of which hold.
When = tuple[tuple[str, frozenset[int]], ...]
#: An outcome (or, in `explained_by`, whether it matches), or a node.
Tree = object
Leaf = TypeVar("Leaf")


class Node(NamedTuple):
    """A question whose readings lead to different answers."""

    field: str
    branches: tuple[tuple[frozenset[int], Tree], ...]


class Cube(NamedTuple):
    """Readings under which an outcome follows."""

    outcome: Outcome
    when: When

    def holds(self, readings: Mapping[str, int]) -> bool:
        """Say whether a full set of readings (field -> number) lies in the cube."""
        return all(readings[field] in numbers for field, numbers in self.when)


@dataclass(frozen=True)
class Expectation:
    """The decision tree of a frame; it covers all readings that were offered, unless `complete` is False."""

    tree: Tree
    complete: bool

    @cached_property
    def cubes(self) -> tuple[Cube, ...]:
        """The leaves of the tree; no two hold together, and together they cover the tree."""
        return tuple(Cube(cast("Outcome", leaf), when) for leaf, when in _leaves(self.tree, ()))

    def under(self, readings: Mapping[str, int]) -> Outcome | None:
        """Return the outcome under a full set of readings, None where the tree was given up before it got there."""
        node = self.tree
        while isinstance(node, Node):
            number = readings[node.field]
            node = next((child for numbers, child in node.branches if number in numbers), None)
        return cast("Outcome | None", node)

    def outcomes(self) -> set[Outcome]:
        """Return the different outcomes."""
        return {cube.outcome for cube in self.cubes}

    def questions(self) -> set[str]:
        """Return the fields of the questions on which the outcome depends."""
        return {field for cube in self.cubes for field, _ in cube.when}

    def within(self, offered: Mapping[str, tuple[int, ...]]) -> Expectation:
        """Return the expectation for fewer readings."""
        return Expectation(_restrict(self.tree, offered), self.complete)

    def explained_by(self, matches: Callable[[Outcome], bool]) -> tuple[When, ...]:
        """Return the readings under which an outcome that `matches` follows: () for none, ((),) for all."""
        tree = _simplify_node(self.tree, matches)
        return tuple(when for leaf, when in _leaves(tree, ()) if leaf is True)


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

    def run(asked: Asked) -> tuple[Selection, Outcome]:
        readings = cast("Readings", asked)
        selection = decide(frame, length, configuration.hash_types, tunnels, readings)
        return selection, conclude(hash_input(frame, length, selection), selection, configuration, readings)

    for path, (selection, outcome) in explore(run, offered):
        yield path, selection, outcome


def expectation(
    frame: bytes,
    configuration: Configuration,
    offered: Mapping[str, tuple[int, ...]] | None = None,
    *,
    most_leaves: int = MOST_LEAVES,
) -> Expectation:
    """Return what is allowed for a frame; `offered` defaults to the readings that something supports."""
    offered = offered or offered_readings(defects=False)
    found = ((path, outcome) for path, _, outcome in leaves(frame, configuration, offered))
    tree, complete = grow(found, offered, most_leaves=most_leaves)
    return Expectation(tree, complete)


def grow(
    found: Iterable[tuple[Mapping[str, int], object]],
    offered: Mapping[str, tuple[int, ...]],
    *,
    most_leaves: int = MOST_LEAVES,
) -> tuple[Tree, bool]:
    """Return the tree of (path through the readings, leaf) pairs, and whether they were fewer than `most_leaves`."""
    trie: _Trie = {}
    complete = True
    for count, (path, leaf) in enumerate(found):
        if count == most_leaves:
            complete = False
            break
        node = trie
        for name, number in path.items():
            node = cast("_Trie", node.setdefault((name, number), {}))
        node[_END] = leaf
    return _simplify(trie, offered), complete


def explore(
    run: Callable[[Asked], Leaf], offered: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[dict[str, int], Leaf]]:
    """Yield each path through the readings that `run` asks for, in the order of asking, with what it returns."""
    stack: list[dict[str, int]] = [{}]
    while stack:
        chosen = stack.pop()
        asked = Asked(chosen, offered)
        leaf = run(asked)
        path: dict[str, int] = asked.__dict__["path"]
        yield path, leaf
        prefix: dict[str, int] = {}
        for name, number in path.items():
            if name not in chosen:
                for other in offered[name][1:]:
                    stack.append({**prefix, name: other})
            prefix[name] = number


_Trie = dict[object, object]
_END = ("", 0)


def _simplify(trie: _Trie, offered: Mapping[str, tuple[int, ...]]) -> Tree:
    """Return a leaf, or a node whose branches differ; branches with the same subtree are one.

    A node of which not all readings were followed, because the tree was given up, stays a node.
    """
    if _END in trie:
        return trie[_END]
    field = ""
    followed = 0
    same: dict[Tree, set[int]] = {}
    for key, child in trie.items():
        field, number = cast("tuple[str, int]", key)
        same.setdefault(_simplify(cast("_Trie", child), offered), set()).add(number)
        followed += 1
    if followed < len(offered[field]):
        return Node(field, tuple((frozenset(numbers), subtree) for subtree, numbers in same.items()))
    return _node(field, same)


def _simplify_node(tree: Tree, matches: Callable[[Outcome], bool]) -> Tree:
    """Return the tree with each outcome replaced by whether it matches."""
    if not isinstance(tree, Node):
        return matches(cast("Outcome", tree))
    same: dict[Tree, set[int]] = {}
    for numbers, child in tree.branches:
        same.setdefault(_simplify_node(child, matches), set()).update(numbers)
    return _node(tree.field, same)


def _restrict(tree: Tree, offered: Mapping[str, tuple[int, ...]]) -> Tree:
    """Return the tree without the branches of readings that are not offered."""
    if not isinstance(tree, Node):
        return tree
    same: dict[Tree, set[int]] = {}
    for numbers, child in tree.branches:
        left = numbers & set(offered[tree.field])
        if left:
            same.setdefault(_restrict(child, offered), set()).update(left)
    return _node(tree.field, same)


def _node(field: str, same: Mapping[Tree, set[int]]) -> Tree:
    if len(same) == 1:
        return next(iter(same))
    return Node(field, tuple((frozenset(numbers), subtree) for subtree, numbers in same.items()))


def cubes_of(tree: Tree) -> Iterator[tuple[Tree, When]]:
    """Yield each leaf of a tree with the readings that lead to it."""
    yield from _leaves(tree, ())


def _leaves(tree: Tree, when: When) -> Iterator[tuple[Tree, When]]:
    if isinstance(tree, Node):
        for numbers, subtree in tree.branches:
            yield from _leaves(subtree, (*when, (tree.field, numbers)))
    else:
        yield tree, when
