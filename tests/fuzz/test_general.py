"""What a condition stands for: depth in a frame, hash types, headers that may not be more, TCP for UDP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.anatomy import EXTENSIONS, headers
from vnethash.fuzz.case import Case
from vnethash.fuzz.found import Found
from vnethash.fuzz.general import generalise
from vnethash.fuzz.reducer import as_tcp, plainer_cases, reduce
from vnethash.fuzz.signature import (
    END,
    START,
    WITH,
    WITHOUT,
    Signature,
    configuration_features,
    covers,
    depths,
    frame_features,
)
from vnethash.spec import craft
from vnethash.spec.configuration import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.fuzz.signature import Features

PLAIN = Configuration()


def features(case: Case) -> Features:
    return (*configuration_features(case.configuration), *frame_features(case.frame), *depths(case.frame))


def learned(case: Case, disagrees: Callable[[Case], bool]) -> Found:
    condition = (*configuration_features(case.configuration), *frame_features(case.frame))
    found = Found("it", "unexplained", "", (), Signature("value", "X6-1", condition), case, None, "")
    assert disagrees(case)
    generalise(found, PLAIN, features, disagrees)
    return found


def asks(found: Found, place: str) -> list[int]:
    return [number for each in found.also for where, number in each if where == place]


def test_depths_are_those_of_the_first_transport_header_or_of_the_end_of_the_headers() -> None:
    def of(*parts: craft.Part, tags: tuple[int, ...] = ()) -> tuple[int, int]:
        told = dict(depths(craft.ethernet(craft.ipv6(*parts), tags=tags)))
        return told[START], told[END]

    assert of(craft.udp()) == (54, 62)
    assert of(craft.hop_by_hop(), craft.tcp(payload=bytes(9)), tags=(0x8100,)) == (66, 86)
    assert of(craft.home_options(), craft.icmpv6()) == (78, 78)
    assert of(craft.fragment(offset=3), craft.raw(17, bytes(30))) == (62, 62)
    assert of(craft.ipv4(craft.tcp())) == (54, 54)
    assert depths(craft.ethernet(bytes(28), kind=0x0806)) == ((START, 0), (END, 0))


def test_what_shows_beyond_a_place_in_the_frame_is_one_condition_with_any_headers() -> None:
    def cut(case: Case) -> bool:
        return dict(depths(case.frame))[END] > 128

    def long(case: Case) -> bool:
        return dict(depths(case.frame))[START] > 100

    for shows, place in ((cut, END), (long, START)):
        for parts in ((craft.routing(*(craft.SOURCE6,) * 4, kind=0),), (craft.hop_by_hop(),) * 10):
            found = learned(Case(PLAIN, (craft.ethernet(craft.ipv6(*parts, craft.tcp())),)), shows)
            (least,) = asks(found, place)
            assert {cut: 122, long: 94}[shows] < least <= {cut: 130, long: 102}[shows]
            other = Case(PLAIN, (craft.ethernet(craft.ipv6(*(craft.mobility(),) * 12, craft.udp())),))
            assert found.covers(features(other))
            short = Case(PLAIN, (craft.ethernet(craft.ipv6(craft.hop_by_hop(), craft.routing(), craft.tcp())),))
            assert not found.covers(features(short))


def test_what_only_one_kind_or_number_of_headers_shows_is_not_taken_for_a_place_in_the_frame() -> None:
    def many(case: Case) -> bool:
        return sum(header.kind == "hbh" for header in headers(case.frame)) > 9

    def large(case: Case) -> bool:
        return any(header.kind == "dstopts" and header.end - header.start > 70 for header in headers(case.frame))

    def tcp(case: Case) -> bool:
        return dict(depths(case.frame))[END] > 128 and headers(case.frame)[-1].kind == "tcp"

    for shows, parts in (
        (many, (craft.hop_by_hop(),) * 10), (large, (craft.destination_options(craft.padn(90)),)),
        (tcp, (craft.hop_by_hop(),) * 10),
    ):  # fmt: skip
        found = learned(Case(PLAIN, (craft.ethernet(craft.ipv6(*parts, craft.tcp())),)), shows)
        assert not asks(found, END) + asks(found, START)


def test_of_hash_types_those_are_asked_for_that_matter() -> None:
    def shows(case: Case) -> bool:
        types = case.configuration.hash_types
        kind = headers(case.frame)[-1].kind
        on, off = (0x10, 0xC0) if kind == "tcp" else (0x20, 0x140)
        return types & on == on and not types & off and any(
            header.kind in EXTENSIONS.values() for header in headers(case.frame)
        )

    case = Case(Configuration(hash_types=0xBF), (craft.ethernet(craft.ipv6(craft.shim6(), craft.udp())),))
    found = learned(case, shows)
    assert {*asks(found, WITH)} == {0x10, 0x20}
    assert {*asks(found, WITHOUT)} == {0xC0, 0x140}
    tcp = craft.ethernet(craft.ipv6(craft.hip(), craft.tcp()))
    for types, is_covered in ((0x10, True), (0x13F, True), (0x20, False), (0x90, False), (0x1FF, False)):
        assert found.covers(features(Case(Configuration(hash_types=types), (tcp,)))) is is_covered
    # What shows by the types together stays as it is.
    odd = learned(Case(Configuration(hash_types=0xBF), case.frames), lambda case: case.configuration.hash_types in {
        0xBF, 0x3F, 0x9F
    })  # fmt: skip
    assert not odd.covers(features(Case(Configuration(hash_types=0x1F), case.frames)))


def test_what_usual_frames_with_more_of_a_header_do_not_show_asks_for_no_more_of_it() -> None:
    def one_tag(case: Case) -> bool:
        return [header.kind for header in headers(case.frame)].count("vlan") == 1 and case.frame[12:14] == b"\x88\xa8"

    packet = craft.two(0x0800) + craft.ipv4(craft.udp(checksum=0), checksum=0, identification=0).data
    link = craft.ethernet(bytes(2))[:12]
    tagged = [link + b"\x88\xa8\0\0" + b"\x81\0\0\0" * more + packet for more in range(3)]
    found = learned(Case(PLAIN, (tagged[0],)), one_tag)
    assert found.exact
    assert not found.narrow
    assert [found.covers(features(Case(PLAIN, (frame,)))) for frame in tagged] == [True, False, False]
    condition = (("has vlan", 1),)
    assert covers(condition, frame_features(tagged[2]))
    assert not covers(condition, frame_features(tagged[2]), exact=True)


def test_of_headers_that_are_there_many_times_one_is_left_where_two_show_nothing() -> None:
    for part, kind in ((craft.hop_by_hop(), "hbh"), (craft.home_options(), "dstopts")):
        def shows(case: Case, kind: str = kind) -> bool:
            return [header.kind for header in headers(case.frame)].count(kind) % 2 == 1

        start = Case(PLAIN, (craft.ethernet(craft.ipv6(*(part,) * 5, craft.udp())),))
        kinds = [header.kind for header in headers(reduce(start, PLAIN, shows).frame)]
        assert kinds.count(kind) == 1
    tags = Case(PLAIN, (craft.ethernet(craft.ipv4(craft.udp()), tags=(0x88A8, 0x8100, 0x8100)),))
    assert any(
        [(header.kind, header.number) for header in headers(case.frame) if header.kind == "vlan"] == [("vlan", 0x88A8)]
        for case in plainer_cases(tags, PLAIN)
    )


def test_tcp_takes_the_place_of_udp_in_the_frame_and_in_the_hash_types() -> None:
    frame = craft.ethernet(craft.ipv6(craft.hop_by_hop(), craft.udp(payload=b"abc")))
    other = as_tcp(Case(Configuration(hash_types=0xBF), (frame,)), PLAIN)
    assert other is not None
    assert other.configuration.hash_types == 0x13F
    assert [header.kind for header in headers(other.frame)] == ["eth", "ipv6", "hbh", "option", "tcp"]
    assert not any(place.endswith(("payload", "cut")) for place, _ in frame_features(other.frame))
    assert as_tcp(Case(PLAIN, (frame,)), PLAIN) is None
    assert as_tcp(other, PLAIN) is None

    def shows(case: Case) -> bool:
        kinds = [header.kind for header in headers(case.frame)]
        return "hbh" in kinds and (case.configuration.hash_types, kinds[-1]) in {(0xBF, "udp"), (0x13F, "tcp")}

    assert reduce(other, PLAIN, shows).configuration.hash_types == 0xBF
