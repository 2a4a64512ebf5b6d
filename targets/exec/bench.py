"""How fast the adapter protocol is: frames a second through adapters that do nothing, and through one that does.

    python -m vnethash.targets.exec.bench [COMMAND...]

The rates are wall time, the best of a few rounds, client and adapter together; the ratio compares COMMAND with the
do-nothing adapter of the same framing.
"""

from __future__ import annotations

import shlex
import sys
import time
from array import array
from typing import TYPE_CHECKING

from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Implementation
from vnethash.targets.exec.client import open_exec
from vnethash.targets.exec.serve import serve
from vnethash.targets.exec.smoke import FRAMES, usual_configuration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Result
    from vnethash.targets.exec.messages import Framing

_COUNT = 128 * 1024
_ROUNDS = 3
_SERVE = "--serve-nothing"


class Nothing:
    """A target that looks at no frame."""

    name = "nothing"
    implementation = Implementation("nothing")
    capabilities = Capabilities(observes=frozenset({"queue", "report", "value"}))
    notes: tuple[str, ...] = ()

    def configure(self, configuration: Configuration) -> None:
        """Do nothing."""

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        """Return the same for each."""
        return [Observation(2, 0x51D3AC08, 5)] * len(frames)

    def close(self) -> None:
        """Do nothing."""


class PackedNothing(Nothing):
    """The same, a batch at a time."""

    def run_packed(self, data: bytes, offsets: array[int]) -> tuple[array[int], array[int], array[int]]:
        """Return the same for each."""
        count = len(offsets) - 1
        return array("H", [2]) * count, array("I", [0x51D3AC08]) * count, array("i", [5]) * count


#: Seconds that an adapter works before it is measured.
_WARM_UP = 6.0


def rate(
    command: str, *, count: int = _COUNT, rounds: int = _ROUNDS, batch: int = 256, warm_up: float = 0.0
) -> float:
    """Return frames a second through `exec:COMMAND`, the best of some rounds behind `warm_up` seconds of work.

    A model that is served compiles its twin meanwhile, and answers slowly until it has it.
    """
    frames = [FRAMES[index % 2] for index in range(count)]
    with open_exec(command, batch=batch) as target:
        target.configure(usual_configuration(target.capabilities))
        until = time.perf_counter() + warm_up
        target.run(frames[:batch])
        while time.perf_counter() < until:
            target.run(frames[:batch])
        best = 0.0
        for _ in range(rounds):
            begun = time.perf_counter()
            target.run(frames)
            best = max(best, count / (time.perf_counter() - begun))
    return best


def nothing_command(framing: Framing, *, packed: bool = False) -> str:
    """Return the command of an adapter that does nothing."""
    return shlex.join([sys.executable, "-m", __spec__.name, _SERVE, framing, *(["packed"] if packed else [])])


def main(arguments: Sequence[str]) -> None:
    """Print the table, or be one of the adapters in it."""
    if arguments and arguments[0] == _SERVE:
        framing: Framing = "binary" if "binary" in arguments else "json"
        serve(PackedNothing() if "packed" in arguments else Nothing(), sys.stdin.buffer, sys.stdout.buffer,
              framing=framing)  # fmt: skip
        return
    base: dict[str, float] = {}
    framings: tuple[Framing, ...] = ("json", "binary")
    for framing in framings:
        base[framing] = rate(nothing_command(framing))
        _print(f"does nothing, {framing}", base[framing])
        _print(f"does nothing, {framing}, packed", rate(nothing_command(framing, packed=True)))
    if arguments:
        command = arguments[0] if len(arguments) == 1 else shlex.join(arguments)
        with open_exec(command) as target:
            framing = "binary" if target.binary else "json"
        measured = rate(command, count=_COUNT // 8, warm_up=_WARM_UP)
        _print(f"{command}, {framing}", measured, f"{measured / base[framing]:.2f} of does nothing")


def _print(what: str, frames_a_second: float, more: str = "") -> None:
    sys.stdout.write(f"{frames_a_second:>12,.0f} frames/s  {what}{f'  ({more})' if more else ''}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
