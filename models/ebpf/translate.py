"""From eBPF to Python: each function of a program becomes a Python function with registers as local variables.

A function is cut at the targets of its jumps into stretches of code; a stretch ends where it jumps away or runs into
the next one, and a loop with a tree of comparisons picks the next stretch. Registers hold numbers from 0 to 2**64 - 1
at all times. What is known beforehand (the place of `r10-8`, an immediate operand) is written into the code.

The exact budget: each way out of a stretch subtracts what it executed; a jump backwards looks whether any is left.
The errors: a bad access raises in the line that does it, and `lines` leads from there back to the instruction.

What the lines call (`memory`, `get4`, `helper1`, ...) is provided by `machine.Machine`.
"""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.ebpf import instruction as isa
from vnethash.models.ebpf.alu import arithmetic, condition
from vnethash.models.ebpf.helpers import HELPERS, UNSUPPORTED
from vnethash.models.ebpf.instruction import Instruction, decode
from vnethash.models.ebpf.memory import CONTEXT, MAP_HANDLE, MAX_DEPTH, STACK, STACK_SIZE
from vnethash.spec.errors import FormatError

#: The "file name" of translated code in tracebacks.
FILE = "<eBPF>"

_M32 = 0xFFFFFFFF
_M64 = 0xFFFFFFFFFFFFFFFF


class Translation(NamedTuple):
    """A translated program: Python source whose function `f0` is the entry; `lines[n]` is the slot behind line n."""

    source: str
    lines: tuple[int, ...]
    instructions: tuple[Instruction | None, ...]


def translate(code: bytes) -> Translation:
    """Translate a program; raises FormatError, with the slot, for what is not eBPF or not supported."""
    instructions = decode(code)
    writer = _Writer()
    done: set[int] = set()
    pending = [0]
    while pending:
        entry = pending.pop()
        if entry not in done:
            done.add(entry)
            pending += _function(instructions, entry, writer)
    return Translation("\n".join(writer.text), (0, *writer.pcs), instructions)


