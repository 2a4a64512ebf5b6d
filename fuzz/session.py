"""A campaign from the command line: opened, watched, repeated in several processes, concluded."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from vnethash.fuzz.campaign import Campaign, Limits, open_subjects
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.live import JsonLines, Lines
from vnethash.fuzz.subject import Subject
from vnethash.spec.errors import EXIT_DEVIATIONS, EXIT_OK, EXIT_TARGET, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vnethash.fuzz.campaign import Totals
    from vnethash.fuzz.case import Case
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
    if plan.seed is None:
        plan = replace(plan, seed=secrets.randbelow(1 << 31))
    if plan.jobs > 1:
        code = _several(plan, opener, seeds, as_json=as_json)
    else:
        code = _one(plan, opener, seeds, as_json=as_json)
    if plan.report is not None:
        from vnethash.fuzz.page import write_page  # noqa: PLC0415 - jinja2

        ledger = Ledger(plan.ledger)
        write_page(ledger, plan.report)
        ledger.close()
    return code


def _one(plan: Plan, opener: Callable[[str], Target], seeds: Sequence[Case], *, as_json: bool) -> int:
    ledger = Ledger(plan.ledger)
    watcher = JsonLines() if as_json else Lines(plan.ledger)
    assert plan.seed is not None
    try:
        subjects = open_subjects(plan.targets, lambda name: Subject(name, opener), watcher.note)
        campaign = Campaign(
            subjects, Corpus(plan.corpus), ledger, engine=plan.engine, seed=plan.seed,
            limits=Limits(plan.seconds, plan.executions), watcher=watcher, tool=f"vnethash {_version()}", now=now,
        )
        watcher.begin(campaign)
        try:
            totals = campaign.run(load_engine(plan.engine), seeds)
        finally:
            for subject in subjects:
                subject.close()
        if plan.minimise and not totals.interrupted and campaign.subjects:
            watcher.note(f"corpus: {campaign.corpus.minimise()} files removed")
        watcher.end(campaign)
        return _code(campaign, ledger, totals)
    finally:
        ledger.close()


def _code(campaign: Campaign, ledger: Ledger, totals: Totals) -> int:
    if not campaign.subjects and not totals.interrupted:
        return EXIT_TARGET
    names = set(campaign.examiners)
    open_ones = [
        entry for entry in ledger.entries()
        if entry.status == "open" and entry.kind in ACCUSING and entry.target in names
    ]
    return EXIT_DEVIATIONS if open_ones else EXIT_OK


def _several(plan: Plan, opener: Callable[[str], Target], seeds: Sequence[Case], *, as_json: bool) -> int:
    """Run one campaign a process, each with a seed of its own; they share the ledger and the corpus folder."""
    context = multiprocessing.get_context("fork")
    assert plan.seed is not None
    workers = []
    for number in range(plan.jobs):
        share = replace(plan, jobs=1, seed=plan.seed + number, report=None)
        workers.append(context.Process(target=_worker, args=(share, opener, seeds, as_json, os.getpid())))
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.join()
    codes = [worker.exitcode or 0 for worker in workers]
    return max(codes) if all(code >= 0 for code in codes) else VnethashError.exit_code


def _worker(plan: Plan, opener: Callable[[str], Target], seeds: Sequence[Case], as_json: bool, parent: int) -> None:
    import ctypes  # noqa: PLC0415

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        return
    try:
        code = _one(plan, opener, seeds, as_json=as_json)
    except VnethashError as error:
        sys.stderr.write(f"vnethash: {error.line()}\n")
        code = error.exit_code
    sys.stdout.flush()
    sys.exit(code)


def _version() -> str:
    try:
        return version("vnethash")
    except PackageNotFoundError as error:
        raise VnethashError("vnethash is not installed", hint="run `make setup`") from error
