"""An adapter that answers with the model beside adapters that do nothing, for both framings of the protocol."""

from __future__ import annotations

import contextlib
import shlex
import sys
from typing import TYPE_CHECKING

from measure import Rate
from vnethash.models.compiled import Compiled
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings
from vnethash.targets.exec.bench import nothing_command, rate

if TYPE_CHECKING:
    from vnethash.targets.exec.messages import Framing

COUNT = 64 * 1024
#: Seconds until an adapter that serves the model has its compiled twin, taken from the cache.
WARM_UP = 6.0


def measure() -> tuple[str, list[Rate]]:
    """Return the rates in frames a second, client and adapter together."""
    with contextlib.suppress(VnethashError):  # without numba it is served frame by frame
        Compiled(Configuration(), Readings())  # so that the adapter finds the compiled twin in the cache
    vnethash = [sys.executable, "-c", "from vnethash.cli.main import main; main()"]
    rates = []
    framings: tuple[Framing, ...] = ("json", "binary")
    for framing in framings:
        does_nothing = f"{framing}, does nothing"
        rates.append(Rate(does_nothing, rate(nothing_command(framing, packed=True), count=COUNT)))
        command = [*vnethash, "adapter", "serve", *(["--binary"] if framing == "binary" else []), "model:literal"]
        served = rate(shlex.join(command), count=COUNT, warm_up=WARM_UP)
        rates.append(Rate(f"{framing}, model:literal", served, does_nothing))
    return "the adapter protocol, batches of 256 frames", rates
