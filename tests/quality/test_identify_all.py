"""Few packets find what the whole suite finds, of every implementation that we have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from defects import DEFECTS
from vnethash.conformance.identify import identify
from vnethash.conformance.runner import run_suite
from vnethash.conformance.suite import load_suite
from vnethash.models.expectations import Expectations
from vnethash.targets.registry import open_target

FOLDER = Path(__file__).parent / "implementations"
CASES = load_suite("default").cases
EXPECTATIONS = Expectations()
#: `make sweep` takes all defects, the tests some of them: one hides home addresses, and most questions about them.
SAMPLE = list(DEFECTS) if os.environ.get("VNETHASH_SWEEP") else list(DEFECTS)[10::18]


def compare(name: str, *, mixed: bool | None = None) -> None:
    """Identify a target by at most 200 packets, and hold the profile against that of the whole suite."""
    from vnethash.conformance.judge import judge

    target = open_target(name)
    try:
        found = identify(target, CASES, EXPECTATIONS, most=200)
        whole = judge(run_suite(target, CASES).answers, target.capabilities.observes, EXPECTATIONS).profile
    finally:
        target.close()
    assert found.packets <= 200
    assert found.finished or found.unexplained > 100  # nothing is settled where hardly an answer follows from the text
    if mixed is not None:
        assert (bool(whole.violated), bool(found.profile.violated)) == (mixed, mixed)
    # Where answers contradict each other, no reading is the target's.
    disputed = {field for constraint in whole.violated for cube in constraint for field, _ in cube}
    settled = {
        field: numbers for field, numbers in whole.possible.items() if len(numbers) == 1 and field not in disputed
    }
    different = {
        field: (sorted(numbers), found.profile.readings.get(field))
        for field, numbers in settled.items()
        if found.profile.readings.get(field) not in numbers
    }
    assert not different
    print(f"{name}: {found.packets} packets, {len(settled)} questions settled alike")


def test_the_literal_implementation_in_c(tmp_path: Path) -> None:
    binary = tmp_path / "literal"
    subprocess.run(["gcc", "-O2", "-o", binary, FOLDER / "literal.c"], check=True)
    compare(f"exec:{binary}")


@pytest.mark.parametrize("name", ["ndis.py", "odd.py", "mixed.py"])
def test_an_implementation_of_other_readings(name: str) -> None:
    compare(f"exec:{sys.executable} {FOLDER / name}", mixed=name == "mixed.py")


@pytest.mark.needs_steering
def test_the_steering_program_of_qemu() -> None:
    compare("qemu-ebpf")


@pytest.mark.parametrize("name", SAMPLE)
def test_an_implementation_with_a_defect(name: str) -> None:
    compare(f"exec:{sys.executable} {FOLDER / 'defects.py'} {name}")
