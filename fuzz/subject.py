"""One target in a campaign: configured, put frames, its answers held against the filter, its coverage read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vnethash.fuzz.oracle import LOADED_FROM, Filter, RuleCoverage, reached
from vnethash.models.matching import matches
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.spec.readings import Readings
from vnethash.targets.base import Errored, Refused, Result, Skipped, TimedOut
from vnethash.targets.ebpf.counted import pack
from vnethash.targets.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.fuzz.case import Case
    from vnethash.targets.base import Target
    from vnethash.targets.ebpf.counted import CountedProgram
    from vnethash.targets.lib.counters import CountedLibrary

#: Failures in a row, with nothing answered between them, after which a target is given up.
MOST_FAILURES = 12
#: Of frames put to a target whose own edges are counted, one in so many is also followed through the model's rules.
_SAMPLE = 16
#: Frames of a batch that are put to the target itself where its program with counters cannot be run on them.
_UNCOUNTED = 24


@dataclass
class Batch:
    """What came of a list of frames: indices of those that differ from the filter, of those that reached something new.

    `answered` counts the frames that the target answered at all; `failed` says of others how it failed on them.
    """

    differing: list[int] = field(default_factory=list)
    novel: list[int] = field(default_factory=list)
    answered: int = 0
    failed: dict[int, str] = field(default_factory=dict)


class Subject:
    """A target, and the readings under which its answers are filtered.

    Attributes:
        readings: the current profile; `adopt` changes it.
        skipped: frames that the target could not be asked.
        ended: why it was given up, "" while it answers.
        thorough: every frame is followed through the model's rules, whatever else says what is new.
    """

    def __init__(self, name: str, opener: Callable[[str], Target], *, coverage: bool = True) -> None:
        """Open the target; raises what `opener` raises."""
        self.name = name
        self._opener = opener
        self.target = opener(name)
        self.capabilities = self.target.capabilities
        self.observes = self.capabilities.observes
        self.readings = Readings()
        self.rules = RuleCoverage()
        self.skipped = 0
        self.ended = ""
        self.thorough = False
        self.note = ""
        self._failures = 0
        self._frames_so_far = 0
        self._configuration: Configuration | None = None
        self._filter: Filter | None = None
        self._counted: CountedProgram | None = None
        self._library: CountedLibrary | None = None
        if coverage:
            self._counted = self._with_counters()
            self._library = self._with_counted_edges()
        fitted = fit(Configuration(hash_types=Configuration().hash_types & self.capabilities.hash_types),
                     self.capabilities)
        self.plain = fitted if isinstance(fitted, Configuration) else Configuration()

    def _with_counters(self) -> CountedProgram | None:
        """Return the target's program with counters, if it is one and can be had so."""
        if not hasattr(self.target, "program") or not hasattr(self.target, "roles"):
            return None
        from vnethash.targets.ebpf.counted import CountedProgram  # noqa: PLC0415 - numpy
        from vnethash.targets.ebpf.target import SteeringTarget  # noqa: PLC0415

        if not isinstance(self.target, SteeringTarget):
            return None
        try:
            counted = CountedProgram(self.target)
        except VnethashError as error:
            self.note = f"no edge coverage: {error.line()}"
            return None
        if counted.edges.blind:
            self.note = f"{counted.edges.blind} edges have no counter"
        return counted

    def _with_counted_edges(self) -> CountedLibrary | None:
        """Return the target as a library whose edges are counted, if it was built so."""
        counters = getattr(self.target, "counters", None)
        if counters is None:
            return None
        from vnethash.targets.lib.counters import CountedLibrary  # noqa: PLC0415 - numpy

        try:
            if self._library is None:
                return CountedLibrary(self.target, counters)
            self._library.adopt(self.target, counters)
            return self._library
        except VnethashError as error:
            self.note = f"no edge coverage: {error.line()}"
            return None

    @property
    def edges(self) -> tuple[int, int]:
        """Edges of the target that were reached, and how many it has; (0, 0) where it has no counters."""
        if self._library is not None:
            return int((self._library.seen != 0).sum()), len(self._library.seen)
        if self._counted is None:
            return 0, 0
        return int((self._counted.seen != 0).sum()), len(self._counted.edges.edges)

    def fit(self, configuration: Configuration) -> Configuration | None:
        """Return a configuration as the target can take it, None if it cannot."""
        fitted = fit(configuration, self.capabilities)
        return fitted if isinstance(fitted, Configuration) else None

    def adopt(self, readings: Readings) -> None:
        """Filter by other readings from now on."""
        self.readings = readings
        self._filter = None

    def put(self, configuration: Configuration, frames: Sequence[bytes]) -> Batch | None:
        """Put frames to the target; None if it refuses the configuration, or failed (`failure` then counts)."""
        try:
            if configuration != self._configuration:
                self._configuration = None
                self._filter = None
                if self._counted is not None:
                    self._counted.configure(configuration)
                else:
                    self.target.configure(configuration)
                self._configuration = configuration
            if self._filter is None:
                self._filter = self._filtering(configuration, self.readings)
            self._frames_so_far += len(frames)
            batch = self._put_counted(frames) if self._counted is not None else self._put_plain(frames)
        except Refused:
            return None
        except TargetError as error:
            self.failure(error)
            return None
        if batch.answered:
            self._failures = 0
        return batch

    def _put_plain(self, frames: Sequence[bytes]) -> Batch:
        assert self._filter is not None
        assert self._configuration is not None
        batch = Batch()
        results, found = (self.target.run(frames), []) if self._library is None else self._library.explore(frames)
        novel = set(found)
        expected = self._filter.outcomes(frames)
        observes = self.observes
        for index, (result, outcome) in enumerate(zip(results, expected, strict=True)):
            if isinstance(result, Observation):
                batch.answered += 1
                if not matches(outcome, result, observes):
                    batch.differing.append(index)
            elif isinstance(result, Skipped):
                self.skipped += 1
            else:
                batch.differing.append(index)
                batch.failed[index] = failed(result)
        asked = [index for index in range(0, len(frames), self._step()) if not isinstance(results[index], Skipped)]
        followed = self._filter.reached([frames[index] for index in asked])
        novel.update(index for index, met in zip(asked, followed, strict=True) if self.rules.add(*met))
        batch.novel = sorted(novel)
        return batch

    def follow(self, cases: Sequence[Case]) -> list[int]:
        """Return the indices of cases that meet something new in the model, whatever the target makes of them.

        Under the literal readings and under the current ones: the profile changes while seeds are put, and what they
        met before would not be counted.
        """
        new = []
        for index, case in enumerate(cases):
            fitted = self.fit(case.configuration)
            if fitted is not None:
                met = [reached(case.frame, fitted, readings) for readings in {Readings(), self.readings}]
                if sum(self.rules.add(*each) for each in met):  # all of them are to be added
                    new.append(index)
        return new

    def parting(
        self, configuration: Configuration, frames: Sequence[bytes], others: Sequence[Readings]
    ) -> list[set[int]]:
        """Return for each of other readings the indices of frames for which the target would show something else."""
        packed = pack(frames)
        ours, *theirs = (
            self._filtering(configuration, readings).shown(frames, packed, self.observes)
            for readings in (self.readings, *others)
        )
        return [{
            index
            for mine, its in zip(ours, columns, strict=True) for index in _unlike(mine, its)
        } for columns in theirs]  # fmt: skip

    def _filtering(self, configuration: Configuration, readings: Readings) -> Filter:
        return Filter(configuration, readings, fast=self.has_edges, frames_so_far=self._frames_so_far)

    def _step(self) -> int:
        """Of how many frames one is followed through the model's rules, too."""
        return 1 if self.thorough or not self.has_edges else _SAMPLE

    @property
    def has_fast_model(self) -> bool:
        """Say whether the model may be asked often: by now its twin works, where there is one."""
        return self.has_edges or self._frames_so_far >= LOADED_FROM

    @property
    def has_edges(self) -> bool:
        """Say whether the target's own edges are counted."""
        return self._counted is not None or self._library is not None

    def _put_counted(self, frames: Sequence[bytes]) -> Batch:
        assert self._filter is not None
        assert self._counted is not None
        assert self._configuration is not None
        import numpy  # noqa: PLC0415

        packed = pack(frames)
        queues, found = self._counted.explore(frames, packed)
        expected = numpy.asarray(self._filter.queues(frames, packed))
        ran = queues >= 0
        differing = numpy.flatnonzero(ran & (queues != expected) & (expected >= 0)).tolist()
        others = numpy.flatnonzero(~ran).tolist()
        batch = self._put_uncounted(frames, others[:_UNCOUNTED])
        differing += batch.differing
        answered = int(ran.sum()) + batch.answered
        self.skipped += len(others) - batch.answered
        step = self._step()
        sample = slice(len(frames) % step, None, step)
        some = packed._replace(starts=packed.starts[sample], ends=packed.ends[sample])
        followed = self._filter.reached(frames[sample], some)
        novel = {*found, *(index for index, met in zip(range(len(frames))[sample], followed, strict=True)
                           if self.rules.add(*met))}  # fmt: skip
        return Batch(sorted(differing), sorted(novel), answered, batch.failed)

    def _put_uncounted(self, frames: Sequence[bytes], some: Sequence[int]) -> Batch:
        """Put frames that the program with counters was not run on to the target itself, which has other ways."""
        batch = Batch()
        if not some:
            return batch
        assert self._filter is not None
        assert self._configuration is not None
        self.target.configure(self._configuration)
        chosen = [frames[index] for index in some]
        answers = zip(some, self.target.run(chosen), self._filter.outcomes(chosen), strict=True)
        for index, result, outcome in answers:
            if isinstance(result, Observation):
                batch.answered += 1
                if not matches(outcome, result, self.observes):
                    batch.differing.append(index)
            elif not isinstance(result, Skipped):
                batch.differing.append(index)
                batch.failed[index] = failed(result)
        return batch

    def observe(self, configuration: Configuration, frames: Sequence[bytes]) -> Result | None:
        """Return the answer to the last of some frames, put to the target after it was configured anew.

        None if it refuses the configuration or fails altogether; raises nothing of a target.
        """
        try:
            return self._asked(configuration, frames)[-1]
        except Refused:
            return None
        except TargetError as error:
            self.failure(error)
            return Errored(error.message)

    def answers(self, configuration: Configuration, frames: Sequence[bytes]) -> list[Result]:
        """Return the answers to frames that have nothing to do with one another, asked in a row; empty if it fails."""
        try:
            return self._asked(configuration, frames)
        except Refused:
            return []
        except TargetError as error:
            self.failure(error)
            return []

    def _asked(self, configuration: Configuration, frames: Sequence[bytes]) -> list[Result]:
        if self._counted is None:
            self._configuration = None
            self._filter = None
        self.target.configure(configuration)
        return list(self.target.run(frames))

    def failure(self, error: TargetError) -> None:
        """Count a failure; open the target again, or give it up."""
        self._failures += 1
        self._configuration = None
        if self._failures >= MOST_FAILURES:
            self.ended = error.line()
            return
        try:
            self.target.close()
            self.target = self._opener(self.name)
            if self._library is not None:
                self._library = self._with_counted_edges()
        except TargetError as again:
            self.ended = again.line()

    def close(self) -> None:
        """End what was started; may be called twice."""
        if self._counted is not None:
            self._counted.close()
        self.target.close()


def _unlike(one: Any, other: Any) -> list[int]:
    """Return the indices at which two columns differ: two lists, or two arrays."""
    if isinstance(one, list):
        return [index for index, (mine, its) in enumerate(zip(one, other, strict=True)) if mine != its]
    return (one != other).nonzero()[0].tolist()  # type: ignore[no-any-return]


def failed(result: Result | None) -> str:
    """Return what a target said when it failed, "" for an answer and for what cannot be asked."""
    if isinstance(result, Errored):
        return result.message or "error"
    if isinstance(result, TimedOut):
        return f"no answer within {result.seconds:g} s"
    return ""
