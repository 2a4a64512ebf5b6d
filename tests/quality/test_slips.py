from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import slips
from vnethash.models.reference import decide, enabled_tunnels
from vnethash.spec.configuration import Configuration
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from pathlib import Path

_DECIDE = """
import json, sys
from vnethash.models.reference import decide, enabled_tunnels
from vnethash.spec.configuration import Configuration
from vnethash.spec.readings import Readings
task = json.load(sys.stdin)
frame, configuration = bytes.fromhex(task["frame"]), Configuration.from_json(task["configuration"])
readings = Readings(*task["readings"])
print(list(map(int, decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)))[:5])
"""


@pytest.mark.parametrize("name", slips.SLIPS)
def test_a_slip_in_the_model_is_refuted_with_a_counterexample_that_holds(name: str, tmp_path: Path) -> None:
    slip = slips.SLIPS[name]
    folder = slips.tree(tmp_path, slip)
    code, verdicts, said = slips.prove(folder, "--only", slip.statement)
    assert code == 1, said or verdicts
    (verdict,) = verdicts
    assert verdict["kind"] == "refuted"
    shown = verdict["counterexample"]
    if not slip.statement.startswith("closed forms"):
        # A function is called as no frame may call it; CPython ran that call under watch, and the true model passes it.
        assert shown["shows"].startswith(slip.statement.partition("/")[2])
        return
    questions = load_questions()
    numbers = Readings()._asdict()
    for question, reading in shown["readings"].items():
        numbers[questions[question].field] = questions[question].index(reading)
    readings = Readings(**numbers)
    frame, configuration = bytes.fromhex(shown["frame"]), Configuration.from_json(shown["configuration"])
    right = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    task = {"frame": shown["frame"], "configuration": shown["configuration"], "readings": list(map(int, readings))}
    done = slips.python(folder, _DECIDE, given=json.dumps(task))
    assert json.loads(done.stdout) != list(map(int, right))[:5], done.stderr


@pytest.mark.parametrize("name", ["walks/link.shim", "closed forms/ipv4-tcp", "closed forms/ipv6-home-address"])
def test_the_same_statement_holds_for_the_model_as_it_is(name: str, tmp_path: Path) -> None:
    slip = slips.Slip("link.py", "LEGACY_TAG = 0x9100", "LEGACY_TAG = 0x9100", name)
    code, verdicts, said = slips.prove(slips.tree(tmp_path, slip), "--only", name)
    assert code == 0, said
    assert [verdict["kind"] for verdict in verdicts] == ["proved"]
    assert all(verdict["cover"] for verdict in verdicts)
