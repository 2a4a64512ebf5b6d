"""eBPF object files: programs, their maps, and the relocations between them.

Understands what clang emits for `-target bpf`: legacy map definitions (`struct bpf_map_def` in section `maps`), BTF
ones (section `.maps`), global data (`.rodata`, `.data`, `.bss`), and calls of subprograms, which are linked behind the
program that needs them. Relocations: Documentation/bpf/llvm_reloc.rst of Linux.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from vnethash.models.ebpf import instruction as isa
from vnethash.models.ebpf.program import ARRAY, READ_ONLY, MapDefinition, Program
from vnethash.spec.errors import FormatError, UsageError
from vnethash.targets.ebpf.btf import Btf

if TYPE_CHECKING:
    from pathlib import Path

_EM_BPF = 247
_R_BPF_64_64, _R_BPF_64_32 = 1, 10
_SHF_EXECINSTR = 4
_SHN_UNDEF = 0
_LEGACY = struct.Struct("<5I")  # struct bpf_map_def: type, key_size, value_size, max_entries, map_flags
_DATA = (".rodata", ".data", ".bss")
_MAX_DATA = 1 << 26
#: What pyelftools raises on damaged files, found by mutating sound ones; a FormatError is none of these.
_DAMAGE = (ELFError, ConstructError, struct.error, AssertionError, AttributeError, LookupError, ValueError, TypeError,
           OverflowError)  # fmt: skip


class _Symbol(NamedTuple):
    name: str
    kind: str
    section: int
    value: int
    size: int


class _Function(NamedTuple):
    name: str
    section: int
    start: int
    end: int


def read_programs(path: Path) -> list[Program]:
    """Return the programs of the object file at `path`; raises UsageError if unreadable, FormatError as `parse`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    return parse(data, str(path))


def parse(data: bytes, where: str) -> list[Program]:
    """Return the programs of an object file, in its order; `where` names it in errors.

    Raises FormatError, one line, for what is no eBPF object, is cut short, has no program, or asks for what we do not
    have.
    """
    if data[:4] != b"\x7fELF":
        raise FormatError(f"{where}: not an ELF file", hint="clang -O2 -target bpf -c FILE.c makes an eBPF object")
    try:
        return _Object(data, where).programs()
    except _DAMAGE as error:
        detail = str(error) if isinstance(error, ELFError | ValueError) else type(error).__name__
        raise FormatError(f"{where}: a damaged ELF file: {detail}") from error


