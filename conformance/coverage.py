"""Which bits of a packet a hash covers: those of a witness beside those that the clauses hash.

A witness is no implementation of virtio's hash, so nothing here is a verdict. It says how another hash treats the same
packets, and where it is blind or looks further: the flow label, the SPI, tags, the headers inside a tunnel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from vnethash.conformance import records
from vnethash.conformance.kinds import Field, Kind, kinds
from vnethash.models.allowed import dialect
from vnethash.models.reference import decide
from vnethash.spec.constants import ALL_HASH_TYPES
from vnethash.spec.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType
    from vnethash.conformance.progress import Progress
    from vnethash.targets.base import Witness


def measure(witness: Witness, progress: Callable[[int], None] = lambda _: None) -> records.Coverage:
    """Ask a witness about every kind of packet; raises a TargetError where it cannot be driven."""
    found = []
    for kind in kinds():
        found.append(_compare(kind, witness.covered(kind.frame)))
        progress(1)
    implementation = witness.implementation
    return records.Coverage(
        witness.name,
        {"name": implementation.name, "version": implementation.version, "language": implementation.language,
         "homepage": implementation.homepage},
        witness.machine,
        found,
    )  # fmt: skip


def ask(witnesses: Sequence[Witness], sink: Callable[[records.AnyRecord], None], progress: Progress) -> bool:
    """Record what each witness shows; False if Ctrl-C ended it. Raises a TargetError where one cannot be driven."""
    try:
        for witness in witnesses:
            progress.stage(witness.name, "asking", len(kinds()))
            sink(measure(witness, progress.advance))
    except KeyboardInterrupt:
        return False
    return True


def hashed_by_clauses(frame: bytes) -> set[int]:
    """Return the offsets of the bytes that the literal model hashes with all hash types enabled."""
    selection = decide(frame, len(frame), ALL_HASH_TYPES, 0, dialect("literal"))
    spans = [(selection.source, selection.size), (selection.destination, selection.size)]
    spans.append((selection.ports, 4 if selection.ports else 0))
    return {at for offset, size in spans for at in range(offset, offset + size)}


def _compare(kind: Kind, mask: bytes) -> records.Covered:
    clauses = hashed_by_clauses(kind.frame)
    covered = {name: _under(field, mask) for name, field in kind.fields.items()}
    return records.Covered(
        kind.what,
        kind.frame.hex(),
        mask.hex(),
        {name: field.mask.hex() for name, field in kind.fields.items()},
        {name: bits.hex() for name, bits in covered.items() if any(bits)},
        [
            name for name, field in kind.fields.items()
            if set(range(field.offset, field.offset + len(field.mask))) <= clauses
        ],
    )  # fmt: skip


def _under(field: Field, mask: bytes) -> bytes:
    return bytes(a & b for a, b in zip(mask[field.offset:], field.mask, strict=False))


def words(covered: Mapping[str, str], fields: Mapping[str, str]) -> str:
    """Return fields as a table shows them: "source destination tag 1&efff"; addresses and ports are drawn together."""
    names = [name if covered[name] == fields[name] else f"{name}&{covered[name]}" for name in fields if name in covered]
    return ", ".join(_joined(names)) or "nothing"


def _joined(names: list[str]) -> list[str]:
    """Draw "source" and "destination" together as "addresses", the two ports as "ports"."""
    for inner in ("", "inner "):
        for one, other, both in (
            (f"{inner}source", f"{inner}destination", f"{inner}addresses"),
            (f"{inner}source port", f"{inner}destination port", f"{inner}ports"),
        ):
            if one in names and other in names:
                names[names.index(one)] = both
                names.remove(other)
    return names


def apart(row: records.Covered) -> str:
    """Return what the witness covers beyond the clauses (+), and what it leaves out (-)."""
    more = {name: bits for name, bits in row.covered.items() if name not in row.clauses}
    less = {name: row.fields[name] for name in row.clauses if name not in row.covered}
    part = {
        name: bits for name, bits in row.covered.items() if name in row.clauses and bits != row.fields[name]
    }
    parts = [f"+ {words(more, row.fields)}"] * bool(more) + [f"- {words(less, row.fields)}"] * bool(less)
    parts += [f"only {words(part, row.fields)}"] * bool(part)
    return "; ".join(parts)


def rows(record: records.Coverage) -> list[tuple[str, str, str, str]]:
    """Return for each kind: what it is, what the witness covers, what the clauses hash, how these differ."""
    return [
        (row.kind, words(row.covered, row.fields), words({name: row.fields[name] for name in row.clauses}, row.fields),
         apart(row))
        for row in record.kinds
    ]  # fmt: skip


#: What every drawing of a coverage says above its table.
CAPTION = "no verdict: which fields its hash covers, beside what the clauses hash (all types, literal readings)"


def title(record: records.Coverage) -> str:
    """Return who it is, which one, and when."""
    name = record.implementation.get("name", "")
    return f"{name}: {record.machine}"


def render(record: records.Coverage) -> list[RenderableType]:
    """Return what a terminal shows."""
    line = Text(one_line(record.witness), style="bold")
    line.append(f"  {one_line(title(record))}\n  {CAPTION}", style="not bold dim")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("packet", "it covers", "the clauses hash", "apart"):
        table.add_column(name, overflow="fold")
    for what, covers, clauses, differs in rows(record):
        table.add_row(Text(what), Text(covers), Text(clauses), Text(differs, style="yellow" if differs else ""))
    return [line, table]
