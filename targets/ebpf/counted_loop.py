"""The loop of `counted.py` over a batch, compiled: each frame is run in the kernel, its counters are read in place.

A frame costs its system call and little besides. Import this module only where numba is there.
"""

from __future__ import annotations

from typing import Any

from numba import njit, types

#: syscall(2) of the C library, whose arguments are all whole numbers here; found by its name, so that what is compiled
#: can be kept.
_syscall = types.ExternalFunction("syscall", types.int64(types.int64, types.int64, types.int64, types.int64))

_OCTETS = types.Array(types.uint8, 1, "C", readonly=True)
_SIGNATURE = types.void(
    _OCTETS, types.int64[::1], types.int64[::1], types.boolean[::1], types.uint8[::1],  # what is run, and from where
    types.int64, types.int64, types.int64, types.int64,  # the system call
    types.uint32[::1], types.uint64[::1], types.int64,  # its attributes
    types.uint16[::1], types.uint64[::1], types.uint16[::1], types.uint64[::1],  # counters, now and before
    types.uint8[::1], types.uint8[::1],  # what is new of them
    types.int32[::1], types.boolean[::1],  # what comes of it
)  # fmt: skip


def _run_batch(
    data: Any, starts: Any, ends: Any, wanted: Any, frame: Any,
    number: int, command: int, attr: int, size: int,
    words: Any, sizes: Any, shift: int,
    counters: Any, counters_by_four: Any, before: Any, before_by_four: Any,
    buckets: Any, seen: Any,
    queues: Any, fresh: Any,
) -> None:
    """Run frames `data[starts[i]:ends[i]]` where `wanted[i]`; set `queues[i]`, and whether it reached what is new.

    `frame` is where the kernel takes a frame from; `words` and `sizes` are the attributes of the call at `attr`, 32 and
    64 bits at a time. `counters` are those of the program, `before` is how they stood, and both can be read four at a
    time; `buckets` has the bit of each count, `seen` the bits of each counter so far. `before` and `seen` are kept up
    to date.
    """
    for index in range(len(starts)):
        queues[index] = -1
        fresh[index] = False
        if not wanted[index]:
            continue
        begin = starts[index]
        length = ends[index] - begin
        for place in range(length):
            frame[place] = data[begin + place]
        # data_size_in and data_size_out at once: the kernel writes the latter, and holds the next run to it (ENOSPC)
        sizes[1] = length << shift
        if _syscall(number, command, attr, size) == 0:
            queues[index] = words[1] & 0xFFFF
        for four in range(len(counters_by_four)):
            if counters_by_four[four] == before_by_four[four]:
                continue
            for edge in range(4 * four, 4 * four + 4):
                bit = buckets[(counters[edge] - before[edge]) & 0xFFFF]
                before[edge] = counters[edge]
                if bit & ~seen[edge]:
                    seen[edge] |= bit
                    fresh[index] = True


def _compiled() -> Any:
    try:
        return njit(_SIGNATURE, nogil=True, cache=True)(_run_batch)
    except RuntimeError:  # nowhere to write: compile in memory, every time
        return njit(_SIGNATURE, nogil=True)(_run_batch)


run_batch = _compiled()
