"""A cause with its witness, as the examiner finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnethash.fuzz.signature import DEPTHS, covers

if TYPE_CHECKING:
    from vnethash.fuzz.case import Case
    from vnethash.fuzz.device.shown import Shown
    from vnethash.fuzz.signature import Features, Signature
    from vnethash.spec.outcome import Observation


@dataclass
class Found:
    """A cause with its witness.

    Attributes:
        kind: "unexplained", "error", "unstable"; from a checkpoint also "defect", "reading", "inconsistent".
        case: the witness, reduced; the answer to its last frame is `observed`.
        signature: what tells it from other causes.
        question: the id of the question, for a cause that is a reading.
        count: disagreements with this cause.
        also: conditions of witnesses that are one step of reduction away from this one.
        executions: how many the campaign had made when it was first seen.
        narrow: usual frames met its condition and did not show it, so that only cases just like it are taken for it.
        exact: more of a header than the condition asks for is another condition, because usual frames showed that.
        alone: its last frame shows something alone, too: what a target keeps outlives its being configured.
        shown: the sequence of steps in place of frames, for a cause that one shows.
    """

    target: str
    kind: str
    title: str
    clauses: tuple[str, ...]
    signature: Signature
    case: Case
    observed: Observation | None
    words: str
    question: str = ""
    reading: str = ""
    count: int = 1
    also: tuple[Features, ...] = ()
    executions: int = 0
    narrow: bool = False
    exact: bool = False
    alone: bool = False
    shown: Shown | None = None

    def covers(self, features: Features) -> bool:
        """Say whether a case with these features meets the condition, or one that turned out to be the same cause."""
        if self.narrow:
            return tuple(pair for pair in features if pair[0] not in DEPTHS) == self.signature.features
        return any(covers(each, features, exact=self.exact) for each in (self.signature.features, *self.also))

    @property
    def id(self) -> str:
        """A short name that is the same in every campaign."""
        head = self.question or f"{self.signature.clause}-{self.signature.kind}"
        return f"{head}-{self.signature.digest(self.target)}"


@dataclass(frozen=True)
class Exemplar:
    """A case that shows a constraint, what was observed, and behind how many executions."""

    case: Case
    observed: Observation
    executions: int = 0
