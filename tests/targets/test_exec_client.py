"""`exec:COMMAND`: adapters that behave, that misbehave, and that die."""

import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import ProtocolError, TargetDied, TargetError, TargetTimeout, UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Implementation, Refused, Skipped, TimedOut
from vnethash.targets.exec.client import ExecTarget, Limits, open_exec

ADAPTERS = Path(__file__).parent / "adapters"
CONFIGURATION = Configuration()
FRAME = b"\x02\x00\x07"
SOON = Limits(start=20, answer=20, stop=5)


def command(name: str, *arguments: object) -> str:
    return shlex.join([sys.executable, str(ADAPTERS / f"{name}.py"), *map(str, arguments)])


def opened(name: str, *arguments: object, validate: bool = False, limits: Limits = SOON) -> ExecTarget:
    return ExecTarget(command(name, *arguments), validate=validate, limits=limits)


def configured(name: str, *arguments: object, validate: bool = False, limits: Limits = SOON) -> ExecTarget:
    target = opened(name, *arguments, validate=validate, limits=limits)
    target.configure(CONFIGURATION)
    return target


class TestAnAdapterThatBehaves:
    def test_says_who_it_is_and_what_it_can(self):
        with opened("speak", validate=True) as target:
            assert target.name == f"exec:{command('speak')}"
            assert target.implementation == Implementation("test", "1")
            assert target.capabilities.observes == {"queue", "value"}
            assert target.capabilities.features == {"RSS"}
            assert target.capabilities.hash_types == 0x1FF
            assert target.notes == ()

    @pytest.mark.parametrize("validate", [False, True])
    @pytest.mark.parametrize("name", ["speak", "packed"])
    def test_answers_each_frame_in_order(self, name, validate):
        frames = [bytes([2]) * length + bytes([length & 255]) for length in range(1000)]
        with configured(name, validate=validate) as target:
            assert target.run(frames) == [Observation(None, len(f), f[-1]) for f in frames]

    def test_answers_nothing_for_nothing(self):
        with configured("speak") as target:
            assert target.run([]) == []
            assert target.run_batch([]) == []

    @pytest.mark.parametrize("name", ["speak", "packed"])
    def test_batches_may_have_any_size(self, name):
        frames = [bytes([2, index]) for index in range(10)]
        for batch in (1, 3, 10, 256):
            with open_exec(command(name), batch=batch) as target:
                target.configure(CONFIGURATION)
                assert [result.queue for result in target.run(frames)] == list(range(10))

    def test_large_frames_in_large_batches_do_not_block(self):
        frames = [bytes([2]) * 65535] * 300
        with configured("speak") as target:
            assert target.run(frames) == [Observation(None, 65535, 2)] * 300

    @pytest.mark.parametrize("name", ["poison", "packed"])
    def test_may_skip_frames_and_fail_on_them(self, name):
        with configured(name) as target:
            results = target.run([FRAME, b"\x5c", b"\xe0", FRAME])
        assert results[0] == results[3] == Observation(None, 3, 7)
        assert isinstance(results[1], Skipped)
        assert results[1].reason in ("too short", "short")
        assert isinstance(results[2], Errored)
        assert results[2].message in ("lost it", "lost")

    def test_is_asked_in_pieces_that_arrive_byte_by_byte(self):
        with configured("wrong", "slowly") as target:
            assert target.run([FRAME]) == [Observation(None, 7, None)]

    def test_may_flood_its_stderr(self):
        with configured("loud") as target:
            assert target.run([FRAME] * 1000) == [Observation(None, 3, 7)] * 1000
            kept = target.stderr()
        assert len(kept) == 64 << 10
        assert kept.endswith(b"xx\nthe end\n")

    def test_refuses_a_configuration(self):
        with opened("wrong", "refuses", validate=True) as target:
            with pytest.raises(Refused, match="key too long") as caught:
                target.configure(CONFIGURATION)
            assert not caught.value.skipped

    def test_refuses_without_a_reason(self):
        with opened("wrong", "refuses-without-reason") as target, pytest.raises(Refused, match="no reason"):
            target.configure(CONFIGURATION)

    def test_cannot_be_asked_for_a_configuration(self):
        with opened("wrong", "skips", validate=True) as target:
            with pytest.raises(Refused, match="no tunnels here") as caught:
                target.configure(CONFIGURATION)
            assert caught.value.skipped

    def test_must_be_configured_first(self):
        with opened("speak") as target, pytest.raises(TargetError, match="before it took any configuration"):
            target.run([FRAME])

    def test_is_told_the_whole_configuration(self, tmp_path):
        script = tmp_path / "a.py"
        script.write_text(
            f"import sys, json; sys.path.insert(0, {str(ADAPTERS)!r})\nfrom speak import speak\n"
            'speak(configure=lambda r: {"seq": r["seq"], "ok": False, "error": json.dumps(r["config"])})\n'
        )
        with ExecTarget(shlex.join([sys.executable, str(script)])) as target, pytest.raises(Refused) as caught:
            target.configure(CONFIGURATION)
        assert '"key": "6d5a56da' in caught.value.message
        assert '"features": ["HASH_REPORT", "RSS"]' in caught.value.message


