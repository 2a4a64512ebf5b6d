"""eBPF instructions as data: the encoding of RFC 9669, decoded and checked for form.

One instruction is a slot of 8 bytes, little-endian here: opcode, registers (source in the high half), a signed 16-bit
offset, a signed 32-bit immediate. LD_IMM64 takes two slots. The numbers of instructions ("pc") count slots from 0, as
the kernel's verifier and llvm-objdump do.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vnethash.spec.errors import FormatError

#: Classes (low three bits of the opcode).
LD, LDX, ST, STX, ALU, JMP, JMP32, ALU64 = range(8)

#: Operations of ALU and ALU64 (high four bits).
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR, MOV, ARSH, END = range(0x00, 0xE0, 0x10)

#: Operations of JMP and JMP32 (high four bits).
JA, JEQ, JGT, JGE, JSET, JNE, JSGT, JSGE, CALL, EXIT, JLT, JLE, JSLT, JSLE = range(0x00, 0xE0, 0x10)

#: Bit of the opcode: the operand is the source register, not the immediate; for END: big-endian.
REGISTER = 0x08

#: Modes of loads and stores (high three bits).
IMM, ABS, IND, MEM, MEMSX, ATOMIC = 0x00, 0x20, 0x40, 0x60, 0x80, 0xC0

#: Bytes moved, by the size bits of the opcode.
SIZES = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}

#: Operations of ATOMIC (the immediate); FETCH is a bit beside them, and part of XCHG and CMPXCHG.
ATOMIC_ADD, ATOMIC_OR, ATOMIC_AND, ATOMIC_XOR = 0x00, 0x40, 0x50, 0xA0
ATOMIC_FETCH, ATOMIC_XCHG, ATOMIC_CMPXCHG = 0x01, 0xE1, 0xF1

#: Source "registers" that give LD_IMM64 and CALL another meaning.
PSEUDO_MAP, PSEUDO_MAP_VALUE = 1, 2
PSEUDO_CALL = 1

#: Bytes of one slot.
SLOT = 8

_SLOT = struct.Struct("<BBhi")


class Instruction(NamedTuple):
    """One decoded instruction.

    Attributes:
        pc: slot number, from 0.
        opcode: the first byte as it is.
        dst: destination register, 0 to 10.
        src: source register, 0 to 10, or a PSEUDO_ number.
        offset: signed 16 bits.
        imm: signed 32 bits.
        high: the immediate of the second slot of LD_IMM64, signed 32 bits; 0 otherwise.
    """

    pc: int
    opcode: int
    dst: int
    src: int
    offset: int
    imm: int
    high: int = 0

    @property
    def kind(self) -> int:
        """Return the class."""
        return self.opcode & 0x07

    @property
    def operation(self) -> int:
        """Return the operation of an arithmetic or jump instruction."""
        return self.opcode & 0xF0

    @property
    def mode(self) -> int:
        """Return the mode of a load or store."""
        return self.opcode & 0xE0

    @property
    def size(self) -> int:
        """Return how many bytes a load or store moves."""
        return SIZES[self.opcode & 0x18]

    @property
    def wide(self) -> bool:
        """Return whether this is LD_IMM64, which takes two slots."""
        return self.opcode == LD | IMM | 0x18

    @property
    def target(self) -> int:
        """Return the slot that a jump or a call of a subprogram leads to."""
        if (self.kind == JMP and self.operation == CALL) or (self.kind == JMP32 and self.operation == JA):
            return self.pc + 1 + self.imm
        return self.pc + 1 + self.offset


def decode(code: bytes) -> tuple[Instruction | None, ...]:
    """Decode `code`, one entry a slot; the second slot of LD_IMM64 is None.

    Raises FormatError for a length that is no whole number of slots, a register above r10, and half of an LD_IMM64.
    """
    if not code or len(code) % SLOT:
        raise FormatError(f"an eBPF program of {len(code)} bytes is not a whole number of 8-byte instructions")
    slots: list[Instruction | None] = []
    raw = [_SLOT.unpack_from(code, at) for at in range(0, len(code), SLOT)]
    pc = 0
    while pc < len(raw):
        opcode, registers, offset, imm = raw[pc]
        instruction = Instruction(pc, opcode, registers & 15, registers >> 4, offset, imm)
        if instruction.dst > 10 or instruction.src > 10:
            raise FormatError(f"pc {pc}: eBPF has registers r0 to r10, not r{max(instruction.dst, instruction.src)}")
        if instruction.wide:
            if pc + 1 == len(raw) or raw[pc + 1][0]:
                raise FormatError(f"pc {pc}: the second half of a 64-bit load is missing")
            slots += (instruction._replace(high=raw[pc + 1][3]), None)
            pc += 2
        else:
            slots.append(instruction)
            pc += 1
    return tuple(slots)


def encode(instruction: Instruction) -> bytes:
    """Return the 8 bytes (16 for LD_IMM64) of an instruction."""
    first = _SLOT.pack(
        instruction.opcode, instruction.src << 4 | instruction.dst, instruction.offset, instruction.imm
    )
    return first + _SLOT.pack(0, 0, 0, instruction.high) if instruction.wide else first
