"""QEMU's device: batches through shared memory beside the qtest protocol alone, and all hash types in one run."""

from __future__ import annotations

import base64
import gc
import multiprocessing
import os
import struct
import time
from collections import Counter
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from measure import Missing, Rate, best
from processes import seconds_of
from vnethash.cli.main import COLLECTED
from vnethash.conformance.suite import load_suite
from vnethash.models.compiled import Compiled
from vnethash.models.expectations import Expectations
from vnethash.models.symbolic.profile import find_profile
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import ALL_HASH_TYPES
from vnethash.spec.errors import TargetUnavailable
from vnethash.spec.outcome import Observation
from vnethash.targets.qemu.target import PAIRS, QemuTarget, open_qemu

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

    from vnethash.spec.readings import Readings

#: Queue pairs where not the suite's own number is measured.
FEW = 4
#: Frames for the batches, and for the slow way.
MANY, PLAIN = 50_000, 2_000
CONFIGURATION = Configuration(indirection_table=tuple(range(3)) * 42 + (0, 1), unclassified_queue=3)


def measure() -> tuple[str, list[Rate], list[str]]:
    """Return the rates in frames a second; hash, report and queue of each are read."""
    try:
        target = open_qemu(f",queues={FEW}")
    except TargetUnavailable as error:
        raise Missing(error.line()) from None
    suite = list(dict.fromkeys(case.frame for case in load_suite("default").cases))
    tcp = next(frame for frame in suite if len(frame) == 54 and frame[23] == 6)
    frames = [tcp[:26] + struct.pack(">I", number) + tcp[30:] for number in range(MANY)]
    plain, few = f"qtest alone, one by one, {FEW} queue pairs", f"batches, {FEW} queue pairs"
    try:
        target.configure(CONFIGURATION)
        _same(target, frames[:PLAIN])
        rates = [Rate(plain, best(lambda: _plain(target, frames[:PLAIN]), PLAIN))]
        rates.append(Rate(few, best(lambda: target.run(frames), MANY), plain))
        matrix, notes = _matrix(target, suite)
        rates.append(Rate(f"all {ALL_HASH_TYPES + 1} hash_types, {len(suite)} frames of the suite each, all checked",
                          matrix, plain))  # fmt: skip
    finally:
        target.close()
    target = open_qemu(f",queues={PAIRS}")
    try:
        target.configure(Configuration())
        rates.append(Rate(f"batches, {PAIRS} queue pairs", best(lambda: target.run(frames), MANY), plain))
    finally:
        target.close()
    return f"QEMU {target.implementation.version}'s device, TCP frames of {len(tcp)} bytes", rates, notes


def _matrix(target: QemuTarget, frames: Sequence[bytes]) -> tuple[float, list[str]]:
    """Return frames a second over all hash types, each with a device that was reset, and what was found.

    Every report, value and queue is held against the model, under the one profile of readings that this QEMU follows.
    Each processor has a QEMU of its own, and a share of the hash types.
    """
    readings = _readings(target, frames)
    workers = len(os.sched_getaffinity(0))
    count = (ALL_HASH_TYPES + 1) * len(frames)
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(workers + 1)
    answers = context.SimpleQueue()
    children = [
        context.Process(target=_part, args=(frames, readings, types, ready, answers))
        for types in (range(number, ALL_HASH_TYPES + 1, workers) for number in range(workers))
    ]
    for child in children:
        child.start()
    ready.wait(60)
    begun = time.perf_counter()
    parts = [answers.get() for _ in children]
    seconds = time.perf_counter() - begun
    for child in children:
        child.join()
    differing = sum((part[0] for part in parts), Counter())
    ours, theirs = (1e6 * sum(part[place] for part in parts) / count for place in (1, 2))
    other = sum(number != 0 for number in readings)
    return count / seconds, [
        (f"all hash_types, {workers} QEMUs at once, a frame: {ours:.2f} us of our processes, {theirs:.2f} us of QEMU, "
        f"{1e6 * seconds / count:.2f} us by the clock"),
        (f"{count:,} answers held against the readings of this QEMU ({other} of them not the literal ones): "
        f"{differing.total():,}, to {len(differing)} frames, differ"),
    ]  # fmt: skip


