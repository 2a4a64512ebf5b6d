"""Causes for others: a capture for Wireshark, a script that needs nothing of ours, the text of a bug report."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vnethash.fuzz.device import export as control
from vnethash.fuzz.live import observed_words
from vnethash.models.allowed import expectation
from vnethash.models.expectations import Expectations
from vnethash.models.summarize import summarize
from vnethash.spec.configuration import hash_type_names, report_name
from vnethash.spec.text import clip, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.fuzz.ledger import Entry
    from vnethash.spec.outcome import Outcome


class _Commented(bytes):
    """A frame with the attributes that scapy's writer takes from a packet; scapy dissects none of it."""

    comments: list[bytes]
    sniffed_on: str
    time: float = 0.0


def capture(entries: Sequence[Entry]) -> bytes:
    """Return a pcapng file: the frames of each witness, the last with the cause as its comment."""
    from scapy.utils import RawPcapNgWriter  # noqa: PLC0415 - slow to import

    with TemporaryDirectory(prefix="vnethash-") as folder:
        path = Path(folder, "causes.pcapng")
        with RawPcapNgWriter(str(path)) as writer:
            writer.linktype = 1
            writer.write_header(None)
            for entry in entries:
                frames = entry.witness.frames if entry.shown is None else control.frames(entry.shown)
                for place, frame in enumerate(frames, 1):
                    packet = _Commented(frame)
                    last = place == len(frames)
                    text = comment(entry) if last else f"{entry.id}: comes before the witness"
                    packet.comments = [text.encode("utf-8", "replace")]
                    packet.sniffed_on = one_line(entry.target)
                    with suppress(ValueError):  # a ledger from elsewhere may say anything
                        packet.time = datetime.fromisoformat(entry.first_seen).timestamp()
                    writer.write_packet(packet)
        return path.read_bytes()


def comment(entry: Entry) -> str:
    """Return what a packet says about itself."""
    if entry.shown is not None:
        return control.comment(entry, entry.shown)
    return "\n".join(clip(one_line(line), 600) for line in (
        f"{entry.id} {entry.kind} at {entry.target}: {entry.title}", f"effect: {entry.effect}",
        f"clauses: {', '.join(entry.clauses) or 'none'}", f"observed: {observed_words(entry.observed)}",
        *(f"allowed: {words}" for words in allowed_words(entry)), f"configuration: {configuration_words(entry)}",
    ))  # fmt: skip


def allowed_words(entry: Entry) -> list[str]:
    """Return the outcomes that some supported readings allow for the witness."""
    found = expectation(entry.witness.frame, entry.witness.configuration)
    return sorted({
        f"{report_name(one.report)} {'any value' if one.value < 0 else f'0x{one.value:08x}'}"
        + (f" queue {one.queue}" if one.queue >= 0 else "")
        for one in found.outcomes()
    })  # fmt: skip


def configuration_words(entry: Entry) -> str:
    """Return the configuration of the witness on one line."""
    config = entry.witness.configuration
    table = config.indirection_table
    return (
        f"features {', '.join(sorted(config.features))}; hash types {hash_type_names(config.hash_types)}; key "
        f"{config.key.hex() or 'empty'}; table of {len(table)} [{', '.join(map(str, table[:8]))}"
        f"{', ...' if len(table) > 8 else ''}]; unclassified queue {config.unclassified_queue}"
    )


def report(entry: Entry) -> str:
    """Return the text of a bug report, in Markdown."""
    if entry.shown is not None:
        return control.report(entry, entry.shown)
    frames = "\n\n".join(
        f"    {frame.hex()}\n\n({summarize(frame)}, {len(frame)} bytes)" for frame in entry.witness.frames
    )
    before = " The frames are sent in this order; the answer to the last one is wrong." if len(
        entry.witness.frames) > 1 else ""  # fmt: skip
    condition = f"\nIt shows with: {entry.condition}.\n" if entry.condition else ""
    allowed = "\n".join(f"- {words}" for words in allowed_words(entry))
    question = f"\nQuestion of the specification: `{entry.question}`, reading `{entry.reading}`.\n" if (
        entry.question) else ""  # fmt: skip
    return f"""# {one_line(entry.title)}

Target: `{one_line(entry.target)}`{f" {one_line(entry.version)}" if entry.version else ""}. Cause `{entry.id}`
({entry.kind}), clauses {', '.join(entry.clauses) or 'none'} of virtio's packet hashing; found by {entry.tool}, engine
{entry.engine}, seed {entry.seed}, first after {entry.executions:,} executions, seen {entry.count:,} times.

## What happens

{one_line(entry.effect)}.{before}
{condition}{question}
Frame:

{frames}

Configuration: {configuration_words(entry)}

Observed: {observed_words(entry.observed)}

Allowed:

{allowed}

## How to see it

    vnethash replay {entry.id} --ledger LEDGER

or, without vnethash, `reproduce.py` beside this text: it speaks the adapter protocol to an adapter of yours.
"""


