"""Counters in bytecode: right where they are, and nowhere in the way."""

from __future__ import annotations

import struct

from vnethash.models.ebpf.edges import Edge, Edges, instrument
from vnethash.models.ebpf.instruction import Instruction, encode
from vnethash.models.ebpf.machine import Machine
from vnethash.models.ebpf.memory import ArrayMap
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import Program

FRAME = bytes(12) + b"\x08\0" + bytes(46)
EXIT = bytes.fromhex("9500000000000000")


def ins(opcode: int, dst: int = 0, src: int = 0, offset: int = 0, *, imm: int = 0) -> bytes:
    return encode(Instruction(0, opcode, dst, src, offset, imm))


def run(code: bytes) -> tuple[int, dict[Edge, int], Edges]:
    """Run the program with and without counters; return its answer, the counters by edge, and the edges."""
    plain = Machine(Program("test", "socket", code, ()))
    edges = instrument(Program("test", "socket", code, ()))
    counted = Machine(edges.program)
    answer = plain.run(Packet.of_test_run(FRAME))
    assert counted.run(Packet.of_test_run(FRAME)) == answer
    counters = counted.maps[edges.map_index]
    assert isinstance(counters, ArrayMap)
    values = struct.unpack(f"<{len(edges.edges)}H", counters.read(0))
    return answer, dict(zip(edges.edges, values, strict=True)), edges


def test_a_loop_is_counted_as_often_as_it_goes_round_and_left_once() -> None:
    # r0 = 5; do { r0 -= 1 } while r0 != 0; exit
    code = ins(0xB7, 0, imm=5) + ins(0x07, 0, imm=-1) + ins(0x55, 0, offset=-2, imm=0) + EXIT
    answer, counts, edges = run(code)
    assert answer == 0
    assert counts == {Edge(0, True): 1, Edge(2, True): 4, Edge(2, False): 1}
    assert edges.blind == 0


def test_a_jump_back_to_the_first_instruction_is_no_entry() -> None:
    # entry: r1 (the context) is not used; r6 counts in memory on the stack
    code = ins(0xB7, 0, imm=0) + ins(0x05, offset=0) + EXIT
    _, counts, _ = run(code)
    assert counts == {Edge(0, True): 1}


def test_a_program_that_uses_every_register_keeps_what_is_in_them() -> None:
    code = b"".join(ins(0xB7, register, imm=register + 1) for register in range(10))
    code += ins(0x7A, 10, offset=-16, imm=1000)
    code += ins(0x15, 3, offset=1, imm=4) + ins(0xB7, 3, imm=99)  # taken: r3 is 4
    code += b"".join(ins(0x0F, 0, register) for register in range(1, 10))
    code += ins(0x79, 1, 10, -16) + ins(0x0F, 0, 1) + EXIT
    answer, counts, edges = run(code)
    assert answer == sum(range(1, 11)) + 1000
    assert counts[Edge(11, True)] == 1
    assert counts[Edge(11, False)] == 0
    assert edges.blind == 0


def test_where_the_stack_is_full_and_no_register_free_an_edge_stays_without_a_counter() -> None:
    code = b"".join(ins(0xB7, register, imm=register + 1) for register in range(10))
    code += ins(0x7A, 10, offset=-512, imm=1) + ins(0x15, 3, offset=1, imm=4) + ins(0xB7, 3, imm=99)
    code += b"".join(ins(0x0F, 0, register) for register in range(1, 10)) + EXIT
    answer, counts, edges = run(code)
    assert answer == sum(range(1, 11))
    # Where the jump is not taken, r3 is written next: one free register, which is not enough.
    assert edges.blind == 2
    assert set(counts) == {Edge(0, True)}


def test_a_subprogram_is_entered_through_its_counter() -> None:
    # r1 = 3; call sub; call sub; exit / sub: r0 = r1 ... each entry counts
    code = ins(0xB7, 1, imm=3) + ins(0x85, 0, 1, imm=3) + ins(0xB7, 1, imm=4) + ins(0x85, 0, 1, imm=1) + EXIT
    code += ins(0xBF, 0, 1) + EXIT
    answer, counts, _ = run(code)
    assert answer == 4
    assert counts == {Edge(0, True): 1, Edge(5, True): 2}