def _part(frames: Sequence[bytes], readings: Readings, types: range, ready: Barrier, answers: SimpleQueue) -> None:
    """Run some of the hash types on a QEMU of our own; send what differs, and seconds of processor time of both."""
    gc.set_threshold(*COLLECTED)  # as the command line does
    data = b"".join(frames)
    offsets = [0, *accumulate(map(len, frames))]
    differing: Counter[bytes] = Counter()
    target = open_qemu(f",queues={FEW}")
    try:
        target.configure(CONFIGURATION)
        target.run(frames)
        Compiled(CONFIGURATION, readings).run_packed(data, offsets)
        ready.wait(60)
        ours, theirs = time.process_time(), seconds_of(target.device.pid)
        for hash_types in types:
            configuration = replace(CONFIGURATION, hash_types=hash_types)
            target.configure(configuration)
            results = target.run(frames)
            columns = Compiled(configuration, readings).run_packed(data, offsets)
            expected = list(zip(*(column.tolist() for column in columns), strict=True))
            # A value of 0 beside no report is shown as none.
            shown = [(result[0], result[1] or 0, result[2]) for result in results]  # type: ignore[misc]
            if shown != expected:
                wrong = (frame for frame, one, two in zip(frames, shown, expected, strict=True) if one != two)
                differing.update(wrong)
        answers.put((differing, time.process_time() - ours, seconds_of(target.device.pid) - theirs))
    finally:
        target.close()


def _readings(target: QemuTarget, frames: Sequence[bytes]) -> Readings:
    """Return the one set of readings that explains most answers under some configurations."""
    expectations = Expectations()
    constraints = set()
    for hash_types in (ALL_HASH_TYPES, 0x1C7, 0x9, 0x36):
        configuration = replace(CONFIGURATION, hash_types=hash_types)
        target.configure(configuration)
        for frame, result in zip(frames, target.run(frames), strict=True):
            assert isinstance(result, Observation)
            constraint = expectations.of(frame, configuration).explained_by(result, target.capabilities.observes)
            if constraint:
                constraints.add(constraint)
    return find_profile(list(constraints)).as_readings()


def _same(target: QemuTarget, frames: Sequence[bytes]) -> None:
    """Hold the two ways against each other."""
    batch = [(result.queue, result.report, result.value) for result in target.run(frames)]  # type: ignore[union-attr]
    target.configure(CONFIGURATION)
    assert _plain(target, frames) == batch
    target.configure(CONFIGURATION)


def _plain(target: QemuTarget, frames: Sequence[bytes]) -> list[tuple[int, int, int]]:
    """Do what `run` does, with memory read and written through the qtest protocol, a frame at a time."""
    device = target.device
    machine, rings, backend = device._machine, device._rings, device._backend
    assert machine is not None
    assert rings is not None
    assert backend is not None
    places = [rings.place(queue) for queue in range(device.pairs)]
    ask = [f"readw {place.used + 2:#x}" for place in places]
    seen = [int(answer, 16) for answer in machine.script(ask)]
    posted = [int(answer, 16) for answer in machine.script([f"readw {place.available + 2:#x}" for place in places])]
    answers = []
    for frame in frames:
        backend.send([frame], bytes(20))
        while (now := [int(answer, 16) for answer in machine.script(ask)]) == seen:
            pass
        queue = next(index for index, pair in enumerate(zip(now, seen, strict=True)) if pair[0] != pair[1])
        place = places[queue]
        (entry,) = machine.script([f"b64read {place.used + 4 + 8 * (seen[queue] % place.size):#x} 8"])
        head, length = struct.unpack("<II", base64.b64decode(entry))
        (descriptor,) = machine.script([f"b64read {place.descriptors + 16 * head:#x} 16"])
        address = struct.unpack("<QIHH", base64.b64decode(descriptor))[0]
        (data,) = machine.script([f"b64read {address:#x} {length}"])
        packet = base64.b64decode(data)
        assert packet[20:] == frame
        value, report = struct.unpack_from("<IH", packet, 12)
        answers.append((queue, report, value))
        slot = place.available + 4 + 2 * (posted[queue] % place.size)
        posted[queue] = (posted[queue] + 1) & 0xFFFF
        machine.script([f"writew {slot:#x} {head:#x}", f"writew {place.available + 2:#x} {posted[queue]:#x}"])
        seen = now
    # what the rings know of themselves is behind now
    rings._seen, rings._posted = list(seen), list(posted)
    return answers
