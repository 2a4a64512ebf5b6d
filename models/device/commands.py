"""What control commands do to the state of a device: class MQ, HASH_TUNNEL and RSS contexts.

Where a command breaks a rule for the driver, the text mostly does not say what the device does: those are questions.
Each function returns the state behind the command, whether it is taken, and the deciding clause.
"""

from __future__ import annotations

from functools import lru_cache
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.device.state import (
    HASH_REPORT,
    HASH_TUNNEL,
    MQ,
    RSS,
    RSS_CONTEXT,
    Acked,
    Command,
    State,
    Steering,
    Traits,
    Transition,
)
from vnethash.spec import constants as c
from vnethash.spec import device_readings as r

if TYPE_CHECKING:
    from vnethash.spec.device_readings import DeviceReadings



class Rss(NamedTuple):
    """The fields of RSS_CONFIG (RSS-3 to RSS-10)."""

    hash_types: int
    unclassified: int
    table: tuple[int, ...]
    max_tx_vq: int
    key: bytes


class Hash(NamedTuple):
    """The fields of HASH_CONFIG (HCF-3 to HCF-7)."""

    hash_types: int
    reserved: bytes
    key: bytes


def command(state: State, step: Command, traits: Traits, readings: DeviceReadings) -> Transition:
    """Return what a control command leads to (CVQ-2)."""
    match (step.class_, step.command):
        case (c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET):
            return _pairs(state, step.data, traits, readings)
        case (c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG):
            return _rss_config(state, step.data, traits, readings)
        case (c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG):
            return _hash_config(state, step.data, traits, readings)
        case (c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET):
            return _tunnel_set(state, step.data, traits, readings)
        case (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_CAP_GET | c.RSS_CTX_CTRL_ADD | c.RSS_CTX_CTRL_MOD | c.RSS_CTX_CTRL_DEL):
            return _context(state, step, traits, readings)
    if readings.unknown_command == r.UnknownCommand.ACCEPTED:
        return Transition(state, Acked(ok=True), "CVQ-2")
    if step.class_ == c.CTRL_MQ:
        return _refuse(_left(state, readings.unknown_mq_command), "CVQ-2")
    return _refuse(state, "CVQ-2")


def _take(state: State, clause: str) -> Transition:
    return Transition(state, Acked(ok=True), clause)


def _refuse(state: State, clause: str) -> Transition:
    return Transition(state, Acked(ok=False), clause)


def off(state: State) -> State:
    """Return the state with hashing and steering as before the first command; what a short key may show stays."""
    fresh = State(features=state.features, tunnel_types=state.tunnel_types, contexts=state.contexts)
    return fresh._replace(rest=state.rest, unsure=state.unsure)


def _open(state: State) -> State:
    """Return the state behind a command of which it is not specified what it does."""
    return state._replace(vague=True, unsure=True)


def _left(state: State, reading: int, *, keyed: bool = False) -> State:
    """Return what a refused command leaves behind; the questions about that share the names of their readings.

    Where it ends hashing, and has a key, nothing says how much of the key was written before it was refused.
    """
    if reading == r.RefusedRssConfig.LOST:
        state = state._replace(unsure=state.unsure or keyed)
        if state.steering == Steering.AUTOMATIC:
            return off(state)._replace(steering=Steering.AUTOMATIC, pairs=state.pairs)
        return off(state)
    if reading == r.RefusedRssConfig.UNSPECIFIED:
        return _open(state)
    return state


# VQ_PAIRS_SET


def _pairs(state: State, data: bytes, traits: Traits, readings: DeviceReadings) -> Transition:
    """Automatic steering over so many pairs (MQ-3, ARS-1, ARS-D2)."""
    whole = _whole(data, 2, readings)
    if whole is None:
        return _refuse(_left(state, readings.refused_pairs), "CVQ-1")
    pairs = int.from_bytes(whole[:2], "little")
    if not state.has(MQ):
        if readings.pairs_without_mq == r.PairsWithoutMq.UNSPECIFIED:
            return _take(_open(state), "MQ-1")
        return _refuse(_left(state, readings.refused_pairs), "MQ-1")
    if not 1 <= pairs <= traits.pairs:
        if readings.pairs_range == r.PairsRange.UNSPECIFIED:
            return _take(_open(state), "ARS-R1")
        return _refuse(_left(state, readings.refused_pairs), "ARS-R1")
    if state.vague:
        return _take(state, "MQ-3")
    after = state._replace(steering=Steering.AUTOMATIC, pairs=pairs)
    if state.configured:
        # Without HASH_REPORT there are no reports to stop; but what was given may outlive a reset.
        stopped = r.PairsAfterRss.STOPPED
        reading = readings.pairs_after_rss if state.has(RSS) else readings.pairs_after_hash_config
        if reading == stopped:  # of both
            after = off(state)._replace(steering=Steering.AUTOMATIC, pairs=pairs)
    return _take(after, "MQ-3")


