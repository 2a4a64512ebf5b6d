"""Wrong devices in memory: each is found and named by its clause; right ones pass, under whatever readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import device_bench
import pytest
from vnethash.conformance.device.findings import ControlProber
from vnethash.models.device import state as s
from vnethash.models.device.state import State, Steering
from vnethash.spec import constants as c
from vnethash.spec.errors import TargetDied
from vnethash.spec.questions import load_device_questions
from vnethash.targets.device import Ack, Limits, Reception
from vnethash.targets.device_model import ModelDevice

if TYPE_CHECKING:
    from collections.abc import Sequence

RSS, HASH, PAIRS = (c.CTRL_MQ, c.CTRL_MQ_RSS_CONFIG), (c.CTRL_MQ, c.CTRL_MQ_HASH_CONFIG), (c.CTRL_MQ, 0)


class KeepsTypes(ModelDevice):
    """A second RSS_CONFIG changes key and table, and not the hash types."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        before = self.state
        ack = super().command(class_, command, data)
        if (class_, command) == RSS and before.configured:
            self.state = self.state._replace(hash_types=before.hash_types)
        return ack


class KeepsKey(ModelDevice):
    def command(self, class_: int, command: int, data: bytes) -> Ack:
        before = self.state
        ack = super().command(class_, command, data)
        if (class_, command) in {RSS, HASH} and before.configured and self.state.configured and before.key:
            self.state = self.state._replace(key=before.key)
        return ack


class KeepsTable(ModelDevice):
    def command(self, class_: int, command: int, data: bytes) -> Ack:
        before = self.state
        ack = super().command(class_, command, data)
        if (class_, command) == RSS and before.steering == Steering.TABLE and before.table:
            self.state = self.state._replace(table=before.table)
        return ack


class IgnoresUnclassified(ModelDevice):
    """Unhashed packets go to receiveq1."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        got = super().arrive(frame, header)
        return got._replace(queue=0) if got and self.state.configured and frame[12:14] == b"\x08\x06" else got


class TableFromOne(ModelDevice):
    """Counts queues from 1."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        got = super().arrive(frame, header)
        if got and self.state.steering == Steering.TABLE:
            return got._replace(queue=(got.queue + 1) % self.pairs)
        return got


class RefusesOneEntry(ModelDevice):
    def command(self, class_: int, command: int, data: bytes) -> Ack:
        if (class_, command) == RSS and data[4:6] == b"\0\0" and len(data) > 40:
            return Ack.ERR
        return super().command(class_, command, data)


class RefusesLargestTable(ModelDevice):
    def command(self, class_: int, command: int, data: bytes) -> Ack:
        if (class_, command) == RSS and data[4:6] == b"\x7f\0" and len(data) > 256:
            return Ack.ERR
        return super().command(class_, command, data)


class SaysOkAndDoesNothing(ModelDevice):
    """The second RSS_CONFIG is taken and forgotten."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        before = self.state
        ack = super().command(class_, command, data)
        if (class_, command) == RSS and before.configured and ack == Ack.OK:
            self.state = before
        return ack


class RefusesWithoutMq(ModelDevice):
    def command(self, class_: int, command: int, data: bytes) -> Ack:
        return Ack.ERR if class_ == c.CTRL_MQ and not self.state.has(s.MQ) else super().command(class_, command, data)


class StrangeAck(ModelDevice):
    """Refuses with an ack that is not defined."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        ack = super().command(class_, command, data)
        return 2 if ack == Ack.ERR else ack  # type: ignore[return-value]


class NeedsReset(ModelDevice):
    """An unknown command breaks it."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        return Ack.NONE if class_ == 200 else super().command(class_, command, data)


class Dies(ModelDevice):
    """Data longer than a page kill it."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        if len(data) > 4096:
            raise TargetDied("segmentation fault")
        return super().command(class_, command, data)


