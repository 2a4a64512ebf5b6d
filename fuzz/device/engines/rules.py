"""What a driver may do to a device, as rules for Hypothesis: any features, any commands, packets between.

The machine only draws the steps; `take` says what becomes of each. A campaign gathers them to a sequence; a test may
put each to a device at once.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from vnethash.fuzz.device.case import ENCAPSULATED, FRAMES
from vnethash.models.device import state as s
from vnethash.models.device.state import Command, Looks, Negotiate, Packet, Reset, Step
from vnethash.spec import constants as c
from vnethash.spec.commands import HashConfig, RqId, RssConfig, RssContextAddModify, RssContextDel
from vnethash.spec.constants import MICROSOFT_KEY

KEYS = st.one_of(
    st.just(MICROSOFT_KEY), st.binary(min_size=40, max_size=40), st.binary(max_size=39), st.binary(max_size=60)
)
#: Without the types for extension headers, about which the packet suite asks.
TYPES = st.one_of(st.just(0x3F), st.integers(0, 0x3F), st.sampled_from([0x200, 0x8000003F]))
QUEUES = st.one_of(st.integers(0, 3), st.integers(0, 3), st.sampled_from([4, 0x7FFF, 0x8001]))
FEATURES = (s.MQ, s.RSS, s.HASH_REPORT, s.HASH_TUNNEL, s.RSS_CONTEXT)
SIZES = st.sampled_from([1, 2, 4, 4, 8, 128, 3, 256])
PACKETS = st.sampled_from([*FRAMES[:4], ENCAPSULATED])


@st.composite
def rss(draw: st.DrawFn) -> bytes:
    """Draw the data of RSS_CONFIG."""
    table = draw(st.lists(QUEUES, min_size=1, max_size=4))
    size = draw(SIZES)
    config = RssConfig(
        draw(TYPES), RqId.from_number(draw(QUEUES)),
        tuple(RqId.from_number(table[k % len(table)]) for k in range(size)),
        draw(st.sampled_from([4, 4, 4, 1, 2, 0, 9])), draw(KEYS),
    )
    return config.encode()


@st.composite
def cut(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Draw data, now and then cut or with bytes behind them."""
    data = draw(whole)
    how = draw(st.integers(0, 7))
    if how == 0:
        return data[: draw(st.integers(0, len(data)))]
    return data + draw(st.binary(min_size=1, max_size=8)) if how == 1 else data


HASHES = st.builds(
    lambda types, key, reserved: HashConfig(types, key, reserved).encode(), TYPES, KEYS,
    st.sampled_from([bytes(8), bytes(8), bytes(8), b"\x09" + bytes(7)]),
)


class Rules(RuleBasedStateMachine):
    """Draws steps for a device.

    Attributes:
        offered: feature bits that the device offers.
        features: those that are negotiated; 0 before that.
    """

    offered = 0
    features = 0

    def take(self, step: Step) -> object:
        """Do something with a step; for a negotiation, say whether it is accepted."""
        raise NotImplementedError

    @rule(bits=st.sets(st.sampled_from(FEATURES)), queue=st.booleans())
    def negotiate(self, bits: set[int], queue: bool) -> None:
        """Negotiate some features."""
        features = (s.VERSION_1 | (s.CTRL_VQ if queue or len(bits) > 2 else 0) | sum(bits)) & self.offered
        self.features = features if self.take(Negotiate(features)) else 0

    @rule()
    def reset(self) -> None:
        """Reset the device."""
        self.take(Reset())
        self.features = 0

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(data=cut(rss()))
    def rss_config(self, data: bytes) -> None:
        """Send RSS_CONFIG."""
        self.take(Command(c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG, data))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(data=cut(HASHES))
    def hash_config(self, data: bytes) -> None:
        """Send HASH_CONFIG."""
        self.take(Command(c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG, data))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(pairs=st.integers(0, 5))
    def pairs_set(self, pairs: int) -> None:
        """Send VQ_PAIRS_SET."""
        self.take(Command(c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET, pairs.to_bytes(2, "little")))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(types=st.sampled_from([0, 0x80, 0x1FF, 0x480]))
    def tunnel_set(self, types: int) -> None:
        """Send HASH_TUNNEL_SET."""
        self.take(Command(c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET, types.to_bytes(4, "little")))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(command=st.integers(0, 3), identifier=st.integers(0, 3), data=rss())
    def context(self, command: int, identifier: int, data: bytes) -> None:
        """Send a command about RSS contexts."""
        whole = b""
        if command == c.RSS_CTX_CTRL_DEL:
            whole = RssContextDel(identifier).encode()
        elif command:
            whole = RssContextAddModify(identifier, RssConfig.decode(data, strict=False)).encode()
        self.take(Command(c.RSS_CTX_CTRL, command, whole))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(class_=st.sampled_from([c.CTRL_MQ, 200]), command=st.integers(3, 9), data=st.binary(max_size=6))
    def unknown(self, class_: int, command: int, data: bytes) -> None:
        """Send a command that is not defined."""
        self.take(Command(class_, command, data))

    @precondition(lambda self: self.features)
    @rule(frame=PACKETS)
    def packet(self, frame: bytes) -> None:
        """Let a packet arrive."""
        self.take(Packet(frame, Looks.HASH_AND_QUEUE | Looks.SIZE))
