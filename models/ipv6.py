"""Dissection of an IPv6 packet (RFC 8200): the chain of extension headers, the addresses in it, the ports behind it."""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.chain import (
    AH,
    DESTINATION_OPTIONS,
    FRAGMENT,
    HOP_BY_HOP,
    ICMP,
    NONE,
    ROUTING,
    beyond_limit,
    classify,
    mark,
    may_walk,
    repeated,
)
from vnethash.models.events import (
    ATOMIC_FRAGMENT,
    CHAIN_CUT,
    EXTENSION,
    FIRST_FRAGMENT,
    FRAGMENT_RESERVED,
    HOME_IN_HOP_BY_HOP,
    LATER_FRAGMENT,
    MANY_HEADERS,
    MISPLACED_HOP_BY_HOP,
    PADDED,
    PAYLOAD_LONG,
    PAYLOAD_ZERO,
    REPEATED_HEADER,
    SHORT_HEADER,
)
from vnethash.models.options import home_address, no_address, plain_home, route_address
from vnethash.models.packet import Packet, word
from vnethash.models.transport import has_ports, reach, transport
from vnethash.spec.readings import (
    AnnouncedHeader,
    AtomicFragment,
    AuthenticationHeader,
    BehindFragment,
    ChainCut,
    FragmentHeader,
    FragmentLength,
    HomeHeader,
    HomeInHopByHop,
    HopByHopPlace,
    Icmpv6Ports,
    Ipv6FirstFragment,
    Ipv6LaterFragment,
    PayloadLengthBound,
    PayloadLengthLong,
    PayloadLengthZero,
    Readings,
    RepeatedHeader,
    RouteHeader,
    ShortIpHeader,
)


class Extent(NamedTuple):
    """Where the packet ends."""

    bounded: int
    refused: bool
    events: int


def plain(start: int, end: int, refused: bool, events: int) -> Packet:
    """Return an IPv6 packet of which at most the header's addresses are used."""
    return Packet(6, start, 0, end, 0, 0, refused, False, False, 0, 0, 0, events)


def measure(frame: bytes, start: int, end: int, readings: Readings) -> Extent:
    """Find the end of the packet from Payload Length."""
    payload = word(frame, start + 4)
    if payload == 0:
        if start + 40 == end:
            return Extent(end, False, 0)
        if readings.payload_length_zero == PayloadLengthZero.UNHASHED:
            return Extent(end, True, PAYLOAD_ZERO)
        if readings.payload_length_zero == PayloadLengthZero.EMPTY:
            return Extent(start + 40, False, PAYLOAD_ZERO)
        return Extent(end, False, PAYLOAD_ZERO)
    if start + 40 + payload > end:
        return Extent(end, readings.payload_length_long == PayloadLengthLong.UNHASHED, PAYLOAD_LONG)
    if start + 40 + payload < end:
        return Extent(start + 40 + payload, False, PADDED)
    return Extent(end, False, 0)


