"""The filter of a campaign says the same, whoever works it out."""

from __future__ import annotations

from random import Random

import pytest
import random_frames
from vnethash.fuzz import oracle
from vnethash.fuzz.oracle import Filter, pays
from vnethash.spec.errors import VnethashError
from vnethash.targets.ebpf.counted import Packed, pack

numpy = pytest.importorskip("numpy")


class InPython:
    """What the compiled twin is asked, answered by the model, for frames in place."""

    def __init__(self, *_: object) -> None:
        self.asked: list[list[bytes]] = []

    def run_places(self, data: bytes, starts: list[int], ends: list[int]) -> tuple[object, object]:
        frames = [data[start:end] for start, end in zip(starts, ends, strict=True)]
        self.asked.append(frames)
        return numpy.arange(len(frames)), numpy.array([len(frame) for frame in frames])


def test_frames_are_packed_end_to_end_and_found_again() -> None:
    frames = [b"abc", b"", b"d" * 300, b""]
    data, starts, ends = pack(frames)
    assert [data[start:end] for start, end in zip(starts, ends, strict=True)] == frames
    assert [len(column) for column in pack([])] == [0, 0, 0]


def test_a_twin_is_taken_only_where_it_lies_in_the_cache_or_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "has_twin", lambda: True)
    for at_hand in (True, False):
        monkeypatch.setattr(oracle, "_at_hand", lambda followed, at_hand=at_hand: at_hand)
        assert [pays(count, followed=True) for count in (0, 19_999, 20_000, 499_999, 500_000)] == [
            False, False, at_hand, at_hand, True,
        ]  # fmt: skip


def test_without_numba_python_runs_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: object) -> bool:
        raise VnethashError("compiled twin needs numba")

    from vnethash.models import compiled

    monkeypatch.setattr(compiled, "is_compiled", missing)
    oracle._at_hand.cache_clear()
    assert not pays(100_000)
    oracle._at_hand.cache_clear()


def test_what_is_reached_in_a_sample_is_told_of_the_frames_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    r = Random(5)
    configuration, readings = random_frames.any_configuration(r), random_frames.any_readings(r)
    frames = [random_frames.any_frame(r) for _ in range(100)]
    plain = Filter(configuration, readings, fast=False)
    assert list(plain.reached(frames)) == [oracle.reached(frame, configuration, readings) for frame in frames]
    twin = InPython()
    monkeypatch.setattr(oracle, "_followed", lambda *_: twin)
    monkeypatch.setattr(oracle, "pays", lambda *_, followed=False: followed)
    filter_ = Filter(configuration, readings, fast=False, frames_so_far=1)
    packed = pack(frames)
    sample = Packed(packed.data, packed.starts[4::16], packed.ends[4::16])
    assert list(filter_.reached(frames[4::16], sample)) == list(enumerate(map(len, frames[4::16])))
    assert list(filter_.reached(frames[:3])) == list(enumerate(map(len, frames[:3])))
    assert twin.asked == [frames[4::16], frames[:3]]