class TooManyPairs(ModelDevice):
    """Automatic steering over all queues, whatever VQ_PAIRS_SET said."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        got = super().arrive(frame, header)
        if got and self.state.steering == Steering.AUTOMATIC:
            return got._replace(queue=frame[35] % self.pairs)
        return got


class OnePairTooMany(ModelDevice):
    """Steers to one queue more than VQ_PAIRS_SET said."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        ack = super().command(class_, command, data)
        if (class_, command) == PAIRS and ack == Ack.OK and self.state.pairs > 1:
            self.state = self.state._replace(pairs=self.pairs + 1)
        return ack


class ShortHeader(ModelDevice):
    """12 bytes of header with HASH_REPORT and RSS."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        got = super().arrive(frame, header)
        if got and self.state.has(s.RSS) and self.state.has(s.HASH_REPORT) and len(frame) > 200:
            return got._replace(header=got.header[:12], payload=got.header[12:] + got.payload)
        return got


class TwoBuffers(ModelDevice):
    """num_buffers counts one too many where buffers can be merged."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        got = super().arrive(frame, header)
        if got and self.state.has(s.MRG_RXBUF):
            return got._replace(header=got.header[:10] + b"\x02\0" + got.header[12:])
        return got


class HashesAtFirst(ModelDevice):
    """All types under an empty key before HASH_CONFIG."""

    def arrive(self, frame: bytes, header: bytes) -> Reception | None:
        if not self.state.configured and self.state.has(s.HASH_REPORT) and not self.state.has(s.RSS):
            before = self.state
            self.state = before._replace(configured=True, hash_types=0x1FF, key=bytes(range(40)))
            got = super().arrive(frame, header)
            self.state = before
            return got
        return super().arrive(frame, header)


class ForgetsTunnels(ModelDevice):
    """RSS_CONFIG disables the inner header hash."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        ack = super().command(class_, command, data)
        if (class_, command) == RSS and ack == Ack.OK:
            self.state = self.state._replace(tunnel_types=0)
        return ack


class KeepsTunnelsOverReset(ModelDevice):
    def _keep(self, before: State) -> None:
        self.state = self.state._replace(tunnel_types=before.tunnel_types)

    def reset(self) -> None:
        before = self.state
        super().reset()
        self._keep(before)

    def negotiate(self, features: int) -> bool:
        before = self.state
        accepted = super().negotiate(features)
        self._keep(before)
        return accepted

    def restart(self) -> None:
        self.state = State()


class TunnelsCannotBeDisabled(ModelDevice):
    def command(self, class_: int, command: int, data: bytes) -> Ack:
        before = self.state
        ack = super().command(class_, command, data)
        if class_ == c.CTRL_HASH_TUNNEL and not any(data):
            self.state = self.state._replace(tunnel_types=before.tunnel_types)
        return ack


class KeepsContextsOverReset(ModelDevice):
    def negotiate(self, features: int) -> bool:
        before = self.state.contexts
        accepted = super().negotiate(features)
        self.state = self.state._replace(contexts=before)
        return accepted

    def reset(self) -> None:
        before = self.state.contexts
        super().reset()
        self.state = self.state._replace(contexts=before)


class ContextIsDefault(ModelDevice):
    """A new RSS context takes the place of the default configuration."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        ack = super().command(class_, command, data)
        if (class_, command) == (c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_ADD) and ack == Ack.OK:
            super().command(*RSS, data[8:])
        return ack


class ReservedContext(ModelDevice):
    """The reserved bytes of a context are looked at."""

    def command(self, class_: int, command: int, data: bytes) -> Ack:
        if class_ == c.RSS_CTX_CTRL and command == c.RSS_CTX_CTRL_ADD and any(data[2:8]):
            return Ack.ERR
        return super().command(class_, command, data)


class SmallKeys(ModelDevice):
    def limits(self) -> Limits:
        return super().limits()._replace(key=32)


class SmallTable(ModelDevice):
    def limits(self) -> Limits:
        return super().limits()._replace(table=64)


class NoPairs(ModelDevice):
    def limits(self) -> Limits:
        return super().limits()._replace(pairs=0x8001)


class RefusesHashReport(ModelDevice):
    """HASH_REPORT alone is a valid subset."""

    def negotiate(self, features: int) -> bool:
        accepted = super().negotiate(features)
        return accepted and not (features & s.HASH_REPORT and not features & s.RSS)


