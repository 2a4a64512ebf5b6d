"""Addresses in IPv6 options and routing headers: the Home Address option and the type 2 route (RFC 6275, X6-1)."""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.events import (
    HOME,
    HOME_LENGTH,
    HOME_MISALIGNED,
    HOME_OVERRUN,
    HOME_REPEATED,
    HOME_TYPE,
    MANY_OPTIONS,
    OPTION_OVERRUN,
    ROUTE,
    ROUTE_LENGTH,
    ROUTE_OTHER,
    ROUTE_SEGMENTS,
)
from vnethash.spec.readings import (
    ChainCut,
    HomeAlignment,
    HomeLength,
    HomeOverrun,
    HomeRepeated,
    HomeType,
    OptionLimit,
    OptionOverrun,
    OptionWalkEnd,
    Readings,
    RouteLength,
    RouteOther,
    RouteSegments,
)

HOME_ADDRESS = 0xC9
HOME_ROUTE = 2


class Address(NamedTuple):
    """The offset of 16 bytes of address, 0 if there is none; `refused` if the packet is not to be hashed."""

    offset: int
    refused: bool
    events: int


def no_address() -> Address:
    """Return no address."""
    return Address(0, False, 0)


def cut_refused(readings: Readings) -> bool:
    """Say whether bytes that the packet no longer has stop the hash; otherwise they only give no address."""
    return readings.chain_cut == ChainCut.UNHASHED or readings.chain_cut == ChainCut.UNCHECKED


def ends_early(header: int, stop: int, p: int, readings: Readings) -> bool:
    """Say whether the walk over the options of a header ends before the option at `p`, though that is within it."""
    if p == header + 2:
        return False
    if p + 2 >= stop and readings.option_walk_end == OptionWalkEnd.TWO_SHORT:
        return True
    return p + 1 >= stop - 8 and readings.option_walk_end == OptionWalkEnd.EIGHT_SHORT


def is_over(header: int, stop: int, p: int, found: int, readings: Readings) -> bool:
    """Say whether a walk that has `found` an address has no more to read, so that what is not there stops nothing."""
    if found != 0 and readings.home_repeated == HomeRepeated.FIRST:
        return True
    return ends_early(header, stop, p, readings)


def is_home_type(option: int, readings: Readings) -> bool:
    """Say whether an option type is that of the Home Address."""
    if option == HOME_ADDRESS:
        return True
    return option & 31 == HOME_ADDRESS & 31 and readings.home_type == HomeType.LOW_BITS


def home_address(frame: bytes, header: int, size: int, end: int, readings: Readings) -> Address:
    """Walk the options of the Destination Options header at `header`; `end` is that of the packet."""
    stop = header + size
    p = header + 2
    found = 0
    count = 0
    refused = False
    events = 0
    walking = p < stop
    while walking:
        if count == 30:
            events = events | MANY_OPTIONS
        if p >= end:
            # Only where a header's length is not held against the packet does the walk get here.
            refused = cut_refused(readings) and not is_over(header, stop, p, found, readings)
            walking = False
        elif count == 30 and readings.option_limit == OptionLimit.THIRTY:
            walking = False
        elif frame[p] == 0:
            p = p + 1
        elif p + 1 >= end and p + 1 < stop:
            # The same: a whole header's last byte is no option (question option-overrun or home-overrun).
            refused = cut_refused(readings) and not is_over(header, stop, p, found, readings)
            walking = False
        elif is_home_type(frame[p], readings):
            if frame[p] != HOME_ADDRESS:
                events = events | HOME_TYPE
            home = home_option(frame, header, stop, p, end, readings)
            events = events | home.events
            refused = home.refused
            if home.offset != 0 and found != 0:
                events = events | HOME_REPEATED
                if readings.home_repeated == HomeRepeated.LAST:
                    found = home.offset
                elif readings.home_repeated == HomeRepeated.UNHASHED:
                    refused = True
            elif home.offset != 0:
                found = home.offset
            if p + 1 < stop:
                p = p + 2 + frame[p + 1]
            else:
                p = stop
            walking = not refused
        elif p + 1 >= stop or p + 2 + frame[p + 1] > stop:
            events = events | OPTION_OVERRUN
            refused = readings.option_overrun == OptionOverrun.UNHASHED
            walking = False
        else:
            p = p + 2 + frame[p + 1]
        count = count + 1
        walking = walking and p < stop
    return Address(found, refused, events)


