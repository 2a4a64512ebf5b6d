"""The TAP itself, with no program or one of our own: what goes in comes out, and nothing stays behind."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ebpf_support import ETHERNET, compiled, frame_between, ins, needs_clang, random_frame
from vnethash.models.ebpf.machine import Machine
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import Program
from vnethash.spec.craft import ethernet, ipv4, ipv6, tcp, udp
from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.base import Skipped
from vnethash.targets.ebpf import bpf
from vnethash.targets.ebpf.bpf import KernelProgram
from vnethash.targets.ebpf.elf import read_programs
from vnethash.targets.tun import tap as module
from vnethash.targets.tun.offload import gso_header
from vnethash.targets.tun.tap import QUEUES, Tap, limit, permitted

needs_tun = pytest.mark.needs_tun


def devices():
    return {path.name for path in Path("/sys/class/net").iterdir()}


def answering(number):
    code = ins(0xB7, 0, imm=number) + ins(0x95)
    return KernelProgram(Program("answer", "socket", code, (), "GPL"))


@needs_tun
def test_the_answer_of_a_program_counts_modulo_256_and_below_65536():
    tap = Tap()
    for number in (0, 5, 127, 200, 255, 256, 261, 0xFFFF, 0x10007):
        program = answering(number)
        tap.steer_by(program.fd)
        assert tap.exchange([bytes(60)]) == [number % 0x10000 % QUEUES]
        program.close()
    tap.close()
    tap.close()


@needs_tun
@pytest.mark.parametrize("ingress", ["packet", "bridge"])
def test_every_frame_comes_out_as_it_went_in_whatever_it_is(ingress):
    rng = random.Random(7)
    frames = [random_frame(rng) for _ in range(300)]
    frames += [ETHERNET + struct.pack(">HHHH", 0x88A8, 5, 0x8100, 6) + frame[12:] for frame in frames[:50]]
    frames += [ETHERNET + bytes(2), ETHERNET + b"\x00\x04", frames[0] + bytes(9000), (frames[0] + bytes(65535))[:65535]]
    frames += [frames[0]] * 3  # the same frame again is told from the one before
    tap = Tap(ingress)
    program = answering(77)
    tap.steer_by(program.fd)
    assert tap.exchange(frames) == [77] * len(frames)
    program.close()
    tap.close()


@needs_tun
def test_a_frame_that_does_not_come_out_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    tap = Tap("bridge")
    multicast_source = b"\x02\0\0\0\0\x02" + b"\x03\0\0\0\0\x01" + bytes(50)
    first, second = tap.exchange([multicast_source, ETHERNET + bytes(60)])
    assert first == Skipped("the frame did not come out of the TAP (it went in by a bridge)")
    assert isinstance(second, int)
    tap.close()


def test_lengths_beyond_those_of_a_tap_are_named():
    assert "13" in limit(bytes(13))
    assert limit(bytes(14)) == limit(bytes(65535)) == ""
    assert "65536" in limit(bytes(65536))
    for tags in (b"\x81\0\0\1", b"\x88\xa8\0\1", b"\x88\xa8\0\1\x81\0\0\2"):
        assert "EtherType 0" in limit(bytes(12) + tags + bytes(60))
        assert limit(bytes(12) + tags + b"\x08\0" + bytes(60)) == ""


#: Views that differ between a test run and a TAP, or could.
VIEWS = (
    "network_first", "network_20", "network_40", "mac_first", "mac_30", "data_first", "absolute_half", "absolute_word",
    "absolute_network", "absolute_mac", "indirect", "field_len", "field_pkt_type", "field_protocol",
    "field_vlan_present", "field_vlan_tci", "field_gso_size", "field_gso_segs", "field_cb", "field_narrow",
)


@needs_tun
@needs_clang
@pytest.mark.parametrize("paged", [False, True])
def test_our_emulation_shows_a_program_what_a_tap_shows_it(paged, tmp_path):
    """Tags of all kinds and lengths around a page: every view of the frame is the same in the interpreter."""
    plain = frame_between("10.0.0.2", 80, "10.0.0.1", 1024)
    tags = [(), (0x8100,), (0x88A8,), (0x9100,), (0x88A8, 0x8100), (0x88A8, 0x9100)]
    tags += [(0x8100,) * depth for depth in range(2, 10)]
    frames = [plain[:12] + b"".join(struct.pack(">HH", tag, 5) for tag in stack) + plain[12:] for stack in tags]
    frames += [frames[1][:size] for size in (14, 15, 16, 17, 18, 20)]
    frames += [(plain + bytes(9000))[:size] for size in (4078, 4079, 4080, 4081, 9000)]
    frames += [(frames[1] + bytes(9000))[:size] for size in (4079, 4080, 4084, 9000)]
    frames.append(plain[:12] + b"\x00\x20" + plain[14:])
    programs = [each for each in read_programs(compiled("views", str(tmp_path))) if each.name in VIEWS]
    assert len(programs) == len(VIEWS)
    tap = Tap(paged=paged)
    for program in programs:
        loaded, machine = KernelProgram(program), Machine(program)
        tap.steer_by(loaded.fd)
        emulated = [Packet.of_tap(frame, 14) if paged else Packet.of_tap(frame) for frame in frames]
        expected = [machine.run(packet) & 0xFFFF for packet in emulated]
        shown = tap.exchange(frames)
        assert shown == [each % QUEUES for each in expected], program.name
        loaded.close()
    tap.close()


def test_only_whole_packets_with_a_payload_become_large_frames():
    large = ethernet(ipv4(tcp(payload=bytes(100))))
    assert struct.unpack("=BBHHHH", gso_header(large)) == (1, 1, 54, 50, 34, 16)
    large = ethernet(ipv6(udp(payload=bytes(3))), tags=(0x8100,))
    assert struct.unpack("=BBHHHH", gso_header(large)) == (1, 5, 66, 2, 58, 6)
    for frame in (
        ethernet(ipv4(tcp())), ethernet(ipv4(udp(payload=b"1"))), ethernet(ipv4(tcp(payload=bytes(9)), flags=1)),
        ethernet(ipv4(tcp(data_offset=1, payload=bytes(9)))), ethernet(b"", kind=0x806), bytes(3),
    ):
        assert gso_header(frame) == b""


@needs_tun
@needs_clang
def test_a_large_frame_is_steered_once_as_a_whole(tmp_path):
    """The program sees the size of the segments, and one frame comes out."""
    (view,) = [each for each in read_programs(compiled("views", str(tmp_path))) if each.name == "field_gso_size"]
    program = KernelProgram(view)
    frames = [ethernet(ipv4(tcp(payload=bytes(100)))), ethernet(ipv6(udp(payload=bytes(30)))), ethernet(ipv4(tcp()))]
    for ingress in ("packet", "bridge"):
        tap = Tap(ingress, gso=True)
        tap.steer_by(program.fd)
        assert tap.exchange(frames) == [50, 15, 0]
        tap.close()
    program.close()


@needs_tun
def test_the_machine_of_the_user_does_not_see_the_tap():
    before = devices(), Path("/proc/self/ns/net").readlink()
    tap = Tap("bridge")
    assert (devices(), Path("/proc/self/ns/net").readlink()) == before
    assert "vnethash" not in Path("/proc/net/dev").read_text("ascii")
    tap.close()
    assert (devices(), Path("/proc/self/ns/net").readlink()) == before


@needs_tun
def test_a_tap_gives_back_every_file():
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        Tap("bridge").close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@needs_tun
def test_too_low_a_limit_of_open_files_is_raised_or_named(monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        tap = Tap()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > QUEUES
        tap.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    monkeypatch.setattr(module.resource, "getrlimit", lambda _: (128, 128))
    with pytest.raises(TargetUnavailable, match="the limit is 128"):
        Tap()


def test_where_no_tap_is_to_be_had_the_reason_is_in_words(monkeypatch):
    permitted.cache_clear()
    monkeypatch.setattr(module, "_DEVICE", "/nowhere/tun")
    monkeypatch.setattr(module.bpf, "permitted", lambda: "")
    assert permitted() == "there is no /nowhere/tun"
    permitted.cache_clear()
    monkeypatch.setattr(module, "_DEVICE", "/dev/null")
    reason = permitted()
    assert "\n" not in reason
    assert "cannot be had here (E" in reason
    permitted.cache_clear()


#: Opens a target with all that there is and works until it is killed.
VICTIM = """
import sys
from vnethash.spec.configuration import Configuration
from vnethash.targets.ebpf import qemu
from vnethash.targets.registry import open_target
found = qemu.find()
qemu.find = lambda path: found  # looking into the binary would take most of the time
frames = [b"\\2\\0\\0\\0\\0\\1" * 2 + b"\\x81\\0\\0\\5\\x08\\0\\x45" + bytes(60)] * 50
print("here", flush=True)
while True:
    target = open_target(sys.argv[1])
    target.configure(Configuration())
    for _ in range(20):
        target.run(frames)
    print("round", flush=True)
    target.close()
