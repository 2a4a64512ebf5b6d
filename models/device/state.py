"""What a driver can do to a device, what the device then knows, and what it answers.

A `Step` is what the driver does, a `State` all that the rest of the future depends on, an `Answer` what a driver sees.
`models/device/machine.py` has the transitions.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

from vnethash.spec.constants import Feature

#: VIRTIO_F_VERSION_1 and VIRTIO_NET_F_MRG_RXBUF: not about hashing, but a driver negotiates them.
VERSION_1 = 1 << 32
MRG_RXBUF = 1 << 15

CTRL_VQ = 1 << Feature.CTRL_VQ
MQ = 1 << Feature.MQ
HASH_TUNNEL = 1 << Feature.HASH_TUNNEL
HASH_REPORT = 1 << Feature.HASH_REPORT
RSS = 1 << Feature.RSS
RSS_CONTEXT = 1 << Feature.RSS_CONTEXT


class Looks(IntFlag):
    """The parts of an arrival that a step is there for; the others are not judged, so that no fault hides another."""

    HASH = 1
    QUEUE = 2
    #: Size of the header, and the packet behind it.
    SIZE = 4
    #: num_buffers.
    BUFFERS = 8
    #: padding_reserved.
    PADDING = 16
    HASH_AND_QUEUE = 3
    ALL = 31


class Negotiate(NamedTuple):
    """Reset, negotiate these feature bits, set all queues up, DRIVER_OK."""

    features: int


class Reset(NamedTuple):
    """Write 0 to the device status."""


class Command(NamedTuple):
    """Send a control command; `data` are its bytes behind class and command (CVQ-1)."""

    class_: int
    command: int
    data: bytes


class Packet(NamedTuple):
    """Let a frame arrive; `header` is what the backend puts before it, as far as it is not zeros."""

    frame: bytes
    looks: Looks = Looks.HASH_AND_QUEUE
    header: bytes = b""


class Space(NamedTuple):
    """Read the configuration space."""


Step = Negotiate | Reset | Command | Packet | Space


class Steering(IntEnum):
    """How the receive queue of a packet is chosen."""

    #: Nothing says so yet: receiveq1 (MQ-2, ARS-D1).
    FIRST = 0
    #: After VQ_PAIRS_SET: any of the first `pairs` (ARS-1, ARS-D2).
    AUTOMATIC = 1
    #: After RSS_CONFIG (RSS-D1 to RSS-D4).
    TABLE = 2


class Traits(NamedTuple):
    """What a device says about itself: feature bits and configuration space.

    `pairs` is max_virtqueue_pairs, or 1 where the device has no such field; `key` in bytes, `table` in entries; 0 where
    the device has no such field.
    """

    offered: int
    pairs: int = 1
    key: int = 40
    table: int = 128
    hash_types: int = 0x1FF
    tunnel_types: int = 0


class State(NamedTuple):
    """What a device knows between two steps.

    Attributes:
        features: negotiated bits; 0 before that.
        steering: a `Steering`.
        pairs: of the last VQ_PAIRS_SET.
        configured: whether hash types and key were given, and no command took them away.
        hash_types: as sent, unsupported ones taken out.
        key: as sent.
        rest: bytes of earlier keys that a shorter one did not overwrite, from offset 0 on.
        unsure: a command with a key may have written to `rest` in a way that is not specified.
        table: as sent; entries may be of any 16 bits.
        unclassified: as sent.
        max_tx_vq: as sent.
        tunnel_types: enabled ones.
        contexts: ids of RSS contexts, in order.
        vague: a command was taken whose effect is not specified; until hashing is configured anew nothing can be said.
    """

    features: int = 0
    steering: int = Steering.FIRST
    pairs: int = 1
    configured: bool = False
    hash_types: int = 0
    key: bytes = b""
    rest: bytes = b""
    unsure: bool = False
    table: tuple[int, ...] = ()
    unclassified: int = 0
    max_tx_vq: int = 0
    tunnel_types: int = 0
    contexts: tuple[int, ...] = ()
    vague: bool = False

    def has(self, feature: int) -> bool:
        """Say whether a feature bit was negotiated."""
        return self.features & feature != 0


#: A number of an `Arrival` that may be anything.
ANY = -1
#: `queue` of a packet that reaches no queue.
DROPPED = -2
#: `queue` of a packet that may reach any queue or none.
ANYWHERE = -3
#: `queue` of a packet that may reach any queue below `below`.
BELOW = -4


class Negotiated(NamedTuple):
    """Whether FEATURES_OK stays."""

    accepted: bool


class Done(NamedTuple):
    """Nothing to see."""


class Acked(NamedTuple):
    """The ack of a command (CVQ-2)."""

    ok: bool


class Arrival(NamedTuple):
    """What a driver sees of a packet; None is "not looked at, or not there".

    `report`, `value`, `padding` may be ANY. `buffers` is num_buffers, ANY where it must be the number of buffers used.
    """

    report: int | None = None
    value: int | None = None
    queue: int | None = None
    below: int = 0
    size: int | None = None
    buffers: int | None = None
    padding: int | None = None


class Bounds(NamedTuple):
    """What the configuration space must hold for the features that are offered (CFG-9 to CFG-11)."""

    offered: int


Answer = Negotiated | Done | Acked | Arrival | Bounds


class Transition(NamedTuple):
    """What a step leads to, and the clause that decides it; `parts` has others for parts of an arrival.

    The parts are named by the kinds of `models.device.matching.Fault`.
    """

    state: State
    answer: Answer
    clause: str
    parts: tuple[tuple[str, str], ...] = ()

    def clause_of(self, kind: str) -> str:
        """Return the clause that a fault of this kind is against."""
        return dict(self.parts).get(kind, self.clause)
