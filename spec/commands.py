"""What the control commands of hashing and steering carry, byte by byte.

Sources: RSS-3 to RSS-10, HCF-3, INN-2, CTX-4, CTX-8, ARS-R1 (virtio 1.4 sections 5.1.9.5.6 to 5.1.9.5.8 and
5.1.9.4.4). Class and command in front of them and the ack behind are in `spec/layouts.py`, with the rules that all
layouts share.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Self, cast

from vnethash.spec import constants as c
from vnethash.spec.layouts import ControlHeader
from vnethash.spec.wire import Structure, check_end, check_range, check_zero, fault

if TYPE_CHECKING:
    from vnethash.spec.configuration import Configuration

RQ_ID = Structure("rss_rq_id", ("vq_index_1_16", "H"))
RSS_HEAD = Structure(
    "virtio_net_rss_config", ("hash_types", "I"), ("indirection_table_mask", "H"), ("unclassified_queue", "H")
)
RSS_TAIL = Structure("virtio_net_rss_config", ("max_tx_vq", "H"), ("hash_key_length", "B"))
HASH_HEAD = Structure(
    "virtio_net_hash_config", ("hash_types", "I"), ("reserved", "8s"), ("hash_key_length", "B")
)
HASH_TUNNEL = Structure("virtnet_hash_tunnel", ("enabled_tunnel_types", "I"))
VQ_PAIRS = Structure("virtio_net_ctrl_mq", ("virtqueue_pairs", "H"))
CONTEXT_CAP = Structure("virtnet_rss_ctx_cap", ("max_rss_contexts", "H"))
CONTEXT_HEAD = Structure("virtnet_rss_ctx_add_modify", ("rss_ctx_id", "H"), ("reserved", "6s"))
CONTEXT_DEL = Structure("virtnet_rss_ctx_del", ("rss_ctx_id", "H"))

_RESERVED_BIT = 0x8000


@dataclass(frozen=True, slots=True)
class RqId:
    """The id of a receive queue, `rss_rq_id` (RSS-3, RSS-6, GEN-8).

    ```
    offset bits   field
         0 0-14   vq_index_1_16   virtqueue index >> 1
         0 15     reserved        0
         2
    ```

    Receive queue number M, counted from 0, has virtqueue index 2M, so that `vq_index_1_16` is M itself.
    """

    vq_index_1_16: int
    reserved: int = 0

    @property
    def virtqueue_index(self) -> int:
        """The index of the virtqueue at the transport."""
        return 2 * self.vq_index_1_16

    @property
    def number(self) -> int:
        """All 16 bits as one number, as in `Configuration`: the receive queue number if the reserved bit is 0."""
        return self.vq_index_1_16 | self.reserved * _RESERVED_BIT

    @classmethod
    def from_number(cls, number: int) -> Self:
        """Return the id with these 16 bits; raises FormatError for a number that needs more."""
        check_range(number, 0xFFFF, RQ_ID.name, "vq_index_1_16", 0)
        return cls(number & ~_RESERVED_BIT, number >> 15)

    def encode(self) -> bytes:
        """Return the 2 bytes; the reserved bit as it is."""
        check_range(self.vq_index_1_16, 0x7FFF, RQ_ID.name, "vq_index_1_16", 0)
        check_range(self.reserved, 1, RQ_ID.name, "reserved", 0)
        return RQ_ID.pack((self.number,))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read 2 bytes; with `strict` the reserved bit must be 0."""
        (number,) = cast("tuple[int]", RQ_ID.unpack(data))
        check_end(data, RQ_ID.size, RQ_ID.name)
        found = cls.from_number(number)
        if strict:
            check_zero(found.reserved, RQ_ID.name, "reserved", 0, "RSS-3")
        return found


