"""The main job on the real thing: QEMU's steering eBPF in the kernel, its causes by name, each replayed."""

from __future__ import annotations

import pytest
from needs import why_missing
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.replay import replay
from vnethash.conformance.suite import load_suite
from vnethash.targets.registry import open_target

pytestmark = [pytest.mark.needs_kernel, pytest.mark.needs_qemu]

#: What QEMU 6.1 to 7.2 do against every reading of the text.
DEFECTS = {
    "fragment-flags": "any-flag",
    "zero-value": "unhashed",
    "ex-packets": "modifier",
    "no-next-header": "walked",
    "icmpv6-header": "walked",
    "icmpv6-ports": "hashed",
    "ipv6-later-fragment": "headers",
    "header-limit": "eleven",
    "option-limit": "thirty",
    "home-length": "taken",
    "fragment-length": "reserved-octet",
    "ihl-below-five": "as-stated",
}
#: What another reading allows, so that it is told as that reading.
READINGS = {
    "ex-precedence": "transport-first",
    "authentication-header": "upper-layer",
    "tcp-cut": "unhashed",
    "udp-cut": "unhashed",
    "ipv4-first-fragment": "addresses",
    "atomic-fragment": "fragment",
    "total-length-bound": "frame",
}


@pytest.fixture(scope="module")
def stream() -> list[records.AnyRecord]:
    found: list[records.AnyRecord] = []
    check(["qemu-ebpf"], "default", load_suite("default").cases, open_target, found.append, now=lambda: "")
    return found


@pytest.fixture(scope="module", autouse=True)
def version(stream: list[records.AnyRecord]) -> str:
    (target,) = [record for record in stream if isinstance(record, records.TargetRecord)]
    found = target.implementation["version"]
    if not found.startswith(("6.", "7.")):
        pytest.skip(f"these are the causes of QEMU 6.1 to 7.2, installed is {found}")
    return found


@pytest.fixture(scope="module")
def findings(stream: list[records.AnyRecord]) -> dict[str, records.Finding]:
    return {record.id.partition(".")[2]: record for record in stream if isinstance(record, records.Finding)}


def test_every_cause_has_its_own_name(findings: dict[str, records.Finding]) -> None:
    """Tags need a TAP: without one these frames are skipped."""
    told = {slug: finding.reading for slug, finding in findings.items() if finding.cause == "defect"}
    tags = {} if why_missing("tun") else {"vlan-tags": "service-type"}
    assert (DEFECTS | tags).items() <= told.items()
    assert {finding.cause for finding in findings.values()} == {"defect", "reading"}


def test_what_another_reading_allows_is_told_as_that_reading(findings: dict[str, records.Finding]) -> None:
    told = {slug: finding.reading for slug, finding in findings.items() if finding.cause == "reading"}
    assert READINGS.items() <= told.items()


def test_a_mobility_header_is_walked_as_the_text_has_it(stream: list[records.AnyRecord]) -> None:
    (target,) = [record for record in stream if isinstance(record, records.TargetRecord)]
    assert target.profile["mobility-header"].readings == ["extension"]


def test_every_witness_is_replayed_in_the_kernel(findings: dict[str, records.Finding]) -> None:
    assert findings
    for finding in findings.values():
        answer = replay(finding, open_target)
        assert answer.verdict == "still there", finding.id
        assert answer.exit_code == 1


def test_the_interpreter_comes_to_the_same_profile(stream: list[records.AnyRecord]) -> None:
    other: list[records.AnyRecord] = []
    check(
        ["qemu-ebpf:,interpreter"], "quick", load_suite("quick").cases, open_target, other.append, now=lambda: ""
    )
    (kernel,) = [record for record in stream if isinstance(record, records.TargetRecord)]
    (interpreter,) = [record for record in other if isinstance(record, records.TargetRecord)]
    assert any("interpreter" in note for note in interpreter.notes)
    for question, settled in interpreter.profile.items():
        assert set(settled.readings) & set(kernel.profile[question].readings), question
