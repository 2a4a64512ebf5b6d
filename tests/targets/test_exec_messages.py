"""The JSON messages: what we read and write, held against the schema."""

import copy
import json
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import Feature
from vnethash.spec.errors import FormatError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Capabilities, Errored, Implementation, Skipped, TimedOut
from vnethash.targets.exec import messages
from vnethash.targets.exec.messages import Unreadable

SCHEMA = json.loads(files("vnethash.targets.exec").joinpath("protocol-1.schema.json").read_text())
ALL = frozenset({"queue", "report", "value"})


def validator(name):
    return jsonschema.Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{name}"}]})


def fits(name, line):
    return validator(name).is_valid(json.loads(line))


results = st.one_of(
    st.builds(
        Observation,
        st.none() | st.integers(0, 0xFFFF), st.none() | st.integers(0, 0xFFFFFFFF), st.none() | st.integers(-1, 0xFFFF),
    ),
    st.builds(Skipped, st.text()),
    st.builds(Errored, st.text()),
)  # fmt: skip
configurations = st.builds(
    Configuration,
    hash_types=st.integers(0, 0xFFFFFFFF),
    key=st.binary(max_size=255),
    indirection_table=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=8).map(tuple),
    unclassified_queue=st.integers(0, 0xFFFF),
    features=st.sets(st.sampled_from([f.name for f in Feature])).map(frozenset),
    max_tx_vq=st.integers(0, 0xFFFF),
    tunnel_types=st.integers(0, 0xFFFFFFFF),
)


class Someone:
    name = "someone"
    implementation = Implementation("acme-nic", "3.1", "c", "https://example.org")
    capabilities = Capabilities(observes=ALL, features=frozenset({"RSS", "HASH_REPORT"}))
    notes = ()


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["feature"]["enum"]) == {feature.name for feature in Feature}


class TestRequests:
    def test_start_and_stop_fit_the_schema(self):
        assert fits("start", messages.start_line())
        assert fits("stop", messages.stop_line())
        assert messages.read_request(messages.start_line(), validate=True) == messages.Start(1)
        assert messages.read_request(messages.stop_line(), validate=True) == messages.Stop()

    @given(configurations, st.integers(0, 0xFFFFFFFF))
    def test_a_configuration_comes_back(self, configuration, seq):
        line = messages.configure_line(seq, configuration)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert fits("configure", line)
        request = messages.read_request(line, validate=True)
        assert isinstance(request, messages.Configure)
        assert request.seq == seq
        assert messages.to_configuration(request.config) == configuration

    @given(st.lists(st.binary(max_size=80)), st.integers(0, 0xFFFFFFFF))
    def test_frames_come_back(self, frames, seq):
        line = messages.run_line(seq, frames)
        assert fits("run", line)
        request = messages.read_request(line, validate=True)
        assert isinstance(request, messages.Run)
        assert (request.seq, messages.unhexed(request.packets)) == (seq, frames)

    @pytest.mark.parametrize("command", ["start", "configure", "run", "stop"])
    def test_unknown_fields_matter_to_validation_alone(self, command):
        line = {
            "start": messages.start_line(),
            "configure": messages.configure_line(1, Configuration()),
            "run": messages.run_line(1, [b"a"]),
            "stop": messages.stop_line(),
        }[command]
        spoiled = json.dumps({**json.loads(line), "colour": "blue"}).encode()
        messages.read_request(spoiled)
        assert not fits(command, spoiled)
        with pytest.raises(Unreadable, match="unknown field colour"):
            messages.read_request(spoiled, validate=True)

    def test_a_packet_that_is_not_hex_is_named(self):
        with pytest.raises(FormatError, match=r"packets\[1\]: not an even number of hex digits: 'abc'"):
            messages.unhexed(["ab", "abc"])

    @pytest.mark.parametrize(
        ("line", "seq"),
        [(b'{"seq":5,"x":1}', 5), (b'{"seq":5,"error":7}', 5), (b'{"seq":"5"}', None), (b'{"seq":-1,"ok":1}', None),
         (b"[5]", None), (b"rubbish", None), (b'{"seq":true}', None)],
    )  # fmt: skip
    def test_the_seq_of_a_bad_request_is_found(self, line, seq):
        assert messages.seq_of(line) == seq


