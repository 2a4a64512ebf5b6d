"""Steps with other numbers at one place: by them it is found out whether a cause needs just this number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.case import FRAMES, other_key
from vnethash.models.device.state import Command, Packet
from vnethash.spec.constants import CTRL_MQ

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vnethash.models.device.state import Step, Traits

#: How many are tried for one place.
_TRIED = 2
_V4, _V6 = (FRAMES[0], FRAMES[3], FRAMES[4]), (FRAMES[2], FRAMES[9])


def others(step: Step) -> list[Step]:
    """Return packets of the same sort, or other commands that are not defined; empty for other steps."""
    if isinstance(step, Packet):
        sort = next((sort for sort in (_V4, _V6) if step.frame in sort), ())
        return [step._replace(frame=frame) for frame in sort if frame != step.frame]
    if isinstance(step, Command) and (step.class_, step.command) not in k.KNOWN:
        of_mq, of_none = ((CTRL_MQ, 3), (CTRL_MQ, 77), (CTRL_MQ, 200)), ((200, 1), (99, 0), (77, 7))
        pairs = of_mq if step.class_ == CTRL_MQ else of_none
        return [Command(*pair, step.data) for pair in pairs if pair != (step.class_, step.command)]
    return []


def variants(step: Step, place: str, number: int, traits: Traits) -> list[Step]:
    """Return the step with two other numbers at a place of its shape; empty where there are none."""
    if not isinstance(step, Command):
        return []
    pair = (step.class_, step.command)
    if place == "length":
        return [step._replace(data=data) for data in (step.data[:-1], step.data + b"\0") if step.data]
    if pair == k.PAIRS_SET:
        return [k.number(pair, value, 2) for value in _numbers(place, number, (2, traits.pairs, 3), traits)]
    if pair == k.TUNNEL_SET:
        return [k.number(pair, value, 4) for value in _other(number, (1, 1 << 20, 2))]
    if pair == k.CONTEXT_DEL:
        return [k.number(pair, value, 2) for value in _other(number, (2, 3, 4))]
    fields = k.split(step)
    if fields is None:
        return []
    return [step._replace(data=k.join(one)) for one in _fields(fields, place, number, traits)]


def _fields(fields: k.Fields, place: str, number: int, traits: Traits) -> Iterable[k.Fields]:
    plain = k.plain_rss(traits)
    if place == "types":
        usual = (0, 0x15 & plain.types, 0x2A & plain.types)
        return [fields._replace(types=types) for types in _other(number, usual)]
    if place == "unsupported types":
        bits = _other(number, (1 << 31, 1 << 9, 1 << 20))
        return [fields._replace(types=fields.types & traits.hash_types | bit) for bit in bits]
    if place == "another key":
        keys = (bytes(range(3, 43)), b"\xa5" * 40) if number == 40 else ()
        return [fields._replace(key=key) for key in keys]
    if place.endswith("key of"):
        numbers = (20, 13, 7) if number < 40 else (44, 60, 100)
        return [fields._replace(key=other_key(length)) for length in _other(number, numbers)]
    if place == "a table of":
        return [fields._replace(table=fields.table[:1] * size) for size in _other(number, (2, 16, 64))]
    if place == "a table entry":
        return [fields._replace(table=(entry,) * len(fields.table)) for entry in _other(number, (7, 0x7FFF, 5))]
    if place == "other entries":
        entries = _other(fields.table[0], [entry for entry in range(traits.pairs) if entry not in plain.table])
        return [fields._replace(table=(entry,) * len(fields.table)) for entry in entries]
    if place.startswith(("unclassified_queue", "max_tx_vq")):
        name = "max_tx_vq" if place.startswith("max") else "unclassified"
        queues = [value for value in range(1, traits.pairs) if value != getattr(plain, name)]
        return [k.changed(fields, name, value) for value in _numbers(place, number, queues, traits)]
    if place.startswith("bytes behind"):
        return [fields._replace(rest=bytes(count)) for count in _other(number, (1, 9, 60))]
    if place == "id":
        return [k.with_head(fields, value) for value in _other(number, (2, 3, 4))]
    return []


def _numbers(place: str, number: int, usual: Iterable[int], traits: Traits) -> list[int]:
    beyond = "out of range" in place
    return _other(number, (traits.pairs + 3, 0x7FFF, 0xFFFF) if beyond else usual)


def _other(number: int, numbers: Iterable[int]) -> list[int]:
    return [one for one in numbers if one != number][:_TRIED]
