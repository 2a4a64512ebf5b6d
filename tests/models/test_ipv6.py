"""Dissection of IPv6: the chain, its length, fragments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vnethash.models.ipv6 import ipv6
from vnethash.spec.readings import (
    AnnouncedHeader,
    AtomicFragment,
    AuthenticationHeader,
    ChainCut,
    EspHeader,
    FragmentHeader,
    FragmentLength,
    HeaderLimit,
    HomeHeader,
    HopByHopPlace,
    Icmpv6Header,
    Icmpv6Ports,
    Ipv6FirstFragment,
    NoNextHeader,
    PayloadLengthBound,
    PayloadLengthLong,
    PayloadLengthZero,
    Readings,
    RepeatedHeader,
)

if TYPE_CHECKING:
    from vnethash.models.packet import Packet

TCP = bytes(range(12)) + b"\x50" + bytes(7)
LITERAL = Readings()
PADDING = b"\0\x01\x04\0\0\0\0"


def dissect(
    numbers: list[int], headers: list[bytes], readings: Readings = LITERAL, *, payload: int | None = None,
    behind: bytes = b"",
) -> Packet:
    """Dissect a packet that begins at offset 1; a header is given without its first byte."""
    body = b"".join(bytes([number]) + header for number, header in zip(numbers[1:], headers, strict=False))
    body += headers[-1] if len(headers) == len(numbers) else b""
    size = len(body) if payload is None else payload
    frame = b"\0\x60\0\0\0" + size.to_bytes(2, "big") + bytes([numbers[0], 64]) + bytes(range(32)) + body + behind
    return ipv6(frame, 1, len(frame), readings)


def test_the_last_header_of_a_chain_is_found() -> None:
    found = dissect([0, 60, 43, 6], [PADDING, PADDING, PADDING, TCP])
    assert found[2:6] == (1 + 40 + 24, 1 + 40 + 24 + 20, 6, 6)
    assert found.extension


def test_an_authentication_header_counts_in_fours() -> None:
    header = b"\x04" + bytes(22)
    assert dissect([51, 6], [header, TCP]).transport == 6
    upper = Readings(authentication_header=AuthenticationHeader.UPPER_LAYER)
    assert dissect([51, 6], [header, TCP], upper).protocol == 51
    eight = Readings(authentication_header=AuthenticationHeader.EIGHT_OCTETS)
    assert dissect([51, 6], [header, bytes(16) + TCP], eight).l4 == 1 + 40 + 40


@pytest.mark.parametrize("reading", EspHeader)
def test_esp_is_read_as_asked(reading: EspHeader) -> None:
    found = dissect([50, 6], [b"\0" + bytes(6), TCP], Readings(esp_header=reading))
    assert found.extension == (reading != EspHeader.UPPER_LAYER)
    assert found.transport == (6 if reading == EspHeader.WALKED else 0)


def test_an_announced_header_counts_or_not_for_esp_as_for_others() -> None:
    absent = Readings(announced_header=AnnouncedHeader.ABSENT)
    for number in (50, 60, 43, 0, 51, 44):
        assert dissect([number], []).extension
        assert not dissect([number], [], absent).extension
        assert dissect([number], [], absent, payload=1, behind=b"\0").extension
    ends = Readings(no_next_header=NoNextHeader.EXTENSION, announced_header=AnnouncedHeader.ABSENT)
    assert dissect([59], [], ends).extension


@pytest.mark.parametrize("number", [50, 51, 58, 59, 6, 17, 200])
def test_one_header_alone_has_no_fragment_and_no_addresses(number: int) -> None:
    found = dissect([number], [])
    assert (found.fragment, found.home, found.route) == (0, 0, 0)


def test_the_fragment_header_alone_makes_an_extension_or_not() -> None:
    header = bytes(7)
    assert dissect([44, 6], [header, TCP]).extension
    assert not dissect([44, 6], [header, TCP], Readings(fragment_header=FragmentHeader.NOT_EXTENSION)).extension


def test_fragments_are_told_apart() -> None:
    kinds = {0: (3, 6), 1: (1, 6), 8: (2, 0), 9: (2, 0), 6: (3, 6)}
    for field, (kind, transport) in kinds.items():
        found = dissect([44, 6], [b"\0" + field.to_bytes(2, "big") + bytes(4), TCP])
        assert (found.fragment, found.transport) == (kind, transport)
    assert dissect([44, 6], [bytes(7), TCP], Readings(atomic_fragment=AtomicFragment.FRAGMENT)).transport == 0
    first = Readings(ipv6_first_fragment=Ipv6FirstFragment.ADDRESSES)
    assert dissect([44, 6], [b"\0\0\x01" + bytes(4), TCP], first).transport == 0


def test_the_reserved_byte_of_a_fragment_header_is_no_length() -> None:
    header = b"\x01" + bytes(6)
    assert dissect([44, 6], [header, TCP]).l4 == 49
    assert dissect([44, 6], [header, TCP], Readings(fragment_length=FragmentLength.RESERVED_OCTET)).l4 == 57


@pytest.mark.parametrize("count", [4, 5, 11, 12, 16, 17, 100])
def test_the_number_of_headers_is_limited_as_asked(count: int) -> None:
    numbers, headers = [60] * count + [6], [PADDING] * count + [TCP]
    assert dissect(numbers, headers).transport == 6
    for limit, reading in ((4, HeaderLimit.FOUR), (11, HeaderLimit.ELEVEN), (16, HeaderLimit.SIXTEEN)):
        found = dissect(numbers, headers, Readings(header_limit=reading))
        assert (found.transport, found.refused) == ((0, False) if count > limit else (6, False))
    for limit, reading in (
        (4, HeaderLimit.FOUR_UNHASHED), (11, HeaderLimit.ELEVEN_UNHASHED), (16, HeaderLimit.SIXTEEN_UNHASHED)
    ):
        assert dissect(numbers, headers, Readings(header_limit=reading)).refused == (count > limit)


def test_a_chain_that_is_cut_is_read_as_asked() -> None:
    for size in range(8):
        headers = [b"\x01\x04\0\0\0\0\0"[: max(0, size - 1)]]
        numbers = [0, 6] if size else [0]
        for reading in ChainCut:
            found = dissect(numbers, headers[: len(numbers) - 1], Readings(chain_cut=reading))
            assert found.transport == 0
            assert found.refused == (
                reading == ChainCut.UNHASHED or (reading != ChainCut.ADDRESSES and size < 2)
            ), (size, reading)


def test_order_and_number_of_headers_matter_only_if_asked() -> None:
    place = Readings(hop_by_hop_place=HopByHopPlace.UNHASHED)
    assert not dissect([0, 60, 6], [PADDING, PADDING, TCP], place).refused
    assert dissect([60, 0, 6], [PADDING, PADDING, TCP], place).refused
    repeated = Readings(repeated_header=RepeatedHeader.UNHASHED)
    assert not dissect([60, 60, 6], [PADDING] * 2 + [TCP], repeated).refused
    assert dissect([60, 60, 60, 6], [PADDING] * 3 + [TCP], repeated).refused
    assert dissect([43, 43, 6], [PADDING] * 2 + [TCP], repeated).refused


def test_payload_lengths_are_read_as_asked() -> None:
    assert dissect([6], [TCP], payload=0).transport == 6
    assert dissect([6], [TCP], Readings(payload_length_zero=PayloadLengthZero.EMPTY), payload=0).transport == 0
    assert dissect([6], [TCP], Readings(payload_length_zero=PayloadLengthZero.UNHASHED), payload=0).refused
    assert dissect([6], [TCP], payload=99).transport == 6
    assert dissect([6], [TCP], Readings(payload_length_long=PayloadLengthLong.UNHASHED), payload=99).refused
    frame = Readings(payload_length_bound=PayloadLengthBound.FRAME)
    for size in (1, 7, 8, 19):
        assert dissect([6], [TCP], payload=size).transport == 0
        assert dissect([6], [TCP], frame, payload=size).transport == 6
        assert dissect([60, 6], [PADDING, TCP], frame, payload=size).transport == 6


def test_icmpv6_is_walked_only_by_a_defect() -> None:
    message = b"\x01" + bytes(6)
    assert dissect([58, 17], [message, bytes(16)]).protocol == 58
    walked = Readings(icmpv6_header=Icmpv6Header.WALKED, icmpv6_ports=Icmpv6Ports.HASHED)
    assert dissect([58, 17], [message, bytes(16)], walked).transport == 17
    assert dissect([58, 17], [message, bytes(16)], walked._replace(icmpv6_ports=0)).transport == 0


def test_the_home_address_of_several_headers_is_read_as_asked() -> None:
    home = b"\x02\x01\x02\0\0\xc9\x10" + bytes(16)
    first, second = 1 + 40 + 8, 1 + 40 + 24 + 8
    for numbers, headers, expected in (
        ([60, 60, 6], [home, home, TCP], (first, second, second)),
        ([60, 60, 6], [home, PADDING, TCP], (first, first, 0)),
        ([60, 60, 6], [PADDING, home, TCP], (57, 57, 57)),
    ):
        found = [dissect(numbers, headers, Readings(home_header=reading)).home for reading in HomeHeader]
        assert tuple(found) == expected
