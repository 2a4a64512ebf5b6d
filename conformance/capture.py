"""witnesses.pcapng: the witness of each finding, with its verdict as the packet comment.

Wireshark shows the comment above the packet and filters on it (`frame.comment contains "HT-3"`). Each target is an
interface of its own, so `frame.interface_name` selects one target.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vnethash.conformance.wording import (
    allowed_words,
    configuration_words,
    observed_words,
    replay_command,
    step_lines,
)
from vnethash.spec.text import clip, count, one_line

if TYPE_CHECKING:
    from vnethash.conformance.records import Finding
    from vnethash.conformance.report import Report

_LINKTYPE_ETHERNET = 1
#: A pcapng option holds 65,535 bytes; a comment is for reading, so it ends long before.
_COMMENT_LIMIT = 8000
_LINE_LIMIT = 600
_ALLOWED_LIMIT = 6


class _Commented(bytes):
    """A frame with the attributes that scapy's writer takes from a packet; scapy dissects none of it."""

    comments: list[bytes]
    sniffed_on: str
    time: float


def render(report: Report) -> bytes:
    """Return the capture: one packet a finding, in the order of the report, behind those that must come before it."""
    from scapy.utils import RawPcapNgWriter  # noqa: PLC0415 - slow to import

    started = _seconds(report.header.started)
    with TemporaryDirectory(prefix="vnethash-") as folder:
        path = Path(folder, "witnesses.pcapng")
        with RawPcapNgWriter(str(path)) as writer:
            writer.linktype = _LINKTYPE_ETHERNET
            writer.write_header(None)
            for finding in report.findings:
                ahead = f"{finding.id} at {one_line(finding.target)}: put before the packet of this finding"
                packets = [(frame, ahead) for frame in finding.witness.before]
                for content, words in (*packets, (finding.witness.frame, comment(finding, report.folder))):
                    frame = _Commented(bytes.fromhex(content))
                    frame.comments = [words.encode("utf-8", "replace")]
                    frame.sniffed_on = one_line(finding.target)
                    frame.time = started
                    writer.write_packet(frame)
        return path.read_bytes()


def comment(finding: Finding, folder: Path) -> str:
    """Return what the packet says about itself: the finding, its clauses, allowed and observed, how to replay it."""
    witness = finding.witness
    lines = [
        f"{finding.id} {finding.cause} at {finding.target}: {finding.title}",
        f"effect: {finding.effect} ({count(finding.cases, 'case')})",
        f"clauses: {', '.join(finding.clauses) or 'none'}",
    ]
    if finding.question:
        lines.append(f"question: {finding.question}, reading: {finding.reading or 'none fits'}")
    if witness.sequence:
        lines += [f"step {line}" for line in step_lines(witness.sequence)]
        lines.append(f"replay: {replay_command(folder, finding)}")
        return clip("\n".join(clip(one_line(line), _LINE_LIMIT) for line in lines), _COMMENT_LIMIT)
    lines.append(f"observed: {observed_words(witness.observed, witness.reason)}")
    lines += [f"allowed: {allowed_words(allowed)}" for allowed in witness.expected[:_ALLOWED_LIMIT]]
    if len(witness.expected) > _ALLOWED_LIMIT:
        lines.append(f"allowed: {count(len(witness.expected) - _ALLOWED_LIMIT, 'more outcome')}, in report.jsonl")
    lines += [f"{name}: {words}" for name, words in configuration_words(witness.config)]
    lines.append(f"replay: {replay_command(folder, finding)}")
    return clip("\n".join(clip(one_line(line), _LINE_LIMIT) for line in lines), _COMMENT_LIMIT)


def _seconds(started: str) -> float:
    try:
        return datetime.fromisoformat(started).timestamp()
    except ValueError:
        return 0.0
