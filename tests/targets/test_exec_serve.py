"""A target behind the protocol: what it answers to good requests and to bad ones."""

import io
import json
import shlex
import sys
from array import array
from itertools import pairwise

import pytest
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetDied, UsageError, VnethashError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Errored, Implementation, Refused, Skipped
from vnethash.targets.exec import framing as binary
from vnethash.targets.exec import messages
from vnethash.targets.exec.client import open_exec
from vnethash.targets.exec.serve import serve


class Echo:
    """Shows the length and the last byte of each frame; skips empty ones."""

    name = "echo"
    implementation = Implementation("echo", "1")
    capabilities = Capabilities(observes=frozenset({"value", "queue"}))
    notes = ()

    def __init__(self):
        self.configurations = []

    def configure(self, configuration):
        if configuration.hash_types == 0:
            raise Refused("nothing to hash")
        if configuration.tunnel_types:
            raise Refused("no tunnels", skipped=True)
        if configuration.max_tx_vq == 0:
            raise TargetDied("echo: ended")
        self.configurations.append(configuration)

    def run(self, frames):
        if any(frame == b"\xdd" for frame in frames):
            raise TargetDied("echo: ended with status 1", hint="look")
        return [Observation(None, len(f), f[-1]) if f else Skipped("empty") for f in frames]

    def close(self):
        raise AssertionError("serve leaves the target open")


