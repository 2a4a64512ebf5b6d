"""A whole run in this process: records, findings, witnesses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from vnethash.conformance import records
from vnethash.conformance.check import Summary, check
from vnethash.conformance.replay import replay
from vnethash.models.reference import outcome
from vnethash.spec.errors import TargetDied, TargetUnavailable
from vnethash.spec.outcome import Observation
from vnethash.spec.readings import Readings
from vnethash.targets.base import Errored, Refused, Result, Skipped, TimedOut

from tests.conformance.planted import FRAMES, Planted, cases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome


def run(*targets: Planted) -> tuple[Summary, list[records.AnyRecord]]:
    known = {target.name: target for target in targets}
    stream: list[records.AnyRecord] = []
    summary = check(list(known), "test", cases(), known.__getitem__, stream.append, now=lambda: "2026-01-01T00:00:00Z")
    return summary, stream


def findings(stream: Sequence[records.AnyRecord]) -> dict[str, records.Finding]:
    return {record.id.partition(".")[2]: record for record in stream if isinstance(record, records.Finding)}


def conclusions(stream: Sequence[records.AnyRecord]) -> dict[str, str]:
    return {record.target: record.conclusion for record in stream if isinstance(record, records.TargetRecord)}


def test_a_run_begins_with_a_header_and_ends_with_a_footer_that_counts() -> None:
    summary, stream = run(Planted())
    assert isinstance(stream[0], records.Header)
    footer = stream[-1]
    assert isinstance(footer, records.Footer)
    assert footer.cases == len(cases()) == summary.cases
    assert footer.findings == 0
    assert summary.exit_code == 0
    assert conclusions(stream) == {"planted": "conforms"}


def test_a_known_defect_is_one_finding_with_the_smallest_witness() -> None:
    _, stream = run(Planted(readings=Readings(fragment_flags=1)))
    found = findings(stream)
    assert list(found) == ["fragment-flags"]
    finding = found["fragment-flags"]
    assert finding.cause == "defect"
    assert finding.reading == "any-flag"
    assert finding.clauses[0] == "V4-1"
    assert finding.witness.config["hash_types"] == 2
    assert bytes.fromhex(finding.witness.frame) == FRAMES["TCP over IPv4 with DF"]
    assert finding.effect == "not hashed where TCPV4 is expected"
    assert any("V4-1" in step for step in finding.witness.steps)


def test_a_supported_reading_is_told_as_a_reading_and_not_as_a_defect() -> None:
    summary, stream = run(Planted(readings=Readings(ipv4_first_fragment=1)))
    assert findings(stream)["ipv4-first-fragment"].cause == "reading"
    assert summary.exit_code == 0


def test_two_defects_are_two_findings() -> None:
    _, stream = run(Planted(readings=Readings(fragment_flags=1, port_protocols=1)))
    assert {slug: finding.cause for slug, finding in findings(stream).items()} == {
        "fragment-flags": "defect", "port-protocols": "defect",
    }


def test_a_mix_of_readings_is_named_by_its_question() -> None:
    def of_two_minds(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        if configuration.hash_types == 0x1FF:
            return outcome(frame, configuration, Readings(atomic_fragment=1))
        return told

    summary, stream = run(Planted(of_two_minds))
    assert findings(stream)["mixed-atomic-fragment"].cause == "inconsistent"
    assert conclusions(stream) == {"planted": "inconsistent"}
    assert summary.exit_code == 1


def test_a_slip_of_the_hash_is_named_once_for_all_its_rules() -> None:
    from vnethash.models.reference import decide, hash_input
    from vnethash.models.toeplitz import toeplitz

    def ports_swapped(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        data = hash_input(frame, len(frame), decide(frame, len(frame), configuration.hash_types, 0, Readings()))
        if len(data) % 8 == 0:
            return told
        value = toeplitz(configuration.key, data[:-4] + data[-2:] + data[-4:-2])
        return told._replace(value=value, queue=configuration.indirection_table[value & 127])

    _, stream = run(Planted(ports_swapped))
    found = findings(stream)
    assert len(found) == 1
    (finding,) = found.values()
    assert finding.title == "the destination port is hashed before the source port"
    assert {"V4-1", "V4-2", "V6-1", "X6-1"} <= set(finding.clauses)


def test_receive_queues_that_max_tx_vq_limits_are_a_defect_by_the_name_that_the_control_suite_has() -> None:
    def limited(frame: bytes, configuration: Configuration, told: Outcome) -> Outcome:
        return told._replace(queue=told.queue % configuration.max_tx_vq)

    target, stream = Planted(limited), []
    asked = [replace(case, configuration=replace(case.configuration, max_tx_vq=4)) for case in cases((0x3F,))]
    check(["planted"], "test", asked, lambda _: target, stream.append, now=lambda: "")
    (finding,) = findings(stream).values()
    assert (finding.id, finding.cause) == ("T1.max-tx-vq", "defect")
    assert (finding.question, finding.reading) == ("max-tx-vq", "receive-too")
    assert finding.title == "a receive queue number is taken modulo max_tx_vq"
    assert finding.witness.config["max_tx_vq"] == 4
    assert replay(finding, lambda _: Planted(limited)).verdict == "still there"
    assert replay(finding, lambda _: Planted()).verdict == "fixed"


@pytest.mark.parametrize("result", [Errored("it hurts"), TimedOut(1.0)])
def test_a_target_that_fails_on_a_frame_is_told_as_error_and_the_rest_is_judged(result: Result) -> None:
    summary, stream = run(
        Planted(lambda frame, _, told: result if frame == FRAMES["ARP"] else told)
    )
    (finding,) = findings(stream).values()
    assert finding.cause == "error"
    assert finding.cases == 5
    assert summary.exit_code == 1
    verdicts = {record.verdict for record in stream if isinstance(record, records.Case)}
    assert verdicts == {"pass", "error" if isinstance(result, Errored) else "timeout"}


def test_what_a_target_skips_is_never_a_failure() -> None:
    summary, stream = run(Planted(lambda frame, _, told: Skipped("no ARP here") if frame == FRAMES["ARP"] else told))
    assert summary.exit_code == 0
    assert not findings(stream)


def test_a_target_that_cannot_be_opened_is_not_driven_and_the_others_are_judged() -> None:
    good = Planted(name="good")

    def opener(name: str) -> Planted:
        if name == "bad":
            raise TargetUnavailable("bad: nothing to drive", hint="install it")
        return good

    stream: list[records.AnyRecord] = []
    summary = check(["bad", "good"], "test", cases(), opener, stream.append, now=lambda: "")
    assert conclusions(stream) == {"bad": "not-driven", "good": "conforms"}
    assert summary.exit_code == 3
    assert good.closed == 1


def test_a_target_that_dies_for_good_keeps_what_it_answered() -> None:
    class Dying(Planted):
        def run(self, frames: Sequence[bytes]) -> list[Result]:
            if len(self.configured) > 2:
                raise TargetDied("it ended with exit code 9")
            return super().run(frames)

    summary, stream = run(Dying(readings=Readings()))
    (target,) = [record for record in stream if isinstance(record, records.TargetRecord)]
    assert target.conclusion == "not-driven"
    assert "exit code 9" in target.reason
    assert target.counts["pass"] == 2 * len(FRAMES)
    assert target.counts["error"] == 2 * len(FRAMES)
    assert summary.exit_code == 3


def test_a_legal_configuration_that_is_refused_is_an_error() -> None:
    class Refusing(Planted):
        def configure(self, configuration: Configuration) -> None:
            if configuration.hash_types == 0x50:
                raise Refused("not today")
            super().configure(configuration)

    _, stream = run(Refusing())
    (finding,) = findings(stream).values()
    assert "refused: not today" in finding.title


def test_ctrl_c_keeps_what_was_answered_and_says_so() -> None:
    class Interrupted(Planted):
        def run(self, frames: Sequence[bytes]) -> list[Result]:
            if len(self.configured) > 1:
                raise KeyboardInterrupt
            return super().run(frames)

    summary, stream = run(Interrupted(readings=Readings(fragment_flags=1)))
    footer = stream[-1]
    assert isinstance(footer, records.Footer)
    assert footer.interrupted
    assert summary.interrupted
    assert "fragment-flags" in findings(stream)
    assert sum(isinstance(record, records.Case) for record in stream) == len(FRAMES)


def test_ctrl_c_while_a_witness_is_reduced_keeps_every_finding() -> None:
    class Impatient(Planted):
        def run(self, frames: Sequence[bytes]) -> list[Result]:
            if len(frames) == 1:
                raise KeyboardInterrupt
            return super().run(frames)

    summary, stream = run(Impatient(readings=Readings(fragment_flags=1, port_protocols=1)))
    assert summary.interrupted
    assert set(findings(stream)) == {"fragment-flags", "port-protocols"}
    assert conclusions(stream) == {"planted": "deviates"}


def test_what_only_the_run_showed_is_told_as_the_run_showed_it() -> None:
    class Fresh(Planted):
        """Hashes nothing until it has seen a whole suite."""

        seen = 0

        def run(self, frames: Sequence[bytes]) -> list[Result]:
            self.seen += len(frames)
            results = super().run(frames)
            if self.seen <= len(cases()):
                return [Observation(0, None, 200)] * len(results)
            return results

    _, stream = run(Fresh())
    finding = findings(stream)["depends-on-frames-before"]
    assert "not shown when the frame is put alone" in finding.witness.reason
    assert finding.witness.observed is not None
    assert finding.witness.before == []

    def warm(_: str) -> Fresh:
        target = Fresh()
        target.seen = 100
        return target

    assert replay(finding, warm).verdict == "cannot be replayed"