def home_option(frame: bytes, header: int, stop: int, p: int, end: int, readings: Readings) -> Address:
    """Judge the Home Address option at `p` of a header that ends at `stop`."""
    events = HOME
    if p + 1 >= stop or p + 2 + frame[p + 1] > stop or p + 18 > stop:
        if p + 1 < stop and p + 2 + frame[p + 1] <= stop:
            # Its length is wrong, so that the option ends inside the header but 16 bytes would not.
            events = events | HOME_LENGTH
            if readings.home_length == HomeLength.UNHASHED:
                return Address(0, True, events)
            if readings.home_length == HomeLength.IGNORED:
                return Address(0, False, events)
        else:
            events = events | HOME_OVERRUN
            if readings.home_overrun == HomeOverrun.UNHASHED:
                return Address(0, True, events)
            if readings.home_overrun == HomeOverrun.IGNORED:
                return Address(0, False, events)
        if ends_early(header, stop, p, readings):
            return Address(0, False, events)
        if p + 18 > end:
            return Address(0, cut_refused(readings), events)
        return Address(p + 2, False, events)
    if frame[p + 1] != 16:
        events = events | HOME_LENGTH
        if readings.home_length == HomeLength.UNHASHED:
            return Address(0, True, events)
        if readings.home_length == HomeLength.IGNORED:
            return Address(0, False, events)
    elif (p - header) & 7 != 6:
        events = events | HOME_MISALIGNED
        if readings.home_alignment == HomeAlignment.REQUIRED:
            return Address(0, False, events)
    if p + 18 > end:
        return Address(0, cut_refused(readings), events)
    return Address(p + 2, False, events)


def plain_home(frame: bytes, header: int, size: int) -> int:
    """Return the offset of a well-formed Home Address in a header that lies inside the packet, 0 if none."""
    stop = header + size
    p = header + 2
    found = 0
    while found == 0 and p + 18 <= stop:
        if frame[p] == 0:
            p = p + 1
        elif frame[p] == HOME_ADDRESS and frame[p + 1] == 16:
            found = p + 2
        else:
            p = p + 2 + frame[p + 1]
    return found


def route_address(frame: bytes, header: int, size: int, end: int, readings: Readings) -> Address:
    """Judge the Routing header at `header`, of which at least four bytes are there; `end` is that of the packet."""
    if frame[header + 2] != HOME_ROUTE:
        return other_route(frame, header, size, readings)
    events = ROUTE
    if frame[header + 1] != 2:
        events = events | ROUTE_LENGTH
        if readings.route_length == RouteLength.UNHASHED:
            return Address(0, True, events)
        if readings.route_length == RouteLength.IGNORED:
            return Address(0, False, events)
    if frame[header + 3] != 1:
        events = events | ROUTE_SEGMENTS
        if readings.route_segments == RouteSegments.ONE:
            return Address(0, False, events)
        if readings.route_segments == RouteSegments.ONE_OR_UNHASHED:
            return Address(0, True, events)
    if header + 24 > end:
        return Address(0, cut_refused(readings), events)
    return Address(header + 8, False, events)


def other_route(frame: bytes, header: int, size: int, readings: Readings) -> Address:
    """Find the final segment of a source route (type 0) or a segment routing header (type 4, RFC 8754)."""
    kind = frame[header + 2]
    final = 0
    if kind == 0 and size >= 24:
        final = header + 8 + ((frame[header + 1] >> 1) - 1) * 16
    elif kind == 4 and size >= 24:
        final = header + 8
    if final != 0 and readings.route_other == RouteOther.FINAL:
        return Address(final, False, ROUTE_OTHER)
    return Address(0, False, ROUTE_OTHER)
