"""What the text says packet by packet, where nothing has to be searched for: closed forms, written without the walker.

Each function describes one kind of frame by the bytes at its places and says what is hashed of it. The walker of
`link.py` to `select.py` has to agree on every such frame, of any length (`symbolic/laws.py` proves it). The forms are
in the model's subset of Python, so CPython and the solver read them alike.
"""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.packet import word


class Expected(NamedTuple):
    """Whether a frame is of the kind, and what is hashed of it: as in `Selection`, 0 for nothing."""

    applies: bool
    report: int
    source: int
    destination: int
    size: int
    ports: int


def unhashed(applies: bool) -> Expected:
    """Expect no hash (V4-4, V6-4, REP-2)."""
    return Expected(applies, 0, 0, 0, 0, 0)


def ipv4_by_types(applies: bool, l3: int, kind: int, l4: int, types: int) -> Expected:
    """Apply V4-1 to V4-4 to a packet with a TCP (6), UDP (17) or other (0) header at `l4`."""
    if kind == 6 and types & 2 != 0:
        return Expected(applies, 2, l3 + 12, l3 + 16, 4, l4)
    if kind == 17 and types & 4 != 0:
        return Expected(applies, 3, l3 + 12, l3 + 16, 4, l4)
    if types & 1 != 0:
        return Expected(applies, 1, l3 + 12, l3 + 16, 4, 0)
    return unhashed(applies)


def ipv6_by_types(applies: bool, l3: int, kind: int, l4: int, types: int) -> Expected:
    """Apply V6-1 to V6-4 to a packet without extension headers."""
    if kind == 6 and types & 16 != 0:
        return Expected(applies, 5, l3 + 8, l3 + 24, 16, l4)
    if kind == 17 and types & 32 != 0:
        return Expected(applies, 6, l3 + 8, l3 + 24, 16, l4)
    if types & 8 != 0:
        return Expected(applies, 4, l3 + 8, l3 + 24, 16, 0)
    return unhashed(applies)


def extended_by_types(applies: bool, home: int, route: int, kind: int, l4: int, types: int) -> Expected:
    """Apply X6-1 to X6-4 to a packet with extension headers at offset 14, whose addresses lie at `home` and `route`."""
    if kind == 6 and types & 128 != 0:
        return Expected(applies, 8, home, route, 16, l4)
    if kind == 17 and types & 256 != 0:
        return Expected(applies, 9, home, route, 16, l4)
    if types & 64 != 0:
        return Expected(applies, 7, home, route, 16, 0)
    return ipv6_by_types(applies, 14, kind, l4, types)


def ipv4_whole(frame: bytes, length: int, l3: int, header: int) -> bool:
    """Say whether an IPv4 packet with a header of `header` bytes lies inside the frame, Total Length being right."""
    if l3 + header > length:
        return False
    total = word(frame, l3 + 2)
    right = frame[l3] == 64 + (header >> 2) and total >= header
    return right and l3 + total <= length and word(frame, l3 + 6) == 0


def tcp_whole(frame: bytes, l4: int, end: int) -> bool:
    """Say whether a TCP header and its options lie inside the packet (RFC 9293 section 3.1)."""
    if l4 + 20 > end:
        return False
    return frame[l4 + 12] >> 4 >= 5 and l4 + (frame[l4 + 12] >> 4) * 4 <= end


def udp_whole(frame: bytes, l4: int, end: int) -> bool:
    """Say whether a UDP datagram lies inside the packet (RFC 768) and is none of a tunnel (TUN-1)."""
    if l4 + 8 > end:
        return False
    port = word(frame, l4 + 2)
    tunnel = port == 4754 or port == 4789 or port == 4790 or port == 8472 or port == 6081
    return word(frame, l4 + 4) >= 8 and l4 + word(frame, l4 + 4) <= end and not tunnel


def one_transport(kind: int, tcp_on: bool, udp_on: bool, ip_on: bool) -> bool:
    """Say whether the enabled types leave no doubt: not the other transport beside the addresses (V4-3, V6-3)."""
    if kind == 6:
        return tcp_on or not udp_on or not ip_on
    return udp_on or not tcp_on or not ip_on


# Frames without an IP packet


def runt(frame: bytes, length: int, types: int) -> Expected:
    """A frame that ends in its Ethernet header is not hashed."""
    return unhashed(length < 14)


