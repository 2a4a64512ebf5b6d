"""A sequence of steps for a device, and its compact form in bytes, in which every string of bytes is a sequence.

    octet      step              operands
    0          negotiate         1: bits of `FEATURES`; VERSION_1 is always there
    1          reset
    2          RSS_CONFIG        7: hash_types (2), key, table, unclassified_queue, max_tx_vq, end
    3          HASH_CONFIG       5: hash_types (2), key, reserved, end
    4          VQ_PAIRS_SET      2: pairs, end
    5          HASH_TUNNEL_SET   3: types (2), end
    6          an RSS context    9: command, id, and the seven of RSS_CONFIG
    7          any command       4 and more: class, command, length (2), and as many octets
    8          packet            2: which frame; what is looked at, and what the backend puts before it
    9          configuration space
    10 to 15   as 2, 3, 8, 8, 0, 2: what is worth more

The octet of a step is taken modulo 16. `end` is 0 for data as they are, up to 127 for as many octets cut off, more for
octets behind them. Numbers are little-endian. What could not be put is left out: packets and commands before features
are negotiated, commands without CTRL_VQ, commands of classes that are about other things.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.commands import Fields
from vnethash.models.device import state as s
from vnethash.models.device.state import Command, Looks, Negotiate, Packet, Reset, Space
from vnethash.spec import constants as c
from vnethash.spec import craft
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vnethash.models.device.state import Step

FEATURES = k.ALL_FEATURES
#: Steps of one sequence.
MOST_STEPS = 28
_LEAST = 60
_PAYLOAD = b"vnethash"


def _padded(frame: bytes) -> bytes:
    return frame.ljust(_LEAST, b"\0")


def _frames() -> tuple[bytes, ...]:
    one, two = craft.address("66.9.149.187"), craft.address("161.142.100.80")

    def tcp4(port: int, payload: bytes = _PAYLOAD) -> bytes:
        segment = craft.tcp(port, 1766, payload=payload)
        return _padded(craft.ethernet(craft.ipv4(segment, source=one, destination=two)))

    inner = craft.ipv4(craft.tcp(2794, 1766), source=one, destination=two)
    around = craft.ipv4(inner, source=craft.address("192.0.2.1"), destination=craft.address("192.0.2.2"))
    arp = _padded(bytes.fromhex("ffffffffffff0200000000010806") + bytes(28))
    return (
        tcp4(2794), arp, _padded(craft.ethernet(craft.ipv6(craft.tcp(2794, 1766)))),
        *(tcp4(port) for port in range(2795, 2800)), _padded(craft.ethernet(craft.ipv4(craft.udp(2794, 1766)))),
        _padded(craft.ethernet(craft.ipv6(craft.udp(2794, 1766)))), _padded(craft.ethernet(around)),
        tcp4(2794, _PAYLOAD * 40),
    )


#: Plain packets, about which no question of the packet suite is open: hashed ones, one that nothing hashes, one with
#: an inner header, a long one.
FRAMES = _frames()
HASHED, UNHASHED, ENCAPSULATED = FRAMES[0], FRAMES[1], FRAMES[10]
#: What the backend puts before a packet: nothing, into the hash fields, into padding_reserved, into num_buffers.
BEFORE = (
    b"", bytes(12) + bytes.fromhex("efbeadde02000000"), bytes(18) + b"\x5a\xa5", bytes(10) + b"\x07\x00",
)
LOOKS = (
    Looks.HASH_AND_QUEUE, Looks.ALL, Looks.SIZE, Looks.BUFFERS, Looks.PADDING, Looks.HASH, Looks.QUEUE,
    Looks.HASH_AND_QUEUE | Looks.SIZE,
)
_ODD_QUEUES = (0x7FFF, 0x8000, 0x8001, 0xFFFF, 8, 127, 128, 255, 256, 0x4000)
_SIZES = (4, 1, 2, 8, 16, 32, 64, 128, 3, 5, 6, 12, 127, 256, 512, 1024)
_RESERVED = (bytes(8), b"\x09" + bytes(7), b"\0\0\x09" + bytes(5), bytes(4) + b"\x02\0\0\0", b"\xff" * 8)
#: Classes of control commands that have to do with other things than hashing and steering, defined or to come.
OTHER_CLASSES = frozenset(range(32)) - {c.CTRL_MQ, c.CTRL_HASH_TUNNEL, c.RSS_CTX_CTRL}
#: Octet of a step -> its kind.
_KINDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 8, 8, 0, 2)


@dataclass(frozen=True, slots=True)
class ControlCase:
    """A sequence of steps, the first of which negotiates; it is put to a device that was just reset."""

    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """What the case is called in a corpus: a digest of its bytes."""
        return hashlib.sha256(encode(self)).hexdigest()[:32]


def legal(steps: Iterable[Step], offered: int | None = None, most: int | None = None) -> tuple[Step, ...]:
    """Return the first `most` steps that can be put, features cut down to those offered; empty if there are none."""
    made: list[Step] = []
    features = 0
    for step in steps:
        one = step
        if isinstance(one, Negotiate):
            one = Negotiate(one.features if offered is None else one.features & offered)
            features = one.features
        elif isinstance(one, Reset):
            features = 0
        elif isinstance(one, Command):
            if not features & s.CTRL_VQ or one.class_ in OTHER_CLASSES:
                continue
        elif isinstance(one, Packet):
            if not features:
                continue
            if len(one.header) > 12 and not features & s.HASH_REPORT:
                one = one._replace(header=one.header[:12] if any(one.header[:12]) else b"")
        if made or isinstance(one, Negotiate):
            made.append(one)
        if len(made) == most:
            break
    return tuple(made)


# Bytes


def decode(data: bytes) -> ControlCase:
    """Return the sequence that any bytes stand for."""
    reader = _Reader(data)
    steps: list[Step] = []
    while not reader.done() and len(steps) < MOST_STEPS:
        steps.append(_step(reader))
    return ControlCase(legal(steps))


def encode(case: ControlCase) -> bytes:
    """Return the bytes of a sequence; those of a frame that is not in `FRAMES` are lost."""
    return b"".join(_encoded(step) for step in case.steps)


class _Reader:
    """Takes octets from the front; what is missing is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def done(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int = 1) -> int:
        return int.from_bytes(self.raw(count), "little")

    def raw(self, count: int) -> bytes:
        piece = self._data[self._at:self._at + count]
        self._at += count
        return piece