class OldFeatures(ModelDevice):
    """A table outlives the renegotiation without RSS."""

    def negotiate(self, features: int) -> bool:
        before = self.state
        accepted = super().negotiate(features)
        if before.steering == Steering.TABLE and not features & s.RSS:
            self.state = self.state._replace(
                steering=Steering.TABLE, table=before.table, unclassified=before.unclassified,
                max_tx_vq=before.max_tx_vq,
            )
        return accepted

    def restart(self) -> None:
        self.state = State()


class Loses(ModelDevice):
    """Unhashed packets are dropped once RSS is configured."""

    def receive(self, frames: Sequence[bytes], header: bytes = b"") -> list[Reception | None]:
        got = super().receive(frames, header)
        on = self.state.steering == Steering.TABLE
        return [None if on and frame[12:14] == b"\x08\x06" else one for frame, one in zip(frames, got, strict=True)]


#: The wrong device, the clauses of which one at least must be named.
PLANTED: list[tuple[type[ModelDevice], set[str]]] = [
    (KeepsTypes, {"HC-2"}),
    (KeepsKey, {"HC-4"}),
    (KeepsTable, {"RSS-D4"}),
    (IgnoresUnclassified, {"RSS-D3"}),
    (TableFromOne, {"RSS-D4"}),
    (RefusesOneEntry, {"RSS-3"}),
    (RefusesLargestTable, {"RSS-3"}),
    (SaysOkAndDoesNothing, {"HC-4", "HC-2"}),
    (RefusesWithoutMq, {"RSS-3", "HCF-2"}),
    (StrangeAck, {"CVQ-2"}),
    (NeedsReset, {"CVQ-2"}),
    (Dies, {"CVQ-1"}),
    (TooManyPairs, {"ARS-D2"}),
    (OnePairTooMany, {"ARS-D2"}),
    (ShortHeader, {"HDR-1"}),
    (TwoBuffers, {"RX-7"}),
    (HashesAtFirst, {"HCF-5"}),
    (ForgetsTunnels, {"TUN-2"}),
    (KeepsTunnelsOverReset, {"INN-D3"}),
    (TunnelsCannotBeDisabled, {"INN-D3"}),
    (KeepsContextsOverReset, {"CTX-D2"}),
    (ContextIsDefault, {"CTX-2"}),
    (ReservedContext, {"CTX-10"}),
    (SmallKeys, {"CFG-10"}),
    (SmallTable, {"CFG-11"}),
    (NoPairs, {"CFG-9"}),
    (RefusesHashReport, {"GEN-9"}),
    (OldFeatures, {"ARS-D1"}),
    (Loses, {"RSS-D3"}),
]


@pytest.mark.parametrize(("kind", "clauses"), PLANTED, ids=[kind.__name__ for kind, _ in PLANTED])
def test_a_wrong_device_is_found_and_named_by_its_clause(kind: type[ModelDevice], clauses: set[str]) -> None:
    found = device_bench.check(device_bench.device(kind=kind))
    assert found.conclusion == "deviates", found.causes()
    accused = [group for group in found.groups if group.cause != "reading"]
    assert accused
    assert clauses & found.clauses(), found.causes()
    assert all(group.clauses for group in accused)


@pytest.mark.parametrize("kind", [KeepsTable, KeepsTunnelsOverReset, StrangeAck, ContextIsDefault, ShortHeader])
def test_the_witness_of_a_wrong_device_is_short_and_shows_it_alone(kind: type[ModelDevice]) -> None:
    subject = device_bench.device(kind=kind)
    found = device_bench.check(subject)
    prober = ControlProber(subject, found.weigher, found.profile, reduces=True)
    group = next(group for group in found.groups if group.cause != "reading")
    shown = prober.shown(group)
    assert shown.alone
    assert len(shown.steps) <= 6
    right = device_bench.device()
    good = ControlProber(right, found.weigher, found.profile, reduces=True).seen(shown.steps, fresh=True)
    assert good is not None
    assert found.weigher.weigh(shown.steps, good).literal
    assert not found.weigher.weigh(shown.steps, shown.seen).allowed