# RSS_CONFIG


def _rss_config(state: State, data: bytes, traits: Traits, readings: DeviceReadings) -> Transition:
    """Types, key and table of receive-side scaling (RSS-3 to RSS-10)."""
    if not state.has(RSS):
        if readings.rss_config_unnegotiated == r.RssConfigUnnegotiated.UNSPECIFIED:
            return _take(_open(state), "RSS-R1")
        return _refuse(_left(state, readings.refused_rss_config, keyed=True), "RSS-R1")
    fields = read_rss(data, readings)
    fault = "CVQ-1" if fields is None else rss_fault(fields, traits, readings)
    if fields is None or fault:
        return _refuse(_left(state, readings.refused_rss_config, keyed=True), fault)
    return _take(_with_rss(state, fields, traits, readings), "RSS-3")


def _with_rss(state: State, fields: Rss, traits: Traits, readings: DeviceReadings) -> State:
    beyond = fields.hash_types & ~traits.hash_types
    vague = bool(beyond) and readings.unsupported_types == r.UnsupportedTypes.UNSPECIFIED
    if not fields.key and not fields.hash_types:
        if readings.empty_configuration == r.EmptyConfiguration.SWITCHED_OFF:
            return off(state)
        key = b""
    else:
        key = _key(state, fields.key, readings)
        vague = _unsure_key(state, fields.key, readings) or vague
    return state._replace(
        steering=Steering.TABLE, configured=True, hash_types=fields.hash_types & traits.hash_types, key=key,
        rest=fields.key + state.rest[len(fields.key):], unsure=vague or _stays_unsure(state, fields.key),
        table=fields.table, unclassified=fields.unclassified, max_tx_vq=fields.max_tx_vq, vague=vague,
    )


def read_rss(data: bytes, readings: DeviceReadings) -> Rss | None:
    """Return the fields of RSS_CONFIG, None for data that the device refuses for their length."""
    mask, length = _rss_sizes(data)
    if _whole(data, 8 + 2 * (mask + 1) + 3 + length, readings) is None:
        return None
    return _rss_fields(data)


def _at(data: bytes, offset: int, size: int) -> int:
    """Return a number of a command's data, with zeros for what is not there."""
    return int.from_bytes(data[offset:offset + size].ljust(size, b"\0"), "little")


def _rss_sizes(data: bytes) -> tuple[int, int]:
    """Return indirection_table_mask and hash_key_length."""
    mask = _at(data, 4, 2)
    return mask, _at(data, 8 + 2 * (mask + 1) + 2, 1)


@lru_cache(maxsize=4096)
def _rss_fields(data: bytes) -> Rss:
    mask, length = _rss_sizes(data)
    tail = 8 + 2 * (mask + 1)
    table: tuple[int, ...] = unpack(f"<{mask + 1}H", data[8:tail].ljust(tail - 8, b"\0"))
    key = data[tail + 3:tail + 3 + length].ljust(length, b"\0")
    return Rss(_at(data, 0, 4), _at(data, 6, 2), table, _at(data, tail, 2), key)


def rss_fault(fields: Rss, traits: Traits, readings: DeviceReadings) -> str:
    """Return the clause for which RSS_CONFIG is refused, "" if it is taken."""
    entries = len(fields.table)
    if fields.hash_types & ~traits.hash_types and readings.unsupported_types == r.UnsupportedTypes.REFUSED:
        return "RSS-R5"
    if entries & (entries - 1) and readings.mask_command == r.MaskCommand.REFUSED:
        return "RSS-R3"
    if entries > traits.table and readings.mask_range == r.MaskRange.REFUSED:
        return "RSS-R4"
    # One such entry is enough, and a table may have thousands.
    strange = any(entry >= traits.pairs for entry in fields.table)
    if strange and readings.table_entry == r.TableEntry.REFUSED:
        return "RSS-R2"
    if fields.unclassified >= traits.pairs and readings.unclassified_entry == r.UnclassifiedEntry.REFUSED:
        return "RSS-7"
    if not 1 <= fields.max_tx_vq <= traits.pairs and readings.max_tx_vq_range == r.MaxTxVqRange.REFUSED:
        return "RSS-9"
    return "RSS-10" if _key_refused(fields.key, fields.hash_types, traits, readings) else ""


