"""Names of slips that no reading explains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from vnethash.models import diagnosis
from vnethash.models.causes import shortened
from vnethash.models.diagnosis import diagnose
from vnethash.models.toeplitz import toeplitz
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.outcome import Observation, Outcome

from tests.conformance.planted import ADDRESSES4, ADDRESSES6

ALL = frozenset({"queue", "report", "value"})
DATA = ADDRESSES6 + bytes.fromhex("0aea06e6")
VALUE = toeplitz(MICROSOFT_KEY, DATA)
RIGHT = Outcome(5, VALUE, VALUE & 127)
PORTS = DATA[32:]


def diagnosed(value: int, report: int = 5, configuration: Configuration | None = None) -> str:
    slip = diagnose(DATA, RIGHT, Observation(report, value, value & 127), configuration or Configuration(), ALL)
    return slip.words if slip else ""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DATA[:32] + PORTS[2:] + PORTS[:2], "destination port is hashed before"),
        (DATA[:32] + PORTS[1::-1] + PORTS[:1:-1], "ports are hashed in host byte order"),
        (DATA[16:32] + DATA[:16] + PORTS, "destination address is hashed before"),
        (DATA[:32], "only the addresses"),
        (bytes(int(f"{octet:08b}"[::-1], 2) for octet in DATA), "least significant"),
    ],
)
def test_a_slip_of_the_input_is_named(data: bytes, words: str) -> None:
    assert words in diagnosed(toeplitz(MICROSOFT_KEY, data))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ((int.from_bytes(MICROSOFT_KEY, "big") << 1 & (1 << 320) - 1).to_bytes(40, "big"), "1 bits ahead"),
        (MICROSOFT_KEY[:36], "only 36 bytes of the key"),
        (MICROSOFT_KEY[::-1], "from its end"),
    ],
)
def test_a_slip_of_the_key_is_named(key: bytes, words: str) -> None:
    assert words in diagnosed(toeplitz(key, DATA))


def test_a_value_in_the_wrong_byte_order_is_named() -> None:
    assert "wrong byte order" in diagnosed(int.from_bytes(VALUE.to_bytes(4, "big"), "little"))


def test_another_report_for_the_same_value_is_named() -> None:
    slip = diagnose(DATA, RIGHT, Observation(8, VALUE, VALUE & 127), Configuration(), ALL)
    assert slip is not None
    assert slip.clauses[0] == "REP-1"


@pytest.mark.parametrize(
    ("queue", "words"),
    [(64, "top bits"), (0x80000011 % 127, "modulo the mask"), (200, "unclassified_queue"), (199, "another index")],
)
def test_a_slip_of_the_queue_is_named(queue: int, words: str) -> None:
    right = Outcome(5, 0x80000011, 0x11)
    slip = diagnose(DATA, right, Observation(5, right.value, queue), Configuration(), ALL)
    assert slip is not None
    assert words in slip.words


def test_a_wrong_queue_or_a_left_over_value_of_an_unhashed_packet_is_named() -> None:
    unhashed = Outcome(0, 0, 200)
    wrong_queue = diagnose(b"", unhashed, Observation(0, 0, 0), Configuration(), ALL)
    left_over = diagnose(b"", unhashed, Observation(0, 77, 200), Configuration(), ALL)
    assert wrong_queue is not None
    assert wrong_queue.clauses[0] == "RSS-D3"
    assert left_over is not None
    assert left_over.clauses == ("REP-2",)


def test_a_short_key_that_is_filled_in_an_unknown_way_is_named() -> None:
    short = Configuration(key=MICROSOFT_KEY[:8])
    slip = diagnose(
        ADDRESSES4, Outcome(1, 1, 1), Observation(1, 0x12345678, 0x78), short, ALL
    )
    assert slip is not None
    assert "short key" in slip.words


def test_a_value_that_fits_no_slip_is_not_named() -> None:
    assert diagnosed(VALUE ^ 0x00010000) == ""


@pytest.mark.parametrize("expected", [Outcome(5, 0x80000011, 0x11), Outcome(0, 0, 198)])
def test_receive_queues_limited_to_max_tx_vq_are_named(expected: Outcome) -> None:
    shown = Observation(expected.report, expected.value, expected.queue % 4)
    slip = diagnose(DATA, expected, shown, Configuration(max_tx_vq=4), ALL)
    assert slip is not None
    assert slip.clauses[0] == "RSS-9"
    other = diagnose(DATA, expected, shown, Configuration(max_tx_vq=1), ALL)
    assert other is not None
    assert "RSS-9" not in other.clauses


def test_names_of_slips_are_short_and_their_own() -> None:
    source = Path(diagnosis.__file__).read_text()
    words = re.findall(r'Slip\(\s*"([^"]+)"', source)
    slugs = {shortened("-".join(word.strip(",;:()") for word in line.split())) for line in words}
    assert len(words) > 15
    assert len(slugs) == len(set(words))
    assert max(map(len, slugs)) <= 36
