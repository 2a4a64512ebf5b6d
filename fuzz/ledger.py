"""The ledger: every cause that campaigns found, with its witnesses, counts and status, in one SQLite file.

It is in WAL mode and each new cause is its own transaction, so that whatever ends the process, what was found stays.
Ledgers merge. A cause that was marked fixed and is found again is a regression.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vnethash.fuzz.case import Case
from vnethash.fuzz.device.shown import shown_from_json
from vnethash.fuzz.ledger_file import UNREADABLE, Transaction, connect, damaged, problem, rows_of
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import UsageError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.spec.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from vnethash.fuzz.device.shown import Shown
    from vnethash.fuzz.found import Found

STATUSES = ("open", "intended", "fixed", "question", "withdrawn")
_NUMBERS = frozenset({"count", "regressions", "seed", "executions"})
#: Tables of which a merge takes all rows.
_COPIED = ("runs", "curve")
_ENTRIES = (
    "SELECT causes.*, w.config, w.frames, w.observed FROM causes LEFT JOIN witnesses w ON w.rowid ="
    " (SELECT max(rowid) FROM witnesses WHERE cause = causes.id)"
)
#: What an id is made of: it becomes the name of a folder.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


#: What `_entry` raises for a row that no campaign wrote.
_WRONG = (ValueError, KeyError, TypeError, AttributeError, RecursionError, VnethashError)


@dataclass(frozen=True)
class Entry:
    """One cause as the ledger has it; `witness` is the last, with what was observed then.

    What a sequence of steps shows is `shown`; there are no frames in `witness` then, and nothing is `observed`.
    """

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
    shown: Shown | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the form that `findings --json` prints."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        if self.shown is not None:
            return {**fields, "witness": self.shown.to_json()}
        return {
            **fields,
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


#: What of an entry is in the table of causes.
_FIELDS = tuple(name for name in Entry.__dataclass_fields__ if name not in {"witness", "observed", "shown"})


class Ledger:
    """An open ledger; raises VnethashError when the file cannot be written, which the campaign tells once."""

    def __init__(self, path: Path, *, create: bool = True, write: bool = True) -> None:
        """Open it, and make it where `create`; see `ledger_file.connect` for what is raised."""
        self.path = path
        self._write = write
        self._pid = os.getpid()
        self._connection = connect(path, create=create and write, write=write)
        self._parents: list[sqlite3.Connection] = []

    @property
    def _base(self) -> sqlite3.Connection:
        """The connection of this process: one must not be used on both sides of a fork."""
        if os.getpid() != self._pid:
            self._parents.append(self._connection)  # closing it would take locks from the parent
            self._connection = connect(self.path, create=False, write=self._write)
            self._pid = os.getpid()
        return self._connection

    def record(self, found: Found, now: str, under: Circumstances, executions: int) -> str:
        """Enter a cause, or count one that is known; return "new", "known" or "regression"."""
        try:
            with Transaction(self._base):
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
                    self._witness(found.id, found.case, found.observed, found.shown)
                    return "new"
                back = old[0] in {"fixed", "withdrawn"}
                self._base.execute(
                    "UPDATE causes SET last_seen = ?, count = count + 1, version = ?, status = ?,"
                    " regressions = regressions + ? WHERE id = ?",
                    (now, under.version, "open" if back else old[0], old[0] == "fixed", found.id),
                )
                if back:
                    self._witness(found.id, found.case, found.observed, found.shown)
                return "regression" if old[0] == "fixed" else "known"
        except UNREADABLE as error:
            raise problem(self.path, error) from None

    def _witness(self, cause: str, case: Case, observed: Observation | None, shown: Shown | None) -> None:
        """Enter a witness; a sequence of steps stands in the place of the configuration."""
        configuration = case.configuration.to_json() if shown is None else shown.to_json()
        self._base.execute(
            "INSERT OR IGNORE INTO witnesses VALUES (?, ?, ?, ?)",
            (
                cause, json.dumps(configuration, sort_keys=True), json.dumps([frame.hex() for frame in case.frames]),
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
            with Transaction(self._base):
                self._base.executemany(statement, rows)
        except UNREADABLE as error:
            raise problem(self.path, error) from None

    def entries(self) -> list[Entry]:
        """Return all causes, the oldest first; raises FormatError for a damaged file."""
        try:
            cursor = self._base.cursor()
            cursor.row_factory = sqlite3.Row
            rows = cursor.execute(f"{_ENTRIES} ORDER BY first_seen, causes.id").fetchall()
        except UNREADABLE as error:
            raise problem(self.path, error) from None
        found = []
        for row in rows:
            try:
                found.append(_entry(row))
            except _WRONG as error:
                raise damaged(self.path, f"cause {one_line(str(row['id']))}: {one_line(str(error))}") from None
        return found

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
        """Take in the causes, witnesses, runs and curves of another ledger; return how many causes were new.

        All of it or nothing. What was taken in before is not counted again; of a ledger that began as a copy of this
        one the greater counts are taken. Raises UsageError for this ledger itself.
        """
        if other.path.samefile(self.path):
            raise UsageError(f"ledger {other.path}: it cannot be merged into itself")
        name, entries = other.identity, other.entries()
        try:
            tables = [
                (table, other._base.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608 - our own two names
                for table in _COPIED
            ]
        except UNREADABLE as error:
            raise problem(other.path, error) from None
        return self.take(entries, name, tables)

    def take(
        self, entries: Sequence[Entry], name: str = "", tables: Iterable[tuple[str, list[tuple[object, ...]]]] = ()
    ) -> int:
        """Take in entries, and rows of runs and curves; return how many causes were new. All of it or nothing."""
        try:
            with Transaction(self._base):
                new = sum(self._take(name, entry) for entry in entries)
                for table, rows in tables:
                    for row in rows:
                        marks = ", ".join("?" * len(row))
                        self._base.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
                return new
        except UNREADABLE as error:
            raise problem(self.path, error) from None

    @property
    def identity(self) -> str:
        """What tells this ledger from others, copies of it apart; "" for one that was written before there was any."""
        row = self._base.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()
        return str(row[0]) if row else ""

    def _take(self, other: str, entry: Entry) -> bool:
        """Take in one cause of another ledger; say whether it is new."""
        row = self._base.execute(
            "SELECT count, regressions FROM merged WHERE ledger = ? AND cause = ?", (other, entry.id)
        ).fetchone()
        count, regressions = row or (0, 0)
        if other == self.identity:
            mine = self._base.execute("SELECT count, regressions FROM causes WHERE id = ?", (entry.id,)).fetchone()
            count, regressions = mine or (0, 0)
        new = self._base.execute("SELECT 1 FROM causes WHERE id = ?", (entry.id,)).fetchone() is None
        if new:
            values = [json.dumps(entry.clauses) if name == "clauses" else getattr(entry, name) for name in _FIELDS]
            marks = ", ".join("?" * len(_FIELDS))
            self._base.execute(f"INSERT INTO causes ({', '.join(_FIELDS)}) VALUES ({marks})", tuple(values))  # noqa: S608
        else:
            self._base.execute(
                "UPDATE causes SET count = count + ?, first_seen = min(first_seen, ?), last_seen = max(last_seen, ?),"
                " regressions = regressions + ? WHERE id = ?",
                (
                    max(0, entry.count - count), entry.first_seen, entry.last_seen,
                    max(0, entry.regressions - regressions), entry.id,
                ),
            )  # fmt: skip
        if new:
            self._witness(entry.id, entry.witness, entry.observed, entry.shown)
        if other not in {"", self.identity}:
            self._base.execute(
                "INSERT OR REPLACE INTO merged VALUES (?, ?, ?, ?)", (other, entry.id, entry.count, entry.regressions)
            )
        return new

    def curves(self, run: str | None = None) -> list[tuple[float, int, int, int, int]]:
        """Return the points of a run (the last one by default): seconds, executions, coverage, corpus, causes."""
        last = run or next(iter(self._rows("SELECT id FROM runs ORDER BY started DESC LIMIT 1")), ("",))[0]
        return self._rows(
            "SELECT seconds, executions, coverage, corpus, causes FROM curve WHERE run = ? ORDER BY seconds", (last,)
        )

    def runs(self) -> list[tuple[str, str, str, str, int, str, int, float]]:
        """Return the rows of all runs, the oldest first."""
        return self._rows("SELECT * FROM runs ORDER BY started")

    def _rows(self, query: str, arguments: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._base.execute(query, arguments).fetchall()
        except UNREADABLE as error:
            raise problem(self.path, error) from None

    def close(self) -> None:
        """Close it; may be called twice."""
        if os.getpid() == self._pid:
            self._connection.close()


def salvaged(path: Path) -> list[Entry]:
    """Return the causes of a damaged ledger that can be read, each with its witness; raises UsageError, FormatError."""
    found = []
    for row in rows_of(path, f"{_ENTRIES} WHERE causes.rowid = ?", "causes"):
        with suppress(*_WRONG):
            found.append(_entry(row))
    return found


def _entry(row: sqlite3.Row) -> Entry:
    """Return a row as an entry; raises ValueError, TypeError or FormatError for what no campaign wrote."""
    fields = {name: row[name] for name in _FIELDS if name != "clauses"}
    if row["config"] is None:
        raise ValueError("it has no witness")
    for name, value in fields.items():
        if not isinstance(value, int if name in _NUMBERS else str):
            raise TypeError(f"{name} is {value!r}")
    if not _ID.fullmatch(row["id"]):
        raise ValueError("its id is not one of ours")
    if row["status"] not in STATUSES:
        raise ValueError(f"no status {row['status']!r}")
    clauses = tuple(json.loads(row["clauses"]))
    if not all(isinstance(clause, str) for clause in clauses):
        raise TypeError("its clauses are no text")
    witness = json.loads(row["config"])
    if isinstance(witness, dict) and "steps" in witness:
        shown = shown_from_json(witness, where="its witness")
        return Entry(**fields, clauses=clauses, witness=Case(Configuration(), ()), observed=None, shown=shown)
    configuration = Configuration.from_json(witness, where="its witness")
    frames = tuple(bytes.fromhex(frame) for frame in json.loads(row["frames"]))
    if not frames:
        raise ValueError("its witness has no frames")
    return Entry(
        **fields, clauses=clauses, witness=Case(configuration, frames), observed=_observed(json.loads(row["observed"]))
    )


def _observed(fields: Any) -> Observation | None:
    if fields is None:
        return None
    if not all(number is None or (type(number) is int and -1 <= number < 1 << 32) for number in fields.values()):
        raise ValueError("what was observed is no observation")
    return Observation(**fields)
