"""The state machine of a device, rule by rule, and what is allowed of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from vnethash.conformance.device.script import Kit, arp, hash_config, pairs_set, rss_config, tcp4, tunnel_set
from vnethash.models.device import state as s
from vnethash.models.device.allowed import allowed_steps, expectation, literal, offered_readings, play
from vnethash.models.device.matching import wrong
from vnethash.models.device.state import (
    ANY,
    BELOW,
    Acked,
    Arrival,
    Bounds,
    Command,
    Looks,
    Negotiate,
    Negotiated,
    Packet,
    Reset,
    State,
    Traits,
)
from vnethash.spec.clauses import load
from vnethash.spec.commands import RqId
from vnethash.spec.constants import CTRL_MQ, CTRL_MQ_RSS_CONFIG, MICROSOFT_KEY
from vnethash.spec.device_readings import (
    DeviceReadings,
    MaxTxVq,
    PairsAfterRss,
    RefusedRssConfig,
    ResetHashing,
    ShortKeyRest,
    TableEntry,
    UnknownMqCommand,
)
from vnethash.spec.readings import Readings
from vnethash.targets.device import Limits, Reception
from vnethash.targets.device_model import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.models.device.state import Answer, Step

KIT = Kit(EVERYTHING)
BOTH, REPORT = Negotiate(KIT.features.both), Negotiate(KIT.features.report)
TCP, ARP = Packet(tcp4()), Packet(arp())


def answers(*steps: Step) -> list[Answer]:
    return [one.answer for one in literal(steps, EVERYTHING)]


def test_types_key_and_table_of_rss_config_are_in_use_from_the_next_packet_on() -> None:
    *_, tcp, other = answers(BOTH, rss_config(KIT.rss()), TCP, ARP)
    assert tcp == Arrival(2, 0x51CCC178, 1)
    assert other == Arrival(0, 0, 3)


def test_before_the_first_command_nothing_is_hashed_and_all_goes_to_the_first_queue() -> None:
    assert answers(BOTH, TCP)[-1] == answers(REPORT, TCP)[-1] == Arrival(0, 0, 0)


def test_a_reset_forgets_everything() -> None:
    transitions = literal((BOTH, rss_config(KIT.rss()), tunnel_set(0x80), Reset()), EVERYTHING)
    assert transitions[-1].state == State()


def test_automatic_steering_may_use_any_of_its_queues_and_reports_go_on() -> None:
    *_, tcp = answers(REPORT, hash_config(KIT.types), pairs_set(3), TCP)
    assert tcp == Arrival(2, 0x51CCC178, BELOW, 3)


@pytest.mark.parametrize(
    ("features", "accepted"),
    [
        (s.RSS, False), (s.HASH_REPORT, True), (s.CTRL_VQ | s.RSS, True), (s.CTRL_VQ | s.HASH_TUNNEL, False),
        (s.CTRL_VQ | s.HASH_TUNNEL | s.HASH_REPORT, True), (s.CTRL_VQ | s.RSS_CONTEXT, False),
        (s.CTRL_VQ | s.RSS | s.RSS_CONTEXT, True), (0, True),
    ],
)
def test_features_need_those_that_they_require(features: int, accepted: bool) -> None:
    assert answers(Negotiate(s.VERSION_1 | features)) == [Negotiated(accepted)]


@pytest.mark.parametrize(
    ("changes", "ok"),
    [
        ({}, True), ({"hash_types": 0x200}, False), ({"max_tx_vq": 0}, True), ({"hash_key_data": bytes(41)}, False),
        ({"hash_key_data": bytes(3)}, True), ({"hash_key_data": b""}, True),
        ({"indirection_table": (RqId(0),) * 3}, False), ({"indirection_table": (RqId(0),) * 256}, False),
        ({"indirection_table": (RqId(4),)}, False), ({"indirection_table": (RqId(1, 1),)}, False),
        ({"unclassified_queue": RqId(4)}, False), ({"indirection_table": (RqId(3),) * 128}, True),
    ],
)
def test_what_the_literal_device_takes_of_rss_config(changes: dict[str, object], ok: bool) -> None:
    assert answers(BOTH, rss_config(KIT.rss(**changes)))[-1] == Acked(ok)


def test_a_refused_command_leaves_everything_and_what_is_lost_is_a_reading() -> None:
    configured = literal((BOTH, rss_config(KIT.rss())), EVERYTHING)[-1].state
    short = Command(CTRL_MQ, CTRL_MQ_RSS_CONFIG, b"\x01")
    found = list(allowed_steps(configured, short, EVERYTHING, offered_readings(defects=False)))
    refused = [one.state for one, _ in found if one.answer == Acked(ok=False)]
    assert configured in refused
    assert any(not state.configured and state.features for state in refused)
    assert any(state.vague for state in refused)
    fields = {name for _, when in found for name, _ in when}
    assert {"truncated_command", "refused_rss_config"} <= fields


def test_a_short_key_takes_the_place_of_the_whole_key_or_of_its_beginning() -> None:
    steps = (REPORT, hash_config(KIT.types, b"\xff" * 40), hash_config(KIT.types, b"\x00" * 4))
    before = literal(steps[:2], EVERYTHING)[-1].state
    keys = {
        one.state.key for one, _ in allowed_steps(before, steps[2], EVERYTHING, offered_readings(defects=False))
        if one.answer == Acked(ok=True)
    }
    assert keys == {bytes(4), bytes(4) + b"\xff" * 36}


def test_every_clause_that_the_machine_names_exists() -> None:
    import re
    from pathlib import Path

    from vnethash.models.device import machine

    folder = Path(machine.__file__).parent
    text = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    named = set(re.findall(r'"([A-Z]+-[A-Z]?\d+)"', text))
    assert len(named) > 20
    assert named <= load().keys()


def reception(queue: int = 1, report: int = 2, value: int = 5, buffers: int = 1) -> Reception:
    header = bytes(10) + buffers.to_bytes(2, "little") + value.to_bytes(4, "little") + report.to_bytes(2, "little")
    return Reception(queue, header + bytes(2), tcp4(), buffers)


@pytest.mark.parametrize(
    ("answer", "seen", "kind"),
    [
        (Arrival(2, 5, 1), reception(), ""), (Arrival(2, 5, 0), reception(), "queue"),
        (Arrival(2, 6, 1), reception(), "value"), (Arrival(0, 0, 1), reception(), "hashed"),
        (Arrival(1, 5, 1), reception(), "report"), (Arrival(1, 5, 1), reception(report=0), "unhashed"),
        (Arrival(2, 5, 1), None, "lost"), (Arrival(ANY, ANY, BELOW, 2), reception(), ""),
        (Arrival(ANY, ANY, BELOW, 1), reception(), "queue"), (Arrival(buffers=1), reception(buffers=0), "num-buffers"),
        (Arrival(buffers=ANY), reception(buffers=3), ""), (Arrival(size=12), reception(), "header"),
        (Negotiated(accepted=True), True, ""), (Negotiated(accepted=False), True, "features-accepted"),
        (Acked(ok=True), 0, ""), (Acked(ok=True), 1, "refused"), (Acked(ok=False), 0, "accepted"),
        (Acked(ok=False), 2, "ack"), (Acked(ok=False), -1, "no-ack"),
        (Bounds(s.RSS), Limits(4, 40, 128, 0), ""), (Bounds(s.RSS), Limits(4, 39, 128, 0), "CFG-10"),
        (Bounds(s.RSS), Limits(4, 40, 127, 0), "CFG-11"), (Bounds(s.MQ), Limits(0, 0, 0, 0), "CFG-9"),
    ],
)
def test_what_is_wrong_with_an_answer(answer: Answer, seen: object, kind: str) -> None:
    fault = wrong(answer, seen, tcp4())  # type: ignore[arg-type]
    assert (fault.kind if fault else "") == kind


def test_parts_that_a_packet_is_not_there_for_are_not_judged() -> None:
    *_, queue = answers(BOTH, rss_config(KIT.rss()), Packet(tcp4(), Looks.QUEUE))
    assert wrong(queue, reception(report=9, value=7)) is None
    *_, size = answers(BOTH, rss_config(KIT.rss()), Packet(tcp4(), Looks.SIZE))
    assert wrong(size, reception(queue=0), tcp4()) is None


def test_a_device_without_queues_to_choose_from_is_modelled_too() -> None:
    small = Traits(s.VERSION_1 | s.CTRL_VQ | s.RSS, pairs=1, table=128)
    kit = Kit(small)
    found = literal((Negotiate(kit.features.rss & small.offered), rss_config(kit.rss()), TCP), small)
    assert found[-1].answer == Arrival(None, None, 0)


def under(steps: Sequence[Step], **readings: int) -> list[Answer]:
    found = play(steps, EVERYTHING, DeviceReadings(**readings), Readings())
    return [one.answer for one in found]


def test_a_packet_that_may_be_dropped_may_be_missing_whatever_is_looked_at() -> None:
    strange = rss_config(KIT.rss(indirection_table=(RqId.from_number(0x8001),) * 4))
    for looks in (Looks.SIZE, Looks.HASH, Looks.BUFFERS, Looks.QUEUE):
        *_, answer = under((BOTH, strange, Packet(tcp4(), looks)), table_entry=TableEntry.DROPPED)
        assert wrong(answer, None) is None
    *_, answer = under((BOTH, rss_config(KIT.rss()), Packet(tcp4(), Looks.SIZE)))
    assert wrong(answer, None) is not None


def test_an_entry_beyond_the_queues_is_taken_modulo_those_that_max_tx_vq_leaves_where_it_limits_them() -> None:
    few = rss_config(KIT.rss(indirection_table=(RqId.from_number(7),) * 4, max_tx_vq=3))
    for reading, queue in ((MaxTxVq.TRANSMIT_ONLY, 3), (MaxTxVq.RECEIVE_TOO, 1)):
        *_, answer = under((BOTH, few, TCP), table_entry=TableEntry.MODULO, max_tx_vq=reading)
        assert isinstance(answer, Arrival)
        assert answer.queue == queue


def test_pairs_set_takes_away_without_reports_what_a_reset_could_keep() -> None:
    rss = Negotiate(KIT.features.rss)
    for reading, report in ((PairsAfterRss.REPORTED, 2), (PairsAfterRss.STOPPED, 0)):
        *_, answer = under(
            (rss, rss_config(KIT.rss()), pairs_set(1), REPORT, TCP), pairs_after_rss=reading,
            reset_hashing=ResetHashing.KEPT,
        )
        assert isinstance(answer, Arrival)
        assert answer.report == report


@pytest.mark.parametrize("ended", [(), (Command(CTRL_MQ, 99, b""),), (pairs_set(1),)], ids=["on", "refused", "pairs"])
@pytest.mark.parametrize("reading", ResetHashing)
def test_a_reset_leaves_types_and_key_or_bytes_of_the_key_or_nothing(
    reading: ResetHashing, ended: tuple[Step, ...]
) -> None:
    whole, short = rss_config(KIT.rss()), rss_config(KIT.rss(hash_key_data=bytes(12)))
    readings = DeviceReadings(
        reset_hashing=reading, short_key_rest=ShortKeyRest.PREVIOUS, unknown_mq_command=UnknownMqCommand.LOST,
        pairs_after_rss=PairsAfterRss.STOPPED,
    )
    found = list(play((BOTH, whole, *ended, Reset(), BOTH, TCP, short, TCP), EVERYTHING, readings, Readings()))
    first, _, last = (one.answer for one in found[-3:])
    assert isinstance(first, Arrival)
    assert isinstance(last, Arrival)
    assert first.report == (2 if reading == ResetHashing.KEPT and not ended else 0)
    # Bytes that nothing uses any more stay where they are, whatever ended hashing before the reset.
    expected = bytes(12) + (b"" if reading == ResetHashing.CLEARED else MICROSOFT_KEY[12:])
    assert found[-1].state.key == expected
    assert (last.value == 0) == (reading == ResetHashing.CLEARED)


def test_a_reset_asks_for_no_reading_where_nothing_was_configured() -> None:
    asked = expectation((BOTH, Reset(), BOTH, Reset(), REPORT, TCP), EVERYTHING, offered_readings(defects=True))
    assert "reset_hashing" not in asked.questions()


@pytest.mark.parametrize("rest", ShortKeyRest)
@pytest.mark.parametrize("refused", RefusedRssConfig)
@pytest.mark.parametrize("anew", [(), (Reset(), BOTH)], ids=["at once", "behind a reset"])
def test_a_refused_command_that_ends_hashing_may_have_written_bytes_of_its_key(
    rest: ShortKeyRest, refused: RefusedRssConfig, anew: tuple[Step, ...]
) -> None:
    cut = rss_config(KIT.rss())
    cut = cut._replace(data=cut.data[:-20])
    short, whole = (rss_config(KIT.rss(hash_key_data=MICROSOFT_KEY[:size])) for size in (12, 40))
    readings = {
        "short_key_rest": rest, "refused_rss_config": refused, "reset_hashing": ResetHashing.KEY_BYTES,
    }
    *_, one, _, other = under((BOTH, cut, *anew, short, TCP, whole, TCP), **readings)
    assert isinstance(one, Arrival)
    unknown = rest == ShortKeyRest.PREVIOUS and refused != RefusedRssConfig.KEPT
    assert (one.value == ANY) == unknown
    # A whole key leaves nothing open.
    assert other == Arrival(2, 0x51CCC178, 1)