WRONG_RUNS = {
    "wrong-seq": "seq 3 where 2 was asked",
    "no-seq": 'no "seq" where 2 was asked',
    "too-few": "2 results for 3 frames",
    "too-many": "6 results for 3 frames",
    "no-results": 'neither "results" nor "error"',
    "type": r"`int.*`, got `str` - at `\$.results\[0\].value`; it said: '{\"seq\": 2, \"results\": \[{\"value\"",
    "fraction": r"got `float` - at `\$.results\[0\].value`",
    "boolean": r"got `bool` - at `\$.results\[0\].value`",
    "value-range": r"<= 4294967295 - at `\$.results\[0\].value`",
    "queue-range": r">= -1 - at `\$.results\[0\].queue`",
    "report-range": r"<= 65535 - at `\$.results\[0\].report`",
    "list": "Expected `object`, got `array`",
    "rubbish": "it said: 'Segmentation fault'.*standard output belongs to the protocol",
    "not-utf8": "malformed",
    "empty-line": "not of protocol version 1",
}


class TestAnAdapterThatAnswersWrongly:
    @pytest.mark.parametrize(("fault", "words"), WRONG_RUNS.items())
    def test_on_run(self, fault, words):
        with configured("wrong", fault) as target:
            with pytest.raises(ProtocolError) as caught:
                target.run([FRAME, FRAME, FRAME])
            assert re.search(words, caught.value.line())
            assert "answer to `run`" in caught.value.message

    @pytest.mark.parametrize(
        ("fault", "words"),
        {
            "unknown-field": "unknown field colour",
            "unknown-field-in-result": r"unknown field results\[0\].colour",
            "null": r"results\[0\].queue: null",
            "unclaimed": r"results\[0\]: shows 'report', which capabilities.observes does not name",
            "two-kinds": r"results\[0\]: more than one of outcome, skipped and error",
        }.items(),
    )
    def test_on_run_as_only_validation_sees(self, fault, words):
        with configured("wrong", fault) as target:
            assert len(target.run([FRAME])) == 1
        with configured("wrong", fault, validate=True) as target, pytest.raises(ProtocolError, match=words):
            target.run([FRAME])

    @pytest.mark.parametrize(
        ("fault", "words"),
        {
            "version": "it speaks protocol version 2, this runner speaks version 1",
            "no-version": "missing required field `version`",
            "no-name": "missing required field `name`",
            "no-capabilities": "missing required field `capabilities`",
            "observes-nothing": "capabilities.observes is empty",
            "observes-unknown": "Invalid enum value 'colour'",
            "framing-unknown": "Invalid enum value 'morse'",
            "start-rubbish": "it said: 'Starting up...'",
        }.items(),
    )
    def test_on_start(self, fault, words):
        with pytest.raises(ProtocolError, match=words):
            opened("wrong", fault)

    @pytest.mark.parametrize(
        ("fault", "words"),
        {
            "start-unknown-field": "unknown field colour",
            "observes-twice": "capabilities.observes: an entry is given twice",
            "feature-unknown": "'FLIGHT' is not a feature",
        }.items(),
    )
    def test_on_start_as_only_validation_sees(self, fault, words):
        opened("wrong", fault).close()
        with pytest.raises(ProtocolError, match=words):
            opened("wrong", fault, validate=True)

    @pytest.mark.parametrize(
        ("fault", "words"), {"configure-nothing": 'neither "ok" nor "skipped"', "configure-seq": "seq 77"}.items()
    )
    def test_on_configure(self, fault, words):
        with opened("wrong", fault) as target, pytest.raises(ProtocolError, match=words):
            target.configure(CONFIGURATION)

    def test_on_configure_as_only_validation_sees(self):
        configured("wrong", "ok-and-error").close()
        with opened("wrong", "ok-and-error", validate=True) as target, pytest.raises(ProtocolError, match="neither"):
            target.configure(CONFIGURATION)

    @pytest.mark.parametrize(("fault", "step"), [("start-error", "start"), ("configure-error", "configure")])
    def test_with_an_error_object(self, fault, step):
        words = f"answered `{step}` with an error: '(needs root|out of memory)'"
        with pytest.raises(TargetError, match=words) as caught:
            configured("wrong", fault)
        assert not isinstance(caught.value, ProtocolError)

    @pytest.mark.parametrize("name", ["wrong", "packed"])
    def test_with_an_error_object_to_run(self, name):
        with configured(name, "error-object") as target, pytest.raises(TargetError, match="'out of memory'"):
            target.run([FRAME])

    def test_without_end(self):
        words = "without the end of a line"
        with configured("wrong", "long-line") as target, pytest.raises(ProtocolError, match=words):
            target.run([FRAME])

    def test_is_started_anew_for_the_next_configuration(self):
        with configured("wrong", "rubbish") as target:
            for _ in range(2):
                with pytest.raises(ProtocolError):
                    target.run([FRAME])
                target.configure(CONFIGURATION)

    @pytest.mark.parametrize(
        ("fault", "words"),
        {
            "seq": "seq 3 where 2 was asked",
            "count": "2 results for 1 frames",
            "size": "messages of 0 bytes announced, 3 came",
            "short": "0 bytes do not hold 1 records of 16",
            "huge": "announced an answer of 2147483648 bytes",
            "version": "a binary message of version 2",
            "status": "record 0: status 3",
            "shown": "record 0: an outcome with shown bits 15",
            "queue": "queue -2 in a record",
            "rubbish": "it said: 'Traceback .most recent call last.:'.*standard output belongs",
            "json": "JSON results where binary framing was agreed on",
        }.items(),
    )
    def test_in_binary(self, fault, words):
        with configured("packed", fault) as target:
            with pytest.raises(ProtocolError) as caught:
                target.run([FRAME])
            assert re.search(words, caught.value.line())

    @pytest.mark.parametrize(
        ("fault", "words"),
        {
            "unclaimed": "record 0: shows 'report', which",
            "unmarked": "record 0: queue is 5 but not marked as shown",
            "outcome-and-skip": "record 0: status 1 together with an outcome",
        }.items(),
    )
    def test_in_binary_as_only_validation_sees(self, fault, words):
        with configured("packed", fault) as target:
            assert len(target.run([FRAME])) == 1
        with configured("packed", fault, validate=True) as target, pytest.raises(ProtocolError, match=words):
            target.run([FRAME])


