"""What a driver may do to a device, as rules for hypothesis: any features, any commands, packets between."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from vnethash.conformance.device.script import arp, encapsulated, tcp4, tcp6
from vnethash.models.device import state as s
from vnethash.models.device.allowed import Follower, offered_readings
from vnethash.models.device.state import Command, Looks, Negotiate, Packet, Reset, Step
from vnethash.spec import constants as c
from vnethash.spec.commands import HashConfig, RqId, RssConfig, RssContextAddModify, RssContextDel
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.targets.driving import put, traits_of

if TYPE_CHECKING:
    from vnethash.targets.device import Device

KEYS = st.one_of(
    st.just(MICROSOFT_KEY), st.binary(min_size=40, max_size=40), st.binary(max_size=39), st.binary(max_size=60)
)
#: Without the types for extension headers, about which the packet suite asks.
TYPES = st.one_of(st.just(0x3F), st.integers(0, 0x3F), st.sampled_from([0x200, 0x8000003F]))
QUEUES = st.one_of(st.integers(0, 3), st.integers(0, 3), st.sampled_from([4, 0x7FFF, 0x8001]))
FEATURES = (s.MQ, s.RSS, s.HASH_REPORT, s.HASH_TUNNEL, s.RSS_CONTEXT)
SIZES = st.sampled_from([1, 2, 4, 4, 8, 128, 3, 256])
FRAMES = st.sampled_from([tcp4(), tcp4(3000), tcp6(), arp(), encapsulated()])


@st.composite
def rss(draw: st.DrawFn) -> bytes:
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
    data = draw(whole)
    how = draw(st.integers(0, 7))
    if how == 0:
        return data[: draw(st.integers(0, len(data)))]
    return data + draw(st.binary(min_size=1, max_size=8)) if how == 1 else data


HASHES = st.builds(
    lambda types, key, reserved: HashConfig(types, key, reserved).encode(), TYPES, KEYS,
    st.sampled_from([bytes(8), bytes(8), bytes(8), b"\x09" + bytes(7)]),
)


class Driver(RuleBasedStateMachine):
    """Drives `device` and follows it; every answer must be explained by some readings, the same throughout."""

    #: Set by the test: how to get a device, and whether readings that nothing supports may explain it.
    defects: ClassVar[bool] = False

    def open(self) -> Device:
        raise NotImplementedError

    @initialize(seed=st.integers(0, 1 << 30))
    def start(self, seed: int) -> None:
        self.seed = seed
        self.device = self.open()
        self.follower = Follower(traits_of(self.device), offered_readings(defects=self.defects))
        self.features = 0
        self.log: list[Step] = []

    def take(self, step: Step) -> object:
        seen: list[object] = []
        put(self.device, (step,), fresh=False, seen=seen)  # type: ignore[arg-type]
        self.log.append(step)
        wrong = self.follower.observe(step, seen[0])  # type: ignore[arg-type]
        assert not wrong, (wrong, self.log)
        return seen[0]

    @rule(bits=st.sets(st.sampled_from(FEATURES)), queue=st.booleans())
    def negotiate(self, bits: set[int], queue: bool) -> None:
        features = (s.VERSION_1 | (s.CTRL_VQ if queue or len(bits) > 2 else 0) | sum(bits)) & self.device.offered
        self.features = features if self.take(Negotiate(features)) else 0

    @rule()
    def reset(self) -> None:
        self.take(Reset())
        self.features = 0

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(data=cut(rss()))
    def rss_config(self, data: bytes) -> None:
        self.take(Command(c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG, data))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(data=cut(HASHES))
    def hash_config(self, data: bytes) -> None:
        self.take(Command(c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG, data))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(pairs=st.integers(0, 5))
    def pairs_set(self, pairs: int) -> None:
        self.take(Command(c.CTRL_MQ, c.CTRL_MQ_VQ_PAIRS_SET, pairs.to_bytes(2, "little")))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(types=st.sampled_from([0, 0x80, 0x1FF, 0x480]))
    def tunnel_set(self, types: int) -> None:
        self.take(Command(c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET, types.to_bytes(4, "little")))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(command=st.integers(0, 3), identifier=st.integers(0, 3), data=rss())
    def context(self, command: int, identifier: int, data: bytes) -> None:
        whole = b""
        if command == c.RSS_CTX_CTRL_DEL:
            whole = RssContextDel(identifier).encode()
        elif command:
            whole = RssContextAddModify(identifier, RssConfig.decode(data, strict=False)).encode()
        self.take(Command(c.RSS_CTX_CTRL, command, whole))

    @precondition(lambda self: self.features & s.CTRL_VQ)
    @rule(class_=st.sampled_from([c.CTRL_MQ, 200]), command=st.integers(3, 9), data=st.binary(max_size=6))
    def unknown(self, class_: int, command: int, data: bytes) -> None:
        self.take(Command(class_, command, data))

    @precondition(lambda self: self.features)
    @rule(frame=FRAMES)
    def packet(self, frame: bytes) -> None:
        self.take(Packet(frame, Looks.HASH_AND_QUEUE | Looks.SIZE))

    def teardown(self) -> None:
        if hasattr(self, "device"):
            self.device.close()
