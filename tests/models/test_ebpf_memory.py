from __future__ import annotations

import pytest
from vnethash.models.ebpf.memory import CONTEXT, MAP_HANDLE, STACK, ArrayMap, Fault, HashMap, Memory, make_map
from vnethash.models.ebpf.program import ARRAY, HASH, PERCPU_ARRAY, PERCPU_HASH, MapDefinition
from vnethash.spec.errors import FormatError

KEYS = [number.to_bytes(4, "little") for number in range(5)]


def test_a_region_is_read_and_written_inside_its_bounds_only():
    memory = Memory({99: bytearray(b"abcd")})
    assert memory.read(99 << 32 | 1, 3) == b"bcd"
    memory.write(99 << 32 | 2, b"xy")
    assert memory.read(99 << 32, 4) == b"abxy"
    for address, size in ((99 << 32 | 2, 3), ((99 << 32) - 1, 1), (98 << 32, 1), (0, 1)):
        with pytest.raises(Fault, match="read of"):
            memory.read(address, size)
        with pytest.raises(Fault, match="write of"):
            memory.write(address, bytes(size))


def test_a_region_of_bytes_is_read_only():
    memory = Memory({99: b"abcd"})
    with pytest.raises(Fault, match="read-only map value of 4 bytes"):
        memory.write(99 << 32, b"x")


def test_addresses_are_described_by_what_they_belong_to():
    memory = Memory({99: bytearray(4)})
    assert memory.describe(8) == "address 8: a null pointer"
    assert memory.describe(CONTEXT << 32 | 4) == "context+4"
    assert memory.describe((STACK << 32) + 504).startswith("r10-8")
    assert memory.describe((STACK << 32) - 8).startswith("r10-520")
    assert memory.describe(MAP_HANDLE << 32) == "a map itself, not a value of it"
    assert memory.describe((99 << 32) - 1) == "offset -1 of a map value of 4 bytes"
    assert memory.describe(1 << 62) == "0x4000000000000000: no pointer"


def test_an_array_has_all_its_entries_and_keeps_them():
    memory = Memory()
    array = make_map(MapDefinition("a", PERCPU_ARRAY, 4, 3, 2, initial=b"xyz"), 0, memory)
    assert isinstance(array, ArrayMap)
    assert memory.read(array.lookup(KEYS[0]), 3) == b"xyz"
    assert memory.read(array.lookup(KEYS[1]), 3) == bytes(3)
    assert array.lookup(KEYS[2]) == 0
    assert [array.update(KEYS[1], b"abc", flags) for flags in range(4)] == [0, -17, 0, -22]
    assert array.update(KEYS[2], b"abc", 0) == -7
    assert array.delete(KEYS[0]) == -22
    assert array.read(1) == b"abc"


def test_entries_of_a_hash_map_come_and_go():
    memory = Memory()
    table = make_map(MapDefinition("h", PERCPU_HASH, 4, 1, 2), 1, memory)
    assert isinstance(table, HashMap)
    assert table.lookup(KEYS[0]) == 0
    assert table.update(KEYS[0], b"a", 2) == -2
    assert table.update(KEYS[0], b"a", 1) == 0
    assert table.update(KEYS[0], b"b", 1) == -17
    old = table.lookup(KEYS[0])
    assert table.update(KEYS[0], b"b", 0) == 0
    assert (memory.read(old, 1), memory.read(table.lookup(KEYS[0]), 1)) == (b"a", b"b")
    assert table.update(KEYS[1], b"c", 0) == 0
    assert table.update(KEYS[2], b"d", 0) == -7
    assert [table.delete(KEYS[1]), table.delete(KEYS[1])] == [0, -2]
    assert table.update(KEYS[2], b"d", 3) == -22
    assert table.address(0) == 0


@pytest.mark.parametrize(
    "definition",
    [
        MapDefinition("m", 13, 4, 4, 1),
        MapDefinition("m", ARRAY, 8, 4, 1),
        MapDefinition("m", ARRAY, 4, 0, 1),
        MapDefinition("m", HASH, 4, 4, 0),
        MapDefinition("m", HASH, 4, 1 << 30, 1),
    ],
)
def test_maps_that_cannot_be_made_are_refused_by_name(definition):
    with pytest.raises(FormatError, match=r"^map m: "):
        make_map(definition, 0, Memory())
