"""The ledger and the corpus: what was found stays, merges, and is told when it is damaged."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from vnethash.fuzz.case import Case
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.export import capture, report, script
from vnethash.fuzz.found import Found
from vnethash.fuzz.ledger import Circumstances, Ledger
from vnethash.fuzz.page import render
from vnethash.fuzz.seeds import traffic
from vnethash.fuzz.signature import Signature
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, UsageError
from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from pathlib import Path

UNDER = Circumstances("1", "vnethash 0", "builtin", 7)
NOW, LATER = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"


def found(clause: str = "V4-1", target: str = "a") -> Found:
    return Found(
        target, "unexplained", "the <title>", (clause,), Signature("value", clause, (("ipv4.tos", 3),)),
        Case(Configuration(), (traffic()[0],)), Observation(2, 5, 9), "other bytes hashed",
    )


def test_a_cause_is_new_once_then_known_then_a_regression_after_it_was_fixed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert ledger.record(found(), NOW, UNDER, 10) == "new"
    assert ledger.record(found(), LATER, UNDER, 10) == "known"
    ledger.set_status(found().id, "fixed", "in 1.1")
    assert ledger.record(found(), LATER, UNDER, 10) == "regression"
    (entry,) = ledger.entries()
    assert (entry.status, entry.regressions, entry.count, entry.note) == ("open", 1, 3, "in 1.1")
    assert (entry.first_seen, entry.last_seen) == (NOW, LATER)
    assert entry.witness == found().case
    ledger.set_status(entry.id, "intended")
    assert ledger.record(found(), LATER, UNDER, 10) == "known"
    assert ledger.find(entry.id[:9]).status == "intended"


def test_ledgers_merge_and_their_counts_add(tmp_path: Path) -> None:
    one, two = Ledger(tmp_path / "one"), Ledger(tmp_path / "two")
    one.record(found(), LATER, UNDER, 1)
    two.record(found(), NOW, UNDER, 1)
    two.record(found("V4-2"), NOW, UNDER, 1)
    two.run("r", NOW, NOW, "builtin", 1, ["a"], 5, 1.0)
    two.point("r", 1.0, 5, 2, 3, 1)
    assert one.merge(two) == 1
    assert {entry.clauses: entry.count for entry in one.entries()} == {("V4-1",): 2, ("V4-2",): 1}
    assert min(entry.first_seen for entry in one.entries()) == NOW
    assert one.curves() == [(1.0, 5, 2, 3, 1)]


def test_a_process_that_is_killed_loses_no_cause(tmp_path: Path) -> None:
    program = (
        "import sys, time; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path; from test_fuzz_ledger import *\n"
        "ledger = Ledger(Path(sys.argv[1])); ledger.record(found(), NOW, UNDER, 1); print('written', flush=True)\n"
        "ledger._base.execute('BEGIN'); ledger._base.execute('DELETE FROM witnesses'); time.sleep(60)\n"
    )
    folder = os.path.dirname(__file__)  # noqa: PTH120
    command = [sys.executable, "-c", program, str(tmp_path / "ledger"), folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
    assert [entry.id for entry in Ledger(tmp_path / "ledger").entries()] == [found().id]


@pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 60, b"SQLite format 3\0" + bytes(90)])
def test_a_damaged_ledger_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="ledger"):
        Ledger(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    base = sqlite3.connect(tmp_path / "other")
    base.execute("CREATE TABLE t (x)")
    base.commit()
    base.close()
    with pytest.raises(FormatError, match="something else"):
        Ledger(tmp_path / "other")
    with pytest.raises(UsageError, match="no such file"):
        Ledger(tmp_path / "none", create=False)


def test_a_corpus_is_resumed_and_damaged_files_are_not_used(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "corpus")
    cases = [Case(Configuration(hash_types=number), (frame,)) for number, frame in enumerate(traffic()[:5])]
    assert all(corpus.add(case) for case in cases)
    assert not corpus.add(cases[0])
    (tmp_path / "corpus" / cases[1].name).write_bytes(b"damaged")
    again = Corpus(tmp_path / "corpus")
    assert set(again.saved()) == set(cases) - {cases[1]}
    assert "1 damaged" in again.problems[0]
    assert again.remove(cases[2:4]) == 2
    assert set(Corpus(tmp_path / "corpus").saved()) == {cases[0], cases[4]}


def test_a_corpus_that_cannot_be_written_is_kept_in_memory(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "corpus")
    (tmp_path / "corpus").rmdir()
    (tmp_path / "corpus").write_text("a file")
    corpus.add(Case(Configuration(), (b"",)))
    corpus.add(Case(Configuration(), (b"1",)))
    assert len(corpus) == 2
    assert len(corpus.problems) == 1


START = '{"capabilities": {"observes": ["queue", "report", "value"]}}'


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ('{"results": [{"report": 2, "value": 5, "queue": 9}]}', 1, "NOT ALLOWED"),
        ('{"results": [{"report": 2, "value": 1372373368, "queue": 120}]}', 0, "allowed"),
        ('{"results": [{"queue": 0}]}', 1, "NOT ALLOWED"),  # it says that nothing was hashed
        ('{"results": [{"error": "no"}]}', 1, "NOT ALLOWED"),
        ('{"results": [{"skipped": "no"}]}', 2, "does not take the frame"),
        ('{"error": "no"}', 1, "the adapter failed"),
        ("", 1, "the adapter ended with status 3, asked to run"),
    ],
)  # fmt: skip
def test_the_reproducer_runs_alone_and_says_what_is_wrong(
    tmp_path: Path, answer: str, code: int, words: str
) -> None:
    adapter = tmp_path / "adapter.py"
    adapter.write_text(
        f"import sys\nfor line in sys.stdin:\n    said = {{'start': {START!r}, 'run': {answer!r}}}\n"
        "    said = next((text for name, text in said.items() if name in line), '{}')\n"
        "    if not said:\n        sys.exit(3)\n    print(said, flush=True)\n"
    )
    command = shlex.join([sys.executable, str(adapter)])
    ledger = Ledger(tmp_path / "ledger")
    ledger.record(found(target=f"exec:{command}"), NOW, UNDER, 1)
    (entry,) = ledger.entries()
    path = tmp_path / "reproduce.py"
    path.write_text(script(entry), "utf-8")
    # Without an adapter it asks that of the target; named, it asks any.
    for more in ([], [sys.executable, str(adapter)]):
        done = subprocess.run([sys.executable, "-I", path, *more], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (code, ""), done
        assert words in done.stdout.splitlines()[-1]
    assert "0x51ccc178" in report(entry)
    assert json.loads(json.dumps(entry.to_json()))["witness"]["frames"] == [traffic()[0].hex()]


def test_a_reproducer_without_an_adapter_says_how_to_get_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.record(found(target="lib:./my device.so"), NOW, UNDER, 1)
    path = tmp_path / "reproduce.py"
    path.write_text(script(ledger.entries()[0]), "utf-8")
    done = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "vnethash adapter serve 'lib:./my device.so'" in done.stdout
    done = subprocess.run([sys.executable, "-I", path, "/nothing"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "/nothing: No such file or directory\n")


def test_the_page_and_the_capture_hold_each_cause_and_no_markup_of_a_target(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.record(found(target="<script>alert(1)</script>"), NOW, UNDER, 1)
    ledger.run("r", NOW, NOW, "builtin", 1, ["<b>"], 5, 1.0)
    ledger.point("r", 1.0, 5, 2, 3, 1)
    page = render(ledger)
    assert found(target="<script>alert(1)</script>").id in page
    assert "<script>" not in page
    assert "<b>" not in page
    assert "polyline" in page
    from io import BytesIO

    from pcapng import FileScanner

    blocks = list(FileScanner(BytesIO(capture(ledger.entries()))))
    assert [block.packet_data for block in blocks if hasattr(block, "packet_data")] == [traffic()[0]]
