"""The control suite within a run: scripts put to a device, judged by the common profile, told as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vnethash.conformance import records
from vnethash.conformance.describe import decode
from vnethash.conformance.device.describe import step_records
from vnethash.conformance.device.findings import ControlGroup, ControlProber, find_control_groups
from vnethash.conformance.device.judge import (
    JudgedPlay,
    Weighed,
    Weigher,
    constraints,
    first_fault,
    judge_plays,
    weigh_all,
)
from vnethash.conformance.device.runner import Play, PlayBook, Plays, run_scripts
from vnethash.conformance.device.suite import control_suite
from vnethash.models.device.allowed import offered_readings
from vnethash.models.device.state import Packet
from vnethash.models.device.words import step_words
from vnethash.spec.questions import all_by_field
from vnethash.targets.base import Capabilities
from vnethash.targets.driving import traits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.models.symbolic.profile import Constraint, Profile
    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Result
    from vnethash.targets.device import Device

#: In the reason of a witness that only the run showed.
NOT_ALONE = "not shown by a device that was started anew"


@dataclass(frozen=True)
class Control:
    """What part of the control suite a run asks for, and how a name becomes a device (None: it is none)."""

    opener: Callable[[str], Device | None]
    clauses: frozenset[str] = frozenset()
    #: Fields of questions.
    questions: frozenset[str] = frozenset()


class Session:
    """One device in a run; `close` ends it."""

    def __init__(self, device: Device, control: Control) -> None:
        self.device = device
        self.weigher = Weigher(traits_of(device))
        self._control = control
        self.scripts = [script for script in control_suite(self.weigher.traits) if self._wanted(script)]
        self.run = Plays()
        self.weighed: list[tuple[Play, Weighed | None]] = []
        self.judged: tuple[JudgedPlay, ...] = ()
        self._groups: list[ControlGroup] | None = None

    def _wanted(self, script: object) -> bool:
        clauses, questions = self._control.clauses, self._control.questions
        if clauses and not clauses & set(script.clauses):  # type: ignore[attr-defined]
            return False
        return not questions or bool(
            questions & self.weigher.expectation(script.steps).questions()  # type: ignore[attr-defined]
        )

    def put(self, progress: Callable[[int], None], book: PlayBook | None = None) -> None:
        """Put the scripts and weigh what came out; `book` keeps it."""
        self.run = run_scripts(self.device, self.scripts, progress, book)
        self.weighed = weigh_all(self.run.plays, self.weigher)

    def constraints(self) -> list[Constraint]:
        """Return what the answers say about the profile."""
        return constraints(self.weighed)

    def judge(self, profile: Profile) -> None:
        """Judge the scripts by a profile."""
        self._groups = None
        self.judged = judge_plays(self.weighed, self.weigher, profile)

    def sequences(self, target: str) -> list[records.Sequence]:
        """Return the records of the scripts."""
        return [_sequence(target, entry) for entry in self.judged]

    def groups(self, profile: Profile, told: set[str]) -> list[ControlGroup]:
        """Return the causes, without the questions that the packets told of already."""
        return [one for one in self._found(profile) if one.slug not in told]

    def names_of_groups(self, profile: Profile) -> dict[str, list[str]]:
        """Return the scripts that show each cause, by its slug."""
        return {
            group.slug: sorted({entry.play.script.name for entry in group.entries})
            for group in self._found(profile)
        }

    def _found(self, profile: Profile) -> list[ControlGroup]:
        if self._groups is None:
            self._groups = find_control_groups(self.judged, self.weigher, profile)
        return self._groups

    def prober(self, profile: Profile) -> ControlProber:
        """Return what reduces witnesses."""
        return ControlProber(
            self.device, self.weigher, profile, reduces=not self.run.ended and not self.run.interrupted
        )

    def close(self) -> None:
        """End the device."""
        self.device.close()


class OnlyDevice:
    """A device in the place of a target, where no packet suite is asked for."""

    def __init__(self, name: str, device: Device) -> None:
        self.name = name
        self.implementation = device.implementation
        self.notes = device.notes
        self.capabilities = Capabilities(observes=frozenset({"queue", "report", "value"}))

    def configure(self, configuration: Configuration) -> None:
        """Do nothing: there are no frames."""

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return nothing: there are no frames."""
        return []

    def close(self) -> None:
        """Leave the device to whoever opened it."""


def finding(identifier: str, target: str, group: ControlGroup, prober: ControlProber) -> records.Finding:
    """Return a cause with its reduced witness as a record."""
    shown = prober.shown(group)
    weigher, profile = prober.weigher, prober.profile
    frame = next((step.frame for step in reversed(shown.steps) if isinstance(step, Packet)), b"")
    expected = weigher.expectation(shown.steps)
    literal = [one.clause for one in weigher.under(shown.steps, _plain(profile))]
    fault = _effect(shown.steps, shown.seen, weigher, _plain(profile)) or group.title
    entry = group.entries[0]
    return records.Finding(
        identifier, target, group.cause, group.title, list(group.clauses), fault, len(group.entries),
        records.Witness(
            frame.hex(), {}, "; ".join(step_words(step) for step in shown.steps), decode(frame) if frame else "",
            [f"{step_words(step)} [{clause}]" for step, clause in zip(shown.steps, literal, strict=True)], [], None,
            "" if shown.alone else NOT_ALONE,
            step_records(shown.steps, shown.seen, expected.within(offered_readings(defects=False))), shown.fresh,
        ),
        question=group.question.id if group.question else "",
        reading=group.reading,
        detail=group.question.asks if group.question else entry.play.script.comment,
        also=sorted({one.play.script.comment for one in group.entries})[:8],
        sequences=sorted({one.play.script.name for one in group.entries}),
    )


def _plain(profile: Profile) -> Profile:
    """Return the literal readings as a profile."""
    return type(profile)(dict.fromkeys(all_by_field(), 0), {}, frozenset(), frozenset())


def _effect(steps: Sequence[object], seen: Sequence[object], weigher: Weigher, profile: Profile) -> str:
    try:
        number, _, fault = first_fault(steps, seen, weigher, profile)  # type: ignore[arg-type]
    except ValueError:
        return ""
    return f"at step {number + 1}: {fault.words}"


def _sequence(target: str, entry: JudgedPlay) -> records.Sequence:
    questions = all_by_field()
    script = entry.play.script
    allowed = None
    if entry.weighed is not None:
        allowed = entry.weighed.full.within(offered_readings(defects=False))
    return records.Sequence(
        target, script.name, script.comment, list(script.clauses),
        step_records(script.steps, entry.play.seen, allowed), entry.verdict,
        {questions[name].id: questions[name].readings[number].name for name, number in (entry.readings or {}).items()},
        entry.clause, entry.reason, entry.step + 1,
    )

