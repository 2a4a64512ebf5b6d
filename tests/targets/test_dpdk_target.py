"""The target `dpdk`: what is DPDK's is held against Microsoft, scapy and our Toeplitz; what is ours, against DPDK."""

from __future__ import annotations

import ctypes
import ipaddress
import struct
from functools import cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import pytest
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.suite import distinct
from vnethash.conformance.suite.case import Case
from vnethash.models.toeplitz import toeplitz
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import TargetUnavailable, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Refused, Skipped
from vnethash.targets.dpdk import target as dpdk
from vnethash.targets.registry import open_target, probe_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vnethash.targets.base import Target

TYPES = 0x3F
#: source, port, destination, port, hash of the addresses, hash with ports (verifying-the-rss-hash-calculation.md)
MICROSOFT = [
    ("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323E8FC2, 0x51CCC178),
    ("199.92.111.2", 14230, "65.69.140.83", 4739, 0xD718262A, 0xC626B0EA),
    ("24.19.198.95", 12898, "12.22.207.184", 38024, 0xD2D0A5DE, 0x5C2B394A),
    ("38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xAFC7327F),
    ("153.39.163.191", 44251, "202.188.127.2", 1303, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2CC18CD5, 0x40207D3D),
    ("3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0F0C461C, 0xDDE51BBF),
    ("3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024, 0x4B61E985, 0x02D1FEEF),
]
TCP, UDP = 6, 17
L2_MASK, L3_MASK, L4_MASK, TUNNEL_MASK = 0xF, 0xF0, 0xF00, 0xF000
L3_IPV4, L3_IPV4_EXT, L3_IPV6, L3_IPV6_EXT = 0x10, 0x30, 0x40, 0xC0
L4_TCP, L4_UDP, L4_FRAG, L4_SCTP = 0x100, 0x200, 0x300, 0x400


class Said(NamedTuple):
    """What DPDK says of a frame: its type, and the lengths of layers 2 and 3 in bytes."""

    ptype: int
    l2: int
    l3: int


@cache
def _shim() -> ctypes.CDLL:
    return ctypes.CDLL(str(dpdk.library()))


def ptype(frame: bytes) -> Said:
    lengths = (ctypes.c_uint32 * 2)()
    found = int(_shim().vnethash_dpdk_ptype(frame, len(frame), lengths))
    return Said(found, lengths[0], lengths[1])


def softrss(key: bytes, data: bytes) -> int:
    words = [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]
    hashed = _shim().vnethash_dpdk_softrss((ctypes.c_uint32 * len(words))(*words), len(words), key.ljust(40, b"\0"))
    return int(hashed) & 0xFFFFFFFF


def frame_of(source: str, port: int, destination: str, to: int, protocol: int, chain: bytes = b"") -> bytes:
    """Return a frame; `chain` is what lies between the IPv6 header and ports, its first byte the type of the first."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    data = port.to_bytes(2, "big") + to.to_bytes(2, "big") + b"\0\0\0\0\0\0\0\0\x50" + bytes(7)
    if len(ends) == 8:
        length = (20 + len(data)).to_bytes(2, "big")
        return bytes(12) + b"\x08\0\x45\0" + length + bytes([0, 0, 0x40, 0, 64, protocol, 0, 0]) + ends + data
    first = chain[0] if chain else protocol
    length = (len(chain[1:]) + len(data)).to_bytes(2, "big")
    return bytes(12) + b"\x86\xdd\x60\0\0\0" + length + bytes([first, 64]) + ends + chain[1:] + data


@cache
def frames_of_the_suite() -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(draft.frame for draft in distinct()))


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    opened = open_target("dpdk")
    yield opened
    opened.close()


@pytest.mark.needs_dpdk
class TestWhatIsOfDpdk:
    def test_softrss_is_toeplitz_for_any_key_and_input(self) -> None:
        rng = Random(30)
        for _ in range(2000):
            key, data = rng.randbytes(40), rng.randbytes(4 * rng.randrange(1, 10))
            assert softrss(key, data) == toeplitz(key, data)

    def test_softrss_gives_the_hashes_of_microsoft(self) -> None:
        for source, port, destination, to, addresses, ports in MICROSOFT:
            ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
            assert softrss(MICROSOFT_KEY, ends) == addresses
            assert softrss(MICROSOFT_KEY, ends + port.to_bytes(2, "big") + to.to_bytes(2, "big")) == ports

    def test_the_packet_type_is_that_of_scapy_on_frames_that_are_sound(self) -> None:
        compared = {}
        for frame in frames_of_the_suite():
            if (expected := by_scapy(frame)) is None:
                continue
            said = ptype(frame)
            assert (said.ptype & (L3_MASK | L4_MASK), said.l2 + said.l3) == expected, frame.hex()
            compared[expected[0]] = compared.get(expected[0], 0) + 1
        assert {L3_IPV4 | L4_TCP, L3_IPV4 | L4_UDP, L3_IPV4_EXT | L4_TCP, L3_IPV6 | L4_TCP} <= compared.keys()
        assert {L3_IPV6 | L4_UDP, L3_IPV6_EXT | L4_TCP, L3_IPV6_EXT | L4_UDP, L3_IPV4} <= compared.keys()
        assert sum(compared.values()) > 300

    def test_four_extension_headers_are_walked_and_a_fifth_is_not(self) -> None:
        options = b"\x3c" + b"\x3c\0\x01\x04\0\0\0\0" * 3 + b"\x11\0\x01\x04\0\0\0\0"
        more = b"\x3c" + b"\x3c\0\x01\x04\0\0\0\0" + options[1:]
        source, port, destination, to, *_ = MICROSOFT[5]
        four, five = (frame_of(source, port, destination, to, UDP, chain) for chain in (options, more))
        assert ptype(four).ptype & ~L2_MASK == L3_IPV6_EXT | L4_UDP
        assert ptype(five).ptype & ~L2_MASK == L3_IPV6_EXT

    def test_an_88a8_tag_counts_as_two_whatever_follows_it(self) -> None:
        source, port, destination, to, *_ = MICROSOFT[0]
        plain = frame_of(source, port, destination, to, UDP)
        one = plain[:12] + bytes.fromhex("88a80001") + plain[12:]
        two = plain[:12] + bytes.fromhex("88a80001 81000001") + plain[12:]
        odd = plain[:12] + bytes.fromhex("88a80001 12340001") + plain[12:]
        assert ptype(one).ptype & ~L2_MASK == 0
        assert ptype(two) == ptype(odd)
        assert ptype(two).ptype & ~L2_MASK == L3_IPV4 | L4_UDP
        assert ptype(two).l2 == 22

    def test_the_version_is_looked_at_behind_0800_and_not_behind_86dd(self) -> None:
        ipv4 = bytearray(frame_of(*MICROSOFT[0][:4], UDP))
        ipv6 = bytearray(frame_of(*MICROSOFT[5][:4], UDP))
        for version in range(16):
            ipv4[14], ipv6[14] = version << 4 | 5, version << 4
            assert (ptype(bytes(ipv4)).ptype & L3_MASK) == (L3_IPV4 if version == 4 else 0)
            assert (ptype(bytes(ipv6)).ptype & L3_MASK) == L3_IPV6


@pytest.mark.needs_dpdk
class TestWhatIsOurs:
    def test_says_which_dpdk_it_is_and_what_it_shows(self, target: Target) -> None:
        assert target.name == "dpdk"
        assert target.implementation.version.startswith(dpdk.version())
        assert target.capabilities.observes == {"report", "value"}
        assert (target.capabilities.hash_types, target.capabilities.max_key_size) == (TYPES, 40)
        assert any("docs/dpdk.md" in note for note in target.notes)

    def test_gives_the_hashes_of_microsoft(self, target: Target) -> None:
        target.configure(Configuration(hash_types=TYPES))
        for source, port, destination, to, addresses, ports in MICROSOFT:
            frames = [frame_of(source, port, destination, to, protocol) for protocol in (TCP, UDP, 253)]
            first = 1 if "." in source else 4
            assert target.run(frames) == [
                Observation(first + 1, ports), Observation(first + 2, ports), Observation(first, addresses),
            ]  # fmt: skip

    def test_follows_from_the_packet_type_and_nothing_else(self, target: Target) -> None:
        """Written a second time, from docs/dpdk.md: whatever differs from virtio in an answer is DPDK's."""
        frames = frames_of_the_suite()
        reports = set()
        for hash_types in (TYPES, 0x09, 0x36, 0x12, 0x24, 0x00, 0x01):
            key = Random(hash_types).randbytes(40)
            target.configure(Configuration(hash_types=hash_types, key=key))
            for frame, result in zip(frames, target.run(frames), strict=True):
                assert result == by_mapping(frame, hash_types, key), frame.hex()
                reports.add(result.report if isinstance(result, Observation) else "skipped")
        assert reports == {0, 1, 2, 3, 4, 5, 6, "skipped"}

    def test_is_not_asked_what_dpdk_has_no_notion_of(self, target: Target) -> None:
        for configuration in (
            Configuration(hash_types=TYPES, key=MICROSOFT_KEY[:39]),
            Configuration(hash_types=TYPES, key=b""),
            Configuration(hash_types=TYPES, tunnel_types=1),
        ):
            with pytest.raises(Refused) as caught:
                target.configure(configuration)
            assert caught.value.skipped
        target.configure(Configuration(hash_types=TYPES))
        frame = frame_of("66.9.149.187", 2794, "161.142.100.80", 1766, UDP)
        results = target.run([frame.ljust(65535, b"\0"), frame.ljust(65536, b"\0"), frame[:36]])
        assert results[0] == Observation(3, 0x51CCC178)
        assert results[1] == Skipped("a segment of DPDK holds at most 65535 bytes")
        assert results[2] == Skipped("DPDK calls it UDP, but its ports are not in the frame")

    def test_is_judged_and_its_limit_of_extension_headers_is_found(self) -> None:
        source, port, destination, to, *_ = MICROSOFT[5]
        options = b"\x3c\0\x01\x04\0\0\0\0"
        cases = []
        for count in range(7):
            chain = b"\x3c" + options * (count - 1) + b"\x11" + options[1:] if count else b""
            frame = frame_of(source, port, destination, to, UDP, chain)
            cases.append(Case(f"{count} headers", ("X6-4",), frame, Configuration(hash_types=TYPES), count + 1))
        stream: list[records.AnyRecord] = []
        summary = check(["dpdk"], "test", cases, open_target, stream.append, now=lambda: "2026-01-01T00:00:00Z")
        (finding,) = (record for record in stream if isinstance(record, records.Finding))
        assert (finding.id, summary.exit_code) == ("T1.header-limit", 1)
        assert finding.cause in {"defect", "inconsistent"}  # these few cases leave other readings open
        witness = bytes.fromhex(finding.witness.frame)
        assert len(cases[4].frame) - 12 < len(witness) <= len(cases[5].frame)  # UDP has 12 less than TCP
        assert ptype(witness).ptype & ~L2_MASK == L3_IPV6_EXT
        assert [line for line in probe_all() if line.name == "dpdk" and line.judged and line.available]


class TestTheShim:
    @pytest.mark.needs_dpdk
    def test_is_compiled_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        path = dpdk.library()
        before = path.stat().st_mtime_ns
        assert dpdk.library() == path
        assert path.stat().st_mtime_ns == before
        assert list(path.parent.iterdir()) == [path]

    @pytest.mark.needs_dpdk
    @pytest.mark.needs_sanitizers
    def test_reads_nothing_beside_a_frame(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(dpdk, "_FLAGS", (*dpdk._FLAGS, "-g", "-O1", "-fsanitize=address,undefined"))
        rng = Random(31)
        frames = [*frames_of_the_suite(), *(f[: rng.randrange(len(f) + 1)] for f in frames_of_the_suite())]
        with dpdk.open_dpdk() as target:
            assert any(note.startswith("with libasan") for note in target.notes)
            for hash_types in (TYPES, 0x09):
                target.configure(Configuration(hash_types=hash_types))
                assert {type(result) for result in target.run(frames)} <= {Observation, Skipped}

    @pytest.mark.needs_dpdk
    def test_that_cannot_be_compiled_or_kept_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(dpdk, "_FLAGS", ("-include", "no-such-header.h"))
        with pytest.raises(TargetUnavailable, match=r"does not compile: .*no-such-header\.h") as caught:
            dpdk.library()
        assert "\n" not in caught.value.line()
        assert list((tmp_path / "vnethash").iterdir()) == []
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        with pytest.raises(TargetUnavailable, match="could not be compiled") as caught:
            dpdk.library()
        assert "XDG_CACHE_HOME" in caught.value.hint

    def test_needs_what_the_line_of_targets_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        for program, words in (("cc", "no C compiler"), ("pkg-config", "no pkg-config"), ("", "does not know libdpdk")):
            (line,) = dpdk.probe()
            assert not line.available
            assert words in line.reason
            assert "apt-get install libdpdk-dev" in line.reason
            with pytest.raises(TargetUnavailable, match=words):
                open_target("dpdk")
            if program:
                (tmp_path / program).write_text("#!/bin/sh\nexit 1\n")
                (tmp_path / program).chmod(0o755)

    def test_takes_no_argument(self) -> None:
        with pytest.raises(UsageError, match="takes no argument"):
            open_target("dpdk:22.11")


def by_scapy(frame: bytes) -> tuple[int, int] | None:
    """Return (layers 3 and 4 of the packet type, where layer 4 begins) for a frame that both must see alike.

    None for one that is cut, padded or a fragment, has a tag or a header that only one of them knows, or more than four
    extension headers: there they may differ, and are to be looked at one by one.
    """
    from scapy.layers.inet import IP
    from scapy.layers.inet import TCP as SCAPY_TCP
    from scapy.layers.inet import UDP as SCAPY_UDP
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting
    from scapy.layers.l2 import Dot1Q, Ether
    from scapy.packet import NoPayload, Packet

    if len(frame) < 34:
        return None
    try:
        layer: Packet = Ether(frame)
    except struct.error:  # scapy, on a layer that is cut
        return None
    at, tags = 14, 0
    layer = layer.payload
    while isinstance(layer, Dot1Q):
        at, tags, layer = at + 4, tags + 1, layer.payload
    if tags > 1 or frame[12:14] == b"\x88\xa8":
        return None
    if isinstance(layer, IP):
        header = 4 * (layer.ihl or 0)
        if layer.version != 4 or header < 20 or layer.frag or layer.flags.MF or layer.len != len(frame) - at:
            return None
        if layer.len < header:
            return None
        kind, number, at = L3_IPV4 if header == 20 else L3_IPV4_EXT, layer.proto, at + header
    elif isinstance(layer, IPv6):
        if layer.version != 6 or layer.plen != len(frame) - at - 40:
            return None
        kind, number, at, headers = L3_IPV6, layer.nh, at + 40, 0
        while isinstance(layer.payload, (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)):
            layer = layer.payload
            size = 8 * (layer.len + 1)
            if len(frame) < at + size:
                return None
            kind, number, at, headers = L3_IPV6_EXT, layer.nh, at + size, headers + 1
        if headers > 4:
            return None
    else:
        return None
    above = layer.payload
    if number == TCP and isinstance(above, SCAPY_TCP):
        return (kind | L4_TCP, at) if len(frame) >= at + 20 else None
    if number == UDP and isinstance(above, SCAPY_UDP):
        return (kind | L4_UDP, at) if len(frame) >= at + 8 else None
    if number in (1, 58) and not isinstance(above, NoPayload):
        return kind, at
    return None


def by_mapping(frame: bytes, hash_types: int, key: bytes) -> Observation | Skipped:
    """Return what docs/dpdk.md says that the target makes of DPDK's answer."""
    if len(frame) > 0xFFFF:
        return Skipped("a segment of DPDK holds at most 65535 bytes")
    said = ptype(frame)
    if said.ptype & L3_MASK in (0x10, 0x30, 0x90):
        first, ends = 1, frame[said.l2 + 12 : said.l2 + 20]
    elif said.ptype & L3_MASK in (0x40, 0xC0, 0xE0):
        first, ends = 4, frame[said.l2 + 8 : said.l2 + 40]
    else:
        return Observation(0, 0)
    report = first + {L4_TCP: 1, L4_UDP: 2}.get(said.ptype & L4_MASK, 0)
    if not hash_types >> (report - 1) & 1:
        report = first
    if not hash_types >> (report - 1) & 1:
        return Observation(0, 0)
    ports = b""
    if report != first:
        ports = frame[said.l2 + said.l3 :][:4]
        if len(ports) < 4:
            return Skipped("DPDK calls it UDP, but its ports are not in the frame")
    return Observation(report, toeplitz(key, ends + ports))
