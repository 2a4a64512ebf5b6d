from __future__ import annotations

import struct

import pytest
from vnethash.models.ebpf.instruction import Instruction, encode
from vnethash.models.ebpf.machine import Machine
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import Program
from vnethash.spec.errors import FormatError

M64 = (1 << 64) - 1
ALU, ALU64, JMP, JMP32 = 0x04, 0x07, 0x05, 0x06
REGISTER = 0x08


def ins(opcode, dst=0, src=0, offset=0, *, imm=0, high=0):
    return encode(Instruction(0, opcode, dst, src, offset, imm, high))


def load64(dst, value):
    low, high = struct.unpack("<ii", struct.pack("<Q", value & M64))
    return ins(0x18, dst, imm=low, high=high)


def run(code):
    return Machine(Program("test", "socket", code, ())).run(Packet.of_test_run(bytes(60)))


def computed(opcode, x, y, offset=0):
    """Return r1 after `opcode` on r1 = x, r2 = y, by register, and by immediate where y fits one."""
    start = load64(1, x) + load64(2, y)
    end = ins(0xBF, 0, 1) + ins(0x95)
    results = {run(start + ins(opcode | REGISTER, 1, 2, offset) + end)}
    if (-(1 << 31) <= y < 1 << 31 and opcode not in (0xB4, 0xB7)) or (not offset and -(1 << 31) <= y < 1 << 31):
        results.add(run(start + ins(opcode, 1, 0, offset, imm=y) + end))
    assert len(results) == 1
    return results.pop()


@pytest.mark.parametrize(
    ("operation", "x", "y", "wide", "narrow"),
    [
        (0x00, M64, 1, 0, 0),
        (0x00, 0xFFFFFFFF, 1, 0x100000000, 0),
        (0x10, 0, 1, M64, 0xFFFFFFFF),
        (0x20, 0x100000001, 3, 0x300000003, 3),
        (0x20, 5, -1, M64 - 4, 0xFFFFFFFB),
        (0x30, 7 << 32 | 9, 2, (7 << 32 | 9) >> 1, 4),
        (0x30, 9, -1, 0, 0),
        (0x40, 0x5, -16, M64 - 10, 0xFFFFFFF5),
        (0x50, M64, -16, M64 - 15, 0xFFFFFFF0),
        (0xA0, M64, -1, 0, 0),
        (0xB0, 5, -2, M64 - 1, 0xFFFFFFFE),
        (0x90, 1 << 32 | 9, 4, 1, 1),
    ],
)
def test_arithmetic_wraps_and_its_32_bit_form_clears_the_high_half(operation, x, y, wide, narrow):
    assert computed(ALU64 | operation, x, y) == wide
    assert computed(ALU | operation, x, y) == narrow


def test_division_by_zero_gives_zero_and_remainder_by_zero_the_destination():
    value = 0x1122334455667788
    assert computed(ALU64 | 0x30, value, 0) == 0
    assert computed(ALU | 0x30, value, 0) == 0
    assert computed(ALU64 | 0x90, value, 0) == value
    assert computed(ALU | 0x90, value, 0) == 0x55667788
    assert computed(ALU64 | 0x30, value, 0, offset=1) == 0
    assert computed(ALU64 | 0x90, value, 0, offset=1) == value


def test_signed_division_rounds_towards_zero_and_the_smallest_number_stays():
    assert computed(ALU64 | 0x30, -7, 2, offset=1) == -3 & M64
    assert computed(ALU64 | 0x90, -7, 2, offset=1) == -1 & M64
    assert computed(ALU64 | 0x90, 7, -2, offset=1) == 1
    assert computed(ALU | 0x30, -7 & 0xFFFFFFFF, 2, offset=1) == 0xFFFFFFFD
    assert computed(ALU64 | 0x30, 1 << 63, -1, offset=1) == 1 << 63