@dataclass(frozen=True, slots=True)
class RssConfig:
    """The data of RSS_CONFIG, `virtio_net_rss_config` (RSS-3 to RSS-10); N table entries, K key bytes.

    ```
    offset  size field
         0     4 hash_types
         4     2 indirection_table_mask   N - 1
         6     2 unclassified_queue       rss_rq_id
         8    2N indirection_table        rss_rq_id each
      8+2N     2 max_tx_vq
     10+2N     1 hash_key_length          K
     11+2N     K hash_key_data
    11+2N+K
    ```

    Mask and key length follow from table and key. With `strict`, N must be a power of two (RSS-R3) and the reserved
    bit of every queue id 0; `hash_types` may hold any bits, because what is legal depends on the device (RSS-R5).
    """

    hash_types: int
    unclassified_queue: RqId
    indirection_table: tuple[RqId, ...]
    max_tx_vq: int
    hash_key_data: bytes

    HEADER: ClassVar[ControlHeader] = ControlHeader(c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG)

    @property
    def indirection_table_mask(self) -> int:
        """Number of table entries less 1 (RSS-5)."""
        return len(self.indirection_table) - 1

    def encode(self) -> bytes:
        """Return 11 + 2N + K bytes; raises FormatError for a value that does not fit its field."""
        count = len(self.indirection_table)
        if not 1 <= count <= 0x10000:
            raise fault(RSS_HEAD.name, "indirection_table", 8, f"has {count} entries, the mask holds 1 to 65536")
        tail = 8 + 2 * count
        check_range(self.max_tx_vq, 0xFFFF, RSS_HEAD.name, "max_tx_vq", tail)
        check_range(len(self.hash_key_data), 0xFF, RSS_HEAD.name, "hash_key_length", tail + 2)
        return b"".join((
            RSS_HEAD.pack((self.hash_types, self.indirection_table_mask, _number(self.unclassified_queue))),
            _encode_ids(self.indirection_table),
            RSS_TAIL.pack((self.max_tx_vq, len(self.hash_key_data))),
            self.hash_key_data,
        ))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read a whole command's data."""
        return cls._decode(data, 0, RSS_HEAD.name, strict=strict)

    @classmethod
    def _decode(cls, data: bytes, base: int, name: str, *, strict: bool) -> Self:
        hash_types, mask, unclassified = cast("tuple[int, ...]", RSS_HEAD.unpack(data, base=base, name=name))
        if strict and mask & (mask + 1):
            text = f"{mask} + 1 table entries are not a power of two (RSS-R3)"
            raise fault(name, "indirection_table_mask", base + 4, text)
        queue = _queue(unclassified, name, "unclassified_queue", base + 6, strict=strict)
        table: list[RqId] = []
        for index in range(mask + 1):
            at = base + 8 + 2 * index
            if at + 2 > len(data):
                text = f"ends at {len(data)}, the mask {mask} asks for {mask + 1} entries"
                raise fault(name, f"indirection_table[{index}]", at, text)
            number = int.from_bytes(data[at : at + 2], "little")
            table.append(_queue(number, name, f"indirection_table[{index}]", at, strict=strict))
        tail = base + 8 + 2 * (mask + 1)
        max_tx_vq, length = cast("tuple[int, ...]", RSS_TAIL.unpack(data, base=tail, name=name))
        key = _key(data, tail + 3, length, name)
        return cls(hash_types, queue, tuple(table), max_tx_vq, key)

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> Self:
        """Return the RSS_CONFIG that puts this configuration into a device."""
        return cls(
            hash_types=configuration.hash_types,
            unclassified_queue=RqId.from_number(configuration.unclassified_queue),
            indirection_table=_queue_ids(configuration.indirection_table),
            max_tx_vq=configuration.max_tx_vq,
            hash_key_data=configuration.key,
        )

    def applied_to(self, configuration: Configuration) -> Configuration:
        """Return the configuration after this command: what a device that takes it then works with (HC-2, HC-4)."""
        return replace(
            configuration,
            hash_types=self.hash_types,
            unclassified_queue=self.unclassified_queue.number,
            indirection_table=tuple(entry.number for entry in self.indirection_table),
            max_tx_vq=self.max_tx_vq,
            key=self.hash_key_data,
        )


