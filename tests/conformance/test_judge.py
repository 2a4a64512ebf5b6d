"""Verdicts, profiles and conclusions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vnethash.conformance.judge import Judgement, judge
from vnethash.conformance.runner import run_suite
from vnethash.models.allowed import dialect
from vnethash.models.expectations import Expectations
from vnethash.spec.questions import load_dialects, load_questions
from vnethash.spec.readings import Readings

from tests.conformance.planted import FRAMES, Planted, cases

if TYPE_CHECKING:
    from vnethash.spec.outcome import Outcome

EXPECTATIONS = Expectations()


def judgement(target: Planted) -> Judgement:
    return judge(run_suite(target, cases()).answers, target.capabilities.observes, EXPECTATIONS)


@pytest.mark.parametrize("name", list(load_dialects()))
def test_a_dialect_conforms_and_its_readings_are_found(name: str) -> None:
    readings = dialect(name)
    found = judgement(Planted(readings=readings))
    assert found.conclusion == "conforms"
    for field, numbers in found.profile.possible.items():
        assert getattr(readings, field) in numbers


def test_the_literal_model_passes_every_case_without_a_reading() -> None:
    found = judgement(Planted())
    assert {entry.verdict for entry in found.judged} == {"pass"}
    assert found.profile.literal()


def test_a_supported_reading_is_passed_under_its_name() -> None:
    found = judgement(Planted(readings=Readings(ipv4_first_fragment=1)))
    under = [entry for entry in found.judged if entry.verdict == "pass-under"]
    assert {entry.answer.case.comment for entry in under} == {"first IPv4 fragment"}
    assert all(entry.readings == {"ipv4_first_fragment": 1} for entry in under)
    assert found.profile.possible["ipv4_first_fragment"] == {1}


def test_a_reading_that_nothing_supports_deviates_and_names_its_clause() -> None:
    found = judgement(Planted(readings=Readings(fragment_flags=1)))
    failing = [entry for entry in found.judged if entry.verdict == "fail"]
    assert found.conclusion == "deviates"
    assert {entry.answer.case.comment for entry in failing} == {"TCP over IPv4 with DF"}
    assert {entry.clause for entry in failing} == {load_questions()["fragment-flags"].clauses[0]}


def test_mixing_two_readings_is_inconsistent_and_no_answer_is_called_a_deviation() -> None:
    fragment = Readings(atomic_fragment=1)

    def of_two_minds(frame: bytes, configuration: object, told: Outcome) -> Outcome:
        from vnethash.models.reference import outcome
        from vnethash.spec.configuration import Configuration

        assert isinstance(configuration, Configuration)
        return outcome(frame, configuration, fragment) if configuration.hash_types == 0x1FF else told

    found = judgement(Planted(of_two_minds))
    assert found.conclusion == "inconsistent"
    assert "no one set of readings" in found.reason


def test_an_answer_that_no_reading_explains_deviates() -> None:
    def flip(frame: bytes, configuration: object, told: Outcome) -> Outcome:
        return told._replace(value=told.value ^ 1) if frame == FRAMES["TCP over IPv4"] and told.report else told

    found = judgement(Planted(flip))
    assert found.conclusion == "deviates"
    failing = [entry for entry in found.judged if entry.verdict == "fail"]
    assert failing
    assert {entry.clause for entry in failing} == {"V4-1"}
    assert {entry.reason for entry in failing} == {"no reading explains this answer"}


def test_a_target_that_shows_only_queues_is_judged_by_queues() -> None:
    assert judgement(Planted(observes=["queue"])).conclusion == "conforms"
    assert judgement(Planted(readings=Readings(fragment_flags=1), observes=["queue"])).conclusion == "deviates"


def test_what_was_not_shown_stays_open() -> None:
    found = judgement(Planted(readings=Readings(ex_label=1), observes=["queue", "value"]))
    assert found.conclusion == "conforms"
    assert "ex_label" not in found.profile.possible


def test_an_unsupported_reading_accuses_only_where_an_answer_cannot_be_had_otherwise() -> None:
    found = judgement(Planted(readings=Readings(fragment_flags=1)))
    definite = [entry for entry in found.judged if entry.definite]
    assert {entry.answer.case.comment for entry in definite} == {"TCP over IPv4 with DF"}
    assert found.reason.startswith(f"{len(definite)} answers that no reading of the text allows")
    for entry in found.judged:
        if entry.definite:
            observation = entry.observation
            assert observation is not None
            assert observation.value not in {told.value for told in entry.expected.allowed.outcomes()} or (
                observation.report not in {told.report for told in entry.expected.allowed.outcomes()}
            )
