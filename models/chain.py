"""Which next header numbers belong to the chain of IPv6 extension headers, and how far the chain is walked.

The numbers are those of the IANA registry "IPv6 Extension Header Types"; the hashing text names no set (HT-3, X6-0).
"""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.events import (
    AUTHENTICATION,
    ESP,
    EXPERIMENTAL,
    HIP,
    ICMPV6,
    MOBILITY,
    NO_NEXT_HEADER,
    SHIM6,
    UNKNOWN_NEXT_HEADER,
)
from vnethash.spec.readings import (
    AuthenticationHeader,
    EspHeader,
    ExperimentalHeader,
    HeaderLimit,
    HipHeader,
    Icmpv6Header,
    MobilityHeader,
    NoNextHeader,
    Readings,
    Shim6Header,
    UnknownNextHeader,
)

HOP_BY_HOP = 0
ROUTING = 43
FRAGMENT = 44
ENCAPSULATING = 50
AH = 51
ICMP = 58
NONE = 59
DESTINATION_OPTIONS = 60
MOBILITY_HEADER = 135
HIP_HEADER = 139
SHIM6_HEADER = 140
#: Numbers from here to 252 are not assigned, 147 excepted.
FIRST_UNASSIGNED = 148
LAST_UNASSIGNED = 252


class Membership(NamedTuple):
    """Whether a header is walked, whether it makes a packet one with extension headers, whether all ends there."""

    walked: bool
    extension: bool
    refused: bool
    events: int


def may_walk(protocol: int) -> bool:
    """Say whether any reading walks such a header."""
    return (
        protocol == HOP_BY_HOP or protocol == ROUTING or protocol == FRAGMENT or protocol == DESTINATION_OPTIONS
        or protocol == AH or protocol == MOBILITY_HEADER or protocol == HIP_HEADER or protocol == SHIM6_HEADER
        or protocol == 253 or protocol == 254 or protocol == ENCAPSULATING or protocol == NONE or protocol == ICMP
    )


def walked_if(walks: bool, events: int) -> Membership:
    """Return the membership of a header that is an extension header exactly if it is walked."""
    return Membership(walks, walks, False, events)


def classify(protocol: int, readings: Readings) -> Membership:
    """Say what a next header number is."""
    if protocol == HOP_BY_HOP or protocol == ROUTING or protocol == FRAGMENT or protocol == DESTINATION_OPTIONS:
        return Membership(True, True, False, 0)
    if protocol == AH:
        return walked_if(readings.authentication_header != AuthenticationHeader.UPPER_LAYER, AUTHENTICATION)
    if protocol == ENCAPSULATING:
        if readings.esp_header == EspHeader.EXTENSION:
            return Membership(False, True, False, ESP)
        return walked_if(readings.esp_header == EspHeader.WALKED, ESP)
    if protocol == MOBILITY_HEADER:
        return walked_if(readings.mobility_header == MobilityHeader.EXTENSION, MOBILITY)
    if protocol == HIP_HEADER:
        return walked_if(readings.hip_header == HipHeader.EXTENSION, HIP)
    if protocol == SHIM6_HEADER:
        return walked_if(readings.shim6_header == Shim6Header.EXTENSION, SHIM6)
    if protocol == 253 or protocol == 254:
        return walked_if(readings.experimental_header == ExperimentalHeader.EXTENSION, EXPERIMENTAL)
    if protocol == NONE:
        if readings.no_next_header == NoNextHeader.EXTENSION:
            return Membership(False, True, False, NO_NEXT_HEADER)
        return walked_if(readings.no_next_header == NoNextHeader.WALKED, NO_NEXT_HEADER)
    if protocol == ICMP:
        return walked_if(readings.icmpv6_header == Icmpv6Header.WALKED, ICMPV6)
    if protocol >= FIRST_UNASSIGNED and protocol <= LAST_UNASSIGNED:
        refused = readings.unknown_next_header == UnknownNextHeader.UNHASHED
        return Membership(False, False, refused, UNKNOWN_NEXT_HEADER)
    return Membership(False, False, False, 0)


def beyond_limit(count: int, readings: Readings) -> Membership:
    """Say whether one more header is walked behind `count` of them."""
    limit = readings.header_limit
    stops = False
    refused = False
    if count == 4:
        stops = limit == HeaderLimit.FOUR
        refused = limit == HeaderLimit.FOUR_UNHASHED
    elif count == 11:
        stops = limit == HeaderLimit.ELEVEN
        refused = limit == HeaderLimit.ELEVEN_UNHASHED
    elif count == 16:
        stops = limit == HeaderLimit.SIXTEEN
        refused = limit == HeaderLimit.SIXTEEN_UNHASHED
    return Membership(not stops and not refused, True, refused, 0)


def repeated(protocol: int, seen: int) -> bool:
    """Say whether a header occurs once too often, given the headers of `mark` so far (RFC 8200 section 4.1)."""
    if protocol == HOP_BY_HOP:
        return seen & 1 != 0
    if protocol == ROUTING:
        return seen & 2 != 0
    if protocol == FRAGMENT:
        return seen & 4 != 0
    if protocol == AH:
        return seen & 8 != 0
    if protocol == DESTINATION_OPTIONS:
        return seen & 32 != 0
    return False


def mark(seen: int, protocol: int) -> int:
    """Remember a header: bits 0 Hop-by-Hop, 1 Routing, 2 Fragment, 3 AH, 4 and 5 Destination Options."""
    if protocol == HOP_BY_HOP:
        return seen | 1
    if protocol == ROUTING:
        return seen | 2
    if protocol == FRAGMENT:
        return seen | 4
    if protocol == AH:
        return seen | 8
    if protocol == DESTINATION_OPTIONS:
        if seen & 16 != 0:
            return seen | 32
        return seen | 16
    return seen
