"""Whether a packet has a TCP or a UDP header (V4-1, V4-2, V6-1, V6-2, X6-1, X6-2)."""

from __future__ import annotations

from typing import NamedTuple

from vnethash.models.events import OTHER_PORTS, TCP_CUT, TCP_HEADER, TCP_OFFSET, UDP_CUT, UDP_HEADER, UDP_LENGTH
from vnethash.models.packet import word
from vnethash.spec.readings import PortProtocols, Readings, TcpCut, TcpDataOffset, UdpCut, UdpLength

TCP = 6
UDP = 17
DCCP = 33
SCTP = 132
UDP_LITE = 136


class Transport(NamedTuple):
    """6 for a TCP header, 17 for UDP, 0 for none; `refused` if the whole packet is not to be hashed."""

    kind: int
    refused: bool
    events: int


def has_ports(protocol: int) -> bool:
    """Say whether a protocol begins with two port numbers."""
    return protocol == TCP or protocol == UDP or protocol == DCCP or protocol == SCTP or protocol == UDP_LITE


def header_size(protocol: int) -> int:
    """Return the bytes of a fixed TCP or UDP header."""
    if protocol == TCP:
        return 20
    return 8


def reach(frame: bytes, offset: int, end: int, protocol: int) -> int:
    """Return the bytes that a header at `offset` asks for: the fixed ones, or what its own length field says."""
    size = header_size(protocol)
    claim = 0
    if offset + size <= end:
        if protocol == TCP:
            claim = (frame[offset + 12] >> 4) * 4
        elif protocol == UDP:
            claim = word(frame, offset + 4)
    if claim > size:
        return claim
    return size


def transport(frame: bytes, offset: int, end: int, protocol: int, readings: Readings) -> Transport:
    """Look for a TCP or UDP header at `offset` of a packet that ends at `end`."""
    if protocol == TCP:
        return tcp(frame, offset, end, readings)
    if protocol == UDP:
        return udp(frame, offset, end, readings)
    if protocol == UDP_LITE:
        if readings.port_protocols != PortProtocols.TCP_UDP:
            return Transport(UDP, False, OTHER_PORTS)
        return Transport(0, False, OTHER_PORTS)
    if protocol == SCTP or protocol == DCCP:
        if readings.port_protocols == PortProtocols.ALL:
            return Transport(UDP, False, OTHER_PORTS)
        return Transport(0, False, OTHER_PORTS)
    return Transport(0, False, 0)


def tcp(frame: bytes, offset: int, end: int, readings: Readings) -> Transport:
    """Look for a TCP header (RFC 9293 section 3.1)."""
    if offset + 20 > end:
        if readings.tcp_cut == TcpCut.PORTS and offset + 4 <= end:
            return Transport(TCP, False, TCP_CUT)
        if readings.tcp_cut == TcpCut.BEYOND:
            return Transport(TCP, False, TCP_CUT)
        if readings.tcp_cut == TcpCut.UNHASHED:
            return Transport(0, True, TCP_CUT)
        return Transport(0, False, TCP_CUT)
    size = (frame[offset + 12] >> 4) * 4
    if size < 20 or offset + size > end:
        if readings.tcp_data_offset == TcpDataOffset.ADDRESSES:
            return Transport(0, False, TCP_OFFSET)
        if readings.tcp_data_offset == TcpDataOffset.UNHASHED:
            return Transport(0, True, TCP_OFFSET)
        return Transport(TCP, False, TCP_HEADER | TCP_OFFSET)
    return Transport(TCP, False, TCP_HEADER)


def udp(frame: bytes, offset: int, end: int, readings: Readings) -> Transport:
    """Look for a UDP header (RFC 768)."""
    if offset + 8 > end:
        if readings.udp_cut == UdpCut.PORTS and offset + 4 <= end:
            return Transport(UDP, False, UDP_CUT)
        if readings.udp_cut == UdpCut.BEYOND:
            return Transport(UDP, False, UDP_CUT)
        if readings.udp_cut == UdpCut.UNHASHED:
            return Transport(0, True, UDP_CUT)
        return Transport(0, False, UDP_CUT)
    size = word(frame, offset + 4)
    if size < 8 or offset + size > end:
        if readings.udp_length == UdpLength.ADDRESSES:
            return Transport(0, False, UDP_LENGTH)
        if readings.udp_length == UdpLength.UNHASHED:
            return Transport(0, True, UDP_LENGTH)
        return Transport(UDP, False, UDP_HEADER | UDP_LENGTH)
    return Transport(UDP, False, UDP_HEADER)
