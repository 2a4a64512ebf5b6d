"""What all fuzz targets here share: instrumented imports, libFuzzer's loop, data as a file.

A target is a module with `one(data)`, which raises for a defect and for nothing else, `seeds()`, what a corpus begins
with, and `words()`, the dictionary.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_WAITING: list[subprocess.Popen[bytes]] = []
#: Whether to count branches; who only wants seeds does not.
counting = True


@contextlib.contextmanager
def instrumented() -> Iterator[None]:
    """Import with counters on the branches of vnethash."""
    if not counting:
        yield
        return
    import atheris  # noqa: PLC0415 - seeds are written without it

    with atheris.instrument_imports(include=["vnethash"]):
        yield


def fuzz(one: Callable[[bytes], object]) -> None:
    """Hand over to libFuzzer, whose options are on the command line; does not return."""
    import atheris  # noqa: PLC0415

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


def one_line(words: str) -> None:
    """Raise unless it is the one line that a user gets for a mistake."""
    assert words, "nothing is said"
    assert len(words.splitlines()) == 1, words


def folder(prefix: str) -> Path:
    """Return a new folder, in memory where that is to be had, that is gone when this process is.

    libFuzzer ends a process without giving it a chance to clean up; so another one waits for its end.
    """
    memory = Path("/dev/shm")  # noqa: S108 - ours is a folder of its own in it
    made = tempfile.mkdtemp(prefix=prefix, dir=memory if os.access(memory, os.W_OK) else None)
    command = ["sh", "-c", 'cat >/dev/null; rm -rf "$1"', "sh", made]
    _WAITING.append(subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True))
    return Path(made)


class DataFile:
    """A file in memory, with a path; written anew each time."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("data")
        self.path = f"/proc/self/fd/{self._descriptor}"

    def write(self, data: bytes) -> str:
        """Replace what is in it, and return its path."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)
        return self.path