def not_ip(frame: bytes, length: int, types: int) -> Expected:
    """A frame whose EtherType is not IP, a tag's or a shim's is not hashed (V4-0, V6-0)."""
    if length < 14:
        return unhashed(False)
    kind = word(frame, 12)
    ip = kind == 0x0800 or kind == 0x86DD
    tag = kind == 0x8100 or kind == 0x88A8 or kind == 0x9100
    return unhashed(kind >= 0x0600 and not ip and not tag and kind != 0x8864 and kind != 0x8847)


# IPv4


def ipv4_tcp(frame: bytes, length: int, types: int) -> Expected:
    """A whole IPv4 packet with a whole TCP header (V4-1, V4-3, V4-4)."""
    applies = False
    if ipv4_whole(frame, length, 14, 20):
        applies = frame[23] == 6 and tcp_whole(frame, 34, 14 + word(frame, 16))
    applies = applies and one_transport(6, types & 2 != 0, types & 4 != 0, types & 1 != 0)
    return ipv4_by_types(applies, 14, 6, 34, types)


def ipv4_udp(frame: bytes, length: int, types: int) -> Expected:
    """A whole IPv4 packet with a whole UDP datagram (V4-2, V4-3, V4-4)."""
    applies = False
    if ipv4_whole(frame, length, 14, 20):
        applies = frame[23] == 17 and udp_whole(frame, 34, 14 + word(frame, 16))
    applies = applies and one_transport(17, types & 2 != 0, types & 4 != 0, types & 1 != 0)
    return ipv4_by_types(applies, 14, 17, 34, types)


def ipv4_other(frame: bytes, length: int, types: int) -> Expected:
    """A whole IPv4 packet of a protocol without ports is hashed by its addresses (V4-3, V4-4)."""
    applies = False
    if ipv4_whole(frame, length, 14, 20):
        kind = frame[23]
        ports = kind == 6 or kind == 17 or kind == 33 or kind == 132 or kind == 136
        applies = not ports and kind != 51 and kind != 4 and kind != 41 and kind != 47
    return ipv4_by_types(applies, 14, 0, 0, types)


def ipv4_options(frame: bytes, length: int, types: int) -> Expected:
    """The ports of an IPv4 packet with options, none of them a source route, lie behind the options (RFC 791)."""
    applies = False
    if ipv4_whole(frame, length, 14, 24):
        plain = frame[34] == 1 and frame[35] == 1 and frame[36] == 1 and frame[37] == 0
        applies = plain and frame[23] == 6 and tcp_whole(frame, 38, 14 + word(frame, 16))
    return ipv4_by_types(applies, 14, 6, 38, types)


def ipv4_later_fragment(frame: bytes, length: int, types: int) -> Expected:
    """A later fragment has no transport header (V4-3, RFC 791 section 3.2)."""
    applies = False
    if length >= 34:
        total = word(frame, 16)
        applies = frame[14] == 0x45 and total >= 20 and 14 + total <= length and frame[23] != 51
        applies = applies and word(frame, 20) & 0x1FFF != 0
    return ipv4_by_types(applies, 14, 0, 0, types)


def ipv4_flags(frame: bytes, length: int, types: int) -> Expected:
    """Don't Fragment and the reserved flag make no fragment (RFC 791 section 3.1)."""
    applies = False
    if length >= 54:
        total = word(frame, 16)
        applies = frame[14] == 0x45 and frame[23] == 6 and total >= 40 and 14 + total <= length
        applies = applies and word(frame, 20) & 0x3FFF == 0 and tcp_whole(frame, 34, 14 + total)
    return ipv4_by_types(applies, 14, 6, 34, types)


def ipv4_tagged(frame: bytes, length: int, types: int) -> Expected:
    """Behind one VLAN tag the same packet is hashed alike (V4-0; IEEE 802.1Q)."""
    applies = False
    if ipv4_whole(frame, length, 18, 20):
        tagged = word(frame, 12) == 0x8100 and word(frame, 16) == 0x0800
        applies = tagged and frame[27] == 6 and tcp_whole(frame, 38, 18 + word(frame, 20))
    return ipv4_by_types(applies, 18, 6, 38, types)


# IPv6


