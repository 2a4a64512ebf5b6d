"""Which questions bear on each other: witnesses hold, exclusions are right, and a tie that is planted is noticed."""

from __future__ import annotations

import time
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import pytest
from vnethash.models.allowed import leaves, offered_readings
from vnethash.models.reference import outcome
from vnethash.models.symbolic import effects, interactions
from vnethash.models.symbolic.corpus import cases, shown
from vnethash.models.symbolic.effects import Effect, effect
from vnethash.models.symbolic.interactions import Case, interaction, late_beside, pairs_of, variants, without_types
from vnethash.models.symbolic.late import LATE
from vnethash.models.symbolic.obligations import Verdict
from vnethash.models.symbolic.query import configuration_of
from vnethash.spec.configuration import Configuration
from vnethash.spec.questions import load_questions, questions_by_field
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from vnethash.models.symbolic.stage import Found

#: A row that asks the solver, one that is about packets of one version, one about keys.
SAMPLES = ("fragment-flags", "option-walk-end", "long-key")


@pytest.fixture(autouse=True)
def fewer_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactions, "_CASES", 1500)
    monkeypatch.setattr(interactions, "_MOST", 62)
    monkeypatch.setattr(effects, "_WINDOWS", ((14, 53),))


@cache
def verdict(name: str) -> Verdict:
    return interactions.look_at(name.replace("-", "_"), 200.0)


def test_every_question_is_looked_at_once() -> None:
    fields = [field for part in interactions._areas().values() for field in part]
    assert sorted(fields) == sorted(questions_by_field())
    named = ", ".join(item.statement for item in interactions.tasks())
    assert all(identifier in named for identifier in load_questions())


@pytest.mark.parametrize("name", SAMPLES)
def test_each_other_question_is_accounted_for_once(name: str) -> None:
    data = verdict(name).data
    assert data["unanswered"] == []
    named = [item for part in data.values() for item in cast("list[str]", part)]
    assert sorted(named) == sorted(set(load_questions()) - {name})


@pytest.mark.parametrize("name", SAMPLES)
def test_an_interaction_shows_in_cpython_that_equal_outcomes_depend_on_the_other_question(name: str) -> None:
    questions = load_questions()
    shown = cast("dict[str, dict[str, Any]]", verdict(name).data["interact"])
    assert shown or name == "option-walk-end"
    for other, row in shown.items():
        frame, configuration = bytes.fromhex(row["frame"]), Configuration.from_json(row["configuration"])
        table = [
            [
                outcome(frame, configuration, Readings(**{questions[name].field: one, questions[other].field: two}))
                for two in range(len(questions[other].readings))
            ]
            for one in range(len(questions[name].readings))
        ]
        partitions = {tuple(column.index(entry) for entry in column) for column in zip(*table, strict=True)}
        mirrored = {tuple(line.index(entry) for entry in line) for line in table}
        assert len(partitions) > 1 or len(mirrored) > 1
        assert other in row["shows"]


def test_what_is_said_never_to_be_asked_together_is_not_in_any_run_of_many_frames() -> None:
    never = {
        (load_questions()[name].field, load_questions()[other].field)
        for name in SAMPLES for other in cast("list[str]", verdict(name).data["never"])
    }
    assert never
    met: set[str] = set()
    for frame, configuration in islice(cases(2500), 1500, 2500):
        if len(frame) > 62 or "HASH_TUNNEL" in configuration.features:
            continue
        for first in {first for first, _ in never}:
            offered = dict.fromkeys(Readings._fields, (0,)) | {first: offered_readings(defects=True)[first]}
            for path, _, _ in leaves(frame, configuration, offered):
                if first in path:
                    met |= {f"{first} {other}" for other in path}
    assert met
    assert not met & {f"{first} {other}" for first, other in never}


def test_questions_that_only_another_reading_raises_meet_that_question_alone() -> None:
    data = verdict("option-walk-end").data
    assert len(cast("list[str]", data["never"])) == len(load_questions()) - 1
    row = verdict("fragment-flags").data
    assert "home-repeated" in cast("list[str]", row["never"])  # of IPv6
    assert "ipv4-options" in cast("dict[str, Any]", row["interact"])