def _step(reader: _Reader) -> Step:
    kind = _KINDS[reader.take() % len(_KINDS)]
    if kind == 0:
        bits = reader.take()
        return Negotiate(s.VERSION_1 | sum(one for place, one in enumerate(FEATURES) if bits >> place & 1))
    if kind == 1:
        return Reset()
    if kind == 2:
        return k.command(k.RSS_CONFIG, _rss(reader, b""))
    if kind == 3:
        types, key, reserved = reader.take(2), key_of(reader.take()), _RESERVED[reader.take() % len(_RESERVED)]
        data = k.join(Fields(b"", _types(types), key, (), 0, 0, reserved, b""))
        return k.command(k.HASH_CONFIG, _ended(data, reader))
    if kind == 4:
        value = queue_of(reader.take())
        return k.command(k.PAIRS_SET, _ended(value.to_bytes(2, "little"), reader))
    if kind == 5:
        types = reader.take(2)
        return k.command(k.TUNNEL_SET, _ended(_types(types, keep=0).to_bytes(4, "little"), reader))
    if kind == 6:
        pair, head = k.CONTEXTS[reader.take() % 4], reader.take().to_bytes(2, "little") + bytes(6)
        data = _rss(reader, head)
        if pair == k.CONTEXT_GET:
            data = b""
        return k.command(pair, data[:2] if pair == k.CONTEXT_DEL else data)
    if kind == 7:
        class_, number, length = reader.take(), reader.take(), reader.take(2)
        return Command(class_, number, reader.raw(length))
    if kind == 8:
        frame, how = reader.take() % len(FRAMES), reader.take()
        return Packet(FRAMES[frame], LOOKS[how & 7], BEFORE[how >> 3 & 3])
    return Space()


def _rss(reader: _Reader, head: bytes) -> bytes:
    types, key, table = reader.take(2), key_of(reader.take()), table_of(reader.take())
    unclassified, most = queue_of(reader.take()), queue_of(reader.take())
    return _ended(k.join(Fields(head, _types(types), key, table, unclassified, most, b"", b"")), reader)


def _types(number: int, keep: int = 0x1C0) -> int:
    """Return hash types of 16 bits: bit 15 stands for bit 31; the types for extension headers are left out."""
    return number & 0x7FFF & ~keep | (number >> 15) << 31


def _ended(data: bytes, reader: _Reader) -> bytes:
    end = reader.take()
    if end < 128:
        return data[:max(0, len(data) - end)]
    return data + bytes(range(1, end - 126))


def key_of(octet: int) -> bytes:
    """Return a key: Microsoft's, zeros, or one of any length that has nothing of Microsoft's."""
    if octet == 0:
        return MICROSOFT_KEY
    return bytes(40) if octet == 255 else other_key(octet - 1)


def other_key(length: int) -> bytes:
    """Return a key of a length that has nothing of Microsoft's."""
    return bytes((7 * index + 0x21) & 0xFF for index in range(length))


def queue_of(octet: int) -> int:
    """Return a number of 16 bits that stands for a queue or for queues."""
    return octet % 8 if octet < 128 else _ODD_QUEUES[octet % len(_ODD_QUEUES)]


@cache
def table_of(octet: int) -> tuple[int, ...]:
    """Return a table: the high nibble is its size, the low one says what it holds."""
    size, how = _SIZES[octet >> 4], octet & 15
    if how < 5:
        return ((1, 0, 2, 3, 4)[how],) * size
    if how < 8:
        return ((0x7FFF, 0x8001, 0xFFFF)[how - 5],) * size
    if how < 12:
        return tuple(index % (4, 2, 3, 5)[how - 8] for index in range(size))
    if how == 12:
        return tuple(3 - index % 4 for index in range(size))
    if how == 13:
        return tuple(range(size))
    return tuple((1, 2)[index + 1 == size] if how == 14 else (2, 1)[index > 0] for index in range(size))


