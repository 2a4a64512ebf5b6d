"""The report of campaigns as one self-contained page: causes, and the curves of coverage and of discovery."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, StrictUndefined
from vnethash.fuzz.export import allowed_words, configuration_words
from vnethash.fuzz.live import observed_words
from vnethash.models.summarize import summarize
from vnethash.spec.errors import UsageError
from vnethash.spec.text import one_line, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vnethash.fuzz.ledger import Entry, Ledger

_WIDTH, _HEIGHT = 640, 180


class Curve(NamedTuple):
    """One curve as the points of an SVG polyline, with its highest value and the seconds it spans."""

    title: str
    points: str
    top: int
    seconds: float


def write_page(ledger: Ledger, path: Path) -> None:
    """Write the page; raises UsageError where it cannot be written."""
    try:
        path.write_text(render(ledger), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def render(ledger: Ledger) -> str:
    """Return the page; everything that comes from a target or a file goes through autoescape."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(line=one_line, plain=plain, summary=summarize, observed=observed_words,
                               allowed=allowed_words, configuration=configuration_words, steps=_steps)  # fmt: skip
    text = (resources.files("vnethash.fuzz") / "templates" / "campaign.html.j2").read_text(encoding="utf-8")
    points = ledger.curves()
    curves = [
        _curve(title, [(row[0], int(row[column])) for row in points])
        for title, column in (("coverage", 2), ("causes", 4), ("corpus", 3), ("executions", 1))
    ]
    return environment.from_string(text).render(
        entries=ledger.entries(), runs=ledger.runs(), curves=curves, width=_WIDTH, height=_HEIGHT
    ) + "\n"


def _steps(entry: Entry) -> list[tuple[str, list[str]]]:
    """Return the steps of a sequence with what each showed, and what is allowed for it."""
    return [] if entry.shown is None else list(zip(entry.shown.lines(), entry.shown.allowed(), strict=True))


def _curve(title: str, values: Sequence[tuple[float, int]]) -> Curve:
    seconds = max((second for second, _ in values), default=0.0)
    top = max((value for _, value in values), default=0)
    pairs = [
        f"{(second / seconds if seconds else 0) * _WIDTH:.1f},{_HEIGHT - (value / top if top else 0) * _HEIGHT:.1f}"
        for second, value in values
    ]
    return Curve(title, " ".join(pairs), top, seconds)
