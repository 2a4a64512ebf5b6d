"""The words that all reports share: outcomes, readings, configurations and frames as a person reads them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.models.summarize import summarize
from vnethash.spec.configuration import Configuration, hash_type_names, report_name, tunnel_type_names
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import FormatError
from vnethash.spec.text import count, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vnethash.conformance.records import Allowed, Finding, Settled, Shown, Step, Witness

#: What the `standing` of a reading means (design, section Readings).
STANDINGS = {
    "text": "the words of the specification support it",
    "ancestor": "Microsoft's RSS documents say it",
    "defect": "nothing supports it",
}

#: One line for each cause of a finding.
CAUSES = {
    "defect": "a known behaviour that nothing supports",
    "inconsistent": "a mix of readings that no single one explains",
    "unexplained": "a deviation that no listed reading explains",
    "error": "the target failed",
    "reading": "differs from the literal text, but a reading allows it",
}


class HexRow(NamedTuple):
    """Up to 16 bytes of a frame."""

    offset: str
    left: str
    right: str
    text: str


def outcome_words(shown: Shown | None) -> str:
    """Return e.g. "TCPV4 0x51ccc178 queue 3"; "nothing shown" if no part of the outcome is there."""
    if shown is None:
        return "nothing shown"
    parts = []
    if shown.report is not None:
        parts.append(report_name(shown.report))
    if shown.value is not None:
        parts.append(value_words(shown.value))
    if shown.queue is not None:
        parts.append("no queue" if shown.queue < 0 else f"queue {shown.queue}")
    return " ".join(parts) or "nothing shown"


def value_words(value: int) -> str:
    """Return a `hash_value` as eight hex digits."""
    return f"0x{value:08x}" if value >= 0 else str(value)


def readings_words(readings: Mapping[str, str]) -> str:
    """Return e.g. "udp-fragment = none, short-key = zero"; empty if there are none."""
    return ", ".join(f"{plain(question)} = {plain(reading)}" for question, reading in sorted(readings.items()))


def allowed_words(allowed: Allowed) -> str:
    """Return an allowed outcome with the readings under which it is one."""
    when = readings_words(allowed.when)
    return f"{outcome_words(allowed.outcome)} (if {when})" if when else outcome_words(allowed.outcome)


def all_allowed_words(allowed: Sequence[Allowed]) -> str:
    """Return every allowed outcome on one line."""
    return " or ".join(allowed_words(one) for one in allowed) or "nothing stated"


def distinct_outcomes(allowed: Sequence[Allowed]) -> str:
    """Return the different allowed outcomes on one line, without the readings."""
    return " or ".join(dict.fromkeys(outcome_words(one.outcome) for one in allowed)) or "nothing stated"


def observed_words(observed: Shown | None, reason: str) -> str:
    """Return what the target showed, or why it showed nothing."""
    if observed is None and reason:
        return one_line(reason)
    return f"{outcome_words(observed)}: {one_line(reason)}" if reason else outcome_words(observed)


def settled_words(settled: Settled) -> str:
    """Return what a run settled about one question."""
    if not settled.cases:
        return "not asked"
    if not settled.readings:
        return "no reading fits"
    names = [plain(name) for name in settled.readings]
    return names[0] if len(names) == 1 else "open: " + " or ".join(names)


def witness_words(finding: Finding) -> str:
    """Return the witness in a few words: its headers and its length, or how many steps it takes."""
    if finding.witness.sequence:
        last = finding.witness.sequence[-1]
        return f"{count(len(finding.witness.sequence), 'step')}, the last: {one_line(last.words)}"
    length = len(finding.witness.frame) // 2
    return f"{one_line(finding.witness.summary) or 'frame'}, {count(length, 'byte')}{behind_words(finding.witness)}"


def behind_words(witness: Witness) -> str:
    """Return ", behind eth/ipv4/udp" where frames are put before the witness; "" where there are none."""
    ahead = [summarize(bytes.fromhex(frame)) for frame in witness.before]
    return f", behind {', '.join(ahead)}" if ahead else ""


def step_lines(steps: Sequence[Step]) -> list[str]:
    """Return each step on a line, with what it showed, and what is allowed where that is something else."""
    lines = []
    for number, step in enumerate(steps, 1):
        observed = one_line(step.observed)
        other = "" if step.fits else f"; allowed {' or '.join(map(one_line, step.allowed)) or 'nothing'}"
        lines.append(f"{number} {one_line(step.words)}: {observed}{other}")
    return lines


def replay_command(folder: Path, finding: Finding) -> str:
    """Return the command that puts the witness to the target again."""
    return one_line(f"vnethash replay {shlex.quote(str(folder))} {shlex.quote(finding.id)}")


def configuration_words(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a configuration as pairs of name and words; one that cannot be read is shown as it is."""
    try:
        known = Configuration.from_json(dict(config))
    except FormatError as error:
        return [("as recorded", plain(json.dumps(dict(config), sort_keys=True))), ("note", error.message)]
    pairs = [
        ("features", ", ".join(sorted(known.features)) or "none"),
        ("hash types", hash_type_names(known.hash_types)),
        ("key", _key_words(known.key)),
        ("indirection table", _table_words(known.indirection_table)),
        ("unclassified queue", str(known.unclassified_queue)),
        ("max_tx_vq", str(known.max_tx_vq)),
    ]
    if known.tunnel_types or "HASH_TUNNEL" in known.features:
        pairs.append(("tunnel types", tunnel_type_names(known.tunnel_types)))
    return pairs


def _key_words(key: bytes) -> str:
    size = count(len(key), "byte")
    if not key:
        return "empty"
    if key == MICROSOFT_KEY:
        return f"Microsoft's verification key ({size})"
    if not any(key):
        return f"all zero ({size})"
    return f"{key.hex()} ({size})"


def _table_words(table: tuple[int, ...]) -> str:
    size = count(len(table), "entry") if len(table) == 1 else f"{len(table):,} entries"
    if len(table) > 1 and len(set(table)) == 1:
        return f"every entry {table[0]} ({size})"
    if len(table) > 1 and table == tuple(range(len(table))):
        return f"0 to {len(table) - 1} in order ({size})"
    period = max(table) + 1
    if 1 < period < len(table) and all(entry == index % period for index, entry in enumerate(table)):
        return f"0 to {period - 1} repeated ({size})"
    shown = ", ".join(str(entry) for entry in table[:16])
    return f"{shown}{', ...' if len(table) > 16 else ''} ({size})"


def hex_rows(frame: bytes, limit: int | None = None) -> list[HexRow]:
    """Return the dump of a frame in rows of 16 bytes; at most `limit` bytes of it."""
    rows = []
    for start in range(0, len(frame if limit is None else frame[:limit]), 16):
        row = frame[start : start + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        rows.append(HexRow(f"{start:04x}", row[:8].hex(" "), row[8:].hex(" "), text))
    return rows
