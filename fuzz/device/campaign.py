"""A campaign of sequences: devices, an engine, a corpus and a ledger. An execution is a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device.case import ControlCase
from vnethash.fuzz.device.examiner import ControlExaminer
from vnethash.fuzz.device.mutation import plain
from vnethash.fuzz.device.subject import DeviceSubject
from vnethash.fuzz.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Observations that judging may make: so many to begin with, and then one for so many steps.
_OBSERVATIONS, _STEPS_EACH = 20_000, 4


class ControlCampaign(Run[DeviceSubject, ControlExaminer, ControlCase]):
    """One run of fuzzing with sequences."""

    first_settle = 1_000

    def examiner(self, subject: DeviceSubject) -> ControlExaminer:
        """Return what judges the answers of a device."""
        return ControlExaminer(subject, self.tell, self.late)

    def settle(self, *, last: bool = False) -> None:
        """Find the profiles; before the end also reduce what shows their readings, which takes longest then."""
        super().settle(last=last)
        if not last:
            for subject in self.subjects:
                self.examiners[subject.name].evidence.prepare()

    def execute(self, case: ControlCase) -> bool:
        """Put a sequence to all devices, judge what differs, and say whether it reached something new."""
        new = False
        longest = 1
        for subject in list(self.subjects):
            steps = subject.fit(case.steps)
            if not steps:
                continue
            played = subject.put(steps)
            examiner = self.examiners[subject.name]
            if played is not None:
                longest = max(longest, len(played.seen))
                examiner.executions = self.totals.executions + longest
                transitions = subject.predict(played.steps)
                novel = subject.rules.add(played.steps, transitions, played.seen)
                if played.error or subject.differs(played, transitions):
                    many = examiner.observations > _OBSERVATIONS + self.totals.executions // _STEPS_EACH
                    if many or self.time_is_up():
                        examiner.unjudged += 1
                    else:
                        examiner.examine(played)
                elif novel and not self.time_is_up():
                    examiner.learn(played)
                new = new or novel
            if subject.ended:
                self.leave_out(subject)
        self.executed(longest)
        return new

    def sow(self, cases: Sequence[ControlCase]) -> None:
        """Put a plain configuration and the cases to the devices."""
        self.note_problems()
        first = ControlCase(plain(self.subjects[0].traits))
        for case in (first, *cases):
            if self.over():
                break
            if self.execute(case):
                self.keep(case)
        if not self.corpus.cases:
            self.keep(first)
