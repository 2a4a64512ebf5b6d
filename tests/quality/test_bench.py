"""What the bench holds the compiled twin against does the whole job: its answers are the model's."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import random_frames
from vnethash.models.reference import outcome
from vnethash.models.toeplitz import byte_tables
from vnethash.spec.configuration import Configuration
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import capture_files
import libraries
import mix
import plain_c as plain
import replays

numpy = pytest.importorskip("numpy")
BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return plain.build(BENCH / "plain.c", tmp_path_factory.mktemp("bench"))


def answers(columns: Any) -> list[Outcome]:
    return [Outcome(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def packed(frames: list[bytes]) -> tuple[Any, Any, Any]:
    offsets = numpy.cumsum([0, *map(len, frames)], dtype=numpy.int64)
    return numpy.frombuffer(b"".join(frames), dtype=numpy.uint8), offsets[:-1].copy(), offsets[1:].copy()


@pytest.mark.needs_cc
@pytest.mark.parametrize("hash_types", [0x1FF, 0x3F, 0x1C0, 0x12, 0x109, 0x49, 0])
def test_plain_c_answers_the_mix_and_any_other_frame_as_the_model_does(library: Any, hash_types: int) -> None:
    r = Random(hash_types)
    frames = [*mix.frames(1500, hash_types), *(random_frames.any_frame(r) for _ in range(1500))]
    configuration = Configuration(hash_types=hash_types, key=r.randbytes(40))
    found = answers(plain.Plain(library, configuration).batch(*packed(frames)))
    for frame, answer in zip(frames, found, strict=True):
        assert answer == outcome(frame, configuration, Readings()), frame.hex()


@pytest.mark.needs_cc
def test_plain_c_reads_a_pcap(library: Any) -> None:
    frames = list(mix.frames(500))
    data = numpy.frombuffer(capture_files.pcap(frames), dtype=numpy.uint8)
    found = answers(plain.Plain(library, Configuration()).pcap(data, 1000))
    assert found == [outcome(frame, Configuration(), Readings()) for frame in frames]


def test_the_mix_has_every_kind_of_frame_and_adds_up_to_100() -> None:
    assert sum(mix.SHARES.values()) == 100
    assert mix.SHARES.keys() == mix.MAKERS.keys()
    reports = {outcome(frame, Configuration(), Readings()).report for frame in mix.frames(1000)}
    assert reports == set(range(10))
    assert list(mix.frames(5)) == list(mix.frames(5)) != list(mix.frames(5, 4))


def test_what_is_written_with_libraries_is_right_for_plain_frames() -> None:
    pytest.importorskip("dpkt")
    tables = byte_tables(Configuration().key)
    r = Random(1)
    for kind in ("IPv4 TCP", "IPv4 UDP", "IPv6 TCP", "IPv6 UDP", "ARP"):
        ethertype, packet = mix.MAKERS[kind](r)
        frame = bytes(12) + mix.two(ethertype) + packet
        answer = outcome(frame, Configuration(), Readings())
        expected = answer.value if answer.report else None
        assert libraries.by_dpkt(frame, tables) == libraries.by_scapy(frame, tables) == expected


def test_a_finding_that_does_not_hold_is_told_by_the_bench_of_replays(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    place = ("--ledger", ledger, "--corpus", tmp_path / "corpus")
    assert replays.vnethash("fuzz", "model:ndis", "--executions", 5_000, "--seed", 1, *place).returncode in {0, 1}
    words, wrong = replays.replayed(ledger)
    assert wrong == []
    count = int(words.split()[0])
    assert count >= 2
    assert words == f"{count} causes: {count} still there"
    with closing(sqlite3.connect(ledger)) as base, base:
        base.execute("UPDATE causes SET target = 'model:literal' WHERE id = (SELECT min(id) FROM causes)")
    words, (line,) = replays.replayed(ledger)
    assert words == f"{count} causes: 1 gone, {count - 1} still there"
    assert "gone" in line
