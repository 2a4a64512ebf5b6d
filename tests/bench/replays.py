"""Whether what campaigns report holds: each finding is replayed by a fresh process, from the ledger alone.

    python tests/bench/replays.py TARGET... [--time 600] [--seed 1] [--suite packets|control] [--keep FOLDER]

A campaign of `--time` seconds from an empty corpus on each target, one after the other; the corpus is gone before the
replays. A line has the executions, the causes in the ledger, and what `vnethash replay` said of them: still there,
gone, cannot be replayed. The exit code is 1 if one is gone or cannot be replayed. A correct target has no causes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

#: Exit codes of `vnethash replay`.
_WORDS = {0: "gone", 1: "still there"}


def vnethash(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it says."""
    command = [str(Path(sys.executable).with_name("vnethash")), *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def campaign(target: str, options: argparse.Namespace, folder: Path) -> int:
    """Run one campaign and replay what it found; return how many findings do not hold, or did not come about."""
    ledger, corpus = folder / "ledger.sqlite", folder / "corpus"
    done = vnethash(
        "fuzz", target, "--suite", options.suite, "--time", options.time, "--seed", options.seed, "--json",
        "--ledger", ledger, "--corpus", corpus,
    )
    if done.returncode not in {0, 1}:
        say(f"{target}: no campaign (exit {done.returncode}): {done.stderr.strip().splitlines()[-1]}")
        return 1
    totals = [json.loads(row) for row in done.stdout.splitlines()][-1]
    shutil.rmtree(corpus, ignore_errors=True)
    told, wrong = replayed(ledger)
    say(f"{target}: {options.time:g} s, {totals['executions']:,} executions: {told}")
    for line in wrong:
        say(f"    {line}")
    return len(wrong)


def replayed(ledger: Path) -> tuple[str, list[str]]:
    """Replay all causes of a ledger; return how many hold, in words, and a line for each that does not."""
    listed = vnethash("findings", "list", "--ledger", ledger, "--json")
    causes = [json.loads(row) for row in listed.stdout.splitlines()]
    said: Counter[str] = Counter()
    wrong = []
    for cause in causes:
        if cause["status"] == "withdrawn":
            said["withdrawn"] += 1
            continue
        again = vnethash("replay", cause["id"], "--ledger", ledger)
        words = _WORDS.get(again.returncode, "cannot be replayed")
        said[words] += 1
        if again.returncode != 1:
            wrong.append(f"{cause['id']} {cause['title']}: {words}: {again.stderr.strip() or again.stdout.strip()}")
    counts = ", ".join(f"{count} {words}" for words, count in sorted(said.items()))
    return f"{len(causes)} causes" + (f": {counts}" if counts else ""), wrong


def main() -> int:
    """Run all campaigns; the exit code is 1 if anything that was reported does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--time", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--suite", choices=("packets", "control"), default="packets")
    parser.add_argument("--keep", type=Path, help="leave the ledgers there")
    options = parser.parse_args()
    wrong = 0
    for number, target in enumerate(options.targets):
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            wrong += campaign(target, options, folder)
            if options.keep is not None and (folder / "ledger.sqlite").exists():
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / "ledger.sqlite", options.keep / f"{os.getpid()}-{number}.sqlite")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