_SCRIPT = '''#!/usr/bin/env python3
"""Shows {id}: {title}

Usage: reproduce.py {usage}
The adapter speaks the adapter protocol of vnethash, version 1, in JSON; this needs nothing but Python.
Exit code 0: the answer is allowed; 1: it is not, or the adapter failed; 2: it could not be asked.
"""
import json
import subprocess
import sys

CONFIG = json.loads({config!r})
FRAMES = {frames!r}
ALLOWED = json.loads({allowed!r})  # hash_report, hash_value, queue; null is "anything"
LITERAL = json.loads({literal!r})  # what the words of the specification say
ADAPTER = {adapter!r}

command = sys.argv[1:] or ADAPTER
if not command:
    print(__doc__)
    sys.exit(2)


def end(code, words):
    print(words)
    sys.exit(code)


def ask(what, **request):
    try:
        adapter.stdin.write(json.dumps(dict(request, cmd=what)) + "\\n")
        adapter.stdin.flush()
        line = adapter.stdout.readline()
    except OSError:
        line = ""
    if not line:
        end(1, "the adapter ended with status {{}}, asked to {{}}".format(adapter.wait(), what))
    answer = json.loads(line)
    if what != "run" and ("error" in answer or "skipped" in answer):
        end(2, "the adapter cannot be asked: " + line.strip())
    return answer


def same(allowed):
    report, value, queue = allowed
    if answer.get("report") not in (None, report) or (queue is not None and answer.get("queue") not in (None, queue)):
        return False
    # An adapter that shows values says "not hashed" by showing none.
    if "value" in observes and report != 0:
        return answer.get("value") == value
    return answer.get("value") is None or value in (None, answer["value"])


try:
    adapter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
except OSError as error:
    end(2, "{{}}: {{}}".format(command[0], error.strerror))
started = ask("start", version=1)
if started.get("framing") == "binary":
    end(2, "the adapter wants binary framing, which this does not speak; `vnethash adapter serve` goes between")
observes = started.get("capabilities", {{}}).get("observes", ())
ask("configure", seq=1, config=CONFIG)
answers = ask("run", seq=2, packets=FRAMES)
if "results" not in answers:
    end(1, "the adapter failed: " + json.dumps(answers))
answer = answers["results"][-1]
ask("stop")
print("answer ", json.dumps(answer))
print("literal", json.dumps(LITERAL))
print("allowed", json.dumps(ALLOWED))
if "skipped" in answer:
    end(2, "the adapter does not take the frame")
if "error" in answer or not any(same(each) for each in ALLOWED):
    end(1, "NOT ALLOWED")
end(0, "allowed" if same(LITERAL) else "allowed, but not by the literal words")
'''


def script(entry: Entry) -> str:
    """Return a program that shows the cause on any adapter, without vnethash; not for a sequence of steps.

    For a target that is a command, it is what the program asks if nothing else is named.
    """
    expected = Expectations().of(entry.witness.frame, entry.witness.configuration)
    scheme, _, command = entry.target.partition(":")
    adapter: list[str] = []
    if scheme == "exec":
        with suppress(ValueError):
            adapter = shlex.split(command)
    own = f"[ADAPTER [ARGUMENT...]], by default {shlex.join(adapter)}" if adapter else (
        f"ADAPTER [ARGUMENT...], for example vnethash adapter serve {shlex.quote(entry.target)}")  # fmt: skip
    return _SCRIPT.format(
        id=entry.id, title=_quoted(entry.title), usage=_quoted(own), adapter=adapter,
        config=json.dumps(entry.witness.configuration.to_json()),
        frames=[frame.hex() for frame in entry.witness.frames],
        allowed=json.dumps([_open(one) for one in sorted(expected.full.outcomes())]),
        literal=json.dumps(_open(expected.literal)),
    )  # fmt: skip


def _open(outcome: Outcome) -> list[int | None]:
    """Return an outcome with null for what may be anything."""
    report, value, queue = outcome
    return [report, None if value < 0 else value, None if queue < 0 else queue]


def _quoted(words: str) -> str:
    """Return words that may stand in a docstring."""
    return one_line(words).replace("\\", "/").replace('"', "'")
