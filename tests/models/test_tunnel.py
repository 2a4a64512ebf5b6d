"""Encapsulated packets: what matches, and inner or outer header."""

from __future__ import annotations

import pytest
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import TunnelType
from vnethash.spec.readings import (
    EthertypeVersion,
    GreTypes,
    InnerCut,
    InnerNotIp,
    InnerTransport,
    InnerUnhashed,
    IpipScope,
    NestedTunnel,
    OuterFragment,
    OuterOptions,
    Readings,
    TunnelHeader,
    VxlanFlag,
    VxlanPort,
)

MACS = bytes(12)
LITERAL = Readings()
TCP = b"\x0a\xea\x06\xe6" + bytes(8) + b"\x50" + bytes(7)


def four(protocol: int, payload: bytes, *, flags: int = 0, options: bytes = b"", version: int = 4) -> bytes:
    size = 20 + len(options) + len(payload)
    head = bytes([version << 4 | (size - len(payload)) // 4, 0]) + size.to_bytes(2, "big") + b"\0\0"
    head += flags.to_bytes(2, "big") + bytes([64, protocol, 0, 0]) + bytes([10, 0, 0, 1, 10, 0, 0, 2])
    return head + options + payload


def six(protocol: int, payload: bytes) -> bytes:
    return b"\x60\0\0\0" + len(payload).to_bytes(2, "big") + bytes([protocol, 64]) + bytes(range(32)) + payload


def udp(port: int, payload: bytes) -> bytes:
    return four(17, b"\x12\x34" + port.to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + b"\0\0" + payload)


def report(packet: bytes, types: int, readings: Readings = LITERAL, *, hash_types: int = 0x1FF) -> int:
    configuration = Configuration(features=frozenset({"RSS", "HASH_TUNNEL"}), tunnel_types=types, hash_types=hash_types)
    return outcome(MACS + b"\x08\0" + packet, configuration, readings).report


INSIDE = six(6, TCP)
FRAME = MACS + b"\x86\xdd" + INSIDE
VXLAN = b"\x08\0\0\0\0\0\x01\0"
GENEVE = b"\0\0\x65\x58\0\0\x01\0"

ONE_OF_EACH = {
    TunnelType.GRE_2784: four(47, b"\0\0\x08\0" + four(6, TCP)),
    TunnelType.GRE_2890: four(47, b"\x20\0\x86\xdd\0\0\0\x07" + INSIDE),
    TunnelType.GRE_7676: four(47, b"\0\0\x86\xdd" + INSIDE),
    TunnelType.GRE_UDP: udp(4754, b"\0\0\x86\xdd" + INSIDE),
    TunnelType.VXLAN: udp(4789, VXLAN + FRAME),
    TunnelType.VXLAN_GPE: udp(4790, b"\x0c\0\0\x02\0\0\x01\0" + INSIDE),
    TunnelType.GENEVE: udp(6081, GENEVE + FRAME),
    TunnelType.IPIP: four(4, four(6, TCP)),
    TunnelType.NVGRE: four(47, b"\x20\0\x65\x58\0\0\x01\0" + FRAME),
}


@pytest.mark.parametrize("kind", TunnelType, ids=lambda kind: str(kind.name))
def test_a_tunnel_is_removed_exactly_where_its_type_is_enabled(kind: TunnelType) -> None:
    packet = ONE_OF_EACH[kind]
    outer = 3 if packet[9] == 17 else 1
    inner = 2 if kind in (TunnelType.GRE_2784, TunnelType.IPIP) else 5
    also = {TunnelType.NVGRE: TunnelType.GRE_2890}.get(kind, kind)
    for other in TunnelType:
        assert report(packet, int(other)) == (inner if other in (kind, also) else outer), other
    assert report(packet, 0) == outer


def test_any_gre_type_matches_every_gre_header_if_asked() -> None:
    for kind in (TunnelType.GRE_2784, TunnelType.GRE_2890, TunnelType.GRE_7676):
        for types in (TunnelType.GRE_2784, TunnelType.GRE_7676, TunnelType.NVGRE):
            assert report(ONE_OF_EACH[kind], int(types), Readings(gre_types=GreTypes.ANY)) in (2, 5)


def test_ports_flags_and_scope_are_read_as_asked() -> None:
    linux = udp(8472, VXLAN + FRAME)
    assert report(linux, 0x10) == 3
    assert report(linux, 0x10, Readings(vxlan_port=VxlanPort.LINUX_TOO)) == 5
    without = udp(4789, bytes(8) + FRAME)
    assert report(without, 0x10) == 3
    assert report(without, 0x10, Readings(vxlan_flag=VxlanFlag.IGNORED)) == 5
    six_in_four = four(41, INSIDE)
    assert report(six_in_four, 0x80) == 1
    assert report(six_in_four, 0x80, Readings(ipip_scope=IpipScope.ALL)) == 5


def test_what_is_not_ip_inside_is_hashed_by_the_outer_header_only_if_asked() -> None:
    outer = Readings(inner_not_ip=InnerNotIp.OUTER)
    arp = udp(4789, VXLAN + MACS + b"\x08\x06" + bytes(28))
    wrong_version = udp(4789, VXLAN + MACS + b"\x08\0" + four(6, TCP, version=5))
    for packet in (arp, wrong_version):
        assert report(packet, 0x10) == 0
        assert report(packet, 0x10, outer) == 3
    assert report(wrong_version, 0x10, Readings(ethertype_version=EthertypeVersion.ETHERTYPE)) == 2


def test_what_is_cut_inside_is_hashed_by_the_outer_header_only_if_asked() -> None:
    outer = Readings(inner_cut=InnerCut.OUTER)
    for size in (0, 13, 14, 40):
        packet = udp(4789, VXLAN + FRAME[:size])
        assert report(packet, 0x10) == 0
        assert report(packet, 0x10, outer) == 3
    header = udp(4789, VXLAN[:7])
    assert report(header, 0x10) == 3
    assert report(header, 0x10, Readings(tunnel_header=TunnelHeader.NUMBER)) == 0
    assert report(header, 0x10, Readings(tunnel_header=TunnelHeader.NUMBER, inner_cut=InnerCut.OUTER)) == 3


def test_an_inner_packet_without_transport_or_type_is_read_as_asked() -> None:
    icmp = udp(4789, VXLAN + MACS + b"\x08\0" + four(1, bytes(8)))
    assert report(icmp, 0x10) == 1
    assert report(icmp, 0x10, Readings(inner_transport=InnerTransport.OUTER), hash_types=0x5) == 1
    only_four = ONE_OF_EACH[TunnelType.VXLAN]
    assert report(only_four, 0x10, hash_types=7) == 0
    assert report(only_four, 0x10, Readings(inner_unhashed=InnerUnhashed.OUTER), hash_types=7) == 3


def test_fragments_options_and_nesting_are_read_as_asked() -> None:
    gre = b"\0\0\x08\0" + four(6, TCP)
    first = four(47, gre, flags=0x2000)
    assert report(first, 1) == 1
    assert report(first, 1, Readings(outer_fragment=OuterFragment.INNER)) == 2
    assert report(four(47, gre, flags=0x2001), 1, Readings(outer_fragment=OuterFragment.INNER)) == 1
    options = four(47, gre, options=bytes(4))
    assert report(options, 1) == 2
    assert report(options, 1, Readings(outer_options=OuterOptions.NO_MATCH)) == 1
    nested = four(4, ONE_OF_EACH[TunnelType.VXLAN])
    assert report(nested, 0x90) == 3
    assert report(nested, 0x90, Readings(nested_tunnel=NestedTunnel.OUTER)) == 1
    assert report(nested, 0x90, Readings(nested_tunnel=NestedTunnel.UNHASHED)) == 0
    assert report(nested, 0x80) == 3
