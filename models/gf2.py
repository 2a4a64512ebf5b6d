"""Toeplitz as linear algebra over GF(2): what a solver is poor at and elimination does at once.

For one key the hash is a linear map of the input's bits, for one input a linear map of the key's bits (MS-F2, MS-F3). A
matrix is a tuple of columns, one a bit of the input, most significant bit of the first byte first; a column is the
32-bit hash of that bit alone. Sets of solutions are a particular one and a basis of the kernel: all solutions are the
particular one exclusive-or any combination of the basis. Numbers are plain Python integers, most significant bit first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Bits of a hash value.
VALUE_BITS = 32


class Solutions(NamedTuple):
    """All solutions of a linear system: `particular` exclusive-or any combination of `basis`, as `size` bytes each."""

    particular: bytes
    basis: tuple[bytes, ...]

    def member(self, choice: int) -> bytes:
        """Return one of the 2 ** len(basis) solutions; bit i of `choice` takes basis[i]."""
        number = int.from_bytes(self.particular, "big")
        for place, vector in enumerate(self.basis):
            if choice >> place & 1:
                number ^= int.from_bytes(vector, "big")
        return number.to_bytes(len(self.particular), "big")


def matrix(key: bytes, size: int) -> tuple[int, ...]:
    """Return the 8 * size columns of a key for inputs of `size` bytes; key bits that are missing are 0."""
    bits = int.from_bytes(key[: size + 4].ljust(size + 4, b"\0"), "big")
    return tuple(bits >> (size * 8 - place) & 0xFFFFFFFF for place in range(size * 8))


def multiply(columns: Sequence[int], data: bytes) -> int:
    """Return the hash of an input of as many bits as there are columns."""
    number = int.from_bytes(data, "big")
    top = len(columns) - 1
    result = 0
    for place, column in enumerate(columns):
        if number >> (top - place) & 1:
            result ^= column
    return result


def solve(columns: Sequence[int], target: int, free: Iterable[int] | None = None) -> tuple[int, tuple[int, ...]] | None:
    """Return an x with the exclusive-or of the columns at x's bits equal to `target`, and a basis of the kernel.

    Bit i of x stands for columns[i] (so the first column is the least significant bit here). `free` are the places
    that may be used, all if left out. None if there is no solution.
    """
    pivots: dict[int, tuple[int, int]] = {}  # top bit -> (vector, which columns it is made of)
    kernel = []
    for place in range(len(columns)) if free is None else sorted(set(free)):
        vector, made = _reduce(columns[place], 1 << place, pivots)
        if vector:
            pivots[vector.bit_length()] = (vector, made)
        else:
            kernel.append(made)
    rest, made = _reduce(target, 0, pivots)
    return None if rest else (made, tuple(kernel))


def _reduce(vector: int, made: int, pivots: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Reduce a vector by pivots, from its top bit down, until no pivot fits."""
    rest = 0
    while vector:
        pivot = pivots.get(vector.bit_length())
        if pivot is None:
            top = 1 << (vector.bit_length() - 1)
            rest |= top
            vector ^= top
        else:
            vector ^= pivot[0]
            made ^= pivot[1]
    return rest, made


def rank(columns: Sequence[int]) -> int:
    """Return the rank of a matrix: 32 if every hash value has a preimage."""
    pivots: dict[int, tuple[int, int]] = {}
    for column in columns:
        vector, _ = _reduce(column, 0, pivots)
        if vector:
            pivots[vector.bit_length()] = (vector, 0)
    return len(pivots)


def preimages(key: bytes, value: int, given: bytes, free: bytes) -> Solutions | None:
    """Return the inputs with a hash value that agree with `given` where a bit of `free` is 0, None if none do.

    Args:
        key: the key; bytes that are missing are 0.
        value: the hash value, 0 to 2 ** 32 - 1.
        given: the input's fixed bits (bits under `free` are not looked at).
        free: as many bytes: which bits may be chosen, e.g. the last four for the ports.

    Raises UsageError if the two do not have one size.
    """
    if len(given) != len(free):
        raise UsageError(f"given and free must have one size, not {len(given)} and {len(free)} bytes")
    size = len(given)
    mask = int.from_bytes(free, "big")
    fixed = int.from_bytes(given, "big") & ~mask
    columns = matrix(key, size)[::-1]  # so that place i is bit i of the input as a number
    rest = value ^ multiply(columns[::-1], fixed.to_bytes(size, "big"))
    found = solve(columns, rest, (place for place in range(size * 8) if mask >> place & 1))
    if found is None:
        return None
    basis = tuple(vector.to_bytes(size, "big") for vector in found[1])
    return Solutions((fixed | found[0]).to_bytes(size, "big"), basis)


def kernel(key: bytes, size: int) -> tuple[bytes, ...]:
    """Return a basis of the inputs of `size` bytes whose hash is 0; two inputs collide if they differ by such a one."""
    found = preimages(key, 0, bytes(size), b"\xff" * size)
    assert found is not None
    return found.basis


def keys_with(data: Sequence[bytes], values: Sequence[int], size: int) -> Solutions | None:
    """Return the keys of `size` bytes that give inputs these hash values; None if there are none.

    The longest input and 4 bytes is what a key needs; further bytes of it are not used, so they are in the basis.
    Raises UsageError if a key is too short for an input, or if there are not as many values as inputs.
    """
    if len(data) != len(values):
        raise UsageError(f"{len(data)} inputs and {len(values)} values")
    if any(len(item) + 4 > size for item in data):
        raise UsageError(f"a key of {size} bytes is too short for an input of {max(map(len, data))} bytes")
    # One equation a bit of a value: its row over the key's bits is the input, moved by the bit's place.
    columns = [0] * (size * 8)
    target = 0
    for number, (item, value) in enumerate(zip(data, values, strict=True)):
        target |= value << (number * VALUE_BITS)
        bits = int.from_bytes(item, "big")
        for place in range(len(item) * 8):
            if bits >> (len(item) * 8 - 1 - place) & 1:
                for step in range(VALUE_BITS):
                    # Key bit place + step is bit 31 - step of the window at `place`.
                    columns[size * 8 - 1 - place - step] ^= 1 << (number * VALUE_BITS + VALUE_BITS - 1 - step)
    found = solve(columns, target)
    if found is None:
        return None
    return Solutions(found[0].to_bytes(size, "big"), tuple(vector.to_bytes(size, "big") for vector in found[1]))


def colliding_keys(first: bytes, second: bytes, size: int) -> Solutions:
    """Return the keys of `size` bytes under which two inputs of one length have the same hash; 0 is always one.

    Raises UsageError if the inputs differ in length or the key is too short.
    """
    if len(first) != len(second):
        raise UsageError("inputs of different lengths: ask keys_with for their values")
    difference = bytes(a ^ b for a, b in zip(first, second, strict=True))
    found = keys_with([difference], [0], size)
    assert found is not None
    return found
