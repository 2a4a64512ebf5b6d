"""What all campaigns have in common: limits, totals, a corpus, a ledger, someone who watches, an end.

Nothing ends a campaign early but Ctrl-C, and nothing is lost by that: a new cause is in the ledger before the next case
is put. A target that can no longer be driven is left out and named; the campaign goes on with the others.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from vnethash.fuzz.corpus import CaseT
from vnethash.fuzz.keeper import Keeper
from vnethash.spec.errors import TargetUnavailable, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vnethash.fuzz.corpus import AnyCorpus
    from vnethash.fuzz.found import Found
    from vnethash.fuzz.ledger import Ledger
    from vnethash.targets.base import Implementation

#: Executions behind which the profiles are found for the first time, and by how much longer it is each time after.
_FIRST_SETTLE, _SETTLE_GROWTH = 20_000, 1.6
#: Of a time limit, the share kept for what is told at the end; more if finding the profiles took longer than that.
_RESERVED, _SETTLE_AGAIN, _MOST_RESERVED = 0.08, 3.0, 0.4
#: Seconds between points of the curves, and between writes of counts.
_POINT_SECONDS = 2.0


class Coverage(Protocol):
    """What of the model was reached."""

    @property
    def features(self) -> set[Any]:
        """Each thing that was reached."""


class Implemented(Protocol):
    """A target or device, as far as it is named."""

    implementation: Implementation


class Driven(Protocol):
    """A target or a device in a campaign."""

    name: str
    note: str
    ended: str
    skipped: int

    @property
    def target(self) -> Implemented:
        """What is driven."""

    @property
    def edges(self) -> tuple[int, int]:
        """Edges that were reached, and how many there are; (0, 0) without counters."""

    @property
    def rules(self) -> Coverage:
        """What of the model was reached."""

    def close(self) -> None:
        """End what was started; may be called twice."""


class Examining(Protocol):
    """What judges the answers of one target or device."""

    unjudged: int

    @property
    def causes(self) -> Mapping[str, Found]:
        """The causes, by id."""

    def settle(self, *, last: bool = False) -> None:
        """Find the profile of the target; at the end also the causes that rest on it."""


DrivenT = TypeVar("DrivenT", bound=Driven)
ExaminerT = TypeVar("ExaminerT", bound=Examining)


class Watcher(Protocol):
    """Hears how a campaign goes."""

    def cause(self, found: Found, what: str) -> None:
        """A cause is "new", a "regression", or "withdrawn"."""

    def progress(self, campaign: Run[Any, Any, Any]) -> None:
        """Some time has passed."""

    def note(self, words: str) -> None:
        """Something is worth a line."""


class Silent:
    """Nobody watches."""

    def cause(self, found: Found, what: str) -> None:
        """Say nothing."""

    def progress(self, campaign: Run[Any, Any, Any]) -> None:
        """Say nothing."""

    def note(self, words: str) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Limits:
    """When a campaign ends: seconds, executions; None for no limit."""

    seconds: float | None = None
    executions: int | None = None


@dataclass
class Totals:
    """What a campaign came to."""

    executions: int = 0
    seconds: float = 0.0
    new: int = 0
    known: int = 0
    regressions: int = 0
    interrupted: bool = False
    last_new: float = 0.0
    notes: list[str] = field(default_factory=list)


class Run(Generic[DrivenT, ExaminerT, CaseT]):
    """One run of fuzzing; what is put, and how it is judged, is for those that are made of it: `examiner` and `sow`.

    Attributes:
        subjects: the targets that still answer.
        examiners: one a subject, by name.
        corpus: cases that reached something new.
        rng: the only source of chance; the same seed and limits in executions give the same campaign.
    """

    #: Executions behind which the profiles are found for the first time.
    first_settle = _FIRST_SETTLE

    def __init__(
        self, subjects: Sequence[DrivenT], corpus: AnyCorpus[CaseT], ledger: Ledger | None, *, engine: str = "builtin",
        seed: int = 0, limits: Limits, watcher: Watcher | None = None, tool: str = "vnethash",
        now: Callable[[], str] = lambda: "", clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` names moments; `clock` counts the seconds by which `limits` are held."""
        self.subjects = list(subjects)
        self.corpus = corpus
        self.engine = engine
        self.seed = seed
        self.rng = Random(seed)  # noqa: S311 - chance, not secrecy
        self.totals = Totals()
        self.statuses: dict[str, str] = {}
        self._limits = limits
        self._watcher = watcher or Silent()
        self._now = now
        self._keeper = Keeper(ledger, self._note, now, tool=tool, engine=engine, seed=seed)
        self._clock = clock
        self._began = clock()
        self._settling = 0.0
        self._next_point = 0.0
        self._next_settle = self.first_settle
        self._name = f"{now()}-{seed}-{os.getpid()}"
        self._started = now()
        self._everyone = list(subjects)
        self.examiners: dict[str, ExaminerT] = {subject.name: self.examiner(subject) for subject in subjects}

    def examiner(self, subject: DrivenT) -> ExaminerT:
        """Return what judges the answers of a subject."""
        raise NotImplementedError

    def sow(self, cases: Sequence[CaseT]) -> None:
        """Put the seeds to the targets; all that reach something new, and one at least, become parents.

        So the coverage of a campaign that goes on with a corpus is what it was.
        """
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------- for engines

    def over(self) -> bool:
        """Say whether the time or the executions are used up, or no target answers any more."""
        limits = self._limits
        return (
            not self.subjects
            or (limits.executions is not None and self.totals.executions >= limits.executions)
            or self.time_is_up()
        )

    def time_is_up(self) -> bool:
        """Say whether the time is used up, but for what is kept for the end."""
        seconds = self._limits.seconds
        return seconds is not None and self.seconds() >= seconds - self._reserve(seconds)

    def late(self) -> bool:
        """Say whether all of the time is used up, what is kept for the end too."""
        return self._limits.seconds is not None and self.seconds() >= self._limits.seconds

    def _reserve(self, seconds: float) -> float:
        """Return how many seconds are kept for what is told at the end."""
        return min(seconds * _MOST_RESERVED, max(seconds * _RESERVED, self._settling * _SETTLE_AGAIN))

    def room(self, wanted: int) -> int:
        """Return how many executions of those wanted are left."""
        if self._limits.executions is None:
            return wanted
        return max(1, min(wanted, self._limits.executions - self.totals.executions))

    def executed(self, count: int) -> None:
        """Count executions; settle, and write how it stands, when it is time to."""
        self.totals.executions += count
        if self.totals.executions >= self._next_settle:
            self._next_settle = int(self.totals.executions * _SETTLE_GROWTH)
            self.settle()
        if self._clock() >= self._next_point:
            self._point()

    def keep(self, case: CaseT) -> None:
        """Put a case into the corpus."""
        self.corpus.add(case)
        self.note_problems()

    # -------------------------------------------------------------------------------------------- the run

    def run(self, engine: Callable[[Self], None], more_seeds: Sequence[CaseT] = ()) -> Totals:
        """Run until it is over or Ctrl-C, and settle what was found; raises what the engine or the corpus raises."""
        self._began = self._clock()
        for subject in self.subjects:
            if subject.note:
                self._note(f"{subject.name}: {subject.note}")
        problem: VnethashError | None = None
        try:
            self.sow([*self.corpus.saved(), *more_seeds])
            engine(self)
        except KeyboardInterrupt:
            self.totals.interrupted = True
        except VnethashError as error:
            problem = error
        try:
            self.settle(last=True)
        except KeyboardInterrupt:
            self.totals.interrupted = True
        finally:
            self.finish()
        if problem is not None:
            raise problem
        return self.totals

    def settle(self, *, last: bool = False) -> None:
        """Let every examiner find the profile of its target; at the end also the causes that rest on it."""
        began = self._clock()
        for subject in self.subjects:
            self.examiners[subject.name].settle(last=last)
        self._settling = max(self._settling, self._clock() - began)

    def finish(self) -> None:
        """Write what is not written yet; may be called twice."""
        self._point(last=True)
        self.note_problems()

    def unwritten(self) -> list[Found]:
        """Return the causes that could not be written to the ledger."""
        return self._keeper.unwritten()

    def causes(self) -> list[Found]:
        """Return the causes that were found, of all targets."""
        return [cause for examiner in self.examiners.values() for cause in examiner.causes.values()]

    def coverage(self) -> int:
        """Return how much was reached: edges of targets, and of the model what its coverage counts."""
        return sum(subject.edges[0] + len(subject.rules.features) for subject in self._everyone)

    def seconds(self) -> float:
        """Return how long it has run."""
        return self._clock() - self._began

    def leave_out(self, subject: DrivenT) -> None:
        """Go on without a subject that ended."""
        self.subjects.remove(subject)
        self._note(f"{subject.name}: left out: {subject.ended}")

    def note_problems(self) -> None:
        """Note what is wrong with the corpus."""
        for problem in self.corpus.problems:
            self._note(problem)

    def _note(self, words: str) -> None:
        if words not in self.totals.notes:
            self.totals.notes.append(words)
            self._watcher.note(words)

    def tell(self, found: Found, is_new: bool) -> None:
        """Enter, count, or withdraw a cause, and show it."""
        if found.count == 0:
            self._keeper.withdraw(found)
            self._watcher.cause(found, "withdrawn")
            return
        if not is_new and found.id in self.statuses:
            self._keeper.again(found)
            return
        if found.id in self.statuses:
            return
        subject = next(each for each in self._everyone if each.name == found.target)
        what = self._keeper.found(found, subject.target.implementation.version, found.executions)
        self.statuses[found.id] = what
        if what == "new":
            self.totals.new += 1
            self.totals.last_new = self.seconds()
        elif what == "regression":
            self.totals.regressions += 1
        else:
            self.totals.known += 1
        self._watcher.cause(found, what)

    def _point(self, *, last: bool = False) -> None:
        now = self._clock()
        self._next_point = now + _POINT_SECONDS
        totals = self.totals
        totals.seconds = self.seconds()
        self.corpus.write()
        self._keeper.point(
            self._name, self._started, [subject.name for subject in self._everyone], totals.executions, totals.seconds,
            (self.coverage(), len(self.corpus), len(self.causes())),
        )
        if not last:
            self._watcher.progress(self)


def open_subjects(
    names: Sequence[str], opener: Callable[[str], DrivenT], note: Callable[[str], None]
) -> list[DrivenT]:
    """Open the targets; one that cannot be driven is noted and left out. Raises TargetUnavailable if all cannot."""
    opened = []
    problems = []
    for name in names:
        try:
            opened.append(opener(name))
        except VnethashError as error:
            if error.exit_code != TargetUnavailable.exit_code:
                raise
            problems.append(f"{name}: {error.line()}")
    for problem in problems:
        note(problem)
    if not opened:
        raise TargetUnavailable("; ".join(problems) or "no target")
    return opened
