"""What dissection finds in a frame and what selection makes of it; the events that both pass.

Everything in the model family `packet, link, ipv4, ipv6, options, transport, tunnel, select` is written in a small part
of Python, because CPython, numba and z3 all run it: integers, booleans, named tuples, `if`, bounded `while`, calls. No
exceptions, no containers that grow. A frame is anything that gives integers from 0 to 255 by index; offsets count bytes
from its start, and 0 means "none" (no field that matters lies at offset 0).
"""

from __future__ import annotations

from typing import NamedTuple


class Link(NamedTuple):
    """Where the IP header should be: its EtherType (0 if there is none) and its offset in the frame."""

    ethertype: int
    offset: int
    events: int


class Packet(NamedTuple):
    """The fields of one IP packet, as far as hashing needs them.

    Attributes:
        version: 4 or 6; 0 if the frame holds no IP packet.
        l3: offset of the IP header.
        l4: offset of what `protocol` names, where the walk ended.
        end: offset behind the last byte of the packet.
        protocol: protocol number or last next header.
        transport: 6 if the packet has a TCP header, 17 if UDP, else 0.
        refused: the packet cannot be interpreted, so nothing is hashed (REP-2).
        extension: an IPv6 packet with extension headers (X6-0).
        options: a Destination Options header was seen (X6-1).
        home: offset of the 16 bytes of the home address, 0 if none (X6-1).
        route: offset of the address that a routing header gives, 0 if none (X6-1); for IPv4 that of a source route.
        fragment: 0 whole, 1 first, 2 later, 3 atomic fragment.
        events: bits of what was seen and passed over, named in `events.py`.
    """

    version: int
    l3: int
    l4: int
    end: int
    protocol: int
    transport: int
    refused: bool
    extension: bool
    options: bool
    home: int
    route: int
    fragment: int
    events: int


class Selection(NamedTuple):
    """What is hashed: the report value, and where the fields lie.

    Attributes:
        report: `hash_report`; 0 if nothing is hashed (REP-4).
        source: offset of the address that is hashed first.
        destination: offset of the address that is hashed second.
        size: bytes of each address, 4 or 16; 0 if nothing is hashed.
        ports: offset of the four bytes of the ports; 0 if they are not hashed.
        rule: number of the rule that decided, named in `events.py`.
        events: those of the packet, and of the outer packet where there is a tunnel.
    """

    report: int
    source: int
    destination: int
    size: int
    ports: int
    rule: int
    events: int


def no_packet(events: int) -> Packet:
    """Return the packet of a frame that holds none."""
    return Packet(0, 0, 0, 0, 0, 0, False, False, False, 0, 0, 0, events)


def with_events(packet: Packet, events: int) -> Packet:
    """Return the packet with more events."""
    return Packet(
        packet.version, packet.l3, packet.l4, packet.end, packet.protocol, packet.transport, packet.refused,
        packet.extension, packet.options, packet.home, packet.route, packet.fragment, packet.events | events,
    )


def without_transport(packet: Packet) -> Packet:
    """Return the packet as one without a TCP or UDP header."""
    return Packet(
        packet.version, packet.l3, packet.l4, packet.end, packet.protocol, 0, packet.refused,
        packet.extension, packet.options, packet.home, packet.route, packet.fragment, packet.events,
    )


def octet(frame: bytes, length: int, offset: int) -> int:
    """Return a byte of the frame, 0 behind its end."""
    if offset < length:
        return frame[offset]
    return 0


def word(frame: bytes, offset: int) -> int:
    """Return the two bytes at an offset, most significant first; the caller knows that they are there."""
    return (frame[offset] << 8) | frame[offset + 1]