def ipv6(frame: bytes, start: int, end: int, readings: Readings) -> Packet:
    """Dissect the IPv6 packet whose header begins at `start`, in a frame that ends at `end`."""
    if start + 40 > end:
        return plain(start, end, readings.short_ip_header == ShortIpHeader.UNHASHED, SHORT_HEADER)
    extent = measure(frame, start, end, readings)
    events = extent.events
    if extent.refused:
        return plain(start, end, True, events)
    limit = extent.bounded
    # Padding can be taken for headers only where Payload Length, not 0, ends the packet inside the frame.
    padded = events & PADDED != 0
    protocol = frame[start + 6]
    p = start + 40
    count = 0
    seen = 0
    other_than_fragment = False
    seen_fragment = False
    options = False
    home = 0
    route = 0
    fragment = 0
    refused = False
    from_icmp = False
    walking = True
    while walking:
        kind = classify(protocol, readings)
        events = events | kind.events
        if kind.refused:
            refused = True
        if kind.extension and not kind.walked:
            # No Next Header has no bytes; ESP may be announced and not there.
            if p < limit or protocol == NONE or readings.announced_header == AnnouncedHeader.COUNTS:
                other_than_fragment = True
        walking = kind.walked
        if walking and count >= 4:
            events = events | MANY_HEADERS
            over = beyond_limit(count, readings)
            refused = refused or over.refused
            walking = over.walked
        if walking:
            if padded and not whole(frame, p, limit, protocol, readings) and (
                readings.payload_length_bound == PayloadLengthBound.FRAME
            ):
                limit = end
                padded = False
            if p < limit or readings.announced_header == AnnouncedHeader.COUNTS:
                if protocol == FRAGMENT:
                    seen_fragment = True
                else:
                    other_than_fragment = True
            if not whole(frame, p, limit, protocol, readings):
                events = events | CHAIN_CUT
                if readings.chain_cut == ChainCut.UNCHECKED:
                    refused = refused or p + needed(protocol) > limit
                    walking = not refused
                elif readings.chain_cut == ChainCut.BEGUN:
                    refused = refused or p + 2 > limit
                    walking = not refused
                else:
                    refused = refused or readings.chain_cut == ChainCut.UNHASHED
                    walking = False
        if walking:
            if protocol == HOP_BY_HOP and count > 0:
                events = events | MISPLACED_HOP_BY_HOP
                if readings.hop_by_hop_place == HopByHopPlace.UNHASHED:
                    refused = True
            if repeated(protocol, seen):
                events = events | REPEATED_HEADER
                if readings.repeated_header == RepeatedHeader.UNHASHED:
                    refused = True
            size = extent_of(frame, p, protocol, readings)
            if protocol == FRAGMENT:
                flags = 0
                if p + 4 <= limit:
                    flags = word(frame, p + 2)
                if frame[p + 1] != 0:
                    events = events | FRAGMENT_RESERVED
                if flags & 0xFFF8 != 0:
                    events = events | LATER_FRAGMENT
                    fragment = 2
                    walking = walks_payload(frame[p], readings)
                elif fragment != 2:
                    if flags & 1 != 0:
                        events = events | FIRST_FRAGMENT
                        fragment = 1
                    else:
                        events = events | ATOMIC_FRAGMENT
                        if fragment == 0:
                            fragment = 3
            elif protocol == ROUTING:
                found = no_address()
                if p + 4 <= limit:
                    found = route_address(frame, p, size, limit, readings)
                events = events | found.events
                refused = refused or found.refused
                visible = found.offset == 0 or fragment != 1 or readings.behind_fragment == BehindFragment.USED
                if visible:
                    route = keep_route(route, found.offset, size, readings)
            elif protocol == DESTINATION_OPTIONS:
                options = True
                found = home_address(frame, p, size, limit, readings)
                events = events | found.events
                refused = refused or found.refused
                visible = found.offset == 0 or fragment != 1 or readings.behind_fragment == BehindFragment.USED
                if visible:
                    home = keep_home(home, found.offset, readings)
            elif protocol == HOP_BY_HOP and p + size <= limit:
                inside = plain_home(frame, p, size)
                if inside != 0:
                    events = events | HOME_IN_HOP_BY_HOP
                    if readings.home_in_hop_by_hop == HomeInHopByHop.TAKEN:
                        options = True
                        home = inside
            seen = mark(seen, protocol)
            from_icmp = protocol == ICMP
            protocol = frame[p]
            p = p + size
            count = count + 1
            walking = walking and not refused
    extension = other_than_fragment
    if not other_than_fragment and seen_fragment:
        extension = readings.fragment_header == FragmentHeader.EXTENSION
    if extension:
        events = events | EXTENSION
    kind_of_transport = 0
    if has_ports(protocol) and not refused and looks_for_ports(fragment, from_icmp, readings):
        if (
            padded
            and p + reach(frame, p, limit, protocol) > limit
            and readings.payload_length_bound == PayloadLengthBound.FRAME
        ):
            limit = end
        ports = transport(frame, p, limit, protocol, readings)
        kind_of_transport = ports.kind
        refused = ports.refused
        events = events | ports.events
    return Packet(
        6, start, p, limit, protocol, kind_of_transport, refused, extension, options, home, route, fragment, events
    )


def needed(protocol: int) -> int:
    """Return how many bytes of a header must be there when its length is not examined."""
    if protocol == ROUTING:
        return 4
    return 2


def whole(frame: bytes, p: int, limit: int, protocol: int, readings: Readings) -> bool:
    """Say whether the header at `p` lies inside the packet."""
    if p + needed(protocol) > limit:
        return False
    return p + extent_of(frame, p, protocol, readings) <= limit


def extent_of(frame: bytes, p: int, protocol: int, readings: Readings) -> int:
    """Return the size in bytes of the header at `p`, of which two bytes are there."""
    if protocol == FRAGMENT:
        if frame[p + 1] != 0 and readings.fragment_length == FragmentLength.RESERVED_OCTET:
            return (frame[p + 1] + 1) * 8
        return 8
    if protocol == AH:
        if readings.authentication_header == AuthenticationHeader.EIGHT_OCTETS:
            return (frame[p + 1] + 1) * 8
        return (frame[p + 1] + 2) * 4
    return (frame[p + 1] + 1) * 8


def walks_payload(protocol: int, readings: Readings) -> bool:
    """Say whether the walk goes on into the payload of a later fragment."""
    if not (has_ports(protocol) or may_walk(protocol)):
        return False
    return readings.ipv6_later_fragment != Ipv6LaterFragment.STOPS


def keep_route(route: int, found: int, size: int, readings: Readings) -> int:
    """Choose between the route so far and that of one more Routing header, which says that it has `size` bytes."""
    if route == 0:
        return found
    if readings.route_header == RouteHeader.LAST_HEADER:
        return found
    if readings.route_header == RouteHeader.LAST_OF_LENGTH and size == 24:
        return found
    if found != 0 and readings.route_header == RouteHeader.LAST:
        return found
    return route


def keep_home(home: int, found: int, readings: Readings) -> int:
    """Choose between the home address so far and that of one more Destination Options header."""
    if home == 0:
        return found
    if readings.home_header == HomeHeader.LAST_HEADER:
        return found
    if found != 0 and readings.home_header == HomeHeader.LAST:
        return found
    return home


def looks_for_ports(fragment: int, from_icmp: bool, readings: Readings) -> bool:
    """Say whether a TCP or UDP header may stand where the chain ended."""
    if from_icmp and readings.icmpv6_ports == Icmpv6Ports.IGNORED:
        return False
    if fragment == 1:
        return readings.ipv6_first_fragment == Ipv6FirstFragment.PORTS
    if fragment == 2:
        return readings.ipv6_later_fragment == Ipv6LaterFragment.PORTS
    if fragment == 3:
        return readings.atomic_fragment == AtomicFragment.WHOLE
    return True