@dataclass(frozen=True, slots=True)
class HashConfig:
    """The data of HASH_CONFIG, `virtio_net_hash_config` (HCF-3 to HCF-7); K key bytes.

    ```
    offset size field
         0    4 hash_types
         4    8 reserved          four le16, 0
        12    1 hash_key_length   K
        13    K hash_key_data
      13+K
    ```

    The key lies where `RssConfig` with one table entry has it (HCF-6).
    """

    hash_types: int
    hash_key_data: bytes
    reserved: bytes = bytes(8)

    HEADER: ClassVar[ControlHeader] = ControlHeader(c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG)

    def encode(self) -> bytes:
        """Return 13 + K bytes; `reserved` as it is."""
        return HASH_HEAD.pack((self.hash_types, self.reserved, len(self.hash_key_data))) + self.hash_key_data

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read a whole command's data; with `strict` the reserved words must be 0."""
        hash_types, reserved, length = cast("tuple[int, bytes, int]", HASH_HEAD.unpack(data))
        if strict:
            check_zero(reserved, HASH_HEAD.name, "reserved", 4, "HCF-6")
        return cls(hash_types, _key(data, HASH_HEAD.size, length, HASH_HEAD.name), reserved)

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> Self:
        """Return the HASH_CONFIG that puts this configuration's types and key into a device."""
        return cls(configuration.hash_types, configuration.key)

    def applied_to(self, configuration: Configuration) -> Configuration:
        """Return the configuration after this command, where it counts (HC-5, HC-7)."""
        return replace(configuration, hash_types=self.hash_types, key=self.hash_key_data)


@dataclass(frozen=True, slots=True)
class HashTunnel:
    """The data of HASH_TUNNEL_SET, `virtnet_hash_tunnel` (INN-2 to INN-5).

    ```
    offset size field
         0    4 enabled_tunnel_types
         4
    ```
    """

    enabled_tunnel_types: int = 0

    HEADER: ClassVar[ControlHeader] = ControlHeader(c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET)

    def encode(self) -> bytes:
        """Return the 4 bytes."""
        return HASH_TUNNEL.pack((self.enabled_tunnel_types,))

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read 4 bytes; any bits, because what is legal depends on the device (INN-R2)."""
        (types,) = cast("tuple[int]", HASH_TUNNEL.unpack(data))
        check_end(data, HASH_TUNNEL.size, HASH_TUNNEL.name)
        return cls(types)

    @classmethod
    def from_configuration(cls, configuration: Configuration) -> Self:
        """Return the HASH_TUNNEL_SET that enables this configuration's encapsulations."""
        return cls(configuration.tunnel_types)

    def applied_to(self, configuration: Configuration) -> Configuration:
        """Return the configuration after this command (HC-3, HC-6)."""
        return replace(configuration, tunnel_types=self.enabled_tunnel_types)


@dataclass(frozen=True, slots=True)
class VqPairs:
    """The data of VQ_PAIRS_SET, `virtio_net_ctrl_mq` (MQ-3, ARS-R1).

    ```
    offset size field
         0    2 virtqueue_pairs
         2
    ```
    """

    virtqueue_pairs: int = 1

    HEADER: ClassVar[ControlHeader] = ControlHeader(c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET)

    def encode(self) -> bytes:
        """Return the 2 bytes."""
        return VQ_PAIRS.pack((self.virtqueue_pairs,))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read 2 bytes; with `strict` a number that some device could take, 1 to 0x8000 (ARS-R1, CFG-9)."""
        (pairs,) = cast("tuple[int]", VQ_PAIRS.unpack(data))
        check_end(data, VQ_PAIRS.size, VQ_PAIRS.name)
        if strict:
            check_range(pairs, c.VQ_PAIRS_MAX, VQ_PAIRS.name, "virtqueue_pairs", 0, bottom=c.VQ_PAIRS_MIN)
        return cls(pairs)


@dataclass(frozen=True, slots=True)
class RssContextCap:
    """The answer to CAP_GET, `virtnet_rss_ctx_cap`, written by the device (CTX-4 to CTX-7).

    ```
    offset size field
         0    2 max_rss_contexts
         2
    ```
    """

    max_rss_contexts: int = 1

    HEADER: ClassVar[ControlHeader] = ControlHeader(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_CAP_GET)

    def encode(self) -> bytes:
        """Return the 2 bytes."""
        return CONTEXT_CAP.pack((self.max_rss_contexts,))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read 2 bytes; with `strict` the number is 1 or more (CTX-D1)."""
        (contexts,) = cast("tuple[int]", CONTEXT_CAP.unpack(data))
        check_end(data, CONTEXT_CAP.size, CONTEXT_CAP.name)
        if strict:
            check_range(contexts, 0xFFFF, CONTEXT_CAP.name, "max_rss_contexts", 0, bottom=1)
        return cls(contexts)


