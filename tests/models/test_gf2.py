"""Linear algebra of the hash: against the definition of Toeplitz."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vnethash.models.gf2 import colliding_keys, kernel, keys_with, matrix, multiply, preimages, rank
from vnethash.models.toeplitz import toeplitz
from vnethash.spec import craft
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import UsageError

KEYS = st.binary(min_size=0, max_size=48)
VALUES = st.integers(0, 0xFFFFFFFF)
PORTS_FREE = bytes(8) + b"\xff" * 4


def key_of(seed: int, size: int = 40) -> bytes:
    return Random(seed).randbytes(size)


@given(KEYS, st.sampled_from((8, 12, 32, 36)).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_the_matrix_of_a_key_times_an_input_is_its_toeplitz_hash(key: bytes, data: bytes) -> None:
    assert multiply(matrix(key, len(data)), data) == toeplitz(key, data)


def test_the_matrix_gives_the_values_that_microsoft_published() -> None:
    for flow in craft.FLOWS4:
        assert multiply(matrix(MICROSOFT_KEY, 8), flow.source + flow.destination) == flow.addresses_hash


@given(st.integers(0, 1 << 30), VALUES, st.binary(min_size=12, max_size=12), st.integers(0, 1 << 40))
def test_every_preimage_has_the_value_and_keeps_the_bits_that_are_given(
    seed: int, value: int, fixed: bytes, choice: int
) -> None:
    free = b"\xff\x0f" + bytes(6) + b"\xff" * 4
    found = preimages(key_of(seed), value, fixed, free)
    if found is not None:
        data = found.member(choice)
        assert toeplitz(key_of(seed), data) == value
        assert all((a ^ b) & ~mask & 255 == 0 for a, b, mask in zip(data, fixed, free, strict=True))


def test_ports_that_give_a_flow_the_hash_zero_are_found() -> None:
    flow = craft.FLOWS4[0]
    found = preimages(MICROSOFT_KEY, 0, flow.source + flow.destination + bytes(4), PORTS_FREE)
    assert found is not None
    assert found.particular[:8] == flow.source + flow.destination
    assert toeplitz(MICROSOFT_KEY, found.particular) == 0
    assert rank(matrix(MICROSOFT_KEY, 12)[64:]) == 31  # so only half of the values can be reached by ports
    assert len(found.basis) == 1


def test_that_there_is_no_preimage_agrees_with_trying_all_of_them() -> None:
    key = b"\x80" + bytes(11)  # one bit: only the first bits of the input reach the value
    free = bytes(6) + b"\xff\x00"
    reached = {toeplitz(key, bytes(6) + bytes([octet, 0])) for octet in range(256)}
    for value in (*range(64), *(1 << bit for bit in range(32))):
        found = preimages(key, value, bytes(8), free)
        assert (found is not None) == (value in reached)


@given(st.integers(0, 1 << 30), st.sampled_from((8, 12, 36)), st.integers(0, 1 << 300))
def test_every_combination_of_the_kernel_has_the_hash_zero_and_the_dimensions_add_up(
    seed: int, size: int, choice: int
) -> None:
    key = key_of(seed)
    basis = kernel(key, size)
    assert len(basis) + rank(matrix(key, size)) == size * 8
    number = 0
    for place, vector in enumerate(basis):
        if choice >> place & 1:
            number ^= int.from_bytes(vector, "big")
    assert toeplitz(key, number.to_bytes(size, "big")) == 0


@given(
    st.lists(st.binary(min_size=8, max_size=36), min_size=1, max_size=4), st.integers(0, 1 << 30),
    st.integers(0, 1 << 320),
)
def test_keys_that_give_inputs_their_values_are_found(data: list[bytes], seed: int, choice: int) -> None:
    values = [toeplitz(key_of(seed), item) for item in data]
    found = keys_with(data, values, 40)
    assert found is not None
    assert [toeplitz(found.member(choice), item) for item in data] == values


def test_values_that_no_key_gives_are_refused() -> None:
    assert keys_with([bytes(8)], [1], 40) is None
    assert keys_with([b"\x01" * 8, b"\x01" * 8], [1, 2], 40) is None


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=12, max_size=12), st.integers(0, 1 << 320))
def test_two_inputs_collide_under_every_key_that_is_said_to(first: bytes, second: bytes, choice: int) -> None:
    found = colliding_keys(first, second, 40)
    key = found.member(choice)
    assert toeplitz(key, first) == toeplitz(key, second)
    if first != second:
        assert len(found.basis) == 320 - 32


def test_sizes_that_do_not_fit_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="one size"):
        preimages(b"", 0, bytes(8), bytes(7))
    with pytest.raises(UsageError, match="too short"):
        keys_with([bytes(8)], [0], 11)
    with pytest.raises(UsageError, match="values"):
        keys_with([bytes(8)], [], 40)
    with pytest.raises(UsageError, match="lengths"):
        colliding_keys(bytes(8), bytes(9), 40)