class _Writer:
    """Lines of Python and the slots that they stand for."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.pcs: list[int] = []

    def line(self, depth: int, pc: int, text: str) -> None:
        self.text.append(" " * depth + text)
        self.pcs.append(pc)


def _at(instructions: tuple[Instruction | None, ...], pc: int, source: int) -> Instruction:
    """Return the instruction at `pc`, which `source` leads to."""
    found = instructions[pc] if 0 <= pc < len(instructions) else None
    if found is None:
        raise FormatError(f"pc {source}: leads to {pc}, which is no instruction of the program")
    return found


def _is_jump(item: Instruction) -> bool:
    return item.kind in (isa.JMP, isa.JMP32) and item.operation not in (isa.CALL, isa.EXIT)


def _is_exit(item: Instruction) -> bool:
    return item.kind == isa.JMP and item.operation == isa.EXIT


def _leaders(instructions: tuple[Instruction | None, ...], entry: int) -> list[int]:
    """Return the first slots of the stretches of the function at `entry`, in order."""
    leaders, seen, pending = {entry}, set[int](), [(entry, entry)]
    while pending:
        pc, source = pending.pop()
        if pc in seen:
            continue
        seen.add(pc)
        item = _at(instructions, pc, source)
        if _is_exit(item):
            continue
        if _is_jump(item):
            leaders.add(item.target)
            pending.append((item.target, pc))
            if item.operation == isa.JA:
                continue
        pending.append((pc + 1 + item.wide, pc))
    return sorted(leaders)


def _function(instructions: tuple[Instruction | None, ...], entry: int, out: _Writer) -> list[int]:
    """Write the function at `entry`; return the entries of the functions that it calls."""
    leaders = _leaders(instructions, entry)
    calls: list[int] = []
    out.line(0, entry, f"def f{entry}(depth, stack, r1=None, r2=None, r3=None, r4=None, r5=None):")
    out.line(1, entry, f"r10 = ({STACK} + depth << 32) + {STACK_SIZE}")
    out.line(1, entry, "left = machine.left")
    out.line(1, entry, f"at = {leaders.index(entry)}")
    out.line(1, entry, "while True:")

    def tree(low: int, high: int, depth: int) -> None:
        if high - low == 1:
            calls.extend(_stretch(instructions, leaders, low, depth, out))
            return
        middle = (low + high) // 2
        out.line(depth, leaders[low], f"if at < {middle}:")
        tree(low, middle, depth + 1)
        out.line(depth, leaders[middle], "else:")
        tree(middle, high, depth + 1)

    tree(0, len(leaders), 2)
    return calls


def _stretch(
    instructions: tuple[Instruction | None, ...], leaders: list[int], number: int, depth: int, out: _Writer
) -> list[int]:
    """Write the code from leader `number` on, up to its end; return the entries of the functions called."""
    places = {pc: index for index, pc in enumerate(leaders)}
    calls: list[int] = []
    pc = source = leaders[number]
    executed = 0

    def go(level: int, here: int, target: int) -> None:
        out.line(level, here, f"left -= {executed}")
        if target <= here:
            out.line(level, here, "if left < 0:")
            out.line(level + 1, here, 'raise Fault(f"more than {machine.budget} instructions")')
        out.line(level, here, f"at = {places[target]}")
        out.line(level, here, "continue")

    while True:
        item = _at(instructions, pc, source)
        executed += 1
        if _is_exit(item):
            out.line(depth, pc, f"machine.left = left - {executed}")
            out.line(depth, pc, "return r0")
            return calls
        if _is_jump(item):
            if item.operation == isa.JA:
                go(depth, pc, item.target)
                return calls
            out.line(depth, pc, f"if {condition(item)}:")
            go(depth + 1, pc, item.target)
        else:
            if item.kind == isa.JMP and item.src == isa.PSEUDO_CALL:
                calls.append(item.target)
            for text in _plain(item, executed):
                out.line(depth, pc, text)
        source, pc = pc, pc + 1 + item.wide
        if pc in places:
            go(depth, source, pc)
            return calls


def _plain(item: Instruction, executed: int) -> list[str]:
    """Return the lines of an instruction that does not jump."""
    if item.kind in (isa.ALU, isa.ALU64):
        return arithmetic(item)
    if item.kind in (isa.LDX, isa.ST, isa.STX):
        return _access(item)
    if item.kind == isa.LD:
        return _load_constant(item) if item.wide else _load_packet(item, executed)
    if item.kind == isa.JMP and item.operation == isa.CALL:
        return _call(item, executed)
    raise _unknown(item)


def _unknown(item: Instruction) -> FormatError:
    return FormatError(f"pc {item.pc}: opcode {item.opcode:#04x} is not one that vnethash's interpreter knows")


def _load_constant(item: Instruction) -> list[str]:
    """LD_IMM64: a number, a map, or the address of a byte of a map's first value."""
    if item.src == 0:
        return [f"r{item.dst} = {item.imm & _M32 | (item.high & _M32) << 32:#x}"]
    if item.src == isa.PSEUDO_MAP:
        return [f"r{item.dst} = {MAP_HANDLE << 32 | item.imm:#x}"]
    if item.src == isa.PSEUDO_MAP_VALUE:
        return [f"r{item.dst} = map_value({item.imm}, {item.high})"]
    raise FormatError(f"pc {item.pc}: a 64-bit load of kind {item.src} is not supported by vnethash's interpreter")


def _load_packet(item: Instruction, executed: int) -> list[str]:
    """LD_ABS and LD_IND: outside the packet the function ends with 0; both leave only r0 and r6 to r9."""
    if item.mode not in (isa.ABS, isa.IND) or item.size == 8:
        raise _unknown(item)
    offset = f"r{item.src} + {item.imm}" if item.mode == isa.IND else str(item.imm)
    return [
        f"r0 = load_number(r6, {offset}, {item.size})",
        "if r0 is None:",
        f" machine.left = left - {executed}",
        " return 0",
    ]


def _call(item: Instruction, executed: int) -> list[str]:
    """Call a helper of the kernel or a subprogram, which gets a stack of its own."""
    if item.src == isa.PSEUDO_CALL:
        return [
            f"if depth == {MAX_DEPTH - 1}:",
            f' raise Fault("calls more than {MAX_DEPTH} deep")',
            f"machine.left = left - {executed}",
            "if machine.left < 0:",
            ' raise Fault(f"more than {machine.budget} instructions")',
            f"b = memory[{STACK + 1} + depth] = bytearray({STACK_SIZE})",
            f"r0 = f{item.target}(depth + 1, b, {', '.join(f'r{n}' for n in range(1, 6))})",
            f"left = machine.left + {executed}",
        ]
    if item.src:
        raise FormatError(f"pc {item.pc}: calls of kernel functions are not supported by vnethash's interpreter")
    helper = HELPERS.get(item.imm)
    if helper is None:
        raise FormatError(
            f"pc {item.pc}: helper {UNSUPPORTED.get(item.imm, item.imm)} is not in vnethash's interpreter",
            hint="known: " + ", ".join(f"{known.name} ({number})" for number, known in HELPERS.items()),
        )
    arguments = ", ".join(f"r{n}" for n in range(1, helper.arguments + 1))
    return [f"r0 = helper{item.imm}({arguments})"]