def test_a_planted_tie_between_two_questions_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = bytes(12) + bytes.fromhex("0800 4500 0014 0000 0000 4000 0000") + bytes(8)
    case = Case(frame, Configuration())
    assert interaction(case, "vlan_tags", "route_other") == ""

    def tied(frame: bytes, configuration: Configuration, readings: Readings) -> object:
        return readings.vlan_tags if readings.route_other else 0

    monkeypatch.setattr(interactions, "outcome", tied)
    words = interaction(case, "vlan_tags", "route_other")
    assert words == (
        "vlan-tags: any = one = ordered = none = service-pair = service-type under route-other destination, "
        "vlan-tags: any, one, ordered, none, service-pair, service-type under route-other final"
    )


def test_questions_behind_the_selection_exclude_each_other_as_their_conditions_do() -> None:
    assert "long_key" not in late_beside("short_key")
    assert "table_size" in late_beside("long_key")
    assert "table_size" not in late_beside("no_hash_types")
    assert all(late_beside(field) <= LATE for field in LATE)
    assert without_types()


def test_each_frame_that_is_kept_shows_an_interaction() -> None:
    idle = []
    for case in (Case(*case) for case in shown()):
        asked = interactions._asked(case, {})
        met = {(one, other) for one in asked for other in interactions._beside(case, one)}
        if not any(interaction(case, one, other) for one, other in met):
            idle.append(case.frame.hex())
    assert not idle


def solved(first: str, second: str) -> tuple[Effect, list[str]]:
    """Return what a solver says of two questions, and the words for its frame as CPython has them."""
    words: list[str] = []

    def shows(found: Found) -> bool:
        words.append(interaction(Case(found.frame, configuration_of(found.types, found.tunnels)), first, second))
        return bool(words[-1])

    return effect(first, second, time.monotonic() + 120, shows), words


def test_a_solver_finds_an_effect_that_cpython_confirms() -> None:
    answer, words = solved("total_length_zero", "ipv4_ah")
    assert answer.found is not None
    assert "total-length-zero" in words[-1]
    assert "ipv4-ah" in words[-1]


def test_a_solver_says_that_there_is_no_effect_and_does_not_where_an_interaction_is_known() -> None:
    assert solved("fragment_flags", "plain_addresses") == (Effect(None, True), [])
    assert solved("ipv4_options", "source_route")[0].found is not None


def test_a_pair_that_needs_more_options_than_are_looked_at_is_not_answered() -> None:
    answer, _ = solved("fragment_flags", "option_limit")
    assert not answer.answered


def test_a_frame_that_cpython_does_not_confirm_is_no_answer() -> None:
    assert effect("total_length_zero", "ipv4_ah", time.monotonic() + 120, lambda _: False) == Effect(None, False)


def test_variants_and_cases_are_the_same_in_every_run() -> None:
    frame, configuration = next(cases(1))
    assert list(variants(Case(frame, configuration))) == list(variants(Case(frame, configuration)))
    assert list(cases(40)) == list(cases(40))
    asked = {field for case in cases(1500) for field in interactions._asked(Case(*case), {})}
    assert set(questions_by_field()) - asked <= {"icmpv6_ports", "option_walk_end", "nested_tunnel", "home_repeated"}


def test_two_rows_together_say_what_is_known_of_a_pair() -> None:
    empty: dict[str, object] = {
        "interact": {}, "without_effect": [], "never": [], "met_without_effect": {}, "undecided": [], "unanswered": [],
    }
    rows = {
        "a": Verdict("open", "", data={**empty, "never": ["b", "c"], "interact": {"d": {}}}),
        "b": Verdict("open", "", data={**empty, "never": ["a"], "met_without_effect": {"d": 3}}),
        "c": Verdict("open", "", data={**empty, "undecided": ["a"], "without_effect": ["b"]}),
        "d": Verdict("open", "", data=empty),
    }
    assert {(first, second): word for first, second, word in pairs_of(rows)} == {
        ("a", "b"): "never", ("a", "c"): "undecided", ("a", "d"): "interact", ("b", "c"): "without effect",
        ("b", "d"): "met", ("c", "d"): "undecided",
    }
