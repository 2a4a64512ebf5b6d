"""The model from frame to outcome: vectors, plain cases against other code, steering, and that it never raises."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vnethash.models.allowed import Asked, dialect, offered_readings
from vnethash.models.events import EVENTS, RULES
from vnethash.models.reference import ANY_VALUE, decide, dissect, enabled_tunnels, outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.outcome import Outcome
from vnethash.spec.questions import load_dialects, load_questions
from vnethash.spec.readings import (
    EmptyKey,
    NoHashTypes,
    Readings,
    ShortKey,
    TableSize,
    TunnelUnnegotiated,
    UnhashedValue,
    ZeroValue,
)

from tests.models import random_frames
from tests.models.test_toeplitz import by_convolution

if TYPE_CHECKING:
    from collections.abc import Iterator

LITERAL = Readings()
ETHERNET = bytes.fromhex("020000000001020000000002")

#: Source, destination, ports, hash of the addresses, hash of addresses and ports (Microsoft's vectors, MS-F5).
VECTORS = (
    ("66.9.149.187", "161.142.100.80", 2794, 1766, 0x323E8FC2, 0x51CCC178),
    ("199.92.111.2", "65.69.140.83", 14230, 4739, 0xD718262A, 0xC626B0EA),
    ("24.19.198.95", "12.22.207.184", 12898, 38024, 0xD2D0A5DE, 0x5C2B394A),
    ("38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xAFC7327F),
    ("153.39.163.191", "202.188.127.2", 44251, 1303, 0x5D1809C5, 0x10E828A2),
    ("3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2CC18CD5, 0x40207D3D),
    ("3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0F0C461C, 0xDDE51BBF),
    ("3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024, 0x4B61E985, 0x02D1FEEF),
)


def frame_of(source: str, destination: str, protocol: int, payload: bytes) -> bytes:
    """Return a plain frame."""
    src, dst = ip_address(source).packed, ip_address(destination).packed
    size = len(payload)
    if len(src) == 4:
        head = b"\x45\0" + (20 + size).to_bytes(2, "big") + bytes(4) + bytes([64, protocol, 0, 0])
        return ETHERNET + b"\x08\x00" + head + src + dst + payload
    return ETHERNET + b"\x86\xdd\x60\0\0\0" + size.to_bytes(2, "big") + bytes([protocol, 64]) + src + dst + payload


def ports_of(source: int, destination: int, protocol: int) -> bytes:
    """Return a TCP or UDP header."""
    ports = source.to_bytes(2, "big") + destination.to_bytes(2, "big")
    return ports + (bytes(8) + b"\x50" + bytes(7) if protocol == 6 else b"\0\x08\0\0")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector[0])
@pytest.mark.parametrize("protocol", [6, 17])
def test_microsofts_vectors_come_out_of_the_whole_model(
    vector: tuple[str, str, int, int, int, int], protocol: int
) -> None:
    source, destination, source_port, destination_port, addresses, ports = vector
    frame = frame_of(source, destination, protocol, ports_of(source_port, destination_port, protocol))
    six = ":" in source
    base = 4 if six else 1
    with_ports = base + (1 if protocol == 6 else 2)
    assert outcome(frame, Configuration(), LITERAL)[:2] == (with_ports, ports)
    only_addresses = Configuration(hash_types=1 << (base - 1))
    assert outcome(frame, only_addresses, LITERAL)[:2] == (base, addresses)
    for name in load_dialects():
        readings = dialect(name)
        report = with_ports + 3 if six and name == "ndis" else with_ports
        assert outcome(frame, Configuration(), readings)[:2] == (report, ports)


def test_the_extension_header_of_a_vector_changes_the_report_and_not_the_value() -> None:
    for source, destination, source_port, destination_port, addresses, ports in VECTORS[5:]:
        payload = b"\x06\0\x01\x04\0\0\0\0" + ports_of(source_port, destination_port, 6)
        frame = frame_of(source, destination, 0, payload)
        assert outcome(frame, Configuration(), LITERAL)[:2] == (8, ports)
        assert outcome(frame, Configuration(hash_types=0x3F), LITERAL)[:2] == (5, ports)
        assert outcome(frame, Configuration(hash_types=0x48), LITERAL)[:2] == (7, addresses)


def plainly(frame: bytes, configuration: Configuration) -> Outcome:
    """Return what the text says of an untagged frame with a whole packet, no options, extensions or fragments."""
    types = configuration.hash_types
    packet = frame[14:]
    six = packet[0] >> 4 == 6
    head, protocol = (40, packet[6]) if six else (20, packet[9])
    addresses = packet[8:40] if six else packet[12:20]
    report, data = 0, b""
    for kind, number in ((1, 6), (2, 17)):
        if report == 0 and protocol == number and types >> (3 * six + kind) & 1:
            report, data = 3 * six + kind + 1, addresses + packet[head:head + 4]
    if report == 0 and types >> (3 * six) & 1:
        report, data = 3 * six + 1, addresses
    if report == 0:
        return Outcome(0, 0, configuration.unclassified_queue)
    value = by_convolution(configuration.key, data)
    return Outcome(report, value, configuration.indirection_table[value % len(configuration.indirection_table)])


def test_the_literal_model_agrees_with_a_few_lines_of_other_code_on_plain_frames() -> None:
    r = Random(5)
    keys = [r.randbytes(40) for _ in range(20)]
    for _ in range(2000):
        width = r.choice((4, 16))
        source, destination = (str(ip_address(r.randbytes(width))) for _ in range(2))
        protocol = r.choice((6, 17, 1 if width == 4 else 58))
        payload = ports_of(r.randrange(65536), r.randrange(65536), protocol) + r.randbytes(r.randrange(4))
        configuration = Configuration(
            hash_types=r.randrange(512), key=r.choice(keys),
            indirection_table=tuple(r.randrange(16) for _ in range(1 << r.randrange(8))),
        )
        frame = frame_of(source, destination, protocol, payload)
        assert outcome(frame, configuration, LITERAL) == plainly(frame, configuration)


def some_frame() -> bytes:
    return frame_of(*VECTORS[0][:2], 6, ports_of(2794, 1766, 6))


def test_the_queue_is_the_entry_at_the_low_bits_of_the_hash() -> None:
    for bits in range(17):
        entries = 1 << bits
        configuration = Configuration(indirection_table=tuple(range(entries)))
        assert outcome(some_frame(), configuration, LITERAL).queue == 0x51CCC178 & (entries - 1)


def test_a_table_whose_size_is_no_power_of_two_is_indexed_by_mask_or_modulo() -> None:
    for entries in (3, 100, 127, 129, 65535):
        configuration = Configuration(indirection_table=tuple(range(entries)))
        assert outcome(some_frame(), configuration, LITERAL).queue == 0x51CCC178 & (entries - 1)
        modulo = Readings(table_size=TableSize.MODULO)
        assert outcome(some_frame(), configuration, modulo).queue == 0x51CCC178 % entries


def test_what_is_not_hashed_goes_to_the_unclassified_queue() -> None:
    for types in (0, 0x200, 0x1F8, 4):
        configuration = Configuration(hash_types=types, unclassified_queue=7)
        assert outcome(some_frame(), configuration, LITERAL) == Outcome(0, 0, 7)
    first = Readings(no_hash_types=NoHashTypes.FIRST_QUEUE)
    assert outcome(some_frame(), Configuration(hash_types=0), first) == Outcome(0, 0, 0)
    assert outcome(some_frame(), Configuration(hash_types=4), first) == Outcome(0, 0, 200)


def test_without_rss_there_is_no_queue() -> None:
    configuration = Configuration(features=frozenset({"HASH_REPORT"}))
    assert outcome(some_frame(), configuration, LITERAL) == Outcome(2, 0x51CCC178, -1)


def test_a_value_that_may_be_anything_is_said_so() -> None:
    readings = Readings(unhashed_value=UnhashedValue.UNSPECIFIED)
    assert outcome(b"", Configuration(), readings) == Outcome(0, ANY_VALUE, 200)
    assert outcome(some_frame(), Configuration(), readings).value == 0x51CCC178


def test_short_and_empty_keys_are_read_as_asked() -> None:
    frame, data = some_frame(), some_frame()[26:38]
    short = Configuration(key=MICROSOFT_KEY[:9])
    assert outcome(frame, short, LITERAL).value == by_convolution(MICROSOFT_KEY[:9], data)
    cyclic = Readings(short_key=ShortKey.CYCLIC)
    assert outcome(frame, short, cyclic).value == by_convolution(MICROSOFT_KEY[:9] * 5, data)
    assert not outcome(frame, short, Readings(short_key=ShortKey.UNHASHED)).hashed
    empty = Configuration(key=b"")
    assert outcome(frame, empty, LITERAL) == Outcome(2, 0, 0)
    assert not outcome(frame, empty, Readings(empty_key=EmptyKey.UNHASHED)).hashed
    assert not outcome(frame, empty, Readings(zero_value=ZeroValue.UNHASHED)).hashed


def test_a_configuration_that_cannot_be_sent_is_answered_too() -> None:
    assert outcome(some_frame(), Configuration(indirection_table=()), LITERAL).queue == 200


def test_with_hash_tunnel_and_no_type_enabled_the_outer_header_is_hashed_without_a_question() -> None:
    inside = some_frame()[14:]
    frame = frame_of("10.0.0.1", "10.0.0.2", 47, b"\0\0\x08\0" + inside)
    configuration = Configuration(features=frozenset({"RSS", "HASH_TUNNEL"}))
    inner = Readings(tunnel_unnegotiated=TunnelUnnegotiated.INNER)
    assert outcome(frame, configuration, inner) == outcome(frame, configuration, LITERAL)
    assert outcome(frame, configuration, LITERAL).report == 1
    assert outcome(frame, Configuration(), inner).report == 2


def cases(seed: int, count: int) -> Iterator[tuple[bytes, Configuration, Readings]]:
    r = Random(seed)
    configuration = random_frames.any_configuration(r)
    for number in range(count):
        if number % 8 == 0:
            configuration = random_frames.any_configuration(r)
        yield random_frames.any_frame(r), configuration, random_frames.any_readings(r)


def test_no_frame_configuration_or_readings_make_the_model_raise() -> None:
    for frame, configuration, readings in cases(11, 4000):
        report, value, queue = outcome(frame, configuration, readings)
        assert 0 <= report <= 9
        assert -1 <= value < 1 << 32
        assert (queue == -1) == ("RSS" not in configuration.features)


def test_a_frame_cut_at_any_place_does_not_make_the_model_raise() -> None:
    r = Random(12)
    for frame, configuration, readings in cases(13, 40):
        for end in range(len(frame)):
            outcome(frame[:end] + r.randbytes(r.choice((0, 0, 5))), configuration, readings)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.randoms(use_true_random=False))
def test_no_bytes_make_the_model_raise(data: bytes, random: Random) -> None:
    head = random.choice((b"", bytes(12) + b"\x08\0\x45", bytes(12) + b"\x86\xdd\x60", bytes(12) + b"\x81\0"))
    outcome(head + data, Configuration(), random_frames.any_readings(random))


@pytest.mark.parametrize(
    "repeated",
    ["81000000", "88a80000", "00000000", "88470000", "0000000000000000", "3c00c90000000000", "2b00000000000000",
     "2c00000000000000", "3300000000000000", "3a00000000000000", "3c00010001000100"],
)
def test_the_longest_frames_take_steps_in_proportion_to_their_length(repeated: str) -> None:
    for head in ("8100", "8847", "86dd60000000000000ff" + "01" * 32, "86dd600000000000" + "3cff" + "01" * 32,
                 "86dd600000000000" + "3aff" + "01" * 32, "08004f00" + "0000" * 8):
        frame = (bytes(12) + bytes.fromhex(head) + bytes.fromhex(repeated) * 8192)[:65536]
        for readings in (LITERAL, *odd_readings()):
            steps = Counted(frame)
            decide(steps, len(frame), 0x1FF, 0x1FF, readings)
            assert steps.count <= 40 * len(frame)


def odd_readings() -> Iterator[Readings]:
    r = Random(3)
    for _ in range(3):
        yield random_frames.any_readings(r)


class Counted(bytes):
    """Bytes that count how often they are read."""

    count = 0

    def __getitem__(self, index: object) -> object:  # type: ignore[override]
        self.count += 1
        return super().__getitem__(index)  # type: ignore[index]


def test_every_question_is_asked_by_some_frame() -> None:
    offered = offered_readings(defects=True)
    asked: set[str] = set()
    for frame, configuration, readings in cases(1, 12000):
        recorder = Asked(readings._asdict(), offered)
        outcome(frame, configuration, recorder)  # type: ignore[arg-type]
        asked |= set(recorder.__dict__["path"])
        if len(asked) == len(Readings._fields):
            break
    assert asked == set(Readings._fields)


def test_every_event_and_every_rule_occurs_and_has_words() -> None:
    events, rules = 0, set()
    for frame, configuration, readings in cases(2, 12000):
        selection = decide(frame, len(frame), configuration.hash_types, enabled_tunnels(configuration), readings)
        events |= selection.events | dissect(frame, len(frame), readings).events
        rules.add(selection.rule)
        if rules == set(RULES) and all(events & bit for bit in EVENTS):
            break
    assert rules == set(RULES)
    assert [step.words for bit, step in EVENTS.items() if not events & bit] == []


def test_the_defaults_of_the_readings_are_the_literal_dialect() -> None:
    assert dialect("literal") == LITERAL
    assert all(number == 0 for number in LITERAL)
    assert list(LITERAL._fields) == [question.field for question in load_questions().values()]


def test_every_dialect_has_a_reading_for_every_question() -> None:
    for name, readings in load_dialects().items():
        assert set(readings) == set(load_questions()), name
        assert all(0 <= number < len(load_questions()[key].readings) for key, number in readings.items())
