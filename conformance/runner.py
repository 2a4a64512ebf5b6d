"""Runs a suite on a target and keeps what came out; judges nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vnethash.spec.errors import TargetDied, TargetError, TargetTimeout
from vnethash.targets.base import Errored, Refused, Result, Skipped
from vnethash.targets.fitting import fit, is_legal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.conformance.suite import Case
    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Target

#: Frames in one call of the target; an adapter makes its own batches of them.
BATCH = 1024
#: Configurations in a row that may fail before the target is given up.
_MOST_FAILURES = 3


class Answer(NamedTuple):
    """What came out for one case; `configuration` is the one that the target was given."""

    case: Case
    configuration: Configuration
    result: Result


class Book(Protocol):
    """Where answers are kept as they come, and what it holds of a run that was cut short."""

    def known(self, case: int) -> Result | None:
        """Return the result of a case that was answered before."""

    def keep(self, answers: Sequence[Answer]) -> None:
        """Keep answers that just came."""


class NoBook:
    """Keeps nothing."""

    def known(self, case: int) -> Result | None:
        """Know nothing."""
        return None

    def keep(self, answers: Sequence[Answer]) -> None:
        """Keep nothing."""


@dataclass
class Run:
    """The answers of one target, and why it ended early if it did."""

    answers: list[Answer] = field(default_factory=list)
    ended: str = ""
    interrupted: bool = False
    seconds: float = 0.0


def run_suite(
    target: Target,
    cases: Sequence[Case],
    progress: Callable[[int], None] = lambda _: None,
    book: Book | None = None,
) -> Run:
    """Put every case to the target; `progress` is told how many more are done.

    Each batch of answers goes into `book` when it comes; what the book holds already is not asked again.
    A target that dies is asked on with the next configuration, unless it keeps dying. One that can no longer be driven
    ends the run; Ctrl-C does too. Both keep what was answered.
    """
    run = Run()
    book = book or NoBook()
    started = time.monotonic()

    def take(answers: list[Answer]) -> None:
        run.answers.extend(answers)
        book.keep(answers)
        progress(len(answers))

    try:
        failures = 0
        for configuration, group in _groups(target, cases, run, progress):
            known = [
                Answer(case, configuration, result) for case in group if (result := book.known(case.id)) is not None
            ]
            run.answers.extend(known)
            progress(len(known))
            done = {answer.case.id for answer in known}
            try:
                _run_group(target, configuration, [case for case in group if case.id not in done], take)
                failures = 0
            except (TargetDied, TargetTimeout) as error:
                failures += 1
                if failures == _MOST_FAILURES:
                    raise
                done = {answer.case.id for answer in run.answers}
                left = [case for case in group if case.id not in done]
                take([Answer(case, configuration, Errored(error.message)) for case in left])
    except TargetError as error:
        run.ended = error.line()
    except KeyboardInterrupt:
        run.interrupted = True
    run.seconds = time.monotonic() - started
    return run


def _groups(
    target: Target, cases: Sequence[Case], run: Run, progress: Callable[[int], None]
) -> list[tuple[Configuration, list[Case]]]:
    groups: dict[Configuration, list[Case]] = {}
    fitted: dict[Configuration, Configuration | str] = {}
    for case in cases:
        if case.configuration not in fitted:
            fitted[case.configuration] = fit(case.configuration, target.capabilities)
        wanted = fitted[case.configuration]
        if isinstance(wanted, str):
            run.answers.append(Answer(case, case.configuration, Skipped(wanted)))
            progress(1)
        else:
            groups.setdefault(wanted, []).append(case)
    return list(groups.items())


def _run_group(
    target: Target, configuration: Configuration, cases: list[Case], take: Callable[[list[Answer]], None]
) -> None:
    if not cases:
        return
    try:
        target.configure(configuration)
    except Refused as refused:
        result: Result
        if refused.skipped or not is_legal(configuration):
            result = Skipped(f"configuration refused: {refused.message}")
        else:
            result = Errored(f"legal configuration refused: {refused.message}")
        take([Answer(case, configuration, result) for case in cases])
        return
    for first in range(0, len(cases), BATCH):
        batch = cases[first:first + BATCH]
        results = target.run([case.frame for case in batch])
        take([Answer(case, configuration, result) for case, result in zip(batch, results, strict=True)])
