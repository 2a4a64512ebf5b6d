"""answers.jsonl: what each target answered, written down as it comes, so that a run that was cut short can go on.

Verdicts need the answers of a whole target, so report.jsonl has nothing of a target until it was asked everything.
Until then its answers are here, one JSON object a line:

    asked       what the run is: tool, targets, suite with its digest, options
    target      a target begins: which implementation, what it can, which files it is made of
    answer      what came out for one case
    script      what came out for one script of the control suite
    done        a target's conclusion is in report.jsonl

Each batch is handed to the operating system before the next is asked. A run that comes to its end removes the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from vnethash.conformance.device.runner import Play
from vnethash.conformance.records import Coverage, Footer, Header, Shown, TargetRecord
from vnethash.conformance.report import DRAWN, JOURNAL, REPORT, encode, read_records, resume_hint
from vnethash.spec.errors import FormatError, UsageError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Skipped, TimedOut
from vnethash.targets.device import Limits, Reception

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.conformance.device.control import Session
    from vnethash.conformance.device.script import Script
    from vnethash.conformance.records import AnyRecord
    from vnethash.conformance.runner import Answer
    from vnethash.conformance.suite import Case
    from vnethash.models.device.matching import Seen
    from vnethash.targets.base import Result, Target

FORMAT = 1
_ANEW = "`vnethash check --overwrite` begins anew"


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="line"):
    """One line of answers.jsonl."""


class Asked(Line, frozen=True, tag="asked"):
    """First line: what the run is, so that it can go on without being told again; `digest` is that of the cases."""

    format: int
    tool: str
    targets: list[str]
    suite: str
    digest: str
    witnesses: list[str] = []
    clauses: list[str] = []
    questions: list[str] = []
    validate: bool = False
    timeout: float | None = None
    expected: str | None = None
    accept: str | None = None


class Begun(Line, frozen=True, tag="target"):
    """A target was opened; `files` are those that its name names, with their digests, `device` its traits."""

    target: str
    implementation: str
    capabilities: str
    files: dict[str, str]
    device: str = ""


class Answered(Line, frozen=True, tag="answer"):
    """What came out for a case; the last of a batch has the seconds since the target began, and its notes."""

    case: int
    observed: Shown | None = None
    skipped: str | None = None
    error: str | None = None
    timeout: float | None = None
    at: float = 0.0
    notes: list[str] = []


class Got(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="seen", tag="packet"):
    """A packet as the driver got it."""

    queue: int
    header: str
    payload: str
    buffers: int


class Room(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="seen", tag="space"):
    """The configuration space as the driver read it, in the order of `Limits`."""

    fields: list[int]


class Played(Line, frozen=True, tag="script"):
    """What came out for a script; the fields are those of `Play`."""

    script: str
    seen: list[bool | int | Got | Room | None] = []
    error: str = ""
    skipped: str = ""
    late: bool = False
    at: float = 0.0


class Done(Line, frozen=True, tag="done"):
    """The conclusion about a target stands."""

    target: str


_DECODER: msgspec.json.Decoder[Asked | Begun | Answered | Played | Done] = msgspec.json.Decoder(
    Asked | Begun | Answered | Played | Done
)


class Book:
    """The answers of one target: those from before, and where new ones go (`runner.Book`, `device.runner.PlayBook`)."""

    def __init__(self, name: str = "", journal: Journal | None = None) -> None:
        self._name = name
        self._journal = journal
        self._target: Target | None = None
        self._started = time.monotonic()
        self.begun: Begun | None = None
        self.answers: dict[int, Result] = {}
        self.plays: dict[str, Played] = {}
        #: What earlier parts of the run took, in seconds, and what the target noted then.
        self.seconds = 0.0
        self.notes: list[str] = []

    @property
    def empty(self) -> bool:
        """Whether nothing was answered before."""
        return not self.answers and not self.plays

    def begin(self, target: Target, session: Session | None) -> None:
        """Note who answers from now on; raises UsageError if it is another than the one that answered before."""
        now = _begun(target, session)
        for what, then, here in zip(now.__struct_fields__, _fields(self.begun), _fields(now), strict=False):
            if then != here:
                words = _difference(what, then, here)
                raise UsageError(f"{target.name} cannot go on: {words}", hint=_ANEW)
        self.begun = now
        self._target = target
        self._started = time.monotonic()
        if self._journal:
            self._journal.write(now)

    def known(self, case: int) -> Result | None:
        """Return the result of a case that was answered before."""
        return self.answers.get(case)

    def keep(self, answers: Sequence[Answer]) -> None:
        """Keep answers that just came."""
        if not self._journal or not answers:
            return
        lines = [_answered(answer) for answer in answers]
        notes = self.all_notes()
        lines[-1] = msgspec.structs.replace(lines[-1], at=self._at(), notes=notes)
        self._journal.write(*lines)

    def known_play(self, script: Script) -> Play | None:
        """Return what came out for a script before."""
        line = self.plays.get(script.name)
        if line is None:
            return None
        return Play(script, tuple(map(_from_seen, line.seen)), line.error, line.skipped, line.late)

    def keep_play(self, play: Play) -> None:
        """Keep what just came out; what the suite itself skips is known without."""
        if not self._journal or play.script.skip:
            return
        seen = [_to_seen(one) for one in play.seen]
        self._journal.write(Played(play.script.name, seen, play.error, play.skipped, play.late, self._at()))

    def all_notes(self) -> list[str]:
        """Return what the target noted in all parts of the run."""
        return list(dict.fromkeys([*self.notes, *(self._target.notes if self._target else ())]))

    def done(self) -> None:
        """Note that the conclusion about the target was reported."""
        if self._journal:
            self._journal.write(Done(self._name))

    def _at(self) -> float:
        return round(self.seconds + time.monotonic() - self._started, 3)


class Taken(NamedTuple):
    """What stands of a run that was cut short: its records in order, the header first."""

    records: tuple[AnyRecord, ...] = ()

    @property
    def targets(self) -> dict[str, TargetRecord]:
        """The targets whose conclusion stands."""
        return {record.target: record for record in self.records if isinstance(record, TargetRecord)}

    @property
    def witnesses(self) -> set[str]:
        """The witnesses that were asked."""
        return {record.witness for record in self.records if isinstance(record, Coverage)}


class Journal:
    """The journal of a run, held alone: a second run in the same folder is refused while this one lives.

    `taken` is what report.jsonl has of the targets that are done. Leaving it closes the file; `finish` removes it.
    """

    def __init__(self, folder: Path, file: int, asked: Asked) -> None:
        self.path = folder / JOURNAL
        self.asked = asked
        self.taken = Taken()
        self._file = file
        self._books: dict[str, Book] = {}

    @classmethod
    def create(cls, folder: Path, asked: Asked, *, overwrite: bool = False) -> Journal:
        """Begin a journal, and remove the report that the folder holds.

        Raises UsageError if the folder holds a run without its footer that has answers, unless `overwrite`.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(folder / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            raise UsageError(f"{folder} is a file, not a folder") from None
        except OSError as error:
            raise UsageError(f"cannot write {folder / JOURNAL}: {error.strerror}") from error
        try:
            _lock(file, folder)
            if not overwrite and not _footer(folder) and _has_answers(folder / JOURNAL):
                raise UsageError(
                    f"{folder} holds a run that did not finish",
                    hint=f"{resume_hint(folder)}; --overwrite discards its answers",
                )
            for name in (REPORT, *DRAWN):
                (folder / name).unlink(missing_ok=True)
            os.ftruncate(file, 0)
            journal = cls(folder, file, asked)
            journal.write(asked)
        except BaseException:
            os.close(file)
            raise
        return journal

    @classmethod
    def resume(cls, folder: Path) -> Journal:
        """Take up the journal of a run that was killed or interrupted; raises UsageError where there is none."""
        try:
            file = os.open(folder / JOURNAL, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            _refuse_finished(folder)
            raise UsageError(
                f"{folder} holds no run to go on with: {error.strerror}", hint="give the folder of `vnethash check`"
            ) from None
        try:
            _lock(file, folder)
            _refuse_finished(folder)
            return cls._read(folder, file)
        except BaseException:
            os.close(file)
            raise

    @classmethod
    def _read(cls, folder: Path, file: int) -> Journal:
        path = folder / JOURNAL
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1  # what follows is the line within which the run was killed
        os.ftruncate(file, whole)
        os.lseek(file, whole, os.SEEK_SET)
        journal: Journal | None = None
        book = Book()
        done: set[str] = set()
        for number, text in enumerate(content[:whole].splitlines(), 1):
            try:
                line = _DECODER.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if number == 1:
                    break
                raise FormatError(f"{path}:{number}: {error}") from error
            if isinstance(line, Asked):
                journal = cls(folder, file, line)
            elif journal is None:
                break
            elif isinstance(line, Begun):
                book = journal.book(line.target)
                book.begun = line
            elif isinstance(line, Done):
                done.add(line.target)
            else:
                _enter(book, line)
        if journal is None or journal.asked.format != FORMAT:
            raise FormatError(f"{path} is no journal of this tool", hint=_ANEW)
        journal.taken = _taken(folder, done)
        return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, digest: str, tool: str) -> None:
        """Raise UsageError unless the tool and the cases are those of the run."""
        if self.asked.tool != tool:
            raise UsageError(f"{self.path} is of {self.asked.tool}, this is {tool}", hint=_ANEW)
        if self.asked.digest != digest:
            raise UsageError(f"{self.path} is of other cases: the suite {self.asked.suite} has changed", hint=_ANEW)

    def book(self, target: str) -> Book:
        """Return the answers of a target."""
        return self._books.setdefault(target, Book(target, self))

    def write(self, *lines: Line) -> None:
        """Append lines and hand them to the operating system."""
        data = b"".join(encode(line) + b"\n" for line in lines)
        try:
            while data:
                data = data[os.write(self._file, data):]
        except OSError as error:
            raise VnethashError(f"cannot write {self.path}: {error.strerror}") from error

    def finish(self) -> None:
        """Remove the journal: all that it held is in the report."""
        with suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Close the file, and let others have it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def digest_of(cases: Sequence[Case], scripts: str = "") -> str:
    """Return a digest of all that makes the cases what they are."""
    total = hashlib.sha256(scripts.encode())
    configurations: dict[object, str] = {}
    for case in cases:
        known = configurations.get(case.configuration)
        if known is None:
            known = configurations[case.configuration] = json.dumps(case.configuration.to_json())
        total.update(repr((case.id, case.frame, case.comment, case.clauses, known)).encode("utf-8", "backslashreplace"))
    return total.hexdigest()


def files_of(name: str) -> dict[str, str]:
    """Return the digests of the files that the name of a target names; a program is looked for on PATH."""
    scheme, _, argument = name.partition(":")
    try:
        words = shlex.split(argument) if scheme == "exec" else argument.replace("=", ",").split(",")
    except ValueError:
        return {}
    found = {}
    for number, word in enumerate(words):
        path = (shutil.which(word) if scheme == "exec" and number == 0 else None) or word
        if Path(path).is_file():
            with suppress(OSError), Path(path).open("rb") as file:
                found[word] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _begun(target: Target, session: Session | None) -> Begun:
    can = target.capabilities
    implementation = target.implementation
    device = ""
    if session:
        scripts = hashlib.sha256(repr(session.scripts).encode("utf-8", "backslashreplace")).hexdigest()
        device = f"{tuple(session.weigher.traits)} {scripts}"
    return Begun(
        target.name,
        " ".join(filter(None, (implementation.name, implementation.version, implementation.language))),
        f"observes {' '.join(sorted(can.observes))}; features {' '.join(sorted(can.features))}; "
        f"hash types {can.hash_types:#x}, tunnel types {can.tunnel_types:#x}, key {can.max_key_size}, "
        f"table {can.max_indirection_table_length}, queues {can.queues}",
        files_of(target.name),
        device,
    )


def _fields(begun: Begun | None) -> tuple[object, ...]:
    return msgspec.structs.astuple(begun) if begun else ()


def _difference(what: str, then: object, now: object) -> str:
    if what == "implementation":
        return f"it was {then}, and is {now}"
    if what == "files" and isinstance(then, dict) and isinstance(now, dict):
        changed = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
        return f"{', '.join(changed)} is not the file that it was"
    return "it can do other things than before" if what == "capabilities" else "its device is another than before"


def _answered(answer: Answer) -> Answered:
    result = answer.result
    if isinstance(result, Observation):
        return Answered(answer.case.id, observed=Shown(result.report, result.value, result.queue))
    if isinstance(result, Skipped):
        return Answered(answer.case.id, skipped=result.reason)
    if isinstance(result, Errored):
        return Answered(answer.case.id, error=result.message)
    return Answered(answer.case.id, timeout=result.seconds)


def _enter(book: Book, line: Answered | Played) -> None:
    book.seconds = max(book.seconds, line.at)
    if isinstance(line, Played):
        book.plays[line.script] = line
        return
    if line.notes:
        book.notes = line.notes
    result: Result
    if line.skipped is not None:
        result = Skipped(line.skipped)
    elif line.error is not None:
        result = Errored(line.error)
    elif line.timeout is not None:
        result = TimedOut(line.timeout)
    else:
        shown = line.observed or Shown()
        result = Observation(shown.report, shown.value, shown.queue)
    book.answers[line.case] = result


def _to_seen(seen: Seen) -> bool | int | Got | Room | None:
    if isinstance(seen, Reception):
        return Got(seen.queue, seen.header.hex(), seen.payload.hex(), seen.buffers)
    if isinstance(seen, Limits):
        return Room(list(seen))
    if seen is None or isinstance(seen, int):
        return seen
    raise VnethashError(f"conformance/journal: no line for {type(seen).__name__}")


def _from_seen(seen: bool | int | Got | Room | None) -> Seen:
    if isinstance(seen, Got):
        return Reception(seen.queue, bytes.fromhex(seen.header), bytes.fromhex(seen.payload), seen.buffers)
    return Limits(*seen.fields) if isinstance(seen, Room) else seen


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"a run in {folder} is going on", hint="name another folder") from None


def _footer(folder: Path) -> Footer | None:
    records = read_records(folder / REPORT)
    return records[-1] if records and isinstance(records[-1], Footer) else None


def _refuse_finished(folder: Path) -> None:
    footer = _footer(folder)
    if footer and not footer.interrupted:
        raise UsageError(
            f"{folder} holds a run that came to its end", hint=f"`vnethash report {folder}` draws its reports again"
        )


def _has_answers(path: Path) -> bool:
    """Tell whether a journal holds more than how its run began."""
    with path.open("rb") as file:
        return any(line.startswith((b'{"line":"answer"', b'{"line":"script"', b'{"line":"done"')) for line in file)


def _taken(folder: Path, done: set[str]) -> Taken:
    kept: list[AnyRecord] = []
    for record in read_records(folder / REPORT):
        if isinstance(record, (Header, Coverage)) or (not isinstance(record, Footer) and record.target in done):
            kept.append(record)
    return Taken(tuple(kept))
