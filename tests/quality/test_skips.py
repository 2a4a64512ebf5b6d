"""No test is skipped unseen: what tests/conftest.py does, on tests that are planted for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

PLANTED = """
import needs
import pytest

needs.NEEDS |= {"moon": ("the moon", lambda: "it is day"), "sun": ("the sun", lambda: "")}

@pytest.mark.needs_moon
def test_marked(): pass

def test_asking(): needs.require("moon")

@pytest.mark.needs_sun
def test_present(): pytest.skip("no mood")

def test_silent(): pytest.skip("no reason")

def test_module(): pytest.importorskip("a_module_that_nobody_has")

@pytest.mark.xfail
def test_xfail(): assert 0
"""


def outcomes(tmp_path: Path, **environment: str) -> dict[str, str]:
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_planted.py").write_text(PLANTED, "utf-8")
    clean = {name: value for name, value in os.environ.items() if name not in {"CI", "VNETHASH_REQUIRE"}}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(tmp_path)],
        cwd=tmp_path, env={**clean, "PYTHONPATH": str(TESTS), **environment}, capture_output=True, text=True,
        check=False,
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("test_planted.py::")]
    assert lines, done.stdout + done.stderr
    return {words[0].partition("::test_")[2]: words[1] for words in lines}


EVERYWHERE = {"marked": "SKIPPED", "asking": "SKIPPED", "module": "SKIPPED", "xfail": "XFAIL"}


def test_on_a_desk_skips_are_skips(tmp_path: Path) -> None:
    assert outcomes(tmp_path) == {**EVERYWHERE, "present": "SKIPPED", "silent": "SKIPPED"}


def test_in_ci_a_skip_for_nothing_that_is_missing_fails(tmp_path: Path) -> None:
    assert outcomes(tmp_path, CI="true") == {**EVERYWHERE, "present": "FAILED", "silent": "FAILED"}


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_skip_for_what_is_demanded_fails(tmp_path: Path, ci: str) -> None:
    (tmp_path / "sitecustomize.py").write_text("import needs\nneeds.NEEDS['moon'] = ('the moon', lambda: 'day')\n")
    found = outcomes(tmp_path, CI=ci, VNETHASH_REQUIRE="moon", PYTHONPATH=f"{tmp_path}{os.pathsep}{TESTS}")
    assert found["marked"] == "ERROR", "pytest's word for what fails before the test begins"
    assert found["asking"] == "FAILED"
    assert found["module"] == "SKIPPED"
