"""Starts a child that would outlive it, and says its number as the implementation's version."""

import subprocess
import sys

from speak import START, speak

child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(600)"],
    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)  # fmt: skip
speak(start={**START, "implementation": {"name": "parent", "version": str(child.pid)}})
