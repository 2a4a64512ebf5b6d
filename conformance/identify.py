"""Finds the profile of a target with few packets: each case is one whose answer can still rule a reading out.

The whole suite asks each question many times over. Here, a case is put to the target only if the outcome under the
profile so far differs from the outcome with one reading changed, and no case before it showed that difference; where a
defect hides much, cases are preferred that seem to have nothing to do with it (`choosing`). When the profile changes,
what must be shown changes with it. At last the solver is asked for other sets of readings that explain
all that was shown, and a case is put that tells them from the profile. What packets are left ask the same questions in
other circumstances, because a target may be of two minds; where it is, more of them say what it does mostly. A defect
that none of 200 packets meets is not found; that is what a run of the whole suite is for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vnethash.conformance.choosing import Chooser
from vnethash.conformance.runner import run_suite
from vnethash.models.expectations import Expectations
from vnethash.models.symbolic.profile import Profile, find_profile
from vnethash.spec.errors import TargetDied
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import questions_by_field
from vnethash.targets.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.choosing import Doubt
    from vnethash.conformance.suite import Case
    from vnethash.targets.base import Target

#: Cases put to the target between two looks at the profile.
ROUND = 32
MOST_PACKETS = 200


@dataclass(frozen=True)
class Identified:
    """What few packets say about a target.

    Attributes:
        profile: the set of readings that explains most, with what is still possible.
        packets: frames put to the target.
        unexplained: answers that no reading explains.
        doubts: readings that no case of the suite can rule out for this target.
        finished: False where the packets were used up, or the target gave out, before all was asked.
    """

    profile: Profile
    packets: int
    unexplained: int
    doubts: frozenset[Doubt]
    finished: bool

    @property
    def consistent(self) -> bool:
        """Whether one set of readings explains every answer."""
        return not self.unexplained and not self.profile.violated


def identify(
    target: Target,
    cases: Sequence[Case],
    expectations: Expectations | None = None,
    *,
    most: int = MOST_PACKETS,
    progress: Callable[[int], None] = lambda _: None,
) -> Identified:
    """Find the profile of a target with at most `most` packets; raises TargetDied if it answers nothing."""
    chooser = Chooser(_fitted(target, cases), expectations or Expectations(), target.capabilities.observes)
    packets = 0
    unexplained = 0
    answered = 0
    finished = False
    profile = find_profile([])
    while True:
        room = min(ROUND, most - packets)
        chosen = chooser.for_doubts(profile.readings, max(room, 1)) or chooser.between(profile, max(room, 1))
        finished = not chosen
        if finished and room:
            # What is settled may still be mixed: other frames about the same questions would show it.
            if profile.violated:
                chosen = chooser.resting_on_one(profile, room) or chooser.disputed(profile, room)
            chosen = chosen or chooser.elsewhere(room)
        if not chosen or room == 0:
            break
        run = run_suite(target, [chooser.take(number) for number in chosen], progress)
        packets += len(run.answers)
        spoke = False
        for answer in run.answers:
            if isinstance(answer.result, Observation):
                answered += 1
                constraint = chooser.explain(answer.case.id, answer.result)
                unexplained += constraint == frozenset()
                spoke = spoke or bool(constraint)
        if run.ended or run.interrupted:
            break
        if spoke:
            profile = find_profile(constraint for constraint in chooser.constraints.values() if constraint)
    if not answered:
        raise TargetDied(f"{target.name}: no case could be put to it")
    every = {
        (name, number)
        for name, question in questions_by_field().items()
        for number in range(len(question.readings))
        if number != profile.readings[name]
    }
    doubts = frozenset(every - chooser.ruled_out(profile.readings))
    return Identified(profile, packets, unexplained, doubts, finished)


def _fitted(target: Target, cases: Sequence[Case]) -> list[Case]:
    fitted = []
    for case in cases:
        configuration = fit(case.configuration, target.capabilities)
        if not isinstance(configuration, str):
            fitted.append(replace(case, configuration=configuration))
    return fitted
