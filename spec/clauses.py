"""The clauses of the specification as data: what each says, how strongly, to whom, since when, and where it stands.

Sources: `clauses.virtio.toml` (virtio-spec at commit 15f488c1, ids FB-*, CFG-*, ..., REF-*) and
`clauses.microsoft.toml` (Microsoft's RSS documents, ids MS-*). All words are this project's own. A clause id is
what code, vectors, verdicts and reports cite; `clause` turns one into the clause.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vnethash.spec.errors import FormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The words of RFC 2119, strongest first (GEN-5).
KEYWORDS = ("MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY")

#: Everything a clause can be: one of the words of RFC 2119, or text without any of them, by what it contains.
STRENGTHS = (
    *KEYWORDS, "declarative", "layout", "constants", "dependency", "definition", "reference", "advice",
)

#: Whom a clause binds.
PARTIES = ("device", "driver", "both")

_FILES = ("clauses.virtio.toml", "clauses.microsoft.toml")
_DOCUMENT_FIELDS = {"id": str, "title": str, "versions": list}
_SOURCE_FIELDS = {"repository": str, "commit": str, "date": datetime.date}
_SECTION_FIELDS = {"path": list, "source": str, "file": str, "normative": bool}
_CLAUSE_FIELDS = {
    "section": str, "strength": str, "binds": str, "versions": list, "lines": str, "says": str,
}
_ID = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z]?[0-9]+)+")
_LINES = re.compile(r"[1-9][0-9]*(-[1-9][0-9]*)?(,[1-9][0-9]*(-[1-9][0-9]*)?)*")


@dataclass(frozen=True, slots=True)
class Source:
    """One revision of one repository in which clauses were read."""

    repository: str
    commit: str
    date: datetime.date


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a document.

    Attributes:
        document: "virtio" or "microsoft".
        path: titles from the outermost section to this one.
        source: the revision in which it was read.
        file: the file that holds it there.
        normative: whether the conformance chapter lists it (never so for Microsoft's documents).
        numbers: (version, section number) for the versions that number it; they differ between versions.
    """

    document: str
    path: tuple[str, ...]
    source: Source
    file: str
    normative: bool
    numbers: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """The section's own title."""
        return self.path[-1]

    def label(self, version: str | None = None) -> str:
        """Return number and title as in that version (the newest by default), or the title path if unnumbered."""
        if not self.numbers:
            return " / ".join(self.path)
        number = dict(self.numbers).get(version) if version else self.numbers[-1][1]
        return f"{number} {self.title}" if number else self.title


@dataclass(frozen=True, slots=True)
class Clause:
    """One statement of the specification.

    Attributes:
        id: ours, e.g. "X6-1"; stable, never used again for another statement.
        document: "virtio" or "microsoft".
        place: the section.
        strength: the strongest word of RFC 2119 in it, or what kind of text it is (STRENGTHS).
        also: further words of RFC 2119 in it.
        binds: "device", "driver" or "both".
        versions: the versions of the document that say this in substance, oldest first.
        lines: (first, last) line numbers in `place.file`.
        says: the clause in our words.
        note: what a reader should know besides; may be empty.
    """

    id: str
    document: str
    place: Section
    strength: str
    also: tuple[str, ...]
    binds: str
    versions: tuple[str, ...]
    lines: tuple[tuple[int, int], ...]
    says: str
    note: str

    @property
    def section(self) -> str:
        """Number and title of the section, as in the newest version of the document."""
        return self.place.label()

    @property
    def strengths(self) -> tuple[str, ...]:
        """`strength` and then `also`."""
        return (self.strength, *self.also)

    @property
    def informal(self) -> bool:
        """Whether a word of RFC 2119 stands outside the sections that the conformance chapter lists (GEN-5)."""
        return self.strength in KEYWORDS and not self.place.normative

    @property
    def origin(self) -> str:
        """File, lines and commit, e.g. "device-types/net/description.tex:1563-1570 at 15f488c1"."""
        return f"{self.place.file}:{lines_text(self.lines)} at {self.place.source.commit[:8]}"

    def cite(self, version: str | None = None) -> str:
        """Return a citation, e.g. "X6-1 (virtio 1.4, 5.1.9.4.3.4 IPv6 packets with extension header)"."""
        version = version or self.versions[-1]
        return f"{self.id} ({self.document} {version}, {self.place.label(version)})"

    def to_json(self) -> dict[str, Any]:
        """Return all of it in plain values, for `--json` and reports."""
        return {
            "id": self.id,
            "document": self.document,
            "section": self.section,
            "path": list(self.place.path),
            "numbers": dict(self.place.numbers),
            "strength": self.strength,
            "also": list(self.also),
            "binds": self.binds,
            "informal": self.informal,
            "versions": list(self.versions),
            "says": self.says,
            "note": self.note,
            "repository": self.place.source.repository,
            "commit": self.place.source.commit,
            "file": self.place.file,
            "lines": lines_text(self.lines),
        }


