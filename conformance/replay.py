"""Puts the witness of a finding to its target again and says whether it is still there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vnethash.conformance.check import NOT_ALONE, shown
from vnethash.models.causes import effect
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, TargetError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.conformance.records import Finding, Shown
    from vnethash.targets.base import Target

Verdict = Literal["fixed", "still there", "fails another way", "cannot be replayed"]
EXIT_CODES: dict[Verdict, int] = {"fixed": 0, "still there": 1, "fails another way": 1, "cannot be replayed": 2}


@dataclass(frozen=True)
class Replay:
    """What came of a replay: the verdict, what the target shows now, and why."""

    verdict: Verdict
    observed: Shown | None
    words: str

    @property
    def exit_code(self) -> int:
        """0 fixed, 1 still there, 2 cannot be replayed."""
        return EXIT_CODES[self.verdict]


def replay(finding: Finding, opener: Callable[[str], Target]) -> Replay:
    """Replay one finding; a target that cannot be driven makes it "cannot be replayed", never "fixed"."""
    try:
        frame = bytes.fromhex(finding.witness.frame)
        configuration = Configuration.from_json(finding.witness.config, where=f"finding {finding.id}: config")
    except ValueError as error:
        raise FormatError(f"finding {finding.id}: witness frame: {error}") from None
    try:
        target = opener(finding.target)
    except TargetError as error:
        return Replay("cannot be replayed", None, error.line())
    try:
        target.configure(configuration)
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
