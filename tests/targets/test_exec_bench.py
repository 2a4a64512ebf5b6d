"""The measurement itself, with few frames."""

import shlex
import subprocess
import sys

import pytest
from vnethash.targets.exec.bench import nothing_command, rate


@pytest.mark.parametrize("framing", ["json", "binary"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_adapters_that_do_nothing_can_be_measured(framing, packed):
    assert rate(nothing_command(framing, packed=packed), count=2000, rounds=1) > 1000


def test_a_command_is_compared_with_doing_nothing():
    command = shlex.split(nothing_command("json"))
    done = subprocess.run(
        [sys.executable, "-m", "vnethash.targets.exec.bench", *command], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert [line.split("frames/s")[1].split(" (")[0].strip() for line in lines[:4]] == [
        "does nothing, json", "does nothing, json, packed", "does nothing, binary", "does nothing, binary, packed",
    ]  # fmt: skip
    assert lines[4].endswith("of does nothing)")
