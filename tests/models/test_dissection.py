"""What scapy and tshark find in well-formed frames, the model finds at the same places."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from vnethash.models.reference import dissect
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from pathlib import Path

    from vnethash.models.packet import Packet

LITERAL = Readings()


def address4(r: Random) -> str:
    return str(ip_address(r.randbytes(4)))


def address6(r: Random) -> str:
    return str(ip_address(b"\x20\x01" + r.randbytes(14)))


@cache
def built_frames(count: int, seed: int) -> tuple[bytes, ...]:
    """Return frames that scapy builds."""
    from scapy.all import Ether  # noqa: F401 - loads the layers once

    r = Random(seed)
    return tuple(one_frame(r) for _ in range(count))


def one_frame(r: Random) -> bytes:
    from scapy.layers.l2 import Dot1AD, Dot1Q, Ether

    head: Any = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    if r.randrange(5) == 0:
        head /= Dot1Q(vlan=r.randrange(4096))
    elif r.randrange(10) == 0:
        head = head / Dot1AD(vlan=5) / Dot1Q(vlan=6)
    return bytes(head / (packet4(r) if r.randrange(5) < 2 else packet6(r)))


def transport(r: Random, *, six: bool) -> Any:
    from scapy.layers.inet import ICMP, TCP, UDP
    from scapy.layers.inet6 import ICMPv6EchoRequest
    from scapy.packet import Raw

    ports = {"sport": r.randrange(1024, 65536), "dport": r.randrange(20000, 30000)}
    choice = r.randrange(5)
    if choice < 2:
        options = r.choice(([], [("MSS", 1460)], [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]))
        return TCP(**ports, options=options) / Raw(r.randbytes(r.randrange(20)))
    if choice < 4:
        return UDP(**ports) / Raw(r.randbytes(r.randrange(20)))
    return ICMPv6EchoRequest(data=b"x") if six else ICMP()


def packet4(r: Random) -> Any:
    from scapy.layers.inet import IP, IPOption_NOP, IPOption_RR

    flags, offset = r.choice((("", 0), ("", 0), ("DF", 0), ("DF", 0), ("MF", 0), ("MF", 64), ("", 64)))
    record = IPOption_RR(length=11, pointer=4, routers=["1.2.3.4", "5.6.7.8"])
    options = r.choice(([], [], [], [IPOption_NOP()], [record]))
    head = IP(src=address4(r), dst=address4(r), flags=flags, frag=offset, options=options, id=r.randrange(65536))
    return head / transport(r, six=False)


def packet6(r: Random) -> Any:
    from scapy.layers.inet6 import (
        HAO,
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
        PadN,
        RouterAlert,
    )

    packet: Any = IPv6(src=address6(r), dst=address6(r))
    if r.randrange(4) == 0:
        packet /= IPv6ExtHdrHopByHop(options=[RouterAlert()])
    if r.randrange(4) == 0:
        packet /= IPv6ExtHdrRouting(type=2, segleft=1, addresses=[address6(r)])
    if r.randrange(4) == 0:
        offset, more = r.choice(((0, 1), (0, 0), (32, 1), (32, 0)))
        packet /= IPv6ExtHdrFragment(offset=offset, m=more, id=r.randrange(1 << 32))
    if r.randrange(3) == 0:
        home = HAO(hoa=address6(r))
        options = r.choice(([home], [PadN(optdata=b"\0\0"), home], [PadN(optdata=b"\0\0\0")]))
        packet /= IPv6ExtHdrDestOpt(options=options)
    return packet / transport(r, six=True)


def text(frame: bytes, offset: int, size: int) -> str:
    return str(ip_address(frame[offset:offset + size]))


def addresses(frame: bytes, packet: Packet) -> tuple[str, str]:
    if packet.version == 4:
        return text(frame, packet.l3 + 12, 4), text(frame, packet.l3 + 16, 4)
    return text(frame, packet.l3 + 8, 16), text(frame, packet.l3 + 24, 16)


def ports(frame: bytes, packet: Packet) -> tuple[int, int]:
    o = packet.l4
    return int.from_bytes(frame[o:o + 2], "big"), int.from_bytes(frame[o + 2:o + 4], "big")


def test_scapy_finds_the_same_fields() -> None:
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import (
        HAO,
        IPv6,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
    )
    from scapy.layers.l2 import Ether

    seen = set()
    for frame in built_frames(1200, 31):
        packet, other = dissect(frame, len(frame), LITERAL), Ether(frame)
        if IP in other:
            ip = other[IP]
            assert (packet.version, *addresses(frame, packet)) == (4, ip.src, ip.dst)
            assert packet.protocol == ip.proto
            assert packet.fragment == (2 if ip.frag else 1 if ip.flags.MF else 0)
            assert packet.end == packet.l3 + ip.len
            assert packet.l4 == packet.l3 + ip.ihl * 4
        else:
            ip = other[IPv6]
            assert (packet.version, *addresses(frame, packet)) == (6, ip.src, ip.dst)
            headers = [kind for kind in (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrFragment, IPv6ExtHdrDestOpt)
                       if kind in other]
            assert packet.extension == bool(headers)
            fragment = other.getlayer(IPv6ExtHdrFragment)
            kind = 0 if fragment is None else 2 if fragment.offset else 1 if fragment.m else 3
            assert packet.fragment == kind
            if kind != 2:
                last = other[headers[-1]] if headers else ip
                assert packet.protocol == last.nh
            if IPv6ExtHdrRouting in other:
                assert text(frame, packet.route, 16) == other[IPv6ExtHdrRouting].addresses[0]
            else:
                assert packet.route == 0
            if IPv6ExtHdrDestOpt in other and kind != 2:
                homes = [option.hoa for option in other[IPv6ExtHdrDestOpt].options if isinstance(option, HAO)]
                assert ([text(frame, packet.home, 16)] if packet.home else []) == homes
                assert packet.options
        if packet.fragment != 2:
            for kind, layer in ((6, TCP), (17, UDP)):
                assert (packet.transport == kind) == (layer in other and packet.protocol == kind)
                if packet.transport == kind:
                    assert ports(frame, packet) == (other[layer].sport, other[layer].dport)
        else:
            assert packet.transport == 0
        seen.add((packet.version, packet.transport, packet.fragment, packet.home != 0, packet.route != 0))
    assert len(seen) >= 25


FIELDS = (
    "ip.src", "ip.dst", "ip.proto", "ip.frag_offset", "ip.flags.mf", "ipv6.src", "ipv6.dst", "ipv6.fraghdr.offset",
    "ipv6.fraghdr.more", "ipv6.opt.mipv6.home_address", "ipv6.routing.mipv6.home_address",
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
)


@pytest.mark.needs_tshark
def test_tshark_finds_the_same_fields(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    from scapy.utils import wrpcap

    frames = built_frames(1200, 31)[:700]
    path = tmp_path / "frames.pcap"
    wrpcap(str(path), [frame for frame in frames], linktype=1)  # noqa: C416 - scapy wants a list
    command = [tshark, "-n", "-r", str(path), "-T", "json", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for field in FIELDS:
        command += ["-e", field]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found = [entry["_source"].get("layers", {}) for entry in json.loads(answer.stdout)]
    assert len(found) == len(frames)
    for frame, fields in zip(frames, found, strict=True):
        packet = dissect(frame, len(frame), LITERAL)
        first = {name: values[0] for name, values in fields.items()}
        if packet.version == 4:
            assert (first["ip.src"], first["ip.dst"]) == addresses(frame, packet)
            assert int(first["ip.proto"]) == packet.protocol
            more = first["ip.flags.mf"] in ("1", "True", True)
            assert packet.fragment == (2 if int(first["ip.frag_offset"]) else 1 if more else 0)
        else:
            assert (first["ipv6.src"], first["ipv6.dst"]) == addresses(frame, packet)
            if packet.fragment == 0:
                assert "ipv6.fraghdr.offset" not in first
            else:
                more = first["ipv6.fraghdr.more"] in ("1", "True", True)
                assert packet.fragment == (2 if int(first["ipv6.fraghdr.offset"]) else 1 if more else 3)
            route = text(frame, packet.route, 16) if packet.route else None
            home = text(frame, packet.home, 16) if packet.home else None
            assert first.get("ipv6.routing.mipv6.home_address") == route
            assert first.get("ipv6.opt.mipv6.home_address") == home
        for kind, name in ((6, "tcp"), (17, "udp")):
            theirs = (int(first.get(f"{name}.srcport", -1)), int(first.get(f"{name}.dstport", -1)))
            assert theirs == (ports(frame, packet) if packet.transport == kind else (-1, -1))
