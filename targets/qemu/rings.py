"""Split virtqueues in the memory of the guest: the receive queues, and the control queue.

A receive buffer has 512 bytes. Where mergeable buffers are negotiated, a longer packet takes several; elsewhere each
buffer is chained to one long rest that all buffers of all queues share, so that no two long packets may be on their way
at once. That keeps hundreds of queues in a memory of a few megabytes.

Source: virtio 1.2 section 2.7 (split virtqueues).
"""

from __future__ import annotations

import struct
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import TargetDied
from vnethash.targets.device import Reception

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Collection, Iterable, Sequence

#: Buffers of a receive queue, and so the most packets that may be on their way.
BUFFERS = 512
#: Bytes of one buffer.
BUFFER = 512
#: Descriptors of a receive queue, and of any other.
RECEIVE_SIZE, SMALL_SIZE = 1024, 16

_NEXT, _WRITE = 1, 2
_NO_INTERRUPT = 1
#: The rings start above the ROM's shadow and what a PC has below 1 MiB.
_BASE = 1 << 20
#: From the rings of one receive queue to the next, and the places of the parts in them.
_STRIDE, _AVAIL, _USED = 32768, 16384, 20480
_REST = 128 << 10
_CONTROL = 256 << 10
_DESCRIPTOR = struct.Struct("<QIHH")
_USED_ENTRY = struct.Struct("<II")
_INDEX = struct.Struct("<H")
#: Heads in the order in which they are given to the device and, as a rule, come back; and where their buffers begin.
_HEADS = tuple(2 * (slot % BUFFERS) for slot in range(RECEIVE_SIZE))
_PLACES = tuple(BUFFER * (slot % BUFFERS) for slot in range(RECEIVE_SIZE))


class Place(NamedTuple):
    """Where a queue is, for the transport's registers: size and three physical addresses."""

    size: int
    descriptors: int
    available: int
    used: int


def memory_size(pairs: int) -> int:
    """Return the bytes of guest memory that these many queue pairs take, in whole MiB, and no less than 16 MiB."""
    needed = _BASE + pairs * (_STRIDE + BUFFERS * BUFFER) + _REST + _CONTROL
    return max(16 << 20, (needed + 0xFFFFF) & ~0xFFFFF)


