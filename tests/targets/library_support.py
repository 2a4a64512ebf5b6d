"""The library of tests/quality/implementations, built with what is planted in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from needs import require

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
IMPLEMENTATIONS = ROOT / "tests" / "quality" / "implementations"
SOURCE = IMPLEMENTATIONS / "library.c"
HEADER = ROOT / "targets" / "lib" / "vnethash.h"

if str(IMPLEMENTATIONS) not in sys.path:  # for `plain`, as tests/quality has it
    sys.path.insert(0, str(IMPLEMENTATIONS))


def compile_library(path: Path, source: Path, *flags: str, compiler: str = "cc") -> Path:
    """Build a shared library; skips where there is no compiler."""
    require("cc")
    command: Sequence[str] = [
        compiler, "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{HEADER.parent}", *flags,
        "-o", str(path), str(source),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return path


class Libraries:
    """The library, built when first asked for, once for each set of flags."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[tuple[str, ...], Path] = {}

    def __call__(self, *flags: str) -> Path:
        """Return the path of the library built with these flags."""
        if flags not in self._built:
            path = self._folder / f"library-{len(self._built)}.so"
            self._built[flags] = compile_library(path, SOURCE, *flags)
        return self._built[flags]
