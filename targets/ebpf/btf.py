"""Map definitions out of BTF: the `.maps` section as clang's `__uint` and `__type` macros leave it.

Each map is a variable of the data section `.maps` whose type is a structure: members `type`, `key_size`, `value_size`,
`max_entries` and `map_flags` are pointers to arrays whose length is the number; `key` and `value` are pointers to
types whose size counts. Layout of BTF: Documentation/bpf/btf.rst of Linux.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vnethash.models.ebpf.program import MapDefinition
from vnethash.spec.errors import FormatError

_MAGIC = 0xEB9F
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT = range(1, 12)
_FUNC, _FUNC_PROTO, _VAR, _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64 = range(12, 20)
_ALIASES = (_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG)

#: Bytes behind the common part of a type: fixed, and for each of its `vlen` elements.
_TAILS = {
    _INT: (4, 0), _PTR: (0, 0), _ARRAY: (12, 0), _STRUCT: (0, 12), _UNION: (0, 12), _ENUM: (0, 8), _FWD: (0, 0),
    _TYPEDEF: (0, 0), _VOLATILE: (0, 0), _CONST: (0, 0), _RESTRICT: (0, 0), _FUNC: (0, 0), _FUNC_PROTO: (0, 8),
    _VAR: (4, 0), _DATASEC: (0, 12), _FLOAT: (0, 0), _DECL_TAG: (4, 0), _TYPE_TAG: (0, 0), _ENUM64: (0, 12),
}  # fmt: skip


class _Type(NamedTuple):
    name: str
    kind: int
    length: int
    size: int  # or the type referred to
    tail: bytes


class Btf:
    """The types of one object file, numbered from 1."""

    def __init__(self, data: bytes, where: str) -> None:
        """Read a `.BTF` section; raises FormatError with `where` for what is not BTF."""
        self._where = where
        try:
            magic, _, _, header, types, types_size, strings, strings_size = struct.unpack_from("<HBBIIIII", data)
            if magic != _MAGIC:
                raise FormatError(f"{where}: section .BTF does not begin with the BTF magic")
            self._strings = data[header + strings : header + strings + strings_size]
            self._types = [_Type("void", 0, 0, 0, b"")]
            at, end = header + types, header + types + types_size
            while at < end:
                name, info, size = struct.unpack_from("<III", data, at)
                kind, count = info >> 24 & 31, info & 0xFFFF
                fixed, each = _TAILS[kind]
                behind = at + 12 + fixed + each * count
                self._types.append(_Type(self._string(name), kind, count, size, data[at + 12 : behind]))
                at = behind
        except (struct.error, KeyError, ValueError):  # too short, an unknown kind, a string without an end
            raise FormatError(f"{where}: section .BTF is damaged") from None

    def maps(self) -> dict[str, MapDefinition]:
        """Return the maps of section `.maps`, by name; raises FormatError for a definition that we do not know."""
        found = {}
        for section in self._types:
            if section.kind == _DATASEC and section.name == ".maps":
                for at in range(0, 12 * section.length, 12):
                    variable = self._get(struct.unpack_from("<I", section.tail, at)[0])
                    found[variable.name] = self._map(variable)
        return found

    def _string(self, at: int) -> str:
        return self._strings[at : self._strings.index(b"\0", at)].decode("ascii", "replace")

    def _get(self, number: int) -> _Type:
        """Return a type without its typedefs and qualifiers."""
        for _ in range(32):
            if number >= len(self._types):
                break
            found = self._types[number]
            if found.kind not in _ALIASES:
                return found
            number = found.size
        raise FormatError(f"{self._where}: section .BTF refers to type {number}, which it does not have")

    def _map(self, variable: _Type) -> MapDefinition:
        structure = self._get(variable.size)
        values = {"map_flags": 0}
        for at in range(0, 12 * structure.length, 12):
            name, member = self._member(structure, at, variable.name)
            if name in ("type", "key_size", "value_size", "max_entries", "map_flags"):
                array = self._get(member)
                if array.kind != _ARRAY:
                    raise FormatError(f"{self._where}: map {variable.name}: {name} is not an __uint")
                values[name] = int(struct.unpack_from("<I", array.tail, 8)[0])
            elif name in ("key", "value"):
                values[name + "_size"] = self._size(member)
            elif name != "pinning":
                raise FormatError(f"{self._where}: map {variable.name}: a map with `{name}` is not supported")
        missing = {"type", "key_size", "value_size", "max_entries"} - set(values)
        if missing:
            raise FormatError(f"{self._where}: map {variable.name} does not say its {sorted(missing)[0]}")
        return MapDefinition(
            variable.name,
            values["type"],
            values["key_size"],
            values["value_size"],
            values["max_entries"],
            values["map_flags"],
        )

    def _member(self, structure: _Type, at: int, map_name: str) -> tuple[str, int]:
        """Return the name of a member, and what its pointer points to."""
        name_at, kind, _ = struct.unpack_from("<III", structure.tail, at)
        name = self._string(name_at)
        pointer = self._get(kind)
        if pointer.kind != _PTR:
            raise FormatError(
                f"{self._where}: map {map_name}: member `{name}` is not of the __uint / __type form",
                hint="a struct bpf_map_def belongs into section `maps`",
            )
        return name, pointer.size

    def _size(self, number: int) -> int:
        """Return the bytes of a type."""
        found = self._get(number)
        if found.kind in (_INT, _STRUCT, _UNION, _ENUM, _FLOAT, _ENUM64):
            return found.size
        if found.kind == _PTR:
            return 8
        if found.kind == _ARRAY:
            element, _, count = struct.unpack_from("<III", found.tail)
            return self._size(element) * int(count)
        raise FormatError(f"{self._where}: section .BTF: a map's key or value has no size")