# Keys


def _key_refused(key: bytes, hash_types: int, traits: Traits, readings: DeviceReadings) -> bool:
    if len(key) > traits.key:
        return readings.long_key_command == r.LongKeyCommand.REFUSED
    if not key:
        return hash_types != 0 and readings.empty_key_command == r.EmptyKeyCommand.REFUSED
    return len(key) < c.RSS_MIN_MAX_KEY_SIZE and readings.short_key_command == r.ShortKeyCommand.REFUSED


def _key(state: State, key: bytes, readings: DeviceReadings) -> bytes:
    """Return the key in use after a command that is taken (RSS-10, HCF-7)."""
    if not key:
        return state.rest if readings.empty_key_command == r.EmptyKeyCommand.PREVIOUS else b""
    if len(key) < len(state.rest) and readings.short_key_rest == r.ShortKeyRest.PREVIOUS:
        return key + state.rest[len(key):]
    return key


def _stays_unsure(state: State, key: bytes) -> bool:
    """Say whether bytes that a hash can reach stay unknown when a key is written."""
    return state.unsure and len(key) < c.RSS_MIN_MAX_KEY_SIZE


def _unsure_key(state: State, key: bytes, readings: DeviceReadings) -> bool:
    """Say whether bytes of the key in use are unknown, because bytes of keys before it count."""
    if not _stays_unsure(state, key):
        return False
    if not key:
        return readings.empty_key_command == r.EmptyKeyCommand.PREVIOUS
    return readings.short_key_rest == r.ShortKeyRest.PREVIOUS


# HASH_CONFIG


def _hash_config(state: State, data: bytes, traits: Traits, readings: DeviceReadings) -> Transition:
    """Types and key of hash reports (HCF-2 to HCF-7)."""
    if not state.has(HASH_REPORT):
        if readings.hash_config_unnegotiated == r.HashConfigUnnegotiated.UNSPECIFIED:
            return _take(_open(state), "HCF-1")
        return _refuse(_left(state, readings.refused_hash_config, keyed=True), "HCF-1")
    way = readings.hash_config_with_rss if state.has(RSS) else None
    if way == r.HashConfigWithRss.REFUSED:
        return _refuse(_left(state, readings.refused_hash_config, keyed=True), "HC-8")
    fields = _read_hash(data, readings)
    if fields is None:
        return _refuse(_left(state, readings.refused_hash_config, keyed=True), "CVQ-1")
    fault = _hash_fault(fields, traits, readings)
    if fault:
        return _refuse(_left(state, readings.refused_hash_config, keyed=True), fault)
    if way == r.HashConfigWithRss.IGNORED:
        return _take(state, "HC-2")
    beyond = fields.hash_types & ~traits.hash_types
    vague = (beyond != 0 and readings.unsupported_types_report == r.UnsupportedTypesReport.UNSPECIFIED) or (
        any(fields.reserved) and readings.hash_config_reserved == r.HashConfigReserved.UNSPECIFIED
    ) or _unsure_key(state, fields.key, readings)
    after = state._replace(
        configured=True, hash_types=fields.hash_types & traits.hash_types, key=_key(state, fields.key, readings),
        rest=fields.key + state.rest[len(fields.key):], vague=vague,
        unsure=vague or _stays_unsure(state, fields.key),
    )
    if way is None:
        return _take(after, "HCF-2")
    if way == r.HashConfigWithRss.AUTOMATIC:
        pairs = state.pairs if state.steering == Steering.AUTOMATIC else 1
        return _take(after._replace(steering=Steering.AUTOMATIC, pairs=pairs), "MQ-4")
    return _take(after._replace(vague=vague or state.vague), "MQ-4")


