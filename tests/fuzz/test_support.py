"""Each reading of a profile is held against each of its rivals by a few answers, of frames that were sought for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.found import Exemplar
from vnethash.fuzz.subject import Subject
from vnethash.fuzz.support import Alike, Support
from vnethash.models.reference import outcome
from vnethash.spec import craft
from vnethash.spec.configuration import Configuration
from vnethash.spec.outcome import Observation
from vnethash.spec.readings import Readings
from vnethash.targets.registry import open_target

if TYPE_CHECKING:
    from vnethash.models.symbolic.profile import Constraint

#: A whole packet with one Fragment header, and one that is in front of a first fragment.
ATOMIC = craft.ethernet(craft.ipv6(craft.fragment(), craft.udp()))
FIRST = craft.ethernet(craft.ipv6(craft.fragment(more=True), craft.udp()))
PLAIN = craft.ethernet(craft.ipv6(craft.udp()))


def answers(frame: bytes, *others: str) -> dict[Constraint, Exemplar]:
    """Return answers that follow under one reading alone, each under the words of another question as well."""
    case = Case(Configuration(), (frame,))
    return {
        frozenset({(("atomic_fragment", frozenset({1})), (other, frozenset({0})))}):
        Exemplar(case, Observation(queue=3))
        for other in others
    }


def test_a_reading_is_weak_until_enough_answers_that_are_not_literal_rule_its_rival_out() -> None:
    support = Support(frozenset({"queue"}))
    readings = Readings(atomic_fragment=1)
    assert outcome(ATOMIC, Configuration(), Readings()).queue != 3
    assert support.wanted({}, 0, readings, 9) == [("atomic_fragment", 0)]
    assert support.wanted({}, 0, Readings(), 9) == []
    some = answers(ATOMIC, "udp_cut", "tcp_cut")
    assert support.wanted(some, 1, readings, 9) == [("atomic_fragment", 0)]
    enough = answers(ATOMIC, "udp_cut", "tcp_cut", "esp_header")
    assert support.wanted(enough, 2, readings, 9) == []
    # None of them rules anything out where they do not follow themselves.
    assert support.wanted(enough, 3, readings._replace(udp_cut=1), 9).count(("atomic_fragment", 0)) == 1


def test_what_is_answered_as_the_words_have_it_holds_up_no_other_reading() -> None:
    support = Support(frozenset({"queue"}))
    literal = Observation(queue=outcome(ATOMIC, Configuration(), Readings()).queue)
    alike = {
        constraint: Exemplar(exemplar.case, literal)
        for constraint, exemplar in answers(ATOMIC, "udp_cut", "tcp_cut", "esp_header").items()
    }  # fmt: skip
    assert support.wanted(alike, 0, Readings(atomic_fragment=1), 9) == [("atomic_fragment", 0)]


def test_rivals_are_named_by_turns() -> None:
    support = Support(frozenset({"queue"}))
    readings = Readings(atomic_fragment=1, ipv4_first_fragment=1)
    one = support.wanted({}, 0, readings, 1)
    assert one != support.wanted({}, 0, readings, 1)
    assert one == support.wanted({}, 0, readings, 1)


def test_frames_on_which_two_readings_part_are_those_that_the_model_answers_otherwise() -> None:
    subject = Subject("model:ndis", open_target)
    frames = [PLAIN, ATOMIC, FIRST, bytes(14), ATOMIC + bytes(3)]
    others = [Readings(atomic_fragment=1), Readings(ipv6_first_fragment=1), Readings()]
    parted = subject.parting(subject.plain, frames, others)
    assert parted == [
        {index for index, frame in enumerate(frames)
         if outcome(frame, subject.plain, other) != outcome(frame, subject.plain, Readings())}
        for other in others
    ]  # fmt: skip
    assert parted[0] == {1, 4}
    assert parted[1] == {2}
    assert parted[2] == set()


def test_of_answers_that_are_alike_the_first_are_looked_into_and_ever_fewer_behind_them() -> None:
    alike = Alike()
    looked = []
    for number in range(1, 200):
        if alike.is_worth("one kind"):
            looked.append(number)
            alike.explained("one kind")
    assert looked == [*range(1, 17), 17, 18, 20, 24, 32, 48, 80, 144]
    # What no reading explains is never saved, and another kind begins anew.
    assert alike.is_worth("another")
    fresh = Alike()
    assert all(fresh.is_worth("unexplained") for _ in range(100))
