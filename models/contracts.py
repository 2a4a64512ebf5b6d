"""What each function of the model needs and gives, and what its loops keep: claims, written in the model's own subset.

They are proved function by function, for frames of any length and under all readings (`symbolic/modular.py`), and they
can be run: the tests hold them against every call that the model makes on real frames. `there` is the number of bytes
of the frame; a predicate takes what it speaks of by name: arguments, variables of the loop, `result`.

Together they say: no byte outside the frame is read; every loop ends, after a number of turns that grows with what is
left of the packet; a report is one of an enabled hash type (REP-4, HT-1), with the fields of that type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.events import INNER_CUT, INNER_NOT_IP
from vnethash.models.link import IPV4, IPV6
from vnethash.models.transport import TCP, UDP, Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.models.ipv4 import Extent as Ipv4Extent
    from vnethash.models.ipv6 import Extent as Ipv6Extent
    from vnethash.models.options import Address
    from vnethash.models.packet import Link, Packet, Selection
    from vnethash.models.tunnel import Inner

#: No header field lies further behind the end of a packet than an extension header can be long.
REACH = 4096


class Contract(NamedTuple):
    """What holds of the arguments of a function, and what of its result."""

    needs: Callable[..., bool]
    gives: Callable[..., bool]


class Loop(NamedTuple):
    """What holds before each turn, and a number that each turn but the last makes smaller by at least `step`."""

    holds: Callable[..., bool]
    left: Callable[..., int]
    step: int


def rest(end: int, offset: int) -> int:
    """Return the bytes from an offset to an end, 0 behind it."""
    if offset < end:
        return end - offset
    return 0


# Link


def length_there(there: int, length: int) -> bool:
    """Say whether what is given as the frame's length is there."""
    return length <= there


def found_there(there: int, length: int, found: Link) -> bool:
    """Say whether a link header was found inside the frame."""
    return length <= there and found.offset >= 14 and found.offset <= length and found.ethertype <= 0xFFFF


def tags_begin(there: int, length: int, offset: int, ethertype: int) -> bool:
    """Say whether what may be a tag begins inside the frame."""
    return length <= there and offset >= 14 and offset <= length and ethertype <= 0xFFFF


def link_found(length: int, result: Link) -> bool:
    """Say whether an IP header was announced, or none."""
    announced = result.ethertype == IPV4 or result.ethertype == IPV6
    return (result.ethertype == 0 or (announced and result.offset >= 14)) and result.offset <= length


def link_inside(length: int, result: Link) -> bool:
    """Say whether a link header ends inside the frame."""
    return result.offset >= 14 and result.offset <= length and result.ethertype <= 0xFFFF


def tags_hold(length: int, offset: int, ethertype: int, tags: int, last: int) -> bool:
    """Each tag has four bytes."""
    return offset >= 14 and offset <= length and ethertype <= 0xFFFF and last <= 0xFFFF and tags * 4 <= offset


def tags_left(length: int, offset: int) -> int:
    """Return the bytes behind the tags so far."""
    return rest(length, offset)


def labels_hold(length: int, o: int) -> bool:
    """Each label has four bytes."""
    return o >= 14 and o <= length


def labels_left(length: int, o: int) -> int:
    """Return the bytes behind the labels so far."""
    return rest(length, o)


# Network


def packet_begins(there: int, start: int, end: int) -> bool:
    """Say whether a packet ends inside the frame; it may begin behind that, if a header lies about its size."""
    return end <= there and start >= 14 and start <= there + REACH


def packet_found(there: int, end: int, result: Packet) -> bool:
    """Say whether the fields of a packet are what others rely on."""
    kinds = result.version == 0 or result.version == 4 or result.version == 6
    kinds = kinds and (result.transport == 0 or result.l4 != 0)
    transports = result.transport == 0 or result.transport == TCP or result.transport == UDP
    # Ports lie behind the Ethernet header, so that offset 0 is free for "none".
    ports = result.l4 == 0 or result.l4 >= 14
    inside = result.end <= end and result.l4 <= there + REACH and result.l3 <= there + REACH
    addresses = result.home <= there + REACH and result.route <= there + REACH
    return kinds and transports and ports and inside and addresses and result.fragment <= 3 and result.protocol <= 255


def frame_dissected(there: int, length: int, result: Packet) -> bool:
    """Say the same of the packet of a frame."""
    return packet_found(there, length, result)


def ipv4_header_there(there: int, start: int, end: int) -> bool:
    """Say whether the fixed IPv4 header is there."""
    return end <= there and start + 20 <= end


