"""Names for answers that no reading explains: which known slip in the hash, the report or the steering gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.toeplitz import toeplitz

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Observation, Outcome


class Slip(NamedTuple):
    """A way to be wrong: its words and the clauses that it is against.

    `question` and `reading` name it where a device that does so answers a question about control commands wrongly.
    """

    words: str
    clauses: tuple[str, ...]
    question: str = ""
    reading: str = ""


def _swap_ports(data: bytes) -> bytes:
    size = len(data) & ~7
    return data[:size] + data[size + 2:] + data[size:size + 2]


def _host_order_ports(data: bytes) -> bytes:
    size = len(data) & ~7
    ports = data[size:]
    return data[:size] + b"".join(ports[k:k + 2][::-1] for k in range(0, len(ports), 2))


def _swap_addresses(data: bytes) -> bytes:
    half = (len(data) & ~7) // 2
    return data[half:2 * half] + data[:half] + data[2 * half:]


def _reverse_bits(data: bytes) -> bytes:
    return bytes(int(f"{octet:08b}"[::-1], 2) for octet in data)


def _reverse_words(data: bytes) -> bytes:
    return b"".join(data[k:k + 4][::-1] for k in range(0, len(data), 4))


def _shift(key: bytes, bits: int) -> bytes:
    size = len(key) * 8
    number = int.from_bytes(key, "big")
    moved = (number << bits if bits > 0 else number >> -bits) & ((1 << size) - 1)
    return moved.to_bytes(len(key), "big")


_FIELDS = ("V4-1", "V4-2", "V6-1", "V6-2", "X6-1", "X6-2")
_ADDRESSES = (*_FIELDS, "V4-3", "V6-3", "X6-3")
_FUNCTION = ("RSS-1", "HC-4", "MS-F3")
_KEY = ("HC-4", "RSS-10", "HCF-7", "RSS-1")

_INPUTS: tuple[tuple[Slip, Callable[[bytes], bytes]], ...] = (
    (Slip("the destination port is hashed before the source port", _FIELDS), _swap_ports),
    (Slip("the ports are hashed in host byte order", _FIELDS), _host_order_ports),
    (Slip("the destination address is hashed before the source address", _ADDRESSES), _swap_addresses),
    (Slip("addresses and ports are both hashed in the wrong order", _ADDRESSES),
     lambda data: _swap_ports(_swap_addresses(data))),
    (Slip("only the addresses are hashed", _FIELDS), lambda data: data[:len(data) & ~7]),
    (Slip("the bits of each input byte are taken from the least significant one", _FUNCTION), _reverse_bits),
    (Slip("each word of the input is hashed in host byte order", _ADDRESSES), _reverse_words),
    (Slip("the first half of each address is hashed only", _ADDRESSES),
     lambda data: data[:8] + data[16:24] + data[32:] if len(data) >= 32 else data),
)

_KEYS: tuple[tuple[Slip, Callable[[bytes], bytes]], ...] = (
    *(
        (Slip(f"the key window is {abs(bits)} bits {'ahead' if bits > 0 else 'behind'}", _FUNCTION),
         lambda key, bits=bits: _shift(key, bits))
        for bits in (1, -1, 8, -8, 32, -32)
    ),
    *(
        (Slip(f"only {size} bytes of the key are used", _KEY), lambda key, size=size: key[:size])
        for size in (36, 32, 16, 12)
    ),
    (Slip("the words of the key are in the wrong byte order", _KEY), _reverse_words),
    (Slip("the key is used from its end", _KEY), lambda key: key[::-1]),
    (Slip("the bits of each key byte are reversed", _KEY), _reverse_bits),
)

_LIMITED = Slip(
    "receive queues are limited to max_tx_vq, which counts transmit queues", ("RSS-9", "RSS-5"),
    "max-tx-vq", "receive-too",
)


def diagnose(
    data: bytes, expected: Outcome, observation: Observation, configuration: Configuration, observes: frozenset[str]
) -> Slip | None:
    """Return the known slip that turns what was expected into what came out, None if there is none.

    `data` is the hash input of the outcome that was expected.
    """
    value = observation.value if "value" in observes else None
    if expected.report != 0 and value is not None:
        if value != expected.value:
            return _hash_slip(data, value, configuration)
        if observation.report is not None and observation.report != expected.report:
            return Slip("the report names another type than was hashed", ("REP-1", "REP-3", "REP-4"))
        if observation.queue is not None and observation.queue != expected.queue:
            return _queue_slip(expected, observation.queue, configuration)
    unhashed = observation.report == 0 or (observation.report is None and value is None)
    if expected.report == 0 and unhashed and observation.queue not in {None, expected.queue}:
        if _is_limited(expected.queue, observation.queue, configuration):
            return _LIMITED
        return Slip("a packet without a hash goes to another queue than unclassified_queue", ("RSS-D3", "RSS-7"))
    if expected.report == 0 and unhashed and value:
        return Slip("hash_value is left over where nothing was hashed", ("REP-2",))
    return None


def _hash_slip(data: bytes, value: int, configuration: Configuration) -> Slip | None:
    key = configuration.key
    for slip, change in _INPUTS:
        changed = change(data)
        if changed != data and toeplitz(key, changed) == value:
            return slip
    for slip, change in _KEYS:
        changed = change(key)
        if changed != key and toeplitz(changed, data) == value:
            return slip
    right = toeplitz(key, data)
    if int.from_bytes(right.to_bytes(4, "big"), "little") == value:
        return Slip("the value is in the wrong byte order", ("HDR-1", "GEN-7"))
    if int(f"{right:032b}"[::-1], 2) == value:
        return Slip("the bits of the value are reversed", _FUNCTION)
    if len(key) < len(data) + 4:
        return Slip("the missing bits of a short key are neither 0 nor its own bits again", _KEY)
    return None


def _is_limited(expected: int, queue: int | None, configuration: Configuration) -> bool:
    # with max_tx_vq 1 it could not be told from "always queue 0"
    return configuration.max_tx_vq > 1 and queue == expected % configuration.max_tx_vq


def _queue_slip(expected: Outcome, queue: int, configuration: Configuration) -> Slip:
    if _is_limited(expected.queue, queue, configuration):
        return _LIMITED
    table = configuration.indirection_table
    size = len(table)
    bits = max(1, size.bit_length() - 1)
    clauses = ("RSS-D4", "RSS-5")
    if table[(expected.value >> (32 - bits)) % size] == queue:
        return Slip("the index is taken from the top bits of the hash", clauses)
    if size > 1 and table[expected.value % (size - 1)] == queue:
        return Slip("the index is the hash modulo the mask", clauses)
    if queue == configuration.unclassified_queue:
        return Slip("a packet with a hash goes to unclassified_queue", ("RSS-D4", "RSS-D3"))
    return Slip("the indirection table is read at another index", clauses)
