"""The implementations of `tests/quality/implementations` as targets in this process, without a protocol between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.campaign import Campaign, Limits
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.subject import Subject
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Implementation, Refused, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plain import Plain
    from vnethash.fuzz.ledger import Ledger
    from vnethash.spec.configuration import Configuration


class InProcess:
    """A device as a target."""

    def __init__(self, name: str, device: Plain) -> None:
        self.name = name
        self.device = device
        self.implementation = Implementation(name, "1")
        self.capabilities = Capabilities(
            frozenset({"queue", "report", "value"}), frozenset({"RSS", "HASH_REPORT"}), max_key_size=255,
            max_indirection_table_length=32768, queues=32768,
        )
        self.notes: tuple[str, ...] = ()
        self._steers = False

    def configure(self, configuration: Configuration) -> None:
        try:
            self.device.configure(configuration.to_json())
        except ValueError as error:
            raise Refused(str(error)) from None
        self._steers = "RSS" in configuration.features

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        results: list[Result] = []
        for frame in frames:
            report, value, queue = self.device.judge(frame)
            results.append(Observation(report, value, queue if self._steers else None))
        return results

    def close(self) -> None:
        pass


def campaign_of(
    device: Plain, executions: int, *, seed: int = 0, name: str = "device", ledger: Ledger | None = None,
    engine: str = "builtin", corpus: Corpus | None = None,
) -> Campaign:
    """Run a campaign of so many executions on a device, without seeds of the suite."""
    subject = Subject(name, lambda _: InProcess(name, device))
    campaign = Campaign(
        [subject], Corpus() if corpus is None else corpus, ledger, engine=engine, seed=seed,
        limits=Limits(executions=executions),
        now=lambda: "2026-01-01T00:00:00+00:00",
    )
    campaign.run(load_engine(engine))
    return campaign
