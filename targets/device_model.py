"""Our own state machine as a device in memory: a check of everything that drives devices, under any readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.models.device.machine import advance
from vnethash.models.device.state import (
    ANY,
    ANYWHERE,
    BELOW,
    CTRL_VQ,
    DROPPED,
    HASH_REPORT,
    HASH_TUNNEL,
    MQ,
    MRG_RXBUF,
    RSS,
    RSS_CONTEXT,
    VERSION_1,
    Acked,
    Arrival,
    Command,
    Looks,
    Negotiate,
    Negotiated,
    Packet,
    Reset,
    State,
    Traits,
)
from vnethash.models.toeplitz import toeplitz
from vnethash.spec.constants import ALL_HASH_TYPES, ALL_TUNNEL_TYPES, MICROSOFT_KEY
from vnethash.spec.layouts import NetHeader
from vnethash.targets.device import Ack, Limits, Reception

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.device.state import Answer, Step
    from vnethash.spec.device_readings import DeviceReadings
    from vnethash.spec.readings import Readings
    from vnethash.targets.base import Implementation

#: A device that offers all that the hashing text has.
EVERYTHING = Traits(
    offered=VERSION_1 | MRG_RXBUF | CTRL_VQ | MQ | RSS | HASH_REPORT | HASH_TUNNEL | RSS_CONTEXT,
    pairs=4, key=40, table=128, hash_types=ALL_HASH_TYPES, tunnel_types=ALL_TUNNEL_TYPES,
)


class ModelDevice:
    """The state machine behind the interface of all devices; what the readings leave free is chosen here."""

    def __init__(
        self,
        name: str,
        readings: DeviceReadings,
        packets: Readings,
        implementation: Implementation,
        traits: Traits = EVERYTHING,
    ) -> None:
        self.name = name
        self.implementation = implementation
        self.notes: tuple[str, ...] = ()
        self.traits = traits
        self.readings = readings
        self.packets = packets
        self.offered = traits.offered
        self.pairs = traits.pairs
        self.state = State()

    def advance(self, step: Step) -> Answer:
        """Take a step."""
        found = advance(self.state, step, self.traits, self.readings, self.packets)
        self.state = found.state
        return found.answer

    def reset(self) -> None:
        """Reset the state machine."""
        self.advance(Reset())

    def negotiate(self, features: int) -> bool:
        """Reset and negotiate."""
        answer = self.advance(Negotiate(features))
        return isinstance(answer, Negotiated) and answer.accepted

    def limits(self) -> Limits:
        """Return the fields of the configuration space that the offered features have."""
        hashes = self.offered & (RSS | HASH_REPORT) != 0
        return Limits(
            pairs=self.traits.pairs if self.offered & (RSS | MQ) else 0,
            key=self.traits.key if hashes else 0,
            table=self.traits.table if self.offered & RSS else 0,
            hash_types=self.traits.hash_types if hashes else 0,
            tunnel_types=self.traits.tunnel_types if self.offered & HASH_TUNNEL else 0,
        )

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        """Send a command."""
        answer = self.advance(Command(class_, command, data))
        return Ack.OK if isinstance(answer, Acked) and answer.ok else Ack.ERR

    def receive(self, frames: Sequence[bytes], header: bytes = b"") -> list[Reception | None]:
        """Let frames arrive."""
        return [self.arrive(frame, header) for frame in frames]

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        """Let one frame arrive."""
        answer = self.advance(Packet(frame, Looks.ALL, header))
        if not isinstance(answer, Arrival) or answer.queue == DROPPED:
            return None
        queue = 0 if answer.queue is None or answer.queue == ANYWHERE else answer.queue
        if queue == BELOW:
            # By the flow, as ARS-1 has it.
            queue = toeplitz(MICROSOFT_KEY, frame[26:34].ljust(8, b"\0")) % answer.below
        return Reception(queue, self.header(answer), frame)

    def header(self, answer: Arrival) -> bytes:
        """Return virtio_net_hdr as an answer has it; what may be anything is 0."""
        value, report, padding = (
            0 if number is None or number == ANY else number for number in (answer.value, answer.report, answer.padding)
        )
        # What a device does not write is 0 in a new buffer.
        buffers = 0 if answer.buffers is None else 1
        return NetHeader(
            size=answer.size or 20, num_buffers=buffers, hash_value=value, hash_report=report, padding_reserved=padding
        ).encode()

    def status(self) -> int:
        """Return the device status: DRIVER_OK and what comes before it, or 0."""
        return 0x0F if self.state.features else 0

    def restart(self) -> None:
        """Begin anew."""
        self.state = State()

    def close(self) -> None:
        """Nothing was started."""
