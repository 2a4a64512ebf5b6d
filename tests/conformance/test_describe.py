"""Frames in words."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from vnethash.conformance.describe import decode, hexdump
from vnethash.conformance.suite import load_suite
from vnethash.models.summarize import LONGEST, summarize
from vnethash.spec import craft
from vnethash.spec.craft import ethernet, ipv4, ipv6, tcp, udp


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "nothing"),
        (bytes(5), "eth cut(5)"),
        (ethernet(ipv4(tcp())), "eth/ipv4/tcp"),
        (ethernet(ipv4(tcp(), flags=craft.DF)), "eth/ipv4(df)/tcp"),
        (ethernet(ipv4(tcp(), flags=craft.MF, options=bytes(4))), "eth/ipv4(ihl 6 mf)/tcp"),
        (ethernet(ipv4(craft.raw(17, bytes(8)), offset=3)), "eth/ipv4(off 24)/protocol(17) payload"),
        (ethernet(ipv4(tcp(), total_length=24)), "eth/ipv4(16 behind)/tcp cut(4)"),
        (ethernet(ipv4(tcp(), total_length=0)), "eth/ipv4(total 0 of 40)/tcp"),
        (ethernet(ipv4(craft.cut(udp(), 3), version=6)), "eth/ipv4(version 6)/udp cut(3)"),
        (ethernet(ipv4())[:30], "eth/ipv4 cut(16)"),
        (ethernet(ipv4(craft.authentication(), udp())), "eth/ipv4/ah/udp"),
        (ethernet(ipv4(craft.icmp())), "eth/ipv4/icmp"),
        (ethernet(ipv6(craft.icmpv6(135))), "eth/ipv6/icmpv6(135)"),
        (ethernet(ipv6()), "eth/ipv6/none"),
        (ethernet(ipv6(craft.raw(59, bytes(3)))), "eth/ipv6/none(3 behind)"),
        (ethernet(ipv6(craft.sctp(), payload_length=0)), "eth/ipv6(payload 0 of 32)/sctp"),
        (ethernet(ipv6(craft.hop_by_hop(), craft.home_options(), tcp())), "eth/ipv6/hbh/dstopts(hao)/tcp"),
        (ethernet(ipv6(craft.destination_options(craft.padn(2), craft.option(0xC9, bytes(8))), udp())),
         "eth/ipv6/dstopts(hao len 8)/udp"),
        (ethernet(ipv6(craft.destination_options(craft.home_address(), hdr_ext_len=1, pad=False), udp())),
         "eth/ipv6/dstopts(hao beyond)/udp(length 2794 of 12)"),
        (ethernet(ipv6(craft.destination_options(craft.pad1(30), craft.home_address()), udp())),
         "eth/ipv6/dstopts(hao at 32 32 options)/udp"),
        (ethernet(ipv6(craft.routing(segments_left=0), craft.fragment(more=True), craft.cut(tcp(), 4))),
         "eth/ipv6/rt(type 2 len 2 left 0)/frag(off 0 m 1)/tcp cut(4)"),
        (ethernet(ipv6(craft.fragment(9, reserved=2), craft.raw(60, bytes(8)))),
         "eth/ipv6/frag(off 72 m 0 reserved 2)/next(60) payload"),
        (ethernet(ipv6(*[craft.mobility()] * 12, udp(length=3))), "eth/ipv6/mh*12/udp(length 3 of 8)"),
        (ethernet(ipv6(craft.hop_by_hop(hdr_ext_len=4))), "eth/ipv6/hbh cut(8 of 40)"),
        (ethernet(ipv4(tcp()), tags=(0x88A8, 0x8100)), "eth/vlan(88a8)/vlan(8100)/ipv4/tcp"),
        (ethernet(b"", kind=0x0806), "eth/arp"),
        (ethernet(b"", kind=0x1234), "eth/type(1234)"),
        (craft.llc_snap(ipv4(udp())), "eth/snap/ipv4/udp"),
        (craft.pppoe(ipv6(udp())), "eth/pppoe/ipv6/udp"),
        (craft.mpls(ipv4(udp()), labels=(1, 2)), "eth/mpls(2)/ipv4/udp"),
        (ethernet(ipv4(craft.gre(ipv6(tcp()), key=1))), "eth/ipv4/gre(2000)/ipv6/tcp"),
        (ethernet(ipv4(ipv4(tcp()))), "eth/ipv4/in/ipv4/tcp"),
        (ethernet(ipv6(craft.vxlan(ethernet(ipv4(tcp()))))), "eth/ipv6/udp/vxlan/eth/ipv4/tcp"),
        (ethernet(ipv4(craft.vxlan_gpe(ipv6(tcp())))), "eth/ipv4/udp/gpe/ipv6/tcp"),
        (ethernet(ipv4(craft.geneve(ethernet(ipv4(tcp())), options=bytes(4)))), "eth/ipv4/udp/geneve/eth/ipv4/tcp"),
        (ethernet(ipv4(craft.gre_in_udp(ipv4(tcp())))), "eth/ipv4/udp/gre/ipv4/tcp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_frame_is_its_headers_on_a_line(frame: bytes, words: str) -> None:
    assert summarize(frame) == words


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=300)
def test_a_summary_of_any_bytes_is_one_short_line(data: bytes) -> None:
    check(data)


@given(st.sampled_from([case.frame for case in load_suite("quick").cases]), st.data())
@settings(deadline=None, max_examples=600)
def test_a_summary_of_a_damaged_frame_is_one_short_line(frame: bytes, data: st.DataObject) -> None:
    damaged = bytearray(frame[:data.draw(st.integers(0, len(frame)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(damaged))


def check(data: bytes) -> None:
    words = summarize(data)
    assert 0 < len(words) <= LONGEST
    assert words.isprintable()


def test_a_tunnel_without_end_ends() -> None:
    frame = ethernet(ipv4(craft.raw(4, b"\x40" + bytes(7) + b"\0\4" + bytes(60))))
    assert summarize(frame)
    assert len(summarize(ethernet(b"".join([b"\0\1\x81\0"] * 500), kind=0x8100))) <= LONGEST


@given(st.binary(max_size=120))
@example(b"")
@settings(deadline=None, max_examples=100)
def test_a_dissection_never_fails(data: bytes) -> None:
    assert isinstance(decode(data), str)
    if len(data) < 14:
        assert decode(data) == hexdump(data)


def test_every_frame_of_the_suite_can_be_shown() -> None:
    for case in load_suite("quick").cases:
        check(case.frame)
        assert decode(case.frame)


def test_a_dissection_names_the_fields() -> None:
    shown = decode(ethernet(ipv6(craft.home_options(), tcp())))
    assert "Home Address Option" in shown
    assert "3ffe:501:8:0:260:97ff:fe40:efab" in shown


def test_a_dump_has_offsets_bytes_and_characters() -> None:
    lines = hexdump(bytes(range(0x30, 0x44))).splitlines()
    assert lines[0].startswith("0000  30 31 32")
    assert lines[0].endswith("0123456789:;<=>?")
    assert lines[1].startswith("0010  40 41 42 43")
