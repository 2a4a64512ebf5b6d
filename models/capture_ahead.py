"""Answer parts of a mapped capture ahead of the reader, in threads.

Where a record begins is known only when the one before it has been read. So each thread begins its part where a record
may well begin, and the reader takes the part only if it gets to that very place itself; else it answers the part anew.
What is taken never rests on the guess.
"""

from __future__ import annotations

from array import array
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.models import captures
from vnethash.models.batch import Setting, tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.spec.configuration import Configuration
    from vnethash.spec.readings import Readings

#: Bytes of a part.
STRIDE = 1 << 24


class Engine(NamedTuple):
    """What answers frames: the functions of `captures.py` as CPython runs them, or compiled, and what they take.

    Attributes:
        name: "CPython" or "compiled".
        room: frames that it answers in one go.
        frames, guess, tally: the functions.
        setting: their arguments from `types` to `no_queue`.
        queues: how many queues the table can choose, counted from 0.
        column, blank: make an array of `array.array`'s type code and a length, of zeros and of anything.
        octets: makes of bytes, or of a mapped file, what the functions take.
        workers: threads that answer parts of a mapped file at a time.
    """

    name: str
    room: int
    frames: Callable[..., int]
    guess: Callable[..., int]
    tally: Callable[..., int]
    setting: tuple[Any, ...]
    queues: int
    column: Callable[[str, int], Any]
    blank: Callable[[str, int], Any]
    octets: Callable[[Any], Any]
    workers: int = 1

    @classmethod
    def interpreted(cls, configuration: Configuration, readings: Readings) -> Engine:
        """Return the model run by CPython."""
        setting = Setting.of(configuration, readings)
        return cls(
            "CPython", 1024, captures.frames, captures.guess, tally, setting.arguments(readings), setting.queues(),
            _zeros, _zeros, lambda data: data,
        )


def _zeros(kind: str, count: int) -> array[int]:
    return array(kind, [0]) * count


class Part(NamedTuple):
    """What was answered of a part.

    Attributes:
        at, behind: offsets of its first byte, and behind its last record.
        why: why it ended, as in `captures.py`; FULL if it can be read on.
        seen: frames of any link type.
        others: those that are not Ethernet, by interface.
        columns: those of `captures.frames`.
    """

    at: int
    behind: int
    why: int
    seen: int
    others: Any
    columns: list[Any]


class Ahead:
    """Parts of one capture, in order; `workers` threads are ahead of that, none if it is 1."""

    def __init__(self, engine: Engine, *, workers: int) -> None:
        self._engine = engine
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: dict[int, Future[Part | None]] = {}

    def part(
        self, octets: Any, at: int, end: int, form: tuple[bool, int, int, int], tables: list[Any], first: int
    ) -> Part:
        """Answer what begins at `at`; `form`, `tables` and `first` are arguments of `captures.frames`."""
        number = at // STRIDE
        future = self._waiting.pop(number, None)
        if self._workers > 1:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="hash")
            for ahead in range(number + 1, min(number + 1 + 2 * self._workers, end // STRIDE + 1)):
                if ahead not in self._waiting:
                    self._waiting[ahead] = self._pool.submit(self._guessed, octets, ahead, end, form, tables)
        if future is not None and (guessed := future.result()) is not None and guessed.at == at:
            numbers = guessed.columns[0]
            if isinstance(numbers, array):
                guessed.columns[0] = array("q", [number + first for number in numbers])
            else:
                numbers += first
            return guessed
        return self._answer(octets, at, (number + 1) * STRIDE, end, form, tables, first)

    def forget(self) -> None:
        """Give up what was answered, because it has to be read in another way."""
        for future in self._waiting.values():
            future.cancel()
        self._waiting = {}

    def close(self) -> None:
        """End the threads."""
        self.forget()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _guessed(
        self, octets: Any, number: int, end: int, form: tuple[bool, int, int, int], tables: list[Any]
    ) -> Part | None:
        at = int(self._engine.guess(octets, number * STRIDE, end, *form[:3]))
        if at >= (number + 1) * STRIDE:
            return None
        return self._answer(octets, at, (number + 1) * STRIDE, end, form, tables, 0)

    def _answer(
        self, octets: Any, at: int, stop: int, end: int, form: tuple[bool, int, int, int], tables: list[Any],
        first: int,
    ) -> Part:
        engine = self._engine
        columns = [engine.blank(kind, engine.room) for kind in "qIIHIiB"]
        others, state = engine.column("q", max(1, form[3])), engine.column("q", 3)
        count = engine.frames(
            octets, at, stop, end, *form, *tables, others, first, engine.room, state, *engine.setting, *columns
        )
        columns = [column[:count] for column in columns]
        return Part(at, int(state[0]), int(state[1]), int(state[2]), others, columns)
