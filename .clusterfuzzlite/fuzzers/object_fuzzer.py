"""Object files that users name: steering programs and shared libraries, read or refused in one line."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.spec.errors import VnethashError
    from vnethash.targets.ebpf.elf import parse
    from vnethash.targets.lib.target import look

if TYPE_CHECKING:
    from collections.abc import Iterator


def one(data: bytes) -> None:
    """Read it as either."""
    for read in (parse, look):
        try:
            read(data, "object")
        except VnethashError as error:
            harness.one_line(error.line())


def seeds() -> Iterator[bytes]:
    """Yield an empty file of each kind, and what objects there are in the tree."""
    for machine, kind in ((247, 1), (62, 3)):
        yield b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 0, 64, 0, 64, 56, 0, 64,
                                                        0, 0)  # fmt: skip
    for path in sorted(Path(__file__).parents[2].glob("tests/data/ebpf/*.o")):
        yield path.read_bytes()


def words() -> tuple[bytes, ...]:
    """Return names of sections and numbers of heads."""
    return (b"\x7fELF", b".text", b".maps", b".BTF", b".symtab", b".strtab", b".dynsym", b".dynamic", b"license",
            b".rel.text", b"\xf7\0", b"socket")  # fmt: skip


if __name__ == "__main__":
    harness.fuzz(one)
