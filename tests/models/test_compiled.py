"""The compiled twin answers as the model does."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from array import array
from itertools import accumulate
from random import Random
from typing import Any

import pytest
from vnethash.models import compiled, compiled_source
from vnethash.models.batch import Setting
from vnethash.models.reference import decide, enabled_tunnels, outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import UsageError, VnethashError
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings, UnhashedValue

from tests.models import random_frames

numba = pytest.importorskip("numba")


def test_it_agrees_with_the_model_on_many_frames_configurations_and_readings() -> None:
    r = Random(41)
    frames = [random_frames.any_frame(r) for _ in range(1000)]
    for _ in range(24):
        configuration, readings = random_frames.any_configuration(r), random_frames.any_readings(r)
        theirs = compiled.outcomes(frames, configuration, readings)
        for frame, answer in zip(frames, theirs, strict=True):
            assert answer == outcome(frame, configuration, readings), frame.hex()


def test_it_agrees_with_the_model_in_every_reading_alone() -> None:
    r = Random(42)
    frames = [random_frames.any_frame(r) for _ in range(60)]
    configuration = Configuration(features=frozenset({"RSS", "HASH_TUNNEL"}), tunnel_types=0x1FF)
    for field in Readings._fields:
        for number in range(1, 7):
            readings = Readings(**{field: number})
            expected = [outcome(frame, configuration, readings) for frame in frames]
            assert compiled.outcomes(frames, configuration, readings) == expected, (field, number)


def test_cut_frames_are_answered_as_if_nothing_lay_behind_them() -> None:
    r = Random(43)
    for _ in range(20):
        frame, readings = random_frames.any_frame(r), random_frames.any_readings(r)
        frames = [frame[:end] for end in range(len(frame) + 1)]
        expected = [outcome(part, Configuration(), readings) for part in frames]
        assert compiled.outcomes(frames, Configuration(), readings) == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_packed_frames_are_answered_in_columns(kind: Any) -> None:
    r = Random(44)
    frames = [random_frames.any_frame(r) for _ in range(50)]
    offsets = array("q", [0])
    for frame in frames:
        offsets.append(offsets[-1] + len(frame))
    report, value, queue = compiled.Compiled(Configuration(), Readings()).run_packed(kind(b"".join(frames)), offsets)
    assert (report.dtype.name, value.dtype.name, queue.dtype.name) == ("uint16", "uint32", "int32")
    answers = [Outcome(*row) for row in zip(report.tolist(), value.tolist(), queue.tolist(), strict=True)]
    assert answers == [outcome(frame, Configuration(), Readings()) for frame in frames]


def test_a_value_that_may_be_anything_is_0_in_the_columns() -> None:
    twin = compiled.Compiled(Configuration(), Readings(unhashed_value=UnhashedValue.UNSPECIFIED))
    assert [column.tolist() for column in twin.run_packed(b"", [0, 0])] == [[0], [0], [200]]
    assert twin.outcomes([b""]) == [Outcome(0, -1, 200)]


@pytest.mark.parametrize("offsets", [[], [0, 5], [-1, 2], [2, 1], [0, 3, 1, 4]])
def test_offsets_that_are_not_in_order_or_not_in_the_data_are_refused(offsets: list[int]) -> None:
    with pytest.raises(UsageError, match="offsets"):
        compiled.Compiled(Configuration(), Readings()).run_packed(b"abcd", offsets)


def test_no_frames_give_no_answers() -> None:
    assert compiled.outcomes([], Configuration(), Readings()) == []


def test_other_readings_and_configurations_are_not_compiled_again() -> None:
    before = len(compiled.load().batch.overloads)
    for number in range(3):
        compiled.outcomes([bytes(60)], Configuration(hash_types=number), Readings(vlan_tags=number))
    assert len(compiled.load().batch.overloads) == before == 1


def test_the_translation_has_every_function_once_and_nothing_of_pythons_objects() -> None:
    text = compiled.source()
    assert text == compiled.source()
    for word in ("readings.", "TYPE_CHECKING", "IntEnum"):
        assert word not in text
    names = [line[4:line.index("(")] for line in text.splitlines() if line.startswith("def ")]
    assert len(names) == len(set(names)) > 70


def test_the_text_and_so_its_place_in_the_cache_is_the_same_in_every_process() -> None:
    program = "from vnethash.models.compiled import source; import sys; sys.stdout.write(source())"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment, timeout=60
        )
        assert done.stdout == compiled.source()


def test_it_runs_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_written", lambda name, text: None)
    # Compiling anew takes long, so that only the translation is tried: its functions as plain Python.
    text = "def compile_all():\n    pass\ndef compile_entries():\n    pass\n"
    monkeypatch.setattr(compiled, "source", lambda readings: text)
    assert compiled.load.__wrapped__().compile_all() is None


def interpreted(text: str, entry: str = "batch") -> Any:
    """Return a generated module whose functions CPython runs, which takes no time to compile."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        exec(text, names)
    return names[entry]


