"""Frames that solvers found, as seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from vnethash.cli.main import run
from vnethash.fuzz import witnesses as module
from vnethash.fuzz.case import decode, encode
from vnethash.fuzz.witnesses import lines, seeds, witnesses
from vnethash.models.reference import outcome
from vnethash.models.symbolic.pairs import CONTEXTS
from vnethash.spec.errors import FormatError
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings


def test_the_witnesses_tell_readings_of_nearly_all_questions_apart() -> None:
    questions, stale, shown = load_questions(), [], set()
    for witness in witnesses():
        question = questions.get(witness.question)
        assert question is not None, witness.question
        one, two = (
            outcome(
                witness.case.frame, witness.case.configuration,
                Readings(**{**CONTEXTS.get(question.field, {}), question.field: question.index(name)}),
            )
            for name in witness.readings
        )
        if one == two:
            stale.append((witness.question, witness.readings))
        else:
            shown.add(witness.question)
    # The model may have moved on; then `python -m vnethash.fuzz.witnesses` takes them from a new proof.
    assert len(stale) < len(witnesses()) / 10, stale
    assert len(shown) > 0.9 * len(questions)


def test_seeds_are_distinct_and_few() -> None:
    assert len(set(seeds())) == len(seeds()) < 2000
    kept = [case for case in seeds() if decode(encode(case)) == case]
    assert len(kept) > 0.5 * len(seeds())  # the last of the tunnel types has no place there


def test_the_file_is_what_a_proof_says() -> None:
    pair = witnesses()[0]
    record = {
        "group": "questions", "name": pair.question, "data": {"pairs": [{
            "readings": pair.readings, "frame": pair.case.frame.hex(), "configuration":
            pair.case.configuration.to_json(),
        }, {"readings": pair.readings, "frame": None}]},
    }  # fmt: skip
    (line,) = lines([json.dumps({"record": "header"}), json.dumps(record)])
    assert line in Path(module.__file__).with_name("witnesses.txt").read_text("ascii").splitlines()
    with pytest.raises(FormatError, match=r"proof\.jsonl"):
        list(lines(["nothing"]))


def test_a_campaign_begins_with_them(tmp_path: Path) -> None:
    ledger = ["--ledger", str(tmp_path / "ledger"), "--seed", "1", "--executions"]
    for choice in ("traffic", "witnesses"):
        corpus = tmp_path / choice
        assert run(["fuzz", "model:literal", "--seeds", choice, "--corpus", str(corpus), *ledger, "150"]) == 0
    assert len(list((tmp_path / "witnesses").iterdir())) > len(list((tmp_path / "traffic").iterdir()))
