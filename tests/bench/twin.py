"""The compiled twin beside plain C, dpkt, scapy and DPDK's rte_softrss, in one run: in memory and out of a pcap."""

from __future__ import annotations

import ctypes
import mmap
import shutil
import struct
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import libraries
import mix
from measure import Missing, Rate, in_turn, ratio
from plain_c import Plain, build
from vnethash.models.capture_reader import Capture
from vnethash.models.capture_totals import Totals
from vnethash.models.compiled import Compiled, engine
from vnethash.models.reference import decide, hash_input, outcome
from vnethash.models.toeplitz import byte_tables, toeplitz
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.models.capture_ahead import Engine

HERE = Path(__file__).parent
#: Different frames, more than a branch predictor learns; a million of them in the file.
FRAMES = 20_000
IN_FILE = 1_000_000
BY_DPKT = 2_000
BY_SCAPY = 200
ROUNDS = 9

C, TWIN, ANY, DPKT, SCAPY = "plain C", "compiled twin", "compiled twin, any readings", "dpkt", "scapy"
#: How many times as fast as these the twin is to be.
AIMS = {C: 0.7, DPKT: 100, SCAPY: 1000}


def measure() -> tuple[str, list[Rate], list[str]]:
    """Return rates in frames a second of one core, and what of the aims is reached."""
    try:
        import dpkt  # noqa: F401
        import numpy
    except ImportError as error:
        raise Missing(f"{error.name}: pip install 'vnethash[dev,fast]'") from None
    frames = list(mix.frames(FRAMES))
    configuration, readings = Configuration(), Readings()
    tables = byte_tables(configuration.key)
    offsets = numpy.cumsum([0, *map(len, frames)], dtype=numpy.int64)
    data = numpy.frombuffer(b"".join(frames), dtype=numpy.uint8)
    starts, ends = offsets[:-1].copy(), offsets[1:].copy()
    with tempfile.TemporaryDirectory() as folder:
        plain = Plain(build(HERE / "plain.c", Path(folder)), configuration)
        try:
            twin, of_any = Compiled(configuration, readings, fixed=True), Compiled(configuration, readings)
        except VnethashError as error:
            raise Missing(error.line()) from None
        expected = [outcome(frame, configuration, readings) for frame in frames]
        for answers in (plain.batch(data, starts, ends), twin.run_places(data, starts, ends)):
            agree(expected, answers)
        hot: dict[str, tuple[Callable[[], Any], int]] = {
            C: (lambda: plain.batch(data, starts, ends), FRAMES),
            TWIN: (lambda: twin.run_places(data, starts, ends), FRAMES),
            ANY: (lambda: of_any.run_places(data, starts, ends), FRAMES),
            DPKT: (lambda: [libraries.by_dpkt(frame, tables) for frame in frames[:BY_DPKT]], BY_DPKT),
            SCAPY: (lambda: [libraries.by_scapy(frame, tables) for frame in frames[:BY_SCAPY]], BY_SCAPY),
        }
        rates, notes = section("in memory", hot)
        rates += from_pcap(Path(folder), frames, plain, notes)
        inputs = [hash_input(f, len(f), decide(f, len(f), configuration.hash_types, 0, readings)) for f in frames]
        rates += softrss(Path(folder), [data for data in inputs if data], configuration.key, notes)
    same = [
        sum(hashed(frame, tables) == (entry.value if entry.report else None) for frame, entry in pairs) / len(pairs)
        for hashed, pairs in (
            (libraries.by_dpkt, list(zip(frames, expected, strict=True))[:BY_DPKT]),
            (libraries.by_scapy, list(zip(frames, expected, strict=True))[:BY_SCAPY]),
        )
    ]
    notes.append("plain C and the twin answer every frame as the model does")
    notes.append(f"code with dpkt has {same[0]:.0%} of the answers right, with scapy {same[1]:.0%}")
    size = len(data) / FRAMES
    return f"the compiled twin, one core; {mix.words()}, {size:.0f} bytes on average", rates, notes


def agree(expected: list[Any], answers: Any) -> None:
    """Stop where an answer is not the model's."""
    rows = zip(*(column.tolist() for column in answers[:3]), strict=True)
    for number, (entry, row) in enumerate(zip(expected, rows, strict=True)):
        if tuple(entry) != row:
            raise VnethashError(f"frame {number} of the mix is answered {row}, the model says {tuple(entry)}")


