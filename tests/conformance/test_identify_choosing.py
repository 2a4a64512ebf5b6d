"""Which case is put to a target next, after what its answers so far have shown."""

from __future__ import annotations

from vnethash.conformance.choosing import Chooser, circumstances
from vnethash.conformance.identify import identify
from vnethash.conformance.judge import judge
from vnethash.conformance.runner import run_suite
from vnethash.conformance.suite import Case, load_suite
from vnethash.models.allowed import dialect
from vnethash.models.expectations import Expectations
from vnethash.models.reference import outcome
from vnethash.models.summarize import summarize
from vnethash.spec.configuration import Configuration
from vnethash.spec.outcome import Observation, Outcome
from vnethash.spec.readings import Readings

from tests.conformance.planted import TCP, Planted, ipv4

OBSERVES = frozenset({"queue", "report", "value"})
EXPECTATIONS = Expectations()
LITERAL = dialect("literal")._asdict()
DOUBT = ("fragment_flags", 1)

#: Three cases that ask what DF does to a packet. The second is the first but for a hash type; the third is longer.
DF = ipv4(flags=0x4000)
CASES = [
    Case("TCP with DF", ("V4-1",), DF, Configuration(hash_types=0x2), 1),
    Case("the same", ("V4-1",), DF, Configuration(hash_types=0x3), 2),
    Case("UDP with DF", ("V4-2",), ipv4(17, 0x4000, b"\x12\x34\x56\x78\0\x10\0\0" + bytes(24)),
         Configuration(hash_types=0x5, key=bytes(range(36)), indirection_table=(1, 2)), 3),
]  # fmt: skip


def chooser() -> Chooser:
    return Chooser(CASES, EXPECTATIONS, OBSERVES)


def answer(case: Case, readings: Readings) -> Observation:
    told = outcome(case.frame, case.configuration, readings)
    return Observation(told.report, told.value, told.queue)


def test_an_answer_as_the_profile_has_it_rules_a_reading_out_and_it_is_not_asked_again() -> None:
    choice = chooser()
    assert choice.ruled_out(LITERAL) == set()
    assert choice.explain(choice.take(1).id, answer(CASES[0], Readings()))
    assert DOUBT in choice.ruled_out(LITERAL)
    assert 2 not in choice.for_doubts(LITERAL, 3), "it tells nothing that the first did not tell"


def test_an_answer_that_the_profile_contradicts_rules_nothing_out() -> None:
    choice = chooser()
    assert choice.explain(choice.take(1).id, answer(CASES[0], Readings(fragment_flags=1)))
    assert choice.ruled_out(LITERAL) == set()
    assert DOUBT not in choice.ruled_out({**LITERAL, "fragment_flags": 1})
    assert ("fragment_flags", 0) in choice.ruled_out({**LITERAL, "fragment_flags": 1})


def test_a_doubt_that_was_asked_in_vain_is_asked_where_least_is_the_same() -> None:
    nonsense = Observation(1, 0xDEAD, 77)
    untried = chooser()
    del untried.left[1]
    assert untried.for_doubts(LITERAL, 1) == [2]
    choice = chooser()
    choice.take(1)
    assert choice.explain(1, nonsense) == frozenset()
    assert choice.ruled_out(LITERAL) == set()
    # Nothing was learned of the second but that it is nearly the first; the third is longer, and another.
    assert choice.for_doubts(LITERAL, 1) == [3]


def test_circumstances_are_the_headers_each_hash_type_and_the_sizes() -> None:
    about = circumstances(CASES[2])
    assert {"eth", "ipv4(df)", "type 0 on", "type 1 off", "type 2 on", "type 8 off", "key 36", "table 2"} <= about
    assert circumstances(CASES[0]) ^ circumstances(CASES[1]) == {"type 0 on", "type 0 off"}
    assert TCP in CASES[0].frame


def test_a_defect_in_many_packets_leaves_what_it_does_not_touch_to_be_found() -> None:
    def change(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        broken = "dstopts" in summarize(frame) or configuration.hash_types >> 7 & 1
        return told._replace(value=told.value ^ 1) if broken and told.report else told

    cases = load_suite("quick").cases
    target = Planted(change, Readings(fragment_flags=1, atomic_fragment=1, tcp_cut=1))
    found = identify(target, cases, EXPECTATIONS, most=120)
    whole = judge(run_suite(target, cases).answers, target.capabilities.observes, EXPECTATIONS).profile
    settled = {field: numbers for field, numbers in whole.possible.items() if len(numbers) == 1}
    assert settled
    assert {field: {found.profile.readings[field]} for field in settled} == settled
    assert found.unexplained
