"""Causes that sequences show, for others: the text of a bug report, and the steps as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vnethash.models.device.state import Command, Packet
from vnethash.models.device.words import step_words
from vnethash.spec.text import clip, one_line

if TYPE_CHECKING:
    from vnethash.fuzz.device.shown import Shown
    from vnethash.fuzz.ledger import Entry
    from vnethash.models.device.state import Step


def report(entry: Entry, witness: Shown) -> str:
    """Return the text of a bug report, in Markdown."""
    condition = f"\nIt shows with: {entry.condition}.\n" if entry.condition else ""
    question = f"\nQuestion of the specification: `{entry.question}`, reading `{entry.reading}`.\n" if (
        entry.question) else ""  # fmt: skip
    lines = []
    for number, (step, seen, allowed) in enumerate(
        zip(witness.steps, witness.seen(), witness.allowed(), strict=True), 1
    ):
        lines.append(f"{number}. {step_words(step)}")
        lines += [f"   - {part}" for part in _bytes(step)]
        lines += [f"   - shown: {seen}", *(f"   - allowed: {words}" for words in allowed)]
    return f"""# {one_line(entry.title)}

Target: `{one_line(entry.target)}`{f" {one_line(entry.version)}" if entry.version else ""}. Cause `{entry.id}`
({entry.kind}), clauses {', '.join(entry.clauses) or 'none'} of virtio's packet hashing; found by {entry.tool}, engine
{entry.engine}, seed {entry.seed}, first after {entry.executions:,} steps, seen {entry.count:,} times.

## What happens

{one_line(entry.effect)}.
{condition}{question}
The steps of the driver, put to a device that was just started:

{chr(10).join(lines)}

## How to see it

    vnethash replay {entry.id} --ledger LEDGER

`steps.json` beside this text has the same steps: feature bits and bytes are hexadecimal, the data of a command are what
stands behind class and command, and `header` is what the backend puts before a frame.
"""


def comment(entry: Entry, witness: Shown) -> str:
    """Return what the last packet of a sequence says about itself."""
    head = f"{entry.id} {entry.kind} at {entry.target}: {entry.title}"
    lines = [head, f"effect: {entry.effect}", f"clauses: {', '.join(entry.clauses) or 'none'}", *witness.lines()]
    return "\n".join(clip(one_line(line), 600) for line in lines)


def frames(witness: Shown) -> list[bytes]:
    """Return the frames of the packets of a sequence, in order."""
    return [step.frame for step in witness.steps if isinstance(step, Packet)]


def _bytes(step: Step) -> list[str]:
    if isinstance(step, Command):
        return [f"class {step.class_}, command {step.command}, data `{step.data.hex() or 'none'}`"]
    return [f"frame `{step.frame.hex()}`"] if isinstance(step, Packet) else []


def steps(entry: Entry, witness: Shown) -> str:
    """Return the steps as JSON, with what each showed and what is allowed for it."""
    return json.dumps({
        "cause": entry.id, "target": entry.target, "version": entry.version, **witness.to_json(),
        "allowed": witness.allowed(),
    }, indent=1) + "\n"  # fmt: skip