class TestAnAdapterThatDies:
    @pytest.mark.parametrize("name", ["poison", "packed"])
    @pytest.mark.parametrize("positions", [[77], [0], [255], [3, 200], [8, 9], [0, 128, 255]])
    def test_is_blamed_for_exactly_the_frames_that_kill_it(self, name, positions):
        frames = [bytes([2, index]) for index in range(256)]
        for position in positions:
            frames[position] = b"\xdd" + bytes([position])
        with configured(name) as target:
            results = target.run(frames)
            assert any("was started again" in note for note in target.notes)
        for index, result in enumerate(results):
            if index in positions:
                assert isinstance(result, Errored)
                assert "ended with status 1" in result.message
            else:
                assert result == Observation(None, 2, index)

    def test_is_started_a_few_times_only(self, tmp_path):
        frames = [bytes([2, index]) for index in range(256)]
        frames[100] = b"\xdd"
        with configured("poison", tmp_path / "log") as target:
            target.run(frames)
            assert (tmp_path / "log").read_text().count("started") == 4

    def test_is_quoted(self):
        with configured("poison") as target:
            (result,) = target.run([b"\xdd"])
        assert isinstance(result, Errored)
        assert "ended with status 1, asked to `run` 1 frame; stderr: 'ValueError: this frame again'" in result.message

    def test_of_a_signal(self):
        with configured("poison") as target:
            (result,) = target.run([b"\xcc"])
        assert isinstance(result, Errored)
        assert "was killed by SIGSEGV" in result.message

    def test_leaves_the_batches_around_it_alone(self):
        frames = [bytes([2, index & 255]) for index in range(1000)]
        frames[300] = b"\xdd"
        with configured("poison") as target:
            results = target.run(frames)
        assert [index for index, result in enumerate(results) if not isinstance(result, Observation)] == [300]
        assert results[999] == Observation(None, 2, 999 & 255)

    def test_at_every_frame_is_given_up(self, tmp_path):
        with configured("poison", tmp_path / "log") as target, pytest.raises(TargetDied) as caught:
            target.run([b"\xdd"] * 256)
        assert "32 times in a row, none of 256 frames answered" in caught.value.message
        assert (tmp_path / "log").read_text().count("started") == 32

    def test_at_most_frames_passes_the_rest_over(self):
        frames = [FRAME, *[b"\xdd"] * 255]
        with configured("poison", limits=Limits(restarts=5)) as target:
            results = target.run(frames)
        assert results[0] == Observation(None, 3, 7)
        assert [type(result) for result in results[1:4]] == [Errored] * 3
        assert set(results[4:]) == {Skipped("not asked: the target had died or hung 5 times in this batch")}

    @pytest.mark.parametrize(
        ("fault", "words"),
        {
            "dies-in-answer": "ended with status 5 after 14 bytes of an answer",
            "dies-with-heir": "ended with status 5",
            "closes-stdout": "closed its standard output and went on running",
        }.items(),
    )
    def test_in_the_middle_of_an_answer(self, fault, words):
        with configured("wrong", fault) as target:
            (result,) = target.run([FRAME])
        assert isinstance(result, Errored)
        assert words in result.message

    def test_right_after_an_answer(self):
        with configured("wrong", "answers-and-dies-with-heir") as target:
            assert target.run([FRAME]) == [Observation(None, 7, None)]
            time.sleep(0.2)
            with pytest.raises(ProtocolError, match="seq 2 where 4"):  # it was started again for this
                target.run([FRAME])
            assert target.notes == ("it ended by itself after an answer and was started again",)

    def test_for_a_reason_that_is_not_a_frame(self, tmp_path):
        script = tmp_path / "a.py"
        flag = tmp_path / "flag"
        script.write_text(
            f"import sys, os; sys.path.insert(0, {str(ADAPTERS)!r})\nfrom speak import speak, outcome\n"
            f"flag = {str(flag)!r}\n"
            "def run(r):\n    if not os.path.exists(flag):\n        open(flag, 'w').close(); os._exit(1)\n"
            "    return {'seq': r['seq'], 'results': [outcome(bytes.fromhex(p)) for p in r['packets']]}\n"
            "speak(run=run)\n"
        )
        with ExecTarget(shlex.join([sys.executable, str(script)]), limits=SOON) as target:
            target.configure(CONFIGURATION)
            assert target.run([FRAME] * 20) == [Observation(None, 3, 7)] * 20
            assert any("answered each of them when asked again" in note for note in target.notes)

    def test_before_it_started(self):
        with pytest.raises(TargetDied, match="ended with status 1, asked to `start`; stderr: 'no device'"):
            opened("wrong", "start-dies")

    def test_of_a_configuration_takes_the_next(self):
        with opened("wrong", "configure-dies") as target:
            for _ in range(2):
                with pytest.raises(TargetDied, match="asked to `configure`; stderr: 'bad config'"):
                    target.configure(CONFIGURATION)

    def test_killed_between_two_requests(self):
        with configured("speak") as target:
            os.kill(target.pid, signal.SIGKILL)
            assert target.run([FRAME] * 3) == [Observation(None, 3, 7)] * 3

    def test_and_cannot_be_started_again(self, tmp_path):
        limits = Limits(start=4, answer=20)
        target = configured("wrong", "start-again-hangs", tmp_path / "flag", limits=limits)
        with target, pytest.raises(TargetTimeout, match=r"within 4 s, asked to `start` \(when started again\)"):
            target.run([FRAME] * 2)


