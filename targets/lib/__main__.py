"""Load one library and answer the adapter protocol for it: `python -m vnethash.targets.lib PATH`, started by target.py.

What the library prints goes to stderr. If it cannot be loaded, `start` is answered with the reason.
"""

from __future__ import annotations

import os
import sys

from vnethash.spec.errors import TargetError
from vnethash.targets.exec.messages import error_answer
from vnethash.targets.exec.serve import serve
from vnethash.targets.lib.library import Library


def main(path: str) -> None:
    """Serve the library at an absolute path on standard input and output."""
    with os.fdopen(os.dup(0), "rb") as stdin, os.fdopen(os.dup(1), "wb") as stdout:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        try:
            library = Library(path)
        except TargetError as error:
            stdin.readline()
            stdout.write(error_answer(error.line()))
            return
        serve(library, stdin, stdout, framing="binary")


if __name__ == "__main__":
    main(sys.argv[1])
