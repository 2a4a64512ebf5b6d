"""The target `qemu`: the suite's frames through the real device, and what happens when QEMU ends."""

from __future__ import annotations

import os
import signal
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import needs
import pytest
from ebpf_support import MICROSOFT, frame_between
from vnethash.conformance.suite import load_suite
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetDied, TargetUnavailable, UsageError
from vnethash.spec.outcome import Observation
from vnethash.spec.readings import Readings
from vnethash.targets.base import Errored, Refused, Skipped
from vnethash.targets.device import Reception
from vnethash.targets.qemu import target as module
from vnethash.targets.qemu.target import QemuTarget, open_qemu, probe, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


TCP = frame_between(*MICROSOFT[0][:4])
UDP6 = frame_between(*MICROSOFT[5][:4], protocol=17)
OTHERS = [frame_between(*vector[:4], protocol) for vector in MICROSOFT for protocol in (6, 17, 132)]
RIGHT = Observation(2, 0x51CCC178, 120)


@pytest.fixture(scope="module")
def target() -> Iterator[QemuTarget]:
    needs.require("qemu", "cc")
    opened = open_qemu()
    yield opened
    opened.close()


def test_all_that_the_suite_asks_of_queues_fits(target: QemuTarget) -> None:
    for configuration in {case.configuration for case in load_suite("default").cases}:
        if len(configuration.indirection_table) <= target.capabilities.max_indirection_table_length:
            highest = max(*configuration.indirection_table, configuration.unclassified_queue, 0)
            assert highest < target.capabilities.queues
    assert target.capabilities.observes == {"queue", "report", "value"}
    assert target.capabilities.features == {"RSS", "HASH_REPORT"}


def test_microsofts_vectors_are_as_the_model_has_them(target: QemuTarget) -> None:
    configuration = Configuration(hash_types=0x3F)
    target.configure(configuration)
    expected = [outcome(frame, configuration, Readings()) for frame in OTHERS]
    assert target.run(OTHERS) == [Observation(o.report, o.value, o.queue) for o in expected]
    assert [o.value for o in expected[:3]] == [0x51CCC178, 0x51CCC178, 0x323E8FC2]


@pytest.mark.needs_tap
def test_a_tap_and_sockets_give_the_same_answers_to_the_quick_suite(target: QemuTarget) -> None:
    other = open_qemu(",tap")
    try:
        compared = 0
        groups: dict[Configuration, list[bytes]] = {}
        for case in load_suite("quick").cases:
            groups.setdefault(replace(case.configuration, features=case.configuration.features - {"HASH_TUNNEL"},
                                      tunnel_types=0), []).append(case.frame)  # fmt: skip
        for configuration, frames in groups.items():
            refused = []
            for each in (target, other):
                try:
                    each.configure(configuration)
                except Refused as error:
                    refused.append(error.message)
            if refused:
                assert len(refused) == 2
                continue
            for frame in dict.fromkeys(frames):  # one at a time: 7.2 mixes a short packet with the one before
                first, second = target.run([frame]), other.run([frame])
                if len(frame) < 14:
                    assert isinstance(second[0], Skipped)
                else:
                    assert first == second
                    compared += 1
        assert compared > 200
    finally:
        other.close()


def test_values_without_hash_report_are_those_of_the_header(target: QemuTarget) -> None:
    frames = list(dict.fromkeys(case.frame for case in load_suite("quick").cases if len(case.frame) > 60))
    target.configure(Configuration())
    shown = target.run(frames)
    target.configure(Configuration(features=frozenset({"RSS"})))
    recovered = target.run(frames)
    assert [replaced(result) for result in shown] == recovered
    assert target.run(frames) == recovered


