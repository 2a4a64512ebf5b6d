"""The tester tested: correct implementations conform, a mixed one is inconsistent, every planted defect is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from in_process import InProcess
from vnethash.conformance import records
from vnethash.conformance.check import check
from vnethash.conformance.suite import load_suite
from vnethash.models.expectations import Expectations
from vnethash.spec.questions import load_dialects, load_questions
from vnethash.targets.exec.client import open_exec

FOLDER = Path(__file__).parent / "implementations"
sys.path.insert(0, str(FOLDER))

from defects import DEFECTS  # noqa: E402 - the adapters are scripts, not a package

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.suite import Case
    from vnethash.targets.base import Target

EXPECTATIONS = Expectations()
CASES = load_suite("default").cases
#: Defects that are put behind the protocol, too; all others run in this process.
ADAPTERS = list(DEFECTS)[::18]


def judged(command: str) -> tuple[records.TargetRecord, list[records.Finding]]:
    return judged_by(CASES, f"exec:{command}", lambda name: open_exec(name.partition(":")[2]))


def judged_by(
    cases: Sequence[Case], name: str, opener: Callable[[str], Target]
) -> tuple[records.TargetRecord, list[records.Finding]]:
    stream: list[records.AnyRecord] = []
    check([name], "default", cases, opener, stream.append, now=lambda: "", expectations=EXPECTATIONS)
    (target,) = [record for record in stream if isinstance(record, records.TargetRecord)]
    return target, [record for record in stream if isinstance(record, records.Finding)]


def adapter(name: str) -> str:
    return f"{sys.executable} {FOLDER / name}"


@pytest.fixture(scope="session")
def literal_in_c(tmp_path_factory: pytest.TempPathFactory) -> str:
    binary = tmp_path_factory.mktemp("literal") / "literal"
    subprocess.run(["gcc", "-O2", "-o", binary, FOLDER / "literal.c"], check=True)
    return str(binary)


def test_the_literal_implementation_in_c_conforms_without_a_finding(literal_in_c: str) -> None:
    target, findings = judged(literal_in_c)
    assert target.conclusion == "conforms"
    assert not findings
    assert set(target.counts) <= {"pass", "skipped"}


def test_the_implementation_of_microsofts_text_conforms_and_its_readings_are_named() -> None:
    target, findings = judged(adapter("ndis.py"))
    assert target.conclusion == "conforms"
    assert {finding.cause for finding in findings} == {"reading"}
    questions = load_questions()
    # Where the dialect `ndis` and the implementation both leave the literal reading, they leave it the same way.
    for identifier, number in load_dialects()["ndis"].items():
        if identifier in target.profile and number and target.profile[identifier].readings != ["upper-layer"]:
            assert questions[identifier].readings[number].name in target.profile[identifier].readings


def test_an_odd_but_consistent_implementation_conforms_with_its_profile() -> None:
    target, findings = judged(adapter("odd.py"))
    assert target.conclusion == "conforms"
    assert {finding.cause for finding in findings} == {"reading"}
    settled = {name: entry.readings for name, entry in target.profile.items()}
    for question, reading in {
        "atomic-fragment": "fragment", "esp-header": "upper-layer", "mobility-header": "upper-layer",
        "home-header": "last", "home-repeated": "last", "route-segments": "one", "tcp-cut": "ports",
        "total-length-bound": "frame", "chain-cut": "unhashed", "vlan-tpid": "customer", "vlan-tags": "one",
        "ipv4-first-fragment": "ports", "ipv6-first-fragment": "addresses", "ex-packets": "extension-headers",
    }.items():
        assert reading in settled[question], question


def test_an_implementation_that_mixes_readings_is_inconsistent_and_its_questions_are_named() -> None:
    target, findings = judged(adapter("mixed.py"))
    assert target.conclusion == "inconsistent"
    mixed = {finding.id.partition(".")[2] for finding in findings if finding.cause == "inconsistent"}
    assert {"mixed-ipv4-first-fragment", "mixed-atomic-fragment"} <= mixed
    assert "defect" not in {finding.cause for finding in findings}


@pytest.mark.parametrize("name", list(DEFECTS))
def test_a_planted_defect_is_found_and_named_by_its_clause(name: str) -> None:
    named_by_its_clause(name, *judged_by(CASES, "device", lambda _: InProcess(name, DEFECTS[name].device())))


@pytest.mark.parametrize("name", ADAPTERS)
def test_so_is_an_adapter_with_one(name: str) -> None:
    named_by_its_clause(name, *judged(f"{adapter('defects.py')} {name}"))


def named_by_its_clause(name: str, target: records.TargetRecord, findings: list[records.Finding]) -> None:
    clauses = set(DEFECTS[name].clauses)
    assert target.conclusion in {"deviates", "inconsistent"}
    accusing = [finding for finding in findings if finding.cause != "reading"]
    assert accusing
    named = {clause for finding in accusing for clause in finding.clauses}
    assert clauses & named, f"{name}: wanted one of {sorted(clauses)}, named {sorted(named)}"
