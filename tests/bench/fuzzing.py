"""The fuzzing loop step by step: mutation, the model as a filter, QEMU's program in the kernel with edge coverage.

Rates are in executions a second of processor time, because a campaign shares the machine.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

from measure import Missing, Rate
from vnethash.fuzz.mutation import Layout, children
from vnethash.fuzz.oracle import Filter, has_twin
from vnethash.fuzz.seeds import traffic
from vnethash.fuzz.subject import Subject
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings
from vnethash.targets.ebpf.bpf import permitted
from vnethash.targets.registry import open_target

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 256


def per_processor_second(work: Callable[[], object], count: int) -> float:
    """Return how often in a second of processor time, the best of three."""
    work()
    times = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return count / min(times)


def measure() -> tuple[str, list[Rate]]:
    """Return the rates in executions a second of processor time."""
    frames = [frame for frame in traffic() if len(frame) >= 54]
    layouts = [Layout(frame) for frame in frames]
    rng = Random(1)
    batches = [children(rng, layout, BATCH, frames) for layout in layouts]
    count = BATCH * len(batches)
    made = Rate("mutation alone", per_processor_second(
        lambda: [children(rng, layout, BATCH, frames) for layout in layouts], count))  # fmt: skip
    rates = [made]
    if has_twin():
        twin = Filter(Configuration(), Readings())
        rates.append(Rate("model alone, the twin", per_processor_second(
            lambda: [twin.queues(batch) for batch in batches], count), made.name))  # fmt: skip
    if reason := permitted():
        raise Missing(reason)
    try:
        subject = Subject("qemu-ebpf", open_target)
    except VnethashError as error:
        raise Missing(error.line()) from None
    put = Rate("kernel with edge coverage and the model", per_processor_second(
        lambda: [subject.put(subject.plain, batch) for batch in batches], count), made.name)  # fmt: skip

    def whole() -> None:
        for layout in layouts:
            subject.put(subject.plain, children(rng, layout, BATCH, frames))

    rates += [put, Rate("the same with mutation", per_processor_second(whole, count), put.name)]
    subject.close()
    return f"the fuzzing loop, batches of {BATCH}", rates
