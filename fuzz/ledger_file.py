"""The ledger as a file: its tables, how it is opened and checked, and what is said when something is wrong with it."""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing, suppress
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from vnethash.spec.errors import FormatError, UsageError, VnethashError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "1"
_APPLICATION = 0x766E6861  # "vnha"
_MAGIC = b"SQLite format 3\0"
#: Seconds that we wait for another process to finish its writing.
PATIENCE = 20.0
#: What reading a database raises: text in it that is not UTF-8 comes as either.
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
#: Row numbers that are tried beyond the last that is seen, and at most.
_BEYOND, _MOST_ROWS = 200, 200_000

_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS causes (
    id TEXT PRIMARY KEY, target TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, effect TEXT NOT NULL,
    clauses TEXT NOT NULL, question TEXT NOT NULL, reading TEXT NOT NULL, condition TEXT NOT NULL,
    status TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', count INTEGER NOT NULL, regressions INTEGER NOT NULL DEFAULT 0,
    first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, version TEXT NOT NULL, tool TEXT NOT NULL,
    engine TEXT NOT NULL, seed INTEGER NOT NULL, executions INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE IF NOT EXISTS witnesses (
    cause TEXT NOT NULL REFERENCES causes (id), config TEXT NOT NULL, frames TEXT NOT NULL, observed TEXT NOT NULL,
    PRIMARY KEY (cause, config, frames)
) STRICT""",
    """CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT NOT NULL, engine TEXT NOT NULL, seed INTEGER NOT NULL,
    targets TEXT NOT NULL, executions INTEGER NOT NULL, seconds REAL NOT NULL
) STRICT""",
    """CREATE TABLE IF NOT EXISTS curve (
    run TEXT NOT NULL, seconds REAL NOT NULL, executions INTEGER NOT NULL, coverage INTEGER NOT NULL,
    corpus INTEGER NOT NULL, causes INTEGER NOT NULL, PRIMARY KEY (run, executions)
) STRICT""",
    # How much of another ledger is in the counts of this one, so that it can be merged again.
    """CREATE TABLE IF NOT EXISTS merged (
    ledger TEXT NOT NULL, cause TEXT NOT NULL, count INTEGER NOT NULL, regressions INTEGER NOT NULL,
    PRIMARY KEY (ledger, cause)
) STRICT""",
)


def connect(path: Path, *, create: bool, write: bool) -> sqlite3.Connection:
    """Open a ledger, and make it where `create`; without `write` it may lie where nothing can be written.

    Raises UsageError for a file that is missing or cannot be opened, FormatError for one that is no ledger or is
    damaged, VnethashError where the disk is full or another process does not let go of it.
    """
    _look(path, create=create)
    try:
        base = _connected(path, write=write)
    except (*UNREADABLE, OSError) as error:
        raise problem(path, error) from None
    try:
        known = _recognise(base, path)
        if known or not write:
            _check(base, path)
        if write:
            _prepare(base, known=known)
    except UNREADABLE as error:
        base.close()
        raise problem(path, error) from None
    except BaseException:
        base.close()
        raise
    return base


def problem(path: Path, error: Exception) -> VnethashError:
    """Return the error that a user sees for one of SQLite or of the system."""
    if isinstance(error, OSError):
        return UsageError(f"ledger {path}: {error.strerror}", hint="--ledger names another file")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return VnethashError(f"ledger {path}: the disk is full", hint="make room, or --ledger names a file elsewhere")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return UsageError(f"ledger {path}: it cannot be written", hint="--ledger names another file")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return VnethashError(f"ledger {path}: another process has been writing to it for {PATIENCE:g} s")
    if code == sqlite3.SQLITE_IOERR:
        return VnethashError(f"ledger {path}: the disk fails: {error}")
    return damaged(path, str(error))


def damaged(path: Path, words: str) -> FormatError:
    """Return the error for a file that was a ledger once."""
    return FormatError(
        f"ledger {path}: it is damaged: {words}",
        hint="move it away; `vnethash findings merge --damaged OLD` takes what can be read of it",
    )


def rows_of(path: Path, query: str, table: str) -> list[sqlite3.Row]:
    """Return what can be read of a damaged ledger: the rows that `query` gives for each row number of a table.

    Raises UsageError for a file that is missing, FormatError for one that is no database at all.
    """
    _look(path, create=False)
    found: list[sqlite3.Row] = []
    try:
        opened = _connected(path, write=False)
    except UNREADABLE as error:
        raise problem(path, error) from None
    with closing(opened) as base:
        base.row_factory = sqlite3.Row
        last = 1
        for order in ("DESC", "ASC"):
            with suppress(*UNREADABLE):
                for row in base.execute(f"SELECT rowid FROM {table} ORDER BY rowid {order}"):  # noqa: S608
                    last = max(last, row[0])
        # A page that cannot be read takes the rows on it; those beside it are found by their numbers.
        for number in range(1, min(last + _BEYOND, _MOST_ROWS)):
            with suppress(*UNREADABLE):
                found += base.execute(query, (number,)).fetchall()
    return found


def _look(path: Path, *, create: bool) -> None:
    """Look at the file before SQLite does, which would say less."""
    try:
        if path.is_dir():
            raise UsageError(f"ledger {path}: it is a folder", hint="--ledger names a file")
        if not create and not path.exists():
            raise UsageError(f"ledger {path}: there is no such file", hint="`vnethash fuzz` writes one")
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return
        if not path.is_file():
            raise UsageError(f"ledger {path}: it is no ordinary file", hint="--ledger names a file")
        with path.open("rb") as file:
            head = file.read(len(_MAGIC))
    except OSError as error:
        raise problem(path, error) from None
    if head and head != _MAGIC:
        raise FormatError(f"ledger {path}: it is no SQLite database", hint="--ledger names another file")
    if not head and not create:
        raise FormatError(f"ledger {path}: it is empty", hint="`vnethash fuzz` writes one")


def _connected(path: Path, *, write: bool) -> sqlite3.Connection:
    if write:
        return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    # Reading a database in WAL mode makes two files beside it; where they cannot be made, it lies still.
    name = f"file:{quote(str(path))}"
    for words in ("mode=ro", "mode=ro&immutable=1"):
        base = sqlite3.connect(f"{name}?{words}", uri=True, timeout=PATIENCE, isolation_level=None)
        try:
            base.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            base.close()
            if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
                raise
            last = error
            continue
        return base
    raise last


def _recognise(base: sqlite3.Connection, path: Path) -> bool:
    """Say whether there are tables; raise FormatError for a database of somebody else, before any of it is changed."""
    base.execute("BEGIN")
    try:
        number = base.execute("PRAGMA application_id").fetchone()[0]
        tables = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        base.execute("ROLLBACK")
    if tables and number != _APPLICATION:
        raise FormatError(f"ledger {path}: it is a database of something else", hint="--ledger names another file")
    return bool(tables)


def _prepare(base: sqlite3.Connection, *, known: bool) -> None:
    """Make what is missing, all or nothing, whoever does it at the same time."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            # SQLite does not wait for others here by itself.
            base.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
    # Causes are few: each may wait for the disk, and then outlasts a loss of power too.
    base.execute("PRAGMA synchronous = FULL")
    with Transaction(base):
        if not known:
            base.execute(f"PRAGMA application_id = {_APPLICATION}")
        for table in _TABLES:
            base.execute(table)
        base.executemany(
            "INSERT OR IGNORE INTO meta VALUES (?, ?)", [("format", FORMAT), ("ledger", uuid.uuid4().hex)]
        )


