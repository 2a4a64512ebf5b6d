"""Encapsulated packets (TUN-1 to TUN-4): does the outer header match an enabled type, and where is the inner packet."""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.events import INNER_CUT, INNER_NOT_IP, TUNNEL
from vnethash.models.link import CUSTOMER_TAG, IPV4, IPV6, LEGACY_TAG, SERVICE_TAG, skip_tags
from vnethash.models.packet import Packet, word
from vnethash.spec.constants import TunnelType
from vnethash.spec.readings import (
    GreTypes,
    GreVersion,
    InnerVlan,
    IpipScope,
    OuterFragment,
    OuterOptions,
    Readings,
    TunnelHeader,
    VxlanFlag,
    VxlanPort,
)

IPIP = 4
IPV6_IN_IP = 41
GRE = 47
UDP = 17
ETHERNET = 0x6558

GRE_UDP_PORT = 4754
VXLAN_PORT = 4789
VXLAN_GPE_PORT = 4790
VXLAN_LINUX_PORT = 8472
GENEVE_PORT = 6081

# Plain integers, as in `select.py`.
GRE_2784 = int(TunnelType.GRE_2784)
GRE_2890 = int(TunnelType.GRE_2890)
GRE_7676 = int(TunnelType.GRE_7676)
GRE_UDP = int(TunnelType.GRE_UDP)
VXLAN = int(TunnelType.VXLAN)
VXLAN_GPE = int(TunnelType.VXLAN_GPE)
GENEVE = int(TunnelType.GENEVE)
IPIP_TYPE = int(TunnelType.IPIP)
NVGRE = int(TunnelType.NVGRE)
ANY_GRE = GRE_2784 | GRE_2890 | GRE_7676 | NVGRE


class Inner(NamedTuple):
    """The inner packet of a tunnel.

    Attributes:
        matched: the outer header matches an enabled encapsulation type.
        refused: nothing is to be hashed.
        ethertype: that of the inner packet; 0 if it is not IP.
        offset: where the inner IP header begins.
        events: bits of `events.py`.
    """

    matched: bool
    refused: bool
    ethertype: int
    offset: int
    events: int


def no_match() -> Inner:
    """Return what stands for "no tunnel"."""
    return Inner(False, False, 0, 0, 0)


def inner(ethertype: int, offset: int) -> Inner:
    """Return an inner packet that follows a tunnel header directly."""
    if ethertype == IPV4 or ethertype == IPV6:
        return Inner(True, False, ethertype, offset, TUNNEL)
    return Inner(True, False, 0, offset, TUNNEL | INNER_NOT_IP)


def cut(readings: Readings) -> Inner:
    """Judge a tunnel whose header is not all there."""
    if readings.tunnel_header == TunnelHeader.WHOLE:
        return no_match()
    return Inner(True, False, 0, 0, TUNNEL | INNER_CUT)


def encapsulates(packet: Packet) -> bool:
    """Say whether the protocol number alone names a tunnel: GRE or IP in IP."""
    return packet.protocol == GRE or packet.protocol == IPIP or packet.protocol == IPV6_IN_IP


def tunnel(frame: bytes, packet: Packet, types: int, readings: Readings) -> Inner:
    """Look for an enabled tunnel in an outer packet."""
    if packet.version == 0 or packet.refused or packet.l4 == 0 or packet.fragment == 2:
        return no_match()
    found = match(frame, packet, types, readings)
    if not found.matched and not found.refused:
        return found
    if packet.fragment == 1 and readings.outer_fragment == OuterFragment.OUTER:
        return no_match()
    options = packet.extension or (packet.version == 4 and packet.l4 > packet.l3 + 20)
    if options and readings.outer_options == OuterOptions.NO_MATCH:
        return no_match()
    return found


def match(frame: bytes, packet: Packet, types: int, readings: Readings) -> Inner:
    """Match protocol number or port, then the tunnel header."""
    o = packet.l4
    if packet.protocol == GRE:
        if types & ANY_GRE != 0:
            return gre(frame, o, packet, types, readings)
        return no_match()
    if packet.protocol == IPIP or packet.protocol == IPV6_IN_IP:
        return ip_in_ip(o, packet, types, readings)
    if packet.protocol != UDP or o + 8 > packet.end:
        return no_match()
    port = word(frame, o + 2)
    o = o + 8
    if port == GRE_UDP_PORT and types & GRE_UDP != 0:
        return gre(frame, o, packet, 0, readings)
    if port == VXLAN_PORT and types & VXLAN != 0:
        return vxlan(frame, o, packet.end, False, readings)
    if port == VXLAN_LINUX_PORT and types & VXLAN != 0 and readings.vxlan_port == VxlanPort.LINUX_TOO:
        return vxlan(frame, o, packet.end, False, readings)
    if port == VXLAN_GPE_PORT and types & VXLAN_GPE != 0:
        return vxlan(frame, o, packet.end, True, readings)
    if port == GENEVE_PORT and types & GENEVE != 0:
        return geneve(frame, o, packet.end, readings)
    return no_match()


