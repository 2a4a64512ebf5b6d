"""A steering program in the kernel, each frame by the way that shows it to the program as a device would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.targets.base import Skipped
from vnethash.targets.ebpf.bpf import MAX_FRAME
from vnethash.targets.ebpf.program import KernelEngine, limit_of_test_run
from vnethash.targets.tun.tap import QUEUES, Tap, limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.models.ebpf.program import Program
    from vnethash.targets.base import Errored
    from vnethash.targets.ebpf.program import Roles, Settings

#: What `--route` and the option `route=` may say.
ROUTES = ("auto", "test_run", "tun")

#: EtherTypes of frames that a test run takes without more ado, if they have 54 bytes.
_PLAIN = frozenset({b"\x08\x00", b"\x86\xdd"})


class SharedTap:
    """One TAP for all engines of a target, made when the first frame needs it."""

    def __init__(self, ingress: str = "packet", *, gso: bool = False, paged: bool = False) -> None:
        """Remember what kind of TAP it is to be, see `Tap`."""
        self._ingress, self._gso, self._paged = ingress, gso, paged
        self._tap: Tap | None = None

    def get(self) -> Tap:
        """Return it; raises TargetUnavailable."""
        if self._tap is None:
            self._tap = Tap(self._ingress, gso=self._gso, paged=self._paged)
        return self._tap

    def close(self) -> None:
        """Give it back; may be called twice, and `get` makes another."""
        if self._tap is not None:
            self._tap.close()
            self._tap = None


class RoutedEngine(KernelEngine):
    """The program loaded once, run by BPF_PROG_TEST_RUN and on a TAP."""

    def __init__(self, program: Program, roles: Roles, tap: SharedTap | None, *, always: bool = False) -> None:
        """Load it; without a TAP what needs one is Skipped, `always` sends all frames there. Raises TargetDied."""
        super().__init__(program, roles)
        self._tap = tap
        self._always = always
        self._beyond = ""

    def set(self, settings: Settings) -> None:
        """Write all three maps; raises TargetDied."""
        super().set(settings)
        highest = max((*settings.table, settings.unclassified_queue))
        self._beyond = f"queue {highest} is asked for, a TAP has {QUEUES} queues" if highest >= QUEUES else ""

    def run(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        """Run over frames; a frame that no way can show is Skipped."""
        if self._always:
            return ask(frames, self._limit_of_tap, self._on_tap)
        results = ask(frames, _limit, super().run)
        if self._tap is not None:
            again = [number for number, result in enumerate(results) if isinstance(result, Skipped)]
            shown = ask([frames[number] for number in again], self._limit_of_tap, self._on_tap)
            for number, result in zip(again, shown, strict=True):
                results[number] = result
        return results

    def _limit_of_tap(self, frame: bytes) -> str:
        return self._beyond or limit(frame)

    def _on_tap(self, frames: Sequence[bytes]) -> list[int | Skipped | Errored]:
        assert self._tap is not None
        tap = self._tap.get()
        tap.steer_by(self._kernel.fd)
        return tap.exchange(frames)

    def close(self) -> None:
        """Unload, and give the TAP back."""
        if self._tap is not None:
            self._tap.close()
        super().close()


def _limit(frame: bytes) -> str:
    if frame[12:14] in _PLAIN and 54 <= len(frame) <= MAX_FRAME:
        return ""
    return limit_of_test_run(frame)


def ask(
    frames: Sequence[bytes],
    limit: Callable[[bytes], str],
    run: Callable[[Sequence[bytes]], list[int | Skipped | Errored]],
) -> list[int | Skipped | Errored]:
    """Run over the frames that `limit` gives no reason against, and return Skipped with the reason for the others."""
    reasons = [limit(frame) for frame in frames]
    if not any(reasons):
        return run(frames)
    answers = iter(run([frame for frame, reason in zip(frames, reasons, strict=True) if not reason]))
    return [Skipped(reason) if reason else next(answers) for reason in reasons]
