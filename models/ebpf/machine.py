"""The eBPF machine: runs a program over frames, by the Python functions that `translate` makes of it.

It is an interpreter for people without bpf(2), and the second opinion beside the kernel: little-endian, one CPU, no
verifier. Where the verifier would refuse a program beforehand, the machine stops it at the instruction that does the
forbidden thing and says which one and why.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vnethash.models.ebpf import helpers
from vnethash.models.ebpf.instruction import PSEUDO_MAP, PSEUDO_MAP_VALUE
from vnethash.models.ebpf.memory import CONTEXT, STACK, STACK_SIZE, Fault, Memory, make_map
from vnethash.models.ebpf.packet import CB, CB_END, FIELDS, FORBIDDEN, Packet, field
from vnethash.models.ebpf.translate import FILE, translate
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from types import CodeType, TracebackType

    from vnethash.models.ebpf.instruction import Instruction
    from vnethash.models.ebpf.memory import ArrayMap, HashMap
    from vnethash.models.ebpf.program import Program

#: Instructions that one run may execute; the kernel's verifier follows one million.
BUDGET = 1_000_000

_M32 = 0xFFFFFFFF
_REGISTERS = {f"r{number}" for number in range(11)}
_EMPTY = bytes(STACK_SIZE)
_NO_PACKET = Packet(bytes(14), 14, 14, 14, 0, 0)


class ProgramFault(Exception):  # noqa: N818 - an answer of the program under test, not an error of ours
    """The program did what it must not do: at slot `pc`, for `reason`."""

    def __init__(self, pc: int, reason: str) -> None:
        super().__init__(f"pc {pc}: {reason}")
        self.pc = pc
        self.reason = reason


class Machine:
    """One program with its maps in memory.

    Attributes:
        program: what it runs.
        memory: all regions.
        maps: the program's maps, in the order of `program.maps`.
        packet: the frame of the current run.
        budget: instructions that one run may execute.
        left: what remains of the budget; after a run, `budget - left` instructions were executed.
    """

    def __init__(self, program: Program, *, budget: int = BUDGET) -> None:
        """Make a machine; raises FormatError for code, helpers or maps that are not supported."""
        self.program = program
        self.budget = self.left = budget
        self.packet = _NO_PACKET
        self.memory = Memory()
        self.maps: list[ArrayMap | HashMap] = [
            make_map(definition, number, self.memory) for number, definition in enumerate(program.maps)
        ]
        self._control = bytearray(CB_END - CB)
        self._stack = bytearray(STACK_SIZE)
        code, self._lines, self._instructions = _compiled(program.code)
        for item in self._instructions:
            if item and item.wide and item.src in (PSEUDO_MAP, PSEUDO_MAP_VALUE) and item.imm >= len(self.maps):
                raise FormatError(f"pc {item.pc}: refers to map {item.imm}, the program has {len(self.maps)}")
        namespace: dict[str, Any] = {
            "machine": self,
            "memory": self.memory,
            "Fault": Fault,
            "context": self._context,
            "set_context": self._set_context,
            "load_number": self._load_number,
            "map_value": self._map_value,
        }
        for size, letter in ((2, "H"), (4, "I"), (8, "Q")):
            accessor = struct.Struct("<" + letter)
            namespace |= {f"get{size}": accessor.unpack_from, f"put{size}": accessor.pack_into}
        namespace |= {f"helper{number}": call for number, call in helpers.bind(self).items()}
        exec(code, namespace)  # noqa: S102 - our own translation, of numbers only
        self._main = namespace["f0"]

    def run(self, packet: Packet) -> int:
        """Run the program over one frame; return r0, 64 bits unsigned. Raises ProgramFault."""
        self.packet = packet
        self.left = self.budget
        self._stack[:] = _EMPTY
        self.memory[STACK] = self._stack
        try:
            result: int | None = self._main(0, self._stack, CONTEXT << 32)
            if result is None:
                raise ProgramFault(0, "r0 is given back and was never written")
            return result
        except (Fault, KeyError, IndexError, TypeError, ValueError, struct.error, NameError) as error:
            fault = self._explained(error)
        finally:
            self._control[:] = bytes(len(self._control))
        raise fault

    def _explained(self, error: Exception) -> ProgramFault:
        """Find the instruction behind an exception: the translated line that was running."""
        where: TracebackType | None = None
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == FILE:
                where = trace
            trace = trace.tb_next
        if where is None:
            raise error
        pc = self._lines[where.tb_lineno]
        if isinstance(error, Fault):
            return ProgramFault(pc, str(error))
        unbound = isinstance(error, UnboundLocalError) or (isinstance(error, NameError) and error.name in _REGISTERS)
        if unbound or "NoneType" in str(error):  # None: an argument that the caller of a subprogram did not have
            return ProgramFault(pc, "a register is read that was never written")
        if isinstance(error, NameError):
            raise error
        instruction = self._instructions[pc]
        assert instruction is not None
        address = where.tb_frame.f_locals.get("a", 0)
        verb = "read" if instruction.kind == 1 else "write"
        return ProgramFault(pc, f"{verb} of {instruction.size} bytes at {self.memory.describe(address)}")

    def _context(self, address: int, size: int) -> int:
        """Load from the context, as far as a socket filter may."""
        offset = address & _M32
        if offset % size == 0:
            if offset >= CB and offset + size <= CB_END:
                return int.from_bytes(self._control[offset - CB : offset - CB + size], "little")
            base = offset & ~3
            if base in FIELDS and offset + size <= base + 4:
                return field(self.packet, base) >> 8 * (offset - base) & ((1 << 8 * size) - 1)
        for first, behind, name in FORBIDDEN:
            if first <= offset < behind:
                raise Fault(f"a socket filter may not read {name} of the context")
        raise Fault(f"read of {size} bytes at {self.memory.describe(address)}: no field of the context")

    def _set_context(self, address: int, size: int, value: int) -> None:
        """Store into the context: `cb` is all that a socket filter may write."""
        offset = address & _M32
        if not (offset >= CB and offset + size <= CB_END and offset % size == 0):
            raise Fault(f"write of {size} bytes at {self.memory.describe(address)}: only cb may be written")
        self._control[offset - CB : offset - CB + size] = value.to_bytes(size, "little")

    def _load_number(self, context: int, offset: int, size: int) -> int | None:
        """LD_ABS and LD_IND: None ends the function with 0."""
        if context != CONTEXT << 32:
            raise Fault("r6 is not the context at a packet load")
        return self.packet.load_number((offset & _M32 ^ 1 << 31) - (1 << 31), size)

    def _map_value(self, number: int, offset: int) -> int:
        """Return the address of byte `offset` of entry 0 of a map."""
        return self.maps[number].address(0) + (offset & _M32)


@lru_cache(maxsize=16)
def _compiled(code: bytes) -> tuple[CodeType, tuple[int, ...], tuple[Instruction | None, ...]]:
    translation = translate(code)
    return compile(translation.source, FILE, "exec"), translation.lines, translation.instructions
