"""Bugs of the past: shown where they are, not seen where they are not, and held against real versions of QEMU."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from vnethash.cli.vectors import vectors
from vnethash.conformance.past import ask, ask_all
from vnethash.conformance.suite.past import Packets, Steps, known, past
from vnethash.models.allowed import dialect
from vnethash.spec.clauses import load as load_clauses
from vnethash.spec.device_readings import DeviceReadings
from vnethash.spec.errors import TargetDied, TargetUnavailable
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import all_questions
from vnethash.targets.base import Capabilities, Implementation, Skipped
from vnethash.targets.device_model import EVERYTHING, ModelDevice
from vnethash.targets.fitting import fit
from vnethash.targets.registry import open_target

PACKETS = [bug for bug in past() if isinstance(bug.shows, Packets)]
STEPS = [bug for bug in past() if isinstance(bug.shows, Steps)]
#: Which reading of which question plants a bug in our own device.
PLANTED = {
    "reset-keeps-hashing": {"reset-hashing": "kept"},
    "header-of-the-backend": {"backend-header": "copied"},
    "num-buffers-unwritten": {"num-buffers": "unwritten"},
    "table-entry-beyond": {"table-entry": "dropped"},
}


class Buggy:
    """A target that answers the last frame of each bug as the bug has it, or with `answer`."""

    name = "buggy"
    implementation = Implementation("buggy", "1.0")
    capabilities = Capabilities(
        observes=frozenset({"queue", "report", "value"}), features=frozenset({"RSS", "HASH_REPORT"}), queues=256
    )
    notes = ()

    def __init__(self, answer=None):
        self.answer = answer

    def configure(self, configuration):
        self.configuration = configuration

    def run(self, frames):
        if self.answer is not None:
            return [self.answer] * len(frames)
        put = self.configuration, tuple(frames)
        shows = (bug.shows for bug in PACKETS)
        wrong = next(one.wrong for one in shows if (fit(one.configuration, self.capabilities), one.frames) == put)
        value = wrong.value if wrong.report else None
        return [Observation()] * (len(frames) - 1) + [Observation(wrong.report, value, wrong.queue)]

    def close(self):
        pass


class Deadly(ModelDevice):
    """Dies of the first packet behind a table."""

    def receive(self, frames, header=b""):
        if self.state.table:
            raise TargetDied("killed by SIGSEGV")
        return super().receive(frames, header)


def device(kind=ModelDevice, **chosen):
    questions = all_questions()
    numbers = {questions[name].field: questions[name].index(reading) for name, reading in chosen.items()}
    return kind("model", DeviceReadings()._replace(**numbers), dialect("literal"), Implementation("model"), EVERYTHING)


def states(target, behind=None, bugs=None):
    return {one.bug.name: one.state for one in ask(target, behind, bugs)}


def test_every_bug_is_told_in_full_and_by_a_name_of_its_own():
    names = [bug.name for bug in past()]
    assert len(set(names)) == len(names) >= 15
    for bug in past():
        assert set(bug.clauses) <= load_clauses().keys(), bug.name
        assert bug.words
        assert bug.project
        assert bug.change
        if isinstance(bug.shows, Packets):
            assert bug.shows.frames


def test_our_own_model_has_none_of_them():
    told = states(open_target("model:literal"), device())
    assert set(told.values()) == {"absent"}


def test_each_bug_of_packets_is_seen_in_a_target_that_has_it():
    assert states(Buggy(), bugs=PACKETS) == {bug.name: "present" for bug in PACKETS}


@pytest.mark.parametrize("name", PLANTED)
def test_each_bug_of_the_control_queue_is_seen_in_a_device_that_has_it(name):
    told = states(Buggy(Skipped("no packets")), device(**PLANTED[name]), STEPS)
    assert told.pop(name) == "present"
    assert set(told.values()) == {"absent"}


def test_a_device_that_dies_of_it_has_it_and_is_asked_on():
    told = states(Buggy(Skipped("no packets")), device(Deadly, **{"table-entry": "modulo"}), STEPS)
    assert told["table-entry-beyond"] == "present"
    assert told["num-buffers-unwritten"] == "absent", "this one configures no table"


def test_what_is_neither_the_bug_nor_allowed_is_not_decided():
    told = states(Buggy(Observation(3, 5, 5)), None)
    assert set(told.values()) == {"unknown"}
    assert set(states(Buggy(Skipped("cannot be shown"))).values()) == {"unknown"}


def test_versions_are_known_by_spans_with_repairs_in_older_branches():
    bug = next(bug for bug in past() if bug.name == "table-entry-beyond")
    expected = {"5.0": False, "7.2.13": True, "7.2.14": False, "8.2.6": True, "9.0.3": False, "10.0": False}
    assert {version: known(bug, "QEMU", version) for version in expected} == expected
    assert known(bug, "acme", "8.2.6") is None
    assert known(bug, "QEMU", "") is None


def test_a_target_that_cannot_be_driven_is_told_with_its_reason():
    def opener(name):
        raise TargetUnavailable("not here")

    heard = []
    ask_all(["a"], opener, lambda *told: heard.append(told))
    assert heard == [("a", [], "not here")]


def test_the_command_lists_them_and_puts_them_to_targets():
    def run(*arguments):
        return CliRunner().invoke(vectors, ["past", *arguments], catch_exceptions=False, standalone_mode=False)

    lines = run().output.splitlines()
    assert [line.split("\t")[0] for line in lines] == [bug.name for bug in past()]
    assert "QEMU 5.1 to before 7.2.14; QEMU 8.0 to before 8.2.7" in next(one for one in lines if "CVE-2024-6505" in one)
    assert len(json.loads(run("--json").output)) == len(past())
    told = run("model:literal", "model:literal,zero-value=unhashed")
    assert told.return_value == 1
    row = next(line for line in told.output.splitlines() if line.startswith("zero-is-unhashed"))
    assert row.split()[1:3] == ["absent", "present"]
    asked = run("model:literal", "exec:/none/acme", "--json")
    assert asked.return_value == 3
    answers = json.loads(asked.output)
    assert answers["exec:/none/acme"]["not_driven"]
    assert answers["model:literal"]["bugs"]["df-is-fragment"]["state"] == "absent"


#: What each version at hand showed; the wheel is a build of Ubuntu, which repaired CVE-2024-6505 itself.
MEASURED = {
    "qemu:5.2": {
        "route-address-unread", "previous-addresses", "esp-is-walked", "reset-keeps-hashing", "header-of-the-backend",
        "table-entry-beyond", "num-buffers-unwritten",
    },
    "qemu:8.2": {"reset-keeps-hashing", "header-of-the-backend", "num-buffers-unwritten"},
    "qemu:10.0": {"num-buffers-unwritten"},
    "qemu:11.1": {"num-buffers-unwritten"},
    "qemu-ebpf:8.2": {"df-is-fragment", "zero-is-unhashed"},
    "qemu-ebpf:10.0": set(),
}


@pytest.mark.needs_qemus
@pytest.mark.needs_cc
@pytest.mark.parametrize("name", MEASURED)
def test_versions_of_qemu_have_the_bugs_that_they_are_known_to_have(name):
    heard = {}
    ask_all([name], open_target, lambda target, told, words: heard.update({target: (told, words)}))
    told, words = heard[name]
    assert told, words
    assert {one.bug.name for one in told if one.state == "present"} == MEASURED[name]
    contrary = {one.bug.name for one in told if one.contrary}
    assert contrary == ({"table-entry-beyond"} if name == "qemu:8.2" else set())
    if name.startswith("qemu:"):
        assert not [one for one in told if one.state == "unknown"]