READINGS = [
    (question.field, reading.name)
    for question in load_device_questions().values() for reading in question.readings if reading.standing != "defect"
]


@pytest.mark.parametrize(("field", "name"), READINGS, ids=["=".join(one) for one in READINGS])
def test_a_device_with_any_supported_reading_conforms(field: str, name: str) -> None:
    found = device_bench.check(device_bench.with_readings(**{field: name}), field)
    assert found.conclusion == "conforms", (found.causes(), [e.reason for e in found.judged if e.verdict == "fail"][:3])
    assert not [group for group in found.groups if group.cause != "reading"]
    number = load_device_questions()[field.replace("_", "-")].index(name)
    # What is "not specified" may look like anything else, for instance like the literal reading.
    if name not in {"unspecified", "own", "any-queue"}:
        assert number in found.profile.possible.get(field, {0}), found.profile.possible.get(field)


DEFECTS = [
    (question.field, reading.name)
    for question in load_device_questions().values() for reading in question.readings if reading.standing == "defect"
]


@pytest.mark.parametrize(("field", "name"), DEFECTS, ids=["=".join(one) for one in DEFECTS])
def test_a_reading_that_nothing_supports_is_a_defect_with_its_clause(field: str, name: str) -> None:
    question = load_device_questions()[field.replace("_", "-")]
    found = device_bench.check(device_bench.with_readings(**{field: name}), field)
    assert found.conclusion == "deviates"
    assert found.causes() == {question.id: "defect"}
    assert set(question.clauses) <= found.clauses()


def test_a_device_with_many_other_readings_conforms_with_a_finding_for_each_that_shows() -> None:
    chosen = {
        "refused_rss_config": "lost", "refused_hash_config": "lost", "refused_pairs": "lost",
        "unknown_mq_command": "lost", "short_key_rest": "previous", "hash_config_with_rss": "automatic",
        "pairs_after_rss": "stopped", "pairs_after_hash_config": "stopped", "table_entry": "modulo",
        "unsupported_types": "ignored", "unsupported_types_report": "ignored", "empty_key_command": "refused",
        "empty_configuration": "switched-off", "max_tx_vq_range": "refused",
    }
    found = device_bench.check(device_bench.with_readings(**chosen))
    assert found.conclusion == "conforms"
    assert found.causes() == {name.replace("_", "-"): "reading" for name in chosen}


def test_a_device_that_changes_its_mind_is_inconsistent_and_nothing_worse() -> None:
    class TwoMinds(ModelDevice):
        """Ignores bytes behind RSS_CONFIG when there is one, and refuses when there are 40."""

        def command(self, class_: int, command: int, data: bytes) -> Ack:
            readings = self.readings
            if (class_, command) == RSS:
                behind = len(data) - (8 + 2 * (1 + int.from_bytes(data[4:6], "little")) + 3 + 40)
                self.readings = readings._replace(trailing_bytes=int(behind == 40))
            ack = super().command(class_, command, data)
            self.readings = readings
            return ack

    found = device_bench.check(device_bench.device(kind=TwoMinds))
    assert found.conclusion == "inconsistent"
    assert set(found.causes().values()) == {"inconsistent"}


def test_a_broken_plain_case_is_told_once_and_not_for_every_script() -> None:
    class WrongHash(ModelDevice):
        def arrive(self, frame: bytes, header: bytes) -> Reception | None:
            got = super().arrive(frame, header)
            if got and len(got.header) >= 20 and got.header[16]:
                return got._replace(header=got.header[:12] + b"\x11\x22\x33\x44" + got.header[16:])
            return got

    found = device_bench.check(device_bench.device(kind=WrongHash))
    assert found.conclusion == "deviates"
    assert found.verdict("rss-plain") == found.verdict("hash-plain") == "fail"
    assert found.verdict("rss-key-16") == "skipped"
    assert len([group for group in found.groups if group.cause != "reading"]) <= 3
