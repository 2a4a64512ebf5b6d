"""What is put to targets: one configuration and frames in order, and its compact form in bytes.

    octet  0       features: bit 0 RSS, bit 1 HASH_REPORT, bit 2 HASH_TUNNEL, bit 3 CTRL_VQ, bit 4 MQ
    octets 1-2     hash_types, low 16 bits
    octet  3       tunnel_types, low 8 bits
    octet  4       key: 0 Microsoft's, 1 zeros, 2 ones, 3 the symmetric one, else its length is the next octet
    octet  5...    table: low nibble its kind, high nibble the power of two of its length (see `_table`)
    2 octets       unclassified_queue
    octet          frames in front of the last one, 0 to 3; each of these is led by two octets of length
    the rest       the last frame

Every string of bytes is a case, so that an engine which knows nothing of it can mutate it; a change of one byte is a
small change of the case. Numbers are little-endian.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY

FEATURES = ("RSS", "HASH_REPORT", "HASH_TUNNEL", "CTRL_VQ", "MQ")
#: Keys by number; others are written out.
KEYS = (MICROSOFT_KEY, bytes(40), b"\xff" * 40, b"\x6d\x5a" * 20)
_TABLES = 6
_EXPLICIT = 15
#: Frames of one case.
MOST_FRAMES = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A configuration and one to four frames; what is judged is the answer to the last."""

    configuration: Configuration
    frames: tuple[bytes, ...]

    @property
    def frame(self) -> bytes:
        """The frame that is judged."""
        return self.frames[-1]

    @property
    def name(self) -> str:
        """What the case is called in a corpus: a digest of its bytes."""
        return hashlib.sha256(encode(self)).hexdigest()[:32]


def encode(case: Case) -> bytes:
    """Return the bytes of a case; bits of features, hash types and tunnel types that have no place are lost."""
    parts = [_encode_configuration(case.configuration), bytes([len(case.frames) - 1])]
    for frame in case.frames[:-1]:
        parts += (len(frame).to_bytes(2, "little"), frame)
    return b"".join((*parts, case.frames[-1]))


def decode(data: bytes) -> Case:
    """Return the case that any bytes stand for."""
    reader = _Reader(data)
    configuration = _decode_configuration(reader)
    frames = []
    for _ in range(reader.take(1) % MOST_FRAMES):
        frames.append(reader.raw(reader.take(2)))
    frames.append(reader.raw(len(data)))
    return Case(configuration, tuple(frames))


class _Reader:
    """Takes bytes from the front; what is missing is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> int:
        return int.from_bytes(self.raw(count), "little")

    def raw(self, count: int) -> bytes:
        piece = self._data[self._at:self._at + count]
        self._at += count
        return piece


@lru_cache(maxsize=1024)
def _encode_configuration(configuration: Configuration) -> bytes:
    features = sum(1 << bit for bit, name in enumerate(FEATURES) if name in configuration.features)
    parts = [
        bytes([features]), (configuration.hash_types & 0xFFFF).to_bytes(2, "little"),
        bytes([configuration.tunnel_types & 0xFF]),
    ]
    key = configuration.key
    parts.append(bytes([KEYS.index(key)]) if key in KEYS else bytes([4, len(key)]) + key)
    table = configuration.indirection_table
    size = len(table).bit_length() - 1
    for kind in range(_TABLES):
        if size < 16 and table == _table(kind, size):
            parts.append(bytes([size << 4 | kind]))
            break
    else:
        entries = b"".join(entry.to_bytes(2, "little") for entry in table)
        parts.append(bytes([_EXPLICIT]) + len(table).to_bytes(2, "little") + entries)
    parts.append(configuration.unclassified_queue.to_bytes(2, "little"))
    return b"".join(parts)


def _decode_configuration(reader: _Reader) -> Configuration:
    bits = reader.take(1)
    features = frozenset(name for bit, name in enumerate(FEATURES) if bits >> bit & 1) or frozenset({"RSS"})
    types, tunnels, which = reader.take(2), reader.take(1), reader.take(1)
    key = KEYS[which] if which < len(KEYS) else reader.raw(reader.take(1))
    shape = reader.take(1)
    if shape & 15 == _EXPLICIT:
        count = min(max(reader.take(2), 1), 1024)
        table = tuple(reader.take(2) for _ in range(count))
    else:
        table = _table(shape & 15, min(shape >> 4, 10))
    return Configuration(
        hash_types=types, key=key, indirection_table=table, unclassified_queue=reader.take(2), features=features,
        tunnel_types=tunnels if "HASH_TUNNEL" in features else 0,
    )


@lru_cache(maxsize=256)
def _table(kind: int, power: int) -> tuple[int, ...]:
    """Return a table of 2 ** power entries: in order, reversed, four queues, two queues, one queue, or scattered."""
    size = 1 << power
    kind %= _TABLES
    if kind == 0:
        return tuple(range(size))
    if kind == 1:
        return tuple(range(size - 1, -1, -1))
    if kind < 5:
        return tuple(index % (4, 2, 1)[kind - 2] for index in range(size))
    return tuple(index * 37 % 251 for index in range(size))
