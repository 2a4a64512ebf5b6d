"""Steps and what they show as records, and back from records."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
from vnethash.conformance import records
from vnethash.models.device.matching import wrong
from vnethash.models.device.state import Command, Looks, Negotiate, Packet, Reset, Space
from vnethash.models.device.words import allowed_words, seen_words, step_words
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.allowed import Expectation
    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Answer, Step


def step_records(
    steps: Sequence[Step], seen: Sequence[Seen], allowed: Expectation | None
) -> list[records.Step]:
    """Return steps as records; what came after the last answer is "not reached"."""
    made = []
    for number, step in enumerate(steps):
        observed = seen_words(step, seen[number]) if number < len(seen) else "not reached"
        words = allowed_words(allowed, number) if allowed is not None else []
        fits = number >= len(seen) or allowed is None or _fits(step, seen[number], allowed, number)
        made.append(msgspec.structs.replace(_record(step, words, observed), fits=fits))
    return made


def _fits(step: Step, seen: Seen, allowed: Expectation, number: int) -> bool:
    frame = step.frame if isinstance(step, Packet) else b""
    answers = {cast("tuple[Answer, ...]", cube.outcome)[number] for cube in allowed.cubes}
    return any(wrong(answer, seen, frame) is None for answer in answers)


def _record(step: Step, allowed: list[str], observed: str) -> records.Step:
    words = step_words(step)
    if isinstance(step, Negotiate):
        return records.Step("negotiate", words, allowed, observed, features=f"{step.features:x}")
    if isinstance(step, Command):
        return records.Step(
            "command", words, allowed, observed, command_class=step.class_, command=step.command, data=step.data.hex()
        )
    if isinstance(step, Packet):
        looks = [one.name.lower() for one in (Looks.HASH, Looks.QUEUE, Looks.SIZE, Looks.BUFFERS, Looks.PADDING)
                 if step.looks & one and one.name]
        return records.Step(
            "packet", words, allowed, observed, frame=step.frame.hex(), header=step.header.hex(), looks=looks
        )
    return records.Step("reset" if isinstance(step, Reset) else "space", words, allowed, observed)


def steps_of(sequence: Sequence[records.Step], *, where: str) -> tuple[Step, ...]:
    """Return the steps that records hold; raises FormatError for bytes that are none."""
    try:
        return tuple(_step(one) for one in sequence)
    except (ValueError, KeyError) as error:
        raise FormatError(f"{where}: {error}") from None


def _step(one: records.Step) -> Step:
    if one.do == "negotiate":
        return Negotiate(int(one.features, 16))
    if one.do == "command":
        return Command(one.command_class, one.command, bytes.fromhex(one.data))
    if one.do == "packet":
        looks = Looks(0)
        for name in one.looks:
            looks |= Looks[name.upper()]
        return Packet(bytes.fromhex(one.frame), looks, bytes.fromhex(one.header))
    return Reset() if one.do == "reset" else Space()
