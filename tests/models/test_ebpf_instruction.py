from __future__ import annotations

import pytest
from vnethash.models.ebpf.instruction import Instruction, decode, encode
from vnethash.spec.errors import FormatError


def test_an_instruction_is_read_as_it_was_written():
    for item in (
        Instruction(0, 0x07, 3, 0, 0, -48),
        Instruction(0, 0x7B, 10, 1, -192, 0),
        Instruction(0, 0x18, 1, 1, 0, 2, -1),
        Instruction(0, 0x85, 0, 0, 0, 68),
    ):
        code = encode(item)
        assert decode(code)[0] == item
        assert len(decode(code)) == (2 if item.wide else 1)


def test_a_program_that_is_no_whole_number_of_instructions_is_refused():
    for code in (b"", bytes(7), bytes(12)):
        with pytest.raises(FormatError, match="whole number of 8-byte instructions"):
            decode(code)


def test_a_register_above_r10_is_refused_with_its_place():
    with pytest.raises(FormatError, match="pc 1: eBPF has registers r0 to r10, not r11"):
        decode(bytes.fromhex("9500000000000000 bf0b000000000000"))


def test_half_of_a_64_bit_load_is_refused():
    for rest in ("", "9500000000000000"):
        with pytest.raises(FormatError, match="pc 0: the second half"):
            decode(bytes.fromhex("1801000001000000" + rest))


def test_jumps_count_from_the_instruction_behind_them():
    assert Instruction(5, 0x05, 0, 0, -3, 0).target == 3
    assert Instruction(5, 0x06, 0, 0, 0, 7).target == 13
    assert Instruction(5, 0x85, 0, 1, 0, 2).target == 8