def replaced(result: object) -> Observation:
    assert isinstance(result, Observation)
    return result._replace(report=None)


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_values_are_recovered_with_few_queues_too_and_with_max_tx_vq() -> None:
    few = open_qemu(",queues=6")
    try:
        table = tuple(number % 5 for number in range(16))
        few.configure(Configuration(indirection_table=table, unclassified_queue=5, max_tx_vq=6,
                                    features=frozenset({"RSS"})))  # fmt: skip
        assert few.run([TCP, bytes(60)]) == [Observation(value=0x51CCC178, queue=8 % 5), Observation(queue=5)]
    finally:
        few.close()
    one = open_qemu(",queues=1")
    try:
        with pytest.raises(Refused, match="too few"):
            one.configure(Configuration(indirection_table=(0,), unclassified_queue=0, features=frozenset({"RSS"})))
    finally:
        one.close()


def test_hash_report_alone_shows_no_queue(target: QemuTarget) -> None:
    target.configure(Configuration(features=frozenset({"HASH_REPORT"})))
    assert target.run([TCP]) == [RIGHT._replace(queue=None)]


def test_max_tx_vq_is_passed_on_where_a_configuration_is_about_it(target: QemuTarget) -> None:
    target.configure(Configuration(max_tx_vq=4))
    assert target.run([TCP]) == [RIGHT._replace(queue=120 % 4)]
    target.configure(Configuration(max_tx_vq=1))
    assert target.run([TCP]) == [RIGHT]


@pytest.mark.parametrize("size", [4, 12, 15])
def test_a_short_key_does_not_depend_on_what_was_configured_before(target: QemuTarget, size: int) -> None:
    configuration = Configuration(key=Configuration().key[:size])
    target.configure(Configuration(key=b"\xff" * 39 + b"\x0f"))
    target.configure(configuration)
    (result,) = target.run([TCP])
    assert isinstance(result, Observation)
    assert result.value == outcome(TCP, configuration, Readings()).value


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (Configuration(features=frozenset()), "neither RSS nor HASH_REPORT"),
        (Configuration(features=frozenset({"RSS", "HASH_TUNNEL"})), "does not offer HASH_TUNNEL"),
        (Configuration(tunnel_types=1), "does not offer HASH_TUNNEL"),
        (Configuration(key=b""), "RSS_CONFIG is answered with an error"),
        (Configuration(key=bytes(41)), "RSS_CONFIG is answered with an error"),
        (Configuration(indirection_table=(0,) * 256), "RSS_CONFIG is answered with an error"),
        (Configuration(indirection_table=(0, 1, 2)), "RSS_CONFIG is answered with an error"),
        (Configuration(features=frozenset({"HASH_REPORT"}), key=bytes(41)), "HASH_CONFIG is answered with an error"),
    ],
)
def test_what_the_device_refuses_is_refused_and_the_next_configuration_works(
    target: QemuTarget, configuration: Configuration, words: str
) -> None:
    with pytest.raises(Refused, match=words):
        target.configure(configuration)
    with pytest.raises(UsageError, match="before it was configured"):
        target.run([TCP])
    target.configure(Configuration())
    assert target.run([TCP]) == [RIGHT]


def test_a_frame_that_no_backend_carries_is_skipped(target: QemuTarget) -> None:
    target.configure(Configuration())
    results = target.run([TCP, bytes(70_000), TCP])
    assert results[0] == results[2] == RIGHT
    assert isinstance(results[1], Skipped)
    assert target.run([]) == []