def lines_text(lines: Iterable[tuple[int, int]]) -> str:
    """Return e.g. "12-14,20"."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in lines)


@cache
def load() -> Mapping[str, Clause]:
    """Read all clauses, by id, in the order of the documents; raises FormatError where the data is wrong."""
    clauses: dict[str, Clause] = {}
    for name in _FILES:
        text = files("vnethash.spec").joinpath(name).read_text(encoding="utf-8")
        for found in parse(text, where=name):
            if found.id in clauses:
                raise FormatError(f"{name}: {found.id}: this id is taken by the {clauses[found.id].document} document")
            clauses[found.id] = found
    return MappingProxyType(clauses)


def clause(clause_id: str) -> Clause:
    """Return the clause of that id; raises UsageError, with the nearest ids as hint, if there is none."""
    clauses = load()
    if clause_id not in clauses:
        raise UsageError(f"no clause {clause_id!r}", hint=did_you_mean(clause_id, clauses))
    return clauses[clause_id]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known ids nearest to `word`, in whatever case it was written; "" if none is near."""
    by_upper = {name.upper(): name for name in known}
    near = get_close_matches(word.upper(), by_upper, n=5, cutoff=0.5)
    return f"did you mean {', '.join(by_upper[name] for name in near)}?" if near else ""


