"""A steering program with a counter on every edge, run over many frames for its queue only: what fuzzing needs.

The program is the unmodified object with counters put into its bytecode when it is loaded (`models.ebpf.edges`). The
counters' map is mapped into memory and read in place after each run; nothing is reset, a run is the difference of two
snapshots. In the kernel a frame costs one system call. Where bpf(2) is not permitted our interpreter runs the same
bytecode.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from vnethash.models.ebpf.edges import WIDTH, instrument
from vnethash.spec.errors import VnethashError
from vnethash.targets.base import Refused
from vnethash.targets.ebpf.program import InterpreterEngine, KernelEngine, Settings, limit_of_test_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.configuration import Configuration
    from vnethash.targets.ebpf.target import SteeringTarget

#: Queue of a frame that was not run, or that the program failed on.
NOT_RUN = -1


class CountedProgram:
    """The program of a steering target, loaded once more with counters; `edges` says where they are.

    Raises VnethashError where numpy is missing, TargetDied where the kernel does not take the program with counters.
    """

    def __init__(self, target: SteeringTarget) -> None:
        try:
            import numpy  # noqa: PLC0415 - only fuzzing needs it
        except ImportError as error:
            raise VnethashError("coverage of eBPF needs numpy", hint="pip install 'vnethash[fast]'") from error
        self._numpy = numpy
        self.edges = instrument(target.program)
        self._in_kernel = target.in_kernel
        self._limits = target.capabilities
        self._engine: KernelEngine | InterpreterEngine
        self._memory: mmap.mmap | None = None
        if target.in_kernel:
            self._engine = KernelEngine(self.edges.program, target.roles)
            size = len(self.edges.edges) * WIDTH
            try:
                self._memory = mmap.mmap(self._engine.map_fd(self.edges.map_index), size)
            except (OSError, ValueError) as error:
                self._engine.close()
                raise VnethashError(f"the counters' map cannot be mapped into memory: {error}") from None
        else:
            self._engine = InterpreterEngine(self.edges.program, target.roles)

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

    def run(self, frames: Sequence[bytes]) -> tuple[Any, Any]:
        """Return the queue of each frame (int32, NOT_RUN where it was not run), and what each added to the counters.

        The latter is an array of uint16, one row a frame, one column an edge.
        """
        numpy = self._numpy
        size = len(self.edges.edges) * WIDTH
        counts = bytearray((len(frames) + 1) * size)
        view = memoryview(counts)
        view[:size] = self._snapshot()
        plain = _PLAIN
        run = numpy.fromiter(
            (1 if frame[12:14] in plain and 54 <= len(frame) <= 3712 else not limit_of_test_run(frame)
             for frame in frames),
            dtype=numpy.bool_, count=len(frames),
        )  # fmt: skip
        if isinstance(self._engine, KernelEngine):
            assert self._memory is not None
            queues = self._engine.run_watched(frames, run.tolist(), self._memory, view, size)
        else:
            queues = self._interpreted(frames, run.tolist(), view, size)
        table = numpy.frombuffer(counts, dtype=numpy.uint16).reshape(len(frames) + 1, size // WIDTH)
        answers = numpy.array(queues, dtype=numpy.int32)
        return answers, numpy.diff(table, axis=0)

    def _snapshot(self) -> bytes:
        if self._memory is not None:
            return self._memory[:]
        assert isinstance(self._engine, InterpreterEngine)
        return self._engine.map_value(self.edges.map_index)

    def _interpreted(self, frames: Sequence[bytes], run: list[bool], view: memoryview, size: int) -> list[int]:
        queues = []
        for number, frame in enumerate(frames, 1):
            answer = self._engine.run([frame])[0] if run[number - 1] else NOT_RUN
            queues.append(answer & 0xFFFF if isinstance(answer, int) and answer >= 0 else NOT_RUN)
            view[number * size:(number + 1) * size] = self._snapshot()
        return queues

    def close(self) -> None:
        """Unload; may be called twice."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._engine.close()


#: EtherTypes of frames that a test run always takes, if they have 54 bytes.
_PLAIN = frozenset({b"\x08\x00", b"\x86\xdd"})
