"""Questions to the solver, with answers that are values: `Sat` with a witness, `Unsat`, or `Unknown`.

A query runs in a child process with a hard limit of time and memory; it is ended by its number, and ends with its
parent. No answer is believed as it stands: every witness is run through the model in CPython under both readings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from vnethash.models.allowed import Asked
from vnethash.models.reference import NEGOTIATED, decide, enabled_tunnels, hash_input, outcome
from vnethash.models.symbolic.late import LATE, late_witness
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import ALL_TUNNEL_TYPES
from vnethash.spec.errors import UsageError, VnethashError
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.spec.questions import Question

#: Frames whose IP header follows the Ethernet header.
PLAIN_LINKS = ("ipv4", "ipv6")
#: All frames: every case of `search.LINKS`.
ALL_LINKS = (*PLAIN_LINKS, "customer-tag", "service-tag", "legacy-tag", "pppoe", "mpls", "802.3", "other")

# The child asks the kernel (prctl 1, PR_SET_PDEATHSIG) to be killed (9) when its parent ends.
_CHILD = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.getppid() == int(sys.argv[1]) or sys.exit();"
    "from vnethash.models.symbolic.search import main; main()"
)


class ReplayError(VnethashError):
    """A witness of the solver does not hold in CPython: a fault of the translation, so exit code 4."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A frame and a configuration under which two readings lead to different outcomes.

    Attributes:
        frame: the bytes.
        configuration: what is enabled; keys and tables matter only to questions of the area "hash".
        first: all readings, with the first of the two.
        second: the same with the other.
    """

    frame: bytes
    configuration: Configuration
    first: Readings
    second: Readings


@dataclass(frozen=True, slots=True)
class Sat:
    """The readings can be told apart.

    Attributes:
        witness: how; replayed through CPython.
        none_below: no shorter witness than this many bytes exists among frames of `links`.
        minimal: the witness is as short as possible among frames of `links`; that loops were unrolled far enough for
            that is proved.
        links: the kinds of frames that were looked at.
        others: further questions that the witness raises under the two readings.
        seconds: wall-clock time.
    """

    witness: Witness
    none_below: int
    minimal: bool
    links: tuple[str, ...]
    others: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Unsat:
    """No frame of `links` from `least` to `most` bytes tells them apart; `exact` if loops were unrolled far enough."""

    least: int
    most: int
    exact: bool
    links: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing was found and nothing excluded; there is no witness of less than `none_below` bytes."""

    reason: str
    none_below: int
    seconds: float


Answer = Sat | Unsat | Unknown


def distinguish(
    identifier: str, first: str, second: str, *, context: Readings | None = None, least: int = 14, most: int = 96,
    links: tuple[str, ...] | None = None, types: int | None = None, tunnels: int | None = None,
    turns: Mapping[str, int] | None = None, seconds: float = 60.0, megabytes: int = 3072,
) -> Answer:
    """Find the shortest frame on which two readings of a question differ, other questions read as in `context`.

    Args:
        identifier: the question, e.g. "atomic-fragment".
        first: name of a reading of it.
        second: name of another.
        context: readings of the other questions; the literal ones if left out.
        least: smallest length of a frame in bytes.
        most: greatest length of a frame in bytes.
        links: kinds of frames; left out, all for questions of the area "link", else those without tags.
        types: enabled hash types; unknown if left out.
        tunnels: as `reference.enabled_tunnels` returns; left out, unknown for tunnel questions, else 0.
        turns: turns of loops, by function; left out, as many as the length asks for.
        seconds: time limit (wall clock); the child is killed when it has passed.
        megabytes: memory limit of the child.

    Raises:
        UsageError: there is no such question or link.
        FormatError: the question has no such reading.
        ReplayError: the solver's witness does not hold in CPython.
        SubsetError: the model's source cannot be translated.
    """
    question = load_questions().get(identifier)
    if question is None:
        raise UsageError(f"no question {identifier!r}", hint="see vnethash spec list")
    if set(links or ()) - set(ALL_LINKS):
        raise UsageError(f"links: only {', '.join(ALL_LINKS)}")
    pair = (question.index(first), question.index(second))
    base = context or Readings()
    one, other = (base._replace(**{question.field: number}) for number in pair)
    started = time.monotonic()
    if question.field in LATE:
        frame, configuration = late_witness(one, other)
        witness = Witness(frame, configuration, one, other)
        return Sat(witness, 0, False, ("ipv4",), (), time.monotonic() - started)
    if links is None:
        links = ALL_LINKS if question.area == "link" else PLAIN_LINKS
    if tunnels is None and question.area != "tunnel":
        tunnels = 0
    task = {
        "field": question.field, "first": pair[0], "second": pair[1], "context": list(base._asdict().items()),
        "links": links, "least": least, "most": most, "types": types, "tunnels": tunnels,
        "turns": list((turns or {}).items()), "seconds": seconds, "megabytes": megabytes,
    }
    lines, reason = _ask(task, seconds)
    spent = time.monotonic() - started
    below = max([least, *(line["below"] for line in lines if "below" in line)])
    exact = all(line.get("exact", True) for line in lines)
    found = [line for line in lines if "found" in line]
    ends = [line for line in lines if "end" in line]
    end = ends[-1] if ends else {"end": "unknown", "reason": reason}
    if end["end"] == "fault":
        raise VnethashError(end["reason"])
    if found:
        last = found[-1]
        raw = Witness(bytes.fromhex(last["found"]), configuration_of(last["types"], last["tunnels"]), one, other)
        witness = plainest(raw, question)
        minimal = end["end"] == "sat" and exact
        return Sat(witness, below, minimal, links, questions_raised(witness, question), time.monotonic() - started)
    if end["end"] == "unsat":
        return Unsat(least, most, exact, links, spent)
    return Unknown(end["reason"], below, spent)


