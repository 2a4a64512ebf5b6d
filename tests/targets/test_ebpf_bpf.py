from __future__ import annotations

import errno
import random
import struct
from itertools import product
from pathlib import Path

import pytest
from ebpf_support import compiled, ins, load64, needs_clang, needs_kernel, random_frame
from vnethash.models.ebpf.machine import Machine
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import ARRAY, HASH, MapDefinition, Program
from vnethash.spec.errors import TargetDied, TargetUnavailable
from vnethash.targets.base import Skipped
from vnethash.targets.ebpf import bpf
from vnethash.targets.ebpf.bpf import KernelMap, KernelProgram, verifier_words
from vnethash.targets.ebpf.elf import read_programs

EXIT = ins(0x95)
FOLD = ins(0xBF, 1, 0) + ins(0x77, 1, imm=32) + ins(0xAF, 0, 1) + EXIT  # both halves of r0 into its low 32 bits


def program(code):
    return Program("test", "socket", code, (), "GPL")


def random_arithmetic(rng):
    """Return a program of every kind of arithmetic and of jumps over arithmetic."""
    numbers = (0, 1, 7, 31, 32, 63, 64, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, -1, -8, rng.getrandbits(64))
    code = b"".join(load64(register, rng.choice(numbers)) for register in range(6))
    for _ in range(rng.randrange(5, 40)):
        code += random_operation(rng)
        if rng.random() < 0.3:
            skipped = random_operation(rng)
            jump = rng.choice((0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xA0, 0xB0, 0xC0, 0xD0))
            offset = len(skipped) // 8
            register = rng.choice((0, 8))
            kind = rng.choice((0x05, 0x06)) | jump | register
            imm = 0 if register else rng.choice((0, 1, -1, 100, -(1 << 31)))
            code += ins(kind, rng.randrange(6), rng.randrange(6) if register else 0, offset, imm=imm) + skipped
    for register in range(1, 6):
        code += ins(0xAF, 0, register)
    return code + FOLD


def random_operation(rng):
    kind = rng.choice((0x04, 0x07))
    bits = 32 if kind == 0x04 else 64
    operation = rng.choice((0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0))
    dst, src, offset, imm = rng.randrange(6), rng.randrange(6), 0, 0
    if operation == 0xD0:
        return ins(kind | operation | (rng.choice((0, 8)) if bits == 32 else 0), dst, imm=rng.choice((16, 32, 64)))
    if operation == 0x80:
        return ins(kind | operation, dst)
    register = rng.choice((0, 8))
    if operation in (0x30, 0x90):
        offset = rng.choice((0, 1))
    if operation == 0xB0 and register:
        offset = rng.choice((0, 8, 16) if bits == 32 else (0, 8, 16, 32))
    if not register:
        src = 0
        imm = rng.choice((1, 3, -1, -7, 1 << 30, -(1 << 31)))
        if operation in (0x60, 0x70, 0xC0):
            imm = rng.randrange(bits)
    return ins(kind | operation | register, dst, src, offset, imm=imm)


@needs_kernel
def test_arithmetic_and_jumps_are_those_of_the_kernel():
    rng = random.Random(11)
    for _ in range(400):
        code = random_arithmetic(rng)
        kernel = KernelProgram(program(code))
        expected = kernel.run([bytes(60)])
        kernel.close()
        assert [Machine(program(code)).run(Packet.of_test_run(bytes(60))) & 0xFFFFFFFF] == expected, code.hex()


