"""The targets on a TAP: they agree with test runs, with our emulation, and see what these cannot."""

from __future__ import annotations

import dataclasses

import pytest
from ebpf_support import MICROSOFT, compiled, frame_between, needs_clang, needs_kernel, needs_steering
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.suite import load_suite
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import ethernet, ipv4, tcp, udp
from vnethash.spec.errors import TargetUnavailable, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Skipped
from vnethash.targets.ebpf import target as ebpf
from vnethash.targets.ebpf.target import open_ebpf, open_qemu_ebpf
from vnethash.targets.registry import open_target, with_routes
from vnethash.targets.tun import tap
from vnethash.targets.tun.target import open_tun, probe

needs_tun = pytest.mark.needs_tun


def observed(target, cases):
    """Return what a target shows for each case, under the configuration of each; the target is closed."""
    found = []
    configuration = None
    for case in cases:
        fitted = dataclasses.replace(case.configuration, features=frozenset({"RSS"}), tunnel_types=0)
        if fitted != configuration:
            configuration = fitted
            target.configure(configuration)
        found += target.run([case.frame])
    target.close()
    return found


def askable(suite):
    """Return the cases that the maps of QEMU's program can hold."""
    return [
        case for case in load_suite(suite).cases
        if len(case.configuration.key) <= 40
        and len(case.configuration.indirection_table) in {1, 2, 4, 8, 16, 32, 64, 128}
    ]


@needs_tun
@needs_steering
def test_microsofts_vectors_come_back_exactly_through_qemus_program_on_a_tap():
    for options in ("", ",bridge", ",paged"):
        target = open_tun(f"qemu{options}")
        for hash_types, protocol, column in ((0x1FF, 6, 5), (0x1FF, 17, 5), (0x09, 6, 4), (0x1FF, 132, 4)):
            target.configure(Configuration(hash_types=hash_types))
            frames = [frame_between(*vector[:4], protocol=protocol) for vector in MICROSOFT]
            expected = [Observation(queue=vector[column] & 127, value=vector[column]) for vector in MICROSOFT]
            assert target.run(frames) == expected
        target.close()


@needs_tun
@needs_steering
def test_a_tap_shows_what_a_test_run_shows_and_what_our_emulation_shows_for_the_rest():
    cases = askable("quick")
    on_tap = observed(open_tun("qemu"), cases)
    test_run = observed(open_qemu_ebpf(",route=test_run"), cases)
    emulated = observed(open_qemu_ebpf(",tap"), cases)
    routed = observed(open_qemu_ebpf(), cases)
    compared = 0
    for case, real, run, ours, auto in zip(cases, on_tap, test_run, emulated, routed, strict=True):
        assert type(real) is type(ours), case.comment
        if isinstance(real, Observation):
            assert real == ours == auto, case.comment
        if isinstance(run, Observation):
            assert run == real, case.comment
            compared += 1
    assert len(cases) - 100 < compared < len(cases)
    assert len([each for each in on_tap if isinstance(each, Skipped)]) == len([c for c in cases if len(c.frame) < 14])


@needs_tun
@needs_steering
def test_each_frame_goes_the_way_that_shows_it_rightly():
    tagged, long = ethernet(ipv4(tcp()), tags=(0x8100,)), ethernet(ipv4(udp(payload=bytes(5000))))
    hashed = Observation(queue=120, value=0x51CCC178)
    frames = [tagged, ethernet(ipv4(tcp())), long, tagged[:13], tagged[:24]]
    for name in with_routes(["qemu-ebpf", "qemu-ebpf:,kernel"], "auto"):
        target = open_target(name)
        target.configure(Configuration())
        results = target.run(frames)
        assert results[:3] == [hashed, hashed, hashed]
        assert isinstance(results[3], Skipped)
        assert results[4] == Observation(queue=200)
        assert "on a TAP" in target.notes[-1]
        target.close()
    (name,) = with_routes(["qemu-ebpf"], "test_run")
    target = open_target(name)
    target.configure(Configuration())
    assert [type(each) for each in target.run(frames)] == [Skipped, Observation, Skipped, Skipped, Skipped]
    assert "TAP" not in target.notes[-1]
    target.close()


@needs_tun
@needs_steering
def test_on_a_tap_alone_queues_count_to_256_and_beside_test_runs_higher_ones_are_not_asked_there():
    wide = Configuration(indirection_table=(300,), unclassified_queue=301)
    frames = [ethernet(ipv4(tcp()), tags=(0x8100,)), ethernet(ipv4(tcp()))]
    target = open_qemu_ebpf()
    target.configure(wide)
    skipped, shown = target.run(frames)
    assert skipped == Skipped("queue 301 is asked for, a TAP has 256 queues")
    assert shown == Observation(queue=300, value=0x51CCC178)
    assert target.capabilities.queues == 0x10000
    target.close()
    target = open_tun("qemu")
    assert target.capabilities.queues == 256
    target.close()


def findings(path, route, cases):
    stream = []
    check([f"ebpf:{path},route={route}"], "cases", cases, open_target, stream.append, now=lambda: "")
    assert not [one for one in stream if isinstance(one, records.Case) and one.verdict in {"error", "timeout"}]
    return [one for one in stream if isinstance(one, records.Finding) and one.cause != "reading"]


