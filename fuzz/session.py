"""A campaign from the command line: opened, watched, repeated in several processes, concluded."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from vnethash.fuzz.campaign import Campaign
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.jobs import run_jobs
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.live import JsonLines, Lines, state
from vnethash.fuzz.run import Limits, open_subjects
from vnethash.fuzz.subject import Subject
from vnethash.spec.errors import EXIT_DEVIATIONS, EXIT_OK, EXIT_TARGET, VnethashError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vnethash.fuzz.case import Case
    from vnethash.fuzz.corpus import AnyCorpus
    from vnethash.fuzz.jobs import Relay
    from vnethash.fuzz.live import Show
    from vnethash.fuzz.run import Run, Totals

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
    control: bool = False

    @property
    def cases(self) -> Path:
        """The folder of the corpus; sequences lie beside frames."""
        return self.corpus / "control" if self.control else self.corpus


def now() -> str:
    """Return the time, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_session(
    plan: Plan, opener: Callable[[str], Any], seeds: Sequence[Case] = (), *, as_json: bool = False
) -> int:
    """Run the campaign and return the exit code; raises what opening the targets, the ledger or the corpus raises.

    `opener` opens targets, or devices where sequences are put.
    """
    load_engine(plan.engine, control=plan.control)
    Corpus(plan.cases)
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

    def progress(self, campaign: Run[Any, Any, Any]) -> None:
        """Show how it stands."""
        self.show(state(campaign))


class _Sort(NamedTuple):
    """What a campaign is made of, for frames or for sequences."""

    corpus: type[AnyCorpus[Any]]
    subject: Callable[[str, Callable[[str], Any]], Any]
    campaign: type[Run[Any, Any, Any]]


def _sort(plan: Plan) -> _Sort:
    if not plan.control:
        return _Sort(Corpus, Subject, Campaign)
    from vnethash.fuzz.device.campaign import ControlCampaign  # noqa: PLC0415 - only where it is asked for
    from vnethash.fuzz.device.corpus import ControlCorpus  # noqa: PLC0415
    from vnethash.fuzz.device.subject import DeviceSubject  # noqa: PLC0415

    return _Sort(ControlCorpus, DeviceSubject, ControlCampaign)


def _one(plan: Plan, opener: Callable[[str], Any], seeds: Sequence[Case], watcher: _Watching | Relay) -> int:
    assert plan.seed is not None
    sort = _sort(plan)
    ledger = Ledger(plan.ledger)
    subjects: list[Any] = []
    try:
        corpus = sort.corpus(plan.cases)
        subjects += open_subjects(plan.targets, lambda name: sort.subject(name, opener), watcher.note)
        campaign = sort.campaign(
            subjects, corpus, ledger, engine=plan.engine, seed=plan.seed,
            limits=Limits(plan.seconds, plan.executions), watcher=watcher, tool=f"vnethash {_version()}", now=now,
        )
        watcher.begin(state(campaign), 1)
        witnesses = _witnesses(ledger, plan)
        totals = campaign.run(load_engine(plan.engine, control=plan.control), [*witnesses, *seeds])
        for found in campaign.unwritten():
            watcher.unwritten(found)
        watcher.end(state(campaign))
        return _code(campaign, ledger, totals)
    finally:
        for subject in subjects:
            subject.close()
        ledger.close()


def _witnesses(ledger: Ledger, plan: Plan) -> list[Any]:
    """Return the witnesses of what was found before: the first that is put to the targets shows what has changed."""
    entries = [entry for entry in ledger.entries() if entry.target in plan.targets]
    if not plan.control:
        return [entry.witness for entry in entries if entry.shown is None]
    from vnethash.fuzz.device.case import ControlCase  # noqa: PLC0415

    return [ControlCase(entry.shown.steps) for entry in entries if entry.shown is not None]


def _minimise(plan: Plan, opener: Callable[[str], Any], shown: Show) -> None:
    """Remove the corpus files that reach nothing which shorter ones, or plain traffic, do not reach."""
    sort = _sort(plan)
    corpus = sort.corpus(plan.cases)
    subjects = open_subjects(plan.targets, lambda name: sort.subject(name, opener), shown.note)
    try:
        replayed = sort.campaign(subjects, sort.corpus(), None, limits=Limits())
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


def _code(campaign: Run[Any, Any, Any], ledger: Ledger, totals: Totals) -> int:
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