class ReceiveRings:
    """The receive queues of one device.

    `mergeable` says whether a long packet takes several buffers; None before the first reset. `short` is the length of
    the longest frame that lies in one buffer alone.
    """

    def __init__(self, memory: mmap.mmap, queues: int) -> None:
        self._memory = memory
        self._queues = queues
        self._buffers = _BASE + queues * _STRIDE
        self._rest = self._buffers + queues * BUFFERS * BUFFER
        self.end = self._rest + _REST
        self._view = memoryview(memory).cast("H")
        begin = (_BASE + _USED + 2) // 2
        self._indices = self._view[begin : begin + queues * (_STRIDE // 2) : _STRIDE // 2]
        self.mergeable: bool | None = None
        self._seen = [0] * queues
        self._posted = [0] * queues
        self._disordered = False
        self._header = 12
        self.short = BUFFER - 12

    def place(self, queue: int) -> Place:
        """Return where a queue is."""
        base = _BASE + queue * _STRIDE
        return Place(RECEIVE_SIZE, base, base + _AVAIL, base + _USED)

    def reset(self, header: int, *, mergeable: bool) -> None:
        """Give all buffers to the device anew; `header` is the size of virtio_net_hdr."""
        self._header = header
        self.short = BUFFER - header
        if self.mergeable != mergeable:
            self._describe(mergeable)
            self.mergeable = mergeable
        start = struct.pack(f"<HH{RECEIVE_SIZE}H", _NO_INTERRUPT, BUFFERS, *_HEADS)
        memory = self._memory
        for queue in range(self._queues):
            base = _BASE + queue * _STRIDE
            memory[base + _AVAIL : base + _AVAIL + len(start)] = start
            memory[base + _USED : base + _USED + 4] = bytes(4)
        self._seen = [0] * self._queues
        self._posted = [BUFFERS] * self._queues
        self._disordered = False

    def _describe(self, mergeable: bool) -> None:
        pack = _DESCRIPTOR.pack
        rest = pack(self._rest, _REST, _WRITE, 0)
        for queue in range(self._queues):
            first = self._buffers + queue * BUFFERS * BUFFER
            if mergeable:
                parts = [pack(first + BUFFER * index, BUFFER, _WRITE, 0) + rest for index in range(BUFFERS)]
            else:
                parts = [
                    pack(first + BUFFER * index, BUFFER, _WRITE | _NEXT, 2 * index + 1) + rest
                    for index in range(BUFFERS)
                ]
            base = _BASE + queue * _STRIDE
            table = b"".join(parts)
            self._memory[base : base + len(table)] = table

    def cost(self, frame: bytes) -> int:
        """Return how many buffers of a queue a frame may take."""
        return -(-(self._header + len(frame)) // BUFFER) if self.mergeable else 1

    def room(self, under_way: Collection[bytes]) -> int:
        """Return how many more buffers of a queue may be taken, beside those for the frames that are on their way."""
        if not self.mergeable:
            return BUFFERS - len(under_way)
        return BUFFERS - sum(map(self.cost, under_way))

    def is_long(self, frame: bytes) -> bool:
        """Tell whether a frame reaches into the rest that all buffers share."""
        return not self.mergeable and self._header + len(frame) > BUFFER

    def collect(self) -> list[Reception]:
        """Return what has arrived since the last time, and give its buffers back.

        Packets of one queue stand in the order of their arrival. Raises TargetDied for a used ring that names what
        the device was not given.
        """
        indices = self._indices.tolist()
        if indices == self._seen:
            return []
        found: list[Reception] = []
        memory, header, mergeable = self._memory, self._header, self.mergeable
        make = tuple.__new__  # a third of the time that Reception(...) takes
        for queue, (index, seen) in enumerate(zip(indices, self._seen, strict=True)):
            if index == seen:
                continue
            ring = _BASE + queue * _STRIDE
            buffers = self._buffers + queue * BUFFERS * BUFFER
            posted = self._posted[queue]
            count = (index - seen) & 0xFFFF
            if count > BUFFERS:
                raise TargetDied(f"the used ring of receive queue {queue} names {count} of its {BUFFERS} buffers")
            entries = self._used_entries(ring + _USED + 4, seen % RECEIVE_SIZE, count)
            lengths = entries[1::2]
            slot = posted % BUFFERS
            usual = not (self._disordered or mergeable) and entries[::2] == _HEADS[slot : slot + count]
            if usual and header <= min(lengths):
                starts = [buffers + place for place in _PLACES[slot : slot + count]]
                ahead = len(found)
                found += [
                    make(Reception, (queue, memory[begin : begin + header], memory[begin + header : begin + length], 1))
                    for begin, length in zip(starts, lengths, strict=True)
                ]
                if max(lengths) > BUFFER:
                    for place, begin, length in zip(range(ahead, len(found)), starts, lengths, strict=True):
                        if length > BUFFER:
                            payload = memory[begin + header : begin + BUFFER] + self._behind(length)
                            found[place] = found[place]._replace(payload=payload)
            else:
                self._unusual(queue, posted, zip(entries[::2], lengths, strict=True), found)
            posted += count
            self._posted[queue] = posted & 0xFFFF
            _INDEX.pack_into(memory, ring + _AVAIL + 2, posted & 0xFFFF)
        self._seen = indices
        return found

    def _unusual(self, queue: int, posted: int, entries: Iterable[tuple[int, int]], found: list[Reception]) -> None:
        """Append what lies in the used buffers of one queue, whatever their order and lengths."""
        memory, header = self._memory, self._header
        buffers = self._buffers + queue * BUFFERS * BUFFER
        left = 0
        for head, length in entries:
            if head != 2 * (posted % BUFFERS) or self._disordered:  # else the available ring says so already
                self._post(queue, posted, head)
            posted += 1
            begin = buffers + head * (BUFFER // 2)
            if left:
                left -= 1
                whole = found[-1]
                payload = whole.payload + memory[begin : begin + length]
                found[-1] = whole._replace(payload=payload, buffers=whole.buffers + 1)
                continue
            payload = memory[begin + header : begin + min(length, BUFFER)]
            if length > BUFFER:
                payload += self._behind(length)
            first = memory[begin : begin + min(header, length)]
            found.append(Reception(queue, first, payload))
            if self.mergeable and length >= 12:
                left = max(0, int.from_bytes(first[10:12], "little") - 1)

    def _behind(self, length: int) -> bytes:
        """Return what of a packet of this length lies in the rest that all buffers share."""
        return self._memory[self._rest : self._rest + length - BUFFER]

    def _used_entries(self, ring: int, slot: int, count: int) -> tuple[int, ...]:
        """Return head and length of each entry, flat."""
        behind = slot + count - RECEIVE_SIZE
        if behind <= 0:
            return _pairs(count)(self._memory, ring + 8 * slot)
        return _pairs(count - behind)(self._memory, ring + 8 * slot) + _pairs(behind)(self._memory, ring)

    def _post(self, queue: int, posted: int, head: int) -> None:
        """Write a head into the available ring of a device that gives buffers back in another order."""
        if head & 1 or head >= RECEIVE_SIZE:
            raise TargetDied(f"the used ring of receive queue {queue} names a buffer {head} that is none")
        self._disordered = True
        place = _BASE + queue * _STRIDE + _AVAIL + 4 + 2 * (posted % RECEIVE_SIZE)
        _INDEX.pack_into(self._memory, place, head)

    def close(self) -> None:
        """Let go of the memory."""
        self._indices.release()
        self._view.release()


@cache
def _pairs(count: int) -> Callable[[mmap.mmap, int], tuple[int, ...]]:
    return struct.Struct(f"<{2 * count}I").unpack_from


class ControlRing:
    """The control queue: one chain of descriptors at a time."""

    def __init__(self, memory: mmap.mmap, base: int) -> None:
        self._memory = memory
        self._base = (base + 4095) & ~4095
        self._data = self._base + 4096
        self._count = 0

    def place(self) -> Place:
        """Return where it is."""
        return Place(SMALL_SIZE, self._base, self._base + 1024, self._base + 2048)

    def reset(self) -> None:
        """Start with an empty queue."""
        self._count = 0
        self._memory[self._base : self._base + 4096] = bytes(4096)
        _INDEX.pack_into(self._memory, self._base + 1024, _NO_INTERRUPT)

    def submit(self, readable: Sequence[bytes], writable: Sequence[int], wait: Callable[[], bool]) -> bytes | None:
        """Give one chain to the device and return what it wrote, the written part of `writable` bytes; None if nothing.

        `wait` notifies the device at its first call, and lets it work; False says that it is of no use to wait longer.
        """
        memory, at = self._memory, self._data
        if len(readable) + len(writable) > SMALL_SIZE or sum(map(len, readable)) + sum(writable) > _CONTROL - 16384:
            raise ValueError("the chain is longer than the control queue has room for")
        parts: list[tuple[int, int, int]] = []
        for data in readable:
            memory[at : at + len(data)] = data
            parts.append((at, len(data), 0))
            at += len(data)
        written = at
        for length in writable:
            memory[at : at + length] = bytes(length)
            parts.append((at, length, _WRITE))
            at += length
        for index, (address, length, writes) in enumerate(parts):
            more = index < len(parts) - 1
            _DESCRIPTOR.pack_into(
                memory, self._base + 16 * index, address, length, writes | more * _NEXT, more * (index + 1)
            )
        available = self._base + 1024
        _INDEX.pack_into(memory, available + 4 + 2 * (self._count % SMALL_SIZE), 0)
        slot = self._base + 2048 + 4 + 8 * (self._count % SMALL_SIZE)
        self._count += 1
        _INDEX.pack_into(memory, available + 2, self._count & 0xFFFF)
        while _INDEX.unpack_from(memory, self._base + 2048 + 2)[0] != self._count & 0xFFFF:
            if not wait():
                return None
        length = _USED_ENTRY.unpack_from(memory, slot)[1]
        return memory[written : written + min(length, at - written)]
