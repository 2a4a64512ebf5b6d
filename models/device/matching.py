"""Whether what a device showed is what an answer of the model says, and what is wrong where it is not."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from vnethash.models.device.state import (
    ANY,
    ANYWHERE,
    BELOW,
    DROPPED,
    HASH_REPORT,
    MQ,
    RSS,
    Acked,
    Answer,
    Arrival,
    Bounds,
    Done,
    Negotiated,
)
from vnethash.spec.configuration import report_name
from vnethash.spec.constants import (
    RSS_MIN_MAX_INDIRECTION_TABLE_LENGTH,
    RSS_MIN_MAX_KEY_SIZE,
    VQ_PAIRS_MAX,
    VQ_PAIRS_MIN,
)


class Received(Protocol):
    """A packet as a driver got it (targets/device.py, Reception)."""

    @property
    def queue(self) -> int:
        """Receive queue, counted from 0."""

    @property
    def header(self) -> bytes:
        """The bytes of virtio_net_hdr."""

    @property
    def payload(self) -> bytes:
        """The frame."""

    @property
    def buffers(self) -> int:
        """Number of used buffers."""


class SpaceRead(Protocol):
    """The configuration space as a driver read it (targets/device.py, Limits)."""

    @property
    def pairs(self) -> int:
        """max_virtqueue_pairs."""

    @property
    def key(self) -> int:
        """rss_max_key_size."""

    @property
    def table(self) -> int:
        """rss_max_indirection_table_length."""


#: What a device showed: whether FEATURES_OK stayed; an ack (0 OK); a packet, None for a lost one; its fields; nothing.
Seen = bool | int | Received | SpaceRead | None


class Fault(NamedTuple):
    """What is not as an answer says: one word that stays the same for the same cause, and words for people."""

    kind: str
    words: str


def wrong(answer: Answer, seen: Seen, frame: bytes = b"") -> Fault | None:
    """Return what is not as the answer says, None if all is; `frame` is the packet that was put."""
    if isinstance(answer, Done):
        return None
    if isinstance(answer, Negotiated):
        if bool(seen) == answer.accepted:
            return None
        if answer.accepted:
            return Fault("features-refused", "FEATURES_OK does not stay")
        return Fault("features-accepted", "FEATURES_OK stays where it is to fail")
    if isinstance(answer, Acked):
        if not isinstance(seen, int) or seen < 0:
            return Fault("no-ack", "the device gives no ack and needs a reset")
        if seen not in {0, 1}:
            return Fault("ack", f"the ack is {seen}, which is not defined")
        if (seen == 0) == answer.ok:
            return None
        if answer.ok:
            return Fault("refused", "the command is refused where it is to be taken")
        return Fault("accepted", "the command is taken where it is to be refused")
    if isinstance(answer, Bounds):
        clause, words = broken_bound(answer.offered, seen)
        return Fault(clause, words) if clause else None
    if seen is None or isinstance(seen, int):
        return None if answer.queue in {DROPPED, ANYWHERE} else Fault("lost", "the packet reaches no queue")
    got: Received = seen  # type: ignore[assignment]
    return _hash(answer, got) or _queue(answer, got) or _header(answer, got, frame)


def broken_bound(offered: int, seen: Seen) -> tuple[str, str]:
    """Return the clause that the configuration space breaks, and how; two empty strings if none."""
    pairs, key, table = (int(getattr(seen, name)) for name in ("pairs", "key", "table"))
    if offered & MQ and not VQ_PAIRS_MIN <= pairs <= VQ_PAIRS_MAX:
        return "CFG-9", f"max_virtqueue_pairs is {pairs}"
    if offered & (RSS | HASH_REPORT) and key < RSS_MIN_MAX_KEY_SIZE:
        return "CFG-10", f"rss_max_key_size is {key}"
    if offered & RSS and table < RSS_MIN_MAX_INDIRECTION_TABLE_LENGTH:
        return "CFG-11", f"rss_max_indirection_table_length is {table}"
    return "", ""


def _queue(answer: Arrival, got: Received) -> Fault | None:
    if answer.queue in {None, ANYWHERE}:
        return None
    if answer.queue == DROPPED:
        return Fault("queue", f"the packet reaches queue {got.queue} where it is to be dropped")
    if answer.queue == BELOW:
        if got.queue < answer.below:
            return None
        return Fault("queue", f"queue {got.queue} where only {answer.below} pairs are in use")
    return None if got.queue == answer.queue else Fault("queue", f"queue {got.queue} where {answer.queue} is expected")


def _hash(answer: Arrival, got: Received) -> Fault | None:
    if answer.report is None or answer.report == ANY:
        return None
    if len(got.header) < 20:
        return Fault("header", f"a header of {len(got.header)} bytes has no hash fields")
    report, value = hash_fields(got.header)
    wanted, shown = report_name(answer.report), report_name(report)
    if report != answer.report:
        if not answer.report:
            return Fault("hashed", f"hashed as {shown} where no hash is expected")
        if not report:
            return Fault("unhashed", f"not hashed where {wanted} is expected")
        return Fault("report", f"hashed as {shown} where {wanted} is expected")
    if answer.value not in {None, ANY, value}:
        return Fault("value", f"hash_value {value:#010x} where {answer.value:#010x} is expected")
    return None


def _header(answer: Arrival, got: Received, frame: bytes) -> Fault | None:
    if answer.size is not None:
        if len(got.header) != answer.size:
            return Fault("header", f"a header of {len(got.header)} bytes where {answer.size} are expected")
        if not got.payload.startswith(frame):
            return Fault("header", "the packet does not begin behind the header")
    if answer.buffers is not None:
        buffers = int.from_bytes(got.header[10:12], "little")
        expected = got.buffers if answer.buffers == ANY else answer.buffers
        if buffers != expected:
            return Fault("num-buffers", f"num_buffers is {buffers} where {expected} is expected")
    padding = int.from_bytes(got.header[18:20], "little")
    if answer.padding not in {None, ANY, padding}:
        return Fault("padding", f"padding_reserved is {padding:#06x} where 0 is expected")
    return None


def hash_fields(header: bytes) -> tuple[int, int]:
    """Return hash_report and hash_value of a header of 20 bytes or more (HDR-1)."""
    return int.from_bytes(header[16:18], "little"), int.from_bytes(header[12:16], "little")
