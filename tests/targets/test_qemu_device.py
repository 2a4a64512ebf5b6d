"""QEMU's virtio-net device as a driver sees it."""

from __future__ import annotations

import os
import signal
from itertools import combinations
from typing import TYPE_CHECKING

import needs
import pytest
from ebpf_support import MICROSOFT, frame_between
from vnethash.spec.commands import HashConfig, RssConfig, VqPairs
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetDied, TargetTimeout, UsageError
from vnethash.spec.layouts import NetHeader
from vnethash.targets.base import Refused
from vnethash.targets.device import Ack, Limits
from vnethash.targets.qemu.device import CTRL_VQ, HASH_REPORT, MQ, MRG_RXBUF, NEEDS_RESET, RSS, VERSION_1, QemuDevice
from vnethash.targets.qemu.target import open_device

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 4
ALL = 1 << VERSION_1 | 1 << CTRL_VQ | 1 << MQ | 1 << RSS | 1 << HASH_REPORT
CONFIGURATION = Configuration(
    indirection_table=tuple(number % 3 for number in range(128)), unclassified_queue=3, max_tx_vq=PAIRS
)
TCP = frame_between(*MICROSOFT[0][:4])

NEED = {"sockets": "cc", "tap": "tap"}


@pytest.fixture(scope="module", params=NEED)
def device(request: pytest.FixtureRequest) -> Iterator[QemuDevice]:
    needs.require("qemu", NEED[request.param])
    opened = open_device(f",{request.param},queues={PAIRS}")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def fresh() -> Iterator[QemuDevice]:
    needs.require("qemu", "cc")
    opened = open_device(f",sockets,queues={PAIRS}")
    yield opened
    opened.close()


def configure(device: QemuDevice, configuration: Configuration = CONFIGURATION, features: int = ALL) -> Ack:
    assert device.negotiate(features)
    told = RssConfig.from_configuration(configuration)
    return device.command(told.HEADER.command_class, told.HEADER.command, told.encode())


def test_what_the_device_offers_is_what_the_reference_run_saw(device: QemuDevice) -> None:
    assert device.offered & ALL == ALL
    assert device.limits() == Limits(pairs=PAIRS, key=40, table=128, hash_types=0x1FF)


@pytest.mark.parametrize("destination, to, source, of, addresses, ports", MICROSOFT)  # noqa: PT006
def test_microsofts_vectors_come_out_on_the_right_queue(
    device: QemuDevice, destination: str, to: int, source: str, of: int, addresses: int, ports: int
) -> None:
    assert configure(device, Configuration(hash_types=0x3F, **STEERED)) is Ack.OK
    six = ":" in source
    frames = [frame_between(destination, to, source, of, protocol) for protocol in (6, 17, 132)]
    expected = [(5, ports), (6, ports), (4, addresses)] if six else [(2, ports), (3, ports), (1, addresses)]
    for frame, reception, (report, value) in zip(frames, device.receive(frames), expected, strict=True):
        assert reception is not None
        header = NetHeader.decode(reception.header)
        assert (header.hash_report, header.hash_value) == (report, value)
        assert reception.queue == (value & 127) % 3
        assert reception.payload == frame


STEERED = {"indirection_table": CONFIGURATION.indirection_table, "unclassified_queue": 3, "max_tx_vq": PAIRS}


def test_any_subset_of_the_features_can_be_negotiated(device: QemuDevice) -> None:
    bits = (MRG_RXBUF, CTRL_VQ, MQ, RSS, HASH_REPORT)
    for count in range(len(bits) + 1):
        for chosen in combinations(bits, count):
            features = 1 << VERSION_1 | sum(1 << bit for bit in chosen)
            if not device.negotiate(features):
                assert device.status() == 0
                continue
            (reception,) = device.receive([TCP])
            assert reception is not None, chosen
            assert len(reception.header) == (20 if HASH_REPORT in chosen else 12)
            assert reception.payload == TCP
            queues = device.command(*header_of(VqPairs(1)))
            assert queues is (Ack.NONE if CTRL_VQ not in chosen else Ack.OK if MQ in chosen else queues)


def header_of(told: VqPairs | HashConfig) -> tuple[int, int, bytes]:
    return told.HEADER.command_class, told.HEADER.command, told.encode()


def test_features_that_are_not_offered_can_be_asked_for_all_the_same(device: QemuDevice) -> None:
    beyond = 1 << 63
    assert not device.offered & beyond
    assert device.negotiate(ALL | beyond)  # QEMU passes over the bit and says FEATURES_OK
    assert device.status() == 15


def test_a_command_that_is_refused_is_told_and_the_device_goes_on(device: QemuDevice) -> None:
    assert configure(device) is Ack.OK
    assert device.command(4, 1, b"") is Ack.ERR
    assert device.command(9, 9, b"nothing") is Ack.ERR
    assert device.command(4, 1, bytes(5000)) in {Ack.OK, Ack.ERR}
    assert configure(device) is Ack.OK
    assert device.receive([TCP])[0] is not None


def test_a_chain_without_room_for_an_answer_breaks_the_device_until_it_is_reset(device: QemuDevice) -> None:
    assert configure(device) is Ack.OK
    assert device.chain([b"\x04\x01"], []) is None
    assert device.status() & NEEDS_RESET
    assert device.receive([TCP]) == [None]
    assert device.command(4, 0, b"\x01\x00") is Ack.NONE
    assert configure(device) is Ack.OK
    assert not device.status() & NEEDS_RESET
    (reception,) = device.receive([TCP])
    assert reception is not None
    assert NetHeader.decode(reception.header).hash_value == 0x51CCC178


