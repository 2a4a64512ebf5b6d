"""Answers that depend on the frames before: which of them an answer needs, and what a device may have kept of them.

The specification has a packet hashed by what is in it. A device that answers a frame otherwise in other company keeps
something from one packet to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from vnethash.models.causes import Cause
from vnethash.models.link import IPV4, link
from vnethash.models.reference import key_for
from vnethash.models.toeplitz import byte_tables, toeplitz_by_table
from vnethash.spec.craft import ethernet, ipv4, ipv6, udp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Observation
    from vnethash.spec.readings import Readings

#: Named where a header that is completed by those before it gives what came out.
PREVIOUS = Cause(
    "previous-addresses", "a frame cut within its IP header is hashed by the addresses of the packet before it",
    ("REP-2", "V4-0", "V4-4", "V6-4"),
)
#: The name for all else.
TITLE = "the answer depends on the frames before it"
#: Frames in front of one that are tried where its answer depends on what came before it.
LOOK_BACK = (1, 4, 16, 64, 256)

_SIZES = {4: 20, 6: 40}
#: Where the addresses stand in a header.
_ADDRESSES = {4: (12, 20), 6: (8, 40)}

Item = TypeVar("Item")


def plain_company(number: int) -> tuple[bytes, ...]:
    """Return plain frames that no suite has, each number others: what a device keeps of them is known."""
    four = [bytes((10, 200 + number, side, 7)) for side in (1, 2)]
    six = [bytes.fromhex(f"fd00{200 + number:04x}00000000000000000000000{side}") for side in (1, 2)]
    part = udp(40000 + number, 50000 + number)
    return (
        ethernet(ipv4(part, source=four[0], destination=four[1])),
        ethernet(ipv6(part, source=six[0], destination=six[1])),
    )


def fewest(items: Sequence[Item], holds: Callable[[tuple[Item, ...]], bool]) -> tuple[Item, ...]:
    """Return as few of the items as a halving search finds for which `holds` still says yes; one at least stays."""
    items = tuple(items)
    size = max(1, len(items) // 2)
    while True:
        for start in range(0, len(items), size):
            left = (*items[:start], *items[start + size:])
            if left and holds(left):
                items = left
                break
        else:
            if size == 1:
                return items
            size = max(1, size // 2)


class HeaderMemory:
    """A device that reads each IP header into the same place, so that what is cut short keeps the rest of the last."""

    def __init__(self) -> None:
        self._kept = {version: bytearray(size) for version, size in _SIZES.items()}

    def take(self, frame: bytes, readings: Readings) -> tuple[int, bool]:
        """Read a frame's header; return its version (0: none), and whether it is cut short."""
        found = link(frame, len(frame), readings)
        if found.ethertype == 0:
            return 0, False
        version = 4 if found.ethertype == IPV4 else 6
        there = frame[found.offset:found.offset + _SIZES[version]]
        self._kept[version][:len(there)] = there
        return version, len(there) < _SIZES[version]

    def value(self, version: int, configuration: Configuration, readings: Readings) -> int | None:
        """Return the hash of the addresses that are in the place now, None where the key does not do."""
        first, last = _ADDRESSES[version]
        data = bytes(self._kept[version][first:last])
        key = key_for(configuration.key, len(data), readings)
        return None if key is None else toeplitz_by_table(byte_tables(key), data)


def is_cut(frame: bytes, readings: Readings) -> bool:
    """Say whether a frame ends within its IP header."""
    return HeaderMemory().take(frame, readings)[1]


def is_previous(
    frames: Sequence[bytes], configuration: Configuration, observation: Observation, readings: Readings,
    memory: HeaderMemory | None = None,
) -> bool:
    """Say whether the last of some frames was hashed by addresses that those before it, or the `memory`, left."""
    memory = memory or HeaderMemory()
    version, cut = 0, False
    for frame in frames:
        version, cut = memory.take(frame, readings)
    return cut and observation.value is not None and observation.value == memory.value(version, configuration, readings)
