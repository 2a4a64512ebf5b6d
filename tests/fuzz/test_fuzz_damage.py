"""Ledgers and corpora that are damaged, missing, of somebody else, or cannot be written: one clear line each."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from test_fuzz_ledger import LATER, NOW, UNDER, found
from vnethash.cli.main import run
from vnethash.fuzz.case import Case, encode
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.keeper import Keeper
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.seeds import traffic
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, UsageError, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return the path of a ledger with thirty causes."""
    path = tmp_path / "good"
    ledger = Ledger(path)
    for number in range(30):
        ledger.record(found(f"V4-{number}"), NOW, UNDER, 1)
    ledger.close()
    return path


def sql(path: Path, *statements: str) -> None:
    base = sqlite3.connect(path)
    for statement in statements:
        base.execute(statement)
    base.commit()
    base.close()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scribble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 512):
        data[at:at + 64] = b"\xee" * 64
    path.write_bytes(data)


#: What is done to a ledger, and what is said of it then.
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (cut, "it is damaged"),
    "scribbled over": (scribble, "it is damaged"),
    "a text file": (lambda path: path.write_text("causes:\n- none\n" * 40), "it is no SQLite database"),
    "garbage": (lambda path: path.write_bytes(bytes(range(256)) * 40), "it is no SQLite database"),
    "a short head": (lambda path: path.write_bytes(b"SQLite for"), "it is no SQLite database"),
    "a head alone": (lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(90)), "ledger"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "it is a folder"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "it is no ordinary file"),
    "of the future": (lambda path: sql(path, "UPDATE meta SET value = '9'"), "it has format 9"),
    "without format": (lambda path: sql(path, "DELETE FROM meta"), "it has format none"),
    "without a column": (lambda path: sql(path, "ALTER TABLE causes DROP COLUMN note"), "causes has no note"),
    "without a table": (lambda path: sql(path, "DROP TABLE witnesses"), "witnesses is missing"),
    "with another column": (lambda path: sql(path, "ALTER TABLE runs ADD COLUMN x TEXT"), "runs has other columns"),
    "without a witness": (lambda path: sql(path, "DELETE FROM witnesses"), "it has no witness"),
    "with a wrong id": (lambda path: sql(path, "UPDATE causes SET id = '../../x'",
                                         "UPDATE witnesses SET cause = '../../x'"), "is not one of ours"),
    "with a wrong status": (lambda path: sql(path, "UPDATE causes SET status = 'odd'"), "no status 'odd'"),
    "with a wrong frame": (lambda path: sql(path, "UPDATE witnesses SET frames = '[\"zz\"]'"), "it is damaged"),
    "with a wrong configuration": (lambda path: sql(path, "UPDATE witnesses SET config = '[]'"), "it is damaged"),
    "with a wrong observation": (
        lambda path: sql(path, "UPDATE witnesses SET observed = '{\"value\": \"x\"}'"), "it is damaged"
    ),
    "of something else": (lambda path: sql(path, "PRAGMA application_id = 7"), "of something else"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_ledger_is_one_clear_line_wherever_it_is_used(
    good: Path, kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    harm, words = DAMAGE[kind]
    if kind == "with a wrong id":
        sql(good, "DELETE FROM witnesses WHERE rowid > 1", "DELETE FROM causes WHERE rowid > 1")
    harm(good)
    before = good.read_bytes() if good.is_file() else b""
    other = str(tmp_path / "other")
    Ledger(tmp_path / "other").close()
    frame = ["--executions", "50", "--seeds", "traffic", "--corpus", str(tmp_path / "corpus")]
    for command in (
        ["findings", "list", "--ledger", str(good)], ["findings", "show", "V4", "--ledger", str(good)],
        ["findings", "export", "--output", str(tmp_path / "out"), "--ledger", str(good)],
        ["replay", "V4", "--ledger", str(good)], ["findings", "merge", str(good), "--ledger", other],
        ["fuzz", "model:literal", *frame, "--ledger", str(good)],
    ):
        assert run(command) == 2, command
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"vnethash: ledger {good}: ")
        assert words in line
        assert len(line) < 400
    if good.is_file():
        assert good.read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_what_can_be_read_of_a_damaged_ledger_is_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    ledger = Ledger(old)
    for number in range(200):
        ledger.record(found(f"V4-{number}"), NOW, UNDER, 1)
    ledger.close()
    page = found("V4-100").id.encode()
    data = bytearray(old.read_bytes())
    at = data.index(page) // 4096 * 4096
    data[at:at + 4096] = b"\xee" * 4096
    old.write_bytes(data)
    assert run(["findings", "merge", str(old), "--ledger", str(new)]) == 2
    assert "findings merge --damaged" in capsys.readouterr().err
    assert run(["findings", "merge", "--damaged", str(old), "--ledger", str(new)]) == 0
    assert 150 < len(Ledger(new).entries()) < 200


def test_what_cannot_be_written_can_still_be_read(good: Path) -> None:
    # Not below pytest's own folder, which nobody but its owner may enter.
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(good, folder / "ledger")
        (folder / "ledger").chmod(0o444)
        folder.chmod(0o555)
        child = os.fork()
        if child == 0:
            code = 9
            try:
                if os.getuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                ledger = Ledger(folder / "ledger", create=False, write=False)
                code = 0 if len(ledger.entries()) == 30 else 8
                try:
                    Ledger(folder / "ledger")
                except UsageError as error:
                    code = code if "it cannot be written" in error.message else 7
                else:
                    code = 6
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        folder.chmod(0o755)


def test_a_ledger_is_not_used_on_both_sides_of_a_fork(good: Path) -> None:
    ledger = Ledger(good)
    before = ledger._base
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ledger.record(found("V6-1"), LATER, UNDER, 1)
            code = 0 if ledger._base is not before else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ledger._base is before
    assert len(ledger.entries()) == 31


def test_a_ledger_that_is_merged_again_is_not_counted_again(good: Path, tmp_path: Path) -> None:
    mine = Ledger(tmp_path / "mine")
    mine.record(found("V4-1"), NOW, UNDER, 1)
    other = Ledger(good)
    assert mine.merge(other) == 29
    assert mine.merge(other) == 0
    other.record(found("V4-1"), LATER, UNDER, 1)
    assert mine.merge(other) == 0
    counts = {entry.clauses[0]: entry.count for entry in mine.entries()}
    assert (counts["V4-1"], counts["V4-2"]) == (3, 1)
    other.close()
    copied = tmp_path / "copied"
    shutil.copy(good, copied)
    copy, original = Ledger(copied), Ledger(good)
    copy.record(found("V4-1"), LATER, UNDER, 1)
    assert original.merge(copy) == 0
    assert max(entry.count for entry in original.entries()) == 3
    with pytest.raises(UsageError, match="into itself"):
        original.merge(Ledger(good))


def test_a_merge_that_fails_leaves_the_ledger_as_it_was(good: Path, tmp_path: Path) -> None:
    mine, other = Ledger(tmp_path / "mine"), Ledger(good)
    sql(tmp_path / "mine", "CREATE TRIGGER stop BEFORE INSERT ON causes WHEN (SELECT count(*) FROM causes) > 9 "
        "BEGIN SELECT RAISE(ABORT, 'no more'); END")  # fmt: skip
    with pytest.raises(VnethashError):
        mine.merge(other)
    assert mine.entries() == []


class Failing(Ledger):
    """A ledger on a disk that is full for a while."""

    full = False

    def record(self, *arguments: object) -> str:
        if self.full:
            raise VnethashError("the disk is full")
        return super().record(*arguments)  # type: ignore[arg-type]


def test_what_could_not_be_written_is_written_when_there_is_room(tmp_path: Path) -> None:
    ledger, notes = Failing(tmp_path / "ledger"), list[str]()
    keeper = Keeper(ledger, notes.append, lambda: NOW, tool="t", engine="e", seed=1)
    first, second = found("V4-1"), found("V4-2")
    assert keeper.found(first, "1", 5) == "new"
    ledger.full = True
    assert keeper.found(second, "1", 6) == "new"
    second.count += 2
    keeper.again(second)
    keeper.again(second)
    keeper.again(first)
    keeper.point("run", NOW, ["a"], 7, 1.0, (1, 2, 3))
    assert keeper.unwritten() == [second]
    assert set(notes) == {"the disk is full"}
    ledger.full = False
    keeper.point("run", NOW, ["a"], 8, 2.0, (1, 2, 3))
    assert keeper.unwritten() == []
    assert {entry.clauses[0]: entry.count for entry in ledger.entries()} == {"V4-1": 2, "V4-2": 3}
    assert ledger.curves("run") == [(2.0, 8, 1, 2, 3)]


# ------------------------------------------------------------------------------------------------ the corpus


def test_files_of_a_corpus_that_cannot_be_used_are_told_once_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    cases = [Case(Configuration(), (frame,)) for frame in traffic()[:6]]
    corpus = Corpus(folder)
    for case in cases:
        corpus.add(case)
    (folder / cases[0].name).write_bytes(b"")
    (folder / cases[1].name).write_bytes(os.urandom(300))
    with (folder / ("0" * 32)).open("wb") as huge:
        huge.truncate(1 << 40)
    (folder / "README").write_text("not ours")
    (folder / "folder").mkdir()
    (folder / "lost").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe")
    again = Corpus(folder)
    assert set(again.saved()) == set(cases[2:])
    (problem,) = again.problems
    assert "4 damaged files were not used" in problem
    # What is found again is whole again; the others stay, and what is new is still written.
    fresh = Case(Configuration(hash_types=1), (b"fresh",))
    for case in (cases[0], fresh):
        again.add(case)
    assert set(Corpus(folder).saved()) == {cases[0], *cases[2:], fresh}
    assert (folder / "README").read_text() == "not ours"


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    case = Case(Configuration(), (b"x",))
    dead = os.fork()
    if dead == 0:
        os._exit(0)
    os.waitpid(dead, 0)
    half, alive = tmp_path / f".{case.name}.{dead}", tmp_path / f".{case.name}.{os.getppid()}"
    for path in (half, alive):
        path.write_bytes(encode(case)[:5])
    (tmp_path / ".keep").touch()
    corpus = Corpus(tmp_path)
    assert not half.exists()
    assert alive.exists()
    assert (tmp_path / ".keep").exists()
    assert list(corpus.saved()) == []
    assert corpus.problems == []


def test_what_does_not_fit_on_the_disk_is_written_later(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    corpus = Corpus(folder)
    folder.rmdir()
    folder.write_text("a file")
    cases = [Case(Configuration(), (bytes([number]),)) for number in range(3)]
    for case in cases:
        corpus.add(case)
    assert len(corpus.problems) == 1
    assert corpus.write() == 3
    folder.unlink()
    folder.mkdir()
    assert corpus.write() == 0
    assert set(Corpus(folder).saved()) == set(cases)


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_a_corpus_that_is_no_folder_is_one_line(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    corpus = tmp_path / "file" if kind == "a file" else tmp_path / "file" / "corpus"
    command = ["fuzz", "model:literal", "--executions", "5", "--ledger", str(tmp_path / "l"), "--corpus", str(corpus)]
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"vnethash: corpus {corpus}: ")
    with pytest.raises(UsageError):
        Corpus(corpus)
    assert issubclass(FormatError, UsageError)
