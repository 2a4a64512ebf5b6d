"""The state machine followed through any sequence of steps: in memory under any readings, and QEMU's device."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import device_bench
import needs
import pytest
from device_rules import Driver
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from vnethash.conformance.device.script import Kit, arp, rss_config, tcp4
from vnethash.models.device import state as s
from vnethash.models.device.allowed import Follower, offered_readings
from vnethash.models.device.state import Negotiate, Packet, Reset
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.questions import load_device_questions, load_questions
from vnethash.spec.readings import Readings
from vnethash.targets.device import Ack, Reception
from vnethash.targets.device_model import EVERYTHING, ModelDevice
from vnethash.targets.devices import open_device

if TYPE_CHECKING:
    from vnethash.targets.device import Device

SETTINGS = settings(
    max_examples=int(os.environ.get("VNETHASH_EXAMPLES", "25")), stateful_step_count=14, deadline=None,
    suppress_health_check=list(HealthCheck),
)


def any_readings(seed: int) -> tuple[DeviceReadings, Readings]:
    chooser = random.Random(seed)
    device = {one.field: chooser.choice(one.allowed) for one in load_device_questions().values()}
    late = ("short_key", "empty_key", "unhashed_value", "no_hash_types", "table_size")
    packets = {one.field: chooser.choice(one.allowed) for one in load_questions().values() if one.field in late}
    return DeviceReadings(**device), Readings(**packets)


class InMemory(Driver):
    """A device in memory whose readings are drawn."""

    def open(self) -> Device:
        return device_bench.device(*any_readings(self.seed))


def test_a_device_of_any_supported_readings_is_explained_through_any_sequence() -> None:
    run_state_machine_as_test(InMemory, settings=SETTINGS)


class Forgetful(ModelDevice):
    """Loses the table when a packet arrives that nothing hashes."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        got = super().arrive(frame, header)
        if frame == arp() and self.state.table:
            self.state = self.state._replace(table=(0,) * len(self.state.table))
        return got


def test_a_device_that_changes_by_a_packet_is_caught_by_the_follower() -> None:
    subject = device_bench.device(kind=Forgetful)
    follower = Follower(EVERYTHING, offered_readings(defects=True))
    kit = Kit(EVERYTHING)
    subject.negotiate(kit.features.both)
    assert follower.observe(Negotiate(kit.features.both), True) == []
    command = rss_config(kit.rss())
    assert follower.observe(command, int(subject.command(*command))) == []
    for frame in (tcp4(), arp()):
        assert follower.observe(Packet(frame), subject.receive([frame])[0]) == []
    wrong = follower.observe(Packet(tcp4()), subject.receive([tcp4()])[0])
    assert wrong
    assert any("queue 0 where 1 is expected" in words for words in wrong)


def test_a_question_that_was_answered_keeps_its_answer() -> None:
    follower = Follower(EVERYTHING, offered_readings(defects=False))
    features = s.VERSION_1 | s.CTRL_VQ | s.RSS
    command = rss_config(Kit(EVERYTHING).rss())
    longer = command._replace(data=command.data + b"\0")
    assert follower.observe(Negotiate(features), True) == []
    assert follower.observe(longer, int(Ack.ERR)) == []
    assert follower.observe(Reset(), None) == []
    assert follower.observe(Negotiate(features), True) == []
    assert follower.observe(longer, int(Ack.OK)) != []
    assert follower.observe(longer, int(Ack.ERR)) == []


class Qemu(Driver):
    """The device of the installed QEMU; its own known defects may explain it."""

    defects = True

    def open(self) -> Device:
        device = open_device("qemu:,sockets")
        assert device is not None
        return device


@pytest.mark.needs_qemu
def test_qemus_device_is_explained_through_any_sequence() -> None:
    needs.require("cc")
    slow = settings(SETTINGS, max_examples=int(os.environ.get("VNETHASH_EXAMPLES", "8")), stateful_step_count=20)
    run_state_machine_as_test(Qemu, settings=slow)
