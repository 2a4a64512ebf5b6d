"""Counters in a program's bytecode: which edges of its control flow a run takes, and how often.

`instrument` returns the same program with one 16-bit counter an edge: both ways out of each conditional jump, and the
entry of each subprogram. Other blocks are entered by one of these only. The counters lie in an array map of one entry,
which the program reaches by a direct address (LD_IMM64 with PSEUDO_MAP_VALUE) and which the one who runs it can map
into memory (BPF_F_MMAPABLE). Nothing is lost in saturation: the difference of two snapshots, modulo 65536, is what a
run added.

A counter needs two registers that hold nothing there. They are found by liveness over the whole program; where all are
in use, two are kept on the stack below what the function uses of it. An edge for which there is no room is left
without a counter, and `Edges.blind` says how many are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vnethash.models.ebpf import instruction as isa
from vnethash.models.ebpf.instruction import Instruction
from vnethash.models.ebpf.program import ARRAY, MapDefinition, Program
from vnethash.spec.errors import FormatError

#: Map flag: the map may be mapped into memory (BPF_F_MMAPABLE of linux/bpf.h, from Linux 5.5).
MMAPABLE = 1 << 10
#: Bytes of one counter.
WIDTH = 2
#: The map's name, as the kernel shows it.
MAP_NAME = "vnethash_edges"
_STACK = 512
_ALL = frozenset(range(10))
_CALLER_SAVED = frozenset(range(6))


@dataclass(frozen=True)
class Edge:
    """One counter: the slot of the jump (or entry) in the program as it was, and whether it is the way taken."""

    pc: int
    taken: bool


@dataclass(frozen=True)
class Edges:
    """An instrumented program; `map_index` is that of the counters among its maps, `edges` in the order of counters."""

    program: Program
    map_index: int
    edges: tuple[Edge, ...]
    blind: int = 0


@dataclass
class _Output:
    """The new code while it is written: slots, and where each old slot went."""

    items: list[Instruction] = field(default_factory=list)
    #: (place in items, old target or trampoline number, whether it is a trampoline)
    jumps: list[tuple[int, int, bool]] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    size: int = 0

    def add(self, item: Instruction) -> None:
        self.items.append(item._replace(pc=self.size))
        self.size += 2 if item.wide else 1


def instrument(program: Program) -> Edges:
    """Return the program with counters; raises FormatError for code that cannot be walked or grows too long."""
    slots = isa.decode(program.code)
    code = {item.pc: item for item in slots if item is not None}
    starts = sorted({0, *(item.target for item in code.values() if _is_subprogram_call(item))})
    bounds = list(zip(starts, [*starts[1:], len(slots)], strict=True))
    map_index = len(program.maps)
    alive = _liveness(code, starts)
    output = _Output()
    edges: list[Edge] = []
    blind = 0
    trampolines_of: dict[int, int] = {}
    for start, end in bounds:
        floor = _lowest(code, start, end)
        waiting: list[tuple[int, int, list[Instruction]]] = []

        def counter(pc: int, taken: bool, live: frozenset[int], floor: int = floor) -> list[Instruction]:
            made = _count(map_index, len(edges) * WIDTH, live, floor)
            if made:
                edges.append(Edge(pc, taken))
            return made

        entered = counter(start, True, alive.get(start, _ALL))
        blind += not entered
        for pc in range(start, end):
            item = code.get(pc)
            if item is None:
                continue
            if pc == start:
                # A jump back to the first instruction does not enter again, so the counter lies in front of it.
                output.places[-1 - start] = output.size
                for each in entered:
                    output.add(each)
            output.places[pc] = output.size
            if _is_subprogram_call(item) or _is_jump(item):
                output.jumps.append((len(output.items), item.target, False))
            if not _is_conditional(item):
                output.add(item)
                continue
            made = counter(pc, True, alive.get(item.target, _ALL))
            blind += not made
            if made:
                output.jumps[-1] = (len(output.items), pc, True)
                waiting.append((pc, item.target, made))
            output.add(item)
            through = counter(pc, False, alive.get(pc + 1, _ALL))
            blind += not through
            for each in through:
                output.add(each)
        for pc, target, made in waiting:
            trampolines_of[pc] = output.size
            for each in made:
                output.add(each)
            output.jumps.append((len(output.items), target, False))
            output.add(Instruction(0, isa.JMP | isa.JA, 0, 0, 0, 0))
    _link(output, trampolines_of, set(starts))
    counters = MapDefinition(MAP_NAME, ARRAY, 4, max(WIDTH, len(edges) * WIDTH), 1, MMAPABLE)
    text = b"".join(isa.encode(item) for item in output.items)
    return Edges(program._replace(code=text, maps=(*program.maps, counters)), map_index, tuple(edges), blind)


def _is_subprogram_call(item: Instruction) -> bool:
    return item.kind == isa.JMP and item.operation == isa.CALL and item.src == isa.PSEUDO_CALL


def _is_jump(item: Instruction) -> bool:
    return item.kind in {isa.JMP, isa.JMP32} and item.operation not in {isa.CALL, isa.EXIT}


def _is_conditional(item: Instruction) -> bool:
    return _is_jump(item) and item.operation != isa.JA


def _link(output: _Output, trampolines_of: dict[int, int], starts: set[int]) -> None:
    """Fill in where jumps and calls lead now."""
    for place, target, to_trampoline in output.jumps:
        item = output.items[place]
        call = _is_subprogram_call(item)
        if to_trampoline:
            goal = trampolines_of[target]
        elif call and target in starts:
            goal = output.places[-1 - target]
        else:
            goal = output.places[target]
        distance = goal - item.pc - 1
        if call or (item.kind == isa.JMP32 and item.operation == isa.JA):
            output.items[place] = item._replace(imm=distance)
        elif -0x8000 <= distance <= 0x7FFF:
            output.items[place] = item._replace(offset=distance)
        else:
            raise FormatError(f"pc {item.pc}: with counters a jump leads {distance} slots away, 32767 is the most")


# ------------------------------------------------------------------------------------------------ counters


def _count(map_index: int, offset: int, live: frozenset[int], floor: int) -> list[Instruction]:
    """Return code that adds one to a counter and leaves what is live as it is; empty where there is no room for it."""
    free = sorted(_ALL - live)[:2]
    spilled = [register for register in range(9, -1, -1) if register not in free][:2 - len(free)]
    if floor - 8 * len(spilled) < -_STACK:
        return []
    address, value = [*free, *spilled]
    keep = [(register, floor - 8 * (number + 1)) for number, register in enumerate(spilled)]
    double, half = 0x18, 0x08
    return [
        *(Instruction(0, isa.STX | isa.MEM | double, 10, register, place, 0) for register, place in keep),
        Instruction(0, isa.LD | isa.IMM | double, address, isa.PSEUDO_MAP_VALUE, 0, map_index, offset),
        Instruction(0, isa.LDX | isa.MEM | half, value, address, 0, 0),
        Instruction(0, isa.ALU64 | isa.ADD, value, 0, 0, 1),
        Instruction(0, isa.STX | isa.MEM | half, address, value, 0, 0),
        *(Instruction(0, isa.LDX | isa.MEM | double, register, 10, place, 0) for register, place in keep),
    ]


def _lowest(code: dict[int, Instruction], start: int, end: int) -> int:
    """Return the lowest offset from r10 that a function may use, as far as its code shows; a multiple of 8."""
    lowest = 0
    for pc in range(start, end):
        item = code.get(pc)
        if item is None:
            continue
        if (item.kind in {isa.ST, isa.STX} and item.dst == 10) or (item.kind == isa.LDX and item.src == 10):
            lowest = min(lowest, item.offset)
        elif item.kind == isa.ALU64 and item.operation == isa.ADD and not item.opcode & isa.REGISTER:
            # How an address on the stack is made: a copy of r10, less a number.
            lowest = min(lowest, item.imm) if -_STACK <= item.imm < 0 else lowest
    return -(-lowest + 7 & ~7)


# ------------------------------------------------------------------------------------------------ liveness


def _liveness(code: dict[int, Instruction], starts: list[int]) -> dict[int, frozenset[int]]:
    """Return for each slot the registers whose value is read later, going backward until nothing changes."""
    alive: dict[int, frozenset[int]] = dict.fromkeys(code, frozenset())
    order = sorted(code, reverse=True)
    changed = True
    while changed:
        changed = False
        for pc in order:
            item = code[pc]
            after: frozenset[int] = frozenset()
            for follows in _successors(item):
                after |= alive.get(follows, frozenset())
            read, written = _touched(item)
            before = (after - written) | read
            if before != alive[pc]:
                alive[pc] = before
                changed = True
    return {pc: registers - {10} for pc, registers in alive.items()}


def _successors(item: Instruction) -> tuple[int, ...]:
    following = item.pc + (2 if item.wide else 1)
    if item.kind in {isa.JMP, isa.JMP32}:
        if item.operation == isa.EXIT:
            return ()
        if item.operation == isa.JA:
            return (item.target,)
        if item.operation != isa.CALL:
            return (following, item.target)
    return (following,)


def _touched(item: Instruction) -> tuple[frozenset[int], frozenset[int]]:
    """Return the registers that an instruction reads, and those that it writes."""
    kind = item.kind
    source = {item.src} if item.opcode & isa.REGISTER else set()
    if kind in {isa.JMP, isa.JMP32}:
        if item.operation == isa.CALL:
            return frozenset(range(1, 6)), _CALLER_SAVED
        if item.operation == isa.EXIT:
            return frozenset({0}), frozenset()
        return (frozenset(), frozenset()) if item.operation == isa.JA else (frozenset({item.dst, *source}), frozenset())
    if kind in {isa.ALU, isa.ALU64}:
        if item.operation == isa.MOV:
            return frozenset(source), frozenset({item.dst})
        if item.operation in {isa.NEG, isa.END}:
            return frozenset({item.dst}), frozenset({item.dst})
        return frozenset({item.dst, *source}), frozenset({item.dst})
    if kind == isa.LDX:
        return frozenset({item.src}), frozenset({item.dst})
    if kind == isa.ST:
        return frozenset({item.dst}), frozenset()
    if kind == isa.STX:
        fetches = item.mode == isa.ATOMIC and item.imm & isa.ATOMIC_FETCH
        written = ({0} if item.imm == isa.ATOMIC_CMPXCHG else {item.src}) if fetches else set()
        return frozenset({item.dst, item.src, *({0} if fetches else ())}), frozenset(written)
    if item.wide:
        return frozenset(), frozenset({item.dst})
    # The packet loads of classic BPF read r6 (the context) and what indexes, and write r0 and what a call writes.
    return frozenset({6, item.src}), _CALLER_SAVED
