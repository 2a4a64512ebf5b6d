"""Ledgers from elsewhere: merged or refused in one line; what is taken can be told and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.fuzz.case import Case
    from vnethash.fuzz.export import comment, report, script
    from vnethash.fuzz.found import Found
    from vnethash.fuzz.ledger import Circumstances, Ledger, salvaged
    from vnethash.fuzz.seeds import traffic
    from vnethash.fuzz.signature import Signature
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.errors import VnethashError
    from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = harness.folder("ledger-fuzzer-")
OTHER, MINE = FOLDER / "other", FOLDER / "mine"


def one(data: bytes) -> None:
    """Take it into a ledger of ours, as a whole or as far as it can be read."""
    for path in FOLDER.iterdir():
        path.unlink()
    OTHER.write_bytes(data)
    mine = Ledger(MINE)
    try:
        try:
            mine.merge(Ledger(OTHER, create=False, write=False))
        except VnethashError as error:
            harness.one_line(error.line())
            try:
                mine.take(salvaged(OTHER)[:10])
            except VnethashError as again:
                harness.one_line(again.line())
        for entry in mine.entries()[:5]:
            assert report(entry)
            assert comment(entry)
            compile(script(entry), "reproduce.py", "exec")
    finally:
        mine.close()


def seeds() -> Iterator[bytes]:
    """Yield an empty ledger, and one with two causes."""
    for count in (0, 2):
        path = FOLDER / f"seed{count}"
        ledger = Ledger(path)
        for number in range(count):
            found = Found(
                "target", "unexplained", "title", ("V4-1",), Signature("value", f"V4-{number}", (("ipv4.tos", 3),)),
                Case(Configuration(), (traffic()[number],)), Observation(2, 5, 9), "other bytes hashed",
            )
            ledger.record(found, "2026-01-01T00:00:00+00:00", Circumstances("1", "vnethash", "builtin", 1), 1)
        ledger.run("r", "2026-01-01", "2026-01-01", "builtin", 1, ["target"], 5, 1.0)
        ledger.close()
        yield path.read_bytes()


def words() -> tuple[bytes, ...]:
    """Return what rows are made of."""
    return (b"open", b"question", b"fixed", b"null", b"[]", b'{"', b"V4-1", b"unexplained", b"..", b"\xff\xff")


if __name__ == "__main__":
    harness.fuzz(one)
