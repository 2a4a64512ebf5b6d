"""The binary framing: round trips, the example of the page that defines it, and bytes that are none."""

import re
from array import array
from importlib.resources import files
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Skipped, TimedOut
from vnethash.targets.exec import framing
from vnethash.targets.exec.messages import Unreadable

ALL = frozenset({"queue", "report", "value"})
results = st.one_of(
    st.builds(
        Observation,
        st.none() | st.integers(0, 0xFFFF), st.none() | st.integers(0, 0xFFFFFFFF), st.none() | st.integers(-1, 0xFFFF),
    ),
    st.builds(Skipped, st.text()),
    st.builds(Errored, st.text()),
)  # fmt: skip
full = st.builds(Observation, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(-1, 0xFFFF))


def read(message, **options):
    header = framing.read_header(message[:16])
    assert header.size == len(message) - 16
    return header, framing.read_results(header, message[16:], **options)


@given(st.lists(st.binary(max_size=80)), st.integers(0, 0xFFFFFFFF))
def test_frames_come_back(frames, seq):
    message = framing.run_message(seq, frames)
    header = framing.read_header(message[:16])
    assert header == (seq, len(frames), len(message) - 16)
    data, offsets = framing.read_run_body(header, message[16:])
    assert framing.split(data, offsets) == frames


@given(st.lists(results) | st.lists(full), st.integers(0, 0xFFFFFFFF))
def test_results_come_back(batch, seq):
    message = framing.results_message(seq, batch)
    header, back = read(message, observes=ALL)
    assert (header.seq, header.frames) == (seq, len(batch))
    assert back == batch
    assert list(map(type, back)) == list(map(type, batch))


@given(st.integers(0, 5), st.booleans(), st.booleans(), st.booleans())
def test_columns_are_the_same_as_observations(count, report, value, queue):
    columns = [list(range(count)) if shown else None for shown in (report, value, queue)]
    rows = [Observation(*(index if shown else None for shown in (report, value, queue))) for index in range(count)]
    assert read(framing.outcomes_message(3, count, *columns)) == read(framing.results_message(3, rows))


def test_a_time_limit_further_down_is_an_error():
    assert read(framing.results_message(1, [TimedOut(2.5)]))[1] == [Errored("no answer within 2.5 s")]


def test_the_example_on_the_page_that_defines_it():
    page = files("vnethash.targets.exec").joinpath("README.md").read_text()
    example = page.split("## An example")[1]
    blocks = re.findall(r"(?:^    [0-9a-f ]+\n)+", example, re.MULTILINE)
    request, answer = (bytes.fromhex("".join(block.split())) for block in blocks)
    assert request == framing.run_message(2, [b"\xaa\xbb", b"\xcc"])
    assert answer == framing.results_message(2, [Observation(2, 0x51D3AC08, 0), Skipped("short")])


def test_a_message_of_another_version_is_not_read():
    with pytest.raises(Unreadable, match="version 2"):
        framing.read_header(framing.HEADER.pack(0xB1, 2, 0, 1, 0, 0))
    with pytest.raises(Unreadable, match="reserved 1"):
        framing.read_header(framing.HEADER.pack(0xB1, 1, 1, 1, 0, 0))


@pytest.mark.parametrize(
    ("frames", "body", "words"),
    [
        (2, b"\0\0\0\0", "do not hold the lengths of 2 frames"),
        (1, b"\3\0\0\0ab", "frames of 3 bytes announced, 2 came"),
        (1, b"\1\0\0\0ab", "frames of 1 bytes announced, 2 came"),
    ],
)
def test_a_request_that_does_not_add_up_is_not_read(frames, body, words):
    with pytest.raises(Unreadable, match=words):
        framing.read_run_body(framing.Header(1, frames, len(body)), body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\0" * 15, "do not hold 1 records"),
        (pack("<BBHIiI", 0, 0, 0, 0, 0, 0) + b"x", "messages of 0 bytes announced, 1 came"),
        (pack("<BBHIiI", 1, 0, 0, 0, 0, 2) + b"x", "messages of 2 bytes announced, 1 came"),
        (pack("<BBHIiI", 0, 7, 0, 0, 0, 1) + b"x", "an outcome with shown bits 7 and a message of 1 bytes"),
        (pack("<BBHIiI", 9, 0, 0, 0, 0, 0), "status 9"),
        (pack("<BBHIiI", 0, 8, 0, 0, 0, 0), "shown bits 8"),
        (pack("<BBHIiI", 0, 7, 0, 0, 65536, 0), "queue 65536"),
    ],
)
def test_an_answer_that_does_not_add_up_is_not_read(body, words):
    with pytest.raises(Unreadable, match=words):
        framing.read_results(framing.Header(1, 1, len(body)), body)


@given(st.binary(max_size=70), st.integers(0, 4))
def test_no_bytes_bring_anything_but_results_or_a_refusal(body, frames):
    try:
        back = framing.read_results(framing.Header(1, frames, len(body)), body, observes=ALL)
    except Unreadable:
        return
    assert len(back) == frames


def test_offsets_are_64_bit_integers():
    header = framing.Header(1, 1, 6)
    _, offsets = framing.read_run_body(header, b"\2\0\0\0ab")
    assert offsets == array("q", [0, 2])
