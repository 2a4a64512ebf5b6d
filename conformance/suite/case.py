"""What a case is, and the small words in which the areas of the suite write theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vnethash.spec.configuration import Configuration, hash_type_names
from vnethash.spec.constants import ALL_HASH_TYPES, HashType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Combinations of hash types that the areas ask under.
IPV4, TCPV4, UDPV4 = int(HashType.IPV4), int(HashType.TCPV4), int(HashType.UDPV4)
IPV6, TCPV6, UDPV6 = int(HashType.IPV6), int(HashType.TCPV6), int(HashType.UDPV6)
IP_EX, TCP_EX, UDP_EX = int(HashType.IP_EX), int(HashType.TCP_EX), int(HashType.UDP_EX)
V4 = IPV4 | TCPV4 | UDPV4
V6 = IPV6 | TCPV6 | UDPV6
EX = IP_EX | TCP_EX | UDP_EX
ALL = ALL_HASH_TYPES

#: Payload of well-formed frames; no byte of it occurs twice.
PAYLOAD = bytes(range(0x30, 0x30 + 26))


@dataclass(frozen=True, slots=True)
class Case:
    """One frame under one configuration, with what it is there for.

    Attributes:
        comment: a sentence: what the frame is, and what it asks.
        clauses: ids of the clauses that it tests, the deciding one first.
        frame: the bytes.
        configuration: what the driver sent.
        id: its number, assigned when the suite is loaded; 0 before.
    """

    comment: str
    clauses: tuple[str, ...]
    frame: bytes
    configuration: Configuration
    id: int = 0


class Draft(NamedTuple):
    """A case as its area writes it: `what` the frame is, what it `asks`; clauses beyond those that follow."""

    what: str
    asks: str
    frame: bytes
    configuration: Configuration
    clauses: tuple[str, ...] = ()

    def comment(self) -> str:
        """Return the sentence."""
        return f"{self.what}, with {types_words(self.configuration.hash_types)} enabled: {self.asks}?"


class Frame(NamedTuple):
    """A frame and what it is."""

    what: str
    data: bytes


@cache
def config(hash_types: int) -> Configuration:
    """Return the default configuration with these hash types."""
    return Configuration(hash_types=hash_types)


def types_words(hash_types: int) -> str:
    """Return the hash types in words."""
    if hash_types == ALL:
        return "all hash types"
    return hash_type_names(hash_types) if hash_types else "no hash type"


def begin(words: str) -> str:
    """Return words as a sentence begins."""
    return words[:1].upper() + words[1:]


def drafts(
    asks: str, frames: Iterable[tuple[str, bytes]], masks: Sequence[int], *, clauses: tuple[str, ...] = ()
) -> Iterator[Draft]:
    """Yield one draft for each frame and combination of hash types."""
    for what, data in frames:
        for mask in masks:
            yield Draft(what, asks, data, config(mask), clauses)