def test_a_chain_in_many_parts_is_one_command(device: QemuDevice) -> None:
    assert device.negotiate(ALL)
    data = b"\x04\x01" + RssConfig.from_configuration(CONFIGURATION).encode()
    parts = [data[:1], data[1:2], data[2:9], data[9:100], data[100:]]
    assert device.chain(parts, [1]) == b"\x00"
    assert device.chain([b"\x04\x01"], [1]) == b"\x01"


def test_after_a_reset_nothing_arrives_until_the_driver_is_ready(device: QemuDevice) -> None:
    assert configure(device) is Ack.OK
    device.reset()
    assert device.status() == 0
    assert device.receive([TCP, TCP]) == [None, None]
    assert device.command(4, 0, b"\x01\x00") is Ack.NONE
    assert configure(device) is Ack.OK
    assert [reception is not None for reception in device.receive([TCP])] == [True]


def test_equal_frames_are_told_apart_and_all_come_out(device: QemuDevice) -> None:
    assert configure(device) is Ack.OK
    other = frame_between(*MICROSOFT[1][:4])
    frames = [TCP, TCP, other, TCP, other]
    values = []
    for reception in device.receive(frames):
        assert reception is not None
        values.append(NetHeader.decode(reception.header).hash_value)
    assert values == [0x51CCC178, 0x51CCC178, 0xC626B0EA, 0x51CCC178, 0xC626B0EA]


@pytest.mark.parametrize("mergeable", [False, True])
def test_frames_of_every_length_come_out_as_they_went_in(device: QemuDevice, mergeable: bool) -> None:
    assert configure(device, features=ALL | mergeable << MRG_RXBUF) is Ack.OK
    lengths = (14, 60, 491, 492, 493, 1514, 9000, 65535, 100, 4000, 20)
    frames = [TCP[:14] + os.urandom(length - 14) for length in lengths]
    for frame, reception in zip(frames, device.receive(frames * 3), strict=False):
        assert reception is not None
        assert reception.payload == frame
        assert reception.buffers == (-(-(20 + len(frame)) // 512) if mergeable else 1)
        if mergeable:
            assert NetHeader.decode(reception.header, strict=False).num_buffers == reception.buffers


def test_more_frames_than_a_queue_has_buffers_come_out_in_one_call(device: QemuDevice) -> None:
    assert configure(device, Configuration(hash_types=0, **STEERED)) is Ack.OK
    frames = [TCP + number.to_bytes(4, "big") for number in range(3000)]
    receptions = device.receive(frames)
    assert [reception and (reception.queue, reception.payload) for reception in receptions] == [(3, f) for f in frames]


def test_the_header_that_the_backend_gives_is_seen_by_the_driver(fresh: QemuDevice) -> None:
    assert configure(fresh) is Ack.OK
    (reception,) = fresh.receive([TCP], b"\x02\x00\x11\x22")
    assert reception is not None
    header = NetHeader.decode(reception.header)
    assert (header.flags, header.hdr_len, header.hash_value) == (2, 0x2211, 0x51CCC178)
    with pytest.raises(Refused, match="20 bytes"):
        fresh.receive([TCP], bytes(21))


def test_frames_shorter_than_an_ethernet_header_come_out_of_sockets(fresh: QemuDevice) -> None:
    assert configure(fresh) is Ack.OK
    frames = [TCP[:length] for length in range(1, 14)]
    assert [reception and reception.payload for reception in fresh.receive(frames)] == frames


@pytest.mark.needs_qemu
@pytest.mark.needs_tap
def test_a_tap_says_what_it_cannot_carry() -> None:
    opened = open_device(",tap,queues=1")
    try:
        assert opened.negotiate(ALL)
        with pytest.raises(Refused, match="from 14 bytes on"):
            opened.receive([b"short"])
        with pytest.raises(Refused, match="writes the header itself"):
            opened.receive([TCP], b"\x01")
    finally:
        opened.close()


def test_a_qemu_that_was_killed_is_told_and_can_be_started_anew(fresh: QemuDevice) -> None:
    assert configure(fresh) is Ack.OK
    os.kill(fresh.pid, signal.SIGKILL)
    with pytest.raises(TargetDied, match="was killed by SIGKILL"):
        fresh.receive([TCP])
    with pytest.raises(TargetDied):
        fresh.status()
    fresh.restart()
    assert configure(fresh) is Ack.OK
    assert fresh.receive([TCP])[0] is not None


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_a_qemu_that_hangs_is_told_within_the_limit() -> None:
    opened = open_device(",queues=2", seconds=0.5)
    try:
        assert opened.negotiate(ALL)
        os.kill(opened.pid, signal.SIGSTOP)
        with pytest.raises(TargetTimeout, match=r"no answer within 0\.5 s"):
            opened.receive([TCP])
    finally:
        opened.close()
    opened.close()
    with pytest.raises(UsageError, match="closed"):
        opened.status()


def test_hash_config_alone_makes_reports_without_steering(fresh: QemuDevice) -> None:
    assert fresh.negotiate(ALL & ~(1 << RSS))
    assert fresh.command(*header_of(HashConfig(0x1FF, CONFIGURATION.key))) is Ack.OK
    (reception,) = fresh.receive([TCP])
    assert reception is not None
    assert NetHeader.decode(reception.header).hash_value == 0x51CCC178
