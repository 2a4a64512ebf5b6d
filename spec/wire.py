"""Packing and unpacking of little-endian structures without padding (GEN-6, GEN-7), with errors that say where.

`spec/layouts.py` and `spec/commands.py` declare the structures of the specification with this.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vnethash.spec.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP = {"B": 0xFF, "H": 0xFFFF, "I": 0xFFFFFFFF}


class Structure:
    """One structure of fixed size: a name and (field, code) pairs, code being "B", "H", "I" or "6s" and the like.

    Attributes:
        name: as in the specification; every error begins with it.
        size: in bytes.
        offsets: field -> offset from the start of the structure.
    """

    def __init__(self, name: str, *fields: tuple[str, str]) -> None:
        self.name = name
        self.fields = fields
        self.offsets: dict[str, int] = {}
        self.size = 0
        for field, code in fields:
            self.offsets[field] = self.size
            self.size += struct.calcsize("<" + code)
        self._struct = struct.Struct("<" + "".join(code for _, code in fields))

    def pack(self, values: Sequence[int | bytes]) -> bytes:
        """Return the bytes; raises FormatError for a value that does not fit its field."""
        for (field, code), value in zip(self.fields, values, strict=True):
            if code in _TOP:
                check_range(value, _TOP[code], self.name, field, self.offsets[field])
            elif not isinstance(value, bytes) or len(value) != struct.calcsize(code):
                raise fault(self.name, field, self.offsets[field], f"expected {struct.calcsize(code)} bytes")
        return self._struct.pack(*values)

    def unpack(self, data: bytes, *, base: int = 0, name: str = "") -> tuple[int | bytes, ...]:
        """Return the values of the fields from `base` on; raises FormatError naming the first that is cut off.

        `base` and `name` place this structure in the one that holds it, for the error.
        """
        for field, code in self.fields:
            end = base + self.offsets[field] + struct.calcsize("<" + code)
            if end > len(data):
                at = base + self.offsets[field]
                raise fault(name or self.name, field, at, f"ends at {len(data)}, needs {end} bytes")
        return self._struct.unpack_from(data, base)


def fault(structure: str, field: str, offset: int, text: str, *, hint: str = "") -> FormatError:
    """Return the error for one field, e.g. "virtio_net_hash_config: reserved at offset 4: is not zero"."""
    return FormatError(f"{structure}: {field} at offset {offset}: {text}", hint=hint)


def check_range(value: object, top: int, structure: str, field: str, offset: int, *, bottom: int = 0) -> None:
    """Raise FormatError unless `value` is a whole number from `bottom` to `top`."""
    if not isinstance(value, int) or isinstance(value, bool) or not bottom <= value <= top:
        raise fault(structure, field, offset, f"expected a whole number from {bottom} to {top}, got {value!r}")


def check_end(data: bytes, end: int, structure: str) -> None:
    """Raise FormatError if bytes follow the structure, which ends at `end`."""
    if len(data) > end:
        count = len(data) - end
        raise FormatError(f"{structure}: {count} byte{'s' * (count > 1)} too many from offset {end} on")


def check_zero(value: int | bytes, structure: str, field: str, offset: int, clause: str) -> None:
    """Raise FormatError if a reserved field holds anything but zeros."""
    if any(value) if isinstance(value, bytes) else value:
        shown = value.hex() if isinstance(value, bytes) else hex(value)
        raise fault(structure, field, offset, f"is reserved and must be zero ({clause}), got {shown}")
