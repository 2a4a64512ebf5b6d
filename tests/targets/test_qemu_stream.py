"""The stream of frames into a device that loses, cuts, delays and spreads them, without a QEMU."""

from __future__ import annotations

import mmap
import struct
from collections import deque
from random import Random
from typing import TYPE_CHECKING

import pytest
from vnethash.targets.qemu.device import NEEDS_RESET, QemuDevice
from vnethash.targets.qemu.rings import BUFFER, BUFFERS, ReceiveRings, memory_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

QUEUES = 3
HEADER = 12


class Wire:
    """Backend and machine in one: what was put in comes out at the next turns of the main loop, few or many a turn."""

    shortest, longest, takes_header = 0, 60_000, True

    def __init__(self, change: Callable[[bytes], bytes | None] = lambda frame: frame, room: int = 200) -> None:
        self.memory = mmap.mmap(-1, memory_size(QUEUES))
        self.rings = ReceiveRings(self.memory, QUEUES)
        self.rings.reset(HEADER, mergeable=False)
        self.change, self.room = change, room
        self.waiting: deque[bytes] = deque()
        self.counts = [0] * QUEUES
        self.status = 0
        self.r = Random(1)
        self.most = 0

    def send(self, frames: Sequence[bytes], header: bytes) -> int:
        assert header == bytes(HEADER)
        taken = frames[: max(0, self.room - len(self.waiting))]
        self.waiting += taken
        return len(taken)

    def pending(self) -> int:
        return len(self.waiting)

    def drain(self) -> None:
        self.waiting.clear()

    def listen(self) -> None:
        pass

    def sync(self) -> int:
        most = self.r.choice((1, 50, 5000))
        usual, longs = self.r.randrange(QUEUES), 0
        for _ in range(min(most, len(self.waiting)) if not self.status else 0):
            frame = self.change(self.waiting.popleft())
            if frame is not None:
                longs += len(frame) + HEADER > BUFFER
                assert longs <= 1, "two packets in the rest that all buffers share"
                self.deliver(usual if self.r.random() < 0.9 else self.r.randrange(QUEUES), frame)
        return self.status

    def deliver(self, queue: int, frame: bytes) -> None:
        place = self.rings.place(queue)
        (posted,) = struct.unpack_from("<H", self.memory, place.available + 2)
        free = (posted - self.counts[queue]) & 0xFFFF
        self.most = max(self.most, BUFFERS - free + 1)
        assert 0 < free <= BUFFERS, "no buffer"
        (head,) = struct.unpack_from("<H", self.memory, place.available + 4 + 2 * (self.counts[queue] % place.size))
        packet = struct.pack("<HH8x", len(frame) & 0xFFFF, queue) + frame
        at = head
        begin = 0
        while begin < len(packet):
            address, length, _, following = struct.unpack_from("<QIHH", self.memory, place.descriptors + 16 * at)
            part = packet[begin : begin + length]
            self.memory[address : address + len(part)] = part
            begin, at = begin + length, following
        slot = place.used + 4 + 8 * (self.counts[queue] % place.size)
        struct.pack_into("<II", self.memory, slot, head, len(packet))
        self.counts[queue] += 1
        struct.pack_into("<H", self.memory, place.used + 2, self.counts[queue] & 0xFFFF)


def device_of(wire: Wire) -> QemuDevice:
    device = QemuDevice.__new__(QemuDevice)
    device.name, device.header_size, device._working = "wire", HEADER, True
    device._backend = device._machine = wire  # type: ignore[assignment]
    device._rings = wire.rings
    return device


def frames_of(count: int, seed: int = 1) -> list[bytes]:
    """Return frames, some of them equal, some longer than a buffer."""
    r = Random(seed)
    made = [b"%06d" % number + bytes(r.choice((0, 8, 54, 300, BUFFER - HEADER - 6))) for number in range(count)]
    for _ in range(count // 8):
        made[r.randrange(count)] = r.choice(made)
    for _ in range(count // 40):
        made[r.randrange(count)] = b"long" + r.randbytes(r.choice((BUFFER, 1500, 9000)))
    return made


@pytest.mark.parametrize("room", [1, 7, 200, 5000])
def test_all_frames_come_out_whatever_their_lengths_equals_and_queues(room: int) -> None:
    frames = frames_of(3000)
    wire = Wire(room=room)
    receptions = device_of(wire).receive(frames)
    assert [reception and reception.payload for reception in receptions] == frames
    for frame, reception in zip(frames, receptions, strict=True):
        assert reception is not None
        assert struct.unpack_from("<HH", reception.header) == (len(frame) & 0xFFFF, reception.queue)


def test_a_queue_never_has_fewer_buffers_than_there_are_frames_on_their_way() -> None:
    frames = [b"%06d" % number for number in range(4000)]
    wire = Wire(room=5000)
    assert [reception and reception.payload for reception in device_of(wire).receive(frames)] == frames
    assert BUFFERS // 2 < wire.most <= BUFFERS


def test_what_is_lost_is_none_and_takes_nothing_else_with_it() -> None:
    frames = frames_of(2500, 2)
    r = Random(3)
    lost = {frame for frame in frames if r.random() < 0.3}
    wire = Wire(lambda frame: None if frame in lost else frame)
    found = [reception and reception.payload for reception in device_of(wire).receive(frames)]
    assert found == [None if frame in lost else frame for frame in frames]


def test_what_is_changed_is_told_by_what_it_begins_with() -> None:
    frames = [b"%05d" % number + bytes(60) for number in range(1500)]
    changed = set(frames[3::97])

    def change(frame: bytes) -> bytes:
        if frame not in changed:
            return frame
        return frame[:40] if frame[4] & 1 else frame + b"behind"

    found = device_of(Wire(change)).receive(frames)
    assert [reception and reception.payload for reception in found] == [change(frame) for frame in frames]


def test_what_is_nothing_like_what_was_put_in_is_not_taken_for_it() -> None:
    frames = [b"%05d" % number + bytes(60) for number in range(700)]
    found = device_of(Wire(lambda frame: b"else" + frame if frame[4] == 0x37 else frame)).receive(frames)
    assert [reception and reception.payload for reception in found] == [
        None if frame[4] == 0x37 else frame for frame in frames
    ]


@pytest.mark.parametrize("status", [NEEDS_RESET, 1])
def test_a_device_that_takes_nothing_more_ends_nothing_but_itself(status: int) -> None:
    wire = Wire()
    frames = frames_of(900, 4)
    wire.status = status
    assert device_of(wire).receive(frames) == [None] * len(frames)
    assert not wire.waiting
    wire.status = 0
    assert [reception and reception.payload for reception in device_of(wire).receive(frames)] == frames


def test_where_nothing_can_be_put_in_nothing_comes_out() -> None:
    assert device_of(Wire(room=0)).receive([b"frame", b"other"]) == [None, None]
