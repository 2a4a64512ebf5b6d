from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slips
from vnethash.cli.main import run
from vnethash.models.symbolic.prover import GROUPS, all_tasks

_MAIN = "import sys; from vnethash.cli.main import main; main(sys.argv[1:])"


def test_every_group_lists_what_it_proves(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prove", "model", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition("/")[0] for line in lines} == set(GROUPS)
    assert len(lines) == len(all_tasks()) == len(set(lines))


def test_a_proof_is_written_with_its_bounds_and_its_cover(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only = ["--only", "walks/link.snap", "--only", "closed forms/ipv6-other"]
    assert run(["prove", "model", *only, "--output", str(tmp_path / "proof")]) == 0
    header, *verdicts, footer = map(json.loads, (tmp_path / "proof" / "proof.jsonl").read_text().splitlines())
    assert header["solvers"]["z3"]
    assert [line["kind"] for line in verdicts] == ["proved", "proved"]
    assert all(line["bounds"] and line["cover"] for line in verdicts)
    assert (footer["statements"], footer["proved"], footer["exit_code"]) == (2, 2, 0)
    page = (tmp_path / "proof" / "proof.md").read_text()
    assert "link.snap" in page
    assert "131,072 bytes" in page
    assert "all is proved: 2 of 2 statements" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prove", "moddel"], "'moddel' cannot be proved (vnethash prove model)"),
        (["prove", "model", "--only", "wals"], "no group of proofs 'wals' (there are walks, completeness,"),
        (["prove", "model", "--only", "walks/link.lnk"], "no proof 'link.lnk' in 'walks' (there are link.link,"),
    ],
)
def test_a_mistake_gets_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_folder_that_cannot_be_written_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    only = ["--only", "walks/link.snap"]
    assert run(["prove", "model", *only, "--output", str(tmp_path / "file" / "proof")]) == 2
    assert "cannot write into" in capsys.readouterr().err


def test_no_answer_within_the_time_is_said_so_and_is_no_proof(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prove", "model", "--only", "completeness/ipv6.ipv6", "--seconds", "0.1", "--output", str(tmp_path)]
    assert run(arguments) == 3
    shown = capsys.readouterr().out
    assert "open: completeness/ipv6.ipv6" in shown
    assert "no answer" in shown
    assert "not all has an answer: 0 of 1 statements" in shown


def test_a_model_outside_the_subset_is_refused_with_its_place(tmp_path: Path) -> None:
    slip = slips.Slip("link.py", "            tags = tags + 1\n", "            tags += 1\n", "walks/link.skip_tags")
    code, verdicts, said = slips.prove(slips.tree(tmp_path, slip), "--only", slip.statement)
    assert code == 4
    assert verdicts == []
    assert "models/link.py:" in said
    assert "the statement AugAssign (write x = x + 1)" in said


def test_without_z3_one_line_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "z3.py").write_text("raise ModuleNotFoundError(\"No module named 'z3'\", name='z3')\n")
    done = slips.python(tmp_path, _MAIN, "prove", "model", "--output", str(tmp_path / "proof"))
    assert done.returncode == 3
    assert done.stderr.strip() == "vnethash: z3 is not installed (pip install z3-solver)"


def test_a_run_that_is_stopped_keeps_what_it_proved_and_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MAIN, "prove", "model", "--output", str(tmp_path), "--only", "completeness"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not children_of(child.pid):
            time.sleep(0.1)
        below = children_of(child.pid)
        assert below
        child.send_signal(signal.SIGINT)
        shown, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "stopped;" in shown
    last = json.loads((tmp_path / "proof.jsonl").read_text().splitlines()[-1])
    assert (last["record"], last["interrupted"]) == ("footer", True)
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[int]:
    """Return the processes that one has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir() if Path(f"/proc/{pid}/task").exists() else ():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return [child for child in found if child != os.getpid()]
