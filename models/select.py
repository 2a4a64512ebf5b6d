"""Which hash type applies to a packet and which fields it hashes (V4-1 to V4-4, V6-1 to V6-4, X6-1 to X6-4)."""

from __future__ import annotations

from vnethash.models.events import (
    NOT_IP_RULE,
    REFUSED_RULE,
    V4_1,
    V4_2,
    V4_3,
    V4_4,
    V6_1,
    V6_2,
    V6_3,
    V6_4,
    X6_1,
    X6_2,
    X6_3,
)
from vnethash.models.packet import Packet, Selection
from vnethash.models.transport import TCP, UDP
from vnethash.spec.constants import HashType
from vnethash.spec.readings import (
    ExPackets,
    ExPrecedence,
    FieldOrder,
    HomeMissing,
    HomeRoutePair,
    LaterFragmentEx,
    OtherTransport,
    PlainAddresses,
    PlainAfterExtension,
    Readings,
)

# Plain integers: the model's arithmetic is that of all three executions.
IPV4_ON = int(HashType.IPV4)
TCPV4_ON = int(HashType.TCPV4)
UDPV4_ON = int(HashType.UDPV4)
IPV6_ON = int(HashType.IPV6)
TCPV6_ON = int(HashType.TCPV6)
UDPV6_ON = int(HashType.UDPV6)
IP_EX_ON = int(HashType.IP_EX)
TCP_EX_ON = int(HashType.TCP_EX)
UDP_EX_ON = int(HashType.UDP_EX)
EX_TYPES = IP_EX_ON | TCP_EX_ON | UDP_EX_ON

# Report values (REP-4).
IPV4, TCPV4, UDPV4, IPV6, TCPV6, UDPV6, IPV6_EX, TCPV6_EX, UDPV6_EX = 1, 2, 3, 4, 5, 6, 7, 8, 9


def unhashed(rule: int, events: int) -> Selection:
    """Return the selection of a packet that is not hashed (RSS-D3, REP-2)."""
    return Selection(0, 0, 0, 0, 0, rule, events)


def select(packet: Packet, types: int, readings: Readings) -> Selection:
    """Choose the hash of a packet under the enabled hash types."""
    if packet.version == 0:
        return unhashed(NOT_IP_RULE, packet.events)
    if packet.refused:
        return unhashed(REFUSED_RULE, packet.events)
    if packet.version == 4:
        return select_ipv4(packet, types, readings)
    return select_ipv6(packet, types, readings)


def falls_through(tcp: bool, udp: bool, tcp_on: bool, udp_on: bool, readings: Readings) -> bool:
    """Say whether a packet whose transport is not enabled, beside one that is, is hashed by its addresses."""
    if (tcp and udp_on and not tcp_on) or (udp and tcp_on and not udp_on):
        return readings.other_transport == OtherTransport.ADDRESSES
    return True


def select_ipv4(packet: Packet, types: int, readings: Readings) -> Selection:
    """Apply the rules for IPv4 (V4-1 to V4-4)."""
    source = packet.l3 + 12
    destination = packet.l3 + 16
    if packet.route != 0:
        destination = packet.route
    tcp = packet.transport == TCP
    udp = packet.transport == UDP
    tcp_on = types & TCPV4_ON != 0
    udp_on = types & UDPV4_ON != 0
    if tcp_on and tcp:
        return Selection(TCPV4, source, destination, 4, packet.l4, V4_1, packet.events)
    if udp_on and udp:
        return Selection(UDPV4, source, destination, 4, packet.l4, V4_2, packet.events)
    if types & IPV4_ON != 0 and falls_through(tcp, udp, tcp_on, udp_on, readings):
        return Selection(IPV4, source, destination, 4, 0, V4_3, packet.events)
    return unhashed(V4_4, packet.events)


