"""Profiles that are found quickly, held against those that a solver proves the best."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from vnethash.conformance.suite import cases
from vnethash.models.allowed import expectation, offered_readings
from vnethash.models.matching import matches
from vnethash.models.reference import outcome
from vnethash.models.symbolic.descent import near_profile
from vnethash.models.symbolic.profile import Constraint, Profile, cost, find_profile, satisfied, unexplained_cost
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import questions_by_field
from vnethash.spec.readings import Readings

FIELDS = {"vlan_tags": 5, "tcp_cut": 4, "atomic_fragment": 2}
ALL = frozenset({"report", "value", "queue"})


def price(profile: Profile, asked: list[Constraint]) -> int:
    left = sum(unexplained_cost(asked.count(each)) for each in profile.violated)
    return left + sum(cost(name, number) for name, number in profile.readings.items())


constraints = st.frozensets(
    st.fixed_dictionaries(
        {}, optional={name: st.sets(st.integers(0, top - 1), min_size=1) for name, top in FIELDS.items()}
    ).filter(bool).map(lambda chosen: tuple((name, frozenset(numbers)) for name, numbers in chosen.items())),
    min_size=1, max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(constraints, min_size=1, max_size=8))
def test_what_is_left_unexplained_is_what_the_profile_violates(asked: list[Constraint]) -> None:
    profile = near_profile(asked)
    assert profile.satisfied == {each for each in asked if satisfied(each, profile.readings)}
    assert profile.violated == set(asked) - profile.satisfied
    assert not profile.possible
    # No other reading of one question alone is cheaper.
    found = price(profile, asked)
    for name, top in FIELDS.items():
        for number in range(top):
            readings = {**profile.readings, name: number}
            kept = frozenset(each for each in asked if satisfied(each, readings))
            assert price(Profile(readings, {}, kept, frozenset(asked) - kept), asked) >= found


def answers(readings: Readings, other: Readings, share: float) -> list[Constraint]:
    """Return what a device shows that follows `readings`, and `other` for a share of the frames."""
    chance = Random(5)
    found = []
    for case in cases()[::11]:
        chosen = other if chance.random() < share else readings
        said = outcome(case.frame, case.configuration, chosen)
        observed = Observation(said.report, said.value, said.queue)
        explained = expectation(case.frame, case.configuration, offered_readings(defects=True)).explained_by(
            lambda out, observed=observed: matches(out, observed, ALL)
        )
        if explained != ((),):
            found.append(frozenset(explained))
    return found


def test_devices_of_one_set_of_readings_are_explained_whole_and_torn_ones_as_well_as_can_be() -> None:
    chance = Random(11)

    def some() -> Readings:
        questions = list(questions_by_field().items())
        return Readings(**{
            name: chance.randrange(len(question.readings)) for name, question in chance.sample(questions, 12)
        })

    for share in (0.0, 0.1, 0.4):
        asked = answers(some(), some(), share)
        near, best = near_profile(asked), find_profile(asked)
        if not share:
            assert not near.violated
        assert len(near.violated) == len(best.violated)
        assert price(near, asked) <= price(best, asked) + 1000


def test_a_good_start_is_taken_and_the_same_is_found_each_time() -> None:
    asked = answers(Readings(), Readings(tcp_cut=1, vlan_tags=2), 0.5)
    start = find_profile(asked).readings
    assert price(near_profile(asked, [start]), asked) <= price(find_profile(asked), asked)
    assert near_profile(asked).readings == near_profile(asked[::-1]).readings


def test_readings_of_two_questions_that_only_help_together_are_found() -> None:
    both = frozenset({(("vlan_tags", frozenset({1})), ("atomic_fragment", frozenset({1})))})
    assert near_profile([both]).violated == frozenset()


def test_a_solver_that_runs_out_of_steps_gives_the_profile_it_was_given() -> None:
    asked = answers(Readings(), Readings(tcp_cut=1, vlan_tags=2, ipv4_first_fragment=1), 0.5)
    near = near_profile(asked)
    given = find_profile(asked, effort=1, otherwise=near)
    assert given.readings == near.readings
    assert given.violated == near.violated
    assert given.possible
    assert find_profile(asked, effort=2_000_000_000, otherwise=near).possible == find_profile(asked).possible
