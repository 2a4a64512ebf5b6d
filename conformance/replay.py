"""Puts the witness of a finding to its target again and says whether it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vnethash.conformance.device.control import NOT_ALONE as DEVICE_NOT_ALONE
from vnethash.conformance.device.describe import step_records, steps_of
from vnethash.conformance.device.judge import Weigher
from vnethash.conformance.witness import NOT_ALONE, shown
from vnethash.conformance.wording import step_lines
from vnethash.models.causes import effect
from vnethash.models.device.allowed import offered_readings
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, TargetError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Refused
from vnethash.targets.driving import put, traits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.conformance.records import Finding, Shown, Step
    from vnethash.models.device.matching import Seen
    from vnethash.targets.base import Target
    from vnethash.targets.device import Device

Verdict = Literal["fixed", "still there", "fails another way", "cannot be replayed"]
EXIT_CODES: dict[Verdict, int] = {"fixed": 0, "still there": 1, "fails another way": 1, "cannot be replayed": 2}


@dataclass(frozen=True)
class Replay:
    """What came of a replay: the verdict, what the target shows now, and why; `steps` of a sequence instead."""

    verdict: Verdict
    observed: Shown | None
    words: str
    steps: tuple[Step, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 fixed, 1 still there, 2 cannot be replayed."""
        return EXIT_CODES[self.verdict]


def replay(
    finding: Finding, opener: Callable[[str], Target], device_opener: Callable[[str], Device | None] = lambda _: None
) -> Replay:
    """Replay one finding; a target that cannot be driven makes it "cannot be replayed", never "fixed".

    A finding of the control suite is put to the device that `device_opener` gives.
    """
    if finding.witness.sequence:
        return _replay_sequence(finding, device_opener)
    try:
        frame = bytes.fromhex(finding.witness.frame)
        before = [bytes.fromhex(one) for one in finding.witness.before]
        configuration = Configuration.from_json(finding.witness.config, where=f"finding {finding.id}: config")
    except ValueError as error:
        raise FormatError(f"finding {finding.id}: witness frame: {error}") from None
    try:
        target = opener(finding.target)
    except TargetError as error:
        return Replay("cannot be replayed", None, error.line())
    try:
        target.configure(configuration)
        for ahead in before:  # one by one: not every target keeps the order of a batch
            target.run([ahead])
        result = target.run([frame])[0]
        observes = target.capabilities.observes
    except Refused as refused:
        return Replay("cannot be replayed", None, f"the target refuses the configuration: {refused.message}")
    except TargetError as error:
        if finding.cause == "error":
            return Replay("still there", None, error.line())
        return Replay("cannot be replayed", None, error.line())
    finally:
        target.close()
    if not isinstance(result, Observation):
        words = getattr(result, "message", "") or getattr(result, "reason", "") or "no answer in time"
        return Replay("still there" if finding.cause == "error" else "cannot be replayed", None, words)
    now = shown(result)
    if now == finding.witness.observed:
        return Replay("still there", now, finding.effect)
    if NOT_ALONE in finding.witness.reason:
        return Replay("cannot be replayed", now, "the target showed it only after other frames of its run")
    expected = Expectations().of(frame, configuration)
    if matches(expected.literal, result, observes) or (
        finding.cause != "reading" and expected.allowed.explained_by(lambda one: matches(one, result, observes))
    ):
        return Replay("fixed", now, "the target now does what the text allows")
    return Replay(
        "fails another way", now, effect(expected.literal, result, observes, expected.full.outcomes())
    )


def _replay_sequence(finding: Finding, opener: Callable[[str], Device | None]) -> Replay:
    """Put the steps to a device that was started anew, and hold the answers against what was and what is allowed."""
    steps = steps_of(finding.witness.sequence, where=f"finding {finding.id}")
    seen: list[Seen] = []
    try:
        device = opener(finding.target)
        if device is None:
            return Replay("cannot be replayed", None, f"{finding.target} takes no control commands")
    except TargetError as error:
        return Replay("cannot be replayed", None, error.line())
    try:
        weigher = Weigher(traits_of(device))
        put(device, steps, fresh=True, seen=seen)
    except Refused as refused:
        return Replay("cannot be replayed", None, f"the device cannot be asked: {refused.message}")
    except TargetError as error:
        verdict: Verdict = "still there" if finding.cause == "error" else "cannot be replayed"
        return Replay(verdict, None, error.line())
    finally:
        device.close()
    found = weigher.weigh(steps, tuple(seen))
    now = tuple(step_records(steps, seen, found.full.within(offered_readings(defects=False))))
    if [one.observed for one in now] == [one.observed for one in finding.witness.sequence]:
        return Replay("still there", None, finding.effect, now)
    if DEVICE_NOT_ALONE in finding.witness.reason:
        return Replay("cannot be replayed", None, "the device showed it only after other steps of its run", now)
    if found.literal or (finding.cause != "reading" and found.allowed):
        return Replay("fixed", None, "the device now does what the text allows", now)
    return Replay("fails another way", None, "; ".join(step_lines(list(now))), now)