def ipv6_header_there(there: int, start: int, end: int) -> bool:
    """Say whether the IPv6 header is there."""
    return end <= there and start + 40 <= end


def ipv4_measured(start: int, end: int, result: Ipv4Extent) -> bool:
    """A packet ends with the frame or before; IHL counts to 60 bytes."""
    return result.bounded <= end and result.header >= start and result.header <= start + 60


def ipv6_measured(start: int, end: int, result: Ipv6Extent) -> bool:
    """A packet ends with the frame or before, and has all of its header."""
    return result.bounded <= end and result.bounded >= start + 40


def options_there(there: int, start: int, end: int) -> bool:
    """Say whether IPv4 options end inside the frame."""
    return end <= there and start <= end


def address_inside(end: int, result: int) -> bool:
    """Say whether four bytes of address lie inside."""
    return result == 0 or result + 4 <= end


def source_route_holds(end: int, p: int, found: int) -> bool:
    """An option that would leave the header ends the walk."""
    return p <= end and (found == 0 or found + 4 <= end)


def source_route_left(end: int, p: int) -> int:
    """Return the bytes of options behind those so far."""
    return rest(end, p)


def chain_holds(
    there: int, start: int, end: int, limit: int, protocol: int, p: int, count: int, home: int, route: int,
    fragment: int, seen: int,
) -> bool:
    """Each extension header has at least 8 bytes and at most 2,048, and begins inside the packet."""
    walk = p >= start + 40 and p <= limit + 2048 and limit <= end and count * 8 <= p and protocol <= 255
    return walk and home <= there and route <= there + 2048 and fragment <= 3 and seen <= 63


def chain_left(end: int, p: int) -> int:
    """Return the bytes behind the headers so far; one turn more finds out that nothing is left."""
    return rest(end + 8, p)


# Options and routes


def header_begins(there: int, header: int, size: int, end: int) -> bool:
    """Say whether the first bytes of an extension header are there, and its size is one that it can have."""
    return end <= there and header >= 14 and header + 2 <= end and size >= 8 and size <= 2048


def option_begins(there: int, header: int, stop: int, p: int, end: int) -> bool:
    """Say whether an option begins inside its header and the packet, and its length too, if it has one."""
    inside = header + 2 <= p and p < stop and p < end and stop <= header + 2048
    return end <= there and inside and (p + 1 < end or p + 1 >= stop)


def home_found(end: int, result: Address) -> bool:
    """Say whether sixteen bytes of address lie inside."""
    return result.offset == 0 or result.offset + 16 <= end


def options_hold(header: int, stop: int, end: int, p: int, found: int, count: int, walking: bool) -> bool:
    """Each option has at least one byte; one that would leave the header ends the walk."""
    inside = (not walking or p < stop) and p >= header + 2 and p <= stop + 257
    return inside and (not walking or count <= p) and (found == 0 or found + 16 <= end)


def options_left(stop: int, p: int) -> int:
    """Return the bytes of options behind those so far."""
    return rest(stop, p)


def header_inside(there: int, header: int, size: int) -> bool:
    """Say whether a whole extension header is there."""
    return header + size <= there and size <= 2048


def plain_home_found(there: int, result: int) -> bool:
    """Say whether sixteen bytes of address lie inside."""
    return result == 0 or result + 16 <= there


def plain_options_hold(there: int, header: int, stop: int, p: int, found: int) -> bool:
    """The same without readings; the walk ends with the first address."""
    return p >= header + 2 and p <= stop + 257 and (found == 0 or found + 16 <= there)


def route_begins(there: int, header: int, size: int, end: int) -> bool:
    """Say whether the first four bytes of a Routing header are there."""
    return end <= there and header >= 14 and header + 4 <= end and size >= 8 and size <= 2048


def route_found(there: int, result: Address) -> bool:
    """Say that no route lies further away than the header is long."""
    return result.offset <= there + 2048


# Transport and tunnels


def end_there(there: int, end: int) -> bool:
    """Say whether a packet ends inside the frame."""
    return end <= there


def transport_found(result: Transport) -> bool:
    """Say that a transport is TCP, UDP or none."""
    return result.kind == 0 or result.kind == TCP or result.kind == UDP


def size_claimed(result: int) -> bool:
    """A length field has two bytes."""
    return result >= 8 and result <= 0xFFFF


def packet_there(there: int, packet: Packet) -> bool:
    """Say whether an outer packet is one that dissection gives."""
    return packet_found(there, there, packet)


