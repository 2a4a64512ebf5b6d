"""Capture files made byte by byte, sharing nothing with what reads them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def pcap(
    frames: Sequence[bytes], *, big: bool = False, magic: int = 0xA1B2C3D4, link: int = 1, snap: int = 262144,
    header: int = 16,
) -> bytes:
    """Return a pcap file; frames longer than `snap` are cut."""
    order = ">" if big else "<"
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link)]
    for number, frame in enumerate(frames):
        kept = frame[:snap]
        parts.append(struct.pack(order + "IIII", number, 7, len(kept), len(frame)) + bytes(header - 16) + kept)
    return b"".join(parts)


def block(kind: int, body: bytes, *, big: bool = False) -> bytes:
    order = ">" if big else "<"
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def section(*, big: bool = False) -> bytes:
    return block(0x0A0D0D0A, struct.pack((">" if big else "<") + "IHHq", 0x1A2B3C4D, 1, 0, -1), big=big)


def interface(*, big: bool = False, link: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack((">" if big else "<") + "HHI", link, 0, snap) + options, big=big)


def enhanced(frame: bytes, *, big: bool = False, number: int = 0, snap: int = 0, options: bytes = b"") -> bytes:
    kept = frame[:snap] if snap else frame
    head = struct.pack((">" if big else "<") + "IIIII", number, 0, 5, len(kept), len(frame))
    return block(6, head + kept + bytes(-len(kept) % 4) + options, big=big)


def obsolete(frame: bytes, *, big: bool = False, number: int = 0) -> bytes:
    head = struct.pack((">" if big else "<") + "HHIIII", number, 0, 0, 5, len(frame), len(frame))
    return block(2, head + frame, big=big)


def simple(frame: bytes, *, big: bool = False, snap: int = 0) -> bytes:
    return block(3, struct.pack((">" if big else "<") + "I", len(frame)) + (frame[:snap] if snap else frame), big=big)
