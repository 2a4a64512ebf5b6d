"""What is said of all frames of captures: sums by report, reason and queue."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vnethash.models.events import RULES
from vnethash.spec.configuration import report_name
from vnethash.spec.constants import Report

if TYPE_CHECKING:
    from vnethash.models.capture_ahead import Engine
    from vnethash.models.capture_reader import Batch
    from vnethash.spec.configuration import Configuration

_LABELS = 16


@dataclass
class Totals:
    """What is said of all frames so far.

    Attributes:
        reports: frames by report value; those of link types other than Ethernet are in none.
        rules: frames without a hash by the rule that decided.
        queues: frames with a hash by queue.
        cut: frames of which the capture does not have all bytes.
    """

    reports: list[int] = field(default_factory=lambda: [0] * _LABELS)
    rules: list[int] = field(default_factory=lambda: [0] * _LABELS)
    queues: dict[int, int] = field(default_factory=dict)
    cut: int = 0

    def add(self, batch: Batch, engine: Engine) -> None:
        """Add those of one batch."""
        reports, rules, queues = (engine.column("q", size) for size in (_LABELS, _LABELS, engine.queues))
        report, _, queue, rule = batch.answers
        cut = engine.tally(
            len(batch.numbers), batch.captured, batch.wire, report, queue, rule, reports, rules, queues
        )
        for number in range(_LABELS):
            self.reports[number] += int(reports[number])
            self.rules[number] += int(rules[number])
        for number, count in enumerate(queues.tolist()):
            if count:
                self.queues[number] = self.queues.get(number, 0) + count
        self.cut += int(cut)

    @property
    def frames(self) -> int:
        """Return how many Ethernet frames there were."""
        return sum(self.reports)

    @property
    def hashed(self) -> int:
        """Return how many of them have a hash."""
        return self.frames - self.reports[Report.NONE]

    def by_report(self) -> dict[str, int]:
        """Return the frames of each report that occurs, by name."""
        return {report_name(number): count for number, count in enumerate(self.reports) if count}

    def unhashed(self) -> dict[str, int]:
        """Return the frames without a hash, by the reason."""
        reasons: dict[str, int] = {}
        for rule, count in enumerate(self.rules):
            if count:
                step = RULES[rule]
                words = step.words.removesuffix(": no hash")
                # A rule that hashes, of a packet without a hash: there is no key for it, or its value is 0.
                reason = words if step.words != words else "a reading says that key or value give no hash"
                reasons[reason] = reasons.get(reason, 0) + count
        return reasons

    def entropy(self) -> float:
        """Return the entropy of the queue of a hashed frame in bits; 0 where there is no steering."""
        whole = sum(self.queues.values())
        return -sum(count / whole * math.log2(count / whole) for count in self.queues.values()) if whole else 0.0


def most_entropy(configuration: Configuration) -> float:
    """Return the entropy in bits of a hash that uses each entry of the indirection table alike."""
    table = configuration.indirection_table
    shares = [table.count(queue) / len(table) for queue in set(table)]
    return -sum(share * math.log2(share) for share in shares)