class _Object:
    """One object file being read."""

    def __init__(self, data: bytes, where: str) -> None:
        self.where = where
        if len(data) < 64:
            raise FormatError(f"{where}: a truncated ELF file: {len(data)} bytes, its header alone has 64")
        elf = ELFFile(io.BytesIO(data))
        header = elf.header
        machine = header["e_machine"]
        if machine not in ("EM_BPF", _EM_BPF):
            name = str(machine).removeprefix("EM_").lower().replace("_", "-")
            raise FormatError(f"{where}: an ELF file for {name}, not for eBPF", hint="compile with -target bpf")
        if elf.elfclass != 64 or not elf.little_endian:
            raise FormatError(f"{where}: a big-endian eBPF object", hint="compile with -target bpfel")
        end = header["e_shoff"] + header["e_shentsize"] * header["e_shnum"]
        if not header["e_shoff"] or end > len(data):
            raise FormatError(f"{where}: a truncated ELF file: {len(data)} bytes, its section headers end at {end}")
        self.sections: list[Any] = list(elf.iter_sections())
        for section in self.sections:
            if section["sh_type"] != "SHT_NOBITS" and section["sh_offset"] + section["sh_size"] > len(data):
                raise FormatError(f"{where}: a truncated ELF file: section {section.name} runs past its end")
        self.symbols = self._symbols(elf)
        self.relocations = self._relocations()
        self.functions = self._functions()
        self.maps = self._maps()

    def _symbols(self, elf: Any) -> list[_Symbol]:
        table = elf.get_section_by_name(".symtab")
        if table is None:
            raise FormatError(f"{self.where}: no symbol table", hint="do not strip the object")
        symbols = []
        for entry in table.iter_symbols():
            section = entry["st_shndx"]
            number = section if isinstance(section, int) else _SHN_UNDEF
            symbols.append(_Symbol(entry.name, entry["st_info"]["type"], number, entry["st_value"], entry["st_size"]))
        return symbols

    def _relocations(self) -> dict[int, dict[int, tuple[int, _Symbol]]]:
        """Return section -> offset -> (type, symbol)."""
        found: dict[int, dict[int, tuple[int, _Symbol]]] = {}
        for section in self.sections:
            if section["sh_type"] == "SHT_REL":
                place = found.setdefault(section["sh_info"], {})
                for entry in section.iter_relocations():
                    if entry["r_info_sym"] >= len(self.symbols):
                        raise FormatError(f"{self.where}: section {section.name} refers to no symbol")
                    place[entry["r_offset"]] = (entry["r_info_type"], self.symbols[entry["r_info_sym"]])
        return found

    def _functions(self) -> list[_Function]:
        """Return all functions with code, by section and place."""
        found = []
        for number, section in enumerate(self.sections):
            if section["sh_type"] != "SHT_PROGBITS" or not section["sh_flags"] & _SHF_EXECINSTR:
                continue
            if section["sh_size"] % isa.SLOT:
                raise FormatError(f"{self.where}: section {section.name} is not a whole number of instructions")
            if not section["sh_size"]:
                continue
            inside = {
                symbol.value: symbol.name
                for symbol in self.symbols
                if symbol.section == number and symbol.kind == "STT_FUNC" and symbol.value < section["sh_size"]
            }
            starts = sorted(inside.items()) or [(0, section.name)]
            ends = [start for start, _ in starts[1:]] + [section["sh_size"]]
            found += [_Function(name, number, start, end) for (start, name), end in zip(starts, ends, strict=True)]
        return found

    def _maps(self) -> dict[tuple[int, int], MapDefinition]:
        """Return the maps of both kinds, by section and place."""
        found = {}
        for number, section in enumerate(self.sections):
            here = [item for item in self.symbols if item.section == number and item.kind == "STT_OBJECT"]
            if section.name == "maps":
                each = section["sh_size"] // len(here) if here else 0
                if here and (each < _LEGACY.size or each * len(here) != section["sh_size"]):
                    raise FormatError(
                        f"{self.where}: section maps has {section['sh_size']} bytes for {len(here)} maps: "
                        "not struct bpf_map_def"
                    )
                for item in here:
                    numbers = _LEGACY.unpack_from(section.data(), item.value)
                    found[number, item.value] = MapDefinition(item.name, *numbers)
            elif section.name == ".maps":
                types = self._section(".BTF")
                if types is None:
                    raise FormatError(f"{self.where}: section .maps needs BTF", hint="compile with -g")
                definitions = Btf(types.data(), self.where).maps()
                for item in here:
                    if item.name not in definitions:
                        raise FormatError(f"{self.where}: map {item.name} is not described in BTF")
                    found[number, item.value] = definitions[item.name]
        return found

    def _section(self, name: str) -> Any:
        return next((section for section in self.sections if section.name == name), None)

    def programs(self) -> list[Program]:
        """Return each function of a section that is not `.text`: those are the programs."""
        heads = [item for item in self.functions if self.sections[item.section].name != ".text"]
        if not heads:
            hint = "a program is a function in a section of its own: __attribute__((section(\"socket\")))"
            raise FormatError(f"{self.where}: no program section", hint=hint)
        extension = self._section(".BTF.ext")
        if extension is not None and _has_core_relocations(extension.data()):
            raise FormatError(
                f"{self.where}: needs CO-RE relocations, which are not supported",
                hint="compile without preserve_access_index, against linux/bpf.h instead of vmlinux.h",
            )
        license_section = self._section("license")
        text = license_section.data().split(b"\0")[0].decode("ascii", "replace") if license_section else ""
        return [_Linker(self, head).link(text) for head in heads]

    def function_at(self, section: int, place: int) -> _Function | None:
        """Return the function that begins at `place`."""
        return next((item for item in self.functions if item.section == section and item.start == place), None)


