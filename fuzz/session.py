"""A campaign from the command line: opened, watched, repeated in several processes, concluded."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from vnethash.fuzz.campaign import Campaign, Limits, open_subjects
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.jobs import run_jobs
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.live import JsonLines, Lines, state
from vnethash.fuzz.subject import Subject
from vnethash.spec.errors import EXIT_DEVIATIONS, EXIT_OK, EXIT_TARGET, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vnethash.fuzz.campaign import Totals
    from vnethash.fuzz.case import Case
    from vnethash.fuzz.jobs import Relay
    from vnethash.fuzz.live import Show
    from vnethash.targets.base import Target

#: Kinds that accuse; the others are questions to the specification.
ACCUSING = frozenset({"unexplained", "defect", "error"})


@dataclass(frozen=True)
class Plan:
    """What was asked for on the command line."""

    targets: tuple[str, ...]
    seconds: float | None
    executions: int | None
    engine: str
    seed: int | None
    jobs: int
    ledger: Path
    corpus: Path
    report: Path | None = None
    minimise: bool = False


def now() -> str:
    """Return the time, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_session(
    plan: Plan, opener: Callable[[str], Target], seeds: Sequence[Case] = (), *, as_json: bool = False
) -> int:
    """Run the campaign and return the exit code; raises what opening the targets, the ledger or the corpus raises."""
    load_engine(plan.engine)
    Corpus(plan.corpus)
    Ledger(plan.ledger).close()
    if plan.seed is None:
        plan = replace(plan, seed=secrets.randbelow(1 << 31))
    assert plan.seed is not None
    shown: Show = JsonLines() if as_json else Lines(plan.ledger)
    if plan.jobs > 1:
        def work(seed: int, relay: Relay) -> int:
            return _one(replace(plan, seed=seed), opener, seeds, relay)

        code = run_jobs(range(plan.seed, plan.seed + plan.jobs), work, shown)
    else:
        code = _one(plan, opener, seeds, _Watching(shown))
    if plan.minimise:
        _minimise(plan, opener, shown)
    if plan.report is not None:
        from vnethash.fuzz.page import write_page  # noqa: PLC0415 - jinja2

        ledger = Ledger(plan.ledger, create=False, write=False)
        write_page(ledger, plan.report)
        ledger.close()
    return code


class _Watching:
    """A campaign of this process, shown."""

    def __init__(self, shown: Show) -> None:
        self.begin, self.cause, self.note, self.end = shown.begin, shown.cause, shown.note, shown.end
        self.show, self.unwritten = shown.show, shown.unwritten

    def progress(self, campaign: Campaign) -> None:
        """Show how it stands."""
        self.show(state(campaign))


def _one(plan: Plan, opener: Callable[[str], Target], seeds: Sequence[Case], watcher: _Watching | Relay) -> int:
    assert plan.seed is not None
    ledger = Ledger(plan.ledger)
    subjects: list[Subject] = []
    try:
        corpus = Corpus(plan.corpus)
        subjects += open_subjects(plan.targets, lambda name: Subject(name, opener), watcher.note)
        campaign = Campaign(
            subjects, corpus, ledger, engine=plan.engine, seed=plan.seed,
            limits=Limits(plan.seconds, plan.executions), watcher=watcher, tool=f"vnethash {_version()}", now=now,
        )
        watcher.begin(state(campaign), 1)
        totals = campaign.run(load_engine(plan.engine), [*_witnesses(ledger, plan.targets), *seeds])
        for found in campaign.unwritten():
            watcher.unwritten(found)
        watcher.end(state(campaign))
        return _code(campaign, ledger, totals)
    finally:
        for subject in subjects:
            subject.close()
        ledger.close()


def _witnesses(ledger: Ledger, targets: Sequence[str]) -> list[Case]:
    """Return the witnesses of what was found before: the first that is put to the targets shows what has changed."""
    return [entry.witness for entry in ledger.entries() if entry.target in targets]


def _minimise(plan: Plan, opener: Callable[[str], Target], shown: Show) -> None:
    """Remove the corpus files that reach nothing which shorter ones, or plain traffic, do not reach."""
    corpus = Corpus(plan.corpus)
    subjects = open_subjects(plan.targets, lambda name: Subject(name, opener), shown.note)
    try:
        replayed = Campaign(subjects, Corpus(), None, limits=Limits())
        cases = list(corpus.saved())
        replayed.sow(cases)
        if len(replayed.subjects) < len(subjects):
            shown.note("corpus: not minimised, because a target failed")
            return
        kept = {case.name for case in replayed.corpus.cases}
        gone = corpus.remove(case for case in cases if case.name not in kept)
        shown.note(f"corpus: {gone} of {len(cases)} files removed")
    finally:
        for subject in subjects:
            subject.close()


def _code(campaign: Campaign, ledger: Ledger, totals: Totals) -> int:
    if not campaign.subjects and not totals.interrupted:
        return EXIT_TARGET
    names = set(campaign.examiners)
    accused = any(found.kind in ACCUSING for found in campaign.unwritten()) or any(
        entry.status == "open" and entry.kind in ACCUSING and entry.target in names for entry in ledger.entries()
    )
    return EXIT_DEVIATIONS if accused else EXIT_OK


def _version() -> str:
    try:
        return version("vnethash")
    except PackageNotFoundError as error:
        raise VnethashError("vnethash is not installed", hint="run `make setup`") from error
