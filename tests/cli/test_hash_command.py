"""`vnethash hash`: lines, files of rows, the summary, and what goes wrong."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from vnethash.cli import hash as command
from vnethash.cli.hash_rows import condition
from vnethash.cli.main import run
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration, report_name
from vnethash.spec.errors import UsageError
from vnethash.spec.readings import Readings

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import capture_files as made
import random_frames

FRAMES = [random_frames.any_frame(Random(seed)) for seed in range(50)]
OUTCOMES = [outcome(frame, Configuration(), Readings()) for frame in FRAMES]


@pytest.fixture
def capture(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap(FRAMES))
    return path


def test_a_line_a_frame_and_the_sums_are_printed(capsys, capture):
    assert run(["hash", str(capture), "--limit", "3"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == str(capture)
    for number, line in enumerate(out[2:5]):
        report, value, queue = OUTCOMES[number]
        words = line.split()
        assert words[:2] == [str(number + 1), report_name(report)]
        assert words[2:] == ([f"0x{value:08x}", str(queue)] if report else ["-", str(queue)])
    assert "47 more (--limit, --output)" in out[5]
    hashed = sum(answer.report != 0 for answer in OUTCOMES)
    assert f"50 frames, {hashed} hashed, by CPython" in out
    assert run(["hash", str(capture), "--limit", "all"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= len(out) + 46


def test_the_summary_in_json_adds_up(capsys, capture):
    assert run(["hash", str(capture), str(capture), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames"] == 100 == sum(summary["reports"].values())
    assert summary["hashed"] == sum(summary["queues"].values()) == 100 - sum(summary["unhashed"].values())
    assert [entry["frames"] for entry in summary["files"]] == [50, 50]
    assert 0 < summary["entropy"] < summary["most_entropy"] == 7.0


@pytest.mark.parametrize("form", ["csv", "jsonl", "npy"])
def test_all_frames_go_into_a_file(capsys, tmp_path, capture, form):
    output = tmp_path / f"rows.{form}"
    assert run(["hash", str(capture), str(capture), "--limit", "0", "--output", str(output)]) == 0
    if form == "csv":
        with output.open(newline="") as file:
            entries = list(csv.DictReader(file))
        rows = [
            (int(entry["frame"]), entry["report"], int(entry["value"] or "0", 16), int(entry["queue"]))
            for entry in entries
        ]
        assert {entry["file"] for entry in entries} == {str(capture)}
    elif form == "jsonl":
        entries = [json.loads(line) for line in output.read_text().splitlines()]
        rows = [(entry["frame"], entry["report"], entry["value"] or 0, entry["queue"]) for entry in entries]
    else:
        numpy = pytest.importorskip("numpy")
        table = numpy.load(output)
        rows = [
            (int(row["frame"]), report_name(row["report"]), int(row["value"]), int(row["queue"])) for row in table
        ]
        assert table["file"].tolist() == [0] * 50 + [1] * 50
        assert table["wire"].tolist() == [len(frame) for frame in FRAMES] * 2
    expected = [
        (number, report_name(answer.report), answer.value, answer.queue) for number, answer in enumerate(OUTCOMES, 1)
    ]
    assert rows == expected * 2


def test_configuration_and_readings_are_those_of_explain(capsys, capture):
    assert run(["hash", str(capture), "--json", "-c", "hash_types=IPV4,indirection_table=5|6"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary["reports"]) == {"NONE", "IPV4"}
    assert set(summary["queues"]) == {"5", "6"}
    assert run(["hash", str(capture), "--json", "--reading", "vlan-tags=none"]) == 0
    fewer = json.loads(capsys.readouterr().out)
    assert fewer["hashed"] == sum(
        outcome(frame, Configuration(), Readings(vlan_tags=3)).report != 0 for frame in FRAMES
    )


def test_only_frames_that_are_wanted_are_shown_and_written(capsys, tmp_path, capture):
    output = tmp_path / "rows.csv"
    assert run(["hash", str(capture), "--where", "report==NONE", "--output", str(output), "--limit", "all"]) == 0
    out = capsys.readouterr().out
    none = [number for number, answer in enumerate(OUTCOMES, 1) if not answer.report]
    assert [int(line.split(",")[1]) for line in output.read_text().splitlines()[1:]] == none
    assert out.count(" NONE ") == len(none)
    assert "50 frames" in out
    row = (3, 2, 0xABCD, 7, 60, 60)
    for text, holds in (("queue==7", True), ("queue != 7", False), ("value==0xabcd", True), ("frame==4", False)):
        test = condition((text,))
        assert test is not None
        assert test(row) is holds
    for text in ("queue=7", "size==3", "report==TCP", "value==x", ""):
        with pytest.raises(UsageError, match="--where"):
            condition((text,))


def test_cut_frames_other_link_types_and_a_file_cut_short_are_told(capsys, tmp_path):
    path = tmp_path / "a.pcapng"
    parts = [made.section(), made.interface(snap=40), made.interface(link=101)]
    parts += [made.enhanced(frame, snap=40) for frame in FRAMES] + [made.enhanced(b"E" * 30, number=1)] * 2
    path.write_bytes(b"".join(parts)[:-5] + b"")
    assert run(["hash", str(path), "--limit", "1"]) == 0
    out = capsys.readouterr().out
    cut = sum(len(frame) > 40 for frame in FRAMES)
    assert f"{cut} frames are cut by the capture" in out
    assert "link type RAW" in out
    assert "it ends inside a record: the last 59 bytes were not read" in out


def test_damage_ends_with_code_2_and_a_user_mistake_is_one_line(capsys, tmp_path, capture):
    broken = tmp_path / "b.pcap"
    broken.write_bytes(made.pcap(FRAMES) + b"\xff" * 40)
    assert run(["hash", str(broken), "--limit", "0"]) == 2
    assert "damaged at byte" in capsys.readouterr().out
    for arguments in (
        [str(tmp_path / "none")], [str(capture), "--output", str(capture.with_suffix(".txt"))], ["-", "-"],
        [str(capture), "--limit", "-1"], [str(capture), "--dialect", "x"], [],
        [str(capture), "--output", str(tmp_path / "none" / "a.csv")],
    ):
        assert run(["hash", *arguments]) == 2
        captured = capsys.readouterr()
        assert len(captured.err.splitlines()) == 1, arguments
    (tmp_path / "a.csv").write_bytes(capture.read_bytes())
    assert run(["hash", str(tmp_path / "a.csv"), "--output", str(tmp_path / "a.csv")]) == 2
    assert "is one of the captures" in capsys.readouterr().err


def test_without_numba_cpython_runs_the_model_and_says_so_once(capsys, monkeypatch, capture):
    from vnethash.models import compiled

    monkeypatch.setattr(command, "_TINY", 100)

    compiled._numpy.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    try:
        assert run(["hash", str(capture), str(capture), "--json"]) == 0
        captured = capsys.readouterr()
        assert captured.err.count("no numba") == 1
        assert "pip install 'vnethash[fast]'" in captured.err
        assert json.loads(captured.out)["engine"] == "CPython"
        assert run(["hash", str(capture), "--engine", "compiled"]) == 4
        assert "needs numba" in capsys.readouterr().err
    finally:
        compiled._numpy.cache_clear()


def test_a_small_capture_does_not_wait_for_the_compiler_and_a_large_one_says_that_it_does(monkeypatch, capture):
    pytest.importorskip("numba")
    from vnethash.models import compiled

    monkeypatch.setattr(compiled, "is_compiled", lambda readings: False)
    monkeypatch.setattr(compiled, "engine", lambda configuration, readings: "twin")
    said = []
    monkeypatch.setattr(command, "_TINY", 100)
    small = command.choose_engine("auto", Configuration(), Readings(), (str(capture),), said.append)
    assert (small.name, said) == ("CPython", [])
    monkeypatch.setattr(command, "_SMALL", 100)
    assert command.choose_engine("auto", Configuration(), Readings(), (str(capture),), said.append) == "twin"
    assert "compiling the model" in said[0]


@pytest.mark.parametrize("form", ["csv", "npy"])
def test_ctrl_c_keeps_what_was_written_and_prints_the_sums(tmp_path, form):
    output = tmp_path / f"rows.{form}"
    command = [
        sys.executable, "-c", "from vnethash.cli.main import main; main()", "hash", "-", "--engine", "python",
        "--limit", "0", "--output", str(output), "--quiet",
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    head = made.pcap([])
    body = made.pcap(FRAMES)[24:]
    try:
        # More than one window, and then no end.
        process.stdin.write(head + body * (2 * (1 << 24) // len(body) // 8))
        process.stdin.flush()
        process.send_signal(0)
        deadline = time.monotonic() + 120
        while not output.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert err.endswith(b"vnethash: interrupted\n")
    told = int(next(line for line in out.decode().splitlines() if " hashed, by " in line).split()[0].replace(",", ""))
    if form == "csv":
        assert len(output.read_text().splitlines()) == told + 1
    else:
        numpy = pytest.importorskip("numpy")
        assert len(numpy.load(output)) == told