@cache
def _octet_of_table() -> dict[tuple[int, ...], int]:
    return {table_of(octet): octet for octet in range(255, -1, -1)}


@cache
def _octet_of_queue() -> dict[int, int]:
    return {queue_of(octet): octet for octet in range(255, -1, -1)}


@cache
def _octet_of_key() -> dict[bytes, int]:
    return {key_of(octet): octet for octet in range(255, -1, -1)}


def _encoded(step: Step) -> bytes:
    if isinstance(step, Negotiate):
        return bytes([0, sum(1 << place for place, one in enumerate(FEATURES) if step.features & one)])
    if isinstance(step, Packet):
        before = step.header if step.header in BEFORE else b""
        how = LOOKS.index(step.looks) if step.looks in LOOKS else 1
        place = FRAMES.index(step.frame) if step.frame in FRAMES else 0
        return bytes([8, place, how | BEFORE.index(before) << 3])
    if isinstance(step, Command):
        return _encoded_command(step)
    return bytes([1 if isinstance(step, Reset) else 9])


def _encoded_command(step: Command) -> bytes:
    """Return the shorter form if there is one from which the step comes back."""
    for short in _short(step):
        if _step(_Reader(short)) == step:
            return short
    return bytes([7, step.class_, step.command]) + len(step.data).to_bytes(2, "little") + step.data


def _short(step: Command) -> Iterable[bytes]:
    pair, data = (step.class_, step.command), step.data
    if pair == k.PAIRS_SET and len(data) >= 2:
        octet = _octet_of_queue().get(int.from_bytes(data[:2], "little"))
        if octet is not None:
            yield bytes([4, octet, _end(data[2:])])
    elif pair == k.TUNNEL_SET and len(data) >= 4:
        yield bytes([5]) + _packed_types(int.from_bytes(data[:4], "little")) + bytes([_end(data[4:])])
    elif pair in {k.CONTEXT_DEL, k.CONTEXT_GET}:
        yield bytes([6, k.CONTEXTS.index(pair), *data[:1].ljust(1, b"\0"), *bytes(7)])
    else:
        fields = k.split(step)
        key = None if fields is None else _octet_of_key().get(fields.key)
        if fields is None or key is None:
            return
        types, end = _packed_types(fields.types), _end(fields.rest)
        if pair == k.HASH_CONFIG:
            if fields.reserved in _RESERVED:
                yield bytes([3]) + types + bytes([key, _RESERVED.index(fields.reserved), end])
            return
        table, queues = _octet_of_table().get(fields.table), _octet_of_queue()
        unclassified, most = queues.get(fields.unclassified), queues.get(fields.max_tx_vq)
        if table is None or unclassified is None or most is None:
            return
        head = bytes([6, k.CONTEXTS.index(pair), fields.head[0]]) if fields.head else b"\x02"
        yield head + types + bytes([key, table, unclassified, most, end])


def _packed_types(types: int) -> bytes:
    return (types & 0x7FFF | (types >> 31) << 15).to_bytes(2, "little")


def _end(rest: bytes) -> int:
    return min(126 + len(rest) + 1, 255) if rest else 0


# JSON


def steps_to_json(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Return steps as a ledger keeps them."""
    return [_step_to_json(step) for step in steps]


def _step_to_json(step: Step) -> dict[str, Any]:
    if isinstance(step, Negotiate):
        return {"do": "negotiate", "features": f"{step.features:x}"}
    if isinstance(step, Command):
        return {"do": "command", "class": step.class_, "command": step.command, "data": step.data.hex()}
    if isinstance(step, Packet):
        looks = [one.name.lower() for one in Looks if one in step.looks and one.name and one.bit_count() == 1]
        return {"do": "packet", "frame": step.frame.hex(), "header": step.header.hex(), "looks": looks}
    return {"do": "reset" if isinstance(step, Reset) else "space"}


def steps_from_json(rows: Sequence[dict[str, Any]], *, where: str) -> tuple[Step, ...]:
    """Return the steps of a ledger; raises FormatError for what is none."""
    try:
        return tuple(_step_from_json(row) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{where}: a step that is none: {error}") from None


def _step_from_json(row: dict[str, Any]) -> Step:
    kind = row["do"]
    if kind == "negotiate":
        return Negotiate(int(row["features"], 16))
    if kind == "command":
        return Command(int(row["class"]), int(row["command"]), bytes.fromhex(row["data"]))
    if kind == "packet":
        looks = Looks(0)
        for name in row["looks"]:
            looks |= Looks[name.upper()]
        return Packet(bytes.fromhex(row["frame"]), looks, bytes.fromhex(row["header"]))
    if kind not in {"reset", "space"}:
        raise ValueError(kind)
    return Reset() if kind == "reset" else Space()
