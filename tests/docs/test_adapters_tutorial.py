"""docs/adapters.md does what it says: every command is run, in order, in an empty folder.

A `bash` block is run; the `text` block behind it must be found in its output, line by line and in order, where `…`
stands for anything, a number (but for exit codes) for any number and a space for any number of them. A `python` block
takes the place of the function of that name in my_device.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "adapters.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<!exit code )\d[\d,.]*")


def pattern(line):
    """Return what a line of the page means."""
    words = NUMBER.sub("0", line)
    return re.compile(r".*".join(r"\s+".join(map(re.escape, part.split())) for part in words.split("…")))


def missing(expected, output):
    """Return the first expected line that the output lacks, None if it has them all in order."""
    lines = iter(" ".join(NUMBER.sub("0", line).split()) for line in output.splitlines())
    for line in expected.splitlines():
        if line.strip(" …") and not any(pattern(line).fullmatch(came) for came in lines):
            return line
    return None


def put(function, path):
    """Replace the function of that name."""
    name = re.match(r"def (\w+)", function)
    assert name is not None
    text, count = re.subn(
        rf"def {name[1]}\(.*?\n\n\n", lambda _: function.rstrip() + "\n\n\n", path.read_text(), flags=re.DOTALL
    )
    assert count == 1
    path.write_text(text)


@pytest.mark.needs_cc
def test_every_command_of_the_tutorial_does_what_it_says(tmp_path):
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
    blocks = BLOCK.findall(PAGE.read_text())
    assert [kind for kind, _ in blocks].count("bash") >= 9
    output = ""
    for kind, body in blocks:
        if kind == "bash":
            done = subprocess.run(
                ["bash", "-c", body], cwd=tmp_path, env=environment, timeout=300, text=True, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            output = done.stdout
            assert done.returncode == 0, f"{body}\n{output}"
        elif kind == "text":
            line = missing(body, output)
            assert line is None, f"not in the output: {line}\n{output}"
        elif kind == "python":
            put(body, tmp_path / "my_device.py")
        else:
            raise AssertionError(f"a block in {kind}")


def test_the_comparison_sees_what_is_missing():
    assert missing("a  1\n…\nc … e\n", "x\na 2,000\nb\nc d e\n") is None
    assert missing("a\nb\n", "b\na\n") == "b"
    assert missing("a …\n", "b\n") == "a …"
    assert missing("exit code 1", "exit code 0") == "exit code 1"


def test_the_tutorial_names_only_links_that_exist():
    for link in re.findall(r"\]\(([^)#]+)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link
