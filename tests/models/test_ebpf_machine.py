from __future__ import annotations

import struct

import pytest
from vnethash.models.ebpf.instruction import Instruction, encode
from vnethash.models.ebpf.machine import Machine, ProgramFault
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import ARRAY, HASH, READ_ONLY, MapDefinition, Program
from vnethash.spec.errors import FormatError

EXIT = bytes.fromhex("9500000000000000")
FRAME = bytes(range(100, 114)) + bytes(range(46))
TO_STACK = bytes.fromhex("bfa2000000000000 07020000f8ffffff")  # r2 = r10 - 8


def ins(opcode, dst=0, src=0, offset=0, *, imm=0, high=0):
    return encode(Instruction(0, opcode, dst, src, offset, imm, high))


def machine(code, *maps, budget=1_000_000):
    return Machine(Program("test", "socket", code, maps), budget=budget)


def run(code, *maps, frame=FRAME):
    return machine(code, *maps).run(Packet.of_test_run(frame))


def fault(code, *maps, budget=1000):
    with pytest.raises(ProgramFault) as caught:
        machine(code, *maps, budget=budget).run(Packet.of_test_run(FRAME))
    return str(caught.value)


ONE = MapDefinition("one", ARRAY, 4, 6, 2)
LOOKUP = ins(0x62, 10, offset=-8, imm=1) + TO_STACK + ins(0x18, 1, 1) + ins(0x85, imm=1)


def test_all_sizes_are_stored_and_loaded_little_endian():
    code = ins(0x7A, 10, offset=-8, imm=-1) + ins(0x62, 10, offset=-8, imm=0x01020304)
    for opcode, expected in ((0x71, 4), (0x69, 0x0304), (0x61, 0x01020304), (0x79, 0xFFFFFFFF01020304)):
        assert run(code + ins(opcode, 0, 10, -8) + EXIT) == expected
        assert run(code + TO_STACK + ins(opcode, 0, 2) + EXIT) == expected


def test_signed_loads_extend_to_64_bits():
    code = ins(0x7A, 10, offset=-8, imm=-2)
    for opcode in (0x91, 0x89, 0x81):
        assert run(code + ins(opcode, 0, 10, -8) + EXIT) == 0xFFFFFFFFFFFFFFFE


def test_atomic_operations():
    start = ins(0x7A, 10, offset=-8, imm=12) + ins(0xB7, 1, imm=10) + ins(0xB7, 0, imm=12)
    end = ins(0x79, 2, 10, -8) + ins(0x67, 1, imm=8) + ins(0x4F, 1, 2) + ins(0x67, 0, imm=16)
    end += ins(0x4F, 0, 1) + EXIT  # r0 << 16 | r1 << 8 | memory
    for operation, r0, r1, memory in (
        (0x00, 12, 10, 22), (0x01, 12, 12, 22), (0x41, 12, 12, 14), (0x51, 12, 12, 8), (0xA1, 12, 12, 6),
        (0xE1, 12, 12, 10), (0xF1, 12, 10, 10),
    ):  # fmt: skip
        assert run(start + ins(0xDB, 10, 1, -8, imm=operation) + end) == r0 << 16 | r1 << 8 | memory


def test_an_unknown_atomic_operation_is_refused():
    with pytest.raises(FormatError, match="pc 0: atomic operation 0x7"):
        run(ins(0xDB, 10, 1, -8, imm=7) + EXIT)


def test_the_frame_comes_from_the_network_header_on_and_packet_loads_are_big_endian():
    r6 = ins(0xBF, 6, 1)
    assert run(r6 + ins(0x28, imm=1) + EXIT) == 0x0102
    assert run(r6 + ins(0xB7, 3, imm=2) + ins(0x50, 0, 3, imm=7) + EXIT) == 9
    assert run(r6 + ins(0x20, imm=43) + ins(0xB7, 0, imm=5) + EXIT) == 0  # past the end: the program ends with 0


def test_a_read_outside_the_stack_names_the_instruction_and_the_place():
    stack = ": the stack is r10-512 to r10-1"
    assert fault(ins(0xB7, 0) + ins(0x61, 0, 10) + EXIT) == f"pc 1: read of 4 bytes at r10+0{stack}"
    assert fault(ins(0x7A, 10, offset=-520) + EXIT) == f"pc 0: write of 8 bytes at r10-520{stack}"
    assert fault(ins(0x7A, 10, offset=-4) + EXIT).startswith("pc 0: write of 8 bytes at r10-4")


