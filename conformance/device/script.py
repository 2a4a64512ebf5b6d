"""What a script of the control suite is, and the small words in which the areas of the suite write theirs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.device import state as s
from vnethash.models.device.state import Command, Looks, Negotiate, Packet
from vnethash.spec import constants as c
from vnethash.spec import craft
from vnethash.spec.commands import HashConfig, RqId, RssConfig
from vnethash.spec.constants import ALL_HASH_TYPES, MICROSOFT_KEY, Feature, HashType

if TYPE_CHECKING:
    from vnethash.models.device.state import Step, Traits

#: Names of the scripts that others need: the plainest use of each command that configures hashing.
PLAIN_RSS = "rss-plain"
PLAIN_HASH = "hash-plain"
#: Least length of a frame without its frame check sequence; nobody pads these on the way.
SHORTEST = 60

_EX = HashType.IP_EX | HashType.TCP_EX | HashType.UDP_EX
_PAYLOAD = b"vnhash"
_SOURCE = craft.address("66.9.149.187")
_DESTINATION = craft.address("161.142.100.80")


@dataclass(frozen=True, slots=True)
class Script:
    """A sequence of steps with what it is there for.

    Attributes:
        name: unique and stable, e.g. "rss-key-16".
        comment: a sentence: what is done, and what it asks.
        clauses: ids of the clauses that it tests, the deciding one first.
        steps: what the driver does, a `Negotiate` first.
        fresh: whether the device must be started anew for it.
        base: the script without whose success this one says nothing; "" for none.
        skip: why it cannot be put to this device; "" if it can.
    """

    name: str
    comment: str
    clauses: tuple[str, ...]
    steps: tuple[Step, ...]
    fresh: bool = False
    base: str = ""
    skip: str = ""


class Features(NamedTuple):
    """Combinations of features, as far as the device offers them."""

    rss: int
    report: int
    both: int
    queues: int


def padded(frame: bytes) -> bytes:
    """Return a frame of at least 60 bytes."""
    return frame.ljust(SHORTEST, b"\0")


def tcp4(port: int = 2794) -> bytes:
    """Return TCP over IPv4 between the addresses of Microsoft's first vector; 2794 is its port."""
    segment = craft.tcp(port, 1766, payload=_PAYLOAD)
    return padded(craft.ethernet(craft.ipv4(segment, source=_SOURCE, destination=_DESTINATION)))


def tcp6() -> bytes:
    """Return TCP over IPv6, whose hash needs all 40 bytes of a key."""
    return padded(craft.ethernet(craft.ipv6(craft.tcp(2794, 1766))))


def arp() -> bytes:
    """Return a frame that nothing hashes."""
    return padded(bytes.fromhex("ffffffffffff0200000000010806") + bytes(28))


def encapsulated() -> bytes:
    """Return IPv4 in IPv4 (IPIP) whose inner packet is that of `tcp4`, between other addresses."""
    inner = craft.ipv4(craft.tcp(2794, 1766), source=_SOURCE, destination=_DESTINATION)
    outer = craft.ipv4(inner, source=craft.address("192.0.2.1"), destination=craft.address("192.0.2.2"))
    return padded(craft.ethernet(outer))


class Kit:
    """What scripts are made of, for a device with these traits."""

    def __init__(self, traits: Traits) -> None:
        self.traits = traits
        self.pairs = traits.pairs
        self.last = traits.pairs - 1
        # Without the types for extension headers, about which the packet suite asks; a device may have no others.
        self.types = traits.hash_types & ALL_HASH_TYPES & ~_EX or traits.hash_types & ALL_HASH_TYPES
        basis = (s.VERSION_1 | s.CTRL_VQ) & traits.offered
        self.basis = basis
        mq = s.MQ & traits.offered
        self.features = Features(
            rss=basis | mq | s.RSS, report=basis | mq | s.HASH_REPORT, both=basis | mq | s.RSS | s.HASH_REPORT,
            queues=basis | s.MQ,
        )

    def best(self) -> int:
        """Return RSS, with hash reports if the device has them."""
        return self.features.both if self.traits.offered & s.HASH_REPORT else self.features.rss

    def lacking(self, features: int) -> str:
        """Say which features a device does not offer, "" if it has all."""
        missing = features & ~self.traits.offered
        names = [one.name for one in Feature if missing >> one & 1]
        return f"the device does not offer {', '.join(names)}" if missing else ""

    def rss(self, **changes: object) -> RssConfig:
        """Return a plain RSS_CONFIG: every entry queue 1, unclassified the last one."""
        queue = 1 % self.pairs
        plain = RssConfig(
            hash_types=self.types, unclassified_queue=RqId(self.last), indirection_table=(RqId(queue),) * 4,
            max_tx_vq=self.pairs, hash_key_data=MICROSOFT_KEY,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]


def rss_config(config: RssConfig) -> Command:
    """Return the command RSS_CONFIG."""
    return Command(c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG, config.encode())


def hash_config(types: int, key: bytes = MICROSOFT_KEY, reserved: bytes = bytes(8)) -> Command:
    """Return the command HASH_CONFIG."""
    return Command(c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG, HashConfig(types, key, reserved).encode())


def pairs_set(pairs: int) -> Command:
    """Return the command VQ_PAIRS_SET."""
    return Command(c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET, pairs.to_bytes(2, "little"))


def tunnel_set(types: int) -> Command:
    """Return the command HASH_TUNNEL_SET."""
    return Command(c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET, types.to_bytes(4, "little"))


def raw_table(entries: tuple[int, ...]) -> tuple[RqId, ...]:
    """Return table entries of any 16 bits."""
    return tuple(RqId.from_number(entry) for entry in entries)


def probe(looks: Looks = Looks.HASH_AND_QUEUE) -> tuple[Packet, ...]:
    """Return a packet that is hashed and one that is not."""
    return Packet(tcp4(), looks), Packet(arp(), looks)


def negotiate(features: int) -> Negotiate:
    """Return the step."""
    return Negotiate(features)
