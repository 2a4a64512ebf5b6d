"""answers.jsonl: what it holds, what it refuses, and that a run that goes on comes to the same end."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from vnethash.conformance import journal as journals
from vnethash.conformance import records
from vnethash.conformance.check import check, tool
from vnethash.conformance.device.control import Control
from vnethash.conformance.journal import Asked, Book, Journal, digest_of, files_of
from vnethash.conformance.report import JOURNAL, REPORT, ReportWriter, encode, read_report
from vnethash.models.before import plain_company
from vnethash.spec.errors import FormatError, TargetDied, TargetUnavailable, UsageError
from vnethash.spec.readings import Readings
from vnethash.targets.base import Capabilities, Errored, Implementation, Result, Skipped, TimedOut
from vnethash.targets.device import Ack, Limits, Reception
from vnethash.targets.registry import open_target

from tests.conformance import device_bench
from tests.conformance.planted import FRAMES, Planted, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.spec.configuration import Configuration
    from vnethash.spec.outcome import Outcome


class Killed(BaseException):
    """What a test raises in the place of kill -9: nothing in the tool catches it."""


def asked(*names: str) -> Asked:
    return Asked(journals.FORMAT, tool(), list(names), "test", digest_of(cases()))


def run(
    folder: Path, journal: Journal, opener: Callable[[str], Planted], control: Control | None = None
) -> list[dict[str, Any]]:
    """Run and return the whole report, without its times."""
    with journal, ReportWriter(folder, kept=journal.taken.records) as writer:
        check(
            journal.asked.targets, "test", [] if control else cases(), opener, writer.write, now=lambda: "",
            journal=journal, control=control,
        )
        journal.finish()
    read_report(folder)
    return report(folder)


def report(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (folder / REPORT).read_bytes().splitlines()]
    return [{name: value for name, value in one.items() if name != "seconds"} for one in found]


class Mortal(Planted):
    """A target that ends the whole run when its frames are counted down."""

    left = 0

    def run(self, frames: Sequence[bytes]) -> list[Result]:
        self.left -= len(frames)
        if self.left <= 0:
            raise Killed
        return super().run(frames)


def moody(frame: bytes, _: Configuration, told: Outcome) -> Result | Outcome:
    """Answer in every way that there is."""
    results = {"ARP": Skipped("no ARP"), "TCP over IPv6": Errored("it hurts"), "ICMP over IPv4": TimedOut(1.5)}
    return next((result for name, result in results.items() if frame == FRAMES[name]), told)


def killed(folder: Path, *, frames: int, names: Sequence[str] = ("one", "two")) -> None:
    """Leave a run that was killed in its second target, after so many frames."""
    def opener(name: str) -> Planted:
        target = Mortal(moody, Readings(fragment_flags=1), name=name)
        target.left = frames if name == names[-1] else 10**6
        return target

    with pytest.raises(Killed):
        run(folder, Journal.create(folder, asked(*names)), opener)


def plain(name: str) -> Planted:
    return Planted(moody, Readings(fragment_flags=1), name=name)


@cache
def whole(*names: str) -> list[dict[str, Any]]:
    """Return the report of a run that nothing disturbed."""
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), Journal.create(Path(folder), asked(*names)), plain)


@pytest.mark.parametrize("frames", [1, 20, 40, 56, 57, 60, 67, 68])
def test_a_run_that_goes_on_ends_as_one_that_was_never_killed(frames: int, tmp_path: Path) -> None:
    assert any(one["record"] == "finding" for one in whole("one", "two"))
    folder = tmp_path / "cut"
    killed(folder, frames=frames)
    before = sum(b'"line":"answer"' in line for line in (folder / JOURNAL).read_bytes().splitlines())
    opened: list[Planted] = []
    put: list[int] = []

    class Counting(Planted):
        def run(self, frames: Sequence[bytes]) -> list[Result]:
            if plain_company(1)[0] not in frames:  # else failed ones are asked again in other company
                put.append(len(frames))
            return super().run(frames)

    def opener(name: str) -> Planted:
        opened.append(Counting(moody, Readings(fragment_flags=1), name=name))
        return opened[-1]

    assert run(folder, Journal.resume(folder), opener) == whole("one", "two")
    assert [target.name for target in opened] == ["two"], "the first was done"
    assert before == len(cases()) + min(frames - 1, len(cases())) // len(FRAMES) * len(FRAMES)
    assert sum(number for number in put if number > 1) == 2 * len(cases()) - before, "one by one is the reduction"
    assert not (folder / JOURNAL).exists()


def test_a_line_that_was_cut_is_asked_again(tmp_path: Path) -> None:
    killed(tmp_path, frames=40, names=("one",))
    content = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(content[:-9])
    journal = Journal.resume(tmp_path)
    assert len(journal.book("one").answers) == 3 * len(FRAMES) - 1
    assert run(tmp_path, journal, plain) == whole("one")


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path) -> None:
    killed(tmp_path, frames=15)
    for _ in range(3):
        def opener(name: str) -> Planted:
            target = Mortal(moody, Readings(fragment_flags=1), name=name)
            target.left = len(FRAMES) + 1
            return target

        with pytest.raises(Killed):
            run(tmp_path, Journal.resume(tmp_path), opener)
    assert run(tmp_path, Journal.resume(tmp_path), plain) == whole("one", "two")


def test_what_was_reported_of_a_target_stays_until_it_is_told_anew(tmp_path: Path) -> None:
    killed(tmp_path, frames=67)  # while the second target's witness is reduced: its cases are in the report
    before = (tmp_path / REPORT).read_bytes()
    assert b'"target":"two"' in before

    def another(name: str) -> Planted:
        target = plain(name)
        target.implementation = Implementation("planted", "2", "Python")
        return target

    with pytest.raises(UsageError, match="two cannot go on: it was planted 1 Python, and is planted 2 Python"):
        run(tmp_path, Journal.resume(tmp_path), another)
    assert (tmp_path / REPORT).read_bytes() == before


def test_a_target_that_can_do_other_things_than_before_is_refused(tmp_path: Path) -> None:
    killed(tmp_path, frames=40)

    def another(name: str) -> Planted:
        target = plain(name)
        target.capabilities = Capabilities(frozenset({"queue"}))
        return target

    with pytest.raises(UsageError, match="it can do other things than before") as caught:
        run(tmp_path, Journal.resume(tmp_path), another)
    assert "--overwrite" in caught.value.hint


def test_a_target_that_cannot_be_opened_any_more_keeps_its_answers(tmp_path: Path) -> None:
    killed(tmp_path, frames=40)
    before = (tmp_path / JOURNAL).read_bytes()

    def gone(name: str) -> Planted:
        raise TargetUnavailable(f"{name} is gone")

    with pytest.raises(TargetUnavailable, match="two is gone"):
        run(tmp_path, Journal.resume(tmp_path), gone)
    assert (tmp_path / JOURNAL).read_bytes() == before


def test_an_interrupted_run_goes_on_and_its_half_target_is_told_once(tmp_path: Path) -> None:

    class Interrupted(Planted):
        def run(self, frames: Sequence[bytes]) -> list[Result]:
            if len(self.configured) > 2:
                raise KeyboardInterrupt
            return super().run(frames)

    def opener(name: str) -> Planted:
        return (Interrupted if name == "two" else Planted)(moody, Readings(fragment_flags=1), name=name)

    with Journal.create(tmp_path, asked("one", "two")) as journal, ReportWriter(tmp_path) as writer:
        assert check(
            ["one", "two"], "test", cases(), opener, writer.write, now=lambda: "", journal=journal
        ).interrupted
    assert read_report(tmp_path).state
    assert run(tmp_path, Journal.resume(tmp_path), plain) == whole("one", "two")


def test_a_run_that_was_killed_is_not_replaced_by_the_way(tmp_path: Path) -> None:
    killed(tmp_path, frames=40)
    before = (tmp_path / JOURNAL).read_bytes()
    with pytest.raises(UsageError, match="holds a run that did not finish") as caught:
        Journal.create(tmp_path, asked("one"))
    assert "--resume" in caught.value.hint
    assert "--overwrite" in caught.value.hint
    assert (tmp_path / JOURNAL).read_bytes() == before
    with Journal.create(tmp_path, asked("one"), overwrite=True):
        assert not (tmp_path / REPORT).exists()
    with Journal.create(tmp_path, asked("two")):  # nothing had been asked, nothing is lost
        pass


def test_a_report_that_came_to_its_end_is_replaced_and_cannot_go_on(tmp_path: Path) -> None:
    first = run(tmp_path, Journal.create(tmp_path, asked("one")), plain)
    with pytest.raises(UsageError, match="holds a run that came to its end"):
        Journal.resume(tmp_path)
    assert run(tmp_path, Journal.create(tmp_path, asked("one")), plain) == first


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    with Journal.create(tmp_path, asked("one")):
        for begin in (lambda: Journal.create(tmp_path, asked("one"), overwrite=True), lambda: Journal.resume(tmp_path)):
            with pytest.raises(UsageError, match="is going on"):
                begin()


def test_other_cases_and_another_tool_are_refused(tmp_path: Path) -> None:
    killed(tmp_path, frames=40)
    with Journal.resume(tmp_path) as journal:
        journal.check(digest_of(cases()), tool())
        with pytest.raises(UsageError, match="the suite test has changed"):
            journal.check(digest_of(cases()[1:]), tool())
        with pytest.raises(UsageError, match=r"is of vnethash .*, this is vnethash 99"):
            journal.check(digest_of(cases()), "vnethash 99")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [b'{"line":"asked","format":99,"colour":1}', *lines[1:]], "is no journal of this tool"),
        (lambda lines: lines[1:], "is no journal of this tool"),
        (lambda _: [], "is no journal of this tool"),
        (lambda lines: [*lines[:3], b"rubbish", *lines[3:]], f"{JOURNAL}:4: "),
        (lambda lines: [*lines[:3], b'{"line":"answer","case":1,"colour":2}', *lines[3:]], f"{JOURNAL}:4: .*colour"),
    ],
)
def test_a_journal_that_is_none_is_told_with_its_place(
    change: Callable[[list[bytes]], list[bytes]], words: str, tmp_path: Path
) -> None:
    killed(tmp_path, frames=40)
    lines = change((tmp_path / JOURNAL).read_bytes().splitlines())
    (tmp_path / JOURNAL).write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.raises(FormatError, match=words):
        Journal.resume(tmp_path)


def test_a_folder_without_a_run_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run to go on with"):
        Journal.resume(tmp_path / "none")


def test_the_files_of_a_target_are_those_that_its_name_names(tmp_path: Path) -> None:
    program, table = tmp_path / "a.o", tmp_path / "b"
    program.write_bytes(b"1")
    table.write_bytes(b"2")
    assert set(files_of(f"ebpf:{program},route=tun")) == {str(program)}
    assert set(files_of(f"tun:qemu={program}")) == {str(program)}
    assert set(files_of(f"exec:sh -c {table}")) == {"sh", str(table)}
    assert files_of("model:literal") == files_of("exec:'") == {}
    first = files_of(f"lib:{program}")
    program.write_bytes(b"3")
    assert files_of(f"lib:{program}") != first


def test_a_program_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "device"
    program.write_bytes(b"1")
    name = f"exec:{program}"
    killed(tmp_path / "run", frames=40, names=(name,))
    program.write_bytes(b"2")
    with pytest.raises(UsageError, match="device is not the file that it was"):
        run(tmp_path / "run", Journal.resume(tmp_path / "run"), plain)


def test_the_scripts_of_a_device_go_on_where_they_stood(tmp_path: Path) -> None:
    put: list[int] = []

    class Device(device_bench.ModelDevice):
        left = 10**6

        def negotiate(self, features: int) -> bool:
            put.append(features)
            self.left -= 1
            if not self.left:
                raise Killed
            return super().negotiate(features)

        def command(self, class_: int, command: int, data: bytes) -> Ack:
            if data[:1] == b"\x07":
                raise TargetDied("killed by SIGSEGV")
            return super().command(class_, command, data)

    def control(left: int) -> Control:
        def opener(_: str) -> Device:
            made = device_bench.device(kind=Device)
            made.left = left
            return made

        return Control(opener, frozenset({"RSS-4", "RSS-5", "CVQ-2"}))

    def unused(name: str) -> Planted:
        raise AssertionError(name)

    undisturbed = run(tmp_path / "whole", Journal.create(tmp_path / "whole", asked("memory")), unused, control(10**6))
    assert sum(one["record"] == "sequence" for one in undisturbed) > 10
    asked_once = len(put)
    for left in (5, 12):
        folder = tmp_path / str(left)
        with pytest.raises(Killed):
            run(folder, Journal.create(folder, asked("memory")), unused, control(left))
        journal = Journal.resume(folder)
        assert journal.book("memory").plays
        put.clear()
        assert run(folder, journal, unused, control(10**6)) == undisturbed
        assert len(put) < asked_once


def test_whatever_a_device_shows_is_read_back(tmp_path: Path) -> None:
    from vnethash.conformance.device.runner import Play
    from vnethash.conformance.device.script import Kit, Script, negotiate

    seen = (True, 0, -1, None, Reception(3, b"\1\2", b"\xff", 2), Limits(4, 40, 128, 0x1FF, 1), False)
    steps = (negotiate(Kit(device_bench.EVERYTHING).best()),)
    script = Script("one", "", ("RSS-4",), steps)
    with Journal.create(tmp_path, asked("memory")) as journal:
        book = journal.book("memory")
        book.begin(open_target("model:literal"), None)
        book.keep_play(Play(script, seen, "it \udcff died", late=True))
    (tmp_path / JOURNAL).write_bytes((tmp_path / JOURNAL).read_bytes().replace(b"model:literal", b"memory"))
    with Journal.resume(tmp_path) as journal:
        play = journal.book("memory").known_play(script)
    assert play is not None
    assert play == Play(script, seen, "it \\udcff died", late=True)
    assert list(map(type, play.seen)) == list(map(type, seen))


def test_a_book_without_a_journal_keeps_nothing() -> None:
    book = Book()
    book.begin(plain("one"), None)
    assert book.empty
    assert book.known(1) is None
    book.done()


def test_a_torn_report_keeps_only_the_targets_that_are_done(tmp_path: Path) -> None:
    killed(tmp_path, frames=67)
    content = (tmp_path / REPORT).read_bytes()
    (tmp_path / REPORT).write_bytes(content[:-20])
    with Journal.resume(tmp_path) as journal:
        assert set(journal.taken.targets) == {"one"}
        assert isinstance(journal.taken.records[0], records.Header)
    (tmp_path / REPORT).write_bytes(encode(journal.taken.records[0])[:30])
    with Journal.resume(tmp_path) as journal:
        assert not journal.taken.records