def section(where: str, works: dict[str, tuple[Callable[[], Any], int]]) -> tuple[list[Rate], list[str]]:
    """Measure in turn, and hold the twin against the aims."""
    seconds = in_turn({name: work for name, (work, _) in works.items()}, ROUNDS)
    counts = {name: count for name, (_, count) in works.items()}
    rates, notes = [], []
    for name, each in seconds.items():
        base = f"{C}, {where}" if name != C else ""
        rates.append(Rate(f"{name}, {where}", counts[name] / sorted(each)[len(each) // 2], base))
    for other, aim in AIMS.items():
        if other in seconds:
            times = ratio(seconds[other], seconds[TWIN]) * counts[TWIN] / counts[other]
            reached = "reached" if times >= aim else "not reached"
            notes.append(f"{where}: twin / {other} {times:,.2f}, aim {aim:g}: {reached}")
    return rates, notes


def from_pcap(folder: Path, frames: list[bytes], plain: Plain, notes: list[str]) -> list[Rate]:
    """Measure over a file of a million frames, each way of reading it as it is usual."""
    import dpkt
    import numpy
    from scapy.utils import RawPcapReader

    path = folder / "mix.pcap"
    part = b"".join(struct.pack("<IIII", 1, 2, len(frame), len(frame)) + frame for frame in frames)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for _ in range(IN_FILE // FRAMES):
            file.write(part)
    tables = byte_tables(Configuration().key)
    threads = engine(Configuration(), Readings())
    twin = threads._replace(workers=1)

    def in_c() -> Any:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return plain.pcap(numpy.frombuffer(mapped, dtype=numpy.uint8), IN_FILE)

    def by_twin(twin: Engine = twin) -> Totals:
        totals = Totals()
        with Capture(str(path), twin) as capture:
            for batch in capture.batches():
                totals.add(batch, twin)
        return totals

    def by_dpkt() -> list[Any]:
        with path.open("rb") as file:
            return [libraries.by_dpkt(frame, tables) for _, frame in islice(dpkt.pcap.Reader(file), BY_DPKT)]

    def by_scapy() -> list[Any]:
        with RawPcapReader(str(path)) as reader:
            return [libraries.by_scapy(frame, tables) for frame, _ in islice(reader, BY_SCAPY)]

    reports = numpy.bincount(in_c()[0], minlength=16).tolist()
    if by_twin().reports != reports:
        raise VnethashError(f"plain C finds {reports} in the file, the twin {by_twin().reports}")
    rates, more = section("from a pcap", {
        C: (in_c, IN_FILE), TWIN: (by_twin, IN_FILE), DPKT: (by_dpkt, BY_DPKT), SCAPY: (by_scapy, BY_SCAPY),
    })
    notes.extend(more)
    walls = in_turn({"one": by_twin, "all": lambda: by_twin(threads)}, ROUNDS, time.perf_counter)
    times = ratio(walls["one"], walls["all"])
    notes.append(f"from a pcap: {threads.workers} threads are {times:.2f} times as fast as one, on the clock")
    return rates


def softrss(folder: Path, inputs: list[bytes], key: bytes, notes: list[str]) -> list[Rate]:
    """Measure DPDK's function over the hash inputs alone: it parses nothing."""
    import numpy

    if not shutil.which("pkg-config") or subprocess.run(["pkg-config", "--exists", "libdpdk"], check=False).returncode:
        notes.append("no libdpdk here, so that rte_softrss is not measured")
        return []
    told = subprocess.run(["pkg-config", "--cflags", "libdpdk"], check=True, capture_output=True, text=True)
    # Its -march would take back ours.
    library = build(HERE / "softrss.c", folder, *(word for word in told.stdout.split() if "-march" not in word))
    words = numpy.frombuffer(b"".join(inputs), dtype=">u4").astype(numpy.uint32)
    offsets = numpy.cumsum([0, *(len(data) // 4 for data in inputs)], dtype=numpy.int64)
    starts, ends, values = offsets[:-1].copy(), offsets[1:].copy(), numpy.empty(len(inputs), numpy.uint32)
    arguments = [ctypes.c_void_p(array.ctypes.data) for array in (words, starts, ends)]

    def run() -> None:
        library.softrss_batch(
            *arguments, ctypes.c_int64(len(inputs)), key.ljust(52, b"\0"), ctypes.c_void_p(values.ctypes.data)
        )

    run()
    for data, value in islice(zip(inputs, values.tolist(), strict=True), 500):
        if toeplitz(key, data) != value:
            raise VnethashError(f"rte_softrss hashes {data.hex()} to {value:#x}")
    seconds = sorted(in_turn({"": run}, ROUNDS)[""])
    notes.append("rte_softrss gets the hash inputs alone and parses nothing; the others find them in frames")
    return [Rate("rte_softrss, hash inputs alone", len(inputs) / seconds[len(seconds) // 2], f"{TWIN}, in memory")]
