"""The control suite: what it holds, how it is put, and that its records say enough to put it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import device_bench
import pytest
from vnethash.conformance.device.describe import step_records, steps_of
from vnethash.conformance.device.reduction import reduce
from vnethash.conformance.device.runner import run_scripts
from vnethash.conformance.device.script import Kit
from vnethash.conformance.device.suite import control_suite
from vnethash.models.device import state as s
from vnethash.models.device.allowed import expectation, offered_readings
from vnethash.models.device.state import Command, Negotiate, Packet, Traits
from vnethash.models.device.words import step_words
from vnethash.spec.clauses import load
from vnethash.spec.errors import FormatError, TargetDied
from vnethash.spec.questions import load_device_questions
from vnethash.targets.device_model import EVERYTHING, ModelDevice
from vnethash.targets.driving import put, traits_of

if TYPE_CHECKING:
    from vnethash.targets.device import Ack

SUITE = control_suite(EVERYTHING)


def test_every_question_about_the_device_is_asked_and_every_reading_makes_a_difference() -> None:
    asked: dict[str, set[int]] = {}
    for script in SUITE:
        for cube in expectation(script.steps, EVERYTHING, offered_readings(defects=True)).cubes:
            for name, numbers in cube.when:
                if len(numbers) == 1:
                    asked.setdefault(name, set()).update(numbers)
    for question in load_device_questions().values():
        assert len(asked.get(question.field, set())) >= len(question.readings) - 1, question.id


def test_names_are_unique_and_clauses_exist() -> None:
    assert len({script.name for script in SUITE}) == len(SUITE) >= 200
    for script in SUITE:
        assert script.clauses, script.name
        assert set(script.clauses) <= load().keys(), script.name
        first = script.comment.split()[0]
        assert first[0].isupper() or "_" in first, script.name  # a sentence, or one that begins with a field
        assert script.comment.endswith("?"), script.name
        assert len(script.steps) <= 20, script.name


def test_the_suite_holds_every_key_length_that_matters_and_every_kind_of_fault() -> None:
    lengths = {int(name.removeprefix("rss-key-")) for name in (one.name for one in SUITE) if name[8:].isdecimal()}
    assert {0, 1, 11, 12, 15, 16, 35, 36, 39, 40, 41, 255} <= lengths
    names = {script.name for script in SUITE}
    assert {"rss-mask-65535", "rss-entry-reserved-bit", "rss-max-tx-vq-1", "rss-trailing-4096"} <= names
    assert {"unknown-200-0", "hash-unreported", "context-reset", "tunnel-off", "reset-hash"} <= names


@pytest.mark.parametrize(
    "traits",
    [
        Traits(s.VERSION_1 | s.CTRL_VQ | s.RSS, pairs=1), Traits(s.VERSION_1, pairs=1),
        Traits(s.VERSION_1 | s.CTRL_VQ | s.HASH_REPORT, pairs=1, table=1, hash_types=7),
        Traits(s.VERSION_1 | s.CTRL_VQ | s.MQ | s.RSS | s.HASH_REPORT, pairs=2, key=255, table=2048, hash_types=1),
        Traits(s.VERSION_1 | s.CTRL_VQ | s.MQ | s.RSS, pairs=300, hash_types=0x1C0),
    ],
)
def test_devices_that_offer_less_or_more_are_asked_what_they_can_be_asked(traits: Traits) -> None:
    found = device_bench.check(device_bench.device(traits=traits))
    assert found.conclusion == "conforms", found.causes()
    assert not found.groups
    for entry in found.judged:
        assert entry.verdict in {"pass", "skipped"}
        assert (entry.verdict == "skipped") == bool(entry.play.script.skip)


def test_the_suite_of_the_model_holds_no_skipped_script() -> None:
    assert not [script.name for script in SUITE if script.skip]
    assert traits_of(device_bench.device()) == EVERYTHING


def test_a_device_that_dies_is_started_anew_and_given_up_if_it_keeps_dying() -> None:
    class Mortal(ModelDevice):
        lives = 0

        def command(self, class_: int, command: int, data: bytes) -> Ack:
            self.lives += 1
            if self.lives == 2:
                raise TargetDied("killed")
            return super().command(class_, command, data)

    run = run_scripts(device_bench.device(kind=Mortal), SUITE)
    assert [play.script.name for play in run.plays if play.error]
    assert len(run.plays) == len(SUITE)

    class Dead(ModelDevice):
        def command(self, class_: int, command: int, data: bytes) -> Ack:
            raise TargetDied("killed")

    run = run_scripts(device_bench.device(kind=Dead), [one for one in SUITE if one.name.startswith("rss-key")])
    assert run.ended
    assert len(run.plays) == 3


def test_steps_come_back_from_their_records() -> None:
    for script in SUITE:
        seen: list[object] = []
        put(device_bench.device(), script.steps, fresh=True, seen=seen)  # type: ignore[arg-type]
        made = step_records(script.steps, seen, None)  # type: ignore[arg-type]
        assert steps_of(made, where="here") == script.steps
        assert all(step_words(step) for step in script.steps)
    with pytest.raises(FormatError, match="here"):
        steps_of([made[0].__class__("packet", "", [], "", frame="zz")], where="here")


def test_a_sequence_is_reduced_to_the_steps_that_matter() -> None:
    script = next(one for one in SUITE if one.name == "rss-table-128")

    def holds(steps: tuple[object, ...]) -> bool:
        return any(isinstance(one, Command) for one in steps) and isinstance(steps[-1], Packet)

    small = reduce(script.steps, holds)
    assert len(small) == 3
    assert isinstance(small[0], Negotiate)
    assert isinstance(small[1], Command)
    assert len(small[1].data) < 60


def test_the_plain_configuration_names_a_queue_of_its_own_for_each_thing_to_tell_apart() -> None:
    config = Kit(EVERYTHING).rss()
    queues = {0, config.indirection_table[0].number, config.unclassified_queue.number}
    assert len(queues) == 3
