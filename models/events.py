"""Names of what the model sees in a frame and of the rules that it follows, with the clauses behind them."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One line of an explanation: what happened, and the clauses (or RFC sections) behind it."""

    words: str
    sources: tuple[str, ...]


RUNT = 1 << 0
TAGGED = 1 << 1
TAG_CUT = 1 << 2
SNAP = 1 << 3
SHIM = 1 << 4
NOT_IP = 1 << 5
VERSION_MISMATCH = 1 << 6
SHORT_HEADER = 1 << 7
IHL_SMALL = 1 << 8
IHL_BEYOND = 1 << 9
IPV4_OPTIONS = 1 << 10
SOURCE_ROUTE = 1 << 11
TOTAL_ZERO = 1 << 12
TOTAL_SHORT = 1 << 13
TOTAL_LONG = 1 << 14
PADDED = 1 << 15
FLAGS_ONLY = 1 << 16
FIRST_FRAGMENT = 1 << 17
LATER_FRAGMENT = 1 << 18
ATOMIC_FRAGMENT = 1 << 19
TCP_HEADER = 1 << 20
TCP_CUT = 1 << 21
TCP_OFFSET = 1 << 22
UDP_HEADER = 1 << 23
UDP_CUT = 1 << 24
UDP_LENGTH = 1 << 25
OTHER_PORTS = 1 << 26
EXTENSION = 1 << 27
CHAIN_CUT = 1 << 28
HOME = 1 << 29
HOME_LENGTH = 1 << 30
HOME_OVERRUN = 1 << 31
HOME_REPEATED = 1 << 32
HOME_MISALIGNED = 1 << 33
HOME_IN_HOP_BY_HOP = 1 << 34
OPTION_OVERRUN = 1 << 35
MANY_OPTIONS = 1 << 36
ROUTE = 1 << 37
ROUTE_LENGTH = 1 << 38
ROUTE_SEGMENTS = 1 << 39
ROUTE_OTHER = 1 << 40
ESP = 1 << 41
AUTHENTICATION = 1 << 42
MOBILITY = 1 << 43
HIP = 1 << 44
SHIM6 = 1 << 45
EXPERIMENTAL = 1 << 46
NO_NEXT_HEADER = 1 << 47
ICMPV6 = 1 << 48
UNKNOWN_NEXT_HEADER = 1 << 49
MISPLACED_HOP_BY_HOP = 1 << 50
REPEATED_HEADER = 1 << 51
MANY_HEADERS = 1 << 52
FRAGMENT_RESERVED = 1 << 53
PAYLOAD_ZERO = 1 << 54
PAYLOAD_LONG = 1 << 55
TUNNEL = 1 << 56
INNER_NOT_IP = 1 << 57
INNER_CUT = 1 << 58
NESTED_TUNNEL = 1 << 59
HOME_TYPE = 1 << 60

