"""Campaigns of sequences find what is wrong with a device, tell it once, and accuse no device that is right."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import device_bench
import needs
import pytest
from test_device_defects import (
    HashesAtFirst,
    IgnoresUnclassified,
    KeepsTable,
    Loses,
    NeedsReset,
    RefusesHashReport,
    StrangeAck,
    TooManyPairs,
)
from vnethash.fuzz.device import commands as k
from vnethash.fuzz.device.campaign import ControlCampaign
from vnethash.fuzz.device.case import FRAMES, ControlCase
from vnethash.fuzz.device.corpus import ControlCorpus
from vnethash.fuzz.device.replay import replay_steps
from vnethash.fuzz.device.subject import DeviceSubject
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.run import Limits
from vnethash.models.device import state as s
from vnethash.models.device.state import Negotiate, Packet, Reset
from vnethash.spec import constants as c
from vnethash.spec.device_readings import DeviceReadings, HashConfigWithRss, RefusedRssConfig, TableEntry
from vnethash.spec.errors import TargetDied, UsageError
from vnethash.spec.questions import load_device_questions
from vnethash.targets.device import Ack, Reception
from vnethash.targets.device_model import ModelDevice
from vnethash.targets.devices import open_device

if TYPE_CHECKING:
    from pathlib import Path

    from vnethash.fuzz.device.found import ControlFound
    from vnethash.targets.device import Device

RSS = (c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG)


def campaign_of(
    device: Device, steps: int, *, seed: int = 1, name: str = "memory", ledger: Ledger | None = None,
    engine: str = "builtin",
) -> ControlCampaign:
    """Run a campaign of so many steps on a device, with no seeds but a plain configuration."""
    subject = DeviceSubject(name, lambda _: device)
    campaign = ControlCampaign(
        [subject], ControlCorpus(), ledger, engine=engine, seed=seed, limits=Limits(executions=steps),
        now=lambda: "2026-01-01T00:00:00+00:00",
    )
    campaign.run(load_engine(engine, control=True))
    return campaign


def causes(campaign: ControlCampaign) -> list[ControlFound]:
    return [cause for examiner in campaign.examiners.values() for cause in examiner.causes.values()]


def accused(campaign: ControlCampaign) -> list[ControlFound]:
    return [cause for cause in causes(campaign) if cause.kind != "reading"]


def words(found: list[ControlFound]) -> list[tuple[str, str, str]]:
    return [(cause.id, cause.title, cause.signature.words()) for cause in found]


class ReversesShortKeys(ModelDevice):
    """The bytes of a short key of RSS_CONFIG are taken from behind."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        ack = super().command(class_, command, data)
        key = self.state.key
        if ack == Ack.OK and (class_, command) == RSS and 12 <= len(key) < 40:
            self.state = self.state._replace(key=key[::-1])
        return ack