def payload_there(there: int, packet: Packet) -> bool:
    """Say whether it is one whose payload was found."""
    return packet_found(there, there, packet) and packet.l4 != 0


def ethernet_begins(there: int, o: int, end: int) -> bool:
    """Say whether an inner Ethernet frame begins inside the packet."""
    return end <= there and o >= 14 and o <= end


def inner_found(there: int, packet: Packet, result: Inner) -> bool:
    """Say that an inner packet begins where the outer one has its payload or behind that, and not behind its end."""
    announced = result.ethertype == IPV4 or result.ethertype == IPV6 or result.ethertype == 0
    behind = result.offset >= 14
    if result.ethertype == 0:
        behind = not result.matched or result.events & (INNER_CUT | INNER_NOT_IP) != 0
    return announced and behind and (result.offset <= packet.end or result.offset <= packet.l4)


def inner_inside(end: int, result: Inner) -> bool:
    """Say that an inner packet begins inside the outer one."""
    announced = result.ethertype == IPV4 or result.ethertype == IPV6 or result.ethertype == 0
    told = result.ethertype != 0 or not result.matched or result.events & (INNER_CUT | INNER_NOT_IP) != 0
    return announced and told and result.offset >= 14 and result.offset <= end


def outer_packet(there: int, outer: Packet) -> bool:
    """Say whether an outer packet is one that dissection gives."""
    return packet_found(there, there, outer)


# Selection


def enabled(report: int, types: int) -> bool:
    """Say whether the hash type of a report is enabled (REP-4, HT-1)."""
    if report == 1:
        return types & 1 != 0
    if report == 2:
        return types & 2 != 0
    if report == 3:
        return types & 4 != 0
    if report == 4:
        return types & 8 != 0
    if report == 5:
        return types & 16 != 0
    if report == 6:
        return types & 32 != 0
    if report == 7:
        return types & 64 != 0
    if report == 8:
        return types & 128 != 0
    if report == 9:
        return types & 256 != 0
    return report == 0


def selected(types: int, result: Selection) -> bool:
    """Say whether a selection has the fields of an enabled hash type, or none (REP-2, REP-4, V4-1 to X6-4)."""
    ports = result.report == 2 or result.report == 3
    ports = ports or result.report == 5 or result.report == 6 or result.report == 8 or result.report == 9
    size = 0
    if result.report != 0:
        size = 16
        if result.report < 4:
            size = 4
    fields = size != 0 or (result.source == 0 and result.destination == 0)
    return enabled(result.report, types) and result.size == size and (result.ports != 0) == ports and fields


CONTRACTS: dict[str, Contract] = {
    "link.link": Contract(length_there, link_found),
    "link.skip_tags": Contract(tags_begin, link_inside),
    "link.snap": Contract(found_there, link_inside),
    "link.shim": Contract(found_there, link_inside),
    "reference.network": Contract(packet_begins, packet_found),
    "reference.dissect": Contract(length_there, frame_dissected),
    "reference.decide": Contract(length_there, selected),
    "reference.decide_inner": Contract(outer_packet, selected),
    "ipv4.ipv4": Contract(packet_begins, packet_found),
    "ipv4.measure": Contract(ipv4_header_there, ipv4_measured),
    "ipv4.source_route": Contract(options_there, address_inside),
    "ipv6.ipv6": Contract(packet_begins, packet_found),
    "ipv6.measure": Contract(ipv6_header_there, ipv6_measured),
    "options.home_address": Contract(header_begins, home_found),
    "options.home_option": Contract(option_begins, home_found),
    "options.plain_home": Contract(header_inside, plain_home_found),
    "options.route_address": Contract(route_begins, route_found),
    "transport.transport": Contract(end_there, transport_found),
    "transport.reach": Contract(end_there, size_claimed),
    "tunnel.tunnel": Contract(packet_there, inner_found),
    "tunnel.match": Contract(payload_there, inner_found),
    "tunnel.ethernet": Contract(ethernet_begins, inner_inside),
    "select.select": Contract(packet_there, selected),
}

LOOPS: dict[str, Loop] = {
    "link.skip_tags": Loop(tags_hold, tags_left, 4),
    "link.shim": Loop(labels_hold, labels_left, 4),
    "ipv4.source_route": Loop(source_route_holds, source_route_left, 1),
    "ipv6.ipv6": Loop(chain_holds, chain_left, 8),
    "options.home_address": Loop(options_hold, options_left, 1),
    "options.plain_home": Loop(plain_options_hold, options_left, 1),
}