def test_a_null_pointer_is_named():
    assert fault(ins(0xB7, 1) + ins(0x79, 0, 1, 16) + EXIT) == "pc 1: read of 8 bytes at address 16: a null pointer"


def test_a_map_value_has_its_own_bounds():
    assert run(LOOKUP + ins(0x69, 0, 0, 4) + EXIT, ONE) == 0
    value = "of a map value of 6 bytes"
    assert fault(LOOKUP + ins(0x61, 0, 0, 4) + EXIT, ONE) == f"pc 6: read of 4 bytes at offset 4 {value}"
    assert fault(LOOKUP + ins(0x72, 0, offset=-1) + EXIT, ONE) == f"pc 6: write of 1 bytes at offset -1 {value}"
    frozen = ONE._replace(flags=READ_ONLY, initial=b"abcdef")
    assert "at offset 0 of a read-only map value" in fault(LOOKUP + ins(0x72, 0) + EXIT, frozen)


def test_a_look_up_past_the_last_entry_gives_null():
    code = ins(0x62, 10, offset=-8, imm=2) + TO_STACK + ins(0x18, 1, 1) + ins(0x85, imm=1) + EXIT
    assert run(code, ONE) == 0


def test_hash_maps_keep_what_the_program_puts_in_over_runs():
    values = MapDefinition("values", HASH, 4, 8, 1)
    code = LOOKUP + ins(0x55, 0, 0, 10)  # look up; if there, go to the end
    code += ins(0x7A, 10, offset=-16, imm=7) + ins(0xBF, 3, 10) + ins(0x07, 3, imm=-16)
    code += TO_STACK + ins(0xB7, 4) + ins(0x18, 1, 1) + ins(0x85, imm=2) + EXIT
    code += ins(0x79, 0, 0) + EXIT
    counter = machine(code, values)
    assert [counter.run(Packet.of_test_run(FRAME)) for _ in range(2)] == [0, 7]


def test_a_register_that_was_never_written_must_not_be_read():
    assert fault(ins(0xBF, 0, 7) + EXIT) == "pc 0: a register is read that was never written"
    assert fault(ins(0xBF, 0, 7) + ins(0xB7, 7) + EXIT) == "pc 0: a register is read that was never written"
    assert fault(ins(0x0F, 1, 3) + EXIT) == "pc 0: a register is read that was never written"
    assert "never written" in fault(ins(0xBF, 0, 2) + EXIT)


def test_a_loop_without_end_stops_at_the_budget():
    assert fault(ins(0xB7, 0) + ins(0x05, offset=-1) + EXIT) == "pc 1: more than 1000 instructions"


def test_the_executed_instructions_are_counted_exactly():
    loop = ins(0xB7, 0, imm=10) + ins(0x17, 0, imm=1) + ins(0x55, 0, 0, -2) + EXIT
    counted = machine(loop)
    counted.run(Packet.of_test_run(FRAME))
    assert counted.budget - counted.left == 1 + 10 * 2 + 1


def test_subprograms_have_registers_and_a_stack_of_their_own():
    code = ins(0x7A, 10, offset=-8, imm=5) + ins(0xB7, 6, imm=9) + ins(0xBF, 1, 10) + ins(0x07, 1, imm=-8)
    code += ins(0x85, src=1, imm=4) + ins(0x0F, 0, 6) + ins(0x79, 1, 10, -8) + ins(0x0F, 0, 1) + EXIT
    code += ins(0x7A, 10, offset=-8, imm=1000) + ins(0xB7, 6, imm=77) + ins(0x79, 0, 1) + ins(0x7A, 1, imm=6) + EXIT
    assert run(code) == 5 + 9 + 6


def test_calls_nest_eight_deep_and_no_deeper():
    recursive = ins(0x85, src=1, imm=-1) + EXIT
    assert fault(recursive) == "pc 0: calls more than 8 deep"


