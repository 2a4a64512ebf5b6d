"""Questions that are not about frames: they are asked behind `decide`, of keys, tables and reports.

No solver is needed for them: one of a few frames and configurations shows each difference.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from vnethash.spec.readings import Readings

#: Fields of the questions that `reference.conclude` asks and `reference.decide` does not.
LATE = frozenset({
    "ex_label", "short_key", "empty_key", "long_key", "zero_value", "unhashed_value", "no_hash_types", "table_size",
})

_IPV4 = bytes(12) + bytes.fromhex("0800 4500 0014 0000 0000 4000 0000")
#: An IPv4 packet with addresses of zeros, some to 0.0.0.n, and an IPv6 packet that announces options.
_FRAMES = (
    _IPV4 + bytes(8),
    *(_IPV4 + bytes(7) + bytes([1 << bit]) for bit in range(8)),
    bytes(12) + bytes.fromhex("86dd 6000 0000 0000 3c40") + bytes(32),
)
_PLAIN = Configuration()
_CONFIGURATIONS = (
    _PLAIN,
    replace(_PLAIN, key=b""),
    replace(_PLAIN, key=MICROSOFT_KEY[:8]),
    replace(_PLAIN, key=MICROSOFT_KEY + b"\xff"),
    replace(_PLAIN, hash_types=0),
    replace(_PLAIN, indirection_table=(0, 1, 2)),
)


def late_witness(first: Readings, second: Readings) -> tuple[bytes, Configuration]:
    """Return the shortest of a few frames whose outcomes differ; raises VnethashError if none does."""
    for frame in _FRAMES:
        for configuration in _CONFIGURATIONS:
            if outcome(frame, configuration, first) != outcome(frame, configuration, second):
                return frame, configuration
    raise VnethashError("models/symbolic/late.py: none of its frames tells the two readings apart")
