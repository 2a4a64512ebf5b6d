"""Groups failing scripts by cause and reduces each to the fewest steps and the shortest data that still show it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from vnethash.conformance.device.judge import Weigher, first_fault
from vnethash.conformance.device.reduction import reduce
from vnethash.models.causes import alternatives, mixed_cause
from vnethash.models.device.faults import faults
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.errors import TargetError
from vnethash.spec.questions import all_by_field
from vnethash.targets.base import Refused
from vnethash.targets.driving import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vnethash.conformance.device.judge import JudgedPlay, Weighed
    from vnethash.conformance.device.script import Script
    from vnethash.conformance.records import Cause
    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Step
    from vnethash.models.symbolic.profile import Profile
    from vnethash.spec.questions import Question
    from vnethash.targets.device import Device


#: Scripts that are tried for a witness that a new device shows.
_MOST_ENTRIES = 6
#: Clauses beside the one that an unexplained answer is against.
_FEW = 5


@dataclass
class ControlGroup:
    """Scripts with one cause; the fields are those of `conformance.findings.Group`."""

    cause: Cause
    slug: str
    title: str
    clauses: tuple[str, ...]
    question: Question | None = None
    number: int = 0
    entries: list[JudgedPlay] = field(default_factory=list)

    @property
    def reading(self) -> str:
        """The name of the reading, if the cause is one."""
        return self.question.readings[self.number].name if self.question else ""


class Shown(NamedTuple):
    """A witness: the steps, what each showed, whether the device must be new for it, and whether it shows it alone."""

    steps: tuple[Step, ...]
    seen: tuple[Seen, ...]
    fresh: bool
    alone: bool


def find_control_groups(judged: Sequence[JudgedPlay], weigher: Weigher, profile: Profile) -> list[ControlGroup]:
    """Return the causes of everything that is not as the literal text has it."""
    groups = [
        *_reading_groups(judged, weigher, profile), *_mixed_groups(judged, profile), *_unexplained_groups(judged),
        *_broken_groups(judged),
    ]
    order = {"error": 0, "defect": 1, "inconsistent": 2, "unexplained": 3, "reading": 4}
    return sorted((group for group in groups if group.entries), key=lambda group: order[group.cause])


def shows_reading(
    found: Weighed, question: Question, weigher: Weigher, profile: Profile, others: Sequence[int] | None = None
) -> bool:
    """Say whether answers follow under the profile and under no alternative to its reading of the question.

    `others` are the readings that count as alternatives, by default those of `models.causes.alternatives`.
    """
    own = profile.readings.get(question.field, 0)

    def follows(number: int) -> bool:
        readings = profile.readings if number == own else {**profile.readings, question.field: number}
        changed = weigher.under(found.steps, replace(profile, readings=readings))
        return not faults(found.steps, [one.answer for one in changed], found.seen)

    others = alternatives(question, own) if others is None else others
    return follows(own) and not any(follows(number) for number in others)


def _reading_groups(
    judged: Sequence[JudgedPlay], weigher: Weigher, profile: Profile
) -> Iterable[ControlGroup]:
    for name, question in all_by_field().items():
        number = profile.readings.get(name, 0)
        if number == 0 or 0 in profile.possible.get(name, frozenset({0})):
            continue
        defect = question.readings[number].standing == "defect"
        group = ControlGroup(
            "defect" if defect else "reading", question.id, question.readings[number].words, question.clauses,
            question, number,
        )
        group.entries = [
            entry for entry in judged
            if entry.weighed is not None and entry.weighed.constraint
            and any(one == name for when in entry.weighed.constraint for one, _ in when)
            and shows_reading(entry.weighed, question, weigher, profile)
        ]
        if defect and not any(entry.definite for entry in group.entries):
            group.cause = "inconsistent"
        if any(entry.weighed and not entry.weighed.literal for entry in group.entries):
            yield group


def _mixed_groups(judged: Sequence[JudgedPlay], profile: Profile) -> Iterable[ControlGroup]:
    groups: dict[str, ControlGroup] = {}
    for entry in judged:
        if not entry.consistent and entry.weighed and entry.weighed.constraint:
            whole = replace(profile, readings={**dict.fromkeys(all_by_field(), 0), **profile.readings})
            cause = mixed_cause(entry.weighed.constraint, whole, entry.clause or entry.play.script.clauses[0])
            group = ControlGroup("inconsistent", cause.slug, cause.title, cause.clauses)
            groups.setdefault(cause.slug, group).entries.append(entry)
    return groups.values()


def _unexplained_groups(judged: Sequence[JudgedPlay]) -> Iterable[ControlGroup]:
    groups: dict[str, ControlGroup] = {}
    for entry in judged:
        if entry.verdict == "fail" and entry.consistent and entry.readings is None:
            slug = f"{entry.clause}-{entry.kind}"
            group = groups.setdefault(slug, ControlGroup("unexplained", slug, entry.reason, (entry.clause,)))
            group.entries.append(entry)
    for group in groups.values():
        # What the scripts are there for says more than the rule that a packet or an ack is against; many say nothing.
        deciding = dict.fromkeys(entry.play.script.clauses[0] for entry in group.entries)
        if len(deciding) <= _FEW:
            group.clauses = tuple(dict.fromkeys((*group.clauses, *deciding)))
    return groups.values()


def _broken_groups(judged: Sequence[JudgedPlay]) -> Iterable[ControlGroup]:
    groups: dict[str, ControlGroup] = {}
    for entry in judged:
        if entry.verdict in {"error", "timeout"}:
            line = entry.reason.partition(", at step")[0][:120]
            slug = f"control-{entry.verdict}-{len(groups) + 1}" if line not in groups else groups[line].slug
            clauses = (entry.play.script.clauses[0],)
            groups.setdefault(line, ControlGroup("error", slug, line, clauses)).entries.append(entry)
    return groups.values()


class ControlProber:
    """Puts sequences to a device while a witness is reduced."""

    def __init__(self, device: Device, weigher: Weigher, profile: Profile, *, reduces: bool) -> None:
        self.device = device
        self.weigher = weigher
        self.profile = profile
        self.reduces = reduces

    def seen(self, steps: tuple[Step, ...], *, fresh: bool) -> tuple[Seen, ...] | None:
        """Return what a sequence shows, None if it cannot be put."""
        if not self.reduces:
            return None
        found: list[Seen] = []
        try:
            put(self.device, steps, fresh=fresh, seen=found)
        except Refused:
            return None
        except TargetError:
            self.reduces = self._revived()
            return None
        return tuple(found)

    def _revived(self) -> bool:
        try:
            self.device.restart()
        except TargetError:
            return False
        return True

    def shown(self, group: ControlGroup) -> Shown:
        """Return the smallest witness of a group."""
        ranked = sorted(group.entries, key=lambda entry: self._rank(entry, group))
        script, seen = ranked[0].play.script, ranked[0].play.seen
        if group.cause == "error":
            return Shown(script.steps, seen, script.fresh, alone=True)
        for entry in ranked[:_MOST_ENTRIES]:
            shown = self._alone(entry.play.script, group)
            if shown is not None:
                return shown
        return Shown(script.steps, seen, script.fresh, alone=not self.reduces)

    def _alone(self, script: Script, group: ControlGroup) -> Shown | None:
        """Return the smallest witness that a script has, None if a new device does not show it.

        A device that keeps something from one script to the next must not spoil the witness: it is put to a new one.
        """
        shows = self._test(group)
        alone = self.seen(script.steps, fresh=True)
        if alone is None or not shows(script.steps, alone):
            return None
        strict = self._test(group, strict=True)
        if strict(script.steps, alone):
            shows = strict
        # First without starting anew for every attempt; a device that keeps something misleads such a reduction.
        for fresh in dict.fromkeys((script.fresh, True)):
            small = reduce(script.steps, partial(self._holds, shows=shows, fresh=fresh), few=fresh)
            final = self.seen(small, fresh=True)
            if final is not None and shows(small, final):
                return Shown(small, final, script.fresh, alone=True)
        return Shown(script.steps, alone, script.fresh, alone=True)

    def _rank(self, entry: JudgedPlay, group: ControlGroup) -> tuple[bool, bool, bool, int, int]:
        """Return how well a script serves as a witness, the best first: how clear it is, then how short."""
        found = entry.weighed
        clear = found is None or not found.literal
        vague = found is None or not self._test(group, strict=True)(found.steps, found.seen)
        steps = entry.play.script.steps
        size = sum(len(getattr(step, "data", b"")) for step in steps)
        return not entry.definite, not clear, vague, len(steps), size

    def _holds(
        self, steps: tuple[Step, ...], *, shows: Callable[[tuple[Step, ...], tuple[Seen, ...]], bool], fresh: bool
    ) -> bool:
        seen = self.seen(steps, fresh=fresh)
        return seen is not None and len(seen) == len(steps) and shows(steps, seen)

    def _test(
        self, group: ControlGroup, *, strict: bool = False
    ) -> Callable[[tuple[Step, ...], tuple[Seen, ...]], bool]:
        """Return what says whether a sequence still shows the cause of a group.

        With `strict` a reading is told apart from all others that its question has, but for what is not specified.
        """
        question = group.question
        others = None
        if strict and question is not None:
            numbers = range(len(question.readings))
            loose = {"unspecified", group.reading}
            others = [number for number in numbers if question.readings[number].name not in loose]
        definite = any(entry.definite for entry in group.entries)

        def same_reading(steps: tuple[Step, ...], seen: tuple[Seen, ...]) -> bool:
            found = self.weigher.weigh(steps, seen)
            if found.literal or (group.cause == "defect" and definite and found.allowed) or question is None:
                return False
            return shows_reading(found, question, self.weigher, self.profile, others)

        def same_fault(steps: tuple[Step, ...], seen: tuple[Seen, ...]) -> bool:
            found = self.weigher.weigh(steps, seen)
            if group.cause == "inconsistent":
                whole = {**dict.fromkeys(all_by_field(), 0), **self.profile.readings}
                if not found.constraint or satisfied(found.constraint, whole):
                    return False
                return mixed_cause(found.constraint, replace(self.profile, readings=whole), "").slug == group.slug
            if found.constraint is None or found.constraint:
                return False
            _, clause, fault = first_fault(steps, seen, self.weigher, self.profile)
            return f"{clause}-{fault.kind}" == group.slug

        return same_fault if question is None else same_reading
