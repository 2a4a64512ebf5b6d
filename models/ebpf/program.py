"""An eBPF program with its maps, as it comes out of an object file and before it goes anywhere."""

from __future__ import annotations

from typing import NamedTuple

#: Map types (enum bpf_map_type of linux/bpf.h).
HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY = 1, 2, 5, 6

#: Map flag: the program may only read it (BPF_F_RDONLY_PROG).
READ_ONLY = 1 << 7


class MapDefinition(NamedTuple):
    """One map that a program asks for.

    Attributes:
        name: its symbol in the object file.
        kind: enum bpf_map_type.
        key_size: bytes of a key.
        value_size: bytes of a value.
        max_entries: how many entries it holds.
        flags: BPF_F_ bits given at its creation.
        initial: contents of entry 0 at the start; empty for all zeros (only data sections have any).
    """

    name: str
    kind: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0
    initial: bytes = b""


class Program(NamedTuple):
    """A linked program: subprograms behind it, calls resolved.

    Attributes:
        name: the function's symbol.
        section: the section of the object file that held it.
        code: instructions; a reference to a map is LD_IMM64 with PSEUDO_MAP or PSEUDO_MAP_VALUE and the index into
            `maps` where the kernel has a file descriptor.
        maps: the maps that the code refers to.
        license: the text that decides which helpers the kernel lets it call.
    """

    name: str
    section: str
    code: bytes
    maps: tuple[MapDefinition, ...]
    license: str = ""