def ipv6_whole(frame: bytes, length: int, following: int) -> bool:
    """Say whether an IPv6 packet whose first next header is `following` lies inside, Payload Length being right."""
    if length < 54:
        return False
    payload = word(frame, 18)
    right = frame[14] >> 4 == 6 and payload > 0 and 54 + payload <= length
    return right and frame[20] == following


def ipv6_tcp(frame: bytes, length: int, types: int) -> Expected:
    """A whole IPv6 packet with a whole TCP header and no extension header (V6-1, V6-3, V6-4)."""
    applies = False
    if ipv6_whole(frame, length, 6):
        applies = tcp_whole(frame, 54, 54 + word(frame, 18))
    applies = applies and one_transport(6, types & 16 != 0, types & 32 != 0, types & 8 != 0)
    return ipv6_by_types(applies, 14, 6, 54, types)


def ipv6_tcp_base(frame: bytes, length: int, types: int) -> Expected:
    """The same where no EX type is enabled, which some read as about every IPv6 packet."""
    found = ipv6_tcp(frame, length, types)
    applies = found.applies and types & 0x1C0 == 0
    return ipv6_by_types(applies, 14, 6, 54, types)


def ipv6_udp(frame: bytes, length: int, types: int) -> Expected:
    """A whole IPv6 packet with a whole UDP datagram and no extension header (V6-2, V6-3, V6-4)."""
    applies = False
    if ipv6_whole(frame, length, 17):
        applies = udp_whole(frame, 54, 54 + word(frame, 18))
    applies = applies and one_transport(17, types & 16 != 0, types & 32 != 0, types & 8 != 0)
    return ipv6_by_types(applies, 14, 17, 54, types)


def ipv6_udp_base(frame: bytes, length: int, types: int) -> Expected:
    """The same where no EX type is enabled."""
    found = ipv6_udp(frame, length, types)
    applies = found.applies and types & 0x1C0 == 0
    return ipv6_by_types(applies, 14, 17, 54, types)


def ipv6_other(frame: bytes, length: int, types: int) -> Expected:
    """A whole IPv6 packet of a protocol without ports, here OSPF, is hashed by its addresses (V6-3, V6-4)."""
    return ipv6_by_types(ipv6_whole(frame, length, 89), 14, 0, 0, types)


def padded_header(frame: bytes, length: int, following: int) -> bool:
    """Say whether one extension header follows, all of it a PadN option, and then TCP."""
    applies = False
    if ipv6_whole(frame, length, following):
        end = 54 + word(frame, 18)
        if end >= 62:
            size = (frame[55] + 1) * 8
            padded = frame[54] == 6 and frame[56] == 1 and frame[57] + 4 == size
            applies = padded and tcp_whole(frame, 54 + size, end)
    return applies


def ipv6_hop_by_hop(frame: bytes, length: int, types: int) -> Expected:
    """Behind a Hop-by-Hop header there is TCP, and the addresses are those of the IPv6 header (X6-1 to X6-4)."""
    l4 = 54
    applies = padded_header(frame, length, 0)
    if applies:
        l4 = 54 + (frame[55] + 1) * 8
    return extended_by_types(applies and clear(types), 22, 38, 6, l4, types)


def clear(types: int) -> bool:
    """Say whether types leave no doubt between transports, with and without EX (V6-3, X6-3)."""
    return types & 0x120 == 0


def ipv6_authentication(frame: bytes, length: int, types: int) -> Expected:
    """The length of an Authentication Header counts 4 bytes, less 2 of them (RFC 4302 section 2.2)."""
    l4 = 54
    applies = False
    if ipv6_whole(frame, length, 51):
        end = 54 + word(frame, 18)
        if end >= 62:
            l4 = 54 + (frame[55] + 2) * 4
            applies = frame[54] == 6 and l4 <= end and tcp_whole(frame, l4, end)
    return extended_by_types(applies and clear(types), 22, 38, 6, l4, types)


def ipv6_home_address(frame: bytes, length: int, types: int) -> Expected:
    """The Home Address of a Destination Options header stands for the source (X6-1; RFC 6275 section 6.3)."""
    applies = False
    if ipv6_whole(frame, length, 60) and length >= 98:
        header = frame[54] == 6 and frame[55] == 2 and frame[56] == 1 and frame[57] == 2
        option = frame[60] == 0xC9 and frame[61] == 16
        applies = header and option and tcp_whole(frame, 78, 54 + word(frame, 18))
    return extended_by_types(applies and clear(types), 62, 38, 6, 78, types)


