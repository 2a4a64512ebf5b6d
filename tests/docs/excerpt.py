"""The excerpt in README.md: lines of a real run. `python tests/docs/excerpt.py` runs it and writes them there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
PLACE = re.compile(r"(<!-- excerpt: .*? -->\n```text\n)(.*?)(```\n<!-- end of excerpt -->)", re.DOTALL)
#: Two defects, and a choice that the text allows.
SHOWN = ("zero-value", "fragment-flags", "ipv4-first-fragment")
CUT = "[...]"


def run() -> str:
    """Return what `vnethash check qemu-ebpf` prints."""
    vnethash = Path(sys.executable).with_name("vnethash")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [vnethash, "check", "qemu-ebpf", "--quiet", "--output", "report"], cwd=folder, capture_output=True,
            text=True, check=False, env={**os.environ, "COLUMNS": "120"},
        )
    assert done.returncode == 1, done.stderr
    return done.stdout


def excerpt(output: str) -> str:
    """Return the lines that the README shows."""
    lines = [line.rstrip() for line in output.splitlines()]
    findings = [number for number, line in enumerate(lines) if line.startswith("  T1.")]
    end = next(number for number, line in enumerate(lines) if line.startswith("  readings: "))
    kept = set(range(findings[0]))
    for begin, following in zip(findings, [*findings[1:], end], strict=True):
        if lines[begin].split()[0].removeprefix("T1.") in SHOWN:
            kept |= set(range(begin, following))
    kept |= {end, *(number for number, line in enumerate(lines) if line.startswith(("report ", "replay ")))}
    parts: list[str] = []
    for number, line in enumerate(lines):
        if number in kept:
            parts.append(line)
        elif parts[-1] != CUT:
            parts.append(CUT)
    return "\n".join(parts) + "\n"


def shown() -> str:
    """Return the excerpt that the README has."""
    match = PLACE.search(README.read_text("utf-8"))
    assert match
    return match[2]


def main() -> None:
    """Write the excerpt of a run of now."""
    made = excerpt(run())
    text = PLACE.sub(lambda match: match[1] + made + match[3], README.read_text("utf-8"))
    README.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
