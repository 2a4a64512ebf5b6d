"""report.jsonl: written record by record, read back strictly, and drawn into every other report.

The writer hands each record to the operating system before it returns, so whatever was reported survives a Ctrl-C and
a kill -9. The reader takes nothing on trust: a file that was cut, spliced or written by another version says so, with
the line.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, get_args

import msgspec
from vnethash.conformance import records
from vnethash.conformance.records import (
    AnyRecord,
    Case,
    Coverage,
    Finding,
    Footer,
    Header,
    Kind,
    Sequence,
    Step,
    TargetRecord,
    Witness,
)
from vnethash.spec.errors import FormatError, UsageError, VnethashError
from vnethash.spec.text import count, natural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

REPORT = "report.jsonl"
#: Beside it while the run goes on (journal.py).
JOURNAL = "answers.jsonl"
#: What `draw_all` writes, in this order.
DRAWN = ("junit.xml", "report.html", "summary.md", "badge.json", "witnesses.pcapng")
KINDS: tuple[Kind, ...] = get_args(Kind)
#: Findings are shown in this order of causes, then by the number of cases.
CAUSE_ORDER = ("defect", "inconsistent", "unexplained", "error", "reading")

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)


class MissingFooter(FormatError):  # noqa: N818 - says what is missing
    """The report has no footer: the run that wrote it did not finish."""


def now() -> str:
    """Return the time as the records hold it, e.g. 2026-11-22T10:11:12Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ReportWriter:
    """Writes report.jsonl into a folder, one record a line; leaving it without `finish` leaves no footer.

    The first record must be the header. A report that the folder already holds, and what was drawn from it, is removed
    first, so that nothing old stands beside the new; without `replace` it is a user's mistake to name such a folder.
    With `kept`, the records of a run that goes on, the old report stays until the first new record comes; the file
    then holds the records that are kept and the new one.
    """

    def __init__(self, folder: Path | str, *, replace: bool = True, kept: Iterable[AnyRecord] = ()) -> None:
        self.folder = Path(folder)
        self.path = self.folder / REPORT
        self._replace = replace
        self._kept = tuple(kept)
        self._file: BinaryIO | None = None
        self._headed = False
        self._finished = False
        self._cases = 0
        self._findings = 0

    def __enter__(self) -> ReportWriter:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._kept:
                return self
            if self._replace:
                for name in (REPORT, *DRAWN):
                    (self.folder / name).unlink(missing_ok=True)
            self._file = self.path.open("xb")
        except FileExistsError as error:
            if self.folder.is_dir():
                raise UsageError(f"{self.path} is already there", hint="name another folder") from None
            raise UsageError(f"{self.folder} is a file, not a folder") from error
        except OSError as error:
            raise UsageError(f"cannot write {self.path}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was written is already in it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, record: AnyRecord) -> None:
        """Append one record and hand it to the operating system."""
        self.extend((record,))

    def extend(self, batch: Iterable[AnyRecord]) -> None:
        """Append several records in one write."""
        lines = bytearray()
        for record in (*self._kept, *batch):
            self._check(record)
            lines += encode(record) + b"\n"
        try:
            if self._kept:
                self._go_on(lines)
            elif self._file is None:
                raise VnethashError(f"{self.path} is not open")
            else:
                self._file.write(lines)
                self._file.flush()
        except OSError as error:
            raise VnethashError(f"cannot write {self.path}: {error.strerror}") from error

    def _go_on(self, lines: bytes | bytearray) -> None:
        """Put these lines in the place of the old report, at once, and go on behind them."""
        part = self.path.with_name(f".{REPORT}.part")
        self._file = part.open("wb")
        self._file.write(lines)
        self._file.flush()
        part.replace(self.path)
        self._kept = ()
        for name in DRAWN:
            (self.folder / name).unlink(missing_ok=True)

    def finish(self, exit_code: int, *, interrupted: bool = False, finished: str = "") -> Footer:
        """Write the footer, which makes the file a report, and return it."""
        footer = Footer(
            finished=finished or now(),
            cases=self._cases,
            findings=self._findings,
            exit_code=exit_code,
            interrupted=interrupted,
        )
        self.write(footer)
        return footer

    def _check(self, record: AnyRecord) -> None:
        if self._finished:
            raise VnethashError(f"{self.path}: nothing can be written after the footer")
        if isinstance(record, Header) == self._headed:
            raise VnethashError(f"{self.path}: {'a second header' if self._headed else 'the header must come first'}")
        self._headed = True
        self._cases += isinstance(record, (Case, Sequence))
        self._findings += isinstance(record, Finding)
        self._finished = isinstance(record, Footer)


def encode(record: msgspec.Struct) -> bytes:
    """Return a record as one line without its end; what cannot be UTF-8 is written with backslashes."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:  # what a target printed was decoded with "surrogateescape"
        return _ENCODER.encode(_without_surrogates(msgspec.to_builtins(record)))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class TargetReport:
    """Everything a report says about one target; `record` is None if the run did not come to its conclusion."""

    name: str
    record: TargetRecord | None
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    sequences: tuple[Sequence, ...] = ()

    @property
    def answered(self) -> list[Case | Sequence]:
        """The cases and then the sequences."""
        return [*self.cases, *self.sequences]

    @property
    def conclusion(self) -> str:
        """The conclusion, "unfinished" if the run did not come to one."""
        return self.record.conclusion if self.record else "unfinished"

    @property
    def title(self) -> str:
        """The name of the implementation with its version, as far as it is known."""
        known = self.record.implementation if self.record else {}
        words = " ".join(part for part in (known.get("name", ""), known.get("version", "")) if part)
        return ", ".join(part for part in (words, known.get("language", "")) if part)

    def counts(self) -> dict[Kind, int]:
        """Return the number of cases of each verdict."""
        if self.record is not None:
            return {kind: self.record.counts.get(kind, 0) for kind in KINDS}
        found = Counter(case.verdict for case in self.answered)
        return {kind: found[kind] for kind in KINDS}

    def clause_counts(self) -> dict[str, dict[str, int]]:
        """Return clause -> verdict -> number of cases, in the natural order of the clause ids."""
        counts: dict[str, dict[str, int]] = {}
        if self.record is not None:
            counts = {clause: dict(by_kind) for clause, by_kind in self.record.clauses.items()}
        else:
            for case in self.answered:
                for clause in {*case.clauses, case.clause} - {""}:
                    by_kind = counts.setdefault(clause, {})
                    by_kind[case.verdict] = by_kind.get(case.verdict, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: natural(item[0])))

    def skipped_reasons(self) -> list[tuple[str, int]]:
        """Return each reason for skipping with its number of cases, the most frequent first."""
        skipped = (case for case in self.answered if case.verdict == "skipped")
        return Counter(case.reason or "no reason given" for case in skipped).most_common()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, grouped per target in the order of the header; `footer` is None if the run did not finish."""

    path: Path
    header: Header
    targets: tuple[TargetReport, ...]
    footer: Footer | None
    witnesses: tuple[Coverage, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that holds the report."""
        return self.path.parent

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of all targets."""
        return tuple(finding for target in self.targets for finding in target.findings)

    @property
    def state(self) -> str:
        """What a reader must be told about the run as a whole; empty if it came to its end."""
        if self.footer is None:
            return "the run did not finish: what follows is what it had reported until then"
        return "the run was interrupted: what follows is incomplete" if self.footer.interrupted else ""


def read_report(path: Path | str, *, partial: bool = False) -> Report:
    """Read report.jsonl (or the folder that holds it); with `partial` also one whose run did not finish."""
    path = Path(path)
    path = path / REPORT if path.is_dir() else path
    try:
        with path.open("rb") as file:
            return gather(_lines(file, path, partial=partial), path, partial=partial)
    except FileNotFoundError:
        begun = (path.parent / JOURNAL).exists()
        hint = resume_hint(path.parent) if begun else "give the folder that `vnethash check` wrote"
        raise UsageError(f"there is no {path}", hint=hint) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def read_records(path: Path) -> list[AnyRecord]:
    """Return the whole records of a file in order, none if it is not there or was cut in its first line."""
    try:
        with path.open("rb") as file:
            if not file.readline().endswith(b"\n"):
                return []
            file.seek(0)
            return list(_lines(file, path, partial=True))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def _lines(file: BinaryIO, path: Path, *, partial: bool) -> Iterator[AnyRecord]:
    for number, line in enumerate(file, 1):
        where = f"{path}:{number}"
        try:
            record = _DECODER.decode(line)
        except msgspec.ValidationError as error:
            raise FormatError(f"{where}: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if number > 1 and not line.endswith(b"\n"):  # the run was killed within this line
                if partial:
                    return
                raise _missing_footer(path) from None
            raise FormatError(f"{where}: not JSON: {error}") from error
        yield record


def gather(stream: Iterable[AnyRecord], path: Path, *, partial: bool = False) -> Report:
    """Group a stream of records into a report, each checked against those before it."""
    header: Header | None = None
    footer: Footer | None = None
    ends: dict[str, TargetRecord] = {}
    cases: dict[str, dict[int, Case]] = {}
    sequences: dict[str, dict[str, Sequence]] = {}
    findings: dict[str, Finding] = {}
    witnesses: dict[str, Coverage] = {}
    for number, record in enumerate(stream, 1):
        where = f"{path}:{number}"
        if footer is not None:
            raise FormatError(f"{where}: a record after the footer")
        if isinstance(record, Header):
            if header is not None:
                raise FormatError(f"{where}: a second header", hint="two reports in one file?")
            header = _checked_header(record, where)
            cases = {name: {} for name in header.targets}
            sequences = {name: {} for name in header.targets}
            continue
        if header is None:
            raise FormatError(f"{where}: the first record is not the header")
        if isinstance(record, Footer):
            footer = record
            total = sum(map(len, cases.values())) + sum(map(len, sequences.values()))
            _check_footer(footer, total, len(findings), where)
            continue
        if isinstance(record, Coverage):
            if record.witness in witnesses:
                raise FormatError(f"{where}: a second coverage of {record.witness}")
            for covered in record.kinds:
                _check_hex(covered.frame, f"{where}: frame")
            witnesses[record.witness] = record
            continue
        if record.target not in cases:
            raise FormatError(f"{where}: the header does not name the target {record.target!r}")
        if isinstance(record, Case):
            if record.vector in cases[record.target]:
                raise FormatError(f"{where}: a second case for vector {record.vector} at {record.target}")
            _check_frame(record, where)
            cases[record.target][record.vector] = record
        elif isinstance(record, Sequence):
            if record.name in sequences[record.target]:
                raise FormatError(f"{where}: a second sequence {record.name!r} at {record.target}")
            _check_steps(record.steps, where)
            sequences[record.target][record.name] = record
        elif isinstance(record, Finding):
            if record.id in findings:
                raise FormatError(f"{where}: a second finding with the id {record.id!r}")
            _check_frame(record.witness, f"{where}: witness")
            for frame in record.witness.before:
                _check_hex(frame, f"{where}: witness: before")
            _check_steps(record.witness.sequence, f"{where}: witness")
            findings[record.id] = record
        else:
            if record.target in ends:
                raise FormatError(f"{where}: a second conclusion about {record.target}")
            _check_counts(record, where)
            ends[record.target] = record
    if header is None:
        raise FormatError(f"{path} is empty")
    if footer is None and not partial:
        raise _missing_footer(path)
    targets = tuple(
        TargetReport(
            name=name,
            record=ends.get(name),
            cases=tuple(cases[name].values()),
            findings=sort_findings(finding for finding in findings.values() if finding.target == name),
            sequences=tuple(sequences[name].values()),
        )
        for name in header.targets
    )
    return Report(path=path, header=header, targets=targets, footer=footer, witnesses=tuple(witnesses.values()))


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the worst cause first, then those with the most cases."""
    return tuple(sorted(findings, key=lambda one: (CAUSE_ORDER.index(one.cause), -one.cases, natural(one.id))))


def _missing_footer(path: Path) -> MissingFooter:
    hint = "`vnethash report --partial` draws what there is"
    if (path.parent / JOURNAL).exists():
        hint = f"{resume_hint(path.parent)}; {hint}"
    return MissingFooter(f"{path} has no footer: the run did not finish", hint=hint)


def resume_hint(folder: Path) -> str:
    """Return how a run that did not finish goes on."""
    return f"`vnethash check --resume {shlex.quote(str(folder))}` goes on with it"


def _checked_header(header: Header, where: str) -> Header:
    if header.format not in records.READ:
        raise FormatError(
            f"{where}: format {header.format}, this tool reads format {' and '.join(map(str, records.READ))}",
            hint=f"written by {header.tool}",
        )
    if len(set(header.targets)) != len(header.targets):
        raise FormatError(f"{where}: the header names a target twice")
    return header


def _check_footer(footer: Footer, cases: int, findings: int, where: str) -> None:
    if (footer.cases, footer.findings) != (cases, findings):
        raise FormatError(
            f"{where}: the footer counts {count(footer.cases, 'case')} and {count(footer.findings, 'finding')}, "
            f"the file has {cases:,} and {findings:,}"
        )


def _check_frame(record: Case | Witness | Step, where: str) -> None:
    _check_hex(record.frame, f"{where}: frame")


def _check_steps(steps: list[Step], where: str) -> None:
    for number, step in enumerate(steps, 1):
        _check_frame(step, f"{where}: step {number}")
        _check_hex(step.data, f"{where}: step {number}: data")
        _check_hex(step.header, f"{where}: step {number}: header")


def _check_hex(text: str, what: str) -> None:
    if len(text) % 2 or text.strip("0123456789abcdef"):
        raise FormatError(f"{what} is not an even number of lower-case hex digits")


def _check_counts(record: TargetRecord, where: str) -> None:
    for counts in (record.counts, *record.clauses.values()):
        unknown = sorted(set(counts) - set(KINDS))
        if unknown:
            raise FormatError(f"{where}: counts of {unknown[0]!r}", hint=f"known: {', '.join(KINDS)}")


def draw_all(folder: Path | str, *, partial: bool = False) -> list[Path]:
    """Draw every report of a folder from its report.jsonl alone and return what was written."""
    # Each of these imports what it draws with (jinja2, rich, scapy); who only writes or reads records needs none.
    from vnethash.conformance import capture, html, junit, summary  # noqa: PLC0415

    report = read_report(Path(folder) / REPORT, partial=partial)
    drawers = (
        junit.render(report),
        html.render(report).encode(),
        summary.render_markdown(report).encode(),
        summary.render_badge(report).encode(),
        capture.render(report),
    )
    return [_place(report.folder / name, content) for name, content in zip(DRAWN, drawers, strict=True)]


def _place(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return path
