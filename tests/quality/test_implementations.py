"""The implementations that test the tester are as they say: correct, sound, and broken where it is planted."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import frames
import pytest
from defects import DEFECTS
from loop import respond
from mixed import MIXTURES, Mixed
from needs import require
from plain import Plain
from profiles import NdisProfile, OddProfile
from vnethash.spec.clauses import load as load_clauses

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "implementations"
CORRECT = ("literal", "plain", "ndis", "odd")
EVERYTHING = {
    "features": ["HASH_REPORT", "RSS"], "hash_types": 511, "key": frames.MICROSOFT_KEY,
    "indirection_table": list(range(128)), "unclassified_queue": 200, "max_tx_vq": 1, "tunnel_types": 0,
}  # fmt: skip

#: destination, source, hash of the addresses, hash with ports (verifying-the-rss-hash-calculation.md)
MICROSOFT_VECTORS = [
    ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x323E8FC2, 0x51CCC178),
    ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xD718262A, 0xC626B0EA),
    ("12.22.207.184", 38024, "24.19.198.95", 12898, 0xD2D0A5DE, 0x5C2B394A),
    ("209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xAFC7327F),
    ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2CC18CD5, 0x40207D3D),
    ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0F0C461C, 0xDDE51BBF),
    ("fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4B61E985, 0x02D1FEEF),
]


class Adapter:
    """A program that speaks the protocol."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def line(self, data: bytes) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, **request: Any) -> Any:
        return self.line(json.dumps(request).encode())

    def configure(self, config: dict[str, Any]) -> None:
        assert self.ask(cmd="configure", seq=1, config=config) == {"seq": 1, "ok": True}

    def run(self, packets: list[bytes]) -> list[dict[str, int]]:
        answer = self.ask(cmd="run", seq=2, packets=[packet.hex() for packet in packets])
        assert answer["seq"] == 2
        return list(answer["results"])

    def close(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(10)


def build(folder: Path, *flags: str) -> Path:
    """Compile literal.c; skips where there is no compiler."""
    require("cc")
    program = folder / "literal"
    command = ["cc", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(program), str(HERE / "literal.c")]
    subprocess.run(command, check=True)
    return program


@pytest.fixture(scope="module")
def literal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("literal"), "-O2")


@pytest.fixture
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    name = request.param
    in_c = name == "literal"
    opened = Adapter([str(request.getfixturevalue(name))] if in_c else [sys.executable, str(HERE / f"{name}.py")])
    yield opened
    assert opened.close() == 0


each_correct = pytest.mark.parametrize("adapter", CORRECT, indirect=True)


