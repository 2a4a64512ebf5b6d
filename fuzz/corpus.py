"""The corpus: one file a case, named by a digest of its bytes, so that corpora merge by copying.

A file appears under its name whole or not at all. One that is damaged (its name is not the digest of what it holds) is
left where it is and not used, until its case is found again. While the disk is full the campaign goes on with what it
has in memory, and writes it when there is room again.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from vnethash.fuzz.case import Case, decode, encode
from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Bytes of the largest file that is read.
_LARGEST = 1 << 18
#: Cases that could not be written are tried again with every so many that are added.
_AGAIN = 64


class Named(Protocol):
    """A case of some sort."""

    @property
    def name(self) -> str:
        """A digest of its bytes."""


CaseT = TypeVar("CaseT", bound=Named)


class AnyCorpus(Generic[CaseT]):
    """Cases that reached something new, in the order in which they came; `folder` None keeps them in memory only.

    What a case is in bytes is for those that are made of it: `decode` and `encode`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Make the folder, and remove what killed processes left half written; raises UsageError."""
        self.folder = folder
        self.cases: list[CaseT] = []
        self.problems: list[str] = []
        self._names: set[str] = set()
        self._unwritten: dict[str, CaseT] = {}
        self._damaged: set[str] = set()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                for path in folder.glob(".*.*"):
                    if _left_over(path):
                        path.unlink(missing_ok=True)
            except OSError as error:
                raise UsageError(f"corpus {folder}: {error.strerror}", hint="--corpus names a folder") from None

    def __len__(self) -> int:
        return len(self.cases)

    def decode(self, data: bytes) -> CaseT:
        """Return the case that any bytes stand for."""
        raise NotImplementedError

    def encode(self, case: CaseT) -> bytes:
        """Return the bytes of a case."""
        raise NotImplementedError

    def saved(self) -> Iterator[CaseT]:
        """Yield the cases in the folder, the shortest first; files that cannot be used become one problem."""
        if self.folder is None:
            return
        damaged: list[str] = []
        unreadable: list[str] = []
        for _, name in sorted(_files(self.folder)):
            path = self.folder / name
            try:
                if path.stat().st_size > _LARGEST:
                    damaged.append(name)
                    continue
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # another process minimises the same corpus
            except OSError:
                unreadable.append(name)
                continue
            case = self.decode(data)
            if case.name != name or self.encode(case) != data:
                damaged.append(name)
                continue
            yield case
        self._damaged.update(damaged)
        for names, words in ((damaged, "damaged"), (unreadable, "unreadable")):
            if names:
                count = f"{len(names)} {words} file{'s were' if len(names) > 1 else ' was'} not used"
                self.problems.append(f"corpus {self.folder}: {count}, {names[0]}{' ...' if names[1:] else ''}")

    def add(self, case: CaseT) -> bool:
        """Keep a case; False if it is there already."""
        name = case.name
        if name in self._names:
            return False
        self._names.add(name)
        self.cases.append(case)
        if self.folder is not None:
            waiting = len(self._unwritten)
            self._unwritten[name] = case
            if not waiting or len(self._unwritten) % _AGAIN == 0:
                self.write()
        return True

    def write(self) -> int:
        """Write what could not be written before; return how many cases are in memory only."""
        if self.folder is None:
            return 0
        for name, case in list(self._unwritten.items()):
            try:
                self._write(self.folder / name, self.encode(case))
            except OSError as error:
                words = f"corpus {self.folder}: {error.strerror}; what is new stays in memory"
                if words not in self.problems:
                    self.problems.append(words)
                break
            del self._unwritten[name]
        return len(self._unwritten)

    def _write(self, path: Path, data: bytes) -> None:
        if path.exists() and path.name not in self._damaged:
            return
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            fresh.write_bytes(data)
            fresh.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        self._damaged.discard(path.name)

    def remove(self, cases: Iterable[CaseT]) -> int:
        """Remove the files of cases; return how many went."""
        gone = 0
        for case in cases:
            if self.folder is not None:
                with contextlib.suppress(OSError):
                    (self.folder / case.name).unlink()
                    gone += 1
        return gone


class Corpus(AnyCorpus[Case]):
    """Cases with frames."""

    def decode(self, data: bytes) -> Case:
        """Return the case that any bytes stand for."""
        return decode(data)

    def encode(self, case: Case) -> bytes:
        """Return the bytes of a case."""
        return encode(case)


def _files(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield size and name of each ordinary file; what begins with a dot is not of the corpus."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(".") and entry.is_file():
                        yield entry.stat().st_size, entry.name
    except OSError as error:
        raise UsageError(f"corpus {folder}: {error.strerror}", hint="--corpus names a folder") from None


def _left_over(path: Path) -> bool:
    """Say whether a file was being written by a process that is no more."""
    number = path.suffix[1:]
    return len(path.stem) == 33 and number.isdecimal() and not Path("/proc", number).exists() and path.is_file()
