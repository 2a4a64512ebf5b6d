"""What the text allows for a frame, what else is known to be out there, and which readings explain an observation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnethash.models.allowed import dialect, expectation, offered_readings
from vnethash.models.events import RULES
from vnethash.models.matching import matches
from vnethash.models.reference import decide, enabled_tunnels

if TYPE_CHECKING:
    from vnethash.models.allowed import Expectation
    from vnethash.models.symbolic.profile import Constraint
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Observation, Outcome

LITERAL = dialect("literal")


@dataclass(frozen=True)
class Expected:
    """What the text allows for a frame, and what else is known to be out there."""

    full: Expectation
    allowed: Expectation
    literal: Outcome
    clause: str
    _explained: dict[tuple[Observation, frozenset[str]], Constraint | None] = field(default_factory=dict)

    def explained_by(self, observation: Observation, observes: frozenset[str]) -> Constraint | None:
        """Return the readings under which an observation follows: None for all, an empty set for none."""
        # Kept, because one suite is put to many targets, and most of them answer most cases alike.
        key = (observation, observes)
        if key not in self._explained:
            alternatives = self.full.explained_by(lambda outcome: matches(outcome, observation, observes))
            self._explained[key] = None if alternatives == ((),) else frozenset(alternatives)
        return self._explained[key]

    def is_allowed(self, observation: Observation, observes: frozenset[str]) -> bool:
        """Say whether some supported readings explain an observation."""
        return bool(self.allowed.explained_by(lambda outcome: matches(outcome, observation, observes)))


class Expectations:
    """Expectations by frame and configuration, worked out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, Configuration], Expected] = {}

    def of(self, frame: bytes, configuration: Configuration) -> Expected:
        """Return what is expected of a frame under a configuration."""
        key = (frame, configuration)
        if key not in self._known:
            full = expectation(frame, configuration, offered_readings(defects=True))
            literal = full.under(LITERAL._asdict())
            selection = decide(
                frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), LITERAL
            )
            if literal is None:
                raise AssertionError("the literal readings are the first that the tree follows")
            allowed = full.within(offered_readings(defects=False))
            self._known[key] = Expected(full, allowed, literal, RULES[selection.rule].sources[0])
        return self._known[key]