class TestAnAdapterThatHangs:
    @pytest.mark.parametrize("positions", [[77], [3, 4]])
    def test_is_blamed_for_exactly_the_frames_that_hang_it(self, positions):
        frames = [bytes([2, index]) for index in range(256)]
        for position in positions:
            frames[position] = b"\xee"
        with configured("poison", limits=Limits(start=20, answer=1)) as target:
            results = target.run(frames)
        assert [index for index, result in enumerate(results) if result == TimedOut(1)] == positions
        assert sum(isinstance(result, Observation) for result in results) == 256 - len(positions)

    def test_at_every_frame_is_given_up(self):
        limits = Limits(start=20, answer=0.3, restarts=8)
        with configured("poison", limits=limits) as target, pytest.raises(TargetTimeout, match="none of 9 frames"):
            target.run([b"\xee"] * 9)

    def test_in_the_middle_of_an_answer(self):
        with configured("wrong", "hangs-in-answer", limits=Limits(start=20, answer=0.3)) as target:
            assert target.run([FRAME]) == [TimedOut(0.3)]

    def test_on_start(self):
        with pytest.raises(TargetTimeout, match=r"no answer within 0.2 s, asked to `start`"):
            open_exec(command("wrong", "start-hangs"), start_timeout=0.2)

    def test_on_configure(self):
        target = opened("wrong", "configure-hangs", limits=Limits(start=20, answer=0.2))
        with target, pytest.raises(TargetTimeout, match="asked to `configure`"):
            target.configure(CONFIGURATION)


class TestTheCommand:
    @pytest.mark.parametrize(
        ("argument", "error", "words"),
        [
            ("", UsageError, "names no command"),
            ("'", UsageError, "cannot be split into words"),
            ("./no-such-program", TargetDied, "would not start: no program './no-such-program'"),
            ("/", TargetDied, "Permission denied"),
            ("a\0b", TargetDied, "would not start"),
        ],
    )
    def test_that_cannot_be_run_is_one_clear_line(self, argument, error, words):
        with pytest.raises(error, match=words) as caught:
            open_exec(argument)
        assert "\n" not in caught.value.line()

    def test_that_is_no_program(self, tmp_path):
        script = tmp_path / "script"
        script.write_text("no line that names an interpreter\n")
        script.chmod(0o755)
        with pytest.raises(TargetDied, match="would not start") as caught:
            open_exec(str(script))
        assert "#!" in caught.value.hint

    @pytest.mark.parametrize("options", [{"batch": 0}, {"timeout": 0}, {"start_timeout": -1}])
    def test_options_are_checked_first(self, options):
        with pytest.raises(UsageError):
            open_exec("./no-such-program", **options)
