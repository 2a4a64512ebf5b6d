"""The reference model: from a frame and a configuration to an outcome, under one set of readings.

`decide` is the part that all three executions share (see `packet.py`); the hash value and the queue follow from its
answer by `conclude`, which knows keys and tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.events import INNER_CUT, INNER_NOT_IP, NESTED_TUNNEL, REFUSED_RULE, SHORT_HEADER, VERSION_MISMATCH
from vnethash.models.ipv4 import ipv4
from vnethash.models.ipv4 import plain as ipv4_addresses
from vnethash.models.ipv6 import ipv6
from vnethash.models.link import IPV4, link
from vnethash.models.packet import Packet, Selection, no_packet, octet, with_events, without_transport
from vnethash.models.select import select, unhashed
from vnethash.models.toeplitz import byte_tables, toeplitz_by_table
from vnethash.models.tunnel import encapsulates, tunnel
from vnethash.spec.constants import ALL_TUNNEL_TYPES
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import (
    EmptyKey,
    EthertypeVersion,
    ExLabel,
    InnerCut,
    InnerNotIp,
    InnerTransport,
    InnerUnhashed,
    LongKey,
    NestedTunnel,
    NoHashTypes,
    Readings,
    ShortKey,
    TableSize,
    TunnelUnnegotiated,
    UnhashedValue,
    ZeroValue,
)

if TYPE_CHECKING:
    from vnethash.spec.configuration import Configuration

#: A `hash_value` that may be anything (question unhashed-value).
ANY_VALUE = -1

#: Stands beside the enabled tunnel types where HASH_TUNNEL is negotiated; no bit of a le32, so no tunnel type.
NEGOTIATED = 1 << 32


def network(frame: bytes, ethertype: int, start: int, end: int, readings: Readings) -> Packet:
    """Dissect the IP packet that an EtherType announces at `start`."""
    expected = 6
    if ethertype == IPV4:
        expected = 4
    events = 0
    if start < end and frame[start] >> 4 != expected:
        events = VERSION_MISMATCH
        if readings.ethertype_version == EthertypeVersion.AGREE:
            return no_packet(events)
        if readings.ethertype_version == EthertypeVersion.VERSION:
            expected = frame[start] >> 4
            if expected != 4 and expected != 6:
                return no_packet(events)
        elif expected == 4:
            if readings.ethertype_version == EthertypeVersion.IPV4_AGREES:
                return no_packet(events)
            if readings.ethertype_version == EthertypeVersion.ADDRESSES:
                return ipv4_addresses(start, end, start + 20 > end, events)
    if expected == 4:
        packet = ipv4(frame, start, end, readings)
    else:
        packet = ipv6(frame, start, end, readings)
    return with_events(packet, events)


def dissect(frame: bytes, length: int, readings: Readings) -> Packet:
    """Dissect an Ethernet frame of `length` bytes."""
    found = link(frame, length, readings)
    if found.ethertype == 0:
        return no_packet(found.events)
    packet = network(frame, found.ethertype, found.offset, length, readings)
    return with_events(packet, found.events)


def decide(frame: bytes, length: int, types: int, tunnels: int, readings: Readings) -> Selection:
    """Choose what is hashed of a frame; `tunnels` is what `enabled_tunnels` returns."""
    outer = dissect(frame, length, readings)
    if tunnels == 0:
        if not encapsulates(outer) or readings.tunnel_unnegotiated == TunnelUnnegotiated.OUTER:
            return select(outer, types, readings)
        return decide_inner(frame, outer, types, ALL_TUNNEL_TYPES, readings)
    return decide_inner(frame, outer, types, tunnels, readings)


def decide_inner(frame: bytes, outer: Packet, types: int, tunnels: int, readings: Readings) -> Selection:
    """Choose between the inner and the outer header of a packet that may be encapsulated (TUN-2, TUN-3)."""
    found = tunnel(frame, outer, tunnels, readings)
    if found.refused:
        return unhashed(REFUSED_RULE, outer.events | found.events)
    if not found.matched:
        return select(outer, types, readings)
    events = outer.events | found.events
    inside = no_packet(0)
    cut = found.events & INNER_CUT != 0
    not_ip = found.events & INNER_NOT_IP != 0
    if not cut and not not_ip:
        inside = network(frame, found.ethertype, found.offset, outer.end, readings)
        cut = inside.events & SHORT_HEADER != 0 or inside.refused
        # What is announced as IP and has another version is no IP packet either (question ethertype-version).
        not_ip = inside.version == 0
        events = events | inside.events
    if not_ip:
        if readings.inner_not_ip == InnerNotIp.UNHASHED:
            return unhashed(REFUSED_RULE, events | INNER_NOT_IP)
        return select(outer, types, readings)
    if cut:
        if readings.inner_cut == InnerCut.UNHASHED:
            return unhashed(REFUSED_RULE, events | INNER_CUT)
        return select(outer, types, readings)
    if tunnel(frame, inside, tunnels, readings).matched:
        events = events | NESTED_TUNNEL
        if readings.nested_tunnel == NestedTunnel.OUTER:
            return select(outer, types, readings)
        if readings.nested_tunnel == NestedTunnel.UNHASHED:
            return unhashed(REFUSED_RULE, events)
    inside = with_events(inside, events)
    if inside.version != 0 and not inside.refused and inside.transport == 0:
        if readings.inner_transport == InnerTransport.OUTER:
            return select(without_transport(outer), types, readings)
    chosen = select(inside, types, readings)
    if chosen.report == 0 and not inside.refused and inside.version != 0:
        if readings.inner_unhashed == InnerUnhashed.OUTER:
            return select(outer, types, readings)
    return chosen


def hash_input(frame: bytes, length: int, selection: Selection) -> bytes:
    """Return the bytes that are hashed, in order: 0, 8, 12, 32 or 36 of them (MS-F4, MS-F5)."""
    size = selection.size
    if size == 0:
        return b""
    fields = [(selection.source, size), (selection.destination, size)]
    if selection.ports != 0:
        fields.append((selection.ports, 4))
    parts = []
    for offset, count in fields:
        if offset + count <= length:
            parts.append(frame[offset:offset + count])
        else:
            parts.append(bytes(octet(frame, length, offset + k) for k in range(count)))
    return b"".join(parts)


def conclude(data: bytes, selection: Selection, configuration: Configuration, readings: Readings) -> Outcome:
    """Return the outcome that follows from what is hashed: value, report and queue (REP-1, REP-2, RSS-D2 to RSS-D4)."""
    report = selection.report
    value = 0
    if report != 0:
        key = key_for(configuration.key, len(data), readings)
        if key is None:
            report = 0
        else:
            value = toeplitz_by_table(byte_tables(key), data)
        if value == 0 and report != 0 and readings.zero_value == ZeroValue.UNHASHED:
            report = 0
        if report >= 7 and readings.ex_label == ExLabel.REGULAR:
            report = report - 3
    queue = -1
    if "RSS" in configuration.features:
        # RSS-5 has at least one entry; a configuration without one is answered too, as every illegal one.
        if report != 0 and configuration.indirection_table:
            queue = configuration.indirection_table[table_index(value, len(configuration.indirection_table), readings)]
        elif configuration.hash_types == 0 and readings.no_hash_types == NoHashTypes.FIRST_QUEUE:
            queue = 0
        else:
            queue = configuration.unclassified_queue
    if report == 0:
        value = 0
        if readings.unhashed_value == UnhashedValue.UNSPECIFIED:
            value = ANY_VALUE
    return Outcome(int(report), value, queue)


def key_for(key: bytes, size: int, readings: Readings) -> bytes | None:
    """Return the at most 40 key bytes that hash an input of `size` bytes, None if it is not to be hashed (RSS-10)."""
    if len(key) == 0:
        if readings.empty_key == EmptyKey.UNHASHED:
            return None
    elif len(key) < size + 4:
        if readings.short_key == ShortKey.UNHASHED:
            return None
        if readings.short_key == ShortKey.CYCLIC:
            key = key * (size // len(key) + 5)
    elif len(key) > 40 and readings.long_key == LongKey.TRAILING:
        key = key[-40:]
    return key[:40]


def table_index(value: int, entries: int, readings: Readings) -> int:
    """Return the index in the indirection table (RSS-5, RSS-D4)."""
    if entries & (entries - 1) == 0 or readings.table_size == TableSize.MASK:
        return value & (entries - 1)
    return value % entries


def enabled_tunnels(configuration: Configuration) -> int:
    """Return the enabled tunnel types and NEGOTIATED, 0 where HASH_TUNNEL is not negotiated (HC-3, HC-6, INN-6).

    The two differ where no type is enabled: then the outer header is hashed (TUN-3, INN-D1), without a question.
    """
    if "HASH_TUNNEL" in configuration.features:
        return configuration.tunnel_types | NEGOTIATED
    return 0


def outcome(frame: bytes, configuration: Configuration, readings: Readings) -> Outcome:
    """Return what a device with these readings makes of a frame."""
    selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    return conclude(hash_input(frame, len(frame), selection), selection, configuration, readings)