def _access(item: Instruction) -> list[str]:
    """LDX, ST, STX and atomic operations: on the own stack at known places, elsewhere through `memory`."""
    atomic = item.kind == isa.STX and item.mode == isa.ATOMIC
    if (item.mode not in (isa.MEM, isa.MEMSX) and not atomic) or (item.mode == isa.MEMSX and item.kind != isa.LDX):
        raise _unknown(item)
    pointer = item.src if item.kind == isa.LDX else item.dst
    place = STACK_SIZE + item.offset
    if pointer == 10 and 0 <= place <= STACK_SIZE - item.size and not atomic:
        return _load(item, "stack", str(place)) if item.kind == isa.LDX else [_store(item, "stack", str(place))]
    lines = [f"a = r{pointer} + {item.offset} & {_M64:#x}" if item.offset else f"a = r{pointer}"]
    region, offset = "memory[a >> 32]", f"a & {_M32:#x}"
    if atomic:
        return [*lines, f"b = {region}", *_atomic(item, offset)]
    lines.append(f"if a >> 32 == {CONTEXT}:")
    if item.kind == isa.LDX:
        if item.mode == isa.MEMSX:
            lines.append(' raise Fault("a signed load from the context")')
        else:
            lines.append(f" r{item.dst} = context(a, {item.size})")
        return [*lines, "else:", *(" " + text for text in _load(item, region, offset))]
    lines.append(f" set_context(a, {item.size}, {_stored(item)})")
    return [*lines, "else:", " " + _store(item, region, offset)]


def _load(item: Instruction, region: str, offset: str) -> list[str]:
    """Return the lines that read; a signed load is extended to 64 bits."""
    value = f"{region}[{offset}]" if item.size == 1 else f"get{item.size}({region}, {offset})[0]"
    if item.mode == isa.MEMSX:
        sign = 1 << 8 * item.size - 1
        return [f"r{item.dst} = ({value} ^ {sign:#x}) - {sign:#x} & {_M64:#x}"]
    return [f"r{item.dst} = {value}"]


def _stored(item: Instruction) -> str:
    """Return the expression of the value that a store writes, cut to its size."""
    top = (1 << 8 * item.size) - 1
    if item.kind == isa.ST:
        return hex(item.imm & top)
    return f"r{item.src}" if item.size == 8 else f"r{item.src} & {top:#x}"


def _store(item: Instruction, region: str, offset: str) -> str:
    if item.size == 1:
        return f"{region}[{offset}] = {_stored(item)}"
    return f"put{item.size}({region}, {offset}, {_stored(item)})"


def _atomic(item: Instruction, offset: str) -> list[str]:
    """Atomic operations on `b`: there is one CPU, so they are plain ones."""
    if item.size < 4:
        raise _unknown(item)
    top = (1 << 8 * item.size) - 1
    old, source = f"get{item.size}(b, {offset})[0]", f"(r{item.src} & {top:#x})"
    put = f"put{item.size}(b, {offset}, "
    if item.imm == isa.ATOMIC_XCHG:
        return [f"c = {old}", f"{put}{source})", f"r{item.src} = c"]
    if item.imm == isa.ATOMIC_CMPXCHG:
        return [f"c = {old}", f"if c == r0 & {top:#x}:", f" {put}{source})", "r0 = c"]
    operator = {isa.ATOMIC_ADD: "+", isa.ATOMIC_OR: "|", isa.ATOMIC_AND: "&", isa.ATOMIC_XOR: "^"}.get(
        item.imm & ~isa.ATOMIC_FETCH
    )
    if operator is None:
        raise FormatError(f"pc {item.pc}: atomic operation {item.imm:#x} is not supported by vnethash's interpreter")
    lines = [f"c = {old}", f"{put}(c {operator} {source}) & {top:#x})"]
    return [*lines, f"r{item.src} = c"] if item.imm & isa.ATOMIC_FETCH else lines
