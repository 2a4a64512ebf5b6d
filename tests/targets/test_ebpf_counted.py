"""Coverage of steering programs: the kernel counts what our interpreter counts, and no answer changes."""

from __future__ import annotations

import pytest
from vnethash.conformance.suite import load_suite
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import ALL_TUNNEL_TYPES
from vnethash.targets.base import Refused
from vnethash.targets.ebpf.counted import NOT_RUN, CountedProgram
from vnethash.targets.ebpf.target import open_qemu_ebpf

numpy = pytest.importorskip("numpy")


@pytest.mark.needs_kernel
@pytest.mark.needs_steering
def test_the_kernel_takes_the_counters_and_counts_as_the_interpreter_does() -> None:
    frames = [case.frame for case in load_suite("default").cases][::9]
    found = []
    for where in ("kernel", "interpreter"):
        route = ",route=test_run" if where == "kernel" else ""
        target = open_qemu_ebpf(f",{where}{route}")
        counted = CountedProgram(target)
        counted.configure(Configuration())
        queues, counts = counted.run(frames)
        target.configure(Configuration())
        plain = [getattr(result, "queue", None) for result in target.run(frames)]
        assert queues.tolist() == [NOT_RUN if queue is None else queue for queue in plain]
        assert counted.edges.blind == 0
        found.append((queues, counts))
        counted.close()
        target.close()
    assert (found[0][0] == found[1][0]).all()
    assert (found[0][1] == found[1][1]).all()
    assert (found[0][1].sum(axis=0) > 0).sum() > 60


@pytest.mark.needs_kernel
@pytest.mark.needs_steering
def test_the_compiled_loop_finds_what_the_loop_in_python_finds() -> None:
    pytest.importorskip("numba")
    frames = [case.frame for case in load_suite("default").cases]
    frames += [frames[0][:length] for length in range(14, 60)] + [b"", bytes(3713)]
    target = open_qemu_ebpf(",kernel,route=test_run")
    found = []
    for compiled in (True, False):
        counted = CountedProgram(target, compiled=compiled)
        assert (counted._loop is not None) is compiled
        answers = []
        for key in (Configuration().key, bytes(40)):
            counted.configure(Configuration(key=key))
            queues, new = counted.explore(frames[:400])
            counted.run(frames[400:500])  # counts, and is not explored
            more, newer = counted.explore(frames[400:])
            answers.append((queues.tolist(), new, more.tolist(), newer, counted.seen.tolist()))
        assert counted.explore(frames)[1] == []
        assert counted.explore([])[1] == []
        found.append(answers)
        counted.close()
    target.close()
    assert found[0] == found[1]
    assert len(found[0][0][1]) > 10
    assert found[0][0][3]


@pytest.mark.needs_steering
def test_a_configuration_that_the_maps_cannot_hold_is_refused() -> None:
    target = open_qemu_ebpf(",interpreter")
    counted = CountedProgram(target)
    for refused in (
        Configuration(features=frozenset({"HASH_REPORT"})), Configuration(tunnel_types=ALL_TUNNEL_TYPES),
        Configuration(key=bytes(41)), Configuration(indirection_table=(0, 1, 2)),
    ):  # fmt: skip
        with pytest.raises(Refused):
            counted.configure(refused)
    counted.close()
    target.close()
