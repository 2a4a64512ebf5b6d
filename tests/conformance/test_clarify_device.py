"""Pages of the clarification report about the device: each two readings have a witness, and what it shows is true."""

from __future__ import annotations

import pytest
from vnethash.conformance.device.clarify import device_page, render, to_json
from vnethash.models.allowed import dialect
from vnethash.models.device.allowed import play
from vnethash.models.device.words import answer_words
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.questions import load_device_questions
from vnethash.targets.device_model import EVERYTHING

QUESTIONS = load_device_questions()


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_pair_that_matters_has_a_sequence_and_it_shows_what_is_printed(name: str) -> None:
    question = QUESTIONS[name]
    page = device_page(question)
    assert page.missing == ()
    for witness in page.witnesses:
        beside = {QUESTIONS[other].field: QUESTIONS[other].index(reading) for other, reading in witness.beside}
        names = [reading.name for reading in question.readings]
        for number in range(len(names)):
            readings = DeviceReadings(**{**beside, question.field: number})
            shown = [answer_words(one.answer) for one in play(
                witness.script.steps, EVERYTHING, readings, dialect("literal"))]  # fmt: skip
            assert [under[number] for _, under in witness.rows] == shown
        for one, other in witness.pairs:
            assert any(under[names.index(one)] != under[names.index(other)] for _, under in witness.rows)


def test_a_reading_that_shows_only_beside_another_one_has_a_witness_that_says_so() -> None:
    page = device_page(QUESTIONS["reset-hashing"])
    context = {witness.pairs: witness.context for witness in page.witnesses}
    assert context == {(("cleared", "kept"),): "", (("cleared", "key-bytes"),): "short-key-rest = previous"}
    text = render([page], alone=True)
    assert "the sequence `reset-hash` of the control suite\n" in text
    assert "the sequence `reset-hash-short-key` of the control suite, with short-key-rest = previous\n" in text
    assert [one["context"] for one in to_json(page)["sequences"]] == [{}, {"short-key-rest": "previous"}]
    assert all(not one.context for name in QUESTIONS if name != "reset-hashing" for one in device_page(
        QUESTIONS[name]).witnesses)  # fmt: skip
