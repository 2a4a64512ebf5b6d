"""The Toeplitz hash, as a definition and by a table.

The hashing text names Toeplitz (FB-5, RSS-1) and defines nothing; the definition is Microsoft's (MS-F1 to MS-F5).
"""

from __future__ import annotations

from functools import lru_cache

#: Bytes of the longest hash input: two IPv6 addresses and two ports.
LONGEST_INPUT = 36
#: Key bytes that the longest input needs.
LONGEST_KEY = 40


def toeplitz(key: bytes, data: bytes) -> int:
    """Return the 32-bit hash of `data`, bit by bit; key bits that are missing are 0.

    For each bit of the input that is 1, from the most significant bit of the first byte on, the result takes the
    exclusive or with the left-most 32 bits of the key; then the key moves one bit to the left (MS-F2, MS-F3).
    """
    size = len(data) + 4
    window = int.from_bytes(key[:size].ljust(size, b"\0"), "big")
    top = size * 8 - 32
    result = 0
    for octet in data:
        for bit in range(7, -1, -1):
            if octet >> bit & 1:
                result ^= window >> top & 0xFFFFFFFF
            window <<= 1
    return result


@lru_cache(maxsize=256)
def byte_tables(key: bytes) -> tuple[tuple[int, ...], ...]:
    """Return for each of 36 byte positions the hash of each of the 256 byte values there."""
    bits = int.from_bytes(key[:LONGEST_KEY].ljust(LONGEST_KEY, b"\0"), "big")
    tables = []
    for position in range(LONGEST_INPUT):
        row = [0] * 256
        for bit in range(8):
            value = bits >> (LONGEST_KEY * 8 - 32 - position * 8 - bit) & 0xFFFFFFFF
            step = 0x80 >> bit
            for octet in range(256):
                if octet & step:
                    row[octet] ^= value
        tables.append(tuple(row))
    return tuple(tables)


def toeplitz_by_table(tables: tuple[tuple[int, ...], ...], data: bytes) -> int:
    """Return what `toeplitz` returns for the key of the tables and an input of at most 36 bytes."""
    result = 0
    for table, octet in zip(tables, data, strict=False):
        result ^= table[octet]
    return result
