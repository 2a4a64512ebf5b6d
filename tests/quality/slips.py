"""Slips in the model, one each, and the statements of `vnethash prove model` that have to notice.

A slip is a text of one file of models/ that is replaced by another; the copy of the tree with it is imported in
processes of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("spec", "targets", "conformance", "fuzz", "cli")


class Slip(NamedTuple):
    """What is replaced where, and which statement fails."""

    file: str
    right: str
    wrong: str
    statement: str


SLIPS = {
    "a VLAN tag of two bytes": Slip(
        "link.py",
        "            offset = offset + 4\n            tags",
        "            offset = offset + 2\n            tags",
        "closed forms/ipv4-tagged",
    ),
    "a fragment offset of twelve bits": Slip(
        "ipv4.py", "flags & 0x1FFF != 0", "flags & 0x0FFF != 0", "closed forms/ipv4-later-fragment"
    ),
    "ports at offset 20 behind options": Slip(
        "ipv4.py", "    l4 = header\n", "    l4 = start + 20\n", "closed forms/ipv4-options"
    ),
    "an extension header counted in fours": Slip(
        "ipv6.py",
        "        return (frame[p + 1] + 2) * 4\n    return (frame[p + 1] + 1) * 8",
        "        return (frame[p + 1] + 2) * 4\n    return (frame[p + 1] + 1) * 4", "closed forms/ipv6-hop-by-hop",
    ),
    "an Authentication Header one unit short": Slip(
        "ipv6.py", "return (frame[p + 1] + 2) * 4", "return (frame[p + 1] + 1) * 4", "closed forms/ipv6-authentication"
    ),
    "the type of TCP asked for UDP": Slip(
        "select.py", "if udp and types & UDP_EX_ON != 0:\n                return",
        "if udp and types & TCP_EX_ON != 0:\n                return", "closed forms/ipv6-route-and-home",
    ),
    "a report of a type that is not enabled": Slip(
        "select.py", "if tcp_on and tcp:\n        return Selection(TCPV4", "if tcp:\n        return Selection(TCPV4",
        "walks/select.select",
    ),
    "addresses in the other order": Slip(
        "select.py", "    source = packet.l3 + 12\n    destination = packet.l3 + 16",
        "    source = packet.l3 + 16\n    destination = packet.l3 + 12", "closed forms/ipv4-udp",
    ),
    "a header's second byte not looked for": Slip(
        "ipv6.py",
        "    if p + needed(protocol) > limit:\n        return False",
        "    if p + 1 > limit:\n        return False",
        "walks/ipv6.ipv6",
    ),
    "options that do not end": Slip(
        "options.py", "            found = p + 2\n        else:\n            p = p + 2 + frame[p + 1]",
        "            found = p + 2\n        else:\n            p = p + frame[p + 1]", "walks/options.plain_home",
    ),
    "a TCP header of which half is there": Slip(
        "transport.py", "    if offset + 20 > end:", "    if offset + 12 > end:", "walks/transport.transport"
    ),
    "a question asked of every packet": Slip(
        "ipv4.py", "elif word(frame, start + 6) & 0xC000 != 0:", "elif word(frame, start + 6) >= 0:",
        "closed forms/ipv4-tcp",
    ),
    "an inner packet four bytes early": Slip(
        "tunnel.py", "    return ethernet(frame, o + 8, end, readings)\n\n\ndef geneve",
        "    return ethernet(frame, o + 4, end, readings)\n\n\ndef geneve", "closed forms/vxlan",
    ),
}


def tree(folder: Path, slip: Slip) -> Path:
    """Make a copy of the tree in which the model has a slip; return the folder to import from."""
    package = folder / "vnethash"
    (package / "models").mkdir(parents=True)
    for name in PACKAGES:
        (package / name).symlink_to(ROOT / name)
    for path in (ROOT / "models").iterdir():
        if path.name == slip.file:
            text = path.read_text()
            assert text.count(slip.right) == 1, f"{slip.file} has the text {text.count(slip.right)} times"
            (package / "models" / path.name).write_text(text.replace(slip.right, slip.wrong))
        elif path.name != "__pycache__":
            (package / "models" / path.name).symlink_to(path)
    return folder


def python(
    folder: Path, code: str, *arguments: str, given: str = "", seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run Python on the tree in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True, env=environment,
        timeout=seconds, cwd=folder, input=given,
    )


def prove(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run `vnethash prove model --json` on a tree; return the exit code, the verdicts, what was said on stderr."""
    code = "import sys; from vnethash.cli.main import main; main(sys.argv[1:])"
    done = python(folder, code, "prove", "model", "--json", "--output", str(folder / "proof"), *arguments)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr
