from __future__ import annotations

import random

import pytest
from ebpf_support import (
    MICROSOFT,
    compiled,
    frame_between,
    needs_clang,
    needs_kernel,
    needs_steering,
    random_frame,
)
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, TargetDied, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Refused, Skipped
from vnethash.targets.ebpf import target as module
from vnethash.targets.ebpf.target import open_ebpf, open_qemu_ebpf, probe

PLACES = ["interpreter", pytest.param("kernel", marks=needs_kernel)]


def place(option):
    return open_qemu_ebpf("," + option)


@needs_steering
@pytest.mark.parametrize("option", PLACES)
def test_microsofts_vectors_come_back_exactly_through_qemus_program(option):
    target = place(option)
    for hash_types, protocol, column in ((0x1FF, 6, 5), (0x1FF, 17, 5), (0x09, 6, 4), (0x1FF, 132, 4)):
        target.configure(Configuration(hash_types=hash_types))
        frames = [frame_between(*vector[:4], protocol=protocol) for vector in MICROSOFT]
        expected = [Observation(queue=vector[column] & 127, value=vector[column]) for vector in MICROSOFT]
        assert target.run(frames) == expected
    target.close()
    target.close()


def configurations(rng, count):
    for _ in range(count):
        size = 1 << rng.randrange(8)
        yield Configuration(
            hash_types=rng.choice((0x1FF, rng.randrange(0x200))),
            key=rng.randbytes(rng.choice((40, 40, 16, 0))),
            indirection_table=tuple(rng.randrange(0x10000) for _ in range(size)),
            unclassified_queue=rng.randrange(0x10000),
        )


@needs_kernel
@needs_steering
def test_the_kernel_and_the_interpreter_agree_on_random_frames_and_configurations():
    rng = random.Random(20240607)
    kernel, interpreter = place("kernel,route=test_run"), place("interpreter")
    seen = set()
    for configuration in configurations(rng, 10):
        frames = [random_frame(rng) for _ in range(220)]
        kernel.configure(configuration)
        interpreter.configure(configuration)
        left, right = kernel.run(frames), interpreter.run(frames)
        for frame, one, other in zip(frames, left, right, strict=True):
            assert one == other, (configuration, frame.hex())
        seen |= {(type(each), getattr(each, "value", None) is None) for each in left}
    assert seen == {(Observation, False), (Observation, True), (Skipped, True)}
    kernel.close()


@needs_steering
@pytest.mark.parametrize("option", PLACES)
def test_a_frame_without_hash_shows_the_unclassified_queue_and_no_value(option):
    target = place(option)
    target.configure(Configuration(unclassified_queue=77, indirection_table=(77,)))
    arp = bytes(12) + b"\x08\x06" + bytes(46)
    tcp = frame_between(*MICROSOFT[0][:4])
    assert target.run([arp, tcp]) == [Observation(queue=77), Observation(queue=77, value=0x51CCC178)]
    target.close()


@needs_steering
def test_seven_bits_that_are_zero_do_not_hide_the_others():
    # QEMU 7.2 takes a hash of 0 for "not hashed". With this key the first bit of the source, which alone is 1, sees
    # the window 0x00000001: shifted by one bit or more the hash is 0, and the program answers "not hashed".
    target = place("interpreter")
    target.configure(Configuration(key=bytes.fromhex("00000001"), hash_types=1))
    frame = bytearray(frame_between("0.0.0.0", 1, "128.0.0.0", 1))
    assert target.run([bytes(frame)]) == [Observation(queue=1, value=1)]
    target.configure(Configuration(key=bytes.fromhex("80000000"), hash_types=1))
    assert target.run([bytes(frame)])[0].value == 0x80000000
    target.configure(Configuration(key=bytes(40), hash_types=1, unclassified_queue=9))
    assert target.run([bytes(frame)]) == [Observation(queue=9)]


@needs_steering
def test_frames_that_a_test_run_cannot_show_are_skipped_with_the_reason():
    target = place("interpreter")
    target.configure(Configuration())
    tcp4, tcp6 = frame_between(*MICROSOFT[0][:4]), frame_between(*MICROSOFT[5][:4])
    tagged = tcp4[:12] + b"\x81\x00\x00\x05" + tcp4[12:]
    double = tcp4[:12] + b"\x88\xa8\x00\x05\x81\x00\x00\x05" + tcp4[12:]
    results = target.run([tagged, double, tcp4[:33], tcp6[:53], tcp4[:13], bytes(3713), tcp4])
    assert [type(each) for each in results] == [Skipped] * 6 + [Observation]
    for result, word in zip(results, ("802.1Q", "802.1ad", "34", "54", "14", "3712"), strict=False):
        assert word in result.reason
        assert "\n" not in result.reason


@needs_steering
def test_the_interpreter_shows_tagged_and_short_frames_as_a_tap_does():
    target = place("tap")
    target.configure(Configuration())
    tcp4 = frame_between(*MICROSOFT[0][:4])
    tagged = tcp4[:12] + b"\x81\x00\x00\x05" + tcp4[12:]
    double = tcp4[:12] + b"\x88\xa8\x00\x05\x81\x00\x00\x05" + tcp4[12:]
    hashed = Observation(queue=120, value=0x51CCC178)
    results = target.run([tagged, double, tcp4[:33], tcp4 + bytes(5000), tcp4[:13]])
    assert results[:4] == [hashed, hashed, Observation(queue=200), hashed]
    assert isinstance(results[4], Skipped)