@needs_kernel
@needs_clang
def test_a_socket_filter_sees_the_same_of_a_frame_in_the_kernel_and_in_the_interpreter(tmp_path):
    rng = random.Random(12)
    types = (b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\x88\xa8", b"\x91\x00", b"\x00\x40", b"\x05\xff", b"\x06\x00")
    frames = [random_frame(rng) for _ in range(60)]
    for _ in range(150):
        frame = bytearray(rng.randbytes(rng.choice((14, 15, 16, 18, 33, 34, 53, 54, 60, 200, 3712))))
        frame[12:14] = rng.choice(types)
        frame[:6] = rng.choice((bytes(6), b"\xff" * 6, frame[:6]))
        frame[14:16] = rng.choice((b"\xff\xff", frame[14:16]))
        frames.append(bytes(frame))
    for view in read_programs(compiled("views", str(tmp_path))):
        kernel, machine = KernelProgram(view), Machine(view)
        for frame, result in zip(frames, kernel.run(frames), strict=True):
            if isinstance(result, int):
                shown = machine.run(Packet.of_test_run(frame)) & 0xFFFFFFFF
                assert shown == result, (view.name, frame.hex())
        kernel.close()


@needs_kernel
def test_helpers_for_maps_answer_as_in_the_kernel():
    maps = (MapDefinition("array", ARRAY, 4, 8, 2), MapDefinition("hash", HASH, 4, 8, 2))
    for number, index, flags in product((0, 1), (0, 1, 5), range(4)):
        call = ins(0x62, 10, offset=-4, imm=index) + ins(0x7A, 10, offset=-16, imm=3)
        arguments = ins(0xBF, 2, 10) + ins(0x07, 2, imm=-4) + ins(0xBF, 3, 10) + ins(0x07, 3, imm=-16)
        code = ins(0xB7, 9, imm=0)
        for helper in (2, 2, 3, 2, 3, 3):
            code += call + ins(0x18, 1, 1, imm=number) + arguments + ins(0xB7, 4, imm=flags) + ins(0x85, imm=helper)
            code += ins(0x27, 9, imm=31) + ins(0x0F, 9, 0)
            code += ins(0x18, 1, 1, imm=number) + ins(0xBF, 2, 10) + ins(0x07, 2, imm=-4) + ins(0x85, imm=1)
            code += ins(0x15, 0, offset=2) + ins(0x79, 0, 0) + ins(0x0F, 9, 0)
        both = Program("test", "socket", code + ins(0xBF, 0, 9) + EXIT, maps, "GPL")
        kernel = KernelProgram(both)
        expected = kernel.run([bytes(60)])
        kernel.close()
        assert [Machine(both).run(Packet.of_test_run(bytes(60))) & 0xFFFFFFFF] == expected


@needs_kernel
def test_the_test_run_refuses_the_frames_that_we_say_it_refuses():
    kernel = KernelProgram(program(ins(0xB7, 0, imm=5) + EXIT))
    for ethertype, shortest in ((b"\x08\x00", 34), (b"\x86\xdd", 54), (b"\x81\x00", 14), (b"\x08\x06", 14)):
        frame = bytes(12) + ethertype + bytes(4000)
        shown = kernel.run([frame[:shortest], frame[: shortest - 1], frame[:3712]])
        assert shown == [5, Skipped("BPF_PROG_TEST_RUN refuses the frame (EINVAL)"), 5]
    (refused,) = kernel.run([bytes(3713)])
    assert "3712" in refused.reason
    kernel.close()
    kernel.close()


@needs_kernel
def test_a_map_keeps_what_is_written():
    each = KernelMap(MapDefinition("values", ARRAY, 4, 2, 8))
    each.write(3, b"\x12\x34")
    assert each.read(3) == b"\x12\x34"
    each.write_all([struct.pack("<H", number) for number in range(8)])
    assert [each.read(index)[0] for index in range(8)] == list(range(8))
    with pytest.raises(TargetDied, match="entry 8: E2BIG"):
        each.write(8, b"\0\0")
    each.close()
    each.close()


@needs_kernel
def test_a_map_that_the_kernel_refuses_is_described():
    with pytest.raises(TargetDied, match=r"refuses map odd \(EINVAL\): type 2, key 3"):
        KernelMap(MapDefinition("odd", ARRAY, 3, 2, 8))


@needs_kernel
def test_no_file_descriptor_is_left_open_when_the_kernel_refuses():
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(TargetDied, match="R0 !read_ok"):
        KernelProgram(Program("bad", "socket", EXIT, (MapDefinition("m", ARRAY, 4, 4, 1),), "GPL"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_verifiers_log_is_cut_to_the_instruction_and_the_complaint():
    log = "func#0 @0\n0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000) max_states\n"
    assert verifier_words(log) == "0: (95) exit | R0 !read_ok"
    assert verifier_words("") == ""


def test_where_bpf_is_not_permitted_the_reason_is_in_words(monkeypatch):
    def refuse(_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(bpf, "_call", refuse)
    assert bpf.permitted.__wrapped__() == "bpf(2) is not permitted (EPERM)"
    monkeypatch.setattr(bpf.platform, "machine", lambda: "pdp11")
    assert "pdp11" in bpf.permitted.__wrapped__()
    monkeypatch.setattr(bpf, "permitted", lambda: "because")
    with pytest.raises(TargetUnavailable, match="because"):
        bpf.require()
