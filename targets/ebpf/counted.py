"""A steering program with a counter on every edge, run over many frames for its queue only: what fuzzing needs.

The program is the unmodified object with counters put into its bytecode when it is loaded (`models.ebpf.edges`). The
counters' map is mapped into memory and read in place after each run; nothing is reset, a run is the difference of two
readings. In the kernel a frame costs one system call; where numba is installed, the loop over the frames is compiled
(`counted_loop.py`), and little is left besides. Where bpf(2) is not permitted our interpreter runs the same bytecode.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.models.ebpf.edges import WIDTH, instrument
from vnethash.spec.errors import VnethashError
from vnethash.targets.base import Refused
from vnethash.targets.ebpf.program import InterpreterEngine, KernelEngine, Settings, limit_of_test_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.spec.configuration import Configuration
    from vnethash.targets.ebpf.target import SteeringTarget

#: Queue of a frame that was not run, or that the program failed on.
NOT_RUN = -1


class Packed(NamedTuple):
    """Frames end to end: frame i is `data[starts[i]:ends[i]]`; the places are arrays of int64."""

    data: bytes
    starts: Any
    ends: Any


def pack(frames: Sequence[bytes]) -> Packed:
    """Return the frames end to end; raises ImportError where numpy is missing."""
    import numpy  # noqa: PLC0415 - only fuzzing needs it

    ends = numpy.cumsum(numpy.fromiter(map(len, frames), dtype=numpy.int64, count=len(frames)))
    starts = numpy.zeros(len(frames), dtype=numpy.int64)
    starts[1:] = ends[:-1]
    return Packed(b"".join(frames), starts, ends)


class CountedProgram:
    """The program of a steering target, loaded once more with counters; `edges` says where they are.

    `seen` has the buckets (`buckets`) of counts that each edge was taken in one run so far, one bit each.

    Raises VnethashError where numpy is missing, TargetDied where the kernel does not take the program with counters.
    """

    def __init__(self, target: SteeringTarget, *, compiled: bool = True) -> None:
        """Load it; without `compiled` the loop over frames is not compiled even where numba is there."""
        try:
            import numpy  # noqa: PLC0415 - only fuzzing needs it
        except ImportError as error:
            raise VnethashError("coverage of eBPF needs numpy", hint="pip install 'vnethash[fast]'") from error
        self._numpy = numpy
        self.edges = instrument(target.program)
        # Room for whole words of 64 bits: the kernel maps a whole page, whatever the size of the value.
        self._count = -(-len(self.edges.edges) // 4) * 4
        self._seen = numpy.zeros(self._count, dtype=numpy.uint8)
        self._limits = target.capabilities
        self._engine: KernelEngine | InterpreterEngine
        self._memory: mmap.mmap | None = None
        self._loop: Callable[..., None] | None = None
        if target.in_kernel:
            self._engine = KernelEngine(self.edges.program, target.roles)
            try:
                self._memory = mmap.mmap(self._engine.map_fd(self.edges.map_index), self._count * WIDTH)
            except (OSError, ValueError) as error:
                self._engine.close()
                raise VnethashError(f"the counters' map cannot be mapped into memory: {error}") from None
            if compiled:
                self._loop = self._compiled(self._engine, self._memory)
        else:
            self._engine = InterpreterEngine(self.edges.program, target.roles)

    @property
    def seen(self) -> Any:
        """The bits of the buckets that were seen, an array of uint8, one an edge."""
        return self._seen[:len(self.edges.edges)]

    def _compiled(self, engine: KernelEngine, memory: mmap.mmap) -> Callable[..., None] | None:
        """Return the compiled loop with all that does not change from batch to batch; None where numba is missing."""
        try:
            from vnethash.targets.ebpf.counted_loop import run_batch  # noqa: PLC0415 - numba takes a second
        except ImportError:
            return None
        numpy = self._numpy
        run = engine.prepared()
        frame, attributes = numpy.frombuffer(run.frame, "u1"), numpy.frombuffer(run.attributes, "u1")
        words, sizes = attributes.view("u4"), attributes.view("u8")
        counters = numpy.frombuffer(memory, "u2")
        before = counters.copy()
        fixed = (
            frame, run.number, run.command, run.attr, run.size, words, sizes, run.shift,
            counters, counters.view("u8"), before, before.view("u8"), buckets(), self._seen,
        )  # fmt: skip

        def loop(packed: Packed, wanted: Any, queues: Any, fresh: Any) -> None:
            before[:] = counters
            run_batch(_octets(numpy, packed), packed.starts, packed.ends, wanted, *fixed, queues, fresh)

        return loop

    def configure(self, configuration: Configuration) -> None:
        """Write the maps; raises Refused for what `SteeringTarget.configure` refuses, TargetDied."""
        table = configuration.indirection_table
        if (
            "RSS" not in configuration.features
            or configuration.tunnel_types
            or len(configuration.key) > self._limits.max_key_size
            or not 0 < len(table) <= self._limits.max_indirection_table_length
            or len(table) & (len(table) - 1)
        ):
            raise Refused("the maps cannot hold this configuration", skipped=True)
        self._engine.set(
            Settings(
                configuration.hash_types, configuration.key, table, configuration.unclassified_queue,
                "HASH_REPORT" in configuration.features,
            )
        )

    def explore(self, frames: Sequence[bytes], packed: Packed | None = None) -> tuple[Any, list[int]]:
        """Return the queue of each frame as `run` does, and the indices of those that took an edge in a new bucket.

        What is new is held against all that was explored before, and against the frames in front of it. `packed` are
        the same frames, for whom has them so already.
        """
        numpy = self._numpy
        packed = packed or pack(frames)
        if self._loop is not None:
            queues = numpy.empty(len(frames), dtype=numpy.int32)
            fresh = numpy.empty(len(frames), dtype=numpy.bool_)
            self._loop(packed, self._wanted(frames, packed), queues, fresh)
            return queues, numpy.flatnonzero(fresh).tolist()
        queues, counts = self.run(frames)
        bits = buckets()[counts]
        new = []
        seen = self.seen
        for index in numpy.flatnonzero((bits & ~seen).any(axis=1)).tolist():
            if (bits[index] & ~seen).any():
                seen |= bits[index]
                new.append(index)
        return queues, new

    def run(self, frames: Sequence[bytes]) -> tuple[Any, Any]:
        """Return the queue of each frame (int32, NOT_RUN where it was not run), and what each added to the counters.

        The latter is an array of uint16, one row a frame, one column an edge.
        """
        numpy = self._numpy
        size = len(self.edges.edges) * WIDTH
        counts = bytearray((len(frames) + 1) * size)
        view = memoryview(counts)
        view[:size] = self._snapshot()
        run = self._wanted(frames, pack(frames)).tolist()
        if isinstance(self._engine, KernelEngine):
            assert self._memory is not None
            queues = self._engine.run_watched(frames, run, self._memory, view, size)
        else:
            queues = self._interpreted(frames, run, view, size)
        table = numpy.frombuffer(counts, dtype=numpy.uint16).reshape(len(frames) + 1, size // WIDTH)
        answers = numpy.array(queues, dtype=numpy.int32)
        return answers, numpy.diff(table, axis=0)

    def _wanted(self, frames: Sequence[bytes], packed: Packed) -> Any:
        """Return which frames a test run shows as a device would: an array of bool."""
        numpy = self._numpy
        octets = _octets(numpy, packed)
        sizes = packed.ends - packed.starts
        wanted = (sizes >= _SURE[0]) & (sizes <= _SURE[1])
        places = packed.starts[wanted] + 12
        kinds = octets[places].astype("u2") << 8 | octets[places + 1]
        wanted[wanted] = (kinds == 0x0800) | (kinds == 0x86DD)
        for index in numpy.flatnonzero(~wanted).tolist():
            wanted[index] = not limit_of_test_run(frames[index])
        return wanted

    def _snapshot(self) -> bytes:
        size = len(self.edges.edges) * WIDTH
        if self._memory is not None:
            return self._memory[:size]
        assert isinstance(self._engine, InterpreterEngine)
        return self._engine.map_value(self.edges.map_index)[:size]

    def _interpreted(self, frames: Sequence[bytes], run: list[bool], view: memoryview, size: int) -> list[int]:
        queues = []
        for number, frame in enumerate(frames, 1):
            answer = self._engine.run([frame])[0] if run[number - 1] else NOT_RUN
            queues.append(answer & 0xFFFF if isinstance(answer, int) and answer >= 0 else NOT_RUN)
            view[number * size:(number + 1) * size] = self._snapshot()
        return queues

    def close(self) -> None:
        """Unload; may be called twice."""
        self._loop = None  # it holds on to the memory
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._engine.close()


def _octets(numpy: Any, packed: Packed) -> Any:
    return numpy.frombuffer(packed.data or b"\0", "u1")


#: Lengths between which a test run takes every frame of IPv4 and IPv6.
_SURE = (54, 3712)
_TABLE: list[Any] = []


def buckets() -> Any:
    """Return the bit of each count: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128 and more; 0 has none."""
    if not _TABLE:
        import numpy  # noqa: PLC0415

        table = numpy.zeros(0x10000, dtype=numpy.uint8)
        for bit, first in enumerate((1, 2, 3, 4, 8, 16, 32, 128)):
            table[first:] = 1 << bit
        _TABLE.append(table)
    return _TABLE[0]
