"""Campaigns find what is hidden, tell it apart, and accuse nobody who is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hidden import HIDDEN, several
from in_process import campaign_of
from plain import Plain
from profiles import NdisProfile, OddProfile
from vnethash.fuzz.ledger import Ledger
from vnethash.fuzz.replay import replay_entry
from vnethash.spec.errors import TargetDied

if TYPE_CHECKING:
    from pathlib import Path

#: Nine whose witnesses are close to one another or far; one campaign has to tell them all apart.
TOGETHER = (
    "two-headers", "option-length", "ttl", "traffic-class", "port", "urgent", "flow-label", "hop-limit",
    "identification",
)  # fmt: skip


def test_planted_defects_are_found_at_once_and_each_is_one_cause() -> None:
    campaign = campaign_of(several(*TOGETHER), 30_000, seed=1)
    causes = campaign.causes()
    assert {cause.kind for cause in causes} == {"unexplained"}
    assert len(causes) == len(TOGETHER), [cause.signature.words() for cause in causes]


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("fragment-chain", ("has frag", 1)), ("ah-then-dstopts", ("has ah", 1)), ("option-length", ("dstopts.len", 4)),
        ("transmit-queues", ("config.max_tx_vq", 2)),
    ],
)
def test_a_hidden_defect_alone_is_one_cause_with_its_condition(name: str, feature: tuple[str, int]) -> None:
    (cause,) = campaign_of(several(name), 20_000, seed=1).causes()
    assert feature in cause.signature.features


def test_state_left_over_from_the_packet_before_is_found_and_shown_by_two_frames(tmp_path: Path) -> None:
    from in_process import InProcess

    ledger = Ledger(tmp_path / "ledger")
    (cause,) = campaign_of(several("state"), 6_000, seed=1, ledger=ledger).causes()
    assert len(cause.case.frames) == 2
    assert cause.signature.before
    (entry,) = ledger.entries()
    assert replay_entry(entry, lambda _: InProcess("device", several("state"))).code == 1
    assert replay_entry(entry, lambda _: InProcess("device", Plain())).code == 0

    def gone(_: str) -> InProcess:
        raise TargetDied("it is not there")

    assert replay_entry(entry, gone).code == 2


@pytest.mark.parametrize("device", [Plain, NdisProfile, OddProfile])
def test_a_correct_implementation_of_any_profile_is_accused_of_nothing(device: type[Plain]) -> None:
    causes = campaign_of(device(), 8_000, seed=3).causes()
    assert [cause.kind for cause in causes if cause.kind != "reading"] == []


def test_the_same_seed_gives_the_same_campaign() -> None:
    runs = [campaign_of(several("option-length", "state"), 5_000, seed=4) for _ in range(2)]
    assert [case.name for case in runs[0].corpus.cases] == [case.name for case in runs[1].corpus.cases]
    assert [cause.id for cause in runs[0].causes()] == [cause.id for cause in runs[1].causes()]


def test_a_target_that_dies_every_second_time_is_one_cause_and_the_campaign_goes_on() -> None:
    class Dying(Plain):
        """Dies at every second frame with a TTL of 3."""

        calls = 0

        def judge(self, frame: bytes) -> tuple[int, int, int]:
            type(self).calls += 1
            if type(self).calls % 400 == 0:
                raise TargetDied("it ended by signal 11")
            return super().judge(frame)

    campaign = campaign_of(Dying(), 4_000, seed=1)
    assert campaign.totals.executions >= 4_000
    assert not [cause for cause in campaign.causes() if cause.kind == "unexplained"]


def test_one_that_answers_no_more_is_left_out_and_named() -> None:
    class Dead(Plain):
        def judge(self, frame: bytes) -> tuple[int, int, int]:
            raise TargetDied("it ended by signal 11")

    campaign = campaign_of(Dead(), 10_000_000, seed=1)
    assert campaign.subjects == []
    assert any("signal 11" in note for note in campaign.totals.notes)


def test_there_are_fifteen_hidden_defects_and_more() -> None:
    assert len(HIDDEN) >= 15
    assert all(defect.description for defect in HIDDEN.values())
