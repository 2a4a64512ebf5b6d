"""The profile as a weighted MaxSAT."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from vnethash.models.symbolic.profile import Constraint, explained_beside, find_profile, satisfied

FIELDS = {"vlan_tags": 5, "tcp_cut": 4, "atomic_fragment": 2}


def when(**numbers: set[int]) -> tuple[tuple[str, frozenset[int]], ...]:
    return tuple((name, frozenset(values)) for name, values in numbers.items())


def test_without_answers_all_readings_are_literal() -> None:
    profile = find_profile([])
    assert profile.literal()
    assert not profile.possible


def test_an_answer_that_needs_a_reading_settles_it() -> None:
    profile = find_profile([frozenset({when(tcp_cut={2})})])
    assert profile.readings["tcp_cut"] == 2
    assert profile.possible["tcp_cut"] == {2}


def test_what_two_readings_explain_stays_open_and_the_literal_one_is_taken() -> None:
    profile = find_profile([frozenset({when(tcp_cut={0, 2})})])
    assert profile.readings["tcp_cut"] == 0
    assert profile.possible["tcp_cut"] == {0, 2}


def test_a_supported_reading_is_preferred_to_an_unsupported_one() -> None:
    # vlan_tags 4 is a defect, 1 to 3 are readings of the text.
    profile = find_profile([frozenset({when(vlan_tags={4}), when(atomic_fragment={1})})])
    assert profile.readings["atomic_fragment"] == 1
    assert profile.readings["vlan_tags"] == 0


def test_answers_that_contradict_each_other_leave_the_fewer_ones_out() -> None:
    few = frozenset({when(tcp_cut={1})})
    many = frozenset({when(tcp_cut={2})})
    profile = find_profile([few, many, many, many])
    assert profile.readings["tcp_cut"] == 2
    assert profile.violated == {few}
    assert profile.spoke["tcp_cut"] == 4


constraints = st.frozensets(
    st.fixed_dictionaries(
        {}, optional={name: st.sets(st.integers(0, top - 1), min_size=1) for name, top in FIELDS.items()}
    ).filter(bool).map(lambda chosen: when(**chosen)),
    min_size=1, max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(constraints, min_size=1, max_size=6))
def test_the_profile_satisfies_as_many_answers_as_any_set_of_readings(asked: list[Constraint]) -> None:
    profile = find_profile(asked)
    different = set(asked)
    best = max(
        sum(satisfied(constraint, dict(zip(FIELDS, numbers, strict=True))) for constraint in different)
        for numbers in product(*(range(top) for top in FIELDS.values()))
    )
    full = {name: profile.readings[name] for name in FIELDS}
    assert profile.satisfied == {constraint for constraint in different if satisfied(constraint, full)}
    assert len(profile.satisfied) == best


def test_what_can_be_explained_beside_the_rest_is_told_from_what_contradicts_it() -> None:
    kept = [frozenset({when(tcp_cut={0, 2})}), frozenset({when(vlan_tags={1}), when(atomic_fragment={1})})]
    others = [frozenset({when(tcp_cut={2})}), frozenset({when(tcp_cut={1})}), frozenset({when(vlan_tags={0})})]
    assert explained_beside(kept, others) == [True, False, True]
    assert explained_beside([], others) == [True, True, True]
    assert explained_beside(kept, others, lambda: True) == [True, True, True]