def test_shift_counts_are_taken_modulo_the_width():
    def shifted(opcode, x, count):
        return run(load64(1, x) + load64(2, count) + ins(opcode | REGISTER, 1, 2) + ins(0xBF, 0, 1) + ins(0x95))

    assert shifted(ALU64 | 0x60, 1, 65) == 2
    assert shifted(ALU | 0x60, 1, 33) == 2
    assert shifted(ALU | 0x60, 0x80000001, 1) == 2
    assert shifted(ALU64 | 0x70, M64, 64 + 60) == 15
    assert shifted(ALU | 0x70, M64, 28) == 15
    assert shifted(ALU64 | 0xC0, 1 << 63, 63) == M64
    assert shifted(ALU | 0xC0, 0x80000000, 31) == 0xFFFFFFFF
    assert shifted(ALU | 0xC0, 0x7FFFFFFF, 31) == 0


def test_negation():
    assert computed(ALU64 | 0x80, 1, 1) == M64
    assert computed(ALU | 0x80, 1, 1) == 0xFFFFFFFF


def test_moves_with_sign_extension():
    def moved(opcode, width, value):
        return run(load64(2, value) + ins(opcode, 0, 2, width) + ins(0x95))

    assert moved(0xBF, 8, 0x1FF) == M64
    assert moved(0xBF, 16, 0x18000) == M64 - 0x7FFF
    assert moved(0xBF, 32, 0x7FFFFFFF) == 0x7FFFFFFF
    assert moved(0xBC, 8, 0x80) == 0xFFFFFF80


def test_byte_swaps_and_cuts():
    value = 0x0102030405060708

    def swapped(opcode, width):
        return run(load64(0, value) + ins(opcode, 0, imm=width) + ins(0x95))

    assert [swapped(0xD4, width) for width in (16, 32, 64)] == [0x0708, 0x05060708, value]
    assert [swapped(0xDC, width) for width in (16, 32, 64)] == [0x0807, 0x08070605, 0x0807060504030201]
    assert [swapped(0xD7, width) for width in (16, 32, 64)] == [0x0807, 0x08070605, 0x0807060504030201]


def jumped(opcode, x, y):
    """Return whether the jump is taken, by register and by immediate."""
    start = load64(1, x) + load64(2, y)
    end = ins(0xB7, 0, imm=0) + ins(0x95) + ins(0xB7, 0, imm=1) + ins(0x95)
    results = {run(start + ins(opcode | REGISTER, 1, 2, 2) + end)}
    if -(1 << 31) <= y < 1 << 31:
        results.add(run(start + ins(opcode, 1, 0, 2, imm=y) + end))
    assert len(results) == 1
    return bool(results.pop())


@pytest.mark.parametrize(
    ("operation", "compare", "signed"),
    [
        (0x10, lambda x, y: x == y, False),
        (0x20, lambda x, y: x > y, False),
        (0x30, lambda x, y: x >= y, False),
        (0x40, lambda x, y: bool(x & y), False),
        (0x50, lambda x, y: x != y, False),
        (0x60, lambda x, y: x > y, True),
        (0x70, lambda x, y: x >= y, True),
        (0xA0, lambda x, y: x < y, False),
        (0xB0, lambda x, y: x <= y, False),
        (0xC0, lambda x, y: x < y, True),
        (0xD0, lambda x, y: x <= y, True),
    ],
)
@pytest.mark.parametrize(("kind", "bits"), [(JMP, 64), (JMP32, 32)])
def test_jumps_compare_signed_and_unsigned(operation, compare, signed, kind, bits):
    numbers = (0, 1, -1, 5, 1 << 31, (1 << 31) - 1, -(1 << 31), 1 << 63, 1 << 32)
    for x in numbers:
        for y in numbers:
            left, right = x & (1 << bits) - 1, y & (1 << bits) - 1
            if signed:
                left, right = ((each ^ 1 << bits - 1) - (1 << bits - 1) for each in (left, right))
            assert jumped(kind | operation, x, y) == compare(left, right), (x, y)


@pytest.mark.parametrize(
    "code",
    [
        ins(0xE7),
        ins(0xD7 | 8, imm=16),
        ins(0xDC, imm=8),
        ins(0x07, 1, 0, 1),
        ins(0xE5),
        ins(0x86),
        ins(0xB7, offset=8),
    ],
)
def test_what_is_no_instruction_is_refused_with_its_place(code):
    with pytest.raises(FormatError, match=r"^pc 1: opcode 0x"):
        run(ins(0xB7, 0) + code + ins(0x95))