@needs_steering
def test_what_the_maps_cannot_hold_is_refused_as_a_question_that_cannot_be_asked():
    target = place("interpreter")
    for changes in (
        {"key": bytes(41)},
        {"indirection_table": tuple(range(256))},
        {"indirection_table": (1, 2, 3)},
        {"indirection_table": ()},
        {"features": frozenset({"HASH_REPORT"})},
        {"tunnel_types": 1},
    ):
        with pytest.raises(Refused) as caught:
            target.configure(Configuration(**changes))
        assert caught.value.skipped


@needs_steering
def test_a_short_key_is_followed_by_zeros_even_after_a_longer_one():
    target = place("interpreter")
    frame = frame_between(*MICROSOFT[5][:4])
    target.configure(Configuration(key=b"\x6d\x5a\x56\xda" + bytes(36)))
    expected = target.run([frame])
    target.configure(Configuration(key=b"\xff" * 40))
    target.configure(Configuration(key=b"\x6d\x5a\x56\xda"))
    assert target.run([frame]) == expected


@needs_steering
def test_the_target_says_who_it_is_and_where_it_runs():
    target = place("interpreter")
    assert target.implementation.name == "QEMU steering eBPF"
    assert target.implementation.version
    assert any("interpreter" in note for note in target.notes)
    assert any(note.startswith("object ") for note in target.notes)
    assert target.capabilities.observes == {"queue", "value"}
    assert target.name == "qemu-ebpf:,interpreter"


@needs_steering
def test_without_bpf_the_interpreter_steps_in_and_the_note_says_why(monkeypatch):
    monkeypatch.setattr(module.bpf, "permitted", lambda: "bpf(2) is not permitted (EPERM)")
    target = open_qemu_ebpf()
    assert not target.in_kernel
    assert "run by vnethash's interpreter: bpf(2) is not permitted (EPERM)" in target.notes
    assert all("EPERM" in line.what for line in probe())


@needs_clang
@pytest.mark.parametrize("option", PLACES)
@pytest.mark.parametrize("source", ["legacy", "btf"])
@pytest.mark.parametrize("cpu", ["v1", "v2", "v3"])
def test_a_program_of_ours_loads_and_runs(option, source, cpu, tmp_path_factory):
    path = compiled(source, str(tmp_path_factory.getbasetemp()), f"-mcpu={cpu}")
    target = open_ebpf(f"{path},{option}")
    target.configure(Configuration(hash_types=3, indirection_table=tuple(range(100, 228))))
    frames = [frame_between(*vector[:4]) for vector in MICROSOFT[:5]]
    expected = [Observation(queue=100 + (v[5] & 127), value=v[5]) for v in MICROSOFT[:5]]
    assert target.run([*frames, frame_between(*MICROSOFT[5][:4])]) == [*expected, Observation(queue=200)]
    assert target.capabilities.max_indirection_table_length == (256 if source == "btf" else 128)
    target.close()


@needs_kernel
@needs_clang
def test_a_program_that_the_verifier_refuses_is_shown_with_the_verifiers_words(tmp_path):
    path = compiled("refused", str(tmp_path))
    with pytest.raises(TargetDied) as caught:
        open_ebpf(f"{path},kernel")
    assert "R7 invalid mem access 'map_value_or_null'" in caught.value.message
    assert "\n" not in caught.value.line()
    assert "socket filter" in caught.value.hint


@needs_clang
def test_the_interpreter_stops_the_same_program_where_it_goes_wrong(tmp_path):
    target = open_ebpf(f"{compiled('refused', str(tmp_path))},interpreter")
    target.configure(Configuration())
    (result,) = target.run([bytes(60)])
    assert isinstance(result, Errored)
    assert result.message == "pc 23: read of 2 bytes at address 0: a null pointer"


@needs_clang
def test_an_object_with_several_programs_asks_which(tmp_path):
    path = compiled("globals", str(tmp_path))
    with pytest.raises(FormatError, match="2 programs: first, second") as caught:
        open_ebpf(str(path))
    assert "program=NAME" in caught.value.hint
    with pytest.raises(FormatError, match=r"program first uses .* not one"):
        open_ebpf(f"{path},program=first")
    with pytest.raises(FormatError, match="no program third"):
        open_ebpf(f"{path},program=third")


def test_options_that_contradict_each_other_and_missing_paths_are_usage_errors():
    with pytest.raises(UsageError, match="contradict"):
        open_ebpf("x.o,kernel,interpreter")
    for options in ("interpreter,route=tun", "tap,gso", "route=test_run,bridge"):
        with pytest.raises(UsageError, match="contradict"):
            open_ebpf(f"x.o,{options}")
    with pytest.raises(UsageError, match="two routes"):
        open_ebpf("x.o,route=tun,route=auto")
    with pytest.raises(UsageError, match="no route 'wire'"):
        open_ebpf("x.o,route=wire")
    with pytest.raises(UsageError, match="needs the path"):
        open_ebpf("")
    with pytest.raises(UsageError, match="cannot be read"):
        open_ebpf("/nowhere/x.o")


@needs_steering
@pytest.mark.parametrize("option", PLACES)
def test_run_before_configure_or_after_close_is_a_usage_error(option):
    target = place(option)
    with pytest.raises(UsageError, match="before it was configured"):
        target.run([bytes(60)])
    target.configure(Configuration())
    target.close()
    with pytest.raises(UsageError, match="before it was configured"):
        target.run([bytes(60)])


def test_probe_lists_both_targets():
    lines = probe()
    assert [line.name for line in lines] == ["ebpf:PATH.o", "qemu-ebpf"]
    assert all(line.available or line.reason for line in lines)