def disagreements(text: str, readings: Readings, configuration: Configuration, frames: list[bytes]) -> int:
    """Return how many frames a generated module answers unlike the model."""
    function = interpreted(text)
    setting = Setting.of(configuration, readings)
    starts, ends = [0], []
    for frame in frames:
        ends.append(starts[-1] + len(frame))
        starts.append(ends[-1])
    columns = [[0] * len(frames) for _ in range(4)]
    arguments = setting.arguments(readings)
    function(b"".join(frames), starts[:-1], ends, len(frames), *arguments, *columns)
    expected = (outcome(frame, configuration, readings) for frame in frames)
    rows = zip(*columns[:3], expected, strict=True)
    # A value that may be anything is 0 in the columns.
    return sum(tuple(row) != (theirs.report, max(theirs.value, 0), theirs.queue) for *row, theirs in rows)


def test_the_twin_of_any_readings_alone_agrees_with_the_model() -> None:
    r = Random(45)
    for _ in range(6):
        readings, configuration = random_frames.any_readings(r), random_frames.any_configuration(r)
        frames = [random_frames.any_frame(r) for _ in range(40)]
        assert disagreements(compiled.source(readings), readings, configuration, frames) == 0


def test_the_twin_of_the_literal_readings_is_compiled_and_agrees_with_the_model() -> None:
    r = Random(46)
    frames = [random_frames.any_frame(r) for _ in range(2000)]
    for configuration in (Configuration(), *(random_frames.any_configuration(r) for _ in range(6))):
        theirs = compiled.Compiled(configuration, Readings(), fixed=True).outcomes(frames)
        assert theirs == [outcome(frame, configuration, Readings()) for frame in frames]


#: What stands in the twin of the literal readings, and what an error in the generation would make of it.
PLANTED = {
    "a mask is dropped": ("flags & 8191 != 0", "flags != 0"),
    "a mask is another": ("flags & 65528 != 0", "flags & 65535 != 0"),
    "an event that is tested is left out": ("found.events & 144115188075855872 != 0", "found.events & 0 != 0"),
    "a comparison is turned": ("if protocol == 51:", "if protocol != 51:"),
    "a branch is gone": ("frame[uint64(header + 2)]) != 2", "frame[uint64(header + 2)]) != 300"),
    "a place of the key's table is another": ("keys[uint64(row + 768", "keys[uint64(row + 512"),
    "one more byte is taken for whole": ("offset + 20 > end", "offset + 19 > end"),
}


@pytest.mark.parametrize("error", PLANTED)
def test_an_error_in_the_generated_text_is_noticed(error: str) -> None:
    right, wrong = PLANTED[error]
    text = compiled.source(Readings())
    assert right in text
    r = Random(47)
    frames = [random_frames.any_frame(r) for _ in range(1500)]
    configuration = Configuration(features=frozenset({"RSS", "HASH_TUNNEL"}), tunnel_types=0x1FF)
    assert disagreements(text.replace(right, wrong), Readings(), configuration, frames) > 0


def test_what_no_function_tests_is_left_out_and_the_rest_stays() -> None:
    text = compiled.source(Readings())
    assert len(text) < len(compiled.source())
    assert "readings[" not in text
    assert "events & 144115188075855872" in text
    assert "events | 2\n" not in text


def test_a_model_that_could_tell_events_apart_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse("def f(packet):\n    'x'\n    return packet.events == 4").body[0]
    monkeypatch.setattr(compiled_source, "_tree_of", lambda function: tree)
    with pytest.raises(VnethashError, match="events are tested by `&` alone"):
        list(compiled_source._observed(outcome))


def test_frames_may_lie_anywhere_in_the_data() -> None:
    r = Random(48)
    frames = [random_frames.any_frame(r) for _ in range(40)]
    data, starts, ends = b"", [], []
    for frame in frames:
        data += bytes(r.randrange(9)) + frame
        starts.append(len(data) - len(frame))
        ends.append(len(data))
    order = [*r.sample(range(40), 40), 3, 3]
    twin = compiled.Compiled(Configuration(), Readings())
    answers = twin.run_places(data, [starts[k] for k in order], [ends[k] for k in order])
    rows = [Outcome(*row) for row in zip(*(column.tolist() for column in answers[:3]), strict=True)]
    assert rows == [outcome(frames[k], Configuration(), Readings()) for k in order]
    for begin, end in (([0], [len(data) + 1]), ([-1], [3]), ([4], [3]), ([1, 2], [3])):
        with pytest.raises(UsageError, match="offsets"):
            twin.run_places(data, begin, end)


def test_without_numba_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(VnethashError, match="compiled twin needs numba") as caught:
        compiled._numpy.__wrapped__()
    assert "vnethash[fast]" in caught.value.hint


def test_what_is_met_on_the_way_is_what_the_model_met() -> None:
    text = compiled.followed_source()
    follow = interpreted(text, "follow")
    r = Random(61)
    met: set[int] = set()
    for _ in range(12):
        readings, configuration = random_frames.any_readings(r), random_frames.any_configuration(r)
        frames = [random_frames.any_frame(r) for _ in range(60)]
        ends = list(accumulate(map(len, frames)))
        starts = [0, *ends[:-1]]
        rules, masks = [0] * len(frames), [0] * len(frames)
        tunnels = enabled_tunnels(configuration)
        follow(b"".join(frames), starts, ends, len(frames), configuration.hash_types, tunnels, readings, rules, masks)
        for frame, rule, mask in zip(frames, rules, masks, strict=True):
            chosen = decide(frame, len(frame), configuration.hash_types, tunnels, readings)
            assert (rule, mask) == (chosen.rule, chosen.events), frame.hex()
            met |= {bit for bit in range(64) if mask >> bit & 1}
    assert len(met) > 40