def _read_hash(data: bytes, readings: DeviceReadings) -> Hash | None:
    length = _at(data, 12, 1)
    if _whole(data, 13 + length, readings) is None:
        return None
    return Hash(_at(data, 0, 4), data[4:12].ljust(8, b"\0"), data[13:13 + length].ljust(length, b"\0"))


def _hash_fault(fields: Hash, traits: Traits, readings: DeviceReadings) -> str:
    beyond = fields.hash_types & ~traits.hash_types
    if beyond and readings.unsupported_types_report == r.UnsupportedTypesReport.REFUSED:
        return "HCF-4"
    if any(fields.reserved) and readings.hash_config_reserved == r.HashConfigReserved.REFUSED:
        return "HCF-6"
    return "HCF-7" if _key_refused(fields.key, fields.hash_types, traits, readings) else ""


# HASH_TUNNEL_SET


def _tunnel_set(state: State, data: bytes, traits: Traits, readings: DeviceReadings) -> Transition:
    """The encapsulations whose inner header is hashed (INN-1 to INN-5, INN-D2)."""
    if not state.has(HASH_TUNNEL):
        if readings.tunnel_set_unnegotiated == r.TunnelSetUnnegotiated.UNSPECIFIED:
            return _take(_open(state), "INN-R1")
        return _refuse(state, "INN-R1")
    whole = _whole(data, 4, readings)
    if whole is None:
        return _refuse(state, "CVQ-1")
    types = int.from_bytes(whole[:4], "little")
    if types & ~traits.tunnel_types and readings.tunnel_unsupported == r.TunnelUnsupported.REFUSED:
        if readings.refused_tunnel_set == r.RefusedTunnelSet.SUBSET:
            return _refuse(state._replace(tunnel_types=types & traits.tunnel_types), "INN-D2")
        if readings.refused_tunnel_set == r.RefusedTunnelSet.UNSPECIFIED:
            return _refuse(_open(state), "INN-D2")
        return _refuse(state, "INN-D2")
    return _take(state._replace(tunnel_types=types & traits.tunnel_types), "INN-4")


# RSS contexts


def _context(state: State, step: Command, traits: Traits, readings: DeviceReadings) -> Transition:
    """The RSS contexts (CTX-6 to CTX-12); nothing leads a packet to one, so only their ids can be seen."""
    if not state.has(RSS_CONTEXT):
        if readings.context_unnegotiated == r.ContextUnnegotiated.UNSPECIFIED:
            return _take(_open(state), "CTX-R1")
        return _refuse(state, "CTX-R1")
    if step.command == c.RSS_CTX_CTRL_CAP_GET:
        return _take(state, "CTX-6") if _whole(step.data, 0, readings) is not None else _refuse(state, "CVQ-1")
    deletes = step.command == c.RSS_CTX_CTRL_DEL
    fields = None
    if deletes:
        short = _whole(step.data, 2, readings) is None
    else:
        fields = read_rss(step.data[8:], readings)
        short = fields is None
    if short:
        return _refuse(state, "CVQ-1")
    identifier = int.from_bytes((step.data + bytes(2))[:2], "little")
    if identifier == 0 and readings.context_range == r.ContextRange.REFUSED:
        return _refuse(state, "CTX-R2")
    known = identifier in state.contexts
    if step.command == c.RSS_CTX_CTRL_ADD:
        if known and readings.context_repeated == r.ContextRepeated.REFUSED:
            return _refuse(state, "CTX-11")
    elif not known and readings.context_unknown == r.ContextUnknown.REFUSED:
        return _refuse(state, "CTX-11")
    if fields is not None:
        fault = rss_fault(fields, traits, readings)
        if fault:
            return _refuse(state, fault)
    others = tuple(one for one in state.contexts if one != identifier)
    if deletes:
        return _take(state._replace(contexts=others), "CTX-11")
    return _take(state._replace(contexts=tuple(sorted((*others, identifier)))), "CTX-11")


def _whole(data: bytes, size: int, readings: DeviceReadings) -> bytes | None:
    """Return data that have `size` bytes at least, None for data that the device refuses for their length (CVQ-1)."""
    if len(data) > size and readings.trailing_bytes == r.TrailingBytes.REFUSED:
        return None
    if len(data) < size:
        if readings.truncated_command == r.TruncatedCommand.REFUSED:
            return None
        return data + bytes(size - len(data))
    return data
