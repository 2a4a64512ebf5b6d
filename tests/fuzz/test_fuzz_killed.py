"""Campaigns that are killed, interrupted, or run out of disk: nothing that was reported is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import MagicMock

import pytest
from fuzz_driver import events, start
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.jobs import run_jobs
from vnethash.fuzz.ledger import Ledger

if TYPE_CHECKING:
    import subprocess

#: Each is found within the first hundred frames.
DEFECTS = ("ports-host-order", "half-addresses", "sctp-as-tcp", "addresses-swapped")

CLI = f"{Path(sys.executable).with_name('vnethash')} findings list --json --ledger ledger.sqlite"


def whole(folder: Path) -> set[str]:
    """Return the causes of a ledger, after a look at each of its pages and at each file of the corpus."""
    base = sqlite3.connect(folder / "ledger.sqlite")
    assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert base.execute("PRAGMA foreign_key_check").fetchall() == []
    base.close()
    ledger = Ledger(folder / "ledger.sqlite", create=False)
    names = {entry.id for entry in ledger.entries()}
    assert all(entry.count > 0 for entry in ledger.entries())
    ledger.close()
    corpus = Corpus(folder / "corpus")
    cases = list(corpus.saved())
    assert corpus.problems == []
    assert {case.name for case in cases} == {path.name for path in (folder / "corpus").iterdir()}
    return names


def told(text: str) -> set[str]:
    return {event["id"] for event in events(text) if event["event"] == "cause" and event["what"] != "withdrawn"}


def children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def wait_for(child: subprocess.Popen[str], needle: str) -> str:
    """Read what is told until a line has `needle` in it."""
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line)
        if needle in line:
            return "".join(lines)
    raise AssertionError(f"it ended before it told {needle!r}: {lines}")


def test_a_campaign_that_is_killed_again_and_again_loses_nothing_and_goes_on(tmp_path: Path) -> None:
    chance = Random(20)
    reported: set[str] = set()
    for seed in range(4):
        child = start(tmp_path, seed, 1_000_000, DEFECTS)
        text = wait_for(child, '"begin"')
        time.sleep(chance.uniform(0.05, 1.2))
        child.kill()
        rest, _ = child.communicate()
        reported |= told(text + rest)
        assert reported <= whole(tmp_path)
    assert reported
    before = len(list(Corpus(tmp_path / "corpus").saved()))
    child = start(tmp_path, 9, 300, DEFECTS)
    rest, errors = child.communicate()
    end = events(rest)[-1]
    assert (child.returncode, errors) == (1, "")
    assert end["event"] == "end"
    # It knows what was found before, and tells none of it as new.
    assert not {event["id"] for event in events(rest) if event.get("what") == "new"} & reported
    assert reported <= whole(tmp_path)
    assert len(list(Corpus(tmp_path / "corpus").saved())) >= before


@pytest.mark.parametrize(("late", "code"), [({2}, 1), ({1, 2}, 130)])
def test_a_process_that_is_stopped_before_it_begins_does_not_speak_for_the_others(late: set[int], code: int) -> None:
    def work(seed: int, relay: object) -> int:
        if seed in late:
            raise KeyboardInterrupt
        return 1

    assert run_jobs([1, 2], work, MagicMock()) == code


def test_ctrl_c_ends_several_processes_in_order_and_they_are_shown_as_one(tmp_path: Path) -> None:
    child = start(tmp_path, 1, 1_000_000, DEFECTS[:2], jobs=2)
    text = wait_for(child, '"cause"')
    child.send_signal(signal.SIGINT)
    rest, errors = child.communicate()
    heard = events(text + rest)
    assert errors == ""
    assert [event["event"] for event in heard].count("begin") == 1
    assert [event["event"] for event in heard].count("end") == 1
    assert heard[-1]["interrupted"]
    assert child.returncode == 1
    # Each is told as new once, whichever process found it.
    new = [event["id"] for event in heard if event.get("what") == "new"]
    assert len(new) == len(set(new)) == heard[-1]["causes"]["new"]
    assert told(text + rest) <= whole(tmp_path)


def test_one_process_of_several_that_is_killed_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    child = start(tmp_path, 5, 600, DEFECTS[:1], jobs=2)
    text = wait_for(child, '"begin"')
    os.kill(children(child.pid)[1], signal.SIGKILL)
    rest, errors = child.communicate()
    heard = events(text + rest)
    assert errors == ""
    (note,) = [event["words"] for event in heard if event["event"] == "note"]
    assert note == "process 2 (seed 6) was killed by SIGKILL; what it found is kept; the others go on"
    assert heard[-1]["event"] == "end"
    assert heard[-1]["executions"] >= 600
    assert child.returncode == 1
    assert told(text + rest) <= whole(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_libfuzzer_found_outlasts_an_interrupt_and_a_kill(tmp_path: Path, number: signal.Signals) -> None:
    pytest.importorskip("atheris")
    child = start(tmp_path, 1, 1_000_000, DEFECTS[:1], engine="atheris")
    text = wait_for(child, '"cause"')
    corpus, end = tmp_path / "corpus", time.monotonic() + 60
    while len(list(corpus.glob(".atheris-*/*"))) < 40:  # it runs, and keeps what it has
        assert time.monotonic() < end
        time.sleep(0.02)
    child.send_signal(number)
    rest, errors = child.communicate()  # ends when libFuzzer's process has let go of standard output
    heard = events(text + rest)
    left = list(corpus.glob(".atheris-*/*"))
    if number == signal.SIGINT:
        assert (child.returncode, errors, left) == (1, "", [])
        assert heard[-1]["event"] == "end"
        assert heard[-1]["interrupted"]
        assert heard[-1]["causes"]["new"] >= 1
    else:
        assert left
        again = start(tmp_path, 2, 700, DEFECTS[:1], engine="atheris")
        more, errors = again.communicate()
        assert (again.returncode, errors) == (1, "")
        assert not list(corpus.glob(".atheris-*"))
        assert heard
        text += more
    assert told(text + rest) <= whole(tmp_path)


def test_nobody_is_left_when_the_process_that_shows_is_killed(tmp_path: Path) -> None:
    child = start(tmp_path, 5, 1_000_000, DEFECTS[:1], jobs=2)
    text = wait_for(child, '"begin"')
    workers = children(child.pid)
    assert len(workers) == 2
    child.kill()
    rest, _ = child.communicate()  # ends when the last of them has let go of standard output
    assert told(text + rest) <= whole(tmp_path)


def test_two_campaigns_on_one_ledger_do_not_disturb_each_other(tmp_path: Path) -> None:
    pair = [start(tmp_path, seed, 500, DEFECTS[:2]) for seed in (1, 2)]
    outputs = [child.communicate() for child in pair]
    assert [child.returncode for child in pair] == [1, 1]
    assert [errors for _, errors in outputs] == ["", ""]
    heard = [event for text, _ in outputs for event in events(text)]
    new = [event["id"] for event in heard if event.get("what") == "new"]
    assert len(new) == len(set(new))
    assert {event["id"] for event in heard if event["event"] == "cause"} == whole(tmp_path)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert len(ledger.runs()) == 2
    assert {entry.id: entry.count for entry in ledger.entries()}


@pytest.mark.needs_mounts
def test_a_full_disk_is_told_and_the_campaign_goes_on(tmp_path: Path) -> None:
    # Room for an empty ledger, and for little more.
    mount = f"mount -t tmpfs -o size=152k none '{tmp_path}' && \"$@\"; echo \"$?\" >&2; cd '{tmp_path}'; {CLI}"
    keep = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    child = start(tmp_path, 1, 600, (*DEFECTS, "ports-swapped"), prefix=keep)
    text, errors = child.communicate()
    assert errors == "1\n"
    heard = [event for event in events(text) if "event" in event]
    kept = {entry["id"] for entry in events(text) if "event" not in entry}
    assert heard[-1]["event"] == "end"
    assert heard[-1]["executions"] >= 600
    notes = [event["words"] for event in heard if event["event"] == "note"]
    assert len(notes) == len(set(notes)) == 2
    assert any("No space left on device; what is new stays in memory" in note for note in notes)
    assert any("the disk is full" in note for note in notes)
    # What could not be written is told whole at the end.
    reported = {event["id"] for event in heard if event["event"] == "cause"}
    unwritten = {event["id"] for event in heard if event["event"] == "unwritten"}
    assert len(reported) >= 4
    assert kept
    assert kept | unwritten == reported
    assert not kept & unwritten


@pytest.mark.needs_mounts
def test_a_disk_that_is_full_from_the_start_is_one_line(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=8k none '{tmp_path}' && head -c 8192 /dev/zero >'{tmp_path}/x'; exec \"$@\""
    child = start(tmp_path, 1, 100, (), prefix=["unshare", "--mount", "sh", "-c", mount, "sh"])
    text, errors = child.communicate()
    assert text == ""
    assert len(errors.splitlines()) == 1
    assert child.returncode in {2, 4}
