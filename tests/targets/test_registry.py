"""Names of targets."""

from __future__ import annotations

import pytest
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetUnavailable, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Refused
from vnethash.targets.registry import check_name, check_options, open_target, probe_all


@pytest.mark.parametrize("name", ["", "nothing", "model", "exec:", "ebpf"])
def test_a_name_that_is_none_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("name", [
    "qemu:,bogus", "qemu:8.2,sockets,tap", "qemu:,queues=none", "qemu-ebpf:,bogus", "qemu-ebpf:,route=nowhere",
    "ebpf:program.o,interpreter,route=tun", "tun:qemu,route=test_run", "tun:qemu,interpreter", "dpdk:23",
    "model:literal,no-question=1", "nothing:",
])  # fmt: skip
def test_options_that_are_none_or_contradict_each_other_are_a_usage_error_before_anything_is_opened(name: str) -> None:
    with pytest.raises(UsageError):
        check_options(name)


@pytest.mark.parametrize("name", [
    "qemu", "qemu:8.2,sockets,queues=4", "qemu:/no/such/file,tap", "qemu-ebpf:,interpreter,tap", "ebpf:no-such.o",
    "tun:qemu=8.2,bridge", "tun:no-such.o,gso", "dpdk", "model:ndis,vlan-tags=one", "model:klingon", "exec:no-such",
    "lib:no-such.so", "linux-dissector",
])  # fmt: skip
def test_what_only_the_machine_can_lack_is_no_matter_of_options(name: str) -> None:
    check_options(name)


def test_a_dialect_that_is_none_is_unavailable_and_the_others_are_named() -> None:
    with pytest.raises(TargetUnavailable, match="no dialect 'klingon'") as caught:
        open_target("model:klingon")
    assert "ndis" in caught.value.hint


@pytest.mark.parametrize("name", ["model:literal,nothing=1", "model:literal,vlan-tags=some"])
def test_a_reading_that_is_none_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError):
        open_target(name)


def test_a_model_answers_as_its_readings_have_it() -> None:
    frame = bytes.fromhex("02000000000202000000000108004500001c0001200040110000420995bba18e64500aea06e600080000")
    target = open_target("model:literal,ipv4-first-fragment=addresses")
    target.configure(Configuration())
    assert target.run([frame]) == [Observation(1, 0x323E8FC2, 66)]
    with pytest.raises(Refused):
        target.configure(Configuration(features=frozenset()))
    target.close()


def test_what_can_be_driven_is_listed_with_a_reason_where_it_cannot() -> None:
    lines = probe_all()
    assert {"model:literal", "model:ndis", "qemu-ebpf"} <= {line.name for line in lines}
    assert all(line.available or line.reason for line in lines)