def ipv6_route(frame: bytes, length: int, types: int) -> Expected:
    """The address of a type 2 Routing header stands for the destination (X6-1; RFC 6275 section 6.4)."""
    applies = False
    if ipv6_whole(frame, length, 43) and length >= 98:
        header = frame[54] == 6 and frame[55] == 2 and frame[56] == 2 and frame[57] == 1
        applies = header and tcp_whole(frame, 78, 54 + word(frame, 18))
    return extended_by_types(applies and clear(types), 22, 62, 6, 78, types)


def ipv6_route_and_home(frame: bytes, length: int, types: int) -> Expected:
    """Both together, of a UDP datagram (X6-2)."""
    applies = False
    if ipv6_whole(frame, length, 43) and length >= 110:
        route = frame[54] == 60 and frame[55] == 2 and frame[56] == 2 and frame[57] == 1
        header = frame[78] == 17 and frame[79] == 2 and frame[80] == 1 and frame[81] == 2
        option = frame[84] == 0xC9 and frame[85] == 16
        applies = route and header and option and udp_whole(frame, 102, 54 + word(frame, 18))
    return extended_by_types(applies and types & 0x90 == 0, 86, 62, 17, 102, types)


def ipv6_later_fragment(frame: bytes, length: int, types: int) -> Expected:
    """A later fragment has no transport header (RFC 8200 section 4.5)."""
    applies = False
    if ipv6_whole(frame, length, 44) and length >= 62:
        offset = word(frame, 56) & 0xFFF8
        applies = frame[54] == 6 and frame[55] == 0 and offset != 0 and word(frame, 18) >= 8
    return extended_by_types(applies, 22, 38, 0, 0, types)


# Tunnels: `tunnels` holds the enabled types (TUN-1) beside bit 32, which says that HASH_TUNNEL is negotiated.


def inner_ipv4_tcp(frame: bytes, l3: int, end: int) -> bool:
    """Say whether a whole IPv4 packet with a whole TCP header fills the rest of a packet that ends at `end`."""
    if l3 + 40 > end:
        return False
    total = word(frame, l3 + 2)
    right = frame[l3] == 0x45 and total >= 40 and l3 + total <= end and word(frame, l3 + 6) == 0
    return right and frame[l3 + 9] == 6 and tcp_whole(frame, l3 + 20, l3 + total)


def ip_in_ip(frame: bytes, length: int, types: int, tunnels: int) -> Expected:
    """With the type IPIP enabled, the inner header is hashed (TUN-2; RFC 2003)."""
    applies = False
    if tunnels & (1 << 7) != 0 and ipv4_whole(frame, length, 14, 20):
        applies = frame[23] == 4 and inner_ipv4_tcp(frame, 34, 14 + word(frame, 16))
    applies = applies and types & 2 != 0
    return ipv4_by_types(applies, 34, 6, 54, types)


def vxlan(frame: bytes, length: int, types: int, tunnels: int) -> Expected:
    """With the type VXLAN enabled, the inner header is hashed (TUN-2; RFC 7348)."""
    applies = False
    if tunnels & (1 << 4) != 0 and ipv4_whole(frame, length, 14, 20):
        end = 14 + word(frame, 16)
        if end >= 104:
            port = frame[23] == 17 and word(frame, 36) == 4789 and frame[42] & 8 == 8
            size = word(frame, 38) >= 8 and 34 + word(frame, 38) <= end
            applies = port and size and word(frame, 62) == 0x0800 and inner_ipv4_tcp(frame, 64, end)
    applies = applies and types & 2 != 0
    return ipv4_by_types(applies, 64, 6, 84, types)


def no_tunnel_enabled(frame: bytes, length: int, types: int, tunnels: int) -> Expected:
    """With no tunnel type enabled, the outer header is hashed (TUN-3)."""
    applies = False
    if tunnels == 1 << 32 and ipv4_whole(frame, length, 14, 20):
        kind = frame[23]
        applies = kind == 4 or kind == 41 or kind == 47
    return ipv4_by_types(applies, 14, 0, 0, types)
