"""What a campaign that goes on with a corpus and a ledger knows at once; and engines that are missing."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hidden import several
from in_process import InProcess, campaign_of
from plain import Plain
from profiles import NdisProfile
from vnethash.cli.main import run
from vnethash.fuzz.campaign import Campaign
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.run import Limits
from vnethash.fuzz.session import Plan, run_session
from vnethash.fuzz.subject import Subject


def resumed(folder: Path, opener: object) -> Campaign:
    """Return a campaign that has put its corpus to the target, and nothing else."""
    subject = Subject("device", opener)  # type: ignore[arg-type]
    corpus = Corpus(folder)
    campaign = Campaign([subject], corpus, None, limits=Limits())
    campaign.sow(list(corpus.saved()))
    return campaign


def test_the_coverage_of_a_campaign_that_goes_on_is_what_it_was(tmp_path: Path) -> None:
    first = campaign_of(Plain(), 3000, seed=1, corpus=Corpus(tmp_path / "corpus"))
    again = resumed(tmp_path / "corpus", lambda _: InProcess("device", Plain()))
    assert again.coverage() == first.coverage()
    assert {case.name for case in again.corpus.cases} <= {case.name for case in first.corpus.cases}


@pytest.mark.needs_kernel
@pytest.mark.needs_steering
def test_so_is_that_of_a_program_whose_edges_are_counted(tmp_path: Path) -> None:
    from vnethash.targets.ebpf.target import open_qemu_ebpf

    pytest.importorskip("numpy")

    def opened(_: str) -> object:
        return open_qemu_ebpf(",kernel,route=test_run")

    subject = Subject("device", opened)  # type: ignore[arg-type]
    first = Campaign([subject], Corpus(tmp_path / "corpus"), None, seed=1, limits=Limits(executions=2000))
    first.run(load_engine("builtin"))
    reached = subject.edges
    subject.close()
    again = resumed(tmp_path / "corpus", opened)
    assert reached[1] > 10
    assert again.subjects[0].edges == reached
    assert again.coverage() >= first.coverage()
    again.subjects[0].close()


def test_what_was_fixed_and_comes_back_is_a_regression_before_anything_else(tmp_path: Path) -> None:
    plan = Plan(("device",), None, 20_000, "builtin", 1, 1, tmp_path / "ledger", tmp_path / "corpus")
    campaign_of(several("option-length"), 20_000, seed=1, ledger=Ledger(plan.ledger))
    ledger = Ledger(plan.ledger)
    (entry,) = ledger.entries()
    ledger.set_status(entry.id, "fixed")
    ledger.close()
    short = Plan(("device",), None, 100, "builtin", 2, 1, plan.ledger, tmp_path / "other")
    assert run_session(short, lambda name: InProcess(name, several("option-length"))) == 1
    (entry,) = Ledger(plan.ledger).entries()
    assert (entry.status, entry.regressions) == ("open", 1)
    Ledger(plan.ledger).set_status(entry.id, "fixed")
    assert run_session(short, lambda name: InProcess(name, Plain())) == 0


DYING = """
import json, os, sys
sys.path.insert(0, {folder!r})
from plain import Plain

device, runs = Plain(), 0
for line in sys.stdin:
    request = json.loads(line)
    answer = {{"seq": request.get("seq")}}
    if request["cmd"] == "start":
        answer = {{"version": 1, "implementation": {{"name": "dying"}}, "capabilities": {{
            "observes": ["queue", "report", "value"], "features": ["RSS", "HASH_REPORT"]}}}}
    elif request["cmd"] == "configure":
        device.configure(request["config"])
        answer["ok"] = True
    elif request["cmd"] == "run":
        runs += 1
        if runs % 2 == 0:
            os.abort()
        judged = [device.judge(bytes.fromhex(frame)) for frame in request["packets"]]
        answer["results"] = [dict(zip(("report", "value", "queue"), each)) for each in judged]
    print(json.dumps(answer), flush=True)
"""


def test_an_adapter_that_dies_every_second_time_is_one_cause_and_the_campaign_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = tmp_path / "dying.py"
    adapter.write_text(DYING.format(folder=str(Path(__file__).parent / "implementations")))
    files = ["--ledger", str(tmp_path / "ledger"), "--corpus", str(tmp_path / "corpus")]
    target = f"exec:{shlex.join([sys.executable, '-S', '-E', str(adapter)])}"
    assert run(["fuzz", target, "--executions", "150", "--seeds", "traffic", "--seed", "1", "--json", *files]) == 1
    heard = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (cause,) = [event for event in heard if event["event"] == "cause"]
    assert cause["kind"] == "error"
    assert cause["title"].startswith("fails, and not when asked again: ")
    assert "SIGABRT" in cause["title"]
    assert heard[-1]["event"] == "end"
    assert heard[-1]["executions"] >= 150


@pytest.mark.parametrize("engine", ["atheris", "hypothesis"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_engine_that_is_missing_is_one_line_before_anything_is_opened(
    engine: str, jobs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    files = ["--ledger", str(tmp_path / "ledger"), "--corpus", str(tmp_path / "corpus")]
    assert run(["fuzz", "model:literal", "--engine", engine, "--jobs", jobs, *files]) == 3
    words = capsys.readouterr()
    assert words.out == ""
    assert words.err == f"vnethash: engine {engine} needs {engine} (pip install 'vnethash[fuzz]')\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_a_profile_is_found_leaves_it_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from vnethash.fuzz import evidence

    found, calls = evidence.near_profile, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return found(*arguments)

    monkeypatch.setattr(evidence, "near_profile", interrupted)
    # As where something contradicts the readings: a profile is found before the end for nothing else.
    monkeypatch.setattr(evidence.Evidence, "explained", lambda _: False)
    subject = Subject("device", lambda _: InProcess("device", NdisProfile()))
    campaign = Campaign([subject], Corpus(), None, seed=1, limits=Limits(executions=300))
    campaign.sow([])
    with pytest.raises(KeyboardInterrupt):
        campaign.settle()
    campaign.settle(last=True)
    assert [cause for cause in campaign.causes() if cause.kind == "reading"]


def test_a_corpus_is_minimised_without_losing_what_it_reaches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "corpus"
    campaign_of(Plain(), 3000, seed=1, corpus=Corpus(folder))
    before, reached = len(list(folder.iterdir())), resumed(folder, lambda _: InProcess("device", Plain())).coverage()
    plan = Plan(("device",), None, 1, "builtin", 1, 1, tmp_path / "ledger", folder, minimise=True)
    assert run_session(plan, lambda name: InProcess(name, Plain())) == 0
    after = len(list(folder.iterdir()))
    assert 0 < after < before
    assert " files removed" in capsys.readouterr().err
    assert resumed(folder, lambda _: InProcess("device", Plain())).coverage() == reached
