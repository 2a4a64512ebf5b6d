"""How fast things are, each as a ratio to something simple that was measured beside it: `make bench`.

    python tests/bench [twin] [model] [kernel] [fuzz] [protocol] [device]

A rate says little on a shared machine; a ratio to something measured in the same minute says more.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import device
import fuzzing
import kernel
import model
import protocol
import twin
from measure import Missing, table
from vnethash.spec.errors import VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Each returns a title, rates, and at times lines that go below them.
BENCHES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "twin": twin.measure, "model": model.measure, "kernel": kernel.measure,
    "fuzz": fuzzing.measure, "protocol": protocol.measure,
    "device": device.measure,
}


def main(names: list[str]) -> int:
    """Print one table a bench; the exit code is 0 if each was measured, or skipped for what is missing."""
    if unknown := set(names) - BENCHES.keys():
        sys.stderr.write(f"no bench {' '.join(sorted(unknown))}: there are {', '.join(BENCHES)}\n")
        return 2
    failed = 0
    for name in names or BENCHES:
        try:
            title, rates, *notes = BENCHES[name]()
        except Missing as reason:
            sys.stdout.write(f"{name}: skipped: {reason}\n\n")
            continue
        except VnethashError as error:
            sys.stdout.write(f"{name}: not measured: {error.line()}\n\n")
            failed = 1
            continue
        lines = [table(title, rates), *(f"  {note}" for more in notes for note in more)]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
