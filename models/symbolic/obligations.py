"""What is to be proved of the model, and what came out: the words that every group of proofs shares.

A group is a module with `tasks()`, which lists what it has to prove without a solver, and `run(task)`, which proves one
and is called in a process of its own (`prover.py`). No verdict rests on belief: a counterexample counts only when
CPython confirms it, a proof only beside a cover check that its assumptions can be met.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: proved; refuted by a counterexample that CPython confirmed; open: no answer within the limits.
Kind = Literal["proved", "refuted", "open"]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to prove.

    Attributes:
        group: the group of proofs, e.g. "questions".
        name: what it is about, unique in its group.
        statement: what is claimed, in words.
        bounds: under which bounds, in words ("frames of 14 to 128 bytes").
        seconds: limit of wall-clock time.
        cost: seconds that it is expected to take; longer ones begin first.
    """

    group: str
    name: str
    statement: str
    bounds: str
    seconds: float = 120.0
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class Counterexample:
    """What refutes a statement, as CPython confirmed it.

    Attributes:
        frame: hex.
        configuration: as `Configuration.to_json`.
        readings: question -> reading, where they are not the literal ones.
        shows: one line: what the model does there and what was claimed.
    """

    frame: str
    configuration: dict[str, object]
    readings: dict[str, str]
    shows: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out of one task.

    Attributes:
        kind: proved, refuted or open.
        detail: one line: the shortest witness, what was not reached, why nothing is known.
        cover: what shows that the statement is not vacuous; "" if nothing does.
        seconds: wall-clock time.
        counterexample: for refuted ones.
        data: what else a report may show, by name; numbers, strings, lists and dictionaries of them.
    """

    kind: Kind
    detail: str
    cover: str = ""
    seconds: float = 0.0
    counterexample: Counterexample | None = None
    data: dict[str, object] = field(default_factory=dict)
