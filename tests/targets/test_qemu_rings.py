"""Rings and sockets without a QEMU: devices that do what QEMU never does."""

from __future__ import annotations

import mmap
import socket
import struct

import pytest
from vnethash.spec.errors import TargetDied, TargetError
from vnethash.targets.qemu.rings import BUFFER, BUFFERS, ControlRing, ReceiveRings, memory_size
from vnethash.targets.qemu.sending import Sender


class Liar:
    """The device's side of the receive rings."""

    def __init__(self, rings: ReceiveRings, memory: mmap.mmap) -> None:
        self.rings, self.memory = rings, memory
        self.taken = [0] * 2
        self.given = [0] * 2

    def available(self, queue: int) -> int:
        place = self.rings.place(queue)
        (index,) = struct.unpack_from("<H", self.memory, place.available + 2)
        assert (index - self.taken[queue]) & 0xFFFF, "no buffer"
        slot = self.taken[queue] % place.size
        self.taken[queue] += 1
        return int(struct.unpack_from("<H", self.memory, place.available + 4 + 2 * slot)[0])

    def address(self, queue: int, head: int) -> int:
        return int(struct.unpack_from("<Q", self.memory, self.rings.place(queue).descriptors + 16 * head)[0])

    def write(self, queue: int, head: int, packet: bytes) -> None:
        begin = self.address(queue, head)
        self.memory[begin : begin + len(packet)] = packet

    def use(self, queue: int, head: int, length: int) -> None:
        place = self.rings.place(queue)
        slot = self.given[queue] % place.size
        struct.pack_into("<II", self.memory, place.used + 4 + 8 * slot, head, length)
        self.given[queue] += 1
        struct.pack_into("<H", self.memory, place.used + 2, self.given[queue] & 0xFFFF)


@pytest.fixture
def liar() -> Liar:
    memory = mmap.mmap(-1, memory_size(2))
    rings = ReceiveRings(memory, 2)
    rings.reset(12, mergeable=False)
    return Liar(rings, memory)


def deliver(liar: Liar, queue: int, payload: bytes) -> None:
    head = liar.available(queue)
    liar.write(queue, head, bytes(12) + payload)
    liar.use(queue, head, 12 + len(payload))


def test_packets_are_collected_for_longer_than_every_counter_lasts(liar: Liar) -> None:
    for number in range(70_000 // 400):
        sent = [b"%d %d" % (number, index) for index in range(400)]
        for payload in sent:
            deliver(liar, 1, payload)
        assert [(found.queue, found.payload) for found in liar.rings.collect()] == [(1, payload) for payload in sent]
    assert liar.rings.collect() == []


def test_buffers_that_come_back_in_another_order_are_given_out_again(liar: Liar) -> None:
    for number in range(2000):
        heads = [liar.available(0) for _ in range(7)]
        for head in reversed(heads):
            liar.write(0, head, bytes(12) + b"%d %d" % (number, head))
            liar.use(0, head, 12 + len(b"%d %d" % (number, head)))
        expected = [b"%d %d" % (number, head) for head in reversed(heads)]
        assert [found.payload for found in liar.rings.collect()] == expected
    held = {liar.available(0) for _ in range(BUFFERS)}
    assert len(held) == BUFFERS


@pytest.mark.parametrize("head", [1, 2 * BUFFERS, 0xFFFFFFFF])
def test_a_used_ring_that_names_no_buffer_ends_the_device(liar: Liar, head: int) -> None:
    liar.use(0, head, 64)
    with pytest.raises(TargetDied, match="receive queue 0 names a buffer"):
        liar.rings.collect()


def test_a_used_ring_that_names_more_buffers_than_there_are_ends_the_device(liar: Liar) -> None:
    for _ in range(BUFFERS + 1):
        liar.use(1, 0, 64)
    with pytest.raises(TargetDied, match="receive queue 1 names 513 of its 512 buffers"):
        liar.rings.collect()


@pytest.mark.parametrize("length", [0, 5, 12])
def test_a_header_that_is_cut_short_is_shown_as_it_is(liar: Liar, length: int) -> None:
    head = liar.available(0)
    liar.write(0, head, b"abcdefghijkl")
    liar.use(0, head, length)
    (found,) = liar.rings.collect()
    assert (found.header, found.payload) == (b"abcdefghijkl"[:length], b"")


def test_num_buffers_joins_what_it_says_and_no_more() -> None:
    memory = mmap.mmap(-1, memory_size(2))
    rings = ReceiveRings(memory, 2)
    rings.reset(12, mergeable=True)
    liar = Liar(rings, memory)
    first = struct.pack("<10xH", 3) + b"a" * (BUFFER - 12)
    for data in (first, b"b" * BUFFER, b"c" * 9, bytes(12) + b"next", struct.pack("<10xH", 9) + b"alone"):
        head = liar.available(0)
        liar.write(0, head, data)
        liar.use(0, head, len(data))
    found = rings.collect()
    assert [(each.buffers, len(each.payload)) for each in found] == [(3, BUFFER - 12 + BUFFER + 9), (1, 4), (1, 5)]
    assert found[0].payload.endswith(b"b" + b"c" * 9)


def test_the_control_queue_carries_one_chain_after_the_other() -> None:
    memory = mmap.mmap(-1, memory_size(2))
    control = ControlRing(memory, ReceiveRings(memory, 2).end)
    control.reset()
    place = control.place()

    def answer(number: int, seen: list[bytes]) -> bool:
        at = place.descriptors
        while True:
            address, length, flags, following = struct.unpack_from("<QIHH", memory, at)
            if flags & 2:
                memory[address] = number & 0xFF
            else:
                seen.append(memory[address : address + length])
            if not flags & 1:
                break
            at = place.descriptors + 16 * following
        slot = (number - 1) % place.size
        assert struct.unpack_from("<H", memory, place.available + 4 + 2 * slot)[0] == 0
        struct.pack_into("<II", memory, place.used + 4 + 8 * slot, 0, 1)
        struct.pack_into("<H", memory, place.used + 2, number & 0xFFFF)
        return True

    for number in (*range(1, 40), *range(65_530, 65_540)):
        if number == 65_530:  # as if all between had been sent
            control._count = number - 1
            struct.pack_into("<H", memory, place.used + 2, number - 1)
        seen: list[bytes] = []
        wrote = control.submit([b"ab", b"cde"], [1], lambda number=number, seen=seen: answer(number, seen))
        assert (wrote, seen) == (bytes([number & 0xFF]), [b"ab", b"cde"])
    with pytest.raises(ValueError, match="longer than the control queue"):
        control.submit([b""] * 17, [], lambda: False)
    assert control.submit([b"lost"], [1], lambda: False) is None


def test_many_frames_go_out_in_one_call_and_what_has_no_room_is_left() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        sender = Sender(near.fileno())
        frames = [b"%d" % number * (number % 50) for number in range(400)]
        sent = 0
        arrived = []
        while sent < len(frames):
            count = sender.send(frames[sent:], b"head")
            arrived += [far.recv(4096) for _ in range(count)]
            assert count or arrived
            sent += count
        assert arrived == [b"head" + frame for frame in frames]
        assert sender.send([], b"head") == 0
        near.settimeout(0)
        while sender.send([bytes(60_000)], b"head"):
            pass
        far.close()
        with pytest.raises(TargetError, match="60000 bytes cannot be put in"):
            sender.send([bytes(60_000)], b"head")
