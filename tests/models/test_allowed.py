"""The decision tree of a frame holds, for every full set of readings, what the model says under them."""

from __future__ import annotations

from random import Random

from vnethash.models.allowed import MOST_LEAVES, dialect, expectation, leaves, offered_readings
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.readings import Readings

from tests.models import random_frames

#: The same for all tests here: an expectation of a damaged frame may have thousands of leaves.
FEW = 400


def offered_to(r: Random) -> dict[str, tuple[int, ...]]:
    """Return a few readings of a few questions, the literal ones of the others."""
    offered = {}
    for field, numbers in offered_readings(defects=True).items():
        some = tuple(sorted({0, *r.sample(numbers, r.randrange(len(numbers)))})) if r.randrange(3) == 0 else (0,)
        offered[field] = some
    return offered


def test_under_any_readings_the_tree_says_what_the_model_says() -> None:
    r = Random(21)
    complete = 0
    for _ in range(250):
        frame, configuration, offered = random_frames.any_frame(r), random_frames.any_configuration(r), offered_to(r)
        expected = expectation(frame, configuration, offered, most_leaves=FEW)
        if not expected.complete:
            continue
        complete += 1
        for _ in range(20):
            readings = Readings(**{field: r.choice(numbers) for field, numbers in offered.items()})
            assert expected.under(readings._asdict()) == outcome(frame, configuration, readings)
    assert complete > 200


def test_exactly_one_cube_holds_for_any_readings() -> None:
    r = Random(22)
    for _ in range(120):
        offered = offered_to(r)
        expected = expectation(random_frames.any_frame(r), random_frames.any_configuration(r), offered, most_leaves=FEW)
        if not expected.complete:
            continue
        for _ in range(10):
            readings = {field: r.choice(numbers) for field, numbers in offered.items()}
            holding = [cube for cube in expected.cubes if cube.holds(readings)]
            assert [cube.outcome for cube in holding] == [expected.under(readings)]


def test_a_question_that_is_not_offered_is_not_in_the_tree() -> None:
    r = Random(23)
    literal = dict.fromkeys(Readings._fields, (0,))
    for _ in range(100):
        frame, configuration = random_frames.any_frame(r), random_frames.any_configuration(r)
        expected = expectation(frame, configuration, literal)
        assert expected.questions() == set()
        assert expected.outcomes() == {outcome(frame, configuration, Readings())}


def test_both_dialects_are_among_what_is_allowed() -> None:
    r = Random(24)
    for _ in range(60):
        frame = random_frames.any_frame(r)
        expected = expectation(frame, Configuration(), most_leaves=FEW)
        if expected.complete:
            for name in ("literal", "ndis"):
                readings = dialect(name)
                assert expected.under(readings._asdict()) == outcome(frame, Configuration(), readings)


def test_questions_are_asked_in_the_same_order_every_time() -> None:
    r = Random(25)
    for _ in range(100):
        frame, configuration, offered = random_frames.any_frame(r), random_frames.any_configuration(r), offered_to(r)
        first, again = ([list(path.items()) for path, _, _ in some(frame, configuration, offered)] for _ in range(2))
        assert first == again


def some(frame: bytes, configuration: Configuration, offered: dict[str, tuple[int, ...]]) -> list[tuple]:  # type: ignore[type-arg]
    return [leaf for _, leaf in zip(range(50), leaves(frame, configuration, offered), strict=False)]


def test_frames_without_damage_have_few_leaves() -> None:
    r = Random(26)
    large = 0
    for _ in range(100):
        size = sum(1 for _ in zip(range(MOST_LEAVES), leaves(
            random_frames.any_frame(r), Configuration(), offered_readings(defects=False)
        ), strict=False))
        large += size == MOST_LEAVES
    assert large <= 2
