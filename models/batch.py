"""Many frames at once, in the model's subset of Python: numba compiles it with the model, CPython runs it as it is.

Arrays are whatever gives and takes integers by index: `array.array` where CPython runs this, arrays of numpy where it
is compiled (`models/compiled.py`). Their annotations are the types that numba compiles for.
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from vnethash.models.packet import Selection, octet
from vnethash.models.reference import conclude, decide, enabled_tunnels, key_for, table_index
from vnethash.models.select import unhashed
from vnethash.models.toeplitz import byte_tables
from vnethash.spec.readings import ExLabel, Readings, ZeroValue

if TYPE_CHECKING:
    from vnethash.spec.configuration import Configuration

# Arrays of integers: 64, 32, 16 and 8 bits, I signed, U unsigned.
I64 = Annotated[Any, "int64[::1]"]
I32 = Annotated[Any, "int32[::1]"]
U32 = Annotated[Any, "uint32[::1]"]
U16 = Annotated[Any, "uint16[::1]"]
U8 = Annotated[Any, "uint8[::1]"]

#: Entries of the byte tables of one key: 36 places of 256 values, as `toeplitz.byte_tables` has them, end to end.
TABLES = 36 * 256


def batch(
    data: bytes, starts: I64, ends: I64, count: int, types: int, tunnels: int, readings: Readings, keys: U32, rows: I64,
    table: I32, no_queue: int, report: U16, value: U32, queue: I32, rule: U8,
) -> None:
    """Answer frames `data[starts[i]:ends[i]]` with what `reference.outcome` says of each, and the rule that decided.

    `types` to `no_queue` are a `Setting` and the readings, `report` to `rule` columns of `Answers`.
    """
    for number in range(count):
        answer(
            data, starts[number], ends[number] - starts[number], types, tunnels, readings, keys, rows, table, no_queue,
            number, report, value, queue, rule,
        )


def follow(
    data: bytes, starts: I64, ends: I64, count: int, types: int, tunnels: int, readings: Readings, rule: U8, seen: I64
) -> None:
    """Say of frames `data[starts[i]:ends[i]]` which rule decides on each, and the mask of events on the way to it."""
    for number in range(count):
        frame = data[starts[number]:ends[number]]
        chosen = decide(frame, ends[number] - starts[number], types, tunnels, readings)
        rule[number] = chosen.rule
        seen[number] = chosen.events


def answer(
    data: bytes, start: int, length: int, types: int, tunnels: int, readings: Readings, keys: U32, rows: I64,
    table: I32, no_queue: int, number: int, report: U16, value: U32, queue: I32, rule: U8,
) -> None:
    """Answer one frame; this is `conclude` with what depends on the configuration alone worked out before."""
    frame = data[start:start + length]
    chosen = decide(frame, length, types, tunnels, readings)
    label = chosen.report
    result = 0
    if label != 0:
        which = 0
        if chosen.size == 16:
            which = 2
        if chosen.ports != 0:
            which = which + 1
        row = rows[which]
        if row >= 0:
            result = hash_selected(frame, length, chosen, keys, row)
            if result == 0 and readings.zero_value == ZeroValue.UNHASHED:
                label = 0
        else:
            label = 0
        if label >= 7 and readings.ex_label == ExLabel.REGULAR:
            label = label - 3
    target = no_queue
    if label == 0:
        result = 0
    elif len(table) != 0:
        target = table[table_index(result, len(table), readings)]
    report[number] = label
    value[number] = result
    queue[number] = target
    rule[number] = chosen.rule


def hash_selected(frame: bytes, length: int, chosen: Selection, keys: U32, row: int) -> int:
    """Return the hash of the fields that are chosen, by the byte tables that begin at `row`."""
    size = chosen.size
    result = 0
    if chosen.source + size > length or chosen.destination + size > length or chosen.ports + 4 > length:
        result = hash_field(frame, length, chosen.source, size, keys, row)
        result = result ^ hash_field(frame, length, chosen.destination, size, keys, row + 256 * size)
        if chosen.ports != 0:
            result = result ^ hash_field(frame, length, chosen.ports, 4, keys, row + 512 * size)
    elif size == 4:
        result = hash_four(frame, chosen.source, keys, row) ^ hash_four(frame, chosen.destination, keys, row + 4 * 256)
        if chosen.ports != 0:
            result = result ^ hash_four(frame, chosen.ports, keys, row + 8 * 256)
    else:
        result = hash_sixteen(frame, chosen.source, keys, row)
        result = result ^ hash_sixteen(frame, chosen.destination, keys, row + 16 * 256)
        if chosen.ports != 0:
            result = result ^ hash_four(frame, chosen.ports, keys, row + 32 * 256)
    return result


def hash_field(frame: bytes, length: int, offset: int, size: int, keys: U32, row: int) -> int:
    """Return what `size` bytes add to the hash, those behind the end of the frame being 0."""
    result = 0
    for step in range(size):
        result = result ^ keys[row + 256 * step + octet(frame, length, offset + step)]
    return result


def hash_four(frame: bytes, offset: int, keys: U32, row: int) -> int:
    """Return what four bytes of the frame add to the hash."""
    first: int = keys[row + frame[offset]] ^ keys[row + 256 + frame[offset + 1]]
    last: int = keys[row + 512 + frame[offset + 2]] ^ keys[row + 768 + frame[offset + 3]]
    return first ^ last


def hash_sixteen(frame: bytes, offset: int, keys: U32, row: int) -> int:
    """Return what sixteen bytes of the frame add to the hash."""
    first = hash_four(frame, offset, keys, row) ^ hash_four(frame, offset + 4, keys, row + 1024)
    last = hash_four(frame, offset + 8, keys, row + 2048) ^ hash_four(frame, offset + 12, keys, row + 3072)
    return first ^ last


def tally(
    count: int, captured: U32, wire: U32, report: U16, queue: I32, rule: U8, reports: I64, rules: I64, queues: I64
) -> int:
    """Count answers by report, by rule where nothing was hashed, and by queue where there is one for the hash.

    There is room for 16 reports, 16 rules and all queues of the table. Returns how many frames were not captured whole.
    """
    cut = 0
    for number in range(count):
        label = report[number]
        reports[label] = reports[label] + 1
        if label == 0:
            rules[rule[number]] = rules[rule[number]] + 1
        elif queue[number] >= 0 and queue[number] < len(queues):
            queues[queue[number]] = queues[queue[number]] + 1
        if captured[number] < wire[number]:
            cut = cut + 1
    return cut


class Answers(NamedTuple):
    """Columns, one row a frame: report, value (0 where nothing was hashed), queue (-1 for none), rule that decided."""

    report: Any
    value: Any
    queue: Any
    rule: Any


class Setting(NamedTuple):
    """What `batch` takes of a configuration and readings.

    Attributes:
        types: the enabled hash types.
        tunnels: as `reference.enabled_tunnels` has them.
        keys: the byte tables of the keys, end to end.
        rows: for an input of 8, 12, 32 and 36 bytes where its tables begin, -1 where it is not hashed.
        table: the indirection table; empty without steering.
        no_queue: the queue of a frame without a hash; -1 without steering.
    """

    types: int
    tunnels: int
    keys: array[int]
    rows: array[int]
    table: array[int]
    no_queue: int

    @classmethod
    def of(cls, configuration: Configuration, readings: Readings) -> Setting:
        """Return what depends on the configuration alone."""
        keys = [key_for(configuration.key, size, readings) for size in (8, 12, 32, 36)]
        distinct = list(dict.fromkeys(key for key in keys if key is not None))
        tables = _tables(tuple(distinct))
        steered = "RSS" in configuration.features
        # What `conclude` says of a packet without a hash does not depend on the packet. Where no table is there, the
        # queue of a hashed packet is that of no steering, or of the illegal configuration with an empty table.
        no_queue = conclude(b"", unhashed(0, 0), configuration, readings).queue
        return cls(
            configuration.hash_types, enabled_tunnels(configuration), tables,
            array("q", [-1 if key is None else TABLES * distinct.index(key) for key in keys]),
            array("i", configuration.indirection_table if steered else ()), no_queue,
        )

    def arguments(self, readings: Readings) -> tuple[Any, ...]:
        """Return the arguments from `types` to `no_queue`, as CPython takes them."""
        return self.types, self.tunnels, readings, self.keys, self.rows, self.table, self.no_queue

    def queues(self) -> int:
        """Return how many queues the table can choose, counted from 0."""
        return max(self.table, default=-1) + 1


@lru_cache(maxsize=64)
def _tables(keys: tuple[bytes, ...]) -> array[int]:
    """Return the byte tables of some keys, end to end; nobody writes to them."""
    tables = array("I")
    for key in keys:
        for row in byte_tables(key):
            tables.extend(row)
    return tables