class _Linker:
    """One program being put together: the function, the functions that it calls, and the maps they name."""

    def __init__(self, source: _Object, head: _Function) -> None:
        self.source = source
        self.head = head
        self.maps: list[MapDefinition] = []
        self.placed: dict[_Function, int] = {head: 0}
        self.code = bytearray()
        self.calls: list[tuple[int, _Function]] = []

    def link(self, license_text: str) -> Program:
        queue = [self.head]
        while queue:
            function = queue.pop(0)
            self.placed[function] = len(self.code) // isa.SLOT
            for callee in self._append(function):
                if callee not in self.placed:
                    self.placed[callee] = -1
                    queue.append(callee)
        for slot, callee in self.calls:
            struct.pack_into("<i", self.code, slot * isa.SLOT + 4, self.placed[callee] - slot - 1)
        section = self.source.sections[self.head.section].name
        return Program(self.head.name, section, bytes(self.code), tuple(self.maps), license_text)

    def _append(self, function: _Function) -> list[_Function]:
        """Append the code of a function, relocated; return the functions that it calls."""
        section = self.source.sections[function.section]
        code = bytearray(section.data()[function.start : function.end])
        relocations = self.source.relocations.get(function.section, {})
        base = len(self.code) // isa.SLOT
        callees = []
        for at in range(0, len(code), isa.SLOT):
            opcode, registers, _, imm = struct.unpack_from("<BBhi", code, at)
            place = function.start + at
            kind, symbol = relocations.get(place, (0, None))
            where = f"{self.source.where}: {function.name}, pc {at // isa.SLOT}"
            if opcode == isa.JMP | isa.CALL and registers >> 4 == isa.PSEUDO_CALL:
                if symbol is not None and kind == _R_BPF_64_32:
                    callee = self._callee(symbol.section, symbol.value + isa.SLOT * (imm + 1), where, symbol.name)
                else:
                    callee = self._callee(function.section, place + isa.SLOT * (imm + 1), where, "")
                callees.append(callee)
                self.calls.append((base + at // isa.SLOT, callee))
            elif symbol is not None:
                if kind != _R_BPF_64_64 or opcode != isa.LD | isa.IMM | 0x18:
                    raise FormatError(f"{where}: relocation of type {kind} against {symbol.name} is not supported")
                self._refer(code, at, symbol, imm, where)
        self.code += code
        return callees

    def _callee(self, section: int, place: int, where: str, name: str) -> _Function:
        callee = self.source.function_at(section, place)
        if callee is None:
            raise FormatError(f"{where}: calls {name or f'offset {place}'}, which is no function of the object")
        return callee

    def _refer(self, code: bytearray, at: int, symbol: _Symbol, addend: int, where: str) -> None:
        """Make a 64-bit load refer to a map, or to a byte of a data section, which becomes a map."""
        if symbol.section == _SHN_UNDEF:
            raise FormatError(f"{where}: refers to {symbol.name or 'a symbol'}, which the object does not define")
        section = self.source.sections[symbol.section]
        definition = self.source.maps.get((symbol.section, symbol.value + addend))
        if definition is not None:
            pseudo, offset = isa.PSEUDO_MAP, 0
        elif section.name.startswith(_DATA):
            pseudo, offset = isa.PSEUDO_MAP_VALUE, symbol.value + addend
            definition = self._data(section)
        elif section["sh_flags"] & _SHF_EXECINSTR:
            raise FormatError(f"{where}: takes the address of a function, which is not supported")
        else:
            raise FormatError(
                f"{where}: refers to {symbol.name or section.name} in section {section.name}, which defines no map",
                hint="maps live in `.maps` (BTF) or `maps` (struct bpf_map_def)",
            )
        if definition not in self.maps:
            self.maps.append(definition)
        code[at + 1] = code[at + 1] & 15 | pseudo << 4
        struct.pack_into("<i", code, at + 4, self.maps.index(definition))
        struct.pack_into("<i", code, at + 12, offset)

    @staticmethod
    def _data(section: Any) -> MapDefinition:
        """Return the map of one entry that stands for a section of global data."""
        size = section["sh_size"]
        if size > _MAX_DATA:
            raise ValueError(f"section {section.name} has {size} bytes")
        initial = bytes(size) if section["sh_type"] == "SHT_NOBITS" else section.data()
        flags = READ_ONLY if section.name.startswith(".rodata") else 0
        return MapDefinition(section.name, ARRAY, 4, size, 1, flags, initial)


def _has_core_relocations(data: bytes) -> bool:
    """Return whether a `.BTF.ext` section lists CO-RE relocations (`core_relo_len` of its header)."""
    if len(data) < 32 or struct.unpack_from("<I", data, 4)[0] < 32:
        return False
    return bool(struct.unpack_from("<I", data, 28)[0])
