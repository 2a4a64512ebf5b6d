from __future__ import annotations

import pytest
from ebpf_support import MICROSOFT, frame_between
from vnethash.models.ebpf.program import ARRAY, HASH, MapDefinition, Program
from vnethash.spec.errors import FormatError
from vnethash.targets.ebpf.program import Roles, find_roles, key_value, limit_of_tap, limit_of_test_run

MAPS = (
    MapDefinition("rss_indirection_table", ARRAY, 4, 2, 200),
    MapDefinition("other", HASH, 1, 1, 1),
    MapDefinition("rss_toeplitz_key", ARRAY, 4, 52, 1),
    MapDefinition("rss_configurations", ARRAY, 4, 10, 1),
)


def roles(maps):
    return find_roles(Program("steer", "socket", b"", maps), "x.o")


def test_the_maps_are_found_by_how_their_names_end():
    assert roles(MAPS) == Roles(configurations=3, key=2, table=0, key_size=52, table_length=200)


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (MAPS[1:], r"uses other, rss_toeplitz_key, rss_configurations: 0 of them named \*indirection_table"),
        ((), r"uses no maps: 0 of them named \*configurations"),
        ((*MAPS, MAPS[3]._replace(name="more_configurations")), r"2 of them named \*configurations"),
        ((*MAPS[:3], MAPS[3]._replace(value_size=12)), "has 1 entries of 12 bytes, 1 of 10 are needed"),
        ((MAPS[0]._replace(max_entries=64), *MAPS[1:]), "has 64 entries of 2 bytes, 128 of 2 are needed"),
        ((*MAPS[:2], MAPS[2]._replace(kind=HASH), MAPS[3]), "map rss_toeplitz_key is not an array"),
    ],
)
def test_an_object_with_another_interface_is_told_what_is_wrong(maps, words):
    with pytest.raises(FormatError, match=words) as caught:
        roles(maps)
    assert "vnethash.targets.ebpf.program" in caught.value.hint


def test_the_key_map_has_the_first_word_in_the_order_of_the_machine():
    assert key_value(bytes(range(1, 7)), 8, "little") == bytes([4, 3, 2, 1, 5, 6, 0, 0])
    assert key_value(bytes(range(1, 7)), 8, "big") == bytes([1, 2, 3, 4, 5, 6, 0, 0])
    assert key_value(b"", 40) == bytes(40)


def test_frames_that_both_ways_show_alike_are_not_limited():
    for vector in MICROSOFT:
        frame = frame_between(*vector[:4])
        assert limit_of_test_run(frame) == limit_of_tap(frame) == ""
    for ethertype in (b"\x91\x00", b"\x08\x06", b"\x00\x40", b"\x12\x34"):
        assert limit_of_test_run(bytes(12) + ethertype) == ""


def test_a_tap_takes_what_a_test_run_does_not():
    for frame in (bytes(12) + b"\x81\x00", bytes(12) + b"\x08\x00", bytes(4000)):
        assert "TAP" in limit_of_test_run(frame)
        assert limit_of_tap(frame) == ""
    assert limit_of_tap(bytes(13))
