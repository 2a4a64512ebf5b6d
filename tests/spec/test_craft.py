"""Building frames from headers."""

from __future__ import annotations

from random import Random

import pytest
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR
from scapy.layers.inet6 import (
    HAO,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH, ESP
from scapy.layers.l2 import GRE, SNAP, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPPoE
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from vnethash.models.toeplitz import toeplitz
from vnethash.spec import craft
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.craft import ethernet, internet_checksum, ipv4, ipv6, tcp, udp


def parse(frame: bytes) -> Ether:
    packet = Ether(frame)
    assert bytes(packet) == frame
    return packet


def fresh(packet: Ether) -> bytes:
    """The packet with lengths and checksums computed by scapy."""
    copy = packet.copy()
    layer = copy
    while layer:
        for name in ("len", "chksum", "plen", "ihl", "dataofs"):
            if name in layer.fields:
                delattr(layer, name)
        layer = layer.payload
    return bytes(copy)


def test_the_flows_have_the_hashes_that_microsoft_gives() -> None:
    for flow in (*craft.FLOWS4, *craft.FLOWS6):
        ports = craft.two(flow.source_port) + craft.two(flow.destination_port)
        assert toeplitz(MICROSOFT_KEY, flow.source + flow.destination) == flow.addresses_hash
        assert toeplitz(MICROSOFT_KEY, flow.source + flow.destination + ports) == flow.ports_hash


def test_no_two_addresses_for_headers_and_options_are_the_same() -> None:
    six = [craft.SOURCE6, craft.DESTINATION6, craft.HOME, craft.OTHER_HOME, craft.ROUTE, craft.OTHER_ROUTE,
           craft.THIRD_ROUTE]
    four = [craft.SOURCE4, craft.DESTINATION4, craft.ROUTE4, craft.OTHER_ROUTE4, craft.INNER_SOURCE4,
            craft.INNER_DESTINATION4]
    assert len(set(six)) == len(six)
    assert len(set(four)) == len(four)


@pytest.mark.parametrize("part", [tcp(payload=b"abc"), udp(payload=b"abcd"), udp()])
def test_plain_packets_are_what_scapy_would_build(part: craft.Part) -> None:
    four, six = parse(ethernet(ipv4(part))), parse(ethernet(ipv6(part)))
    assert fresh(four) == ethernet(ipv4(part))
    assert fresh(six) == ethernet(ipv6(part))
    assert (four[IP].src, four[IP].dst) == ("66.9.149.187", "161.142.100.80")
    assert (six[IPv6].src, six[IPv6].dst) == ("3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1")
    transport = four[TCP] if TCP in four else four[UDP]
    assert (transport.sport, transport.dport) == (2794, 1766)


def test_messages_are_what_scapy_would_build() -> None:
    for frame, layer in (
        (ethernet(ipv4(craft.icmp())), ICMP), (ethernet(ipv6(craft.icmpv6())), ICMPv6EchoRequest),
        (ethernet(ipv6(craft.neighbor_solicitation(), hop_limit=255)), ICMPv6ND_NS),
    ):
        packet = parse(frame)
        assert layer in packet
        delattr(packet[layer], "chksum" if layer is ICMP else "cksum")
        assert bytes(packet) == frame


def test_fields_of_the_ip_headers_are_set() -> None:
    packet = parse(ethernet(ipv4(tcp(), flags=craft.MF | craft.DF, offset=185, tos=7, ttl=3, identification=9)))[IP]
    assert (packet.flags.value, packet.frag, packet.tos, packet.ttl, packet.id) == (3, 185, 7, 3, 9)
    six = parse(ethernet(ipv6(tcp(), traffic_class=0x12, flow_label=0xABCDE, hop_limit=4)))[IPv6]
    assert (six.tc, six.fl, six.hlim, six.nh, six.plen) == (0x12, 0xABCDE, 4, 6, 20)


def test_ipv4_options_are_padded_and_counted() -> None:
    packet = parse(ethernet(ipv4(tcp(), options=craft.source_route(craft.ROUTE4))))[IP]
    assert packet.ihl == 7
    assert isinstance(packet.options[0], IPOption_LSRR)
    assert packet.options[0].routers == ["65.69.140.83"]
    assert packet[TCP].sport == 2794


def test_a_chain_of_extension_headers_is_linked() -> None:
    parts = (craft.hop_by_hop(), craft.home_options(), craft.routing(), craft.fragment(more=True), udp(payload=b"x"))
    packet = parse(ethernet(ipv6(*parts)))
    assert packet[IPv6].plen == len(packet[IPv6].payload)
    assert [packet[layer].nh for layer in (IPv6, IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting)] == [
        0, 60, 43, 44
    ]
    home = packet[IPv6ExtHdrDestOpt].options[-1]
    assert isinstance(home, HAO)
    assert home.hoa == "3ffe:501:8:0:260:97ff:fe40:efab"
    assert packet[IPv6ExtHdrRouting].addresses == ["2001:db8:a5::1c:3"]
    assert (packet[IPv6ExtHdrFragment].m, packet[IPv6ExtHdrFragment].nh) == (1, 17)
    assert packet[UDP].dport == 1766


def test_a_chain_without_a_transport_ends_with_no_next_header() -> None:
    assert parse(ethernet(ipv6()))[IPv6].nh == 59
    assert parse(ethernet(ipv6(craft.destination_options())))[IPv6ExtHdrDestOpt].nh == 59


def test_the_home_address_of_home_options_is_at_8n_plus_6() -> None:
    data = craft.home_options().data
    assert data.index(craft.HOME) - 2 == 6
    assert len(data) == 24


@pytest.mark.parametrize("body", [make(count) for make in (craft.pad1, craft.padn) for count in range(12)])
def test_options_are_padded_to_eight_bytes(body: bytes) -> None:
    data = craft.destination_options(body).data
    assert len(data) == (data[1] + 1) * 8
    assert data[2:].startswith(body)


def test_security_headers_are_those_of_scapy() -> None:
    packet = parse(ethernet(ipv6(craft.authentication(), tcp())))
    assert (packet[AH].nh, packet[AH].payloadlen, packet[AH].spi) == (6, 4, 0x105)
    assert len(packet[AH].icv) == 12
    assert parse(ethernet(ipv4(craft.esp())))[ESP].seq == 9


def test_headers_of_the_common_form_end_where_their_length_says() -> None:
    for part in (craft.mobility(), craft.mobility(data=bytes(30)), craft.hip(), craft.shim6(), craft.routing(),
                 craft.extension(253, bytes(6)), craft.hop_by_hop(craft.padn(40))):
        assert len(part.data) == (part.data[1] + 1) * 8
        assert part.linked


def test_link_layers_are_those_of_scapy() -> None:
    tagged = parse(ethernet(ipv4(tcp()), tags=(0x88A8, (0x8100, 0xE005))))
    assert (tagged[Dot1AD].vlan, tagged[Dot1Q].prio, tagged[Dot1Q].vlan) == (100, 7, 5)
    assert tagged[TCP].sport == 2794
    snap = parse(craft.llc_snap(ipv6(tcp())))
    assert snap.len == len(snap.payload)
    assert snap[SNAP].code == 0x86DD
    session = parse(craft.pppoe(ipv4(tcp())))
    assert session[PPPoE].len == len(session[PPPoE].payload)
    assert session[TCP].dport == 1766
    labels = parse(craft.mpls(ipv4(udp()), labels=(16, 17)))
    assert [labels.getlayer(MPLS, number).s for number in (1, 2)] == [0, 1]
    assert labels[UDP].dport == 1766


def test_sctp_is_that_of_scapy() -> None:
    packet = parse(ethernet(ipv4(craft.sctp())))
    assert (packet[SCTP].sport, packet[SCTP].tag) == (2794, 0x5A17C0DE)


def test_tunnels_are_those_of_scapy() -> None:
    inner = ipv4(tcp(5, 6))
    keyed = parse(ethernet(ipv4(craft.gre(inner, key=7, sequence=9))))[GRE]
    assert (keyed.key, keyed.sequence_number, keyed.proto, keyed[TCP].sport) == (7, 9, 0x0800, 5)
    bridged = parse(ethernet(ipv6(craft.vxlan(ethernet(inner)))))
    assert (bridged[VXLAN].vni, bridged[TCP].dport) == (0x123, 6)
    general = parse(ethernet(ipv4(craft.geneve(ethernet(inner), options=bytes(8)))))[GENEVE]
    assert (general.optionlen, general.proto, general[TCP].sport) == (2, 0x6558, 5)
    assert parse(ethernet(ipv4(ipv6(tcp(5, 6)))))[IPv6][TCP].sport == 5


def test_every_length_can_be_wrong() -> None:
    assert ipv4(tcp(), total_length=3).data[2:4] == b"\0\3"
    assert ipv4(tcp(), ihl=2, version=7).data[0] == 0x72
    assert ipv6(tcp(), payload_length=1).data[4:6] == b"\0\1"
    assert udp(length=7).data[4:6] == b"\0\7"
    assert tcp(data_offset=15).data[12] == 0xF0
    assert craft.routing(hdr_ext_len=9).data[1] == 9
    assert craft.home_address(length=8)[1] == 8
    assert craft.authentication(payload_len=0).data[1] == 0
    assert craft.fragment(reserved=3).data[1] == 3
    assert craft.geneve(b"", option_length=63).data[8] == 63


def test_what_follows_a_header_can_be_given() -> None:
    number, data = craft.join((craft.hop_by_hop(following=6), craft.fragment(following=44)))
    assert (number, data[0], data[8]) == (0, 6, 44)


def test_a_cut_part_keeps_no_checksum() -> None:
    short = craft.cut(tcp(), 18)
    assert ipv4(short).data[20:] == tcp().data[:18]


def test_a_checksum_is_the_ones_complement_of_the_sum_with_carries() -> None:
    r = Random(1071)
    samples = [bytes(size) for size in range(5)] + [b"\xff" * size for size in range(1, 7)]
    samples += [b"\xff\xfe\0\1", b"\0\1\xf2\x03\xf4\xf5\xf6\xf7", b"\x80"]
    samples += [r.randbytes(r.randrange(200)) for _ in range(300)]
    for data in samples:
        total = 0
        for index, octet in enumerate(data):
            total += octet << (0 if index % 2 else 8)
            if total > 0xFFFF:
                total -= 0xFFFF
        assert internet_checksum(data) == 0xFFFF - total, data.hex()
    assert internet_checksum(b"\0\1\xf2\x03\xf4\xf5\xf6\xf7") == 0xFFFF - 0xDDF2  # RFC 1071, section 3
