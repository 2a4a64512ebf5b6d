"""A campaign of frames: targets, an engine, a corpus and a ledger, held together until the time is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz import seeds
from vnethash.fuzz.case import Case
from vnethash.fuzz.examiner import Examiner
from vnethash.fuzz.run import Limits, Run, Silent, Totals, Watcher, open_subjects
from vnethash.fuzz.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.configuration import Configuration

__all__ = ["Campaign", "Limits", "Silent", "Totals", "Watcher", "open_subjects"]

#: Observations that judging may make: so many to begin with, and then one for so many executions.
_OBSERVATIONS, _EXECUTIONS_EACH = 20_000, 4


class Campaign(Run[Subject, Examiner, Case]):
    """One run of fuzzing with frames."""

    def examiner(self, subject: Subject) -> Examiner:
        """Return what judges the answers of a target."""
        return Examiner(subject, self.tell, self.late)

    def execute(self, configuration: Configuration, frames: Sequence[bytes]) -> list[int]:
        """Put frames to all targets, judge what differs, and return the indices of those that reached something new."""
        new: set[int] = set()
        for subject in list(self.subjects):
            fitted = subject.fit(configuration)
            if fitted is None:
                continue
            filtered = subject.readings
            batch = subject.put(fitted, frames)
            examiner = self.examiners[subject.name]
            if batch is not None:
                for index in batch.differing:
                    many = examiner.observations > _OBSERVATIONS + self.totals.executions // _EXECUTIONS_EACH
                    if many or self.time_is_up():
                        examiner.unjudged += 1
                    else:
                        examiner.executions = self.totals.executions + index + 1
                        examiner.examine(fitted, frames, index, filtered, batch.failed.get(index, ""))
                for index in batch.novel:
                    if not self.time_is_up():
                        examiner.executions = self.totals.executions + index + 1
                        examiner.learn(fitted, frames[index])
                if not self.time_is_up():
                    examiner.executions = self.totals.executions
                    examiner.weigh(fitted, frames, frozenset(batch.differing))
                new.update(batch.novel)
            if subject.ended:
                self.leave_out(subject)
        self.executed(len(frames))
        return sorted(new)

    def sow(self, cases: Sequence[Case]) -> None:
        """Put the seeds to the targets; all that reach something new, and one at least, become parents.

        So the coverage of a campaign that goes on with a corpus is what it was.
        """
        self.note_problems()
        plain = self.subjects[0].plain
        groups: dict[Configuration, list[Case]] = {plain: [Case(plain, (frame,)) for frame in seeds.traffic()]}
        for case in cases:
            groups.setdefault(case.configuration, []).append(case)
        for subject in self.subjects:
            subject.thorough = True
        for configuration, group in groups.items():
            for start in range(0, len(group), 256):
                if self.over():
                    break
                batch = group[start:start + 256]
                for index in self.execute(configuration, [case.frame for case in batch]):
                    self.keep(batch[index])
        for subject in self._everyone:
            subject.thorough = False
        for subject in self.subjects:
            for index in subject.follow(cases):
                self.keep(cases[index])
        if not self.corpus.cases:
            self.keep(groups[plain][0])
