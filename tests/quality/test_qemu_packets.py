"""Packets at QEMU's device 7.2: what it does against the text, what another reading allows, by name; each replays."""

from __future__ import annotations

import needs
import pytest
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.replay import replay
from vnethash.conformance.suite import cases
from vnethash.targets.registry import open_target

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_cc]

#: What no reading of the text allows, and the reading by which it is known ("" where the packet model has none).
DEFECTS = {
    "authentication-header": "eight-octets",
    "ipv6-later-fragment": "headers",
    "fragment-length": "reserved-octet",
    "home-length": "taken",
    "ihl-below-five": "as-stated",
    "ethertype-version": "addresses",
    "max-tx-vq": "receive-too",
    "previous-addresses": "",
}
#: What some reading allows: never called a defect.
READINGS = {
    "ex-packets": "all-ipv6",
    "ex-precedence": "transport-first",
    "route-segments": "one",
    "route-header": "last-of-length",
    "home-header": "last-header",
    "ipv4-first-fragment": "addresses",
    "ipv6-first-fragment": "addresses",
    "atomic-fragment": "fragment",
    "vlan-tags": "ordered",
}
#: Hash types under which all of them show; a third of the suite.
TYPES = {7, 16, 63, 64, 80}


@pytest.fixture(scope="module")
def findings() -> dict[str, records.Finding]:
    stream: list[records.AnyRecord] = []
    asked = [case for case in cases() if case.configuration.hash_types in TYPES]
    check(["qemu:,sockets"], "some", asked, open_target, stream.append, now=lambda: "")
    (target,) = [record for record in stream if isinstance(record, records.TargetRecord)]
    if not target.implementation["version"].startswith("7.2."):
        pytest.skip(f"these are the causes of QEMU 7.2, installed is {target.implementation['version']}")
    return {record.id.partition(".")[2]: record for record in stream if isinstance(record, records.Finding)}


def test_every_departure_has_its_name_and_there_is_no_other(findings: dict[str, records.Finding]) -> None:
    accused = {slug: finding.reading for slug, finding in findings.items() if finding.cause != "reading"}
    assert accused == DEFECTS
    assert {findings[slug].cause for slug in DEFECTS} == {"defect"}


def test_what_another_reading_allows_is_told_as_that_reading(findings: dict[str, records.Finding]) -> None:
    told = {slug: finding.reading for slug, finding in findings.items() if finding.cause == "reading"}
    assert READINGS.items() <= told.items()


def test_each_witness_shows_it_again_to_a_new_qemu(findings: dict[str, records.Finding]) -> None:
    for slug in DEFECTS:
        assert replay(findings[slug], open_target).verdict == "still there", slug


def test_a_header_that_the_packet_before_completes_is_shown_by_two_frames_and_gone_in_later_versions(
    findings: dict[str, records.Finding]
) -> None:
    finding = findings["previous-addresses"]
    assert len(finding.witness.before) == 1
    assert len(finding.witness.frame) // 2 == 14
    needs.require("qemus")
    assert replay(finding, lambda _: open_target("qemu:10.0,sockets")).verdict == "fixed"
    assert replay(findings["max-tx-vq"], lambda _: open_target("qemu:10.0,sockets")).verdict == "still there"
