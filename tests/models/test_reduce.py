"""Frames and configurations made small."""

from __future__ import annotations

from vnethash.models.reduce import reduce
from vnethash.models.reference import dissect
from vnethash.spec.configuration import Configuration
from vnethash.spec.readings import Readings

from tests.conformance.planted import TCP, fragment, hop_by_hop, ipv4, ipv6

LITERAL = Readings()


def has_tcp(frame: bytes, _: Configuration) -> bool:
    return dissect(frame, len(frame), LITERAL).transport == 6


def test_extension_headers_that_do_not_matter_go() -> None:
    frame = ipv6(0, hop_by_hop(60) + hop_by_hop(44) + fragment() + TCP + b"payload")
    small, _ = reduce(frame, Configuration(), has_tcp)
    assert small == ipv6()


def test_headers_that_matter_stay() -> None:
    def atomic(frame: bytes, configuration: Configuration) -> bool:
        return has_tcp(frame, configuration) and dissect(frame, len(frame), LITERAL).fragment == 3

    frame = ipv6(0, hop_by_hop(44) + fragment() + TCP + b"payload")
    small, _ = reduce(frame, Configuration(), atomic)
    assert small == ipv6(44, fragment() + TCP)


def test_tags_options_and_payload_go() -> None:
    plain = ipv4(payload=TCP + b"payload")
    options = plain[:14] + b"\x46\0" + (20 + 4 + len(TCP) + 7).to_bytes(2, "big") + plain[18:34] + bytes(4) + plain[34:]
    tagged = options[:12] + b"\x88\xa8\0\1\x81\0\0\2" + options[12:]
    small, _ = reduce(tagged, Configuration(), has_tcp)
    assert small == ipv4()


def test_the_configuration_comes_nearer_to_the_default() -> None:
    odd = Configuration(hash_types=0x13, key=bytes(40), indirection_table=(1, 2), unclassified_queue=5)
    _, plain = reduce(ipv4(), odd, lambda _, configuration: bool(configuration.hash_types & 2))
    assert plain == Configuration(hash_types=2)


def test_what_does_not_hold_for_anything_smaller_is_left() -> None:
    frame = ipv6(44, fragment() + TCP)
    untouched = (frame, Configuration())
    assert reduce(*untouched, lambda *candidate: candidate == untouched) == untouched