def ip_in_ip(o: int, packet: Packet, types: int, readings: Readings) -> Inner:
    """Match IP in IP (RFC 2003 is IPv4 in IPv4)."""
    if types & IPIP_TYPE == 0:
        return no_match()
    four_in_four = packet.protocol == IPIP and packet.version == 4
    if not four_in_four and readings.ipip_scope == IpipScope.FOUR_IN_FOUR:
        return no_match()
    if packet.protocol == IPIP:
        return inner(IPV4, o)
    return inner(IPV6, o)


def gre(frame: bytes, o: int, packet: Packet, types: int, readings: Readings) -> Inner:
    """Match a GRE header (RFC 2784, 2890, 7676, 7637); `types` is 0 for GRE in UDP, which has its own type."""
    if o + 4 > packet.end:
        return cut(readings)
    flags = word(frame, o)
    if flags & 0x4007 != 0:
        return Inner(False, readings.gre_version == GreVersion.UNHASHED, 0, 0, 0)
    payload = word(frame, o + 2)
    if types != 0 and not gre_matches(flags, payload, packet.version, types, readings):
        return no_match()
    size = 4
    if flags & 0x8000 != 0:
        size = size + 4
    if flags & 0x2000 != 0:
        size = size + 4
    if flags & 0x1000 != 0:
        size = size + 4
    if o + size > packet.end:
        return cut(readings)
    if payload == ETHERNET:
        return ethernet(frame, o + size, packet.end, readings)
    return inner(payload, o + size)


def gre_matches(flags: int, payload: int, version: int, types: int, readings: Readings) -> bool:
    """Say whether a GRE header belongs to an enabled GRE type."""
    extended = flags & 0x3000 != 0
    by_header = False
    if extended and types & GRE_2890 != 0:
        by_header = True
    if flags & 0xB000 == 0x2000 and payload == ETHERNET and types & NVGRE != 0:
        by_header = True
    six = version == 6 or payload == IPV6
    if not extended and six and types & GRE_7676 != 0:
        by_header = True
    if not extended and not six and types & GRE_2784 != 0:
        by_header = True
    if by_header:
        return True
    if readings.gre_types == GreTypes.ANY:
        return True
    return types & GRE_2890 != 0 and readings.gre_types == GreTypes.EXTENDED


def vxlan(frame: bytes, o: int, end: int, generic: bool, readings: Readings) -> Inner:
    """Match a VXLAN header (RFC 7348) or, if `generic`, that of VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe-12)."""
    if o + 8 > end:
        return cut(readings)
    if frame[o] & 8 == 0 and readings.vxlan_flag == VxlanFlag.REQUIRED:
        return no_match()
    if generic and frame[o] & 4 != 0:
        if frame[o + 3] == 1:
            return inner(IPV4, o + 8)
        if frame[o + 3] == 2:
            return inner(IPV6, o + 8)
        if frame[o + 3] != 3:
            return inner(0, o + 8)
    return ethernet(frame, o + 8, end, readings)


def geneve(frame: bytes, o: int, end: int, readings: Readings) -> Inner:
    """Match a Geneve header (RFC 8926 section 3.4)."""
    if o + 8 > end or o + 8 + (frame[o] & 63) * 4 > end:
        return cut(readings)
    offset = o + 8 + (frame[o] & 63) * 4
    if word(frame, o + 2) == ETHERNET:
        return ethernet(frame, offset, end, readings)
    return inner(word(frame, o + 2), offset)


def ethernet(frame: bytes, o: int, end: int, readings: Readings) -> Inner:
    """Find the IP header of an inner Ethernet frame."""
    if o + 14 > end:
        return Inner(True, False, 0, o, TUNNEL | INNER_CUT)
    ethertype = word(frame, o + 12)
    if ethertype == CUSTOMER_TAG or ethertype == SERVICE_TAG or ethertype == LEGACY_TAG:
        if readings.inner_vlan == InnerVlan.NOT_IP:
            return Inner(True, False, 0, o, TUNNEL | INNER_NOT_IP)
        behind = skip_tags(frame, end, o + 14, ethertype, readings)
        return inner(behind.ethertype, behind.offset)
    return inner(ethertype, o + 14)
