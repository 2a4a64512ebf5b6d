"""Makes a frame and a configuration as small as they can be while they still show something.

First whole headers go, then bytes from the end, then the configuration comes nearer to the default.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.models.reference import dissect
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import HashType
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Attempts for one finding; each is a frame put to the target.
MOST_ATTEMPTS = 400

_LITERAL = Readings()
_TAGS = (0x8100, 0x88A8, 0x9100)
_WALKED = frozenset({0, 43, 44, 51, 60, 135, 139, 140, 253, 254})


def reduce(
    frame: bytes, configuration: Configuration, holds: Callable[[bytes, Configuration], bool]
) -> tuple[bytes, Configuration]:
    """Return the smallest frame and the plainest configuration found for which `holds` still says yes."""
    attempts = 0
    progress = True
    while progress and attempts < MOST_ATTEMPTS:
        progress = False
        for candidate in _smaller(frame):
            attempts += 1
            if holds(candidate, configuration):
                frame = candidate
                progress = True
                break
            if attempts >= MOST_ATTEMPTS:
                break
        if not progress:
            for plainer in _plainer(configuration):
                attempts += 1
                if holds(frame, plainer):
                    configuration = plainer
                    progress = True
                    break
    return frame, configuration


def _smaller(frame: bytes) -> Iterator[bytes]:
    seen = {frame}
    for candidate in (*_without_headers(frame), *_without_tail(frame)):
        if len(candidate) < len(frame) and candidate not in seen:
            seen.add(candidate)
            yield candidate


def _without_headers(frame: bytes) -> Iterator[bytes]:
    """Yield the frame without one VLAN tag, without IPv4 options, without one IPv6 extension header."""
    offset = 14
    while offset + 4 <= len(frame) and int.from_bytes(frame[offset - 2:offset], "big") in _TAGS:
        yield frame[:offset - 2] + frame[offset + 2:]
        offset += 4
    ethertype = int.from_bytes(frame[offset - 2:offset], "big")
    if ethertype == 0x0800 and offset + 20 <= len(frame) and frame[offset] & 15 > 5:
        size = (frame[offset] & 15) * 4
        total = int.from_bytes(frame[offset + 2:offset + 4], "big") - size + 20
        head = bytes([frame[offset] & 0xF0 | 5, frame[offset + 1]]) + max(0, total).to_bytes(2, "big")
        yield frame[:offset] + head + frame[offset + 4:offset + 20] + frame[offset + size:]
    if ethertype == 0x86DD and offset + 40 <= len(frame):
        field, p = offset + 6, offset + 40
        while frame[field] in _WALKED and p + 2 <= len(frame):
            size = _header_size(frame[field], frame[p + 1])
            if p + size > len(frame):
                return
            shorter = bytearray(frame[:p] + frame[p + size:])
            shorter[field] = frame[p]
            payload = int.from_bytes(frame[offset + 4:offset + 6], "big")
            if payload >= size:
                shorter[offset + 4:offset + 6] = (payload - size).to_bytes(2, "big")
            yield bytes(shorter)
            field, p = p, p + size


def _header_size(kind: int, length: int) -> int:
    if kind == 44:
        return 8
    return (length + 2) * 4 if kind == 51 else (length + 1) * 8


def _without_tail(frame: bytes) -> Iterator[bytes]:
    """Yield shorter frames: with the IP and UDP lengths following, and with these as they are."""
    fields = _length_fields(frame)
    count = len(frame) // 2
    while count > 0:
        cut = frame[:-count]
        changed = bytearray(cut)
        for field in fields:
            if field + 2 <= len(cut):
                _lower(changed, field, count)
        yield bytes(changed)
        yield cut
        count //= 2


def _length_fields(frame: bytes) -> list[int]:
    """Return the offsets of the IP length, and of a UDP length that agrees with it."""
    packet = dissect(frame, len(frame), _LITERAL)
    if packet.version == 0:
        return []
    fields = [packet.l3 + (2 if packet.version == 4 else 4)]
    p = packet.l4
    if packet.protocol == 17 and p + 8 <= packet.end and int.from_bytes(frame[p + 4:p + 6], "big") == packet.end - p:
        fields.append(p + 4)
    return fields


def _lower(frame: bytearray, field: int, by: int) -> None:
    length = int.from_bytes(frame[field:field + 2], "big")
    if length > by:
        frame[field:field + 2] = (length - by).to_bytes(2, "big")


def _plainer(configuration: Configuration) -> Iterator[Configuration]:
    default = Configuration()
    for name in ("key", "indirection_table", "unclassified_queue", "max_tx_vq", "tunnel_types"):
        if getattr(configuration, name) != getattr(default, name):
            yield replace(configuration, **{name: getattr(default, name)})
    for flag in HashType:
        if configuration.hash_types & flag and configuration.hash_types != flag:
            yield replace(configuration, hash_types=configuration.hash_types & ~int(flag))