def _check(base: sqlite3.Connection, path: Path) -> None:
    """Raise FormatError for a file whose pages, tables or format are not as they should be."""
    (words,) = base.execute("PRAGMA quick_check(1)").fetchone()
    if words != "ok":
        raise damaged(path, " ".join(str(words).replace("***", " ").split()))
    formats = []
    if base.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        formats = base.execute("SELECT value FROM meta WHERE key = 'format'").fetchall()
    if formats != [(FORMAT,)]:
        raise FormatError(
            f"ledger {path}: it has format {formats[0][0] if formats else 'none'}, and this vnethash reads {FORMAT}"
        )
    for table, columns in _columns().items():
        there = tuple(row[1] for row in base.execute(f"PRAGMA table_info({table})"))
        if there != columns and not (table == "merged" and not there):
            missing = ", ".join(name for name in columns if name not in there)
            what = f"has no {missing}" if missing and there else "is missing" if not there else "has other columns"
            raise damaged(path, f"its table {table} {what}")


@cache
def _columns() -> dict[str, tuple[str, ...]]:
    """Return the columns of each table, as SQLite reads the statements that make them."""
    with closing(sqlite3.connect(":memory:")) as base:
        for table in _TABLES:
            base.execute(table)
        names = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: tuple(row[1] for row in base.execute(f"PRAGMA table_info({name})")) for name in names}


class Transaction:
    """One transaction, undone when an error leaves it; SQLite undoes some by itself."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            try:
                self._base.execute("COMMIT")
            except sqlite3.Error:
                self._undo()
                raise
        else:
            self._undo()

    def _undo(self) -> None:
        if self._base.in_transaction:
            self._base.execute("ROLLBACK")