def _ask(task: Mapping[str, Any], seconds: float) -> tuple[list[dict[str, Any]], str]:
    """Run the child; return what it told, and why it ended if it did not come to its end."""
    command = [sys.executable, "-c", _CHILD, str(os.getpid())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            told, errors = child.communicate(json.dumps(task), timeout=seconds)
            reason = f"the solver's process ended with {child.returncode}: {errors.strip().splitlines()[-1:]}"
        except subprocess.TimeoutExpired:
            child.kill()
            told, _ = child.communicate()
            reason = f"no answer within {seconds:g} s"
    lines = told.split("\n")[:-1]  # a line that was being written when the child was killed is none
    return [json.loads(line) for line in lines], reason


def configuration_of(types: int, tunnels: int) -> Configuration:
    """Return the configuration with these hash types, and tunnels as `enabled_tunnels` returns them."""
    features = {"RSS", "HASH_REPORT", *(("HASH_TUNNEL",) if tunnels & NEGOTIATED else ())}
    return Configuration(hash_types=types, tunnel_types=tunnels & ALL_TUNNEL_TYPES, features=frozenset(features))


def differs(witness: Witness) -> bool:
    """Say whether the model in CPython selects differently under the two readings: in report or hash input."""
    return _selected(witness, witness.first) != _selected(witness, witness.second)


def _selected(witness: Witness, readings: Readings) -> tuple[int, bytes]:
    frame, configuration = witness.frame, witness.configuration
    chosen = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
    return chosen.report, hash_input(frame, len(frame), chosen)


def questions_raised(witness: Witness, question: Question) -> tuple[str, ...]:
    """Return the fields of the other questions that the model asks about the witness."""
    raised: set[str] = set()
    for readings in (witness.first, witness.second):
        asked = Asked(readings._asdict(), {})
        outcome(witness.frame, witness.configuration, cast("Readings", asked))
        raised |= set(asked.__dict__["path"])
    return tuple(sorted(raised - {question.field, *LATE}))


def plainest(witness: Witness, question: Question, seconds: float = 2.0) -> Witness:
    """Clear hash types, bytes and bits as long as the witness holds and raises no more questions.

    Raises ReplayError if it does not hold in the first place.
    """
    if not differs(witness):
        raise ReplayError(
            f"{question.id}: the solver's witness {witness.frame.hex()} under hash types "
            f"{witness.configuration.hash_types:#x} does not hold in CPython",
            hint="a fault of models/symbolic: please report it",
        )
    deadline = time.monotonic() + seconds
    best, score = witness, _score(witness, question)
    before = None
    while before != score:
        before = score
        for place in range(-1, len(best.frame)):
            for candidate in _simpler(best, place):
                if time.monotonic() > deadline:
                    return best
                if differs(candidate):
                    new = _score(candidate, question)
                    if new < score:
                        best, score = candidate, new
    return best


def _score(witness: Witness, question: Question) -> tuple[int, int, int]:
    """Return questions raised, bytes that are not 0, bits that are set: less is plainer."""
    configuration = witness.configuration
    bits = sum(octet.bit_count() for octet in witness.frame)
    bits += configuration.hash_types.bit_count() + configuration.tunnel_types.bit_count()
    return (len(questions_raised(witness, question)), sum(map(bool, witness.frame)), bits)


def _simpler(witness: Witness, place: int) -> list[Witness]:
    """Return variants at an offset: a byte or bit cleared, a length field that is right; at -1: a type less."""
    configuration, frame = witness.configuration, witness.frame
    if place < 0:
        fewer = []
        for bit in range(9):
            for kinds in ("hash_types", "tunnel_types"):
                bits = getattr(configuration, kinds)
                if bits >> bit & 1:
                    fewer.append(replace(configuration, **{kinds: bits & ~(1 << bit)}))
        return [replace(witness, configuration=item) for item in fewer]
    octet = frame[place]
    cleared = [0, *(octet & ~(1 << bit) for bit in range(8))]
    changes = [bytes([value]) for value in dict.fromkeys(cleared) if value != octet]
    if place % 2 == 0:
        # Total Length of IPv4, Length of UDP and Payload Length of IPv6, as they would be if they stood here.
        for counted in (2, 4, -36):
            size = len(frame) - place + counted
            if size >= 0 and place + 2 <= len(frame):
                changes.append(size.to_bytes(2, "big"))
    return [replace(witness, frame=frame[:place] + change + frame[place + len(change):]) for change in changes]