class TestAnswers:
    def test_start_fits_the_schema_and_comes_back(self):
        line = messages.start_answer(Someone(), "binary")
        assert fits("start-answer", line)
        answer = messages.read_start(line, validate=True)
        assert answer.framing == "binary"
        assert messages.to_implementation(answer.implementation) == Someone.implementation
        assert messages.to_capabilities(answer.capabilities) == Someone.capabilities

    @given(st.lists(results), st.integers(0, 0xFFFFFFFF))
    def test_results_fit_the_schema_and_come_back(self, batch, seq):
        line = messages.run_answer(seq, batch)
        assert fits("run-answer", line)
        answer = messages.read_run(line, seq, len(batch), observes=ALL)
        assert messages.to_results(answer) == batch
        assert list(map(type, messages.to_results(answer))) == list(map(type, batch))

    @given(st.integers(0, 5), st.booleans(), st.booleans(), st.booleans())
    def test_columns_are_the_same_as_observations(self, count, report, value, queue):
        columns = [list(range(count)) if shown else None for shown in (report, value, queue)]
        rows = [Observation(*(index if shown else None for shown in (report, value, queue))) for index in range(count)]
        assert messages.outcomes_answer(3, count, *columns) == messages.run_answer(3, rows)

    def test_a_time_limit_further_down_is_an_error(self):
        line = messages.run_answer(1, [TimedOut(2.5)])
        assert json.loads(line)["results"] == [{"error": "no answer within 2.5 s"}]

    @pytest.mark.parametrize(
        ("line", "form"),
        [
            (messages.configure_answer(1), '{"seq":1,"ok":true}'),
            (messages.configure_answer(1, error="no"), '{"seq":1,"ok":false,"error":"no"}'),
            (messages.configure_answer(1, skipped="no"), '{"seq":1,"skipped":"no"}'),
        ],
    )
    def test_the_three_answers_to_configure(self, line, form):
        assert line.decode() == form + "\n"
        assert fits("configure-answer", line)
        messages.read_configure(line, 1, validate=True)

    @pytest.mark.parametrize("seq", [None, 4])
    def test_an_error_fits_the_schema(self, seq):
        line = messages.error_answer("what?", seq)
        assert fits("error-answer", line)
        assert messages.complaint_in(line) == "what?"
        assert messages.read_run(line, 99, 1, observes=ALL).error == "what?"
        assert messages.read_configure(line, 99, validate=True).error == "what?"

    def test_a_long_quotation_is_trimmed_and_says_how_long_it_was(self):
        assert messages.quoted(b"a\x00\nb" + b"x" * 1000, 20) == "'a\\x00\\nb" + "x" * 11 + "…' (of 1004 bytes)"
        assert messages.quoted(b"\xff") == r"'\xff'"


#: Good messages, to be spoiled in every way below; each must be refused by validation exactly when by the schema.
GOOD = {
    "start-answer": {
        "version": 1,
        "implementation": {"name": "a", "version": "1", "language": "c", "homepage": "h"},
        "capabilities": {
            "observes": ["queue"], "features": ["RSS"], "hash_types": 1, "tunnel_types": 0, "max_key_size": 40,
            "max_indirection_table_length": 128, "queues": 128,
        },
        "framing": "json",
    },
    "configure-answer": {"seq": 1, "ok": False, "error": "no"},
    "run-answer": {
        "seq": 1, "results": [{"report": 1, "value": 2, "queue": 3}, {"skipped": "x"}, {"error": "y"}, {}],
    },
    "configure": {"cmd": "configure", "seq": 1, "config": Configuration(indirection_table=(0, 1)).to_json()},
    "run": {"cmd": "run", "seq": 1, "packets": ["00"]},
    "start": {"cmd": "start", "version": 1},
    "stop-answer": {},
}  # fmt: skip
NUMBERS = [-2, -1, 0, 255, 256, 65535, 65536, 1 << 32, 1.5]
VALUES = [*NUMBERS, None, True, "", "json", "x" * 600, [], ["RSS", "RSS"], [1], {}]


def spoilt(message):
    """Every message with one field replaced by each of VALUES, removed, or added."""
    def places(value, path=()):
        yield path
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from places(item, (*path, key))

    for path in places(message):
        inside = copy.deepcopy(message)
        for key in path:
            inside = inside[key]
        if isinstance(inside, dict):
            yield put(message, (*path, "colour"), "blue")
        if path:
            for value in VALUES:
                yield put(message, path, value)
            yield put(message, path, ...)


def put(message, path, value):
    message = copy.deepcopy(message)
    inside = message
    for key in path[:-1]:
        inside = inside[key]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return message


def readable(name, message):
    line = json.dumps(message).encode()
    try:
        if name == "start-answer":
            messages.read_start(line, validate=True)
        elif name == "configure-answer":
            answer = messages.read_configure(line, message.get("seq"), validate=True)
            return not (answer.ok is None and answer.skipped is None)  # an error object otherwise
        elif name == "run-answer":
            count = len(message["results"]) if isinstance(message.get("results"), list) else 0
            return messages.read_run(line, message.get("seq"), count, observes=ALL).error is None
        elif name == "stop-answer":
            messages.read_stop(line, validate=True)
        else:
            request = messages.read_request(line, validate=True)
            if isinstance(request, messages.Configure):
                messages.to_configuration(request.config)
            elif isinstance(request, messages.Run):
                messages.unhexed(request.packets)
            elif isinstance(request, messages.Start):
                return request.version == 1
    except (Unreadable, FormatError):
        return False
    return True


@pytest.mark.parametrize("name", GOOD)
def test_validation_and_the_schema_agree(name):
    check = validator(name)
    assert check.is_valid(GOOD[name])
    assert readable(name, GOOD[name])
    for message in spoilt(GOOD[name]):
        assert readable(name, message) == check.is_valid(message), message


@pytest.mark.parametrize("name", ["start-answer", "configure-answer", "run-answer", "configure", "run"])
def test_what_validation_takes_is_taken_without_it(name):
    for message in spoilt(GOOD[name]):
        if readable(name, message):
            line = json.dumps(message).encode()
            if name == "start-answer":
                messages.read_start(line)
            elif name == "configure-answer":
                messages.read_configure(line, message["seq"])
            elif name == "run-answer":
                messages.read_run(line, message["seq"], len(message["results"]))
            else:
                messages.read_request(line)
