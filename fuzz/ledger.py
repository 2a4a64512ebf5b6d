"""The ledger: every cause that campaigns found, with its witnesses, counts and status, in one SQLite file.

It is in WAL mode and each new cause is its own transaction, so that whatever ends the process, what was found stays.
Ledgers merge. A cause that was marked fixed and is found again is a regression.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnethash.fuzz.case import Case
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import FormatError, UsageError, VnethashError
from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from vnethash.fuzz.found import Found

STATUSES = ("open", "intended", "fixed", "question", "withdrawn")
FORMAT = "1"
_APPLICATION = 0x766E6861  # "vnha"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS causes (
    id TEXT PRIMARY KEY, target TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, effect TEXT NOT NULL,
    clauses TEXT NOT NULL, question TEXT NOT NULL, reading TEXT NOT NULL, condition TEXT NOT NULL,
    status TEXT NOT NULL, note TEXT NOT NULL DEFAULT '', count INTEGER NOT NULL, regressions INTEGER NOT NULL DEFAULT 0,
    first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, version TEXT NOT NULL, tool TEXT NOT NULL,
    engine TEXT NOT NULL, seed INTEGER NOT NULL, executions INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS witnesses (
    cause TEXT NOT NULL REFERENCES causes (id), config TEXT NOT NULL, frames TEXT NOT NULL, observed TEXT NOT NULL,
    PRIMARY KEY (cause, config, frames)
) STRICT;
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT NOT NULL, engine TEXT NOT NULL, seed INTEGER NOT NULL,
    targets TEXT NOT NULL, executions INTEGER NOT NULL, seconds REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS curve (
    run TEXT NOT NULL, seconds REAL NOT NULL, executions INTEGER NOT NULL, coverage INTEGER NOT NULL,
    corpus INTEGER NOT NULL, causes INTEGER NOT NULL, PRIMARY KEY (run, executions)
) STRICT;
"""


@dataclass(frozen=True)
class Entry:
    """One cause as the ledger has it; `witness` is the first, with what was observed then."""

    id: str
    target: str
    kind: str
    title: str
    effect: str
    clauses: tuple[str, ...]
    question: str
    reading: str
    condition: str
    status: str
    note: str
    count: int
    regressions: int
    first_seen: str
    last_seen: str
    version: str
    tool: str
    engine: str
    seed: int
    executions: int
    witness: Case
    observed: Observation | None

    def to_json(self) -> dict[str, Any]:
        """Return the form that `findings --json` prints."""
        names = [name for name in self.__dataclass_fields__ if name not in {"witness", "observed"}]
        return {
            **{name: getattr(self, name) for name in names},
            "witness": {
                "config": self.witness.configuration.to_json(), "frames": [frame.hex() for frame in self.witness.frames]
            },
            "observed": None if self.observed is None else self.observed._asdict(),
        }


@dataclass(frozen=True)
class Circumstances:
    """Under what a cause was found."""

    version: str
    tool: str
    engine: str
    seed: int