def select_ipv6(packet: Packet, types: int, readings: Readings) -> Selection:
    """Apply the rules for IPv6 with and without extension headers (X6-1 to X6-4, V6-1 to V6-4)."""
    tcp = packet.transport == TCP
    udp = packet.transport == UDP
    if types & EX_TYPES != 0:
        if readings.ex_packets == ExPackets.MODIFIER:
            return select_modified(packet, tcp, udp, types, readings)
        applies = packet.extension
        if readings.ex_packets == ExPackets.HOME_OR_ROUTE:
            applies = packet.home != 0 or packet.route != 0
        elif readings.ex_packets == ExPackets.ALL_IPV6:
            applies = True
        if applies:
            if tcp and types & TCP_EX_ON != 0:
                return extended(packet, TCPV6_EX, packet.l4, X6_1, readings)
            if udp and types & UDP_EX_ON != 0:
                return extended(packet, UDPV6_EX, packet.l4, X6_2, readings)
            if types & IP_EX_ON != 0:
                base = (tcp and types & TCPV6_ON != 0) or (udp and types & UDPV6_ON != 0)
                ex_tcp = types & TCP_EX_ON != 0
                ex_udp = types & UDP_EX_ON != 0
                if not base or readings.ex_precedence == ExPrecedence.IP_EX_FIRST:
                    if falls_through(tcp, udp, ex_tcp, ex_udp, readings):
                        return extended(packet, IPV6_EX, 0, X6_3, readings)
    return select_plain(packet, tcp, udp, types, readings)


def select_plain(packet: Packet, tcp: bool, udp: bool, types: int, readings: Readings) -> Selection:
    """Apply the rules for IPv6 without extension headers (V6-1 to V6-4), by way of X6-4 if there are any."""
    tcp_on = types & TCPV6_ON != 0
    udp_on = types & UDPV6_ON != 0
    ports = 0
    report = 0
    rule = V6_4
    if tcp_on and tcp:
        report = TCPV6
        ports = packet.l4
        rule = V6_1
    elif udp_on and udp:
        report = UDPV6
        ports = packet.l4
        rule = V6_2
    elif types & IPV6_ON != 0:
        # Behind extension headers the EX type of a transport stands beside its plain type.
        if packet.extension:
            tcp_on = tcp_on or types & TCP_EX_ON != 0
            udp_on = udp_on or types & UDP_EX_ON != 0
        if falls_through(tcp, udp, tcp_on, udp_on, readings):
            report = IPV6
            rule = V6_3
    if report == 0:
        return unhashed(rule, packet.events)
    if packet.extension and readings.plain_after_extension == PlainAfterExtension.UNHASHED:
        return unhashed(REFUSED_RULE, packet.events)
    source = packet.l3 + 8
    destination = packet.l3 + 24
    if (packet.home != 0 or packet.route != 0) and readings.plain_addresses == PlainAddresses.HOME_AND_ROUTE:
        if packet.home != 0:
            source = packet.home
        if packet.route != 0:
            destination = packet.route
    return Selection(report, source, destination, 16, ports, rule, packet.events)


def select_modified(packet: Packet, tcp: bool, udp: bool, types: int, readings: Readings) -> Selection:
    """Apply each EX type only where the base type beside it is enabled too."""
    if packet.extension:
        tcp_on = tcp and types & TCPV6_ON != 0
        udp_on = udp and types & UDPV6_ON != 0
        if tcp_on and types & TCP_EX_ON != 0:
            return extended(packet, TCPV6_EX, packet.l4, X6_1, readings)
        if udp_on and types & UDP_EX_ON != 0:
            return extended(packet, UDPV6_EX, packet.l4, X6_2, readings)
        if types & IPV6_ON != 0 and types & IP_EX_ON != 0:
            if not (tcp_on or udp_on) or readings.ex_precedence == ExPrecedence.IP_EX_FIRST:
                return extended(packet, IPV6_EX, 0, X6_3, readings)
    return select_plain(packet, tcp, udp, types, readings)


def extended(packet: Packet, report: int, ports: int, rule: int, readings: Readings) -> Selection:
    """Hash the home address and the route of the packet, or the header's addresses where they are not there."""
    source = packet.l3 + 8
    destination = packet.l3 + 24
    home = packet.home
    route = packet.route
    if packet.options and home == 0 and readings.home_missing == HomeMissing.UNHASHED:
        return unhashed(REFUSED_RULE, packet.events)
    if packet.fragment == 2 and (home != 0 or route != 0) and readings.later_fragment_ex == LaterFragmentEx.UNUSED:
        home = 0
        route = 0
    if (home != 0) != (route != 0) and readings.home_route_pair == HomeRoutePair.BOTH:
        home = 0
        route = 0
    if route != 0 and readings.home_route_pair == HomeRoutePair.HOME_ONLY:
        route = 0
    if home != 0:
        source = home
    if route != 0:
        destination = route
    if destination < source and readings.field_order == FieldOrder.PACKET:
        return Selection(report, destination, source, 16, ports, rule, packet.events)
    return Selection(report, source, destination, 16, ports, rule, packet.events)
