"""A sequence and what each of its steps showed, as a ledger keeps it and a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnethash.fuzz.device.case import steps_from_json, steps_to_json
from vnethash.models.device.allowed import expectation
from vnethash.models.device.state import Traits
from vnethash.models.device.words import allowed_words, seen_words, step_words
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Step


@dataclass(frozen=True)
class Shown:
    """Steps, and in words what each showed; there are fewer words where the device failed on the way.

    `traits` is what the device says about itself, on which depends what is allowed.
    """

    steps: tuple[Step, ...]
    words: tuple[str, ...]
    traits: Traits

    def seen(self) -> list[str]:
        """Return the words of all steps."""
        return [*self.words, *["not reached"] * (len(self.steps) - len(self.words))]

    def lines(self) -> list[str]:
        """Return a line for each step."""
        return [f"{step_words(step)}: {seen}" for step, seen in zip(self.steps, self.seen(), strict=True)]

    def allowed(self) -> list[list[str]]:
        """Return for each step what the text allows, in words."""
        found = expectation(self.steps, self.traits)
        return [allowed_words(found, number) for number in range(len(self.steps))]

    def to_json(self) -> dict[str, Any]:
        """Return the form that a ledger keeps."""
        return {"steps": steps_to_json(self.steps), "shown": list(self.words), "traits": self.traits._asdict()}


def shown(steps: tuple[Step, ...], seen: tuple[Seen, ...], traits: Traits) -> Shown:
    """Return steps with what they showed."""
    return Shown(steps, tuple(seen_words(step, one) for step, one in zip(steps, seen, strict=False)), traits)


def shown_from_json(found: Mapping[str, Any], *, where: str) -> Shown:
    """Return what a ledger kept; raises FormatError for what none did."""
    steps = steps_from_json(found["steps"], where=where)
    numbers = {name: int(value) for name, value in found["traits"].items()}
    if not steps or set(numbers) != set(Traits._fields):
        raise FormatError(f"{where}: it has no steps, or not what the device says about itself")
    return Shown(steps, tuple(str(words) for words in found["shown"]), Traits(**numbers))
