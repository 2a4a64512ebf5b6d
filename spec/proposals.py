"""Words that would settle each question, and which traffic it concerns: `spec/proposals.toml`, one entry a question.

Those of the questions about the device are in `spec/proposals.device.toml`.
The clarification report prints them; nothing computes with them.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vnethash.spec.clauses import load
from vnethash.spec.errors import FormatError
from vnethash.spec.questions import load_device_questions, load_questions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vnethash.spec.questions import Question

#: Classes of traffic, the one that concerns most people first.
TRAFFIC = {
    "common": "ordinary hosts send it every day",
    "occasional": "ordinary in some networks or configurations",
    "rare": "legal, and hardly ever seen",
    "malformed": "breaks an RFC or a rule for the driver",
}

_FILE = "proposals.toml"
_DEVICE_FILE = "proposals.device.toml"
_FIELDS = {"id", "traffic", "affects", "words", "recommend", "why"}
#: Where words stand that do not say it, by the area of the question.
_PLACES = {
    **dict.fromkeys(("link", "ipv4", "transport", "chain", "ex", "home", "hash"), ("device HC-1",)),
    "tunnel": ("device INN-D1",),
}
_PLACE = re.compile(r"(device|driver) ([A-Z0-9]+-[A-Z]?\d+)")
_KEYWORD = re.compile(r"\b(MUST|SHOULD|MAY)\b")


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would settle a question.

    Attributes:
        id: the question.
        traffic: a key of `TRAFFIC`.
        affects: the frames or configurations that are concerned.
        words: normative sentences.
        recommend: the reading that they choose; something supports it.
        why: one sentence.
        places: where the words would stand: "device" or "driver" and a clause that stands in the section.
    """

    id: str
    traffic: str
    affects: str
    words: str
    recommend: str
    why: str
    places: tuple[str, ...]

    @property
    def sections(self) -> tuple[str, ...]:
        """The places in words; a section that the conformance chapter does not list gets a new part that it does."""
        return tuple(_section(place) for place in self.places)


def _section(place: str) -> str:
    whom, clause = place.split()
    section = load()[clause].place
    if section.normative:
        return section.label()
    return f"a new subsection of {whom} requirements in {section.label()}"


@cache
def load_proposals() -> Mapping[str, Proposal]:
    """Read all proposals, by question; raises FormatError where the data is wrong or a question has none."""
    return parse(files("vnethash.spec").joinpath(_FILE).read_text(encoding="utf-8"), where=f"spec/{_FILE}")


@cache
def load_device_proposals() -> Mapping[str, Proposal]:
    """Read the proposals for the questions about the device, as `load_proposals` does."""
    text = files("vnethash.spec").joinpath(_DEVICE_FILE).read_text(encoding="utf-8")
    return parse(text, where=f"spec/{_DEVICE_FILE}", questions=load_device_questions())


def parse(text: str, *, where: str, questions: Mapping[str, Question] | None = None) -> Mapping[str, Proposal]:
    """Read the text of such a file; strict: raises FormatError, saying where, for anything it does not expect.

    `questions` are those that it must have an entry for, by default those about packets.
    """
    questions = load_questions() if questions is None else questions
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{where}: {error}") from None
    if set(table) != {"proposal"}:
        raise FormatError(f"{where}: expected entries [[proposal]] and nothing else")
    proposals: dict[str, Proposal] = {}
    for number, entry in enumerate(table["proposal"]):
        proposal = _proposal(entry, f"{where}: proposal {number + 1}", questions)
        if proposal.id in proposals:
            raise FormatError(f"{where}: {proposal.id} is there twice")
        proposals[proposal.id] = proposal
    for identifier in questions:
        if identifier not in proposals:
            raise FormatError(f"{where}: question {identifier} has no proposal")
    return MappingProxyType(proposals)


def _proposal(entry: dict[str, Any], where: str, questions: Mapping[str, Question]) -> Proposal:
    entry = dict(entry)
    places = entry.pop("places", [])
    if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
        raise FormatError(f"{where}: places must be a list of words")
    if set(entry) != _FIELDS:
        raise FormatError(f"{where}: field {sorted(set(entry) ^ _FIELDS)[0]!r} is unknown or missing")
    for name, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise FormatError(f"{where}: {name} must be words")
    question = questions.get(entry["id"])
    if question is None:
        raise FormatError(f"{where}: there is no question {entry['id']!r}")
    proposal = Proposal(**entry, places=tuple(places) or _PLACES.get(question.area, ()))
    where = f"{where} ({proposal.id})"
    known = load()
    for place in proposal.places:
        found = _PLACE.fullmatch(place)
        if not found or found[2] not in known:
            raise FormatError(f"{where}: place {place!r} is not \"device\" or \"driver\" and a clause")
    if not proposal.places:
        raise FormatError(f"{where}: field 'places' is missing")
    if proposal.traffic not in TRAFFIC:
        raise FormatError(f"{where}: traffic {proposal.traffic!r} is none of {', '.join(TRAFFIC)}")
    if question.readings[question.index(proposal.recommend)].standing == "defect":
        raise FormatError(f"{where}: nothing supports the reading {proposal.recommend!r}")
    if not _KEYWORD.search(proposal.words):
        raise FormatError(f"{where}: the words have no MUST, SHOULD or MAY")
    for name in ("words", "why"):
        if not getattr(proposal, name).endswith("."):
            raise FormatError(f"{where}: {name} must be whole sentences")
    return proposal
