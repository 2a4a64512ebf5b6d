"""Steps of a driver, what they show, and what is allowed for them, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from vnethash.models.device import state as s
from vnethash.models.device.matching import hash_fields
from vnethash.models.device.state import (
    ANY,
    ANYWHERE,
    BELOW,
    DROPPED,
    Acked,
    Arrival,
    Bounds,
    Command,
    Done,
    Looks,
    Negotiate,
    Negotiated,
    Packet,
    Reset,
    Space,
)
from vnethash.models.summarize import summarize
from vnethash.spec import constants as c
from vnethash.spec.commands import HashConfig, RssConfig
from vnethash.spec.configuration import hash_type_names, report_name, tunnel_type_names
from vnethash.spec.constants import MICROSOFT_KEY, Feature
from vnethash.spec.errors import FormatError
from vnethash.spec.questions import all_by_field
from vnethash.spec.text import count

if TYPE_CHECKING:
    from vnethash.models.allowed import Expectation
    from vnethash.models.device.matching import Seen, SpaceRead
    from vnethash.models.device.state import Answer, Step

#: Allowed answers written out for one step.
MOST_ALLOWED = 12

_COMMANDS = {
    (c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET): "VQ_PAIRS_SET",
    (c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG): "RSS_CONFIG",
    (c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG): "HASH_CONFIG",
    (c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET): "HASH_TUNNEL_SET",
    (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_CAP_GET): "RSS_CTX CAP_GET",
    (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_ADD): "RSS_CTX ADD",
    (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_MOD): "RSS_CTX MOD",
    (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_DEL): "RSS_CTX DEL",
}


def step_words(step: Step) -> str:
    """Return a step in words."""
    if isinstance(step, Negotiate):
        return f"negotiate {feature_names(step.features)}"
    if isinstance(step, Reset):
        return "reset"
    if isinstance(step, Space):
        return "read the configuration space"
    if isinstance(step, Packet):
        before = f", behind a header {step.header.hex()}" if any(step.header) else ""
        return f"packet {summarize(step.frame)}{before}"
    name = command_name(step.class_, step.command)
    return f"{name} {_data_words(name, step.data)}".rstrip()


def feature_names(features: int) -> str:
    """Return the names of features, as far as they have to do with received packets."""
    names = [one.name for one in Feature if features >> one & 1]
    names += ["MRG_RXBUF"] if features & s.MRG_RXBUF else []
    return ", ".join(names) or "nothing about hashing"


def command_name(class_: int, command: int) -> str:
    """Return the name of a control command, or its numbers."""
    return _COMMANDS.get((class_, command), f"command {command} of class {class_}")


def _data_words(name: str, data: bytes) -> str:
    try:
        if name == "RSS_CONFIG":
            config = RssConfig.decode(data, strict=False)
            return (
                f"types {hash_type_names(config.hash_types)}, table {_table_words(config)}, unclassified "
                f"{config.unclassified_queue.number}, max_tx_vq {config.max_tx_vq}, {_key_words(config.hash_key_data)}"
            )
        if name == "HASH_CONFIG":
            found = HashConfig.decode(data, strict=False)
            reserved = f", reserved {found.reserved.hex()}" if any(found.reserved) else ""
            return f"types {hash_type_names(found.hash_types)}, {_key_words(found.hash_key_data)}{reserved}"
    except FormatError:
        return f"of {count(len(data), 'byte')}, which is not its length"
    number = int.from_bytes(data, "little")
    if name == "VQ_PAIRS_SET" and len(data) == 2:
        return str(number)
    if name == "HASH_TUNNEL_SET" and len(data) == 4:
        return tunnel_type_names(number) if not number & ~c.ALL_TUNNEL_TYPES else f"{number:#x}"
    if name.startswith("RSS_CTX") and len(data) >= 2:
        return f"{int.from_bytes(data[:2], 'little')} ({count(len(data), 'byte')})"
    return f"of {count(len(data), 'byte')}"


def _table_words(config: RssConfig) -> str:
    entries = [entry.number for entry in config.indirection_table]
    if len(set(entries)) == 1:
        return f"{len(entries)} x {entries[0]}"
    return ",".join(map(str, entries)) if len(entries) <= 8 else f"of {len(entries)}"


def _key_words(key: bytes) -> str:
    if not key:
        return "no key"
    name = "Microsoft's key" if key == MICROSOFT_KEY else f"key {key[:4].hex()}{'...' if len(key) > 4 else ''}"
    return f"{name} of {count(len(key), 'byte')}"


def seen_words(step: Step, seen: Seen) -> str:
    """Return in words what a step showed, as far as it counts."""
    if isinstance(step, Negotiate):
        return "accepted" if seen else "refused"
    if isinstance(step, Reset):
        return "done"
    if isinstance(step, Command):
        return {0: "OK", 1: "ERR", -1: "no ack"}.get(int(cast("int", seen)), f"ack {seen}")
    if isinstance(step, Space):
        space = cast("SpaceRead", seen)
        return f"pairs {space.pairs}, key {space.key}, table {space.table}"
    if seen is None:
        return "no queue"
    parts = []
    header = seen.header  # type: ignore[union-attr]
    if step.looks & Looks.HASH and len(header) >= 20:
        report, value = hash_fields(header)
        parts.append(f"{report_name(report)} {value:#010x}")
    if step.looks & Looks.QUEUE:
        parts.append(f"queue {seen.queue}")  # type: ignore[union-attr]
    if step.looks & Looks.SIZE:
        parts.append(f"a header of {len(header)} bytes")
    if step.looks & Looks.BUFFERS:
        parts.append(f"num_buffers {int.from_bytes(header[10:12], 'little')}")
    if step.looks & Looks.PADDING:
        parts.append(f"padding {int.from_bytes(header[18:20], 'little'):#06x}")
    return ", ".join(parts) or "received"


def answer_words(answer: Answer) -> str:
    """Return in words what an answer of the model allows."""
    if isinstance(answer, Negotiated):
        return "accepted" if answer.accepted else "refused"
    if isinstance(answer, Done):
        return "done"
    if isinstance(answer, Acked):
        return "OK" if answer.ok else "ERR"
    if isinstance(answer, Bounds):
        return "fields within their bounds"
    return _arrival_words(answer)


def _arrival_words(answer: Arrival) -> str:
    parts = []
    if answer.report is not None:
        value = "" if answer.value in {None, ANY} else f" {answer.value:#010x}"
        parts.append("any report" if answer.report == ANY else report_name(answer.report) + (value or " any value"))
    if answer.queue == DROPPED:
        return "dropped"
    if answer.queue == ANYWHERE:
        parts.append("any queue or none")
    elif answer.queue == BELOW:
        parts.append(f"queue 0 to {answer.below - 1}" if answer.below > 1 else "queue 0")
    elif answer.queue is not None:
        parts.append(f"queue {answer.queue}")
    if answer.size is not None:
        parts.append(f"a header of {answer.size} bytes")
    if answer.buffers is not None:
        parts.append("num_buffers as used" if answer.buffers == ANY else f"num_buffers {answer.buffers}")
    if answer.padding is not None:
        parts.append("any padding" if answer.padding == ANY else f"padding {answer.padding:#06x}")
    return ", ".join(parts) or "received"


def allowed_words(allowed: Expectation, number: int) -> list[str]:
    """Return the different answers that are allowed at a step, each with the readings under which it is."""
    questions = all_by_field()
    found: dict[str, str] = {}
    cubes = sorted(allowed.cubes, key=lambda cube: sum(0 not in numbers for _, numbers in cube.when))
    for cube in cubes:
        words = answer_words(cast("tuple[Answer, ...]", cube.outcome)[number])
        if words not in found:
            other = [
                f"{questions[name].id} = {' or '.join(questions[name].readings[one].name for one in sorted(numbers))}"
                for name, numbers in cube.when if 0 not in numbers
            ]
            found[words] = f"{words} (if {', '.join(other)})" if other else words
    return list(found.values())[:MOST_ALLOWED]
