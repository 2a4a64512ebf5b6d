"""Findings put to their targets again."""

from __future__ import annotations

import msgspec
import pytest
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.replay import replay
from vnethash.spec.errors import FormatError, TargetUnavailable
from vnethash.spec.outcome import Outcome
from vnethash.spec.readings import Readings
from vnethash.targets.base import Errored

from tests.conformance.planted import Planted, cases


def finding(readings: Readings) -> records.Finding:
    stream: list[records.AnyRecord] = []
    check(["planted"], "test", cases(), lambda _: Planted(readings=readings), stream.append, now=lambda: "")
    (found,) = [record for record in stream if isinstance(record, records.Finding)]
    return found


DEFECT = finding(Readings(fragment_flags=1))
READING = finding(Readings(ipv4_first_fragment=1))


def test_what_is_still_there_is_told_so() -> None:
    answer = replay(DEFECT, lambda _: Planted(readings=Readings(fragment_flags=1)))
    assert (answer.verdict, answer.exit_code) == ("still there", 1)


def test_what_was_repaired_is_told_so() -> None:
    answer = replay(DEFECT, lambda _: Planted())
    assert (answer.verdict, answer.exit_code) == ("fixed", 0)
    assert replay(READING, lambda _: Planted()).verdict == "fixed"


def test_another_failure_is_not_taken_for_a_repair() -> None:
    answer = replay(DEFECT, lambda _: Planted(lambda frame, configuration, told: Outcome(9, 7, 7)))
    assert (answer.verdict, answer.exit_code) == ("fails another way", 1)


def test_what_cannot_be_driven_is_never_told_as_repaired() -> None:
    def missing(_: str) -> Planted:
        raise TargetUnavailable("planted: gone")

    answer = replay(DEFECT, missing)
    assert (answer.verdict, answer.exit_code) == ("cannot be replayed", 2)
    failing = replay(DEFECT, lambda _: Planted(lambda frame, configuration, told: Errored("ouch")))
    assert (failing.verdict, failing.words) == ("cannot be replayed", "ouch")


def test_a_broken_witness_gets_one_line() -> None:
    broken = msgspec.structs.replace(DEFECT, witness=msgspec.structs.replace(DEFECT.witness, frame="abc"))
    with pytest.raises(FormatError, match="witness frame"):
        replay(broken, lambda _: Planted())
