"""Makes a sequence that shows something small and plain: the fewest steps, then features, then what is odd in commands.

Every candidate must cost less than what it replaces, so that reduction ends, and so that sequences with one cause end
at one witness from wherever they began.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.case import FRAMES, LOOKS, legal, other_key
from vnethash.fuzz.device.signature import shape
from vnethash.models.device.state import Command, Looks, Negotiate, Packet
from vnethash.spec.constants import CTRL_MQ, MICROSOFT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vnethash.models.device.state import Step, Traits

Steps = tuple["Step", ...]
Cost = tuple[int, int, int, str]

#: Candidates put to the device for one cause; fewer where the device is started anew for each.
MOST_ATTEMPTS, FEW_ATTEMPTS = 400, 40
_KEYS = (0, 1, 4, 12, 16, 36, 52, 255)
_LOOKS = (Looks.HASH_AND_QUEUE, Looks.SIZE, Looks.BUFFERS, Looks.PADDING)
_QUEUES = (0, 1, 2, 3, 4, 0x8001)


def reduce(steps: Steps, traits: Traits, holds: Callable[[Steps], bool], most: int = MOST_ATTEMPTS) -> Steps:
    """Return the plainest sequence found of which `holds` still says yes."""
    tried = {steps}
    now = cost(steps, traits)
    progress = True
    while progress:
        progress = False
        for candidate in plainer(steps, traits):
            if candidate in tried:
                continue
            tried.add(candidate)
            price = cost(candidate, traits)
            if price >= now:
                continue
            if not most:
                return steps
            most -= 1
            if holds(candidate):
                steps, now, progress = candidate, price, True
                break
    return steps


def cost(steps: Steps, traits: Traits) -> Cost:
    """Return how far a sequence is from plain: what comes first counts most."""
    odd = size = 0
    for step in steps:
        one = shape(step, traits)
        odd += 2 * len(one.odd)
        if isinstance(step, Negotiate):
            odd += one.which.bit_count()
        elif isinstance(step, Packet):
            odd += min(one.which, 3) + (LOOKS.index(step.looks) if step.looks in LOOKS else len(LOOKS))
        elif isinstance(step, Command):
            size += len(step.data)
    return len(steps), odd, size, repr(steps)


def plainer(steps: Steps, traits: Traits) -> Iterator[Steps]:
    """Yield sequences with fewer steps, then with one plainer step."""
    size = len(steps) // 2
    while size:
        for first in range(len(steps) - size, -1, -1):
            fewer = legal((*steps[:first], *steps[first + size:]))
            if fewer:
                yield fewer
        size = size // 2 if size > 1 else 0
    for number, step in enumerate(steps):
        for other in plainer_steps(step, traits):
            yield legal((*steps[:number], other, *steps[number + 1:]))
    yield from swapped(steps)


def swapped(steps: Steps) -> Iterator[Steps]:
    """Yield sequences in which two commands have changed places; which is first may not matter."""
    for number, step in enumerate(steps):
        for later in range(number + 1, len(steps)):
            if isinstance(step, Command) and isinstance(steps[later], Command) and step != steps[later]:
                yield (*steps[:number], steps[later], *steps[number + 1:later], step, *steps[later + 1:])


def plainer_steps(step: Step, traits: Traits) -> Iterator[Step]:
    """Yield plainer steps, the plainest first."""
    if isinstance(step, Negotiate):
        for bit in k.ALL_FEATURES:
            if step.features & bit:
                yield Negotiate(step.features & ~bit)
    elif isinstance(step, Packet):
        if any(step.header):
            yield step._replace(header=b"")
        yield from (step._replace(looks=looks) for looks in _LOOKS if looks != step.looks)
        yield from (step._replace(frame=frame) for frame in FRAMES[:3] if frame != step.frame)
        if step.looks not in LOOKS:
            yield step._replace(looks=Looks.ALL)
    elif isinstance(step, Command):
        if (step.class_, step.command) in k.KNOWN:
            yield Command(200, 0, step.data)
        else:
            yield from (step._replace(class_=class_, command=command) for class_, command in _unknown(step))
        yield from (step._replace(data=data) for data in _data(step, traits) if data != step.data)


def _unknown(step: Command) -> tuple[tuple[int, int], ...]:
    """Return other commands that are not defined, in the same class where that is MQ."""
    return ((step.class_, 3), (step.class_, 9)) if step.class_ == CTRL_MQ else ((200, 0), (200, step.command))


def _data(step: Command, traits: Traits) -> Iterator[bytes]:
    pair = (step.class_, step.command)
    if pair not in k.KNOWN:
        if step.data:
            yield b""
            yield step.data[:1]
        return
    has_fields = pair in {k.RSS_CONFIG, k.HASH_CONFIG, k.CONTEXT_ADD, k.CONTEXT_MOD}
    if pair == k.PAIRS_SET:
        yield from (number.to_bytes(2, "little") for number in (1, 2, 0, traits.pairs + 1))
    if pair == k.TUNNEL_SET:
        yield from (number.to_bytes(4, "little") for number in (traits.tunnel_types, 0, 1 << 20))
    if pair == k.CONTEXT_DEL:
        yield b"\x01\0"
    plain = k.plain_of(pair, traits)
    if has_fields:
        yield k.join(plain)
        if len(step.data) > 1:
            # What is refused for whatever reason is refused for its length, too.
            yield b""
    fields = k.split(step) if has_fields else None
    if fields is not None:
        yield from map(k.join, _fields(fields, plain, traits))
        return
    if has_fields:
        yield k.join(plain)[:len(step.data)]
    count = len(step.data)
    while count:
        yield step.data[:-count]
        count //= 2


def _fields(fields: k.Fields, plain: k.Fields, traits: Traits) -> Iterator[k.Fields]:
    """Yield fields one of which is plainer."""
    for name in ("head", "types", "key", "table", "unclassified", "max_tx_vq", "reserved", "rest"):
        if getattr(fields, name) != getattr(plain, name):
            yield k.changed(fields, name, getattr(plain, name))
    if len(fields.rest) > 1:
        yield fields._replace(rest=b"\x01")
    if fields.types != plain.types:
        yield from (fields._replace(types=types) for types in (0, plain.types | 1 << 31))
        yield from (fields._replace(types=fields.types & ~(1 << bit)) for bit in range(32) if fields.types >> bit & 1)
    if fields.key != plain.key:
        yield fields._replace(key=other_key(len(MICROSOFT_KEY)))
        lengths = [*(length for length in _KEYS if length < len(fields.key)), len(fields.key)]
        yield from (fields._replace(key=other_key(length)) for length in lengths)
    if fields.table and fields.table != plain.table:
        for entry in (*(queue for queue in _QUEUES if queue not in plain.table), fields.table[0], max(fields.table)):
            for size in (len(plain.table), 1, len(fields.table)):
                yield fields._replace(table=(entry,) * size)
        yield from (fields._replace(table=plain.table[:1] * size) for size in (1, 2, len(fields.table)))
    for name in ("unclassified", "max_tx_vq"):
        if getattr(fields, name) != getattr(plain, name):
            yield from (k.changed(fields, name, number) for number in (0, 1, traits.pairs, 0xFFFF))
