"""Names for what a target does other than the literal text: a reading, a mix of them, a known slip, or what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vnethash.models.diagnosis import diagnose
from vnethash.models.events import RULES
from vnethash.models.matching import matches
from vnethash.models.reference import conclude, decide, enabled_tunnels, hash_input, outcome
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.configuration import report_name
from vnethash.spec.questions import all_by_field, all_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from vnethash.models.diagnosis import Slip
    from vnethash.models.symbolic.profile import Constraint, Profile
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Observation, Outcome
    from vnethash.spec.questions import Question

#: Characters of a slug at most; a table has that much room.
_LONGEST = 36


class Cause(NamedTuple):
    """What is behind an answer; `slug` is short and stable, `clauses` are those that it is against.

    `question` and `reading` name it where it is a reading that the packet model does not know.
    """

    slug: str
    title: str
    clauses: tuple[str, ...]
    question: str = ""
    reading: str = ""


def alternatives(question: Question, number: int) -> tuple[int, ...]:
    """Return the readings that a reading is told apart from: all supported ones, or the literal one."""
    if question.readings[number].standing == "defect":
        return question.allowed
    return (0,)


def shows_reading(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    observes: frozenset[str],
    profile: Profile,
    question: Question,
) -> bool:
    """Say whether an observation follows under the profile and under no alternative to its reading of the question."""
    readings = profile.as_readings()
    if not matches(outcome(frame, configuration, readings), observation, observes):
        return False
    return not any(
        matches(
            outcome(frame, configuration, readings._replace(**{question.field: number})), observation, observes
        )
        for number in alternatives(question, profile.readings[question.field])
    )


def company(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    observes: frozenset[str],
    profile: Profile,
    question: Question,
) -> int:
    """Return how many other readings of the profile an observation needs beside that of the question.

    0 means that the literal readings and this one explain it: the frame shows this cause and nothing else.
    """
    literal = Readings()
    asked = {question.field: profile.readings[question.field]}
    if matches(outcome(frame, configuration, literal._replace(**asked)), observation, observes):
        return 0
    # The profile of a device holds readings of questions about the device, too; a frame asks none of those.
    needed = {name: number for name, number in profile.readings.items() if number != 0 and name in Readings._fields}
    for name in sorted(needed):
        if name != question.field:
            fewer = {other: number for other, number in needed.items() if other != name}
            if matches(outcome(frame, configuration, literal._replace(**fewer)), observation, observes):
                needed = fewer
    return len(needed) - 1


def mixed_cause(constraint: Constraint, profile: Profile, clause: str) -> Cause:
    """Name the one question whose other reading would explain an answer that the profile does not."""
    questions = all_by_field()
    for name in sorted({name for when in constraint for name, _ in when}):
        question = questions[name]
        for number in range(len(question.readings)):
            if satisfied(constraint, {**profile.readings, name: number}):
                kept = question.readings[profile.readings[name]].words
                title = f"mixes readings: {kept}; elsewhere {question.readings[number].words}"
                return Cause(f"mixed-{question.id}", title, question.clauses)
    return Cause("mixed-readings", "the answers mix readings of several questions", (clause,))


def unexplained_cause(
    frame: bytes,
    configuration: Configuration,
    observation: Observation,
    observes: frozenset[str],
    readings: Readings,
    outcomes: set[Outcome],
) -> tuple[Cause, str]:
    """Name an answer that no reading explains: a known slip, or the rule and the effect; the rule's clause with it."""
    expected, data, clause = under(frame, configuration, readings)
    slip = diagnose(data, expected, observation, configuration, observes)
    if slip is not None:
        return _of_slip(slip), clause
    slug = f"{clause}-{kind_of_effect(expected, observation, observes)}"
    return Cause(slug, effect(expected, observation, observes, outcomes), (clause,)), clause


def known_slip(
    frame: bytes, configuration: Configuration, observation: Observation, observes: frozenset[str], readings: Readings
) -> Cause | None:
    """Return the known slip that an answer other than what readings expect shows; None if it shows none."""
    expected, data, _ = under(frame, configuration, readings)
    if matches(expected, observation, observes):
        return None
    slip = diagnose(data, expected, observation, configuration, observes)
    return None if slip is None else _of_slip(slip)


def _of_slip(slip: Slip) -> Cause:
    if slip.question:
        asked = all_questions()[slip.question]
        words = asked.readings[asked.index(slip.reading)].words
        return Cause(asked.id, words, asked.clauses, asked.id, slip.reading)
    return Cause(shortened("-".join(word.strip(",;:()") for word in slip.words.split())), slip.words, slip.clauses)


def shortened(slug: str) -> str:
    """Return the first words of a name, as many as a table has room for."""
    return slug if len(slug) <= _LONGEST else slug[:_LONGEST + 1].rpartition("-")[0]


def under(frame: bytes, configuration: Configuration, readings: Readings) -> tuple[Outcome, bytes, str]:
    """Return what readings expect of a frame: the outcome, the hash input, and the clause of the rule."""
    selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    data = hash_input(frame, len(frame), selection)
    return conclude(data, selection, configuration, readings), data, RULES[selection.rule].sources[0]


def is_hashed(observation: Observation, observes: frozenset[str]) -> bool | None:
    """Say whether a target shows that it hashed a frame; None if it shows too little."""
    if observation.report is not None:
        return observation.report != 0
    if "value" in observes:
        return observation.value is not None
    return None


def kind_of_effect(expected: Outcome, observation: Observation, observes: frozenset[str]) -> str:
    """Return one word for how an observation differs from an outcome."""
    hashed = is_hashed(observation, observes)
    if hashed is False and expected.report != 0:
        return "unhashed"
    if hashed is True and expected.report == 0:
        return "hashed"
    if observation.report is not None and observation.report != expected.report:
        return "report"
    if "value" in observes and expected.report != 0 and observation.value != expected.value:
        return "value"
    return "queue"


def effect(
    expected: Outcome, observation: Observation, observes: frozenset[str], outcomes: set[Outcome] | None = None
) -> str:
    """Say in words how an observation differs from an outcome; `outcomes` help to recognise a bare value."""
    kind = kind_of_effect(expected, observation, observes)
    wanted = report_name(expected.report)
    if kind == "unhashed":
        return f"not hashed where {wanted} is expected"
    shown = observation.report
    if shown is None and observation.value is not None:
        known = sorted({other.report for other in outcomes or () if other.report and other.value == observation.value})
        shown = known[0] if known else None
    seen = report_name(shown) if shown is not None else "something else"
    if kind == "hashed":
        return f"hashed as {seen} where no hash is expected"
    if kind == "report":
        return f"hashed as {seen} where {wanted} is expected"
    if kind == "value":
        if shown is not None and shown != expected.report:
            return f"hashed as {seen} where {wanted} is expected"
        return f"other bytes hashed than {wanted} has"
    return f"queue {observation.queue} where {expected.queue} is expected"
