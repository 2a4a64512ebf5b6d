"""Every frame of a capture is found where other readers find it, and answered as the model answers."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import threading
from random import Random
from typing import TYPE_CHECKING, Any

import capture_files as made
import pytest
import random_frames
from vnethash.models import capture_ahead
from vnethash.models.capture_ahead import Engine
from vnethash.models.capture_reader import Batch, Capture
from vnethash.models.capture_totals import Totals, most_entropy
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, UsageError
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Engine.interpreted(Configuration(), Readings())
FRAMES = [random_frames.any_frame(Random(seed)) for seed in range(60)]


@pytest.fixture(scope="module", params=["CPython", "compiled"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "CPython":
        return PLAIN
    pytest.importorskip("numba")
    from vnethash.models.compiled import engine

    return engine(Configuration(), Readings())


def read(path: Path, engine: Engine = PLAIN) -> tuple[Capture, list[Batch]]:
    with Capture(str(path), engine) as capture:
        return capture, list(capture.batches())


def column(batches: list[Batch], name: str) -> list[int]:
    return [value for batch in batches for value in getattr(batch, name).tolist()]


def answers(batches: list[Batch]) -> list[Outcome]:
    return [
        Outcome(*row) for batch in batches
        for row in zip(*(column.tolist() for column in batch.answers[:3]), strict=True)
    ]


def expected(frames: list[bytes]) -> list[Outcome]:
    return [outcome(frame, Configuration(), Readings()) for frame in frames]


def mixed(*, big: bool) -> bytes:
    """Return a section with everything: two interfaces, one of them not Ethernet, and all three kinds of packet."""
    parts = [made.section(big=big), made.interface(big=big), made.interface(big=big, link=113)]
    parts.append(made.block(5, bytes(12), big=big))
    for number, frame in enumerate(FRAMES):
        if number % 3 == 0:
            parts.append(made.enhanced(frame, big=big, options=struct.pack(">HHI" if big else "<HHI", 2, 4, 0)))
        elif number % 3 == 1:
            parts.append(made.obsolete(frame, big=big))
        else:
            parts.append(made.simple(frame, big=big))
        if number % 10 == 9:
            parts.append(made.enhanced(b"\0" * 16, big=big, number=1))
    return b"".join(parts)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("magic", "header"), [(0xA1B2C3D4, 16), (0xA1B23C4D, 16), (0xA1B2CD34, 24)])
def test_a_pcap_of_either_byte_order_and_any_resolution_is_answered_as_the_model_does(
    tmp_path: Path, engine: Engine, big: bool, magic: int, header: int
) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap(FRAMES, big=big, magic=magic, header=header))
    capture, batches = read(path, engine)
    assert answers(batches) == expected(FRAMES)
    assert column(batches, "numbers") == list(range(1, len(FRAMES) + 1))
    assert column(batches, "wire") == column(batches, "captured") == [len(frame) for frame in FRAMES]
    assert (capture.frames, capture.left, capture.damage) == (len(FRAMES), 0, "")


@pytest.mark.parametrize("orders", [(False,), (True,), (False, True, False)])
def test_a_pcapng_of_many_sections_interfaces_and_kinds_of_block_is_answered_as_the_model_does(
    tmp_path: Path, engine: Engine, orders: tuple[bool, ...]
) -> None:
    path = tmp_path / "a.pcapng"
    path.write_bytes(b"".join(mixed(big=big) for big in orders))
    capture, batches = read(path, engine._replace(room=7))
    assert answers(batches) == expected(FRAMES) * len(orders)
    assert capture.others == {"LINUX_SLL": 6 * len(orders)}
    assert capture.frames == 66 * len(orders)
    numbers = [number + number // 10 + 1 for number in range(60)]
    assert column(batches, "numbers") == [66 * k + number for k in range(len(orders)) for number in numbers]


@pytest.mark.parametrize("stride", [64, 500, 4096])
def test_threads_ahead_change_no_answer_wherever_parts_begin(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    monkeypatch.setattr(capture_ahead, "STRIDE", stride)
    taken: list[int] = []
    answer = capture_ahead.Ahead._guessed

    def guessed(self: Any, octets: Any, number: int, *rest: Any) -> Any:
        part = answer(self, octets, number, *rest)
        taken.append(part.at if part else -1)
        return part

    monkeypatch.setattr(capture_ahead.Ahead, "_guessed", guessed)
    several = engine._replace(workers=3, room=50)
    # Frames that are captures themselves: places that look like a record and are none.
    traps = [made.pcap([b"x" * 20] * 8), bytes(2) + b"".join(made.enhanced(b"y" * 9) for _ in range(9))]
    frames = [frame for number, frame in enumerate(FRAMES * 3) for frame in (frame, traps[number % 2])]
    path = tmp_path / "a"
    for content in (
        made.pcap(frames), made.section() + made.interface() + b"".join(map(made.enhanced, frames)),
        made.pcap(frames)[:-3],
    ):
        path.write_bytes(content)
        capture, batches = read(path, several)
        assert answers(batches) == expected(frames)[: capture.frames]
        assert column(batches, "numbers") == list(range(1, capture.frames + 1))
        assert capture.frames == len(frames) - (capture.left != 0)
    assert taken
    path.write_bytes(b"".join(mixed(big=big) for big in (False, True, False)))
    capture, batches = read(path, several)
    assert answers(batches) == expected(FRAMES) * 3
    assert capture.others == {"LINUX_SLL": 18}


def test_most_beginnings_of_records_are_guessed_right(engine: Engine) -> None:
    many = FRAMES * 20
    section = made.section() + made.interface()
    records = [made.pcap([frame], big=True)[24:] for frame in many]
    blocks = [made.enhanced(frame) for frame in many]
    for head, parts, form in (
        (made.pcap([], big=True), records, (True, 16, 262144)), (section, blocks, (False, 0, 0))
    ):
        content = head + b"".join(parts)
        begins = [len(head)]
        for part in parts:
            begins.append(begins[-1] + len(part))
        right = 0
        places = range(4096, len(content) - 4096, 4096)
        for place in places:
            guessed = engine.guess(engine.octets(content), place, len(content), *form)
            right += guessed == min(begin for begin in begins if begin >= place)
        assert right > 0.9 * len(places)
    assert engine.guess(engine.octets(bytes(9999)), 0, 9999, False, 16, 262144) == 9999


def test_scapy_and_python_pcapng_find_the_same_frames(tmp_path: Path) -> None:
    import pcapng
    from scapy.utils import RawPcapNgReader, RawPcapReader

    whole = [frame for frame in FRAMES if frame]
    for big in (False, True):
        path = tmp_path / f"{big}.pcap"
        path.write_bytes(made.pcap(whole, big=big))
        with RawPcapReader(str(path)) as reader:
            assert expected([bytes(data) for data, _ in reader]) == answers(read(path)[1])
    path = tmp_path / "a.pcapng"
    path.write_bytes(mixed(big=False))
    with path.open("rb") as file:
        found = [
            entry.packet_data for entry in pcapng.FileScanner(file)
            if hasattr(entry, "packet_data") and getattr(entry, "interface_id", 0) == 0
        ]
    assert expected(found) == answers(read(path)[1])
    path.write_bytes(made.section() + made.interface() + b"".join(map(made.enhanced, whole)))
    with RawPcapNgReader(str(path)) as reader:
        assert expected([bytes(data) for data, _ in reader]) == answers(read(path)[1])


def test_what_scapy_writes_is_read(tmp_path: Path, engine: Engine) -> None:
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap, wrpcapng

    whole = [frame for frame in FRAMES if len(frame) >= 14]
    for name, write in (("a.pcap", wrpcap), ("a.pcapng", wrpcapng)):
        write(str(tmp_path / name), [Ether(frame) for frame in whole])
        assert answers(read(tmp_path / name, engine)[1]) == expected(whole)


@pytest.mark.needs_tshark
@pytest.mark.parametrize("form", ["pcap", "nsecpcap", "modpcap", "pcapng"])
def test_what_editcap_and_mergecap_write_is_read_and_capinfos_counts_the_same(
    tmp_path: Path, engine: Engine, form: str
) -> None:
    source = tmp_path / "source.pcap"
    source.write_bytes(made.pcap(FRAMES))
    one, two, both = (str(tmp_path / name) for name in ("one", "two", "both"))
    tool("editcap", "-F", form, str(source), one)
    tool("editcap", "-F", form, "-s", "40", str(source), two)
    assert answers(read(tmp_path / "one", engine)[1]) == expected(FRAMES)
    _, batches = read(tmp_path / "two", engine)
    assert answers(batches) == expected([frame[:40] for frame in FRAMES])
    totals = Totals()
    for batch in batches:
        totals.add(batch, engine)
    assert totals.cut == sum(len(frame) > 40 for frame in FRAMES)
    if form == "pcapng":
        tool("mergecap", "-a", "-I", "none", "-w", both, one, two)
        assert answers(read(tmp_path / "both", engine)[1]) == expected(FRAMES + [frame[:40] for frame in FRAMES])
        one = both
    told = tool("capinfos", "-Tmrc", one).splitlines()[-1].rpartition(",")[2].rpartition("\t")[2]
    assert int(told.strip('"')) == read(tmp_path / ("both" if form == "pcapng" else "one"))[0].frames


def tool(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_file_cut_anywhere_gives_the_frames_before_the_cut(tmp_path: Path, form: str) -> None:
    few = FRAMES[:6]
    parts = [made.pcap([])] if form == "pcap" else [made.section(), made.interface()]
    for frame in few:
        parts.append(made.pcap([frame])[24:] if form == "pcap" else made.enhanced(frame))
    ends = [len(b"".join(parts[: number + 1])) for number in range(len(parts))]
    whole = b"".join(parts)
    path = tmp_path / "a"
    for size in range(24, len(whole)):
        path.write_bytes(whole[:size])
        capture, batches = read(path)
        complete = sum(end <= size for end in ends) - (len(parts) - len(few))
        assert answers(batches) == expected(few[: max(0, complete)])
        assert capture.left == size - max([0, *(end for end in ends if end <= size)])
        assert not capture.damage


def test_frames_of_no_bytes_and_frames_cut_by_the_snapshot_length_are_answered_as_they_are(
    tmp_path: Path, engine: Engine
) -> None:
    path = tmp_path / "a.pcap"
    frames = [b"", FRAMES[0], b"", FRAMES[1]]
    path.write_bytes(made.pcap(frames, snap=30))
    assert answers(read(path, engine)[1]) == expected([frame[:30] for frame in frames])
    path.write_bytes(
        made.section() + made.interface(snap=30) + b"".join(made.simple(frame, snap=30) for frame in frames)
    )
    _, batches = read(path, engine)
    assert answers(batches) == expected([frame[:30] for frame in frames])
    totals = Totals()
    for batch in batches:
        totals.add(batch, engine)
    assert totals.cut == sum(len(frame) > 30 for frame in frames) == 2


def test_a_frame_check_sequence_is_no_part_of_the_frame(tmp_path: Path, engine: Engine) -> None:
    # IPv6 with Payload Length 0, where whatever ends the frame ends the packet.
    frame = bytes(12) + b"\x86\xdd\x60\0\0\0\0\0\x11\x40" + bytes(range(32)) + b"\0\x35\0\x35\0\x08\0\0"
    cut = frame[:-1]
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap([frame + b"fcs!", cut + b"fcs!"], link=1 | 0x24000000))
    _, batches = read(path, engine)
    assert answers(batches) == expected([frame, cut])
    assert answers(batches)[0].report != answers(batches)[1].report
    assert column(batches, "wire") == [62, 61]
    option = struct.pack("<HHB3xHH", 13, 1, 32, 0, 0)
    path.write_bytes(made.section() + made.interface(options=option) + made.enhanced(cut + b"fcs!"))
    assert answers(read(path, engine)[1]) == expected([cut])
    path.write_bytes(made.section() + made.interface(options=option) + made.enhanced(frame + b"fcs!", snap=64))
    assert column(read(path, engine)[1], "captured") == [62]
    path.write_bytes(made.section() + made.interface(options=option) + made.enhanced(frame + b"fcs!", snap=50))
    assert column(read(path, engine)[1], "captured") == [50]


def test_other_link_types_are_named_and_counted(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap(FRAMES, link=105))
    capture, batches = read(path, engine)
    assert (batches, capture.others, capture.frames) == ([], {"IEEE802_11": 60}, 60)
    path.write_bytes(made.pcap(FRAMES, link=9999))
    assert read(path, engine)[0].others == {"link type 9999": 60}


DAMAGE = {
    "a frame of 4294967295 bytes": made.pcap(FRAMES[:3]) + b"\xff" * 16 + bytes(100),
    "a block that cannot be": (
        made.section() + made.interface() + made.enhanced(b"x") + b"\6\0\0\0\x0d\0\0\0" + bytes(99)
    ),
    "a section without a byte order": made.section() + made.block(0x0A0D0D0A, bytes(16)),
    "whose two lengths differ": made.section() + made.interface()[:-4] + bytes(40),
    "a block of 16 bytes": made.section() + made.block(1, bytes(4)) + bytes(40),
}


@pytest.mark.parametrize("why", DAMAGE)
def test_damage_is_told_with_its_place_and_the_frames_before_it_count(
    tmp_path: Path, engine: Engine, why: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(DAMAGE[why])
    capture, batches = read(path, engine)
    assert why in capture.damage
    assert f"behind frame {capture.frames}:" in capture.damage
    assert sum(len(batch.numbers) for batch in batches) == capture.frames == (3 if "frame" in why else "cannot" in why)


def test_a_packet_of_an_interface_that_no_block_describes_is_damage(tmp_path: Path, engine: Engine) -> None:
    for packet in (made.enhanced(b"x", number=1), made.obsolete(b"x", number=7)):
        path = tmp_path / "a"
        path.write_bytes(made.section() + made.interface() + packet)
        assert "cannot be" in read(path, engine)[0].damage
    path.write_bytes(made.section() + made.simple(b"x"))
    assert "cannot be" in read(path, engine)[0].damage


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"), (b"hello, world, this is text", "not a pcap or pcapng"),
        (b"\xd4\xc3\xb2\xa1\2\0", "cut in its header"),
        (b"\x28\xb5\x2f\xfd" + bytes(30), "zstd"), (b"snoop\0\0\0" + bytes(30), "snoop"),
    ],
)
def test_what_is_no_capture_is_said_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        Capture(str(path), PLAIN)
    with pytest.raises(UsageError, match="No such file"):
        Capture(str(tmp_path / "none"), PLAIN)


def test_gzip_and_pipes_are_read_in_windows(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vnethash.models import capture_reader

    monkeypatch.setattr(capture_reader, "WINDOW", 300)
    for content in (made.pcap(FRAMES), mixed(big=True)):
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(content))
        capture, batches = read(path, engine)
        assert answers(batches) == expected(FRAMES)
        assert capture.form.endswith(", gzip")
        path.write_bytes(gzip.compress(content)[:-30])
        capture, batches = read(path, engine)
        assert "Compressed file ended" in capture.damage
        assert answers(batches) == expected(FRAMES)[: len(answers(batches))]
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
        with Capture("-", engine) as capture:
            assert answers(list(capture.batches())) == expected(FRAMES)


def test_a_named_pipe_is_read_as_its_bytes_come(tmp_path: Path) -> None:
    import os

    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(made.pcap(FRAMES)))
    writer.start()
    assert answers(read(path)[1]) == expected(FRAMES)
    writer.join()


def test_a_file_that_grows_or_shrinks_meanwhile_is_read_to_where_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    whole = made.pcap(FRAMES * 40)
    path.write_bytes(whole)
    with Capture(str(path), PLAIN._replace(room=10)) as capture:
        batches = capture.batches()
        next(batches)
        with path.open("r+b") as file:
            file.truncate(len(whole) // 2)
        rest = list(batches)
    assert sum(len(batch.numbers) for batch in rest) < 40 * len(FRAMES) - 10
    assert capture.frames == 10 + sum(len(batch.numbers) for batch in rest)


def test_sums_are_those_of_the_answers(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(made.pcap(FRAMES))
    totals = Totals()
    _, batches = read(path, engine._replace(room=9))
    for batch in batches:
        totals.add(batch, engine)
    results: Any = expected(FRAMES)
    assert totals.frames == 60
    assert totals.hashed == sum(result.report != 0 for result in results) == sum(totals.queues.values())
    assert sum(totals.unhashed().values()) == 60 - totals.hashed == totals.by_report()["NONE"]
    assert 0 < totals.entropy() < most_entropy(Configuration()) == 7
    assert most_entropy(Configuration(indirection_table=(3, 3, 3, 5))) == pytest.approx(0.8113, abs=1e-4)
