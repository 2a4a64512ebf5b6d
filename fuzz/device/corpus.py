"""The corpus of sequences."""

from __future__ import annotations

from vnethash.fuzz.corpus import AnyCorpus
from vnethash.fuzz.device.case import ControlCase, decode, encode


class ControlCorpus(AnyCorpus[ControlCase]):
    """Sequences that reached something new."""

    def decode(self, data: bytes) -> ControlCase:
        """Return the sequence that any bytes stand for."""
        return decode(data)

    def encode(self, case: ControlCase) -> bytes:
        """Return the bytes of a sequence."""
        return encode(case)
