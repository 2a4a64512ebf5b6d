"""Dissection of IPv4: lengths, fragments, options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.ipv4 import fragment_kind, ipv4
from vnethash.spec.readings import (
    FragmentFlags,
    IhlBelowFive,
    IhlBeyond,
    Ipv4Ah,
    Ipv4FirstFragment,
    Ipv4LaterFragment,
    Ipv4Options,
    Readings,
    TcpDataOffset,
    TotalLengthBound,
    TotalLengthLong,
    TotalLengthShort,
    TotalLengthZero,
    UdpLength,
)

if TYPE_CHECKING:
    from vnethash.models.packet import Packet

TCP = bytes(range(12)) + b"\x50" + bytes(7)


def dissect(
    readings: Readings | None = None, *, first: int = 0x45, total: int | None = None, flags: int = 0, protocol: int = 6,
    options: bytes = b"", payload: bytes = TCP, behind: bytes = b"",
) -> Packet:
    """Dissect a packet that begins at offset 1."""
    size = 20 + len(options) + len(payload) if total is None else total
    head = bytes([first, 0]) + size.to_bytes(2, "big") + b"\0\0" + flags.to_bytes(2, "big")
    frame = b"\0" + head + bytes([64, protocol, 0, 0]) + bytes(range(8)) + options + payload + behind
    return ipv4(frame, 1, len(frame), readings or Readings())


def test_only_mf_and_the_offset_make_a_fragment() -> None:
    assert [fragment_kind(flags) for flags in (0, 0x4000, 0x8000, 0x2000, 0x6000, 1, 0x2001)] == [0, 0, 0, 1, 1, 2, 2]


def test_fragments_are_read_as_asked() -> None:
    assert dissect(flags=0x2000).transport == 6
    assert dissect(Readings(ipv4_first_fragment=Ipv4FirstFragment.ADDRESSES), flags=0x2000).transport == 0
    assert dissect(flags=5).transport == 0
    assert dissect(Readings(ipv4_later_fragment=Ipv4LaterFragment.PORTS), flags=5).transport == 6
    assert dissect(flags=0x4000).transport == 6
    assert dissect(Readings(fragment_flags=FragmentFlags.ANY_FLAG), flags=0x4000).transport == 0


def test_header_lengths_that_cannot_be_are_read_as_asked() -> None:
    assert dissect(first=0x44).refused
    assert dissect(Readings(ihl_below_five=IhlBelowFive.ADDRESSES), first=0x44).transport == 0
    assert dissect(Readings(ihl_below_five=IhlBelowFive.FIVE), first=0x44)[2:6] == (21, 41, 6, 6)
    assert dissect(Readings(ihl_below_five=IhlBelowFive.AS_STATED), first=0x42).l4 == 9
    assert dissect(first=0x4F).refused
    assert not dissect(Readings(ihl_beyond=IhlBeyond.ADDRESSES), first=0x4F).refused
    assert dissect(Readings(ihl_beyond=IhlBeyond.AS_STATED), first=0x4F).refused  # Total Length is below it too


def test_options_are_read_as_asked() -> None:
    options = b"\x01\x01\x01\0"
    assert dissect(first=0x46, options=options).l4 == 25
    assert dissect(Readings(ipv4_options=Ipv4Options.AT_TWENTY), first=0x46, options=options).l4 == 21
    assert dissect(Readings(ipv4_options=Ipv4Options.UNHASHED), first=0x46, options=options).refused
    assert dissect(Readings(ipv4_options=Ipv4Options.ADDRESSES), first=0x46, options=options).transport == 0


def test_total_lengths_are_read_as_asked() -> None:
    assert dissect(total=0).refused
    assert dissect(Readings(total_length_zero=TotalLengthZero.FRAME), total=0).transport == 6
    assert dissect(total=19).refused
    assert not dissect(Readings(total_length_short=TotalLengthShort.ADDRESSES), total=19).refused
    assert dissect(Readings(total_length_short=TotalLengthShort.FRAME), total=19).transport == 6
    assert dissect(total=41).transport == 6
    assert dissect(Readings(total_length_long=TotalLengthLong.UNHASHED), total=41).refused
    assert dissect(total=39).transport == 0
    assert dissect(Readings(total_length_bound=TotalLengthBound.FRAME), total=39).transport == 6


def test_what_a_transport_header_claims_is_held_against_the_frame_where_the_frame_ends_the_packet() -> None:
    frame = TotalLengthBound.FRAME
    addresses = Readings(tcp_data_offset=TcpDataOffset.ADDRESSES, udp_length=UdpLength.ADDRESSES)
    both = addresses._replace(total_length_bound=frame)
    long = TCP[:12] + b"\x60" + TCP[13:]
    udp = b"\0\x01\0\x02\0\x0c\0\0"
    for protocol, payload in ((6, long), (17, udp)):
        assert dissect(protocol=protocol, payload=payload, behind=bytes(4)).transport == protocol
        assert dissect(addresses, protocol=protocol, payload=payload, behind=bytes(4)).transport == 0
        assert dissect(both, protocol=protocol, payload=payload, behind=bytes(4)).transport == protocol
        assert dissect(both, protocol=protocol, payload=payload, behind=bytes(3)).transport == 0


def test_an_authentication_header_is_skipped_in_a_first_fragment_too() -> None:
    header = b"\x06\x04" + bytes(22)
    skipped = Readings(ipv4_ah=Ipv4Ah.SKIPPED)
    for flags, kind in ((0, 6), (0x4000, 6), (0x2000, 6), (0x2001, 0)):
        assert dissect(flags=flags, protocol=51, payload=header + TCP).transport == 0
        assert dissect(skipped, flags=flags, protocol=51, payload=header + TCP).transport == kind
