"""An adapter that kills at a frame that was chosen: the run above it, or itself. The test writes `fuse` beside it.

`fuse` holds "run N" or "self N": at the N-th frame of this process that happens, once. `asked` gets a byte for each
frame, `pids` the number of each process.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

IMPLEMENTATIONS = Path(__file__).parents[1] / "quality/implementations"


def fused(answer: Callable[[bytes], Any], folder: Path) -> Callable[[bytes], Any]:
    """Return an answer that counts, and burns the fuse."""
    number = 0

    def counted(frame: bytes) -> Any:
        nonlocal number
        number += 1
        fuse = folder / "fuse"
        if fuse.exists():
            victim, at = fuse.read_text().split()
            if number == int(at):
                fuse.unlink()
                os.kill(os.getppid() if victim == "run" else os.getpid(), signal.SIGKILL)
        with (folder / "asked").open("ab") as asked:
            asked.write(b".")
        return answer(frame)

    return counted


def main(folder: Path, defect: str) -> None:
    """Serve one planted defect."""
    sys.path.insert(0, str(IMPLEMENTATIONS))
    from defects import DEFECTS
    from loop import serve

    with (folder / "pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    device = DEFECTS[defect].device()
    device.answer = fused(device.answer, folder)  # type: ignore[method-assign]
    serve(device)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
