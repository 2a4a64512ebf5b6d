"""Targets in this process whose answers are those of the model, changed on purpose; and a few plain frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.suite import Case
from vnethash.models.allowed import dialect
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.outcome import Observation, Outcome
from vnethash.targets.base import Capabilities, Implementation, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.spec.readings import Readings

ETHERNET = bytes.fromhex("020000000002020000000001")
TCP = bytes.fromhex("0aea06e6") + bytes(8) + b"\x50" + bytes(7)
ADDRESSES4 = bytes.fromhex("420995bba18e6450")
ADDRESSES6 = bytes.fromhex("3ffe2501020000031fff0000000000073ffe250102000003000000000000000a")


def ipv4(protocol: int = 6, flags: int = 0, payload: bytes = TCP) -> bytes:
    """Return an Ethernet frame with IPv4."""
    total = (20 + len(payload)).to_bytes(2, "big")
    header = b"\x45\0" + total + b"\0\1" + flags.to_bytes(2, "big") + bytes([64, protocol]) + b"\0\0" + ADDRESSES4
    return ETHERNET + b"\x08\0" + header + payload


def ipv6(following: int = 6, payload: bytes = TCP) -> bytes:
    """Return an Ethernet frame with IPv6."""
    return (
        ETHERNET + b"\x86\xdd" + b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([following, 64]) + ADDRESSES6
        + payload
    )


def hop_by_hop(following: int = 6) -> bytes:
    """Return a Hop-by-Hop header that holds padding."""
    return bytes([following, 0, 1, 4, 0, 0, 0, 0])


def fragment(following: int = 6, offset: int = 0, more: bool = False) -> bytes:
    """Return a Fragment header."""
    return bytes([following, 0]) + (offset << 3 | more).to_bytes(2, "big") + b"\0\0\0\7"


FRAMES = {
    "TCP over IPv4": ipv4(),
    "UDP over IPv4": ipv4(17, payload=b"\x12\x34\x56\x78\0\x08\0\0"),
    "ICMP over IPv4": ipv4(1, payload=bytes(8)),
    "UDP-Lite over IPv4": ipv4(136, payload=b"\x12\x34\x56\x78\0\x08\0\0"),
    "TCP over IPv4 with DF": ipv4(flags=0x4000),
    "first IPv4 fragment": ipv4(flags=0x2000),
    "TCP over IPv6": ipv6(),
    "TCP behind Hop-by-Hop": ipv6(0, hop_by_hop() + TCP),
    "atomic IPv6 fragment": ipv6(44, fragment() + TCP),
    "first IPv6 fragment": ipv6(44, fragment(more=True) + TCP),
    "ARP": ETHERNET + b"\x08\x06" + bytes(28),
}


def cases(hash_types: Sequence[int] = (0x1FF, 0x3F, 0x12, 0x50, 0x40)) -> list[Case]:
    """Return every frame under each of the hash types."""
    pairs = [(comment, frame, types) for types in hash_types for comment, frame in FRAMES.items()]
    return [
        Case(comment, ("V4-1",), frame, Configuration(hash_types=types), number)
        for number, (comment, frame, types) in enumerate(pairs, 1)
    ]


class Planted:
    """The model under some readings, with a change to each outcome."""

    def __init__(
        self,
        change: Callable[[bytes, Configuration, Outcome], Result | Outcome] | None = None,
        readings: Readings | None = None,
        *,
        observes: Sequence[str] = ("queue", "report", "value"),
        name: str = "planted",
    ) -> None:
        self.name = name
        self.implementation = Implementation("planted", "1", "Python")
        self.capabilities = Capabilities(frozenset(observes), frozenset({"RSS", "HASH_REPORT"}), queues=0x8000)
        self.notes: tuple[str, ...] = ()
        self.closed = 0
        self.configured: list[Configuration] = []
        self._change = change
        self._readings = readings or dialect("literal")

    def configure(self, configuration: Configuration) -> None:
        """Remember the configuration."""
        self.configured.append(configuration)

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Answer as the model does, changed."""
        results: list[Result] = []
        for frame in frames:
            told = outcome(frame, self.configured[-1], self._readings)
            changed = self._change(frame, self.configured[-1], told) if self._change else told
            if isinstance(changed, Outcome):
                shows = self.capabilities.observes
                changed = Observation(
                    changed.report if "report" in shows else None,
                    changed.value if "value" in shows and (changed.report or "report" in shows) else None,
                    changed.queue if "queue" in shows else None,
                )
            results.append(changed)
        return results

    def close(self) -> None:
        """Count."""
        self.closed += 1
