"""The target `lib:PATH.so`: a shared library that exports vnethash.h, in a process of its own.

The file is looked at first, without loading it: what it exports, for which machine it is, and whether a sanitizer's
runtime must be loaded before Python's own code. Then a child process loads it and answers the adapter protocol in
binary framing (`__main__.py`), so that time limits, restarts, and the search for the frame that did it are those of
`exec:`.
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from vnethash.spec.errors import FormatError, TargetError, UsageError
from vnethash.targets.base import TargetInfo
from vnethash.targets.exec.client import DEFAULT_TIMEOUT, ExecTarget, Limits
from vnethash.targets.lib.counters import ROWS, VARIABLE, SharedCounters, has_counters

SYMBOLS = ("vnethash_info", "vnethash_configure", "vnethash_run")
_ELF_HEADER = 64
_WHAT = "a shared library of yours that exports vnethash.h"
_HINT = "`vnethash adapter new --lang c-lib` writes one with its header"
#: Runtimes that must be there before anything else is.
_PRELOADED = ("libasan.", "libtsan.", "libhwasan.", "libclang_rt.asan", "libclang_rt.tsan", "libclang_rt.hwasan")
#: What the sanitizers are told: to end with the first error, and to leave Python's own memory alone.
_SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:print_legend=0",
    "TSAN_OPTIONS": "halt_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1",
}
#: What pyelftools raises on damaged files.
_DAMAGE = (ELFError, ConstructError, struct.error, AssertionError, AttributeError, LookupError, ValueError, TypeError,
           OverflowError)  # fmt: skip


class Shared(NamedTuple):
    """What a shared library says of itself: names it defines, names it lacks, libraries it needs."""

    defined: frozenset[str]
    undefined: frozenset[str]
    needed: tuple[str, ...]


class LibTarget(ExecTarget):
    """A library behind the process that loaded it."""

    def __init__(
        self, name: str, command: str, limits: Limits, notes: tuple[str, ...], counters: SharedCounters | None = None
    ) -> None:
        #: The edges that the library counts, None for one that was built without.
        self.counters = counters
        super().__init__(command, limits=limits, name=name, pass_fds=counters.descriptors if counters else ())
        self.notes = (*notes, *self.notes)

    def _complaint(self, what: str, words: str) -> TargetError:
        """Say it in the words of the process that loaded the library, which is ours."""
        return TargetError(f"{self.name}: {words}")


def open_lib(argument: str, *, timeout: float = DEFAULT_TIMEOUT, name: str = "") -> LibTarget:
    """Load the library at `argument` in a process of its own; `name` is what to call the target (`lib:ARGUMENT`).

    Raises UsageError for a file that cannot be read, FormatError for one that is no such library, TargetError for one
    that cannot be loaded or is for another version of the header.
    """
    if not argument:
        raise UsageError("lib: needs the path of a shared library", hint="lib:./PATH.so")
    path = Path(argument).expanduser().absolute()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{argument}: cannot be read: {error.strerror}") from None
    shared = look(data, argument)
    with Path("/proc/self/exe").open("rb") as ours:
        if _machine(data) != _machine(ours.read(_ELF_HEADER)):
            raise FormatError(f"{argument}: built for another kind of machine than this one")
    preloaded = check(shared, argument)
    counters = SharedCounters() if has_counters(shared.undefined) else None
    command = [*environment(preloaded, counters), sys.executable, "-P", "-m", "vnethash.targets.lib", str(path)]
    notes = [f"object {hashlib.sha256(data).hexdigest()[:12]}"]
    notes += [f"with {Path(runtime).name}" for runtime in preloaded]
    notes += ["with counters of edges"] if counters else []
    limits = Limits(answer=timeout, batch=ROWS)
    return LibTarget(name or f"lib:{argument}", shlex.join(command), limits, tuple(notes), counters)


def look(data: bytes, where: str) -> Shared:
    """Read an ELF file's dynamic symbols and needs; raises FormatError."""
    try:
        elf = ELFFile(io.BytesIO(data))
        table, dynamic = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".dynamic")
        if elf["e_type"] != "ET_DYN" or not isinstance(table, SymbolTableSection) or dynamic is None:
            raise FormatError(f"{where}: an ELF file, but no shared library", hint="cc -shared -fPIC builds one")
        defined: set[str] = set()
        undefined: set[str] = set()
        for symbol in table.iter_symbols():
            (undefined if symbol["st_shndx"] == "SHN_UNDEF" else defined).add(symbol.name)
        needed = tuple(tag.needed for tag in dynamic.iter_tags("DT_NEEDED"))
        return Shared(frozenset(defined), frozenset(undefined), needed)
    except _DAMAGE as error:
        what = "not an ELF file" if data[:4] != b"\x7fELF" else f"a damaged ELF file: {error}"
        raise FormatError(f"{where}: {what}", hint=_HINT) from None


def check(shared: Shared, where: str) -> list[str]:
    """Return the runtimes to load before the library; raises FormatError for one that cannot be loaded here."""
    if lacking := [name for name in SYMBOLS if name not in shared.defined]:
        raise FormatError(f"{where}: exports no {', '.join(lacking)}", hint=_HINT)
    preloaded = [_found(name, where) for name in shared.needed if name.startswith(_PRELOADED)]
    if "__asan_init" in shared.undefined and not preloaded:
        raise FormatError(
            f"{where}: built with -fsanitize=address, but without its runtime", hint="clang needs -shared-libasan"
        )
    return preloaded


def _machine(data: bytes) -> tuple[bytes, bytes]:
    """Return class and byte order, and the machine, of an ELF header."""
    return data[4:6], data[18:20]


def environment(preloaded: list[str], counters: SharedCounters | None = None) -> list[str]:
    """Return the words before a command that load runtimes first; the user's sanitizer options come last and win."""
    options = dict(_SANITIZER_OPTIONS)
    objects = [*preloaded, *filter(None, [os.environ.get("LD_PRELOAD", "")])]
    words = []
    if counters is not None:
        # Sanitizers bring counters of their own, which do nothing; ours come first, and AddressSanitizer minds.
        objects.insert(0, counters.preload)
        options["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        words.append(f"{VARIABLE}={counters.descriptors[1]}")
    words += [f"{name}={what}:{os.environ.get(name, '')}".rstrip(":") for name, what in options.items()]
    if objects:
        words.append(f"LD_PRELOAD={':'.join(objects)}")
    return ["env", *words]


def probe() -> list[TargetInfo]:
    """Return the line of `vnethash targets`."""
    return [TargetInfo("lib:PATH.so", _WHAT, available=True, shows=("what it says",))]


def _found(name: str, where: str) -> str:
    """Return how the loader finds a runtime: clang's lies in clang's own folder, gcc's where all libraries are."""
    if not name.startswith("libclang_rt"):
        return name
    clang = shutil.which("clang")
    command = [clang or "clang", f"-print-file-name={name}"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() if clang else ""
    if not Path(said).is_file():
        raise FormatError(f"{where}: needs {name}, which is not found", hint="install the clang that built it")
    return said
