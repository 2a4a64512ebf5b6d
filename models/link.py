"""From the Ethernet header to the IP header: tags, SNAP, PPPoE, MPLS.

The hashing text begins at the IP packet (V4-0, V6-0); how a device finds it is open (area "link" of the questions).
"""

from __future__ import annotations

from vnethash.models.events import NOT_IP, RUNT, SHIM, SNAP, TAG_CUT, TAGGED
from vnethash.models.packet import Link, word
from vnethash.spec.readings import LlcSnap, Readings, ShimHeaders, VlanTags, VlanTpid

IPV4 = 0x0800
IPV6 = 0x86DD
CUSTOMER_TAG = 0x8100
SERVICE_TAG = 0x88A8
LEGACY_TAG = 0x9100
PPPOE_SESSION = 0x8864
MPLS = 0x8847


def link(frame: bytes, length: int, readings: Readings) -> Link:
    """Find the IP header of an Ethernet frame."""
    if length < 14:
        return Link(0, 0, RUNT)
    found = skip_tags(frame, length, 14, word(frame, 12), readings)
    if found.ethertype < 0x0600:
        found = snap(frame, length, found, readings)
    elif found.ethertype == PPPOE_SESSION or found.ethertype == MPLS:
        found = shim(frame, length, found, readings)
    if found.ethertype != IPV4 and found.ethertype != IPV6:
        return Link(0, found.offset, found.events | NOT_IP)
    return found


def skip_tags(frame: bytes, length: int, offset: int, ethertype: int, readings: Readings) -> Link:
    """Skip VLAN tags; `offset` is that of what `ethertype` names (a tag's own two bytes, if it is one)."""
    tags = 0
    events = 0
    last = 0
    walking = ethertype == CUSTOMER_TAG or ethertype == SERVICE_TAG or ethertype == LEGACY_TAG
    while walking:
        events = events | TAGGED
        if ethertype == LEGACY_TAG and readings.vlan_tpid != VlanTpid.LEGACY_TOO:
            walking = False
        elif ethertype == SERVICE_TAG and readings.vlan_tpid == VlanTpid.CUSTOMER:
            walking = False
        elif not takes_tag(tags, last, ethertype, readings):
            walking = False
        elif ethertype == SERVICE_TAG and takes_pair(readings) and offset + 8 <= length:
            following = word(frame, offset + 2)
            ethertype = word(frame, offset + 6)
            paired = following == CUSTOMER_TAG or following == SERVICE_TAG
            if paired or readings.vlan_tags == VlanTags.SERVICE_PAIR:
                offset = offset + 8
            else:
                offset = offset + 4
            walking = False
        elif offset + 4 > length:
            events = events | TAG_CUT
            ethertype = 0xFFFF
            walking = False
        else:
            last = ethertype
            ethertype = word(frame, offset + 2)
            offset = offset + 4
            tags = tags + 1
            walking = ethertype == CUSTOMER_TAG or ethertype == SERVICE_TAG or ethertype == LEGACY_TAG
    return Link(ethertype, offset, events)


def takes_tag(tags: int, last: int, ethertype: int, readings: Readings) -> bool:
    """Say whether one more tag is skipped behind `tags` of them, the last of which had the EtherType `last`."""
    if readings.vlan_tags == VlanTags.NONE:
        return False
    if tags == 0 or readings.vlan_tags == VlanTags.ANY:
        return True
    if readings.vlan_tags == VlanTags.ORDERED:
        return tags == 1 and last == SERVICE_TAG and ethertype == CUSTOMER_TAG
    return False


def takes_pair(readings: Readings) -> bool:
    """Say whether a service tag is taken for two tags."""
    return readings.vlan_tags == VlanTags.SERVICE_PAIR or readings.vlan_tags == VlanTags.SERVICE_TYPE


def snap(frame: bytes, length: int, found: Link, readings: Readings) -> Link:
    """Look behind an 802.3 length for a SNAP header with the OUI of Ethernet (RFC 1042)."""
    o = found.offset
    if o + 8 > length:
        return found
    plain = frame[o] == 0xAA and frame[o + 1] == 0xAA and frame[o + 2] == 3
    plain = plain and frame[o + 3] == 0 and frame[o + 4] == 0 and frame[o + 5] == 0
    if not plain:
        return found
    ethertype = word(frame, o + 6)
    if ethertype != IPV4 and ethertype != IPV6:
        return found
    if readings.llc_snap == LlcSnap.NOT_IP:
        return Link(0, o, found.events | SNAP)
    return Link(ethertype, o + 8, found.events | SNAP)


def shim(frame: bytes, length: int, found: Link, readings: Readings) -> Link:
    """Look behind a PPPoE session header (RFC 2516) or an MPLS label stack (RFC 3032)."""
    o = found.offset
    ethertype = 0
    if found.ethertype == PPPOE_SESSION:
        if o + 8 <= length:
            protocol = word(frame, o + 6)
            if protocol == 0x0021:
                ethertype = IPV4
            elif protocol == 0x0057:
                ethertype = IPV6
        o = o + 8
    else:
        bottom = False
        while not bottom and o + 4 <= length:
            bottom = frame[o + 2] & 1 == 1
            o = o + 4
        if bottom and o < length:
            if frame[o] >> 4 == 4:
                ethertype = IPV4
            elif frame[o] >> 4 == 6:
                ethertype = IPV6
    if ethertype == 0:
        return found
    if readings.shim_headers == ShimHeaders.NOT_IP:
        return Link(0, found.offset, found.events | SHIM)
    return Link(ethertype, o, found.events | SHIM)