def cases_of_tags():
    """Return cases of whole TCP and UDP over IPv4, plain and behind one 8100 tag, under types that tagged.c has."""
    chosen = []
    for case in load_suite("default").cases:
        tagged = case.frame[12:14] == b"\x81\x00"
        packet = case.frame[16 + 4 * tagged - 4:]
        if case.configuration.hash_types not in {7, 0x1FF} or packet[:4] != b"\x08\x00\x45\x00" or len(packet) < 56:
            continue
        if packet[8:10] == bytes(2) and packet[11] in {6, 17} and packet[4:6] == len(packet[2:]).to_bytes(2, "big"):
            chosen.append(case)
    return chosen


@needs_tun
@needs_clang
@pytest.mark.parametrize(("defect", "tagged"), [(0, False), (1, True), (2, True), (3, True)])
def test_a_defect_that_only_tagged_frames_show_is_found_on_the_tap_and_nowhere_else(defect, tagged, tmp_path):
    path = compiled("tagged", str(tmp_path), f"-DDEFECT={defect}")
    cases = cases_of_tags()
    assert [case for case in cases if case.frame[12:14] == b"\x81\x00"]
    assert findings(path, "test_run", cases) == []
    found = findings(path, "auto", cases)
    assert bool(found) is tagged
    assert all(finding.witness.frame[24:28] == "8100" for finding in found)


@needs_tun
@needs_clang
def test_a_defect_of_long_frames_is_found_on_the_tap(tmp_path):
    short, long = ethernet(ipv4(udp())), ethernet(ipv4(udp(payload=bytes(5000))))
    for defect, expected in ((0, Observation(queue=120, value=0x51CCC178)), (4, Observation(queue=200))):
        target = open_ebpf(f"{compiled('tagged', str(tmp_path), f'-DDEFECT={defect}')}")
        target.configure(Configuration(hash_types=7))
        assert target.run([short, long]) == [Observation(queue=120, value=0x51CCC178), expected]
        target.close()


@needs_tun
@needs_steering
def test_behind_a_bridge_the_outer_tag_is_gone_and_qemus_program_misreads_two_tags():
    """The kernel takes the outer tag out; the program skips the inner one for the EtherType, but not for the header."""
    frames = [ethernet(ipv4(tcp()), tags=stack) for stack in ((), (0x8100,), (0x88A8,), (0x88A8, 0x8100))]
    hashed, unhashed = Observation(queue=120, value=0x51CCC178), Observation(queue=200)
    shown = {}
    for name in ("qemu", "qemu,bridge"):
        target = open_tun(name)
        target.configure(Configuration())
        shown[name] = target.run(frames)
        target.close()
    assert shown["qemu"] == [hashed, hashed, unhashed, hashed]
    assert shown["qemu,bridge"][:3] == [hashed, hashed, hashed]
    assert shown["qemu,bridge"][3] not in (hashed, unhashed)


@needs_tun
@needs_steering
def test_headers_outside_the_linear_area_are_not_hashed_by_qemus_program():
    frames = [ethernet(ipv4(udp(payload=bytes(size)))) for size in (4079 - 42, 4080 - 42)]
    target = open_tun("qemu,paged")
    target.configure(Configuration())
    assert target.run(frames) == [Observation(queue=120, value=0x51CCC178), Observation(queue=200)]
    target.close()


@needs_kernel
@needs_steering
def test_without_a_tap_what_needs_one_is_skipped_and_the_note_says_why(monkeypatch):
    monkeypatch.setattr(tap, "permitted", lambda: "there is no /dev/net/tun")
    target = open_qemu_ebpf()
    target.configure(Configuration())
    (result,) = target.run([ethernet(ipv4(tcp()), tags=(0x8100,))])
    assert isinstance(result, Skipped)
    assert "802.1Q" in result.reason
    assert "frames that it cannot show are skipped: there is no /dev/net/tun" in target.notes[-1]
    target.close()
    with pytest.raises(TargetUnavailable, match="no /dev/net/tun"):
        open_tun("qemu")
    assert [line.reason for line in probe()] == ["there is no /dev/net/tun"] * 2
    assert "by test runs alone (there is no /dev/net/tun)" in ebpf.probe()[0].what


def test_names_that_contradict_a_tap_are_usage_errors():
    for name in ("qemu,interpreter", "qemu,tap", "qemu,route=auto", "x.o,route=test_run"):
        with pytest.raises(UsageError):
            open_tun(name)
    with pytest.raises(UsageError, match="needs the path"):
        open_tun("")
    with pytest.raises(UsageError, match="cannot be read"):
        open_tun("qemu=/nowhere/qemu")


def test_a_route_changes_the_names_of_steering_programs_alone():
    names = ["qemu-ebpf", "ebpf:a.o,kernel", "model:literal"]
    assert with_routes(names, "auto") == names
    assert with_routes(names, "tun") == ["qemu-ebpf:,route=tun", "ebpf:a.o,kernel,route=tun", "model:literal"]
    with pytest.raises(UsageError, match="none of the targets has routes"):
        with_routes(["model:literal"], "test_run")
