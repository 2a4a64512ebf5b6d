"""The helper functions of the kernel that a socket filter of this kind calls, with the kernel's semantics.

Sources: kernel/bpf/helpers.c and net/core/filter.c; the numbers are those of enum bpf_func_id in linux/bpf.h. Each
helper takes register values and returns the value of r0.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.ebpf.memory import CONTEXT, MAP_HANDLE, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.models.ebpf.machine import Machine
    from vnethash.models.ebpf.memory import ArrayMap, HashMap

_M32 = 0xFFFFFFFF
_M64 = 0xFFFFFFFFFFFFFFFF
_EFAULT = -14 & _M64


class Helper(NamedTuple):
    """One helper: its name and how many registers it reads."""

    name: str
    arguments: int


#: The helpers that the interpreter has.
HELPERS = {
    1: Helper("map_lookup_elem", 2),
    2: Helper("map_update_elem", 4),
    3: Helper("map_delete_elem", 2),
    5: Helper("ktime_get_ns", 0),
    6: Helper("trace_printk", 2),
    7: Helper("get_prandom_u32", 0),
    8: Helper("get_smp_processor_id", 0),
    26: Helper("skb_load_bytes", 4),
    68: Helper("skb_load_bytes_relative", 5),
    125: Helper("ktime_get_boot_ns", 0),
}

#: Helpers that a steering program might call and that we do not have: name and why.
UNSUPPORTED = {
    12: "tail_call: tail calls are not supported",
    28: "csum_diff: the kernel has it for traffic-control programs only",
    34: "get_hash_recalc: the hash is the kernel's own, keyed at boot, and not open to socket filters",
    46: "get_socket_cookie: a frame under test has no socket",
    47: "get_socket_uid: a frame under test has no socket",
}


def bind(machine: Machine) -> dict[int, Callable[..., int]]:
    """Return the helpers of one machine, by number."""
    random = Random(0)  # noqa: S311 - repeatable on purpose
    memory = machine.memory

    def checked(context: int) -> None:
        if context != CONTEXT << 32:
            raise Fault(f"r1 is not the context but {memory.describe(context)}")

    def find(handle: int) -> ArrayMap | HashMap:
        if handle >> 32 != MAP_HANDLE:
            raise Fault(f"r1 is not a map but {memory.describe(handle)}")
        return machine.maps[handle & _M32]

    def map_lookup_elem(handle: int, key: int) -> int:
        found = find(handle)
        return found.lookup(memory.read(key, found.definition.key_size))

    def map_update_elem(handle: int, key: int, value: int, flags: int) -> int:
        found = find(handle)
        what = found.definition
        return found.update(memory.read(key, what.key_size), memory.read(value, what.value_size), flags) & _M64

    def map_delete_elem(handle: int, key: int) -> int:
        found = find(handle)
        return found.delete(memory.read(key, found.definition.key_size)) & _M64

    def copied(data: bytes | None, to: int, size: int) -> int:
        memory.write(to, bytes(size) if data is None else data)
        return _EFAULT if data is None else 0

    def sized(size: int) -> int:
        if not 0 < size & _M32 <= 1 << 20:
            raise Fault(f"{size & _M32} bytes asked for")
        return size & _M32

    def skb_load_bytes(context: int, offset: int, to: int, size: int) -> int:
        checked(context)
        return copied(machine.packet.load(offset & _M32, sized(size)), to, sized(size))

    def skb_load_bytes_relative(context: int, offset: int, to: int, size: int, start: int) -> int:
        checked(context)
        return copied(machine.packet.load_relative(offset & _M32, sized(size), start & _M32), to, sized(size))

    return {
        1: map_lookup_elem,
        2: map_update_elem,
        3: map_delete_elem,
        5: time.monotonic_ns,
        6: lambda text, size: len(memory.read(text, size & _M32)),
        7: lambda: random.getrandbits(32),
        8: lambda: 0,
        26: skb_load_bytes,
        68: skb_load_bytes_relative,
        125: time.monotonic_ns,
    }