class Ledger:
    """An open ledger; raises VnethashError when the file cannot be written, which the campaign tells once."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open or make it; raises UsageError for a file that is missing, FormatError for one that is no ledger."""
        self.path = path
        if not create and not path.is_file():
            raise UsageError(f"ledger {path}: there is no such file", hint="`vnethash fuzz` writes one")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=20, isolation_level=None)
            number = self._base.execute("PRAGMA application_id").fetchone()[0]
            tables = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if tables and number != _APPLICATION:
                raise FormatError(f"ledger {path}: it is a database of something else")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")
            if not tables:
                self._base.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._base.executescript(_SCHEMA)
            self._base.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (FORMAT,))
            known = self._base.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()[0]
        except (sqlite3.DatabaseError, OSError) as error:
            raise FormatError(
                f"ledger {path}: {error}", hint="move it away, and merge what can be read of it with `sqlite3 .recover`"
            ) from None
        if known != FORMAT:
            raise FormatError(f"ledger {path}: it has format {known}, this is for {FORMAT}")

    def record(self, found: Found, now: str, under: Circumstances, executions: int) -> str:
        """Enter a cause, or count one that is known; return "new", "known" or "regression"."""
        try:
            with _Transaction(self._base):
                old = self._base.execute("SELECT status FROM causes WHERE id = ?", (found.id,)).fetchone()
                if old is None:
                    status = "question" if found.kind in {"reading", "inconsistent"} else "open"
                    self._base.execute(
                        f"INSERT INTO causes VALUES ({', '.join('?' * 20)})",  # noqa: S608 - question marks only
                        (
                            found.id, found.target, found.kind, found.title, found.words,
                            json.dumps(list(found.clauses)), found.question, found.reading,
                            found.signature.words() if not found.question else "", status, "", found.count, 0, now, now,
                            under.version, under.tool, under.engine, under.seed, executions,
                        ),
                    )  # fmt: skip
                    self._witness(found.id, found.case, found.observed)
                    return "new"
                back = old[0] in {"fixed", "withdrawn"}
                self._base.execute(
                    "UPDATE causes SET last_seen = ?, count = count + 1, version = ?, status = ?,"
                    " regressions = regressions + ? WHERE id = ?",
                    (now, under.version, "open" if back else old[0], old[0] == "fixed", found.id),
                )
                if back:
                    self._witness(found.id, found.case, found.observed)
                return "regression" if old[0] == "fixed" else "known"
        except sqlite3.Error as error:
            raise VnethashError(f"ledger {self.path}: {error}") from None

    def _witness(self, cause: str, case: Case, observed: Observation | None) -> None:
        self._base.execute(
            "INSERT OR IGNORE INTO witnesses VALUES (?, ?, ?, ?)",
            (
                cause, json.dumps(case.configuration.to_json(), sort_keys=True),
                json.dumps([frame.hex() for frame in case.frames]),
                json.dumps(None if observed is None else observed._asdict()),
            ),
        )  # fmt: skip

    def count(self, counts: Mapping[str, int], now: str) -> None:
        """Add to the counts of causes."""
        self._do(
            "UPDATE causes SET count = count + ?, last_seen = ? WHERE id = ?",
            [(number, now, name) for name, number in counts.items()],
        )

    def withdraw(self, name: str) -> None:
        """Mark a cause as one that later evidence explains otherwise."""
        self._do("UPDATE causes SET status = 'withdrawn' WHERE id = ? AND status IN ('open', 'question')", [(name,)])

    def run(
        self, name: str, started: str, ended: str, engine: str, seed: int, targets: list[str], executions: int,
        seconds: float,
    ) -> None:
        """Enter or update a campaign's run."""
        self._do(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(name, started, ended, engine, seed, json.dumps(targets), executions, seconds)],
        )

    def point(self, run: str, seconds: float, executions: int, coverage: int, corpus: int, causes: int) -> None:
        """Enter one point of the curves."""
        self._do(
            "INSERT OR REPLACE INTO curve VALUES (?, ?, ?, ?, ?, ?)",
            [(run, seconds, executions, coverage, corpus, causes)],
        )

    def _do(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            with _Transaction(self._base):
                self._base.executemany(statement, rows)
        except sqlite3.Error as error:
            raise VnethashError(f"ledger {self.path}: {error}") from None

    def entries(self) -> list[Entry]:
        """Return all causes, the oldest first; raises FormatError for a damaged file."""
        try:
            self._base.row_factory = sqlite3.Row
            rows = self._base.execute(
                "SELECT causes.*, w.config, w.frames, w.observed FROM causes JOIN witnesses w ON w.rowid ="
                " (SELECT max(rowid) FROM witnesses WHERE cause = causes.id) ORDER BY first_seen, causes.id"
            ).fetchall()
            return [_entry(row) for row in rows]
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"ledger {self.path}: {error}", hint="it is damaged") from None
        finally:
            self._base.row_factory = None

    def find(self, name: str) -> Entry:
        """Return the cause with an id, or with the only id that ends so or begins so; raises UsageError."""
        entries = self.entries()
        found = [entry for entry in entries if entry.id == name] or [
            entry for entry in entries if entry.id.startswith(name) or entry.id.endswith(name)
        ]
        if len(found) != 1:
            hint = f"it has {', '.join(entry.id for entry in entries[:20]) or 'none'}"
            raise UsageError(f"ledger {self.path}: {len(found) or 'no'} causes {name!r}", hint=hint)
        return found[0]

    def set_status(self, name: str, status: str, note: str = "") -> None:
        """Change a cause's status; raises UsageError for one that is none."""
        if status not in STATUSES:
            raise UsageError(f"no status {status!r}", hint=f"there are {', '.join(STATUSES)}")
        entry = self.find(name)
        self._do("UPDATE causes SET status = ?, note = ? WHERE id = ?", [(status, note or entry.note, entry.id)])

    def merge(self, other: Ledger) -> int:
        """Take in the causes, witnesses, runs and curves of another ledger; return how many causes were new."""
        mine = {entry.id: entry for entry in self.entries()}
        new = 0
        for entry in other.entries():
            old = mine.get(entry.id)
            if old is None:
                new += 1
                names = [name for name in Entry.__dataclass_fields__ if name not in {"witness", "observed"}]
                values = [json.dumps(entry.clauses) if name == "clauses" else getattr(entry, name) for name in names]
                marks = ", ".join("?" * len(names))
                self._do(f"INSERT INTO causes ({', '.join(names)}) VALUES ({marks})", [tuple(values)])  # noqa: S608
                with _Transaction(self._base):
                    self._witness(entry.id, entry.witness, entry.observed)
            else:
                self._do(
                    "UPDATE causes SET count = count + ?, first_seen = min(first_seen, ?), last_seen ="
                    " max(last_seen, ?), regressions = regressions + ? WHERE id = ?",
                    [(entry.count, entry.first_seen, entry.last_seen, entry.regressions, entry.id)],
                )
        for table in ("runs", "curve"):
            rows = other._base.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - our own two names
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                self._do(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)  # noqa: S608
        return new

    def curves(self, run: str | None = None) -> list[tuple[float, int, int, int, int]]:
        """Return the points of a run (the last one by default): seconds, executions, coverage, corpus, causes."""
        last = run or (self._base.execute("SELECT id FROM runs ORDER BY started DESC LIMIT 1").fetchone() or ("",))[0]
        return self._base.execute(
            "SELECT seconds, executions, coverage, corpus, causes FROM curve WHERE run = ? ORDER BY seconds", (last,)
        ).fetchall()

    def runs(self) -> list[tuple[str, str, str, str, int, str, int, float]]:
        """Return the rows of all runs, the oldest first."""
        return self._base.execute("SELECT * FROM runs ORDER BY started").fetchall()

    def close(self) -> None:
        """Close it; may be called twice."""
        self._base.close()


class _Transaction:
    """One transaction, undone when an error leaves it."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._base.execute("COMMIT" if kind is None else "ROLLBACK")


def _entry(row: sqlite3.Row) -> Entry:
    fields = {name: row[name] for name in Entry.__dataclass_fields__ if name not in {"witness", "observed", "clauses"}}
    configuration = Configuration.from_json(json.loads(row["config"]), where="ledger")
    frames = tuple(bytes.fromhex(frame) for frame in json.loads(row["frames"]))
    observed = json.loads(row["observed"])
    return Entry(
        **fields, clauses=tuple(json.loads(row["clauses"])), witness=Case(configuration, frames),
        observed=None if observed is None else Observation(**observed),
    )
