"""Arithmetic and conditions of eBPF as Python expressions over registers that hold unsigned 64-bit numbers.

RFC 9669 sections 4.1 to 4.3: 32-bit operations clear the high half, division by zero gives 0, remainder by zero leaves
the destination, shift counts are taken modulo the width, a signed division by an `offset` of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.ebpf import instruction as isa
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from vnethash.models.ebpf.instruction import Instruction

_M64 = 0xFFFFFFFFFFFFFFFF


def _unknown(item: Instruction) -> FormatError:
    return FormatError(f"pc {item.pc}: opcode {item.opcode:#04x} with offset {item.offset} is not eBPF")


def _operand(item: Instruction, bits: int) -> str:
    """Return the second operand, cut to `bits`."""
    mask = (1 << bits) - 1
    if item.opcode & isa.REGISTER:
        return f"r{item.src}" if bits == 64 else f"(r{item.src} & {mask:#x})"
    return hex(item.imm & mask)


def _signed(expression: str, bits: int) -> str:
    sign = 1 << bits - 1
    return f"(({expression} ^ {sign:#x}) - {sign:#x})"


def arithmetic(item: Instruction) -> list[str]:
    """Return the lines of an ALU or ALU64 instruction; raises FormatError for one that does not exist."""
    operation = item.operation
    bits = 64 if item.kind == isa.ALU64 else 32
    mask = (1 << bits) - 1
    d = f"r{item.dst}"
    x = d if bits == 64 else f"({d} & {mask:#x})"
    y = _operand(item, bits)
    if item.offset and operation not in (isa.DIV, isa.MOD, isa.MOV):
        raise _unknown(item)
    if operation == isa.END:
        return [_swap(item)]
    if operation == isa.MOV:
        return [f"{d} = {_moved(item, y, bits)}"]
    if operation == isa.NEG:
        return [f"{d} = -{d} & {mask:#x}"]
    if operation in (isa.DIV, isa.MOD):
        return _divided(item, x, y, bits)
    if operation in (isa.LSH, isa.RSH, isa.ARSH):
        count = f"(r{item.src} & {bits - 1})" if item.opcode & isa.REGISTER else str(item.imm & bits - 1)
        if operation == isa.LSH:
            return [f"{d} = {d} << {count} & {mask:#x}"]
        if operation == isa.RSH:
            return [f"{d} = {x} >> {count}"]
        return [f"{d} = {_signed(x, bits)} >> {count} & {mask:#x}"]
    operator = {isa.ADD: "+", isa.SUB: "-", isa.MUL: "*", isa.OR: "|", isa.AND: "&", isa.XOR: "^"}.get(operation)
    if operator is None:
        raise _unknown(item)
    if bits == 64 and operation in (isa.OR, isa.AND, isa.XOR):
        return [f"{d} = {d} {operator} {y}"]
    return [f"{d} = ({d} {operator} {y}) & {mask:#x}"]


def _moved(item: Instruction, y: str, bits: int) -> str:
    """MOV, and MOVSX where `offset` gives the width of the source."""
    if not item.offset:
        return y
    if item.offset not in (8, 16, 32) or item.offset >= bits or not item.opcode & isa.REGISTER:
        raise _unknown(item)
    narrow = f"(r{item.src} & {(1 << item.offset) - 1:#x})"
    return f"{_signed(narrow, item.offset)} & {(1 << bits) - 1:#x}"


def _divided(item: Instruction, x: str, y: str, bits: int) -> list[str]:
    """DIV and MOD; signed ones round towards zero, as C does."""
    d, mask = f"r{item.dst}", (1 << bits) - 1
    if item.offset not in (0, 1):
        raise _unknown(item)
    if not item.offset:
        if item.operation == isa.DIV:
            return [f"{d} = {x} // {y} if {y} else 0"]
        return [f"{d} = {x} % {y} if {y} else {x}"]
    lines = [f"b = {_signed(x, bits)}", f"c = {_signed(y, bits)}"]
    quotient = "(abs(b) // abs(c) * (1 if (b < 0) == (c < 0) else -1))"
    if item.operation == isa.DIV:
        return [*lines, f"{d} = {quotient} & {mask:#x} if c else 0"]
    return [*lines, f"{d} = b - {quotient} * c & {mask:#x} if c else {x}"]


def _swap(item: Instruction) -> str:
    """END: to little-endian (a cut, here), to big-endian, or (ALU64) an unconditional swap."""
    width = item.imm
    if width not in (16, 32, 64) or (item.kind == isa.ALU64 and item.opcode & isa.REGISTER):
        raise _unknown(item)
    cut = f"r{item.dst} & {(1 << width) - 1:#x}"
    if item.kind == isa.ALU and not item.opcode & isa.REGISTER:
        return f"r{item.dst} = {cut}"
    return f'r{item.dst} = int.from_bytes(({cut}).to_bytes({width // 8}, "little"), "big")'


def condition(item: Instruction) -> str:
    """Return the condition of a JMP or JMP32 instruction; raises FormatError for one that does not exist."""
    bits = 64 if item.kind == isa.JMP else 32
    x = f"r{item.dst}" if bits == 64 else f"(r{item.dst} & {(1 << bits) - 1:#x})"
    y = _operand(item, bits)
    plain = {isa.JEQ: "==", isa.JNE: "!=", isa.JGT: ">", isa.JGE: ">=", isa.JLT: "<", isa.JLE: "<=", isa.JSET: "&"}
    signed = {isa.JSGT: ">", isa.JSGE: ">=", isa.JSLT: "<", isa.JSLE: "<="}
    if item.operation in plain:
        return f"{x} {plain[item.operation]} {y}"
    if item.operation in signed:  # flipping the sign bits maps signed order to unsigned order
        sign = 1 << bits - 1
        flipped = f"({y} ^ {sign:#x})" if item.opcode & isa.REGISTER else hex(item.imm & (1 << bits) - 1 ^ sign)
        return f"({x} ^ {sign:#x}) {signed[item.operation]} {flipped}"
    raise _unknown(item)
