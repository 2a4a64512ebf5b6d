"""Answer the frames of a capture file where they lie: pcap and pcapng, over the bytes of the file.

This is written in the model's subset of Python, so that numba compiles it with the model (`models/compiled.py`).
`frames` finds frames and answers them in one go, because a frame is in no cache before and may be in none after: until
the columns are full, or something comes up that is rare. That is for the caller (`models/capture_reader.py`).
Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.batch import I32, I64, U8, U16, U32, answer
from vnethash.spec.readings import Readings  # noqa: TC002 - numba compiles for these annotations

#: Why a walk ended, in `state[1]`; `state[0]` is the offset of the first byte that was not taken, `state[2]` frames.
MORE = 0  # what is there is no whole record
FULL = 1  # the arrays are
BAD = 2  # a record there that cannot be
BLOCK = 3  # a section header or an interface description, which changes how the rest is read

#: The longest frame that libpcap, too, takes from a file, unless the file announces longer ones.
LONGEST = 262144

#: The link type whose frames are hashed.
ETHERNET = 1

#: So many records in a row are no accident.
CHAIN = 6

SECTION_HEADER = 0x0A0D0D0A
INTERFACE = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6


class Record(NamedTuple):
    """What lies at an offset of a capture.

    Attributes:
        why: FULL if it can be read on behind it.
        behind: offset of what follows.
        frame: it holds a frame.
        start, size: offset and bytes of the frame.
        original: bytes that the frame had on the wire.
        interface: number of the interface in the section.
    """

    why: int
    behind: int
    frame: bool
    start: int
    size: int
    original: int
    interface: int


def ended(why: int) -> Record:
    """Return what stands for no record."""
    return Record(why, 0, False, 0, 0, 0, 0)


def four_bytes(data: bytes, offset: int, big: bool) -> int:
    """Return the 32 bits at an offset, in the byte order of the file."""
    a = data[offset]
    b = data[offset + 1]
    c = data[offset + 2]
    d = data[offset + 3]
    if big:
        return (a << 24) | (b << 16) | (c << 8) | d
    return (d << 24) | (c << 16) | (b << 8) | a


def two_bytes(data: bytes, offset: int, big: bool) -> int:
    """Return the 16 bits at an offset, in the byte order of the file."""
    if big:
        return (data[offset] << 8) | data[offset + 1]
    return (data[offset + 1] << 8) | data[offset]


def without_fcs(captured: int, original: int, fcs: int) -> int:
    """Return how many bytes of a frame are not of its check sequence, which may be cut off with what it ends."""
    if fcs != 0 and captured + fcs > original:
        return max(original - fcs, 0)
    return captured


def pcap_record(data: bytes, at: int, end: int, big: bool, header: int, longest: int) -> Record:
    """Read the record of a pcap file at an offset; `header` is the size of its header, 16 or 24."""
    if at + header > end:
        return ended(MORE)
    size = four_bytes(data, at + 8, big)
    if size > longest:
        return ended(BAD)
    if at + header + size > end:
        return ended(MORE)
    return Record(FULL, at + header + size, True, at + header, size, four_bytes(data, at + 12, big), 0)


def pcapng_block(data: bytes, at: int, end: int, big: bool, snap: int, interfaces: int) -> Record:
    """Read the block of a pcapng section at an offset; `snap` is the snapshot length of interface 0, 0 for none."""
    if at + 12 > end:
        return ended(MORE)
    kind = four_bytes(data, at, big)
    block = four_bytes(data, at + 4, big)
    if kind in (SECTION_HEADER, INTERFACE):
        return ended(BLOCK)
    if block < 12 or block & 3 != 0:
        return ended(BAD)
    if at + block > end:
        return ended(MORE)
    if four_bytes(data, at + block - 4, big) != block:
        return ended(BAD)
    if kind == SIMPLE_PACKET:
        if block < 16 or interfaces == 0:
            return ended(BAD)
        original = four_bytes(data, at + 8, big)
        size = original
        if snap != 0 and snap < size:
            size = snap
        if size + 16 > block:
            return ended(BAD)
        return Record(FULL, at + block, True, at + 12, size, original, 0)
    if kind in (ENHANCED_PACKET, OBSOLETE_PACKET):
        if block < 32:
            return ended(BAD)
        interface = four_bytes(data, at + 8, big)
        if kind == OBSOLETE_PACKET:
            interface = two_bytes(data, at + 8, big)
        size = four_bytes(data, at + 20, big)
        if size + 32 > block or interface >= interfaces:
            return ended(BAD)
        return Record(FULL, at + block, True, at + 28, size, four_bytes(data, at + 24, big), interface)
    return Record(FULL, at + block, False, 0, 0, 0, 0)


def guess(data: bytes, at: int, end: int, big: bool, header: int, longest: int) -> int:
    """Return where behind offset `at` a record or block may well begin, `end` if that is nowhere near.

    Some in a row must look like one. Nothing rests on it: a guess that is wrong is not met by the one before it.
    """
    step = 1
    if header == 0:
        step = 4
        at = (at + 3) & ~3
    last = min(at + LONGEST, end)
    found = end
    while found == end and at < last:
        p = at
        links = 0
        looking = True
        while looking:
            size = 0
            if header == 0:
                if p + 12 <= end:
                    size = four_bytes(data, p + 4, big)
                    if size < 12 or size & 3 != 0 or p + size > end or four_bytes(data, p + size - 4, big) != size:
                        size = 0
            elif p + header <= end and four_bytes(data, p + 4, big) < 1000000000:
                captured = four_bytes(data, p + 8, big)
                original = four_bytes(data, p + 12, big)
                if captured <= longest and captured <= original <= LONGEST and original != 0:
                    size = header + captured
            p = p + size
            links = links + 1
            looking = size != 0 and links < CHAIN and p < end
            if size != 0 and not looking:
                found = at
        at = at + step
    return found


def frames(
    data: bytes, at: int, stop: int, end: int, big: bool, header: int, longest: int, interfaces: int, links: I64,
    snaps: I64, checks: I64, others: I64, first: int, room: int, state: I64, types: int, tunnels: int,
    readings: Readings, keys: U32, rows: I64, table: I32, no_queue: int, numbers: I64, captured: U32, wire: U32,
    report: U16, value: U32, queue: I32, rule: U8,
) -> int:
    """Answer the frames of a capture from offset `at` on that begin before `stop`; return how many rows were filled.

    `header` is the size of a record header of a pcap file, and 0 for a pcapng section. For each interface, of which a
    pcap file has one, `links` has the link type, `snaps` the snapshot length (0 for none), `checks` the bytes of the
    check sequence; `others` counts its frames if it is not Ethernet. `first` is the number of the first frame; numbers,
    and the bytes captured and on the wire without the check sequence, go beside the answers. At most `room` frames are
    taken; `state` is where and why that ended, and how many were.
    """
    count = 0
    seen = 0
    why = FULL
    while why == FULL and seen < room and at < stop:
        if header != 0:
            record = pcap_record(data, at, end, big, header, longest)
        else:
            record = pcapng_block(data, at, end, big, snaps[0], interfaces)
        why = record.why
        if record.frame:
            interface = record.interface
            if links[interface] == ETHERNET:
                length = without_fcs(record.size, record.original, checks[interface])
                numbers[count] = first + seen
                captured[count] = length
                wire[count] = without_fcs(record.original, record.original, checks[interface])
                answer(
                    data, record.start, length, types, tunnels, readings, keys, rows, table, no_queue, count, report,
                    value, queue, rule,
                )
                count = count + 1
            else:
                others[interface] = others[interface] + 1
            seen = seen + 1
        if why == FULL:
            at = record.behind
    state[0] = at
    state[1] = why
    state[2] = seen
    return count
