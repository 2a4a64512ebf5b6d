"""`vnethash identify` as a user calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vnethash.cli.main import run

if TYPE_CHECKING:
    import pytest


def test_a_profile_is_printed_with_what_is_literal_and_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["identify", "model:literal,atomic-fragment=fragment", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["profile"]["atomic-fragment"] == ["fragment"]
    assert told["packets"] <= 200
    assert told["consistent"]


def test_a_defect_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["identify", "model:literal,fragment-flags=any-flag", "--packets", "120"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["fragment-flags", "defect", "any-flag"] for line in lines)


def test_a_target_that_cannot_be_driven_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["identify", "exec:/nonexistent/program"]) == 3
    assert capsys.readouterr().err.count("\n") == 1
