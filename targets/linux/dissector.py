"""The witness `linux-dissector`: which bits of a frame the kernel's own flow hash depends on.

`skb_get_hash` (net/core/flow_dissector.c) is keyed with a secret of the boot, so its value says nothing; whether two
frames have the same hash does. A program of two instructions, run over a frame by BPF_PROG_TEST_RUN, returns the
hash; it is run once for each bit of the frame with that bit flipped. Two frames that differ in a bit that is hashed
have the same 32-bit hash by chance once in 4 billion times.

This is no implementation of virtio's hash and is not judged: it is symmetric in source and destination, takes the flow
label for the ports, and looks into tunnels, all on purpose.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from vnethash.models.ebpf import instruction as isa
from vnethash.models.ebpf.program import Program
from vnethash.spec.errors import TargetDied
from vnethash.targets.base import Implementation, Skipped, TargetInfo
from vnethash.targets.ebpf import bpf

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "linux-dissector"
#: Helper `get_hash_recalc`: skb_get_hash, which dissects the frame where it has no hash yet.
_GET_HASH = 34
_SHOWS = ("coverage",)


def assemble() -> Program:
    """Return the program: it answers the hash of the frame."""
    lines = (
        isa.Instruction(0, isa.JMP | isa.CALL, 0, 0, 0, _GET_HASH),  # r1 is the context from the start
        isa.Instruction(1, isa.JMP | isa.EXIT, 0, 0, 0, 0),
    )
    return Program("vnethash_flow", "tc", b"".join(map(isa.encode, lines)), (), "GPL")


class Dissector:
    """The kernel's flow dissector, loaded and ready.

    Attributes:
        name: as on the command line.
        implementation: "Linux flow dissector" with the release of the running kernel.
        machine: the kernel and the time, in words: who said this, and when.
    """

    def __init__(self) -> None:
        """Load the program; raises TargetUnavailable where bpf(2) is not permitted, TargetDied where it is refused."""
        bpf.require()
        kernel = os.uname()
        self.name = NAME
        self.implementation = Implementation("Linux flow dissector", kernel.release, "C", "https://www.kernel.org")
        self.machine = (
            f"{kernel.sysname} {kernel.release} {kernel.version} {kernel.machine}, "
            f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
        )
        self._program = bpf.KernelProgram(assemble(), kind=bpf.SCHED_CLS)

    def hashes(self, frames: list[bytes]) -> list[int | Skipped]:
        """Return the hash of each frame, Skipped where the kernel does not take it for a test run."""
        return self._program.run(frames)

    def covered(self, frame: bytes) -> bytes:
        """Return a mask as long as the frame: a bit is set if the hash is another one when that bit is flipped.

        A flip that makes the kernel refuse the frame (an EtherType that the length does not fit) does not count. Raises
        TargetDied for a frame that the kernel refuses as it is.
        """
        flipped = []
        for at in range(len(frame)):
            for bit in range(8):
                flipped.append(frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1:])
        first, *others = self.hashes([frame, *flipped])
        if isinstance(first, Skipped):
            raise TargetDied(f"{NAME}: {first.reason}")
        return bytes(_octets(isinstance(value, int) and value != first for value in others))

    def close(self) -> None:
        """Unload; may be called twice."""
        self._program.close()


def _octets(bits: Iterable[bool]) -> Iterable[int]:
    value = 0
    for number, bit in enumerate(bits):
        value |= bit << number % 8
        if number % 8 == 7:
            yield value
            value = 0


def probe() -> list[TargetInfo]:
    """Return the line of `vnethash targets`."""
    reason = bpf.permitted()
    what = f"the flow dissector of Linux {os.uname().release}, a witness" if hasattr(os, "uname") else "a witness"
    return [TargetInfo(NAME, what, not reason, reason, _SHOWS, witness=True)]
