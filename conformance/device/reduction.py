"""Makes a sequence of steps as short as it can be while it still shows something: fewer steps, then less in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.device.script import SHORTEST, tcp4
from vnethash.models.device.state import VERSION_1, Command, Negotiate, Packet
from vnethash.spec.commands import RssConfig
from vnethash.spec.constants import CTRL_MQ, CTRL_MQ_RSS_CONFIG, MICROSOFT_KEY
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vnethash.models.device.state import Step

#: Attempts for one finding; each is a sequence put to the device. Fewer where the device is started anew for each.
MOST_ATTEMPTS = 200
FEW_ATTEMPTS = 40


def reduce(
    steps: tuple[Step, ...], holds: Callable[[tuple[Step, ...]], bool], *, few: bool = False
) -> tuple[Step, ...]:
    """Return the smallest sequence found for which `holds` still says yes."""
    left = FEW_ATTEMPTS if few else MOST_ATTEMPTS
    tried = {steps}
    progress = True
    while progress:
        progress = False
        for candidate in _smaller(steps):
            if candidate in tried:
                continue
            if not left:
                return steps
            tried.add(candidate)
            left -= 1
            if holds(candidate):
                steps = candidate
                progress = True
                break
    return steps


def _smaller(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    for number in range(len(steps) - 1, -1, -1):
        if len(steps) > 1 and (number or isinstance(steps[1], Negotiate)):
            yield steps[:number] + steps[number + 1:]
    for number, step in enumerate(steps):
        for plainer in _plainer(step):
            yield (*steps[:number], plainer, *steps[number + 1:])


def _plainer(step: Step) -> Iterator[Step]:
    if isinstance(step, Negotiate):
        for bit in range(step.features.bit_length()):
            if step.features >> bit & 1 and 1 << bit != VERSION_1:
                yield Negotiate(step.features & ~(1 << bit))
    elif isinstance(step, Packet):
        if len(step.frame) > SHORTEST and any(step.header):
            yield step._replace(frame=tcp4(), header=b"")
        if len(step.frame) > SHORTEST:
            yield step._replace(frame=tcp4())
    elif isinstance(step, Command):
        yield from (step._replace(data=data) for data in _shorter(step))


def _shorter(step: Command) -> Iterator[bytes]:
    if (step.class_, step.command) == (CTRL_MQ, CTRL_MQ_RSS_CONFIG):
        try:
            config = RssConfig.decode(step.data, strict=False)
        except FormatError:
            config = None
        if config is not None:
            if len(config.indirection_table) > 1:
                half = len(config.indirection_table) // 2
                for table in (config.indirection_table[:1], config.indirection_table[:half]):
                    yield RssConfig(
                        config.hash_types, config.unclassified_queue, table, config.max_tx_vq, config.hash_key_data
                    ).encode()
            if config.hash_key_data != MICROSOFT_KEY:
                yield RssConfig(
                    config.hash_types, config.unclassified_queue, config.indirection_table, config.max_tx_vq,
                    MICROSOFT_KEY,
                ).encode()
            return
    count = len(step.data) // 2
    while count:
        yield step.data[:-count]
        count //= 2
