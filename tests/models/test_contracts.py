from __future__ import annotations

import random

import pytest
from random_frames import any_frame
from vnethash.conformance.suite import load_suite
from vnethash.models import contracts, ipv4, reference, watched
from vnethash.models.reference import NEGOTIATED, decide
from vnethash.models.watched import Broken, Bytes
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings


def any_readings(generator: random.Random) -> Readings:
    """Return readings, some of them other than the literal ones."""
    chosen = {}
    for question in load_questions().values():
        if generator.random() < 0.3:
            chosen[question.field] = generator.randrange(len(question.readings))
    return Readings(**chosen)


def frames(generator: random.Random) -> list[bytes]:
    """Return frames of the suite, whole and cut, and random ones."""
    suite = [case.frame for case in load_suite("quick").cases]
    cut = [frame[:generator.randrange(len(frame) + 1)] for frame in suite]
    return [*suite, *cut, *(any_frame(generator) for _ in range(600))]


def test_contracts_hold_in_every_call_that_the_model_makes() -> None:
    generator = random.Random(7)
    with watched.watched():
        for frame in frames(generator):
            tunnels = generator.choice((0, NEGOTIATED, NEGOTIATED | generator.randrange(512)))
            types = generator.randrange(512)
            reference.decide(Bytes(frame), len(frame), types, tunnels, any_readings(generator))


def test_the_watch_changes_nothing_and_goes_away() -> None:
    generator = random.Random(8)
    before = reference.dissect
    for frame in frames(generator)[::7]:
        readings = any_readings(generator)
        plain = decide(frame, len(frame), 511, 0, readings)
        with watched.watched():
            assert reference.decide(Bytes(frame), len(frame), 511, 0, readings) == plain
    assert reference.dissect is before


def test_a_read_outside_the_frame_is_noticed() -> None:
    with pytest.raises(Broken, match="reads byte 14 of a frame of 14 bytes"):
        Bytes(14)[14]
    with pytest.raises(Broken, match="reads byte -1"):
        Bytes(14)[-1]


def test_a_call_that_breaks_its_contract_is_noticed() -> None:
    with watched.watched(), pytest.raises(Broken, match=r"ipv4.measure is called with other than it needs"):
        ipv4.measure(Bytes(30), 14, 30, Readings())


def test_a_result_that_breaks_its_contract_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = bytes(12) + bytes.fromhex("0800 4500 0014 0000 0000 4000 0000") + bytes(8)
    claim = contracts.CONTRACTS["select.select"]
    nothing = contracts.Contract(claim.needs, lambda result: result.report == 0)
    monkeypatch.setitem(contracts.CONTRACTS, "select.select", nothing)
    with watched.watched(), pytest.raises(Broken, match=r"select.select gives other than others rely on"):
        reference.decide(Bytes(frame), len(frame), 511, 0, Readings())


def test_a_loop_that_does_not_end_is_noticed() -> None:
    def forever() -> None:
        count = 0
        while count >= 0:
            count = count + 1

    with pytest.raises(Broken, match="a loop does not end"), watched.counted(1000):
        forever()


def test_every_loop_of_the_model_has_a_claim() -> None:
    import ast
    import inspect

    found = set()
    for module_name in watched.FAMILY:
        module = __import__(f"vnethash.models.{module_name}", fromlist=["x"])
        for name, thing in vars(module).items():
            if inspect.isfunction(thing) and thing.__module__ == module.__name__:
                tree = ast.parse(inspect.getsource(thing))
                if any(isinstance(node, ast.While) for node in ast.walk(tree)):
                    found.add(f"{module_name}.{name}")
    assert found == set(contracts.LOOPS)