def a_frame(destination: str, to: int, source: str, port: int, protocol: int) -> bytes:
    """Return a frame of one of Microsoft's vectors; protocol 6, 17, or anything else for one without ports."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    data = port.to_bytes(2, "big") + to.to_bytes(2, "big") + bytes(16)
    if len(ends) == 8:
        header = b"\x45\0" + (20 + len(data)).to_bytes(2, "big") + bytes([0, 0, 0x40, 0, 64, protocol, 0, 0])
        return bytes(12) + b"\x08\0" + header + ends + data
    return bytes(12) + b"\x86\xdd" + b"\x60\0\0\0" + len(data).to_bytes(2, "big") + bytes([protocol, 64]) + ends + data


def batches(seed: int, count: int) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """Yield `count` configurations with 20 frames each."""
    rng = Random(seed)
    for _ in range(count):
        yield frames.configuration(rng), [frames.frame(rng) for _ in range(20)]


def disagreements(device: Plain, other: Plain, batch: Iterator[tuple[dict[str, Any], list[bytes]]]) -> Iterator[bytes]:
    for config, packets in batch:
        device.configure(config)
        other.configure(config)
        for packet in packets:
            if device.answer(packet) != other.answer(packet):
                yield packet


# -------------------------------------------------------------------- the correct ones


@each_correct
def test_each_computes_the_vectors_of_microsoft(adapter: Adapter) -> None:
    for hash_types in (0x1FF, 0x3F):
        adapter.configure({**EVERYTHING, "hash_types": hash_types})
        for destination, to, source, port, addresses, ports in MICROSOFT_VECTORS:
            results = adapter.run([a_frame(destination, to, source, port, protocol) for protocol in (6, 17, 1)])
            assert [result["value"] for result in results] == [ports, ports, addresses]
            assert [result["queue"] for result in results] == [ports & 127, ports & 127, addresses & 127]
            plain = [2, 3, 1] if "." in destination else [5, 6, 4]
            ex_label = "ndis" in str(adapter.process.args) and hash_types == 0x1FF and plain[0] == 5
            assert [result["report"] for result in results] == ([8, 9, 7] if ex_label else plain)


@each_correct
def test_each_answers_bad_requests_and_goes_on(adapter: Adapter) -> None:
    assert adapter.ask(cmd="start", version=1)["version"] == 1
    assert "error" in adapter.ask(cmd="run", seq=2, packets=["00"])
    for line in (b"", b"nonsense", b"[1]", b"{", b'{"cmd":"start"', b"\xff\xfe\xfd", b"7", b'{"cmd":[]}', b"[" * 5000):
        assert "error" in adapter.line(line), line
    bad: list[dict[str, Any]] = [{"key": "xyz"}, {"key": 5}, {"indirection_table": []}, {"indirection_table": 3}]
    bad.append({"hash_types": "many"})
    for change in bad:
        answer = adapter.ask(cmd="configure", seq=1, config={**EVERYTHING, **change})
        assert (answer["seq"], answer["ok"]) == (1, False), change
    assert adapter.ask(cmd="configure", seq=1)["ok"] is False
    adapter.configure(EVERYTHING)
    assert "error" in adapter.ask(cmd="run", seq=2)
    results = adapter.ask(cmd="run", seq=3, more="fields", packets=["", "0", "zz", 5, "00"])["results"]
    assert ["error" in result for result in results] == [False, True, True, True, False]
    assert results[0] == {"report": 0, "value": 0, "queue": 200}
    assert adapter.ask(cmd="stop") == {}


@pytest.mark.parametrize("name", ["plain.py", "ndis.py", "odd.py", "defects.py", "mixed.py"])
def test_an_adapter_in_python_starts_at_once(name: str) -> None:
    begun = time.perf_counter()
    adapter = Adapter([sys.executable, str(HERE / name), *(["key-window"] if name == "defects.py" else [])])
    assert adapter.ask(cmd="start", version=1)["version"] == 1
    assert adapter.close() == 0
    assert time.perf_counter() - begun < 2


def test_c_and_python_agree_on_the_literal_dialect(literal: Path) -> None:
    adapter, device = Adapter([str(literal)]), Plain()
    reports = set()
    for config, packets in batches(1, 1000):
        adapter.configure(config)
        device.configure(config)
        expected = [device.answer(packet) for packet in packets]
        assert adapter.run(packets) == expected
        reports |= {result["report"] for result in expected}
    assert reports == set(range(10))
    assert adapter.close() == 0


@pytest.mark.parametrize(("name", "profile"), [("ndis", NdisProfile), ("odd", OddProfile)])
def test_the_other_dialects_do_what_they_declare(name: str, profile: type[Plain]) -> None:
    adapter, device = Adapter([sys.executable, str(HERE / f"{name}.py")]), profile()
    for config, packets in batches(2, 500):
        adapter.configure(config)
        device.configure(config)
        assert adapter.run(packets) == [device.answer(packet) for packet in packets]
    assert adapter.close() == 0
    assert next(disagreements(device, Plain(), batches(3, 100)))


def test_the_c_program_is_clean_under_the_sanitizers(tmp_path: Path) -> None:
    require("sanitizers")
    program = build(tmp_path, "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    adapter = Adapter([str(program)], env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}, stderr=subprocess.PIPE)
    rng = Random(4)
    for config, packets in batches(5, 250):
        adapter.configure(config)
        assert len(adapter.run(packets)) == 20
        request = json.dumps({"cmd": "run", "seq": 3, "packets": ["00"]}).encode()
        at = rng.randrange(len(request))
        adapter.line(request[:at] + bytes([rng.randrange(0x20, 0x7F)]) + request[at + 1 :])
        adapter.line(request[:at])
    assert adapter.close() == 0
    assert adapter.process.stderr
    assert adapter.process.stderr.read() == b""


# -------------------------------------------------------------------- the broken ones


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_shows_on_some_frame_and_not_on_all(name: str) -> None:
    packets = sum(1 for _ in disagreements(DEFECTS[name].device(), Plain(), batches(7, 25)))
    assert packets < 500
    assert packets or next(disagreements(DEFECTS[name].device(), Plain(), batches(8, 2000)), None)


def test_the_table_of_defects_names_clauses_that_exist() -> None:
    assert len(DEFECTS) >= 24
    clauses = load_clauses()
    for defect in DEFECTS.values():
        assert defect.description
        assert defect.clauses
        assert not [clause for clause in defect.clauses if clause not in clauses], defect.name
        assert all(re.fullmatch(r"A-\d\d+", item) for item in defect.near)


@pytest.mark.parametrize("part", MIXTURES)
def test_a_mixture_shows_and_each_of_its_answers_is_one_of_two_readings(part: str) -> None:
    class Other(Plain):
        """The other reading of both questions."""

        def choose(self, packet: Any, types: int) -> int:
            packet.transport = 0
            return super().choose(packet, types)

    first, second, mixed = Plain(), Other(), Mixed({part})
    seen = set()
    for config, packets in batches(9, 600):
        for device in (first, second, mixed):
            device.configure({**config, "hash_types": 511})
        for packet in packets:
            answers = first.answer(packet), second.answer(packet)
            assert mixed.answer(packet) in answers
            if mixed.answer(packet) != answers[0]:
                seen.add(packet)
    assert seen


def test_the_usage_of_defects_names_them_all() -> None:
    listed = subprocess.run([sys.executable, str(HERE / "defects.py"), "--list"], capture_output=True, check=True)
    assert [json.loads(line)["name"] for line in listed.stdout.splitlines()] == list(DEFECTS)
    wrong = subprocess.run([sys.executable, str(HERE / "defects.py"), "nothing"], capture_output=True, check=False)
    assert wrong.returncode == 2
    assert b"key-window" in wrong.stderr


def test_a_device_whose_configuration_is_refused_keeps_the_one_before() -> None:
    device = Plain()
    device.configure(EVERYTHING)
    assert respond(device, {"cmd": "configure", "seq": 1, "config": {**EVERYTHING, "key": "x"}})["ok"] is False
    assert device.answer(b"") == {"report": 0, "value": 0, "queue": 200}
