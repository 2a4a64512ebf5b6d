"""The Toeplitz hash: Microsoft's vectors, its three forms, and the proof that the table form is the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from vnethash.models import toeplitz as module
from vnethash.models.toeplitz import byte_tables, toeplitz, toeplitz_by_table
from vnethash.spec.constants import MICROSOFT_KEY

if TYPE_CHECKING:
    import pytest


def by_convolution(key: bytes, data: bytes) -> int:
    """Return the hash as the middle 32 bits of a carry-less product of the key and the reversed input."""
    size = len(data) * 8
    bits = int.from_bytes(key.ljust(len(data) + 4, b"\0")[: len(data) + 4], "big")
    backwards = int(f"{int.from_bytes(data, 'big'):0{size}b}"[::-1], 2) if data else 0
    product = 0
    while backwards:
        lowest = backwards & -backwards
        product ^= bits * lowest
        backwards ^= lowest
    return product >> size & 0xFFFFFFFF


def test_the_hash_of_microsofts_first_vector_is_theirs() -> None:
    data = bytes([66, 9, 149, 187, 161, 142, 100, 80]) + (2794).to_bytes(2, "big") + (1766).to_bytes(2, "big")
    assert toeplitz(MICROSOFT_KEY, data[:8]) == 0x323E8FC2
    assert toeplitz(MICROSOFT_KEY, data) == 0x51CCC178


@given(st.binary(max_size=60), st.binary(max_size=36))
def test_definition_table_and_convolution_agree(key: bytes, data: bytes) -> None:
    expected = toeplitz(key, data)
    assert toeplitz_by_table(byte_tables(key), data) == expected
    assert by_convolution(key, data) == expected


@given(st.binary(min_size=40, max_size=40), st.binary(min_size=36, max_size=36), st.binary(min_size=36, max_size=36))
def test_the_hash_is_linear_in_its_input(key: bytes, one: bytes, other: bytes) -> None:
    both = bytes(a ^ b for a, b in zip(one, other, strict=True))
    assert toeplitz(key, both) == toeplitz(key, one) ^ toeplitz(key, other)


@given(st.binary(max_size=36), st.binary(min_size=40, max_size=60))
def test_key_bits_that_are_missing_are_zero_and_those_behind_do_not_matter(data: bytes, key: bytes) -> None:
    assert toeplitz(key[: len(data) + 4], data) == toeplitz(key, data)
    assert toeplitz(key[:7], data) == toeplitz(key[:7] + bytes(40), data)


class Bits:
    """An integer whose bits are sums over GF(2) of the 320 key bits; bit 0 first, a sum as the set of its key bits."""

    def __init__(self, sums: list[int]) -> None:
        self.sums = sums

    def __rshift__(self, count: int) -> Bits:
        return Bits(self.sums[count:])

    def __lshift__(self, count: int) -> Bits:
        return Bits([0] * count + self.sums)

    def __and__(self, mask: int) -> Bits:
        assert mask == 0xFFFFFFFF
        return Bits(self.sums[:32])

    def __rxor__(self, other: int) -> Bits:
        assert other == 0
        return self

    def __xor__(self, other: Bits) -> Bits:
        return Bits([a ^ b for a, b in zip(self.sums, other.sums, strict=True)])


class Key(bytes):
    """Stands for a key of unknown bits."""


class Integers:
    """Stands for `int` in the module, which turns an unknown key into `Bits`."""

    @staticmethod
    def from_bytes(key: bytes, order: str) -> Bits:
        assert order == "big"
        width = len(key) * 8
        return Bits([1 << (width - 1 - place) for place in range(width)])


def symbolic_tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(module, "int", Integers, raising=False)
        return byte_tables.__wrapped__(Key(40))


def test_the_table_form_is_the_definition_for_every_key_and_every_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the algebraic normal forms of both, the key's 320 bits and the input's 288 being unknown.

    The definition is linear in the input: input bit n has the factor key[n + i] in bit i of the result. A table of 256
    entries is a polynomial in the eight bits of its index, whose factors the Moebius transform gives.
    """
    for position, table in enumerate(symbolic_tables(monkeypatch)):
        factors = [[0] * 32 if entry == 0 else entry.sums for entry in table]
        for step in (1, 2, 4, 8, 16, 32, 64, 128):
            for index in range(256):
                if index & step:
                    factors[index] = [a ^ b for a, b in zip(factors[index], factors[index ^ step], strict=True)]
        for index in range(256):
            if index.bit_count() == 1:
                n = position * 8 + 8 - index.bit_length()
                assert factors[index] == [1 << (n + 31 - place) for place in range(32)]
            else:
                assert factors[index] == [0] * 32


def test_the_definition_takes_the_key_window_of_every_input_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "int", Integers, raising=False)
    for n in range(288):
        data = (1 << (287 - n)).to_bytes(36, "big")
        result: Any = toeplitz(Key(40), data)
        assert result.sums == [1 << (n + 31 - place) for place in range(32)]
