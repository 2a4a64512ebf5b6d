"""Does what the first byte of a frame says: dd die, cc crash, ee hang, 5c skip, e0 error.

With a FILE as argument, each start appends a line to it.
"""

import os
import signal
import sys
import time
from pathlib import Path

from speak import outcome, speak

if len(sys.argv) > 1:
    with Path(sys.argv[1]).open("a") as log:
        log.write("started\n")


def result(frame):
    what = frame[:1].hex()
    if what == "dd":
        sys.exit("ValueError: this frame again")
    if what == "cc":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "ee":
        time.sleep(600)
    if what == "5c":
        return {"skipped": "too short"}
    if what == "e0":
        return {"error": "lost it"}
    return outcome(frame)


speak(result=result)
