"""QEMU's steering program beside a program that does nothing, by BPF_PROG_TEST_RUN and in our interpreter."""

from __future__ import annotations

from measure import Missing, Rate, best
from vnethash.conformance.suite import load_suite
from vnethash.models.ebpf import instruction as isa
from vnethash.models.ebpf.program import Program
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import VnethashError
from vnethash.targets.ebpf.bpf import KernelProgram, permitted
from vnethash.targets.ebpf.target import open_qemu_ebpf

COPIES = 20


def measure() -> tuple[str, list[Rate]]:
    """Return the rates in runs a second; one frame with its value recovered takes six runs."""
    frames = [case.frame for case in load_suite("default").cases if 14 < len(case.frame) <= 1514]
    rates = []
    if not permitted():
        nothing = isa.encode(isa.Instruction(0, isa.ALU64 | isa.MOV, 0, 0, 0, 0)) + isa.encode(
            isa.Instruction(1, isa.JMP | isa.EXIT, 0, 0, 0, 0)
        )
        program = KernelProgram(Program("nothing", "socket", nothing, (), "GPL"))
        rates.append(Rate("kernel, returns 0", best(lambda: program.run(frames * COPIES), len(frames) * COPIES)))
        program.close()
        rates += _steering("kernel", frames * COPIES, "kernel, returns 0")
    rates += _steering("interpreter", frames, rates[1].name if rates else "")
    return f"QEMU's steering program, {len(frames)} frames of the default suite", rates


def _steering(where: str, frames: list[bytes], base: str) -> list[Rate]:
    try:
        target = open_qemu_ebpf(f",{where}")
    except VnethashError as error:
        raise Missing(error.line()) from None
    target.configure(Configuration())
    engine = target._engines[0]
    runs = Rate(f"{where}, steering program", best(lambda: engine.run(frames), len(frames)), base)
    whole = Rate(f"{where}, queue and value of a frame", best(lambda: target.run(frames), len(frames)), runs.name)
    target.close()
    return [runs, whole]