def parse(text: str, *, where: str) -> tuple[Clause, ...]:
    """Read one file of clauses; strict: raises FormatError, saying where, for anything it does not expect."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{where}: not TOML, or a key is given twice: {error}") from None
    _fields(data, {"document": dict, "sources": dict, "sections": dict, "clauses": dict}, {}, where)
    document = _fields(data["document"], _DOCUMENT_FIELDS, {}, f"{where}: document")
    known_versions = _strings(document["versions"], f"{where}: document: versions")
    sources = {name: _source(value, f"{where}: sources.{name}") for name, value in data["sources"].items()}
    sections = {
        name: _section(value, document["id"], sources, known_versions, f"{where}: sections.{name}")
        for name, value in data["sections"].items()
    }
    clauses = tuple(
        _clause(clause_id, value, sections, known_versions, f"{where}: {clause_id}")
        for clause_id, value in data["clauses"].items()
    )
    unused = sorted(set(sections.values()) - {found.place for found in clauses}, key=lambda section: section.path)
    if unused:
        raise FormatError(f"{where}: no clause stands in section {unused[0].label()!r}")
    return clauses


def _source(value: object, where: str) -> Source:
    fields = _fields(value, _SOURCE_FIELDS, {}, where)
    if not re.fullmatch(r"[0-9a-f]{40}", fields["commit"]):
        raise FormatError(f"{where}: commit must be 40 hex digits, got {fields['commit']!r}")
    return Source(fields["repository"], fields["commit"], fields["date"])


def _section(
    value: object, document: str, sources: Mapping[str, Source], known_versions: tuple[str, ...], where: str
) -> Section:
    fields = _fields(value, _SECTION_FIELDS, {"numbers": dict}, where)
    if fields["source"] not in sources:
        raise FormatError(f"{where}: unknown source {fields['source']!r}", hint=f"known: {', '.join(sources)}")
    numbers = fields.get("numbers", {})
    _versions(list(numbers), known_versions, f"{where}: numbers", empty=True)
    for version, number in numbers.items():
        if not isinstance(number, str) or not re.fullmatch(r"[1-9][0-9]*(\.[1-9][0-9]*)*", number):
            raise FormatError(f"{where}: numbers: {version}: not a section number: {number!r}")
    return Section(
        document=document,
        path=_strings(fields["path"], f"{where}: path"),
        source=sources[fields["source"]],
        file=fields["file"],
        normative=fields["normative"],
        numbers=tuple(numbers.items()),
    )


def _clause(
    clause_id: str, value: object, sections: Mapping[str, Section], known_versions: tuple[str, ...], where: str
) -> Clause:
    if not _ID.fullmatch(clause_id):
        raise FormatError(f"{where}: not a clause id", hint="capitals, a hyphen, a number: HC-1, RSS-D2, MS-T6")
    fields = _fields(value, _CLAUSE_FIELDS, {"also": list, "note": str}, where)
    if fields["section"] not in sections:
        hint = did_you_mean(fields["section"], sections)
        raise FormatError(f"{where}: unknown section {fields['section']!r}", hint=hint)
    section = sections[fields["section"]]
    if fields["strength"] not in STRENGTHS:
        raise FormatError(f"{where}: unknown strength {fields['strength']!r}", hint=f"known: {', '.join(STRENGTHS)}")
    also = _strings(fields["also"], f"{where}: also") if "also" in fields else ()
    for word in also:
        if word not in KEYWORDS or word == fields["strength"] or fields["strength"] not in KEYWORDS:
            raise FormatError(f"{where}: also: {word!r} cannot stand beside strength {fields['strength']!r}")
    if fields["binds"] not in PARTIES:
        raise FormatError(f"{where}: binds: {fields['binds']!r} is none of {', '.join(PARTIES)}")
    says = _prose(fields["says"], f"{where}: says")
    return Clause(
        id=clause_id,
        document=section.document,
        place=section,
        strength=fields["strength"],
        also=also,
        binds=fields["binds"],
        versions=_versions(fields["versions"], known_versions, f"{where}: versions"),
        lines=_lines(fields["lines"], f"{where}: lines"),
        says=says,
        note=_prose(fields["note"], f"{where}: note") if "note" in fields else "",
    )


def _fields(value: object, required: Mapping[str, type], optional: Mapping[str, type], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"{where}: expected a table, got {type(value).__name__}")
    known = {**required, **optional}
    for name, content in value.items():
        if name not in known:
            raise FormatError(f"{where}: unknown field {name!r}", hint=f"known: {', '.join(known)}")
        if not isinstance(content, known[name]) or (content == "" and known[name] is str):
            raise FormatError(f"{where}: {name}: expected a {known[name].__name__} that is not empty, got {content!r}")
    for name in required:
        if name not in value:
            raise FormatError(f"{where}: {name} is missing")
    return value


def _strings(value: list[object], where: str) -> tuple[str, ...]:
    if not value or not all(isinstance(item, str) and item for item in value):
        raise FormatError(f"{where}: expected a list of strings, at least one")
    return tuple(str(item) for item in value)


def _versions(
    value: list[object], known: tuple[str, ...], where: str, *, empty: bool = False
) -> tuple[str, ...]:
    if empty and not value:
        return ()
    versions = _strings(value, where)
    for version in versions:
        if version not in known:
            raise FormatError(f"{where}: no version {version!r} of this document", hint=f"known: {', '.join(known)}")
    if list(versions) != [version for version in known if version in versions]:
        raise FormatError(f"{where}: versions must be in order and each named once")
    return versions


def _lines(text: str, where: str) -> tuple[tuple[int, int], ...]:
    if not _LINES.fullmatch(text):
        raise FormatError(f"{where}: expected line numbers like '12-14,20', got {text!r}")
    spans = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        spans.append((int(first), int(last or first)))
    if spans != sorted(spans) or any(first > last for first, last in spans):
        raise FormatError(f"{where}: line numbers must rise, got {text!r}")
    return tuple(spans)


def _prose(text: str, where: str) -> str:
    prose = " ".join(text.split())
    if not prose or prose[-1] not in ".?":
        raise FormatError(f"{where}: expected whole sentences, got {prose[-40:]!r}")
    return prose