"""


#: Kind of identifier in fdinfo -> command of bpf(2) that opens one.
BY_ID = {"prog_id": 13, "map_id": 14}


def held_by(pid):
    """Return the identifiers of the programs and maps that a process has open, and how many queues of a TAP."""
    identifiers, queues = set(), 0
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = path.read_text("ascii")
        except OSError:  # closed meanwhile
            continue
        identifiers |= {(kind, int(number)) for kind, number in re.findall(r"^(prog_id|map_id):\t(\d+)$", text, re.M)}
        queues += "iff:\tvnethash" in text
    return identifiers, queues


def alive(kind, number):
    """Tell whether the kernel still has a program or map."""
    attr = bpf._Attr(BY_ID[kind])
    attr.pack("I", 0, number)
    try:
        os.close(bpf._call(attr))
    except FileNotFoundError:
        return False
    return True


@needs_tun
@pytest.mark.needs_steering
@pytest.mark.parametrize("name", ["tun:qemu,bridge", "qemu-ebpf"])
def test_nothing_is_left_of_a_process_that_is_killed_at_any_moment(name):
    rng = random.Random(name)
    seen, queues = set(), 0
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            assert child.stdout is not None
            for _ in range(rng.choice((1, 2, 3, 4))):
                child.stdout.readline()
            time.sleep(rng.random() * 0.1)
            held, files = held_by(child.pid)
            while queues < QUEUES and number == signal.SIGTERM and files < QUEUES:  # once, all of it is there
                held, files = held_by(child.pid)
            children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text("ascii")
            child.send_signal(number)
            child.wait(30)
        assert children == ""
        seen |= held
        queues = max(queues, files)
    for _ in range(100):  # the kernel frees them when it comes to it
        if not any(alive(*each) for each in seen):
            break
        time.sleep(0.05)
    assert len(seen) >= 8, "two programs with three maps each were there"
    assert queues >= QUEUES
    assert not [each for each in seen if alive(*each)]
    assert not [name for name in devices() if name.startswith("vnethash")]
