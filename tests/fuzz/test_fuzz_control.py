"""Sequences in bytes and as JSON, commands in parts, reduction: total, and exact both ways."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vnethash.cli.main import run
from vnethash.conformance.device.suite import control_suite
from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.case import (
    HASHED,
    MOST_STEPS,
    OTHER_CLASSES,
    ControlCase,
    decode,
    encode,
    legal,
    steps_from_json,
    steps_to_json,
)
from vnethash.fuzz.device.mutation import Mutator, plain
from vnethash.fuzz.device.reducer import cost, plainer, reduce
from vnethash.fuzz.device.signature import covers, shape
from vnethash.models.device import state as s
from vnethash.models.device.allowed import literal
from vnethash.models.device.state import Command, Looks, Negotiate, Packet, Reset
from vnethash.spec.errors import FormatError
from vnethash.targets.device_model import EVERYTHING

if TYPE_CHECKING:
    from pathlib import Path

ALL = s.VERSION_1 | s.CTRL_VQ | s.MQ | s.RSS | s.HASH_REPORT


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_sequence_that_can_be_put_and_comes_back_from_its_bytes(data: bytes) -> None:
    case = decode(data)
    assert len(case.steps) <= MOST_STEPS
    assert legal(case.steps) == case.steps
    assert decode(encode(case)) == case
    assert steps_from_json(json.loads(json.dumps(steps_to_json(case.steps))), where="here") == case.steps
    features = 0
    for step in case.steps:
        features = step.features if isinstance(step, Negotiate) else 0 if isinstance(step, Reset) else features
        assert features & s.CTRL_VQ or not isinstance(step, Command)
        assert features or not isinstance(step, Packet)
        assert not isinstance(step, Command) or step.class_ not in OTHER_CLASSES


def test_commands_of_the_suite_come_apart_and_together_again() -> None:
    split = 0
    for script in control_suite(EVERYTHING):
        for step in script.steps:
            fields = k.split(step) if isinstance(step, Command) else None
            if fields is not None:
                assert isinstance(step, Command)
                assert k.join(fields) == step.data
                split += 1
    assert split > 200


def test_mutants_follow_from_the_seed_and_can_all_be_put() -> None:
    def made() -> list[object]:
        mutator = Mutator(Random(3), EVERYTHING)
        found, steps = [], plain(EVERYTHING)
        for _ in range(300):
            steps = mutator.child(steps, mutator.drawn())
            found.append(steps)
            assert legal(steps, EVERYTHING.offered, MOST_STEPS) == steps
            assert decode(encode(ControlCase(steps))).steps == steps
        return found

    assert made() == made()
    assert len(set(made())) > 250


def test_a_mutant_without_a_control_queue_has_no_commands() -> None:
    mutator = Mutator(Random(1), EVERYTHING._replace(offered=s.VERSION_1 | s.RSS))
    for _ in range(100):
        assert not any(isinstance(step, Command) for step in mutator.drawn())


def test_reduction_ends_at_the_same_plain_sequence_from_anywhere() -> None:
    def holds(steps: tuple[s.Step, ...]) -> bool:
        """A packet arrives under a key of less than 40 bytes."""
        last = [k.split(step) for step in steps if isinstance(step, Command)]
        return bool(last) and isinstance(steps[-1], Packet) and last[-1] is not None and len(last[-1].key) < 40

    odd = k.plain_rss(EVERYTHING)._replace(key=bytes(9), types=3, table=(2, 1), max_tx_vq=3, rest=b"xx")
    starts = []
    for key in (bytes(9), bytes(range(30))):
        command = k.command(k.RSS_CONFIG, k.join(odd._replace(key=key)))
        extra = Packet(HASHED, Looks.ALL, bytes(12) + b"\1")
        starts.append((Negotiate(ALL), extra, Reset(), Negotiate(ALL | s.MRG_RXBUF), command, extra, extra))
    ends = {reduce(start, EVERYTHING, holds) for start in starts}
    assert len(ends) == 1
    end = ends.pop()
    assert [type(step) for step in end] == [Negotiate, Command, Packet]
    assert [place for step in end for place, _ in shape(step, EVERYTHING).odd] == ["another key", "no key"]
    assert all(cost(end, EVERYTHING) < cost(start, EVERYTHING) for start in starts)
    assert all(legal(each) == each for each in plainer(starts[0], EVERYTHING))


def test_a_condition_covers_what_has_all_of_its_steps_in_order() -> None:
    first = k.command(k.RSS_CONFIG, k.join(k.plain_rss(EVERYTHING)))
    other = k.command(k.RSS_CONFIG, k.join(k.plain_rss(EVERYTHING)._replace(unclassified=1)))
    general = [shape(step, EVERYTHING) for step in (Negotiate(ALL & ~s.MQ), first, other, Packet(HASHED))]
    special = (Negotiate(ALL), first, Packet(HASHED), other, Reset(), Negotiate(ALL), Packet(HASHED))
    assert covers(general, [shape(step, EVERYTHING) for step in special])
    assert not covers(general, [shape(step, EVERYTHING) for step in (*special[:3], Packet(HASHED))])
    assert not covers(general, [shape(step, EVERYTHING) for step in special[:-1]])


@pytest.mark.parametrize("rows", [[{"do": "dance"}], [{}], [{"do": "command", "class": 4}], [3]])
def test_steps_of_a_ledger_that_are_none_are_one_clear_error(rows: list[dict[str, object]]) -> None:
    with pytest.raises(FormatError, match="here"):
        steps_from_json(rows, where="here")


def test_the_seed_shows_nothing_under_the_literal_readings() -> None:
    assert [one.clause for one in literal(plain(EVERYTHING), EVERYTHING)] == ["GEN-9", "RSS-3", "RSS-D4", "RSS-D3"]


def test_a_campaign_of_sequences_is_run_listed_exported_and_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, ledger, corpus = "model:literal,refused-rss-config=lost", str(tmp_path / "l.sqlite"), tmp_path / "corpus"
    page = tmp_path / "page.html"
    code = run([
        "fuzz", target, "--suite", "control", "--executions", "1200", "--seed", "1", "--ledger", ledger, "--corpus",
        str(corpus), "--report", str(page), "--json",
    ])  # fmt: skip
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 0  # a reading that the text allows accuses nobody
    (cause,) = [line for line in lines if line["event"] == "cause"]
    assert (cause["kind"], cause["title"]) == (
        "reading", "a refused RSS_CONFIG ends hashing, and no table steers any more"
    )
    assert [step["do"] for step in cause["steps"]] == ["negotiate", "command", "command", "packet"]
    assert cause["id"] in page.read_text("utf-8")
    assert list((corpus / "control").iterdir())
    assert run(["findings", "list", "--ledger", ledger, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "question"
    assert run(["findings", "show", cause["id"], "--ledger", ledger]) == 0
    assert "allowed: queue 1" in capsys.readouterr().out
    assert run(["findings", "export", "--ledger", ledger, "--output", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert names == {"vectors.json", "causes.pcapng", "report.md", "steps.json"}
    assert run(["findings", "merge", ledger, "--ledger", str(tmp_path / "other.sqlite")]) == 0
    assert run(["replay", cause["id"], "--ledger", str(tmp_path / "other.sqlite")]) == 1
    assert "then     negotiate" in capsys.readouterr().out
    assert run(["replay", cause["id"], "--ledger", ledger, "--target", "model:literal"]) == 0
    assert run(["replay", cause["id"], "--ledger", ledger, "--target", "qemu-ebpf"]) == 2
    assert run(["fuzz", "qemu-ebpf", "--suite", "control", "--ledger", ledger]) == 2
