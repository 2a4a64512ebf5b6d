"""An adapter that is stopped while its twin is still being compiled ends in order."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from vnethash.spec.configuration import Configuration
from vnethash.targets.exec import framing, messages

if TYPE_CHECKING:
    from pathlib import Path

MAIN = "from vnethash.cli.main import main; main()"
#: Seconds of compilation before the stop: LLVM is at work by then.
COMPILED_FOR = 3.0
FRAME = bytes(12) + bytes.fromhex("0800 4500 0014 0000 0000 4006 0000 0a000001 0a000002")


def test_a_stop_while_the_twin_compiles_is_an_end_in_order(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    talk = messages.start_line() + messages.configure_line(1, Configuration()) + framing.run_message(2, [FRAME])
    command = [sys.executable, "-c", MAIN, "adapter", "serve", "--binary", "model:literal"]
    # An empty cache: the compilation takes many seconds, the conversation a few milliseconds.
    served = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    try:
        assert served.stdin is not None
        served.stdin.write(talk)
        served.stdin.flush()
        time.sleep(COMPILED_FOR)
        out, errors = served.communicate(messages.stop_line(), timeout=120)
    finally:
        served.kill()
    assert (served.returncode, errors) == (0, b"")
    assert out.count(b"\n") >= 2
    assert not list(tmp_path.rglob("*.nbi")), "it was compiled before it was stopped"


@pytest.mark.parametrize("busy", [True, False])
def test_only_under_a_compilation_the_process_ends_without_being_taken_down(busy: bool) -> None:
    # What stands behind main() runs when the process unwinds; what was registered for its end has to run either way.
    script = (
        "import atexit, sys\nimport vnethash.targets.model as model\nfrom vnethash.cli.main import main\n"
        f"model.compiling = lambda: {busy}\natexit.register(print, 'ended', flush=True)\n"
        "sys.argv = ['vnethash', 'no-such-command']\n"
        "try:\n    main()\nfinally:\n    print('unwound', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stdout.split() == (["ended"] if busy else ["unwound", "ended"])
