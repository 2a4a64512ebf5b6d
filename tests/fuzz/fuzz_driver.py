"""A campaign on devices with a planted defect each, in a process of its own, so that it can be killed.

    python fuzz_driver.py FOLDER SEED EXECUTIONS JOBS ENGINE DEFECT...

Ledger and corpus are in FOLDER; standard output is that of `vnethash fuzz --json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

TESTS = Path(__file__).parents[1]
PLACES = [str(TESTS / "quality"), str(TESTS / "quality" / "implementations")]

if TYPE_CHECKING:
    from collections.abc import Sequence


def start(
    folder: Path, seed: int, executions: int, defects: Sequence[str], *, jobs: int = 1, engine: str = "builtin",
    prefix: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start a campaign."""
    numbers = map(str, (seed, executions, jobs))
    command = [*prefix, sys.executable, __file__, str(folder), *numbers, engine, *defects]
    # What a killed process leaves in its folder for temporary files goes with the test's.
    environment = {**os.environ, "TMPDIR": str(folder.parent)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def events(text: str) -> list[dict[str, Any]]:
    """Return what a campaign told; half a line at the end is left out, as nobody was told it."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def main(folder: Path, seed: int, executions: int, jobs: int, engine: str, defects: Sequence[str]) -> int:
    """Run it."""
    sys.path[:0] = PLACES
    from defects import DEFECTS
    from hidden import HIDDEN
    from in_process import InProcess
    from vnethash.fuzz.session import Plan, run_session
    from vnethash.spec.errors import VnethashError

    def device(name: str) -> InProcess:
        return InProcess(name, (HIDDEN[name] if name in HIDDEN else DEFECTS[name]).device())

    plan = Plan(tuple(defects), None, executions, engine, seed, jobs, folder / "ledger.sqlite", folder / "corpus")
    try:
        return run_session(plan, device, as_json=True)
    except VnethashError as error:
        sys.stderr.write(f"vnethash: {error.line()}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6:]))
