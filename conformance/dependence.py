"""Which failed answers depend on the frames before them: asked again in other company, they come out otherwise.

Such answers say nothing about readings, and are one cause and not as many as there are frames that show it. The witness
is the frame with the fewest and plainest frames before it that were found to give the answer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from vnethash.models.before import LOOK_BACK, PREVIOUS, TITLE, HeaderMemory, fewest, is_cut, is_previous, plain_company
from vnethash.models.causes import Cause, known_slip
from vnethash.models.matching import matches
from vnethash.models.reduce import reduce
from vnethash.spec.craft import ethernet, ipv4, ipv6, udp
from vnethash.spec.outcome import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vnethash.conformance.judge import Judged, Judgement
    from vnethash.conformance.runner import Answer
    from vnethash.conformance.witness import Prober
    from vnethash.models.expectations import Expectations
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.readings import Readings
    from vnethash.targets.base import Result

    #: Puts frames under a configuration; None if they cannot be put.
    Ask = Callable[[Sequence[bytes], Configuration], list[Result] | None]

_WASH, _OTHER_WASH = plain_company(1), plain_company(2)
#: Frames that are tried in front of a witness before those of the run.
_PLAIN = (ethernet(ipv4(udp())), ethernet(ipv6(udp())))


def dependent(prober: Prober, judgement: Judgement) -> dict[int, Cause]:
    """Return the cases, by number, whose failing answers depend on what came before them, each with its cause.

    Each failed frame is asked again behind plain frames. Only one that is answered otherwise there than in the run, and
    alike when it is asked twice more, depends on what came before; all else is left to chance.
    """
    groups: dict[Configuration, list[Judged]] = {}
    for entry in judgement.judged:
        if entry.verdict == "fail" and entry.observation is not None:
            groups.setdefault(entry.answer.configuration, []).append(entry)
    if not any(_changed(entries, _in_company(prober.ask, *_frames(entries))) for entries in groups.values()):
        return {}
    found: dict[int, Judged] = {}
    for entries in groups.values():
        once, again = (_in_company(prober.ask_each, *_frames(entries)) for _ in range(2))
        twice = [one if one == other else None for one, other in zip(once or (), again or (), strict=False)]
        found |= {entry.answer.case.id: entry for entry in _changed(entries, twice)}
    readings = judgement.profile.as_readings()
    named = _previous(judgement, found, readings) if found else set()
    observes = prober.target.capabilities.observes
    return {
        number: PREVIOUS if number in named
        else Cause("depends-on-frames-before", TITLE, _clauses(entry, observes, readings))
        for number, entry in found.items()
    }


def _clauses(entry: Judged, observes: frozenset[str], readings: Readings) -> tuple[str, ...]:
    """Return what an answer is against: those of the slip that it looks like, or of the rule for the frame."""
    assert entry.observation is not None
    frame, configuration = entry.answer.case.frame, entry.answer.configuration
    slip = known_slip(frame, configuration, entry.observation, observes, readings)
    return slip.clauses if slip else (entry.expected.clause,)


def _frames(entries: Sequence[Judged]) -> tuple[Configuration, list[bytes]]:
    return entries[0].answer.configuration, [entry.answer.case.frame for entry in entries]


def _changed(entries: Sequence[Judged], answers: Sequence[Result | None] | None) -> list[Judged]:
    """Return those of some entries that were now answered, and otherwise than in the run."""
    return [
        entry for entry, answer in zip(entries, answers or (), strict=False)
        if isinstance(answer, Observation) and answer != entry.observation
    ]


def _in_company(
    ask: Ask, configuration: Configuration, frames: Sequence[bytes]
) -> Sequence[Result | None] | None:
    """Return what comes out for each frame when it is put behind plain ones; None if nothing does."""
    results = ask([one for frame in frames for one in (*_WASH, frame)], configuration)
    return None if results is None else results[len(_WASH)::len(_WASH) + 1]


def _previous(judgement: Judgement, found: Iterable[int], readings: Readings) -> set[int]:
    """Return those of some cases whose answers are what headers of the run that were left over would give.

    Where one is, the others whose headers are cut short are too, even if what was left cannot be told from the run: a
    value that is recovered from several runs, or a run that was interrupted.
    """
    wanted = set(found)
    memory = HeaderMemory()
    named, cut = set(), set()
    for entry in judgement.judged:
        if entry.observation is None:
            continue
        frame, configuration = entry.answer.case.frame, entry.answer.configuration
        if is_previous([frame], configuration, entry.observation, readings, memory):
            named.add(entry.answer.case.id)
        if is_cut(frame, readings):
            cut.add(entry.answer.case.id)
    return (named | cut) & wanted if named & wanted else set()


def shown_behind(
    prober: Prober, entry: Judged, cause: Cause, judgement: Judgement, expectations: Expectations
) -> tuple[tuple[bytes, ...], bytes, Configuration, Observation] | None:
    """Return the fewest frames before one, that frame, the configuration and the answer that show a dependence.

    None if it cannot be shown again.
    """
    readings = judgement.profile.as_readings()
    observes = prober.target.capabilities.observes
    definite = entry.definite

    def answer(before: Sequence[bytes], frame: bytes, configuration: Configuration) -> Observation | None:
        """Return the answer that these frames give whatever came before them, and the frame without them does not."""
        runs = ((*_WASH, frame), (*_WASH, *before, frame), (*_OTHER_WASH, *before, frame))
        results = prober.ask_each([one for run in runs for one in run], configuration)
        if results is None:
            return None
        ends = [sum(map(len, runs[:number + 1])) - 1 for number in range(len(runs))]
        alone, there, again = (results[end] for end in ends)
        if not isinstance(alone, Observation) or not isinstance(there, Observation) or there != again or alone == there:
            return None
        expected = expectations.of(frame, configuration)
        if matches(expected.literal, there, observes) or (definite and expected.is_allowed(there, observes)):
            return None
        if cause == PREVIOUS and not is_previous((*before, frame), configuration, there, readings):
            return None
        return there

    frame, configuration = entry.answer.case.frame, entry.answer.configuration
    earlier = _earlier(judgement, entry.answer)
    tried = [*((plain,) for plain in _PLAIN), *(earlier[-back:] for back in LOOK_BACK)]
    before = next((some for some in tried if some and answer(some, frame, configuration) is not None), ())
    if not before:
        return None
    before = fewest(before, lambda some: answer(some, frame, configuration) is not None)
    frame, configuration = reduce(frame, configuration, lambda one, under: answer(before, one, under) is not None)
    for place in range(len(before)):
        ahead, behind = before[:place], before[place + 1:]
        still = partial(_put_between, ahead, behind, lambda some, under: answer(some, frame, under) is not None)
        smaller, configuration = reduce(before[place], configuration, still)
        before = (*ahead, smaller, *behind)
    shown = answer(before, frame, configuration)
    return None if shown is None else (before, frame, configuration, shown)


def _put_between(
    ahead: tuple[bytes, ...],
    behind: tuple[bytes, ...],
    holds: Callable[[tuple[bytes, ...], Configuration], bool],
    one: bytes,
    configuration: Configuration,
) -> bool:
    return holds((*ahead, one, *behind), configuration)


def _earlier(judgement: Judgement, answer: Answer) -> tuple[bytes, ...]:
    """Return the frames that were put before one, under its configuration and those before."""
    frames = []
    for entry in judgement.judged:
        if entry.answer is answer:
            break
        if entry.observation is not None:
            frames.append(entry.answer.case.frame)
    return tuple(frames)
