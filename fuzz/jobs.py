"""Several processes that fuzz at once, each with a seed of its own, on one ledger and one corpus.

The processes tell this one what they do, and one view shows all of it. Ctrl-C is for this process, which asks the
others to end in order; a second one ends them at once. One that is killed is named, and the others go on.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from vnethash.fuzz.live import state, together
from vnethash.spec.errors import VnethashError
from vnethash.targets.children import how_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

    from vnethash.fuzz.found import Found
    from vnethash.fuzz.live import Show
    from vnethash.fuzz.run import Run

_PR_SET_PDEATHSIG = 1
#: What this process sends to the others for "end in order".
_STOP = signal.SIGUSR1
#: Exit code of a process that was told so before its campaign could hear it.
_UNBEGUN = 130


class Relay:
    """Tells the process that shows everything; a watcher of a campaign, and a `Show`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tell(self, what: str, *content: object) -> None:
        """Send one message; without a reader there is nobody to tell."""
        # A signal between the parts of a message would leave half of it.
        old = signal.pthread_sigmask(signal.SIG_BLOCK, {_STOP})
        try:
            with contextlib.suppress(OSError):
                self._connection.send((what, *content))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)

    def begin(self, at: dict[str, Any], jobs: int) -> None:
        """Tell what begins."""
        self.tell("begin", at)

    def cause(self, found: Found, what: str) -> None:
        """Tell a cause."""
        self.tell("cause", found, what)

    def progress(self, campaign: Run[Any, Any, Any]) -> None:
        """Tell how it stands."""
        self.show(state(campaign))

    def show(self, at: dict[str, Any]) -> None:
        """Tell how it stands."""
        self.tell("show", at)

    def note(self, words: str) -> None:
        """Tell a line."""
        self.tell("note", words)

    def unwritten(self, found: Found) -> None:
        """Tell a cause that is in no ledger."""
        self.tell("unwritten", found)

    def end(self, at: dict[str, Any]) -> None:
        """Tell the totals."""
        self.tell("end", at)


@dataclass
class _Worker:
    process: ForkProcess
    connection: Connection
    seed: int
    last: dict[str, Any] = field(default_factory=dict)
    ended: bool = False


def run_jobs(seeds: Sequence[int], work: Callable[[int, Relay], int], shown: Show) -> int:
    """Run `work(seed, relay)` in a process for each seed, show all they tell, and return the greatest exit code.

    Raises VnethashError if none came to its end, KeyboardInterrupt when they were ended at once.
    """
    workers: list[_Worker] = []
    interrupts = 0

    def interrupted(*_: object) -> None:
        # An exception here could tear a message apart that is just being read.
        nonlocal interrupts
        interrupts += 1
        _signal(workers, _STOP if interrupts == 1 else signal.SIGKILL)

    old = signal.signal(signal.SIGINT, interrupted)
    try:
        for seed in seeds:
            workers.append(_started(seed, work))
        view = _View(shown, workers)
        while any(not worker.ended for worker in workers):
            view.listen()
    finally:
        _signal(workers, signal.SIGKILL)
        for worker in workers:
            worker.process.join()
        signal.signal(signal.SIGINT, old)
    if interrupts > 1:
        raise KeyboardInterrupt
    view.conclude()
    codes = [code for worker in workers if (code := worker.process.exitcode or 0) >= 0]
    if not codes:
        raise VnethashError("no process of the campaign came to its end", hint="what was found is in the ledger")
    # One that was stopped before it had begun has nothing to say of what the others found.
    return max([code for code in codes if code != _UNBEGUN] or codes)


class _View:
    """What all processes told, as one."""

    def __init__(self, shown: Show, workers: Sequence[_Worker]) -> None:
        self._shown = shown
        self._workers = workers
        self._begun = False
        self._notes: set[str] = set()
        self._told: set[tuple[str, str]] = set()

    def listen(self) -> None:
        """Wait for messages and show them."""
        open_ones = {worker.connection: worker for worker in self._workers if not worker.ended}
        for connection in wait(list(open_ones)):
            worker = open_ones[connection]  # type: ignore[index]
            try:
                what, *content = worker.connection.recv()
            except (EOFError, OSError):
                worker.ended = True
                self._ended(worker)
                continue
            self._show(worker, what, content)

    def conclude(self) -> None:
        """Show the totals of all that told any."""
        if states := self._states():
            self._shown.end(together(states))

    def _states(self) -> list[dict[str, Any]]:
        return [worker.last for worker in self._workers if worker.last]

    def _show(self, worker: _Worker, what: str, content: list[Any]) -> None:
        if what in {"begin", "show", "end"}:
            worker.last = content[0]
            if not self._begun:
                self._begun = True
                self._shown.begin(together([{**worker.last, "seed": self._workers[0].seed}]), len(self._workers))
            elif what == "show":
                self._shown.show(together(self._states()))
        elif what == "note":
            self._note(content[0])
        elif what == "unwritten":
            self._shown.unwritten(content[0])
        elif (key := (content[0].id, content[1])) not in self._told:
            # All of them meet a cause that is known, or withdraw it; the ledger lets only one of them call it new.
            self._told.add(key)
            self._shown.cause(*content)

    def _note(self, words: str) -> None:
        if words not in self._notes:
            self._notes.add(words)
            self._shown.note(words)

    def _ended(self, worker: _Worker) -> None:
        number = self._workers.index(worker) + 1
        worker.process.join(10)
        code = worker.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            left = "the others go on" if any(not other.ended for other in self._workers) else "it was the last"
            self._note(f"process {number} (seed {worker.seed}) was killed by {name}; what it found is kept; {left}")


def _started(seed: int, work: Callable[[int, Relay], int]) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(seed, work, theirs, os.getpid()))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, _STOP})  # until it knows what to do with them
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    theirs.close()
    return _Worker(process, ours, seed)


def _run(seed: int, work: Callable[[int, Relay], int], connection: Connection, parent: int) -> None:
    """Be one of the processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(_STOP, signal.default_int_handler)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, _STOP})
    relay = Relay(connection)
    try:
        code = work(seed, relay)
    except VnethashError as error:
        relay.note(error.line())
        code = error.exit_code
    except KeyboardInterrupt:
        code = _UNBEGUN
    connection.close()
    sys.exit(code)


def _signal(workers: Sequence[_Worker], number: int) -> None:
    for worker in workers:
        pid = worker.process.pid
        if pid is not None and worker.process.exitcode is None and not how_ended(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
