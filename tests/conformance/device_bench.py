"""Devices in memory, right ones under any readings and wrong ones, and what the control suite makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.conformance.device.findings import ControlGroup, find_control_groups
from vnethash.conformance.device.judge import JudgedPlay, Weigher, constraints, judge_plays, weigh_all
from vnethash.conformance.device.runner import Plays, run_scripts
from vnethash.conformance.device.script import PLAIN_HASH, PLAIN_RSS
from vnethash.conformance.device.suite import control_suite
from vnethash.conformance.judge import conclude
from vnethash.models.allowed import dialect
from vnethash.models.symbolic.profile import Profile, find_profile
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.questions import all_questions
from vnethash.targets.base import Implementation
from vnethash.targets.device_model import EVERYTHING, ModelDevice
from vnethash.targets.driving import traits_of

if TYPE_CHECKING:
    from vnethash.models.device.state import Traits
    from vnethash.spec.readings import Readings
    from vnethash.targets.device import Device

LITERAL = dialect("literal")

#: Expectations are worked out once for all devices with the same traits.
_WEIGHERS: dict[object, Weigher] = {}


class Verdict(NamedTuple):
    """What the control suite says about a device."""

    run: Plays
    judged: tuple[JudgedPlay, ...]
    profile: Profile
    groups: list[ControlGroup]
    conclusion: str
    weigher: Weigher

    def causes(self) -> dict[str, str]:
        return {group.slug: group.cause for group in self.groups}

    def clauses(self) -> set[str]:
        return {clause for group in self.groups if group.cause != "reading" for clause in group.clauses}

    def verdict(self, name: str) -> str:
        return next(entry.verdict for entry in self.judged if entry.play.script.name == name)


def device(
    readings: DeviceReadings | None = None, packets: Readings = LITERAL, kind: type[ModelDevice] = ModelDevice,
    traits: Traits = EVERYTHING,
) -> ModelDevice:
    return kind("memory", readings or DeviceReadings(), packets, Implementation("in memory"), traits)


def with_readings(**chosen: str) -> ModelDevice:
    """A device with some readings of questions about the device or packets, by field and name."""
    own, packets = DeviceReadings(), LITERAL
    for field, name in chosen.items():
        question = all_questions()[field.replace("_", "-")]
        if field in DeviceReadings._fields:
            own = own._replace(**{field: question.index(name)})
        else:
            packets = packets._replace(**{field: question.index(name)})
    return device(own, packets)


def check(subject: Device, field: str = "") -> Verdict:
    """Put the control suite, or the part of it that asks one question, and judge."""
    traits = traits_of(subject)
    weigher = _WEIGHERS.setdefault(traits, Weigher(traits))
    scripts = control_suite(traits)
    if field:
        bases = {PLAIN_RSS, PLAIN_HASH}
        scripts = [
            one for one in scripts
            if one.name in bases or field in weigher.expectation(one.steps).questions()
        ]
    run = run_scripts(subject, scripts)
    weighed = weigh_all(run.plays, weigher)
    profile = find_profile(constraints(weighed))
    judged = judge_plays(weighed, weigher, profile)
    conclusion, _ = conclude(judged, profile)
    return Verdict(run, judged, profile, find_control_groups(judged, weigher, profile), conclusion, weigher)
