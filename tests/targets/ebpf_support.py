"""What the tests of the eBPF target share: compiled objects, frames, and reasons to skip."""

from __future__ import annotations

import platform
import socket
import struct
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vnethash.models.ebpf.instruction import Instruction, encode

if TYPE_CHECKING:
    import random

SOURCES = Path(__file__).parents[1] / "data" / "ebpf"


needs_kernel = pytest.mark.needs_kernel
needs_clang = pytest.mark.needs_clang
#: QEMU's program, out of an installed QEMU or the wheel.
needs_steering = pytest.mark.needs_steering


@lru_cache(maxsize=64)
def compiled(name: str, folder: str, *flags: str) -> Path:
    """Compile tests/data/ebpf/NAME.c for eBPF into `folder`."""
    out = Path(folder) / f"{name}{''.join(flags).replace('=', '')}.o"
    include = f"-I/usr/include/{platform.machine()}-linux-gnu"
    command = ["clang", "-O2", "-g", "-target", "bpf", include, *flags, "-c", SOURCES / f"{name}.c", "-o", out]
    subprocess.run(command, check=True)
    return out


def ins(opcode: int, dst: int = 0, src: int = 0, offset: int = 0, *, imm: int = 0, high: int = 0) -> bytes:
    """Assemble one instruction."""
    return encode(Instruction(0, opcode, dst, src, offset, imm, high))


def load64(dst: int, value: int) -> bytes:
    """Assemble the load of a 64-bit number."""
    low, high = struct.unpack("<ii", struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF))
    return ins(0x18, dst, imm=low, high=high)


ETHERNET = bytes.fromhex("020000000001020000000002")

#: Microsoft's vectors: destination, port, source, port, value of the addresses, value with the ports.
MICROSOFT = (
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E8FC2, 0x51CCC178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718262A, 0xC626B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0A5DE, 0x5C2B394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xAFC7327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2CC18CD5, 0x40207D3D),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0F0C461C, 0xDDE51BBF),
    ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4B61E985, 0x02D1FEEF),
)


def frame_between(destination: str, to: int, source: str, of: int, protocol: int = 6) -> bytes:
    """Return a TCP (6) or UDP (17) frame, or one with another protocol number."""
    ports = struct.pack(">HH", of, to)
    payload = ports + (bytes(8) + b"\x50\x02" + bytes(6) if protocol == 6 else struct.pack(">HH", 8, 0))
    if ":" in source:
        head = struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64)
        addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
        return ETHERNET + b"\x86\xdd" + head + addresses + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return ETHERNET + b"\x08\x00" + head + socket.inet_aton(source) + socket.inet_aton(destination) + payload


def random_frame(rng: random.Random) -> bytes:
    """Return a frame of many kinds: IP with options, fragments, chains of extension headers; some of it damaged."""
    transport = rng.choice((6, 6, 17, 17, 1, 58, 132))
    body = rng.randbytes(rng.choice((0, 2, 4, 7, 8, 19, 20, 24, 60)))
    if rng.random() < 0.4:
        words = rng.choice((5, 5, 5, 6, 15))
        fragment = rng.choice((0, 0, 0, 0x4000, 0x2000, 0x0010, 0x8000, rng.randrange(0x10000)))
        head = struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + len(body), 1, fragment, 64, transport, 0)
        frame = ETHERNET + b"\x08\x00" + head + rng.randbytes(8 + 4 * (words - 5)) + body
    else:
        chain, following = b"", transport
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 5, 11, 13))):
            kind = rng.choice((0, 43, 44, 60, 60, 135, 51, 59))
            chain = _extension(rng, kind, following) + chain
            following = kind
        head = struct.pack(">IHBB", 0x60000000, len(chain) + len(body), following, 64)
        frame = ETHERNET + b"\x86\xdd" + head + rng.randbytes(32) + chain + body
    if rng.random() < 0.15:
        frame = frame[: rng.randrange(14, len(frame) + 1)]
    if rng.random() < 0.2:
        damaged = bytearray(frame)
        for _ in range(rng.choice((1, 1, 3))):
            damaged[rng.randrange(12, len(damaged))] = rng.randrange(256)
        frame = bytes(damaged)
    return frame


def _extension(rng: random.Random, kind: int, following: int) -> bytes:
    if kind == 44:
        return struct.pack(">BBHI", following, 0, rng.choice((0, 1, 8, 0xFFF8)), 7)
    if kind == 43 and rng.random() < 0.7:  # a home address as type 2 routing header
        return struct.pack(">BBBBI", following, 2, 2, rng.choice((1, 1, 0)), 0) + rng.randbytes(16)
    if kind == 60 and rng.random() < 0.7:  # a home address option behind padding
        return struct.pack(">BB", following, 2) + b"\x01\x02\x00\x00\xc9\x10" + rng.randbytes(16)
    length = rng.choice((0, 0, 1, 3))
    return struct.pack(">BB", following, length) + rng.randbytes(6 + 8 * length)