class Packed(Echo):
    """The same a batch at a time, where no frame is empty."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def run_packed(self, data, offsets):
        assert isinstance(data, bytes)
        assert offsets.typecode == "q"
        ends = list(pairwise(offsets))
        if any(start == end for start, end in ends):
            return None
        self.batches += 1
        return None, array("I", [end - start for start, end in ends]), array("i", [data[end - 1] for _, end in ends])


START = messages.start_line()
CONFIGURE = messages.configure_line(1, Configuration())
STOP = messages.stop_line()


def answers(*requests, target=None, **options):
    """Serve and return the answers as text."""
    out = io.BytesIO()
    serve(target or Echo(), io.BufferedReader(io.BytesIO(b"".join(requests))), out, **options)
    return out.getvalue()


def lines(*requests, **options):
    return [json.loads(line) for line in answers(*requests, **options).splitlines()]


@pytest.mark.parametrize("target", [Echo, Packed])
def test_the_conversation_of_the_design(target):
    run = messages.run_line(2, [b"ab", b"c"])
    start, configured, ran, stopped = lines(START, CONFIGURE, run, STOP, target=target())
    assert start["version"] == 1
    assert start["implementation"] == {"name": "echo", "version": "1"}
    assert configured == {"seq": 1, "ok": True}
    assert ran == {"seq": 2, "results": [{"value": 2, "queue": 98}, {"value": 1, "queue": 99}]}
    assert stopped == {}


def test_it_ends_with_its_input():
    assert len(lines(START)) == 1
    assert lines() == []


def test_nothing_is_read_after_stop():
    assert lines(STOP, START) == [{}]


def test_the_target_gets_the_configuration():
    target = Echo()
    lines(START, CONFIGURE, target=target)
    assert target.configurations == [Configuration()]


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"hash_types": 0}, {"seq": 1, "ok": False, "error": "nothing to hash"}),
        ({"tunnel_types": 1}, {"seq": 1, "skipped": "no tunnels"}),
        ({"max_tx_vq": 0}, {"seq": 1, "error": "echo: ended"}),
    ],
)
def test_a_configuration_that_is_not_taken(changes, answer):
    assert lines(START, messages.configure_line(1, Configuration(**changes)))[1] == answer


def test_a_key_that_is_not_hex_is_refused():
    config = {**Configuration().to_json(), "key": "xyz"}
    request = json.dumps({"cmd": "configure", "seq": 4, "config": config}).encode() + b"\n"
    answer = lines(START, request)[1]
    assert (answer["seq"], answer["ok"]) == (4, False)
    assert "key is not an even number of hex digits" in answer["error"]


@pytest.mark.parametrize(
    ("request_", "seq", "words"),
    [
        (b"rubbish\n", None, "malformed"),
        (b"\n", None, "an empty line"),
        (b"  \n", None, "an empty line"),
        (b"[]\n", None, "Expected `object`"),
        (b"\xff\n", None, "malformed"),
        (b'{"cmd":"dance","seq":3}\n', 3, "Invalid value 'dance'"),
        (b'{"seq":3}\n', 3, "missing required field `cmd`"),
        (b'{"cmd":"run","seq":3}\n', 3, "missing required field `packets`"),
        (b'{"cmd":"run","packets":[]}\n', None, "missing required field `seq`"),
        (b'{"cmd":"run","seq":-1,"packets":[]}\n', None, ">= 0"),
        (b'{"cmd":"run","seq":3,"packets":["abc"]}\n', 3, "packets[0]: not an even number of hex digits"),
        (b'{"cmd":"run","seq":3,"packets":["ab","zz"]}\n', 3, "packets[1]: not an even"),
        (b'{"cmd":"run","seq":3,"packets":["a","b"]}\n', 3, "packets[0]: not an even"),
        (b'{"cmd":"configure","seq":3,"config":{}}\n', 3, "missing required field `features`"),
        (b'{"cmd":"start","version":2}\n', None, "version 2 was asked for; version 1 is spoken here"),
    ],
)
@pytest.mark.parametrize("target", [Echo, Packed])
def test_a_bad_request_is_answered_with_an_error_and_the_next_is_awaited(target, request_, seq, words):
    answer, after = lines(START, CONFIGURE, request_, messages.run_line(9, [b"a"]), target=target())[2:]
    assert answer.get("seq") == seq
    assert words in answer["error"]
    assert after["seq"] == 9


@pytest.mark.parametrize("framing", ["json", "binary"])
def test_requests_out_of_turn(framing):
    run = binary.run_message(2, []) if framing == "binary" else messages.run_line(2, [])
    assert lines(CONFIGURE, framing=framing) == [{"seq": 1, "error": "`configure` before `start`"}]
    assert lines(START, run, framing=framing)[1] == {"seq": 2, "error": "`run` before `configure`"}


def test_unknown_fields_are_passed_over_unless_validated():
    request = b'{"cmd":"start","version":1,"colour":"blue"}\n'
    assert lines(request)[0]["version"] == 1
    assert lines(request, validate=True)[0]["error"].startswith("unknown field colour")


@pytest.mark.parametrize("target", [Echo, Packed])
def test_binary_framing(target):
    target = target()
    run = binary.run_message(2, [b"ab", b"c"]) + binary.run_message(3, [b"", b"x"])
    out = answers(START, CONFIGURE, run, STOP, target=target, framing="binary")
    start, configured, rest = out.split(b"\n", 2)
    assert json.loads(start)["framing"] == "binary"
    assert json.loads(configured) == {"seq": 1, "ok": True}
    expected = binary.results_message(2, [Observation(None, 2, 98), Observation(None, 1, 99)])
    expected += binary.results_message(3, [Skipped("empty"), Observation(None, 1, 120)])
    assert rest == expected + b"{}\n"
    assert getattr(target, "batches", 1) == 1


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (binary.HEADER.pack(0xB1, 1, 0, 2, 5, 3) + b"abc", "3 bytes do not hold the lengths of 5 frames"),
        (binary.run_message(2, [b"\xdd"]), "echo: ended with status 1 (look)"),
    ],
)
def test_a_bad_binary_request_is_answered_with_a_line(request_, words):
    out = lines(START, CONFIGURE, request_, STOP, framing="binary")
    assert out[2] == {"seq": 2, "error": words}
    assert out[3] == {}


@pytest.mark.parametrize(("version", "size"), [(2, 0), (1, 1 << 31)])
def test_a_binary_request_whose_end_cannot_be_known_is_the_last(version, size):
    out = lines(START, CONFIGURE, binary.HEADER.pack(0xB1, version, 0, 2, 0, size), STOP, framing="binary")
    assert len(out) == 3
    assert "error" in out[2]


def test_a_binary_request_must_be_agreed_on():
    out = lines(START, CONFIGURE, binary.run_message(2, [b"a"]), STOP)
    assert out[2:] == [{"seq": 2, "error": "a binary `run` where JSON was agreed on"}, {}]


def test_a_binary_request_cut_short_is_the_end():
    assert len(lines(START, CONFIGURE, binary.run_message(2, [b"abc"])[:-1], framing="binary")) == 2


def test_what_the_target_raises_is_an_error():
    assert lines(START, CONFIGURE, messages.run_line(2, [b"\xdd"]))[2] == {
        "seq": 2, "error": "echo: ended with status 1 (look)",
    }  # fmt: skip


def test_a_target_without_the_means_for_batches_answers_frame_by_frame(capsys):
    class Without(Echo):
        def run_packed(self, data, offsets):
            raise VnethashError("numba is not installed", hint="pip install numba")

    run = messages.run_line(2, [b"ab"])
    answer = {"seq": 2, "results": [{"value": 2, "queue": 98}]}
    assert lines(START, CONFIGURE, run, run, target=Without())[2:] == [answer, answer]
    assert capsys.readouterr().err == (
        "vnethash: numba is not installed (pip install numba); answering frame by frame\n"
    )


def test_numpy_columns_will_do():
    numpy = pytest.importorskip("numpy")

    class Fast(Echo):
        def run_packed(self, data, offsets):
            at = numpy.frombuffer(offsets, "int64")
            size = numpy.diff(at)
            return size.astype("uint16"), size.astype("uint32") << 28, None

    out = lines(START, CONFIGURE, messages.run_line(2, [b"ab", b"c"] * 4), target=Fast())
    assert out[2]["results"] == [{"report": 2, "value": 1 << 29}, {"report": 1, "value": 1 << 28}] * 4


def test_only_two_framings_exist():
    with pytest.raises(UsageError, match="morse"):
        answers(framing="morse")


def test_a_reader_that_goes_away_is_no_error():
    class Closed(io.BytesIO):
        def write(self, _):
            raise BrokenPipeError

    serve(Echo(), io.BufferedReader(io.BytesIO(START)), Closed())


@pytest.mark.parametrize("framing", ["json", "binary"])
@pytest.mark.parametrize("kind", ["Echo", "Packed"])
def test_client_and_server_understand_each_other(kind, framing, tmp_path):
    script = tmp_path / "server.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(__file__).rsplit('/', 1)[0]!r})\n"
        f"from test_exec_serve import {kind}; from vnethash.targets.exec.serve import serve\n"
        f"serve({kind}(), sys.stdin.buffer, sys.stdout.buffer, framing={framing!r}, validate=True)\n"
    )
    frames = [bytes([index & 255]) * (index % 50) for index in range(600)]
    with open_exec(shlex.join([sys.executable, str(script)]), validate=True) as target:
        with pytest.raises(Refused, match="no tunnels"):
            target.configure(Configuration(tunnel_types=1))
        target.configure(Configuration())
        assert target.run(frames) == Echo().run(frames)


def test_an_unforeseen_error_is_found_by_the_client_at_its_frame(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(__file__).rsplit('/', 1)[0]!r})\n"
        "from test_exec_serve import Echo; from vnethash.targets.exec.serve import serve\n"
        "class Buggy(Echo):\n    def run(self, frames):\n        assert b'boom' not in frames, 'a bug'\n"
        "        return super().run(frames)\n"
        "serve(Buggy(), sys.stdin.buffer, sys.stdout.buffer)\n"
    )
    with open_exec(shlex.join([sys.executable, str(script)])) as target:
        target.configure(Configuration())
        fine, bad, fine_again = target.run([b"a", b"boom", b"b"])
    assert (fine, fine_again) == (Observation(None, 1, 97), Observation(None, 1, 98))
    assert isinstance(bad, Errored)
    assert "AssertionError: a bug" in bad.message
