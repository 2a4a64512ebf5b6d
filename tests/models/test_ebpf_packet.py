from __future__ import annotations

import pytest
from vnethash.models.ebpf.packet import TAP_LINEAR, Packet, field

MACS = bytes.fromhex("020000000001020000000002")


def tagged(*types):
    return MACS + b"".join(each.to_bytes(2, "big") + b"\x00\x05" for each in types)


@pytest.mark.parametrize(
    ("frame", "network"),
    [
        (MACS + b"\x08\x00" + bytes(20), 14),
        (tagged(0x8100) + b"\x08\x00" + bytes(20), 18),
        (tagged(0x88A8, 0x8100) + b"\x86\xdd" + bytes(40), 22),
        (tagged(0x9100) + b"\x08\x00" + bytes(20), 14),  # not a tag to the kernel's packet socket
        (tagged(*[0x8100] * 7) + b"\x08\x00", 14 + 28),
        (tagged(*[0x8100] * 8) + b"\x08\x00", 14),  # the kernel gives up
        (tagged(0x8100) + b"\x00\x00", 14),
        (tagged(0x8100)[:17], 14),
    ],
)
def test_a_tap_has_the_network_header_behind_the_tags_and_a_test_run_never(frame, network):
    assert Packet.of_tap(frame).network == network
    assert Packet.of_tap(frame).data == 0
    assert (Packet.of_test_run(frame).network, Packet.of_test_run(frame).data) == (14, 14)


def test_a_frame_of_a_page_has_only_what_its_sender_names_in_the_linear_area_of_a_tap():
    for linear in (14, TAP_LINEAR):
        assert Packet.of_tap(MACS + bytes(4067), linear).linear == 4079
    assert Packet.of_tap(MACS + bytes(4068)).linear == TAP_LINEAR
    large = Packet.of_tap(MACS + bytes(4068), linear=0)
    assert large.linear == 14
    assert large.load_relative(12, 2, 0) == bytes(2)
    assert large.load_relative(0, 1, 1) is None
    assert large.load(14, 20) == bytes(20)
    assert large.load_number(14, 4) == 0
    assert Packet.of_tap(MACS + bytes(9000), linear=100).load_relative(0, 80, 1) == bytes(80)


def test_lengths_become_protocols_of_their_own_in_a_test_run():
    frame = MACS + b"\x00\x40"
    assert Packet.of_test_run(frame + b"\xaa\xaa").protocol == 4
    assert Packet.of_test_run(frame + b"\xff\xff").protocol == 1
    assert Packet.of_test_run(MACS + b"\x06\x00").protocol == 0x600
    assert Packet.of_tap(frame + b"\xaa\xaa").protocol == 0x40


def test_the_packet_type_follows_the_destination_as_on_the_loopback_device():
    kinds = [Packet.of_test_run(mac + bytes(50)).packet_type for mac in (bytes(6), b"\xff" * 6, MACS[:6])]
    assert kinds == [0, 2, 3]


def test_packet_loads_with_negative_offsets_count_from_the_headers():
    packet = Packet.of_tap(tagged(0x8100) + b"\x08\x00\x45\x00" + bytes(18))
    assert packet.load_number(-0x100000, 2) == 0x4500
    assert packet.load_number(-0x200000 + 12, 2) == 0x8100
    assert packet.load_number(-0x200001, 1) is None
    assert packet.load_number(-0x100000 + 19, 4) is None


def test_fields_of_the_context():
    packet = Packet.of_test_run(MACS + b"\x86\xdd" + bytes(46))
    assert field(packet, 0) == 46
    assert field(packet, 4) == 3
    assert field(packet, 16) == 0xDD86
    assert field(packet, 40) == 1
    assert field(packet, 8) == 0