class DiesOfEntry(ModelDevice):
    """A packet whose table entry names no queue kills it."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        if self.state.table and max(self.state.table) >= self.pairs:
            raise TargetDied("it ended by signal 11")
        return super().arrive(frame, header)


class Several(IgnoresUnclassified, HashesAtFirst, TooManyPairs, StrangeAck):
    """Four of them at once."""


class WearsOut(ModelDevice):
    """The third negotiation of a running device is the last that it takes RSS_CONFIG after; nothing forgets that."""

    negotiations = 0

    def negotiate(self, features: int) -> bool:
        self.negotiations += 1
        return super().negotiate(features)

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        if (class_, command) == RSS and self.negotiations > 5:
            return Ack.ERR
        return super().command(class_, command, data)

    def restart(self) -> None:
        self.negotiations = 0
        super().restart()


@pytest.mark.parametrize(
    ("kind", "steps", "clauses", "wrong"),
    [
        (ReversesShortKeys, 3000, {"HC-4"}, "value"), (IgnoresUnclassified, 600, {"RSS-D3"}, "queue"),
        (KeepsTable, 2500, {"RSS-D4"}, "queue"), (NeedsReset, 2500, {"CVQ-2"}, "no-ack"),
        (RefusesHashReport, 600, {"GEN-9"}, "features-refused"), (Loses, 600, {"RSS-D3"}, "lost"),
        (WearsOut, 600, {"RSS-3"}, "refused"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_planted_defect_is_found_and_is_one_cause(
    kind: type[ModelDevice], steps: int, clauses: set[str], wrong: str
) -> None:
    found = accused(campaign_of(device_bench.device(kind=kind), steps))
    assert [(cause.kind, cause.signature.kind) for cause in found] == [("unexplained", wrong)], words(found)
    assert set(found[0].clauses) <= clauses
    assert found[0].shown
    assert len(found[0].shown.steps) <= (5 if kind is not WearsOut else 8)


def test_several_defects_are_as_many_causes() -> None:
    found = accused(campaign_of(device_bench.device(kind=Several), 3000))
    assert {cause.clauses for cause in found} == {("RSS-D3",), ("HCF-5",), ("ARS-D2",), ("CVQ-2",)}, words(found)
    assert len(found) == 4, words(found)


def test_a_device_that_dies_is_one_cause_with_its_last_steps_and_the_campaign_goes_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    taken = DeviceReadings(table_entry=TableEntry.MODULO)
    campaign = campaign_of(device_bench.device(taken, kind=DiesOfEntry), 2000, ledger=ledger)
    assert campaign.totals.executions >= 2000
    (cause,) = accused(campaign)
    assert cause.kind == "error"
    assert cause.shown
    assert [type(step).__name__ for step in cause.shown.steps] == ["Negotiate", "Command", "Packet"], cause.shown
    entry = ledger.find(cause.id)
    assert entry.shown
    assert replay_steps(entry, entry.shown, lambda _: device_bench.device(taken, kind=DiesOfEntry)).code == 1
    assert replay_steps(entry, entry.shown, lambda _: device_bench.device(taken)).code == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_device_of_any_supported_readings_is_accused_of_nothing(seed: int) -> None:
    chooser = random.Random(seed)
    chosen = DeviceReadings(**{
        one.field: chooser.choice(one.allowed) for one in load_device_questions().values()
    })  # fmt: skip
    campaign = campaign_of(device_bench.device(chosen), 1500, seed=seed)
    assert accused(campaign) == [], words(accused(campaign))
    # A reading that is told is one that the device has, or one that looks the same so far.
    profile = campaign.examiners["memory"].evidence.profile
    assert profile
    for cause in causes(campaign):
        field = cause.question.replace("-", "_")
        assert getattr(chosen, field) in profile.possible[field], cause.id


def test_listed_readings_are_told_once_each_and_a_listed_defect_is_one() -> None:
    subject = device_bench.with_readings(
        refused_rss_config="lost", short_key_rest="previous", reset_hashing="kept", hash_config_with_rss="automatic"
    )
    found = {cause.question: cause for cause in causes(campaign_of(subject, 4000))}
    kinds = {name: cause.kind for name, cause in found.items()}
    assert kinds == {
        "refused-rss-config": "reading", "short-key-rest": "reading", "reset-hashing": "defect",
        "hash-config-with-rss": "reading",
    }
    assert found["refused-rss-config"].reading == "lost"
    assert all(cause.shown and len(cause.shown.steps) <= 5 for cause in found.values())


@pytest.mark.parametrize("reading", ["cleared", "key-bytes", "kept"])
def test_what_outlives_a_reset_is_told_by_the_reading_that_the_device_has(reading: str) -> None:
    device = device_bench.with_readings(short_key_rest="previous", reset_hashing=reading)
    campaign = ControlCampaign([DeviceSubject("memory", lambda _: device)], ControlCorpus(), None, limits=Limits())
    plain, anew, packet = k.plain_rss(device.traits), Negotiate(device.offered), Packet(FRAMES[0])
    whole = k.command(k.RSS_CONFIG, k.join(plain))
    short = [k.command(k.RSS_CONFIG, k.join(plain._replace(key=bytes(size)))) for size in (4, 8, 12)]
    behind = [(anew, whole, one, packet) for one in short]
    over = [(anew, whole, anew, one, packet) for one in short]
    # Before the first command hash types with RSS may be the device's own; without RSS there is no such reading.
    report = Negotiate(device.offered & ~(s.RSS | s.RSS_CONTEXT))
    hashes = k.command(k.HASH_CONFIG, k.join(k.plain_hash(device.traits)))
    for steps in [(anew, whole, anew, packet), (report, hashes, report, packet), *behind, *over]:
        campaign.execute(ControlCase(steps))
    campaign.settle(last=True)
    found = {cause.question: cause for cause in causes(campaign)}
    assert found.keys() == {"short-key-rest"} | ({"reset-hashing"} if reading != "cleared" else set()), found.keys()
    assert found["short-key-rest"].kind == "reading"
    if reading != "cleared":
        cause = found["reset-hashing"]
        # HCF-5 disables hash types at first; no words are about what a key before left.
        assert cause.kind == ("reading" if reading == "key-bytes" else "defect")
        assert cause.reading == reading
        assert cause.clauses == ("HCF-5", "GEN-3")
        assert cause.shown
        assert sum(isinstance(step, Negotiate | Reset) for step in cause.shown.steps) == 2


@pytest.mark.parametrize(("rest", "reading"), [("previous", "key-bytes"), ("previous", "cleared"), ("forgotten", "")])
def test_a_campaign_finds_bytes_of_a_key_that_outlive_a_reset_and_imagines_none(rest: str, reading: str) -> None:
    device = device_bench.with_readings(short_key_rest=rest, reset_hashing=reading or "key-bytes")
    campaign = campaign_of(device, 4000)
    assert accused(campaign) == [], words(accused(campaign))
    found = {cause.question: cause.reading for cause in causes(campaign)}
    # Where nothing of a key before counts behind a short one, nothing shows what a reset left of it.
    assert found == {
        **({"short-key-rest": "previous"} if rest == "previous" else {}),
        **({"reset-hashing": "key-bytes"} if reading == "key-bytes" else {}),
    }


def test_the_same_seed_gives_the_same_campaign() -> None:
    runs = [campaign_of(device_bench.device(kind=KeepsTable), 1500, seed=4) for _ in range(2)]
    assert [case.name for case in runs[0].corpus.cases] == [case.name for case in runs[1].corpus.cases]
    assert [cause.id for cause in causes(runs[0])] == [cause.id for cause in causes(runs[1])]


@pytest.mark.parametrize("engine", ["hypothesis", "atheris"])
def test_the_other_engines_find_what_is_plain(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine)
    ledger = Ledger(tmp_path / "ledger")
    campaign_of(device_bench.device(kind=IgnoresUnclassified), 500, engine=engine, ledger=ledger)
    assert [entry.clauses for entry in ledger.entries() if entry.kind != "reading"] == [("RSS-D3",)]


def qemu(name: str, steps: int, tmp_path: Path, seed: int = 1) -> tuple[ControlCampaign, Ledger]:
    needs.require("cc")
    device = open_device(name)
    assert device
    ledger = Ledger(tmp_path / "ledger")
    try:
        return campaign_of(device, steps, seed=seed, name=name, ledger=ledger), ledger
    finally:
        device.close()


@pytest.mark.needs_qemu
def test_a_campaign_finds_what_qemu_keeps_at_a_reset_and_loses_at_a_refusal(tmp_path: Path) -> None:
    campaign, ledger = qemu("qemu:,sockets", 1200, tmp_path)
    found = {cause.question: cause for cause in causes(campaign)}
    assert found["refused-rss-config"].kind == "reading"
    assert found["refused-rss-config"].reading == "lost"
    version = campaign.subjects[0].target.implementation.version
    if tuple(map(int, version.split(".")[:2])) < (10, 0):
        assert found["reset-hashing"].kind == "defect"
    known = {"reset-hashing", "max-tx-vq", "num-buffers", "backend-header"}
    assert {cause.question for cause in accused(campaign)} <= known, words(accused(campaign))
    entry = ledger.find(found["refused-rss-config"].id)
    assert entry.status == "question"
    assert entry.shown
    assert replay_steps(entry, entry.shown, open_device).code == 1
    assert replay_steps(entry, entry.shown, open_device, "model:literal").code == 0


@pytest.mark.needs_qemus
@pytest.mark.parametrize("version", ["10.0", "11.1"])
def test_qemu_that_forgets_at_a_reset_is_not_accused_of_keeping(version: str, tmp_path: Path) -> None:
    campaign, _ = qemu(f"qemu:{version},sockets", 500, tmp_path, seed=3)
    assert {cause.question for cause in accused(campaign)} <= {"max-tx-vq", "num-buffers"}, words(accused(campaign))
    found = {cause.question: cause for cause in causes(campaign)}
    assert len(found) > 5
    # The bytes of a key do outlive a reset, and show behind a short key.
    assert (found["reset-hashing"].kind, found["reset-hashing"].reading) == ("reading", "key-bytes")


@pytest.mark.needs_qemus
def test_a_qemu_that_crashes_is_found_and_started_anew(tmp_path: Path) -> None:
    campaign, ledger = qemu("qemu:5.2,sockets", 450, tmp_path, seed=3)
    assert campaign.totals.executions >= 450
    crashes = [entry for entry in ledger.entries() if entry.kind == "error"]
    assert crashes
    assert all("SIGSEGV" in entry.title for entry in crashes)
    assert crashes[0].shown
    assert replay_steps(crashes[0], crashes[0].shown, open_device).code == 1


def test_an_interruption_in_the_middle_of_a_sequence_does_no_harm_to_what_is_told_at_the_end(tmp_path: Path) -> None:
    class Interrupted(IgnoresUnclassified):
        """Ctrl-C while it is started anew, when there is something to tell: it is closed then."""

        restarts = 0
        closed = False

        def restart(self) -> None:
            self.restarts += 1
            self.closed = True
            if self.restarts == 10:
                raise KeyboardInterrupt
            super().restart()
            self.closed = False

        def negotiate(self, features: int) -> bool:
            if self.closed:
                raise UsageError("is closed")
            return super().negotiate(features)

    readings = DeviceReadings(refused_rss_config=RefusedRssConfig.LOST, hash_config_with_rss=HashConfigWithRss.IGNORED)
    ledger = Ledger(tmp_path / "ledger")
    campaign = campaign_of(device_bench.device(readings, kind=Interrupted), 2000, ledger=ledger)
    assert campaign.totals.interrupted
    assert campaign.totals.executions < 2000
    assert {entry.id for entry in ledger.entries()} == {cause.id for cause in causes(campaign)}
    assert "hash-config-with-rss" in {cause.question for cause in causes(campaign)}
