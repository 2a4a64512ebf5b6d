"""What every target is: opened from its name on the command line, configured, given frames, closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vnethash.spec.constants import ALL_HASH_TYPES
from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.configuration import Configuration


class Skipped(NamedTuple):
    """The target cannot be asked this; no judgement follows."""

    reason: str


class Errored(NamedTuple):
    """The target failed on this frame (it said so, or died of it); `message` is its own words where it had any."""

    message: str


class TimedOut(NamedTuple):
    """The target gave no answer to this frame within `seconds`."""

    seconds: float


#: What comes back for one frame.
Result = Observation | Skipped | Errored | TimedOut


@dataclass(frozen=True, slots=True)
class Implementation:
    """Who is under test."""

    name: str
    version: str = ""
    language: str = ""
    homepage: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can show and be told; the suite asks nothing beyond it.

    `observes` holds any of "queue", "report", "value".
    """

    observes: frozenset[str]
    features: frozenset[str] = frozenset({"RSS"})
    hash_types: int = ALL_HASH_TYPES
    tunnel_types: int = 0
    max_key_size: int = 40
    max_indirection_table_length: int = 128
    queues: int = 128


class Refused(Exception):  # noqa: N818 - an answer of the target, not an error of ours
    """The target answered that it does not take this configuration; `skipped` if it merely cannot be asked."""

    def __init__(self, message: str, *, skipped: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.skipped = skipped


class Target(Protocol):
    """An implementation behind an adapter.

    `configure` raises Refused, or a TargetError when the target could not be driven at all. `run` answers one Result
    a frame, in order, under the last configuration; it raises a TargetError only when nothing more can be had from it.
    `close` ends what was started and may be called twice.
    """

    name: str
    implementation: Implementation
    capabilities: Capabilities
    notes: tuple[str, ...]

    def configure(self, configuration: Configuration) -> None:
        """Apply a configuration."""

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return what comes out for each frame."""

    def close(self) -> None:
        """End what was started."""


class Witness(Protocol):
    """Something that is no implementation of virtio's hash, and shows which bits of a frame its own hash covers.

    `machine` says which one it is and when it was asked.
    """

    name: str
    implementation: Implementation
    machine: str

    def covered(self, frame: bytes) -> bytes:
        """Return a mask as long as the frame with the bits that change the hash; raises a TargetError."""

    def close(self) -> None:
        """End what was started; may be called twice."""


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """One line of `vnethash targets`.

    `judged` if `check --all` takes it as an implementation of its own, `witness` if it shows something beside them.
    """

    name: str
    what: str
    available: bool
    reason: str = ""
    shows: tuple[str, ...] = field(default=())
    judged: bool = False
    witness: bool = False
