"""Home addresses and routes in the extension headers of IPv6."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vnethash.models.ipv6 import ipv6
from vnethash.spec.readings import (
    ChainCut,
    HomeAlignment,
    HomeLength,
    HomeOverrun,
    HomeRepeated,
    HomeType,
    OptionLimit,
    OptionOverrun,
    OptionWalkEnd,
    Readings,
    RouteHeader,
    RouteLength,
    RouteOther,
    RouteSegments,
)

if TYPE_CHECKING:
    from vnethash.models.packet import Packet

HOME = bytes(range(0xA0, 0xB0))
OPTION = b"\xc9\x10" + HOME
TCP = bytes(12) + b"\x50" + bytes(7)


def packet(options: bytes, readings: Readings | None = None, *, behind: bytes = TCP, cut: int = 0) -> Packet:
    """Dissect an IPv6 packet with one Destination Options header; offset 1 is where it begins."""
    assert len(options) % 8 == 6
    number = b"\x06" if behind else b"\x3b"
    body = number + bytes([len(options) // 8]) + options + behind
    whole = b"\0\x60\0\0\0" + len(body).to_bytes(2, "big") + b"\x3c\x40" + bytes(range(1, 33)) + body
    frame = whole[: len(whole) - cut]
    return ipv6(frame, 1, len(frame), readings or Readings())


def test_a_home_address_is_found_where_it_should_be() -> None:
    found = packet(b"\x01\x02\0\0" + OPTION)
    assert found.home == 1 + 40 + 2 + 4 + 2
    assert found.options


@pytest.mark.parametrize("kind", [1, 5, 0xC9])
@pytest.mark.parametrize("behind", [TCP, b""])
def test_an_option_type_in_the_last_byte_of_a_header_is_an_overrun_whatever_follows(kind: int, behind: bytes) -> None:
    options = b"\x01\x03\0\0\0" + bytes([kind])
    assert not packet(options, behind=behind).refused
    unhashed = Readings(option_overrun=OptionOverrun.UNHASHED, home_overrun=HomeOverrun.UNHASHED)
    assert packet(options, unhashed, behind=behind).refused


def test_an_address_that_is_not_all_there_is_never_hashed() -> None:
    unchecked, begun = Readings(chain_cut=ChainCut.UNCHECKED), Readings(chain_cut=ChainCut.BEGUN)
    for cut in range(1, 17):
        assert packet(b"\x01\x02\0\0" + OPTION, unchecked, behind=b"", cut=cut).refused
        found = packet(b"\x01\x02\0\0" + OPTION, begun, behind=b"", cut=cut)
        assert (found.refused, found.home, found.extension) == (False, 0, True)
    for readings in (unchecked, begun):
        assert packet(b"\x01\x02\0\0" + OPTION, readings, behind=b"").home != 0


@pytest.mark.parametrize(("reading", "refused"), [
    (ChainCut.ADDRESSES, False), (ChainCut.BEGUN, False), (ChainCut.UNHASHED, True), (ChainCut.UNCHECKED, True),
])  # fmt: skip
def test_an_address_that_is_taken_behind_the_end_of_the_packet_is_none(reading: ChainCut, refused: bool) -> None:
    found = packet(b"\xc9\x02\0\0\1\0", Readings(chain_cut=reading, home_length=HomeLength.TAKEN), behind=b"")
    assert (found.refused, found.home) == (refused, 0)


@pytest.mark.parametrize("reading", HomeLength)
def test_a_home_address_of_a_wrong_length_is_read_as_asked(reading: HomeLength) -> None:
    found = packet(b"\xc9\x12" + HOME + b"\0\0" + b"\x01\0", Readings(home_length=reading))
    assert (found.home != 0) == (reading == HomeLength.TAKEN)
    assert found.refused == (reading == HomeLength.UNHASHED)


@pytest.mark.parametrize("reading", HomeOverrun)
def test_a_home_address_that_runs_past_its_header_is_read_as_asked(reading: HomeOverrun) -> None:
    found = packet(OPTION[:6], Readings(home_overrun=reading))
    assert (found.home != 0) == (reading == HomeOverrun.TAKEN)
    assert found.refused == (reading == HomeOverrun.UNHASHED)


def test_the_walk_that_ends_eight_bytes_early_misses_only_what_runs_past_the_header() -> None:
    early = Readings(home_overrun=HomeOverrun.TAKEN, option_walk_end=OptionWalkEnd.EIGHT_SHORT)
    late = Readings(home_overrun=HomeOverrun.TAKEN)
    assert packet(b"\x01\x02\0\0\xc9\x10", late).home != 0
    assert packet(b"\x01\x02\0\0\xc9\x10", early).home == 0
    assert packet(b"\x01\x02\0\0" + OPTION, early).home != 0


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        # header-end, eight-short, two-short
        (b"\x01\x08" + bytes(8) + b"\xc9\x02\0\0", (True, False, True)),
        (b"\x01\x02\0\0\xc9\0", (True, False, False)),
        (b"\x01\x0a" + bytes(10) + b"\xc9\0", (True, False, False)),
        (b"\xc9\x04\0\0\0\0", (True, True, True)),
    ],
)
def test_where_the_walk_ends_decides_about_an_option_of_a_wrong_length(
    options: bytes, taken: tuple[bool, ...]
) -> None:
    for reading, expected in zip(OptionWalkEnd, taken, strict=True):
        found = packet(options, Readings(home_length=HomeLength.TAKEN, option_walk_end=reading))
        assert (found.home != 0) == expected, reading.name


@pytest.mark.parametrize(
    ("options", "cut", "early", "refused"),
    [
        # What the walk would read next is not there: within the last eight bytes of the header, and before them.
        (b"\x01\x0a" + bytes(10) + b"\x05\x08" + bytes(8), 10, OptionWalkEnd.EIGHT_SHORT, True),
        (b"\x01\x0c" + bytes(12) + b"\x05\x06" + bytes(6), 8, OptionWalkEnd.EIGHT_SHORT, False),
        (b"\x01\x0c" + bytes(12) + b"\x05\x06" + bytes(6), 8, OptionWalkEnd.HEADER_END, True),
    ],
)
def test_a_walk_that_ends_early_does_not_miss_what_the_packet_lacks_behind_that(
    options: bytes, cut: int, early: OptionWalkEnd, refused: bool
) -> None:
    readings = Readings(chain_cut=ChainCut.UNCHECKED, option_walk_end=early)
    assert packet(options, readings, behind=b"", cut=cut).refused == refused


@pytest.mark.parametrize(("repeated", "refused"), [(HomeRepeated.FIRST, False), (HomeRepeated.LAST, True)])
def test_behind_the_first_home_address_nothing_is_read_where_that_is_the_one(
    repeated: HomeRepeated, refused: bool
) -> None:
    readings = Readings(chain_cut=ChainCut.UNCHECKED, home_repeated=repeated)
    found = packet(OPTION + b"\x01\x0a" + bytes(10), readings, behind=b"", cut=12)
    assert found.refused == refused
    assert found.home == 1 + 40 + 2 + 2


@pytest.mark.parametrize("reading", HomeRepeated)
def test_two_home_addresses_are_read_as_asked(reading: HomeRepeated) -> None:
    found = packet(b"\x01\0" + OPTION + OPTION, Readings(home_repeated=reading))
    assert found.refused == (reading == HomeRepeated.UNHASHED)
    if not found.refused:
        assert found.home == 1 + 40 + 2 + 2 + 2 + (18 if reading == HomeRepeated.LAST else 0)


def test_alignment_type_and_number_of_options_are_read_as_asked() -> None:
    misplaced = b"\0\0" + OPTION + b"\x01\0"
    assert packet(misplaced).home != 0
    assert packet(misplaced, Readings(home_alignment=HomeAlignment.REQUIRED)).home == 0
    alike = b"\x01\x02\0\0\x29\x10" + HOME
    assert packet(alike).home == 0
    assert packet(alike, Readings(home_type=HomeType.LOW_BITS)).home != 0
    many = bytes(28) + OPTION
    assert packet(many).home != 0
    assert packet(many, Readings(option_limit=OptionLimit.THIRTY)).home != 0
    assert packet(bytes(8) + many, Readings(option_limit=OptionLimit.THIRTY)).home == 0


def route(header: bytes, readings: Readings | None = None) -> Packet:
    """Dissect an IPv6 packet with one Routing header."""
    body = b"\x06" + header + TCP
    frame = b"\0\x60\0\0\0" + len(body).to_bytes(2, "big") + b"\x2b\x40" + bytes(range(1, 33)) + body
    return ipv6(frame, 1, len(frame), readings or Readings())


def test_a_type_2_route_is_found_and_judged_as_asked() -> None:
    good = b"\x02\x02\x01" + bytes(4) + HOME
    assert route(good).route == 1 + 40 + 8
    spent = b"\x02\x02\0" + good[3:]
    assert route(spent).route == 49
    assert route(spent, Readings(route_segments=RouteSegments.ONE)).route == 0
    assert route(spent, Readings(route_segments=RouteSegments.ONE_OR_UNHASHED)).refused
    long = b"\x04" + good[1:] + HOME
    assert route(long).route == 0
    assert route(long, Readings(route_length=RouteLength.TAKEN)).route == 49
    assert route(long, Readings(route_length=RouteLength.UNHASHED)).refused


def test_of_several_routing_headers_the_one_that_is_asked_for_gives_the_address() -> None:
    first = b"\x2b\x02\x02\x01" + bytes(4) + HOME
    full, short = (b"\x06" + size + b"\x03\0" + bytes(4 + more) for size, more in ((b"\x02", 16), (b"\0", 0)))

    def addresses(second: bytes) -> list[int]:
        body = first + second + TCP
        frame = b"\0\x60\0\0\0" + len(body).to_bytes(2, "big") + b"\x2b\x40" + bytes(range(1, 33)) + body
        return [ipv6(frame, 1, len(frame), Readings(route_header=reading)).route for reading in RouteHeader]

    # In the order of the readings: the first, the last of type 2, the last, the last of the length of type 2.
    assert addresses(b"\x06" + first[1:]) == [49, 49 + 24, 49 + 24, 49 + 24]
    assert addresses(full) == [49, 49, 0, 0]
    assert addresses(short) == [49, 49, 0, 49]


def test_the_final_segment_of_other_routing_headers_is_found() -> None:
    final = Readings(route_other=RouteOther.FINAL)
    source_route = b"\x04\0\x02" + bytes(4) + HOME + HOME
    segments = b"\x04\x04\x02" + bytes(4) + HOME + HOME
    assert route(source_route).route == route(segments).route == 0
    assert route(source_route, final).route == 1 + 40 + 8 + 16
    assert route(segments, final).route == 1 + 40 + 8
