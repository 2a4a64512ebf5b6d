"""The corpus: one file a case, named by a digest of its bytes, so that corpora merge by copying.

A file that is damaged (its name is not the digest of what it holds) is left where it is and not used. When the disk is
full the campaign goes on with what it has in memory.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case, decode, encode
from vnethash.spec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes of the largest file that is read.
_LARGEST = 1 << 18


class Corpus:
    """Cases that reached something new, in the order in which they came; `folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None = None) -> None:
        """Make the folder; raises UsageError where it cannot be made."""
        self.folder = folder
        self.cases: list[Case] = []
        self.problems: list[str] = []
        self._names: set[str] = set()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"corpus {folder}: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self.cases)

    def saved(self) -> Iterator[Case]:
        """Yield the cases in the folder, the shortest first; damaged files become problems."""
        if self.folder is None:
            return
        files = [path for path in self.folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        damaged = 0
        for path in sorted(files, key=lambda path: (path.stat().st_size, path.name)):
            try:
                data = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
            except OSError:
                data = b""
            case = decode(data)
            if case.name != path.name or encode(case) != data:
                damaged += 1
                continue
            yield case
        if damaged:
            self.problems.append(f"corpus {self.folder}: {damaged} damaged files were not used")

    def add(self, case: Case) -> bool:
        """Keep a case; False if it is there already."""
        name = case.name
        if name in self._names:
            return False
        self._names.add(name)
        self.cases.append(case)
        if self.folder is not None and not self.problems:
            path = self.folder / name
            try:
                if not path.exists():
                    fresh = self.folder / f".{name}.{os.getpid()}"
                    fresh.write_bytes(encode(case))
                    fresh.replace(path)
            except OSError as error:
                self.problems.append(f"corpus {self.folder}: {error.strerror}; what is new stays in memory")
        return True

    def minimise(self) -> int:
        """Remove the files of cases that were not added in this campaign; return how many went."""
        gone = 0
        if self.folder is not None:
            for case in list(self.saved()):
                if case.name not in self._names:
                    (self.folder / case.name).unlink(missing_ok=True)
                    gone += 1
        return gone
