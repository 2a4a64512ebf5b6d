"""Puts the bugs of the past to targets, and holds what comes out against the versions that are known to have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from vnethash.conformance.device.script import Kit
from vnethash.conformance.suite.past import Bug, Packets, Steps, known, past
from vnethash.models.allowed import cubes_of
from vnethash.models.device.allowed import expectation, offered_readings
from vnethash.models.device.faults import faults
from vnethash.models.expectations import Expectations
from vnethash.models.matching import matches
from vnethash.spec.errors import TargetDied, TargetError, TargetTimeout
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import all_questions
from vnethash.targets.base import Errored, Refused
from vnethash.targets.driving import put, traits_of
from vnethash.targets.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Answer, Traits
    from vnethash.targets.base import Target
    from vnethash.targets.device import Device

State = Literal["present", "absent", "unknown"]


class Told(NamedTuple):
    """Whether a target has a bug; `known` is what the field knows of its version, None where nothing."""

    bug: Bug
    state: State
    why: str
    known: bool | None

    @property
    def contrary(self) -> bool:
        """Whether it is otherwise than is known."""
        return self.known is not None and self.state != "unknown" and self.known != (self.state == "present")


def ask(target: Target, device: Device | None, bugs: Iterable[Bug] | None = None) -> list[Told]:
    """Put bugs, all if none are given, to a target and to the device behind it, if there is one.

    A target that ends is asked on as far as it can be: an implementation may die of a bug, and that shows it.
    """
    found = []
    for bug in past() if bugs is None else bugs:
        try:
            if isinstance(bug.shows, Packets):
                state, why = _of_packets(bug.shows, target)
            else:
                state, why = _of_steps(bug.shows, device)
        except Refused as refused:
            state, why = "unknown", refused.message
        except TargetError as error:
            state, why = "unknown", error.line()
        found.append(Told(bug, state, why, known(bug, target.implementation.name, target.implementation.version)))
    return found


def _of_packets(shows: Packets, target: Target) -> tuple[State, str]:
    configuration = fit(shows.configuration, target.capabilities)
    if isinstance(configuration, str):
        return "unknown", configuration
    target.configure(configuration)
    result = target.run(shows.frames)[-1]
    if not isinstance(result, Observation):
        return "unknown", result.message if isinstance(result, Errored) else getattr(result, "reason", "no answer")
    observes = target.capabilities.observes
    wrong = shows.wrong
    right = Expectations().of(shows.frames[-1], configuration).allowed.outcomes() - {wrong}
    as_allowed = any(matches(outcome, result, observes) for outcome in right)
    as_wrong = matches(wrong, result, observes)
    if as_allowed == as_wrong:
        return "unknown", "both would look so here" if as_wrong else f"something else came out: {result}"
    return ("present", f"it answers {result}") if as_wrong else ("absent", "it answers as the text has it")


def _of_steps(shows: Steps, device: Device | None) -> tuple[State, str]:
    if device is None:
        return "unknown", "it has no control queue that could be driven"
    traits = traits_of(device)
    kit = Kit(traits)
    steps = shows.make(kit)
    missing = kit.lacking(_features(steps))
    if missing:
        return "unknown", missing
    seen: list[Seen] = []
    try:
        put(device, steps, fresh=True, seen=seen)
    except (TargetDied, TargetTimeout) as error:
        device.restart()
        state: State = "present" if "died" in shows.faults and isinstance(error, TargetDied) else "unknown"
        return state, error.message
    leaves = _allowed(shows, steps, traits)
    told = [faults(steps, answers, seen) for answers in leaves]
    if not all(told):
        return "absent", "it answers as the text has it"
    # The bug's own faults and no others, beside one of the courses that are allowed.
    own = [found for found in told if all(fault.kind in shows.faults for fault in found.values())]
    number, fault = next(iter((own or told)[0].items()))
    return "present" if own else "unknown", f"step {number + 1}: {fault.words}"


def _features(steps: Sequence[object]) -> int:
    features = 0
    for step in steps:
        features |= getattr(step, "features", 0)
    return features


def _allowed(shows: Steps, steps: tuple[object, ...], traits: Traits) -> list[tuple[Answer, ...]]:
    """Return the answers that would show a device free of the bug."""
    offered = dict(offered_readings(defects=False))
    for identifier, names in shows.only.items():
        question = all_questions()[identifier]
        offered[question.field] = tuple(question.index(name) for name in names)
    tree = expectation(steps, traits, offered).tree  # type: ignore[arg-type]
    return [cast("tuple[Answer, ...]", leaf) for leaf, _ in cubes_of(tree)]


def ask_all(
    names: Sequence[str], opener: Callable[[str], Target], sink: Callable[[str, list[Told], str], None]
) -> None:
    """Open each target and put all bugs to it; `sink` gets its name, what was told, and why nothing if nothing was."""
    for name in names:
        try:
            target = opener(name)
        except TargetError as error:
            sink(name, [], error.line())
            continue
        try:
            device = getattr(target, "device", None)
            version = " ".join(filter(None, (target.implementation.name, target.implementation.version)))
            sink(name, ask(target, device), version)
        finally:
            target.close()