EVENTS: dict[int, Step] = {
    RUNT: Step("the frame ends inside the Ethernet header", ("HC-9",)),
    TAGGED: Step("the frame carries a VLAN tag", ("IEEE 802.1Q 9.3",)),
    TAG_CUT: Step("the frame ends inside a VLAN tag", ("IEEE 802.1Q 9.3",)),
    SNAP: Step("the frame has an 802.3 length and a SNAP header", ("RFC 1042",)),
    SHIM: Step("the frame carries PPPoE or MPLS", ("RFC 2516 4", "RFC 3032 2.1")),
    NOT_IP: Step("the EtherType is neither IPv4 nor IPv6", ("V4-0", "V6-0")),
    VERSION_MISMATCH: Step("EtherType and IP version disagree", ("V4-0", "V6-0", "RFC 791 3.1", "RFC 8200 3")),
    SHORT_HEADER: Step("the frame ends inside the IP base header", ("RFC 791 3.1", "RFC 8200 3")),
    IHL_SMALL: Step("IHL is below 5", ("RFC 791 3.1",)),
    IHL_BEYOND: Step("IHL points past the end of the packet", ("RFC 791 3.1",)),
    IPV4_OPTIONS: Step("the IPv4 header has options", ("RFC 791 3.1", "MS-T7")),
    SOURCE_ROUTE: Step("an IPv4 source route option is there", ("RFC 791 3.1",)),
    TOTAL_ZERO: Step("Total Length is 0", ("RFC 791 3.1",)),
    TOTAL_SHORT: Step("Total Length is below the header length", ("RFC 791 3.1",)),
    TOTAL_LONG: Step("Total Length is more than the frame holds", ("RFC 791 3.1",)),
    PADDED: Step("bytes follow behind the end of the IP packet", ("RFC 894",)),
    FLAGS_ONLY: Step("DF or the reserved flag is set, MF is not and the offset is 0", ("RFC 791 3.1",)),
    FIRST_FRAGMENT: Step("this is a first fragment", ("RFC 791 3.2", "RFC 8200 4.5", "MS-T6")),
    LATER_FRAGMENT: Step("this is a later fragment", ("RFC 791 3.2", "RFC 8200 4.5")),
    ATOMIC_FRAGMENT: Step("this is an atomic fragment", ("RFC 6946",)),
    TCP_HEADER: Step("the packet has a TCP header", ("V4-1", "V6-1", "X6-1")),
    TCP_CUT: Step("the packet ends inside the TCP header", ("RFC 9293 3.1",)),
    TCP_OFFSET: Step("the TCP data offset cannot be", ("RFC 9293 3.1",)),
    UDP_HEADER: Step("the packet has a UDP header", ("V4-2", "V6-2", "X6-2")),
    UDP_CUT: Step("the packet ends inside the UDP header", ("RFC 768",)),
    UDP_LENGTH: Step("the UDP length cannot be", ("RFC 768",)),
    OTHER_PORTS: Step("UDP-Lite, SCTP or DCCP: not TCP, not UDP", ("V4-3", "V6-3")),
    EXTENSION: Step("the packet has extension headers", ("X6-0", "RFC 8200 4")),
    CHAIN_CUT: Step("the packet ends inside an extension header", ("RFC 8200 4",)),
    HOME: Step("a Home Address option is there", ("X6-1", "RFC 6275 6.3")),
    HOME_LENGTH: Step("a Home Address option has a length other than 16", ("RFC 6275 6.3",)),
    HOME_OVERRUN: Step("a Home Address option runs past its header", ("RFC 6275 6.3",)),
    HOME_REPEATED: Step("a header has two Home Address options", ("RFC 6275 6.3",)),
    HOME_MISALIGNED: Step("a Home Address option is not at 8n+6", ("RFC 6275 6.3",)),
    HOME_IN_HOP_BY_HOP: Step("a Home Address option stands in a Hop-by-Hop header", ("X6-1",)),
    HOME_TYPE: Step("an option type shares the low five bits of the Home Address", ("RFC 6275 6.3", "RFC 8200 4.2")),
    OPTION_OVERRUN: Step("an option runs past its header", ("RFC 8200 4.2",)),
    MANY_OPTIONS: Step("a header has more than 30 options", ("RFC 8200 4.2",)),
    ROUTE: Step("a type 2 routing header is there", ("X6-1", "RFC 6275 6.4")),
    ROUTE_LENGTH: Step("a type 2 routing header has a Hdr Ext Len other than 2", ("RFC 6275 6.4.1",)),
    ROUTE_SEGMENTS: Step("a type 2 routing header has Segments Left other than 1", ("RFC 6275 6.4.1",)),
    ROUTE_OTHER: Step("a routing header of another type is there", ("RFC 8200 4.4",)),
    ESP: Step("ESP is met in the chain", ("RFC 4303", "RFC 7045")),
    AUTHENTICATION: Step("AH is met", ("RFC 4302 2.2",)),
    MOBILITY: Step("a Mobility Header is met in the chain", ("RFC 6275 6.1",)),
    HIP: Step("HIP is met in the chain", ("RFC 7401 5.1",)),
    SHIM6: Step("Shim6 is met in the chain", ("RFC 5533 5",)),
    EXPERIMENTAL: Step("an experimental number is met in the chain", ("RFC 3692", "RFC 4727")),
    NO_NEXT_HEADER: Step("No Next Header ends the chain", ("RFC 8200 4.7",)),
    ICMPV6: Step("ICMPv6 ends the chain", ("RFC 4443",)),
    UNKNOWN_NEXT_HEADER: Step("the next header number is not assigned", ("RFC 8200 4",)),
    MISPLACED_HOP_BY_HOP: Step("a Hop-by-Hop header is not in first place", ("RFC 8200 4.1",)),
    REPEATED_HEADER: Step("an extension header is repeated", ("RFC 8200 4.1",)),
    MANY_HEADERS: Step("there are more than 4 extension headers", ("X6-4",)),
    FRAGMENT_RESERVED: Step("the reserved byte of the Fragment header is not 0", ("RFC 8200 4.5",)),
    PAYLOAD_ZERO: Step("Payload Length is 0 and bytes follow", ("RFC 8200 3", "RFC 2675")),
    PAYLOAD_LONG: Step("Payload Length is more than the frame holds", ("RFC 8200 3",)),
    TUNNEL: Step("the outer header matches an encapsulation type", ("TUN-2", "TUN-4")),
    INNER_NOT_IP: Step("the inner packet is not IP", ("TUN-2",)),
    INNER_CUT: Step("the inner IP header is not all there", ("TUN-2",)),
    NESTED_TUNNEL: Step("the inner packet is a tunnel too", ("TUN-2",)),
}

#: Numbers of the rules, as `Selection.rule` holds them.
NOT_IP_RULE = 0
REFUSED_RULE = 1
V4_1, V4_2, V4_3, V4_4 = 2, 3, 4, 5
V6_1, V6_2, V6_3, V6_4 = 6, 7, 8, 9
X6_1, X6_2, X6_3 = 10, 11, 12

RULES: dict[int, Step] = {
    NOT_IP_RULE: Step("no rule applies to a frame without an IP packet: no hash", ("V4-0", "V6-0", "REP-2")),
    REFUSED_RULE: Step("the packet cannot be interpreted: no hash", ("REP-2",)),
    V4_1: Step("TCPv4 is enabled and there is a TCP header: addresses and ports", ("V4-1",)),
    V4_2: Step("UDPv4 is enabled and there is a UDP header: addresses and ports", ("V4-2",)),
    V4_3: Step("IPv4 is enabled: addresses", ("V4-3",)),
    V4_4: Step("no enabled type applies to this IPv4 packet: no hash", ("V4-4",)),
    V6_1: Step("TCPv6 is enabled and there is a TCP header: addresses and ports", ("V6-1",)),
    V6_2: Step("UDPv6 is enabled and there is a UDP header: addresses and ports", ("V6-2",)),
    V6_3: Step("IPv6 is enabled: addresses", ("V6-3",)),
    V6_4: Step("no enabled type applies to this IPv6 packet: no hash", ("V6-4",)),
    X6_1: Step("TCP_EX is enabled and there is a TCP header: home and route addresses, ports", ("X6-1",)),
    X6_2: Step("UDP_EX is enabled and there is a UDP header: home and route addresses, ports", ("X6-2",)),
    X6_3: Step("IP_EX is enabled: home and route addresses", ("X6-3",)),
}


def steps(events: int) -> list[Step]:
    """Return the events of a mask, in the order of the layers."""
    return [step for bit, step in EVENTS.items() if events & bit]
