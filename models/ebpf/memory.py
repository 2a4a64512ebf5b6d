"""The memory of the interpreter: regions of bytes behind 64-bit addresses, and the maps that live in them.

An address is `region << 32 | offset`. Each region is an array of bytes of its own, so a pointer that runs past its end
(or below its start, into the far end of the region before) meets nothing, and the access fails. A region held as
`bytes` is read-only. The map semantics are those of kernel/bpf/arraymap.c and hashtab.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.ebpf.program import ARRAY, HASH, PERCPU_ARRAY, PERCPU_HASH, READ_ONLY
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from vnethash.models.ebpf.program import MapDefinition

#: Regions with fixed numbers; region 0 is NULL. What lies before the context or a stack is no region.
CONTEXT = 2
STACK = 4  # to STACK + 7, one for each depth of calls
MAP_HANDLE = 16  # the offset is the number of the map
_MAPS = 1 << 24  # map n has its entries in the regions from _MAPS * (n + 1) on

#: Bytes of stack for each function, and how deep calls go (MAX_BPF_STACK, MAX_CALL_FRAMES).
STACK_SIZE = 512
MAX_DEPTH = 8

_MAX_VALUE = 1 << 26
_OFFSET = 0xFFFFFFFF
_ENOENT, _E2BIG, _EEXIST, _EINVAL = -2, -7, -17, -22
_NOEXIST, _EXIST = 1, 2


class Fault(Exception):  # noqa: N818 - the machine's word, caught by the machine
    """An access or a call that the program must not make; the text is the reason."""


class Memory(dict[int, "bytearray | bytes"]):
    """All regions, by number."""

    def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes; raises Fault outside a region."""
        region, offset = address >> 32, address & _OFFSET
        data = self.get(region)
        if data is None or offset + size > len(data):
            raise Fault(f"read of {size} bytes at {self.describe(address)}")
        return bytes(data[offset : offset + size])

    def write(self, address: int, value: bytes) -> None:
        """Write bytes; raises Fault outside a region and for a read-only one."""
        region, offset = address >> 32, address & _OFFSET
        data = self.get(region)
        if not isinstance(data, bytearray) or offset + len(value) > len(data):
            raise Fault(f"write of {len(value)} bytes at {self.describe(address)}")
        data[offset : offset + len(value)] = value

    def describe(self, address: int) -> str:
        """Return where an address points to, in words."""
        region, offset = address >> 32, address & _OFFSET
        if offset > _OFFSET >> 1:  # below the start of the region after
            region, offset = region + 1, offset - (1 << 32)
        if region == 0:
            return f"address {offset}: a null pointer"
        if region == CONTEXT:
            return f"context{offset:+d}"
        if STACK <= region < STACK + MAX_DEPTH:
            return f"r10{offset - STACK_SIZE:+d}: the stack is r10-{STACK_SIZE} to r10-1"
        if region == MAP_HANDLE:
            return "a map itself, not a value of it"
        if region not in self:
            return f"{address:#x}: no pointer"
        name = "a read-only map value" if isinstance(self[region], bytes) else "a map value"
        return f"offset {offset} of {name} of {len(self[region])} bytes"


class ArrayMap:
    """An array (per-CPU arrays have one CPU here): all entries exist, entries come into memory when asked for."""

    def __init__(self, definition: MapDefinition, number: int, memory: Memory) -> None:
        if definition.key_size != 4 or definition.max_entries > _MAPS:
            raise FormatError(f"map {definition.name}: an array has keys of 4 bytes and at most {_MAPS} entries here")
        self.definition = definition
        self._first = _MAPS * (number + 1)
        self._memory = memory
        if definition.initial:
            self.write(0, definition.initial)

    def read(self, index: int) -> bytes:
        """Return entry `index`."""
        return bytes(self._memory.get(self._first + index) or bytes(self.definition.value_size))

    def write(self, index: int, value: bytes) -> None:
        """Set entry `index` from outside the program."""
        read_only = self.definition.flags & READ_ONLY
        self._memory[self._first + index] = value if read_only else bytearray(value)

    def address(self, index: int) -> int:
        """Return the address of entry `index`, 0 (NULL) where there is none."""
        if index >= self.definition.max_entries:
            return 0
        region = self._first + index
        if region not in self._memory:
            self.write(index, bytes(self.definition.value_size))
        return region << 32

    def lookup(self, key: bytes) -> int:
        """Return the address of a value, 0 (NULL) where there is none."""
        return self.address(int.from_bytes(key, "little"))

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """Set an entry; return 0 or a negative errno."""
        index = int.from_bytes(key, "little")
        if flags > _EXIST:
            return _EINVAL
        if index >= self.definition.max_entries:
            return _E2BIG
        if flags == _NOEXIST:
            return _EEXIST
        self._memory.write(self.address(index), value)
        return 0

    def delete(self, key: bytes) -> int:
        """Refuse: entries of an array cannot be deleted."""
        del key
        return _EINVAL


class HashMap:
    """A hash map: entries come and go; a pointer to an old value stays good, as under RCU."""

    def __init__(self, definition: MapDefinition, number: int, memory: Memory) -> None:
        self.definition = definition
        self._next = _MAPS * (number + 1)
        self._memory = memory
        self._regions: dict[bytes, int] = {}

    def address(self, index: int) -> int:
        """Return 0: the values of a hash map have no fixed place."""
        del index
        return 0

    def lookup(self, key: bytes) -> int:
        """Return the address of a value, 0 (NULL) where there is none."""
        return self._regions.get(key, 0) << 32

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """Set an entry; return 0 or a negative errno."""
        if flags > _EXIST:
            return _EINVAL
        if key in self._regions:
            if flags == _NOEXIST:
                return _EEXIST
        elif flags == _EXIST:
            return _ENOENT
        elif len(self._regions) >= self.definition.max_entries:
            return _E2BIG
        self._memory[self._next] = bytearray(value)
        self._regions[key] = self._next
        self._next += 1
        return 0

    def delete(self, key: bytes) -> int:
        """Drop an entry; return 0 or a negative errno."""
        return 0 if self._regions.pop(key, None) is not None else _ENOENT


def make_map(definition: MapDefinition, number: int, memory: Memory) -> ArrayMap | HashMap:
    """Return map `number` of a program; raises FormatError for a type that we do not have."""
    if not 1 <= definition.value_size <= _MAX_VALUE or definition.max_entries < 1:
        raise FormatError(
            f"map {definition.name}: {definition.max_entries} entries of {definition.value_size} bytes cannot be made"
        )
    if definition.kind in (ARRAY, PERCPU_ARRAY):
        return ArrayMap(definition, number, memory)
    if definition.kind in (HASH, PERCPU_HASH):
        return HashMap(definition, number, memory)
    raise FormatError(
        f"map {definition.name}: type {definition.kind} is not in vnethash's interpreter",
        hint="it has array and hash maps; the kernel has the others",
    )