@dataclass(frozen=True, slots=True)
class RssContextAddModify:
    """The data of ADD and MOD, `virtnet_rss_ctx_add_modify` (CTX-8 to CTX-12).

    ```
    offset     size field
         0        2 rss_ctx_id
         2        6 reserved     ignored by the device
         8  11+2N+K rss          virtio_net_rss_config
    19+2N+K
    ```
    """

    rss_ctx_id: int
    rss: RssConfig
    reserved: bytes = bytes(6)

    ADD: ClassVar[ControlHeader] = ControlHeader(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_ADD)
    MOD: ClassVar[ControlHeader] = ControlHeader(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_MOD)

    def encode(self) -> bytes:
        """Return 19 + 2N + K bytes; `reserved` as it is."""
        return CONTEXT_HEAD.pack((self.rss_ctx_id, self.reserved)) + self.rss.encode()

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read a whole command's data; with `strict` the id is not 0 (CTX-R2) and `rss` strict as well.

        The reserved bytes may hold anything (CTX-10).
        """
        identifier, reserved = cast("tuple[int, bytes]", CONTEXT_HEAD.unpack(data))
        if strict:
            check_range(identifier, 0xFFFF, CONTEXT_HEAD.name, "rss_ctx_id", 0, bottom=1)
        rss = RssConfig._decode(data, CONTEXT_HEAD.size, CONTEXT_HEAD.name, strict=strict)
        return cls(identifier, rss, reserved)


@dataclass(frozen=True, slots=True)
class RssContextDel:
    """The data of DEL, `virtnet_rss_ctx_del` (CTX-8, CTX-11).

    ```
    offset size field
         0    2 rss_ctx_id
         2
    ```
    """

    rss_ctx_id: int

    HEADER: ClassVar[ControlHeader] = ControlHeader(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_DEL)

    def encode(self) -> bytes:
        """Return the 2 bytes."""
        return CONTEXT_DEL.pack((self.rss_ctx_id,))

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """Read 2 bytes; with `strict` the id is not 0 (CTX-R2)."""
        (identifier,) = cast("tuple[int]", CONTEXT_DEL.unpack(data))
        check_end(data, CONTEXT_DEL.size, CONTEXT_DEL.name)
        if strict:
            check_range(identifier, 0xFFFF, CONTEXT_DEL.name, "rss_ctx_id", 0, bottom=1)
        return cls(identifier)


def _queue_ids(numbers: tuple[int, ...]) -> tuple[RqId, ...]:
    if set(map(type, numbers)) == {int}:  # else True would be taken for a 1 that was met before
        return _known_ids(numbers)
    return tuple(RqId.from_number(number) for number in numbers)


@lru_cache(maxsize=64)
def _known_ids(numbers: tuple[int, ...]) -> tuple[RqId, ...]:
    return tuple(RqId.from_number(number) for number in numbers)


def _encode_ids(queues: tuple[RqId, ...]) -> bytes:
    indices, reserved = [queue.vq_index_1_16 for queue in queues], {queue.reserved for queue in queues}
    plain = set(map(type, indices)) == {int} and 0 <= min(indices) <= max(indices) <= 0x7FFF and reserved == {0}
    if plain:
        return struct.pack(f"<{len(indices)}H", *indices)
    return b"".join(queue.encode() for queue in queues)


def _number(queue: RqId) -> int:
    return int.from_bytes(queue.encode(), "little")


def _queue(number: int, structure: str, field: str, offset: int, *, strict: bool) -> RqId:
    queue = RqId.from_number(number)
    if strict and queue.reserved:
        raise fault(structure, field, offset, f"bit 15 is reserved and must be zero (RSS-3), got {number:#06x}")
    return queue


def _key(data: bytes, start: int, length: int, structure: str) -> bytes:
    if start + length > len(data):
        text = f"ends at {len(data)}, hash_key_length {length} needs {start + length} bytes"
        raise fault(structure, "hash_key_data", start, text)
    check_end(data, start + length, structure)
    return data[start : start + length]