def test_fields_of_the_context_that_a_socket_filter_may_read_and_write():
    assert run(ins(0x61, 0, 1) + EXIT) == 46
    assert run(ins(0x61, 0, 1, 16) + EXIT, frame=bytes(12) + b"\x86\xdd" + bytes(46)) == 0xDD86
    assert run(ins(0x71, 0, 1, 17) + EXIT, frame=bytes(12) + b"\x86\xdd" + bytes(46)) == 0xDD
    assert run(ins(0x62, 1, offset=52, imm=3) + ins(0x61, 0, 1, 52) + EXIT) == 3
    assert fault(ins(0x61, 0, 1, 76) + EXIT) == "pc 0: a socket filter may not read data of the context"
    assert "may not read data_end" in fault(ins(0x61, 0, 1, 80) + EXIT)
    assert "only cb may be written" in fault(ins(0x62, 1, offset=8, imm=3) + EXIT)
    assert "no field of the context" in fault(ins(0x61, 0, 1, 400) + EXIT)


def load_bytes(offset, size, *, start=None):
    code = ins(0x7A, 10, offset=-8, imm=-1) + ins(0xB7, 2, imm=offset) + ins(0xBF, 3, 10) + ins(0x07, 3, imm=-8)
    code += ins(0xB7, 4, imm=size)
    code += ins(0x85, imm=26) if start is None else ins(0xB7, 5, imm=start) + ins(0x85, imm=68)
    return code


def test_bytes_that_are_not_there_give_efault_and_zeros():
    efault = (1 << 64) - 14
    for good, bad in (
        (load_bytes(40, 4), load_bytes(43, 4)),
        (load_bytes(56, 4, start=0), load_bytes(57, 4, start=0)),
        (load_bytes(42, 4, start=1), load_bytes(43, 4, start=1)),
        (load_bytes(0, 4, start=0), load_bytes(0x10000, 4, start=0)),
        (load_bytes(0, 4, start=0), load_bytes(0, 4, start=2)),
        (load_bytes(0, 4), load_bytes(-1, 4)),
    ):
        assert run(good + EXIT) == 0
        assert run(bad + EXIT) == efault
        assert run(bad + ins(0x79, 0, 10, -8) + EXIT) == 0xFFFFFFFF00000000


def test_the_headers_that_loads_count_from():
    value = ins(0x61, 0, 10, -8) + EXIT
    assert run(load_bytes(1, 4) + value) == struct.unpack("<I", FRAME[15:19])[0]
    assert run(load_bytes(1, 4, start=1) + value) == struct.unpack("<I", FRAME[15:19])[0]
    assert run(load_bytes(1, 4, start=0) + value) == struct.unpack("<I", FRAME[1:5])[0]


def test_helpers_check_their_pointers():
    assert fault(ins(0xB7, 1) + load_bytes(0, 4) + EXIT).startswith("pc 6: r1 is not the context but address 0")
    assert "r1 is not a map" in fault(TO_STACK + ins(0x85, imm=1) + EXIT)
    assert "0 bytes asked for" in fault(load_bytes(0, 0) + EXIT)
    assert fault(load_bytes(0, 9) + EXIT) == "pc 5: write of 9 bytes at r10-8: the stack is r10-512 to r10-1"


def test_helpers_that_are_missing_are_named_when_the_program_is_loaded():
    with pytest.raises(FormatError, match="pc 0: helper get_hash_recalc") as caught:
        machine(ins(0x85, imm=34) + EXIT)
    assert "skb_load_bytes_relative (68)" in caught.value.hint
    with pytest.raises(FormatError, match="pc 0: helper 9999"):
        machine(ins(0x85, imm=9999) + EXIT)


def test_code_that_leads_out_of_the_program_is_refused():
    half = ins(0x05, offset=1) + ins(0x18, 1)
    for code in (ins(0x05, offset=5) + EXIT, ins(0xB7, 0), half, ins(0x85, src=1, imm=9) + EXIT):
        with pytest.raises(FormatError, match="which is no instruction of the program"):
            machine(code)


def test_a_reference_to_a_map_that_is_not_there_is_refused():
    with pytest.raises(FormatError, match="refers to map 3, the program has 1"):
        machine(ins(0x18, 1, 1, imm=3) + EXIT, ONE)


def test_runs_do_not_see_what_an_earlier_run_left_on_the_stack():
    code = ins(0x79, 0, 10, -8) + ins(0x7A, 10, offset=-8, imm=5) + EXIT
    twice = machine(code)
    assert [twice.run(Packet.of_test_run(FRAME)) for _ in range(2)] == [0, 0]
