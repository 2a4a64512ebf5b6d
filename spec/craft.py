"""Build frames from headers, every field of which can be given a wrong value on purpose.

A header, or a whole IP packet, is a `Part`: its bytes and the protocol number by which the header in front of it names
it. `ipv4` and `ipv6` join parts, fill in Next Header, lengths and checksums where none was given, and return a part
again, so that packets nest; `ethernet` makes the frame:

    ethernet(ipv4(tcp()))
    ethernet(ipv6(hop_by_hop(), fragment(more=True), udp(payload=b"abc")), tags=(0x8100,))
    ethernet(ipv4(gre(ipv6(tcp(), payload_length=0))))

The addresses and ports are those of Microsoft's vectors (MS-F5), so that a result can be checked by hand.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple


class Flow(NamedTuple):
    """Two addresses and ports, with the hashes that Microsoft gives for them under `MICROSOFT_KEY`."""

    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    addresses_hash: int
    ports_hash: int


def address(text: str) -> bytes:
    """Return the 4 or 16 bytes of an address."""
    return IPv6Address(text).packed if ":" in text else IPv4Address(text).packed


#: Microsoft's vectors: from, to, ports, hash of the addresses, hash of addresses and ports.
FLOWS4 = (
    Flow(address("66.9.149.187"), address("161.142.100.80"), 2794, 1766, 0x323E8FC2, 0x51CCC178),
    Flow(address("199.92.111.2"), address("65.69.140.83"), 14230, 4739, 0xD718262A, 0xC626B0EA),
    Flow(address("24.19.198.95"), address("12.22.207.184"), 12898, 38024, 0xD2D0A5DE, 0x5C2B394A),
    Flow(address("38.27.205.30"), address("209.142.163.6"), 48228, 2217, 0x82989176, 0xAFC7327F),
    Flow(address("153.39.163.191"), address("202.188.127.2"), 44251, 1303, 0x5D1809C5, 0x10E828A2),
)
FLOWS6 = (
    Flow(address("3ffe:2501:200:1fff::7"), address("3ffe:2501:200:3::1"), 2794, 1766, 0x2CC18CD5, 0x40207D3D),
    Flow(address("3ffe:501:8::260:97ff:fe40:efab"), address("ff02::1"), 14230, 4739, 0x0F0C461C, 0xDDE51BBF),
    Flow(
        address("3ffe:1900:4545:3:200:f8ff:fe21:67cf"), address("fe80::200:f8ff:fe21:67cf"), 44251, 38024,
        0x4B61E985, 0x02D1FEEF,
    ),
)

SOURCE4, DESTINATION4 = FLOWS4[0].source, FLOWS4[0].destination
SOURCE6, DESTINATION6 = FLOWS6[0].source, FLOWS6[0].destination
SOURCE_PORT, DESTINATION_PORT = 2794, 1766
#: Addresses for options and routing headers, none of which is one of the header's.
HOME = FLOWS6[1].source
OTHER_HOME = FLOWS6[2].source
ROUTE = address("2001:db8:a5::1c:3")
OTHER_ROUTE = address("2001:db8:5a:7::9e")
THIRD_ROUTE = address("2001:db8:c3:9::61")
ROUTE4 = FLOWS4[1].destination
OTHER_ROUTE4 = FLOWS4[2].destination
#: Addresses inside a tunnel are those of other vectors than outside.
INNER_SOURCE4, INNER_DESTINATION4 = FLOWS4[3].source, FLOWS4[3].destination
INNER_SOURCE6, INNER_DESTINATION6 = FLOWS6[2].source, FLOWS6[2].destination
SOURCE_MAC = bytes.fromhex("020000000001")
DESTINATION_MAC = bytes.fromhex("020000000002")

MF, DF, RESERVED = 1, 2, 4
HOME_ADDRESS = 0xC9
ETHERTYPES = {4: 0x0800, 41: 0x86DD}
BRIDGED = 0x6558


class Part(NamedTuple):
    """A header, or a packet, and how it is named.

    Attributes:
        number: protocol number or next header of it; 4 and 41 for IP packets.
        data: its bytes.
        linked: its first byte is the number of what follows and is to be filled in.
        checksum: offset of a checksum over pseudo-header and data that is to be filled in; -1 if there is none.
    """

    number: int
    data: bytes
    linked: bool = False
    checksum: int = -1


def two(value: int) -> bytes:
    """Return 16 bits in network order."""
    return value.to_bytes(2, "big")


def four(value: int) -> bytes:
    """Return 32 bits in network order."""
    return value.to_bytes(4, "big")


def internet_checksum(data: bytes) -> int:
    """Return the checksum of RFC 1071."""
    # The ones' complement sum of words of 16 bits is the remainder by 0xFFFF of all of them as one number, because
    # 0x10000 leaves 1; and a sum that is not 0 is never 0, but 0xFFFF.
    number = int.from_bytes(data + bytes(len(data) % 2), "big")
    return (number % 0xFFFF or (0xFFFF if number else 0)) ^ 0xFFFF


def raw(number: int, data: bytes = b"", *, linked: bool = False) -> Part:
    """Return any bytes under any number."""
    return Part(number, data, linked)


def cut(part: Part, size: int) -> Part:
    """Return the first bytes of a part."""
    return part._replace(data=part.data[:size], checksum=-1)


def patch(data: bytes, offset: int, new: bytes) -> bytes:
    """Return the bytes with some of them overwritten."""
    return data[:offset] + new + data[offset + len(new):]


def join(parts: tuple[Part, ...], closing: int = 59) -> tuple[int, bytes]:
    """Return the number of the first part and the bytes of all; `closing` is what the last names, if it names."""
    number, data = closing, b""
    for part in reversed(parts):
        here = bytes([number]) + part.data[1:] if part.linked and part.data else part.data
        number, data = part.number, here + data
    return number, data


# ------------------------------------------------------------------------------------------------ link


def ethernet(
    inner: Part | bytes, *, kind: int | None = None, tags: tuple[int | tuple[int, int], ...] = (),
    source: bytes = SOURCE_MAC, destination: bytes = DESTINATION_MAC,
) -> bytes:
    """Return a frame; a tag is its EtherType, or the pair of EtherType and tag control information."""
    if kind is None:
        kind = inner_type(inner)
    data = inner.data if isinstance(inner, Part) else inner
    stack = b""
    for number, tag in enumerate(tags):
        tpid, control = tag if isinstance(tag, tuple) else (tag, 100 + number)
        stack += two(tpid) + two(control)
    return destination + source + stack + two(kind) + data


def inner_type(inner: Part | bytes) -> int:
    """Return the EtherType of what is carried: IPv4, IPv6, or a bridged Ethernet frame for bytes."""
    return ETHERTYPES[inner.number] if isinstance(inner, Part) else BRIDGED


def llc_snap(
    inner: Part, *, kind: int | None = None, oui: bytes = bytes(3), llc: bytes = b"\xaa\xaa\x03",
    tags: tuple[int, ...] = (),
) -> bytes:
    """Return a frame with an 802.3 length, LLC and SNAP headers."""
    data = llc + oui + two(inner_type(inner) if kind is None else kind) + inner.data
    return ethernet(data, kind=len(data), tags=tags)


def pppoe(inner: Part, *, protocol: int | None = None, session: int = 0x11) -> bytes:
    """Return a PPPoE session frame."""
    number = {4: 0x0021, 41: 0x0057}[inner.number] if protocol is None else protocol
    data = two(number) + inner.data
    return ethernet(b"\x11\x00" + two(session) + two(len(data)) + data, kind=0x8864)


def mpls(inner: Part, *, labels: tuple[int, ...] = (16,), bottom: bool = True, kind: int = 0x8847) -> bytes:
    """Return a frame with a label stack; without `bottom` the last label does not end it."""
    stack = b""
    for number, label in enumerate(labels):
        last = bottom and number == len(labels) - 1
        stack += four(label << 12 | last << 8 | 64)
    return ethernet(stack + inner.data, kind=kind)


# ------------------------------------------------------------------------------------------------ network


def ipv4(
    *parts: Part, source: bytes = SOURCE4, destination: bytes = DESTINATION4, options: bytes = b"", version: int = 4,
    ihl: int | None = None, tos: int = 0, total_length: int | None = None, identification: int = 0x1D0F,
    flags: int = 0, offset: int = 0, ttl: int = 64, protocol: int | None = None, checksum: int | None = None,
) -> Part:
    """Return an IPv4 packet; `flags` are MF, DF and RESERVED, `offset` counts eight bytes."""
    number, data = join(_checked(parts, source, destination))
    words = 5 + (len(options) + 3) // 4
    options = options.ljust(words * 4 - 20, b"\0")
    header = (
        bytes([version << 4 | (words if ihl is None else ihl), tos])
        + two(words * 4 + len(data) if total_length is None else total_length)
        + two(identification) + two(flags << 13 | offset)
        + bytes([ttl, number if protocol is None else protocol]) + bytes(2) + source + destination + options
    )
    header = patch(header, 10, two(internet_checksum(header) if checksum is None else checksum))
    return Part(4, header + data)


def ipv6(
    *parts: Part, source: bytes = SOURCE6, destination: bytes = DESTINATION6, version: int = 6, traffic_class: int = 0,
    flow_label: int = 0, payload_length: int | None = None, next_header: int | None = None, hop_limit: int = 64,
) -> Part:
    """Return an IPv6 packet with its extension headers."""
    number, data = join(_checked(parts, source, destination))
    header = (
        four(version << 28 | traffic_class << 20 | flow_label)
        + two(len(data) if payload_length is None else payload_length)
        + bytes([number if next_header is None else next_header, hop_limit]) + source + destination
    )
    return Part(41, header + data)


def _checked(parts: tuple[Part, ...], source: bytes, destination: bytes) -> tuple[Part, ...]:
    """Fill in the checksum of the last part, over the addresses of the IP header."""
    if not parts or parts[-1].checksum < 0:
        return parts
    last = parts[-1]
    pseudo = source + destination + four(len(last.data)) + four(last.number)
    value = internet_checksum(pseudo + last.data)
    return (*parts[:-1], last._replace(data=patch(last.data, last.checksum, two(value or 0xFFFF)), checksum=-1))


# ------------------------------------------------------------------------------------------------ IPv4 options


def ipv4_option(kind: int, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return an IPv4 option with a length."""
    return bytes([kind, len(data) + 2 if length is None else length]) + data