def test_a_header_without_its_hash_or_a_lost_frame_is_an_error(
    target: QemuTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.configure(Configuration())
    monkeypatch.setattr(target.device, "receive", lambda _: [None, Reception(0, bytes(17), TCP)])
    lost, short = target.run([TCP, TCP])
    assert lost == Errored("the device delivered the frame to no queue")
    assert short == Errored("the device wrote a header of 17 bytes")


def test_a_qemu_that_was_killed_between_two_batches_is_started_anew(target: QemuTarget) -> None:
    target.configure(Configuration())
    os.kill(target.device.pid, signal.SIGKILL)
    assert target.run([TCP] * 3) == [RIGHT] * 3
    os.kill(target.device.pid, signal.SIGKILL)
    target.configure(Configuration())
    assert target.run([TCP]) == [RIGHT]


class Fragile:
    """Lets QEMU die, or hang, of certain frames."""

    def __init__(self, target: QemuTarget, deadly: set[bytes], number: int) -> None:
        self.target, self.deadly, self.number, self.deaths = target, deadly, number, 0
        self.receive = target.device.receive

    def __call__(self, frames: Sequence[bytes], header: bytes = b"") -> list[Reception | None]:
        if self.deadly & set(frames):
            self.deaths += 1
            os.kill(self.target.device.pid, self.number)
        return self.receive(frames, header)


def test_one_deadly_frame_in_a_batch_is_one_error(target: QemuTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    target.configure(Configuration())
    frames = [TCP, *(TCP + number.to_bytes(2, "big") for number in range(300))]
    fragile = Fragile(target, {frames[77]}, signal.SIGSEGV)
    monkeypatch.setattr(target.device, "receive", fragile)
    results = target.run(frames)
    assert isinstance(results[77], Errored)
    assert "was killed by SIGSEGV" in results[77].message
    assert results[:77] + results[78:] == [RIGHT] * 300
    assert fragile.deaths <= 5
    assert target.run([TCP]) == [RIGHT]


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_a_target_that_dies_of_everything_is_not_asked_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_qemu(",queues=2", seconds=5)
    try:
        opened.configure(Configuration(indirection_table=(0, 1), unclassified_queue=0))
        fragile = Fragile(opened, {TCP, UDP6}, signal.SIGKILL)
        monkeypatch.setattr(opened.device, "receive", fragile)
        monkeypatch.setattr(module, "_MOST_FAILURES", 8)
        with pytest.raises(TargetDied, match="SIGKILL"):
            opened.run([TCP, UDP6] * 40)
        assert fragile.deaths < 12
    finally:
        opened.close()


def test_an_argument_is_taken_apart() -> None:
    assert split("") == ("", "", module.PAIRS)
    assert split("8.2,tap") == ("8.2", "tap", module.PAIRS)
    assert split("/opt/qemu,queues=4,sockets") == ("/opt/qemu", "sockets", 4)


@pytest.mark.parametrize(
    ("argument", "words"),
    [(",nothing", "no option 'nothing'"), (",tap,sockets", "contradict"), (",queues=0", "from 1 to"),
     (",queues=x", "from 1 to"), (",tap,queues=400", "at most 256"), (",queues=", "from 1 to")],
)  # fmt: skip
def test_an_option_that_is_none_is_a_usage_error(argument: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        open_qemu(argument)


def test_a_program_that_is_no_qemu_is_told_from_one(tmp_path: Path) -> None:
    with pytest.raises((TargetUnavailable, UsageError)):
        open_qemu(str(tmp_path / "nothing"))
    with pytest.raises((TargetUnavailable, UsageError)):
        open_qemu("/bin/true")


@pytest.mark.needs_cc
def test_a_qemu_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "qemu-system-x86_64"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "QEMU emulator version 9.9.9"; exit; }\n'
        "echo first >&2; echo no such machine >&2; exit 3\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(TargetDied, match=r"ended with status 3 at its start.*first . no such machine"):
        open_qemu(str(program))


@pytest.mark.needs_qemu
def test_the_line_of_targets_says_why_where_nothing_can_be_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = probe()
    assert line.judged
    monkeypatch.setattr(module.shim, "missing", lambda: "no C compiler")
    monkeypatch.setattr(module.tap, "missing", lambda: "no TAP")
    (line,) = probe()
    assert not line.available
    assert "no C compiler; and no TAP" in line.reason
    with pytest.raises(TargetUnavailable, match="no C compiler; and no TAP"):
        open_qemu()
