"""Writes 8 MiB to stderr before it reads anything, and 1 MiB with every answer."""

import sys

from speak import START, outcome, speak

LINE = "x" * 1023 + "\n"
sys.stderr.write(LINE * 8192)


def run(request):
    sys.stderr.write(LINE * 1024 + "the end\n")
    return {"seq": request["seq"], "results": [outcome(bytes.fromhex(p)) for p in request["packets"]]}


speak(start=START, run=run)