def source_route(*hops: bytes, strict: bool = False, length: int | None = None) -> bytes:
    """Return a loose or strict source route option."""
    return ipv4_option(137 if strict else 131, b"\4" + b"".join(hops), length=length)


# ------------------------------------------------------------------------------------------------ IPv6 headers


def extension(number: int, body: bytes, *, hdr_ext_len: int | None = None, following: int | None = None) -> Part:
    """Return a header of the common form: next header, length in eight bytes, `body`; `following` fixes the first."""
    length = (len(body) + 2 + 7) // 8 - 1 if hdr_ext_len is None else hdr_ext_len
    data = bytes([following or 0, length]) + body
    return Part(number, data, linked=following is None)


def option(kind: int, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return an IPv6 option; `length` overrides the length byte only."""
    return bytes([kind, len(data) if length is None else length]) + data


def pad1(count: int = 1) -> bytes:
    """Return Pad1 options."""
    return bytes(count)


def padn(count: int) -> bytes:
    """Return a PadN option with `count` bytes of data, `count` + 2 in all."""
    return option(1, bytes(count))


def home_address(home: bytes = HOME, *, length: int | None = None, kind: int = HOME_ADDRESS) -> bytes:
    """Return a Home Address option (RFC 6275 section 6.3)."""
    return option(kind, home, length=length)


def padded(body: bytes) -> bytes:
    """Return options, padded so that a header that holds them ends at a multiple of eight bytes."""
    missing = -(len(body) + 2) % 8
    if missing == 0:
        return body
    return body + (pad1() if missing == 1 else padn(missing - 2))


def hop_by_hop(
    *options: bytes, hdr_ext_len: int | None = None, following: int | None = None, pad: bool = True
) -> Part:
    """Return a Hop-by-Hop Options header."""
    body = b"".join(options) or padn(4)
    return extension(0, padded(body) if pad else body, hdr_ext_len=hdr_ext_len, following=following)


def destination_options(
    *options: bytes, hdr_ext_len: int | None = None, following: int | None = None, pad: bool = True
) -> Part:
    """Return a Destination Options header."""
    return hop_by_hop(*options, hdr_ext_len=hdr_ext_len, following=following, pad=pad)._replace(number=60)


def home_options(home: bytes = HOME) -> Part:
    """Return a Destination Options header with a Home Address at 8n+6, as RFC 6275 wants it."""
    return destination_options(padn(2), home_address(home))


def routing(
    *hops: bytes, kind: int = 2, segments_left: int = 1, hdr_ext_len: int | None = None, reserved: bytes = bytes(4),
    following: int | None = None,
) -> Part:
    """Return a Routing header; without `hops` it has one, ROUTE."""
    body = bytes([kind, segments_left]) + reserved + b"".join(hops or (ROUTE,))
    return extension(43, body, hdr_ext_len=hdr_ext_len, following=following)


def fragment(
    offset: int = 0, *, more: bool = False, reserved: int = 0, identification: int = 0x1D0F0A17, spare: int = 0,
    following: int | None = None,
) -> Part:
    """Return a Fragment header; `offset` counts eight bytes, `spare` are the two reserved bits beside M."""
    data = bytes([following or 0, reserved]) + two(offset << 3 | spare << 1 | more) + four(identification)
    return Part(44, data, linked=following is None)


def authentication(
    check: bytes = bytes(range(0xA0, 0xAC)), *, payload_len: int | None = None, following: int | None = None
) -> Part:
    """Return an Authentication Header (RFC 4302), 24 bytes with a check value of 12."""
    length = (12 + len(check)) // 4 - 2 if payload_len is None else payload_len
    data = bytes([following or 0, length, 0, 0]) + four(0x105) + four(7) + check
    return Part(51, data, linked=following is None)


def esp(data: bytes = bytes(range(0x40, 0x60))) -> Part:
    """Return an ESP packet (RFC 4303) with what looks like nothing."""
    return Part(50, four(0x205) + four(9) + data)


def mobility(kind: int = 5, data: bytes = bytes(6), *, following: int | None = None) -> Part:
    """Return a Mobility Header (RFC 6275 section 6.1), a Binding Update by default."""
    return extension(135, padded_to_eight(bytes([kind, 0, 0x12, 0x34]) + data), following=following)


def hip(*, following: int | None = None) -> Part:
    """Return a HIP header (RFC 7401 section 5.1): I1, with two Host Identity Tags."""
    tags = address("2001:20::5") + address("2001:21::6")
    return extension(139, bytes([1, 0x21, 0x12, 0x34, 0, 0]) + tags, following=following)


def shim6(*, following: int | None = None) -> Part:
    """Return a Shim6 payload extension header (RFC 5533 section 5.1)."""
    return extension(140, b"\x80\x00\x00\x00\x12\x34", following=following)


def padded_to_eight(body: bytes) -> bytes:
    """Return the body of a header, with zeros up to a multiple of eight bytes."""
    return body + bytes(-(len(body) + 2) % 8)


# ------------------------------------------------------------------------------------------------ transport


def tcp(
    source: int = SOURCE_PORT, destination: int = DESTINATION_PORT, *, sequence: int = 0x2A6F51C3,
    acknowledgment: int = 0x1B84D9E7, data_offset: int | None = None, flags: int = 0x10, window: int = 0x7D2B,
    checksum: int | None = None, urgent: int = 0, options: bytes = b"", payload: bytes = b"",
) -> Part:
    """Return a TCP segment."""
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4 if data_offset is None else data_offset
    header = (
        two(source) + two(destination) + four(sequence) + four(acknowledgment) + bytes([words << 4, flags])
        + two(window) + two(checksum or 0) + two(urgent) + options
    )
    return Part(6, header + payload, checksum=16 if checksum is None else -1)


def udp(
    source: int = SOURCE_PORT, destination: int = DESTINATION_PORT, *, length: int | None = None,
    checksum: int | None = None, payload: bytes = b"",
) -> Part:
    """Return a UDP datagram."""
    header = two(source) + two(destination) + two(8 + len(payload) if length is None else length) + two(checksum or 0)
    return Part(17, header + payload, checksum=6 if checksum is None else -1)


def udp_lite(source: int = SOURCE_PORT, destination: int = DESTINATION_PORT, *, payload: bytes = b"") -> Part:
    """Return a UDP-Lite datagram, all of which its checksum covers."""
    return Part(136, two(source) + two(destination) + two(0) + bytes(2) + payload, checksum=6)


def sctp(source: int = SOURCE_PORT, destination: int = DESTINATION_PORT, *, payload: bytes = bytes(16)) -> Part:
    """Return an SCTP packet with a verification tag and one chunk (COOKIE ECHO)."""
    chunk = b"\x0a\0" + two(4 + len(payload)) + payload
    return Part(132, two(source) + two(destination) + four(0x5A17C0DE) + four(0) + chunk)


def dccp(source: int = SOURCE_PORT, destination: int = DESTINATION_PORT, *, payload: bytes = bytes(8)) -> Part:
    """Return a DCCP request (RFC 4340 section 5.1)."""
    header = two(source) + two(destination) + bytes([5, 0, 0, 0, 1]) + bytes(11)
    return Part(33, header + payload, checksum=6)


def icmpv6(kind: int = 128, code: int = 0, body: bytes = b"\x00\x07\x00\x01") -> Part:
    """Return an ICMPv6 message, an echo request by default."""
    return Part(58, bytes([kind, code, 0, 0]) + body, checksum=2)


def neighbor_solicitation(target: bytes = DESTINATION6) -> Part:
    """Return an ICMPv6 Neighbor Solicitation (type 135)."""
    return icmpv6(135, 0, bytes(4) + target + b"\1\1" + SOURCE_MAC)


def icmp(kind: int = 8, code: int = 0, body: bytes = b"\x00\x07\x00\x01") -> Part:
    """Return an ICMP message."""
    data = bytes([kind, code, 0, 0]) + body
    return Part(1, patch(data, 2, two(internet_checksum(data))))


# ------------------------------------------------------------------------------------------------ tunnels


def gre(
    inner: Part | bytes, *, protocol: int | None = None, key: int | None = None, sequence: int | None = None,
    checksum: bool = False, flags: int | None = None, version: int = 0, extra: bytes = b"",
) -> Part:
    """Return a GRE packet; `flags` overrides the first two bytes, `extra` goes behind the optional fields."""
    word = checksum << 15 | (key is not None) << 13 | (sequence is not None) << 12 | version
    fields = bytes(4 if checksum else 0)
    fields += b"" if key is None else four(key)
    fields += b"" if sequence is None else four(sequence)
    kind = inner_type(inner) if protocol is None else protocol
    data = inner.data if isinstance(inner, Part) else inner
    return Part(47, two(word if flags is None else flags) + two(kind) + fields + extra + data)


def gre_in_udp(inner: Part | bytes, *, port: int = 4754) -> Part:
    """Return GRE in UDP (RFC 8086)."""
    return udp(49200, port, payload=gre(inner).data)


def vxlan(inner: bytes, *, flags: int = 8, vni: int = 0x123, port: int = 4789) -> Part:
    """Return VXLAN (RFC 7348) in UDP; `inner` is a frame."""
    return udp(49200, port, payload=bytes([flags, 0, 0, 0]) + four(vni << 8) + inner)


def vxlan_gpe(
    inner: Part | bytes, *, flags: int = 0x0C, next_protocol: int | None = None, vni: int = 0x123, port: int = 4790
) -> Part:
    """Return VXLAN-GPE in UDP: next protocol 1 for IPv4, 2 for IPv6, 3 for a frame."""
    data = inner.data if isinstance(inner, Part) else inner
    number = {4: 1, 41: 2}[inner.number] if isinstance(inner, Part) else 3
    header = bytes([flags, 0, 0, number if next_protocol is None else next_protocol]) + four(vni << 8)
    return udp(49200, port, payload=header + data)


def geneve(
    inner: Part | bytes, *, options: bytes = b"", option_length: int | None = None, protocol: int | None = None,
    vni: int = 0x123, port: int = 6081,
) -> Part:
    """Return Geneve (RFC 8926) in UDP; `option_length` counts four bytes."""
    data = inner.data if isinstance(inner, Part) else inner
    kind = inner_type(inner) if protocol is None else protocol
    words = len(options) // 4 if option_length is None else option_length
    return udp(49200, port, payload=bytes([words, 0]) + two(kind) + four(vni << 8) + options + data)
