"""Dissection of an IPv4 packet (RFC 791): where the addresses and the ports are."""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.events import (
    AUTHENTICATION,
    FIRST_FRAGMENT,
    FLAGS_ONLY,
    IHL_BEYOND,
    IHL_SMALL,
    IPV4_OPTIONS,
    LATER_FRAGMENT,
    PADDED,
    SHORT_HEADER,
    SOURCE_ROUTE,
    TOTAL_LONG,
    TOTAL_SHORT,
    TOTAL_ZERO,
)
from vnethash.models.packet import Packet, word
from vnethash.models.transport import has_ports, reach, transport
from vnethash.spec.readings import (
    FragmentFlags,
    IhlBelowFive,
    IhlBeyond,
    Ipv4Ah,
    Ipv4FirstFragment,
    Ipv4LaterFragment,
    Ipv4Options,
    Readings,
    ShortIpHeader,
    SourceRoute,
    TotalLengthBound,
    TotalLengthLong,
    TotalLengthShort,
    TotalLengthZero,
)

AUTHENTICATION_HEADER = 51


class Extent(NamedTuple):
    """How long the packet and its header are: offsets in the frame; `addresses` if only these may be hashed."""

    header: int
    bounded: int
    refused: bool
    addresses: bool
    events: int


def plain(start: int, end: int, refused: bool, events: int) -> Packet:
    """Return an IPv4 packet of which at most the addresses are used."""
    return Packet(4, start, 0, end, 0, 0, refused, False, False, 0, 0, 0, events)


def ipv4(frame: bytes, start: int, end: int, readings: Readings) -> Packet:
    """Dissect the IPv4 packet whose header begins at `start`, in a frame that ends at `end`."""
    if start + 20 > end:
        return plain(start, end, readings.short_ip_header == ShortIpHeader.UNHASHED, SHORT_HEADER)
    extent = measure(frame, start, end, readings)
    events = extent.events
    if extent.refused or extent.addresses:
        return plain(start, extent.bounded, extent.refused, events)
    header = extent.header
    route = 0
    if header > start + 20:
        events = events | IPV4_OPTIONS
        route = source_route(frame, start + 20, min(header, end))
        if route != 0:
            events = events | SOURCE_ROUTE
            if readings.source_route == SourceRoute.HEADER:
                route = 0
    protocol = frame[start + 9]
    l4 = header
    limit = extent.bounded
    fragment = fragment_kind(word(frame, start + 6))
    if fragment == 1:
        events = events | FIRST_FRAGMENT
    elif fragment == 2:
        events = events | LATER_FRAGMENT
    if fragment != 2 and protocol == AUTHENTICATION_HEADER:
        events = events | AUTHENTICATION
        if l4 + 8 <= limit and readings.ipv4_ah == Ipv4Ah.SKIPPED:
            protocol = frame[l4]
            l4 = l4 + (frame[l4 + 1] + 2) * 4
    kind = 0
    refused = False
    if has_ports(protocol):
        looks = True
        if fragment == 1:
            looks = readings.ipv4_first_fragment == Ipv4FirstFragment.PORTS
        elif fragment == 2:
            looks = readings.ipv4_later_fragment == Ipv4LaterFragment.PORTS
        elif word(frame, start + 6) & 0xC000 != 0:
            events = events | FLAGS_ONLY
            looks = readings.fragment_flags == FragmentFlags.MF_OR_OFFSET
        if looks and header > start + 20:
            if readings.ipv4_options == Ipv4Options.UNHASHED:
                looks = False
                refused = True
            elif readings.ipv4_options == Ipv4Options.ADDRESSES:
                looks = False
            elif readings.ipv4_options == Ipv4Options.AT_TWENTY:
                l4 = start + 20
        if looks:
            if (
                limit < end
                and l4 + reach(frame, l4, limit, protocol) > limit
                and readings.total_length_bound == TotalLengthBound.FRAME
            ):
                limit = end
            found = transport(frame, l4, limit, protocol, readings)
            kind = found.kind
            refused = found.refused
            events = events | found.events
    return Packet(4, start, l4, limit, protocol, kind, refused, False, False, 0, route, fragment, events)


def measure(frame: bytes, start: int, end: int, readings: Readings) -> Extent:
    """Find the end of the header and of the packet from IHL and Total Length."""
    size = (frame[start] & 15) * 4
    total = word(frame, start + 2)
    events = 0
    if size < 20:
        events = IHL_SMALL
        if readings.ihl_below_five == IhlBelowFive.UNHASHED:
            return Extent(start, end, True, False, events)
        if readings.ihl_below_five == IhlBelowFive.ADDRESSES:
            return Extent(start, end, False, True, events)
        if readings.ihl_below_five == IhlBelowFive.FIVE:
            size = 20
    elif start + size > end:
        events = IHL_BEYOND
        if readings.ihl_beyond == IhlBeyond.UNHASHED:
            return Extent(start, end, True, False, events)
        if readings.ihl_beyond == IhlBeyond.ADDRESSES:
            return Extent(start, end, False, True, events)
    bounded = end
    if total == 0:
        events = events | TOTAL_ZERO
        if readings.total_length_zero == TotalLengthZero.UNHASHED:
            return Extent(start, end, True, False, events)
    elif total < size or total < 20:
        events = events | TOTAL_SHORT
        if readings.total_length_short == TotalLengthShort.UNHASHED:
            return Extent(start, end, True, False, events)
        if readings.total_length_short == TotalLengthShort.ADDRESSES:
            return Extent(start, end, False, True, events)
    elif start + total > end:
        events = events | TOTAL_LONG
        if readings.total_length_long == TotalLengthLong.UNHASHED:
            return Extent(start, end, True, False, events)
    elif start + total < end:
        events = events | PADDED
        bounded = start + total
    return Extent(start + size, bounded, False, False, events)


def fragment_kind(flags: int) -> int:
    """Return 0 for a whole packet, 1 for a first and 2 for a later fragment (RFC 791 section 3.1)."""
    if flags & 0x1FFF != 0:
        return 2
    if flags & 0x2000 != 0:
        return 1
    return 0


def source_route(frame: bytes, start: int, end: int) -> int:
    """Return the offset of the last address of a source route option, 0 if there is none (RFC 791 section 3.1)."""
    p = start
    found = 0
    walking = True
    while walking and p < end:
        option = frame[p]
        if option == 0:
            walking = False
        elif option == 1:
            p = p + 1
        elif p + 1 >= end or frame[p + 1] < 2 or p + frame[p + 1] > end:
            walking = False
        else:
            if (option == 131 or option == 137) and frame[p + 1] >= 7:
                found = p + frame[p + 1] - 4
            p = p + frame[p + 1]
    return found
