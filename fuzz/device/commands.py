"""The data of control commands in parts that a fuzzer changes one at a time, and what is plain for a device."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.device import state as s
from vnethash.models.device.state import Command
from vnethash.spec import constants as c
from vnethash.spec.commands import RssConfig
from vnethash.spec.constants import ALL_HASH_TYPES, MICROSOFT_KEY, HashType
from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from vnethash.models.device.state import Traits

RSS_CONFIG = (c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG)
HASH_CONFIG = (c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG)
PAIRS_SET = (c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET)
TUNNEL_SET = (c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET)
CONTEXT_ADD = (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_ADD)
CONTEXT_MOD = (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_MOD)
CONTEXT_DEL = (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_DEL)
CONTEXT_GET = (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_CAP_GET)
CONTEXTS = (CONTEXT_ADD, CONTEXT_MOD, CONTEXT_DEL, CONTEXT_GET)
KNOWN = (RSS_CONFIG, HASH_CONFIG, PAIRS_SET, TUNNEL_SET, *CONTEXTS)
ALL_FEATURES = (s.CTRL_VQ, s.MQ, s.RSS, s.HASH_REPORT, s.HASH_TUNNEL, s.RSS_CONTEXT, s.MRG_RXBUF)
#: Without the types for extension headers, about which frames without any ask.
TYPES = ALL_HASH_TYPES & ~(HashType.IP_EX | HashType.TCP_EX | HashType.UDP_EX)


class Fields(NamedTuple):
    """RSS_CONFIG, HASH_CONFIG, or the two commands that add and change an RSS context.

    Attributes:
        head: what stands before an RSS configuration: 8 bytes of a context, else none.
        types: hash_types.
        key: hash_key_data.
        table: queue numbers of any 16 bits; empty for HASH_CONFIG.
        unclassified: unclassified_queue, 16 bits.
        max_tx_vq: 16 bits.
        reserved: the reserved words of HASH_CONFIG, 8 bytes; empty for RSS_CONFIG.
        rest: bytes behind the fields.
    """

    head: bytes
    types: int
    key: bytes
    table: tuple[int, ...]
    unclassified: int
    max_tx_vq: int
    reserved: bytes
    rest: bytes


def changed(fields: Fields, name: str, value: object) -> Fields:
    """Return fields with another value for one of them."""
    return Fields(**{**fields._asdict(), name: value})


def plain_rss(traits: Traits) -> Fields:
    """Return the plainest RSS_CONFIG: every entry queue 1, unclassified the last one, Microsoft's key."""
    types = traits.hash_types & TYPES or traits.hash_types & ALL_HASH_TYPES
    return Fields(b"", types, MICROSOFT_KEY, (1 % traits.pairs,) * 4, traits.pairs - 1, traits.pairs, b"", b"")


def plain_hash(traits: Traits) -> Fields:
    """Return the plainest HASH_CONFIG."""
    return plain_rss(traits)._replace(table=(), unclassified=0, max_tx_vq=0, reserved=bytes(8))


def with_head(fields: Fields, identifier: int) -> Fields:
    """Return the fields of a command about the RSS context with this id."""
    return fields._replace(head=identifier.to_bytes(2, "little") + bytes(6))


def plain_of(pair: tuple[int, int], traits: Traits) -> Fields:
    """Return the plainest fields of a command that has some."""
    if pair == HASH_CONFIG:
        return plain_hash(traits)
    return with_head(plain_rss(traits), 1) if pair in {CONTEXT_ADD, CONTEXT_MOD} else plain_rss(traits)


def command(pair: tuple[int, int], data: bytes) -> Command:
    """Return the step of a (class, command) pair."""
    return Command(*pair, data)


def number(pair: tuple[int, int], value: int, size: int) -> Command:
    """Return the step of a command whose data are one number."""
    return Command(*pair, value.to_bytes(size, "little"))


def join(fields: Fields) -> bytes:
    """Return the bytes of fields."""
    types, key = fields.types.to_bytes(4, "little"), bytes([len(fields.key)]) + fields.key
    if not fields.table:
        return types + fields.reserved + key + fields.rest
    return b"".join((
        fields.head, types, (len(fields.table) - 1).to_bytes(2, "little"), fields.unclassified.to_bytes(2, "little"),
        *(entry.to_bytes(2, "little") for entry in fields.table), fields.max_tx_vq.to_bytes(2, "little"), key,
        fields.rest,
    ))


@lru_cache(maxsize=4096)
def split(step: Command) -> Fields | None:
    """Return the fields of a command that has them all, None for another one and for one that ends early."""
    pair = (step.class_, step.command)
    if pair == HASH_CONFIG:
        return _split_hash(step.data)
    if pair not in {RSS_CONFIG, CONTEXT_ADD, CONTEXT_MOD}:
        return None
    head = b"" if pair == RSS_CONFIG else step.data[:8]
    data = step.data[len(head):]
    if (len(head) not in {0, 8}) or len(data) < 8:
        return None
    tail = 8 + 2 * (int.from_bytes(data[4:6], "little") + 1)
    end = tail + 3 + (data[tail + 2] if tail + 2 < len(data) else len(data))
    if end > len(data):
        return None
    try:
        found = RssConfig.decode(data[:end], strict=False)
    except FormatError:
        return None
    return Fields(
        head, found.hash_types, found.hash_key_data, tuple(entry.number for entry in found.indirection_table),
        found.unclassified_queue.number, found.max_tx_vq, b"", data[end:],
    )


def _split_hash(data: bytes) -> Fields | None:
    if len(data) < 13 or len(data) < 13 + data[12]:
        return None
    end = 13 + data[12]
    return Fields(b"", int.from_bytes(data[:4], "little"), data[13:end], (), 0, 0, data[4:12], data[end:])
