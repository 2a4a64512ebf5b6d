"""Frames on which an answer depends."""

from __future__ import annotations

import pytest
from vnethash.models.before import HeaderMemory, fewest, is_previous, plain_company
from vnethash.models.reference import outcome
from vnethash.models.summarize import summarize
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import ethernet, ipv4, ipv6, udp
from vnethash.spec.outcome import Observation
from vnethash.spec.readings import Readings

FOUR = ethernet(ipv4(udp(), source=bytes((192, 0, 2, 1)), destination=bytes((192, 0, 2, 2))))
SIX = ethernet(ipv6(udp()))
ADDRESSES = Configuration(hash_types=0x09)


def value(frame: bytes) -> int:
    return outcome(frame, ADDRESSES, Readings()).value


@pytest.mark.parametrize("needed", [{0}, {9}, {4}, {0, 9}, {2, 3, 7}, set(range(10))])
def test_as_few_items_stay_as_are_needed(needed: set[int]) -> None:
    asked = []

    def holds(items: tuple[int, ...]) -> bool:
        asked.append(items)
        return needed <= set(items)

    assert set(fewest(range(10), holds)) == needed
    assert all(items == tuple(sorted(items)) for items in asked), "their order stays"


def test_one_item_stays_at_least_and_none_of_none() -> None:
    assert len(fewest("abc", lambda _: True)) == 1
    assert fewest((), lambda _: True) == ()


def test_company_is_plain_and_of_both_versions_and_each_is_another() -> None:
    one, two = plain_company(1), plain_company(2)
    assert [summarize(frame) for frame in one] == ["eth/ipv4/udp", "eth/ipv6/udp"]
    assert len({value(frame) for frame in (*one, *two, FOUR, SIX)}) == 6


@pytest.mark.parametrize(
    ("frame", "size"), [(FOUR, 0), (FOUR, 12), (FOUR, 16), (FOUR, 19), (SIX, 0), (SIX, 24), (SIX, 39)]
)
def test_a_cut_header_is_completed_by_the_one_before_it(frame: bytes, size: int) -> None:
    four, six = plain_company(1)
    before = four if frame is FOUR else six
    cut = frame[:14 + size]
    whole = cut + before[14 + size:]
    seen = Observation(1, value(whole), 0)
    assert is_previous((six, four, before, cut), ADDRESSES, seen, Readings())
    assert is_previous((before, six if before is four else four, cut), ADDRESSES, seen, Readings())
    assert not is_previous((before, cut), ADDRESSES, Observation(1, value(whole) ^ 1, 0), Readings())
    assert not is_previous((before, frame), ADDRESSES, Observation(1, value(frame), 0), Readings()), "it is whole"
    assert not is_previous((before, frame[:13]), ADDRESSES, seen, Readings()), "it has no EtherType"
    assert not is_previous((before, cut), ADDRESSES, Observation(0, None, 0), Readings())


def test_what_is_kept_is_the_last_byte_that_was_read_to_each_place() -> None:
    four, _ = plain_company(1)
    memory = HeaderMemory()
    assert memory.take(FOUR, Readings()) == (4, False)
    assert memory.take(four[:14 + 16], Readings()) == (4, True)
    assert memory.value(4, ADDRESSES, Readings()) == value(four[:14 + 16] + FOUR[14 + 16:])
    assert memory.take(bytes(60), Readings()) == (0, False)
