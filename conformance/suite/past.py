"""Bugs of the past: what went wrong in the field, and the frames or steps that would have shown it.

Each is told by project and change, with the versions that had it as far as that is known. A bug of packets has a
configuration and frames, of which the last is judged, and the outcome that the bug gives; a bug of the control queue
has the steps of a driver and the kind of fault that the bug gives. `conformance.past` puts them to targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from vnethash.conformance.device.negotiation import INJECTED
from vnethash.conformance.device.script import arp, hash_config, negotiate, raw_table, rss_config, tcp4
from vnethash.conformance.suite.case import IPV4, TCP_EX, TCPV4, TCPV6, config
from vnethash.models.device.state import Command, Looks, Packet, Reset
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import CTRL_MQ, CTRL_MQ_RSS_CONFIG, Report
from vnethash.spec.craft import DF, ethernet, ipv4, ipv6, raw, routing, tcp
from vnethash.spec.outcome import Outcome
from vnethash.spec.questions import load_questions
from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vnethash.conformance.device.script import Kit
    from vnethash.models.device.state import Step

#: Names of the implementations of which the versions are known, as their targets give them.
DEVICE, EBPF = "QEMU", "QEMU steering eBPF"


class Span(NamedTuple):
    """Versions of an implementation that have a bug: from `since` on, gone in `fixed` ("" if not gone yet)."""

    implementation: str
    since: str
    fixed: str


class Packets(NamedTuple):
    """Frames that arrive one after the other under a configuration; the last shows the bug by the outcome `wrong`."""

    configuration: Configuration
    frames: tuple[bytes, ...]
    wrong: Outcome


class Steps(NamedTuple):
    """What a driver does; the bug shows by one of the `faults` (`models.device.matching.Fault.kind`, or "died").

    `only` names the readings that free a device of it, where not every reading that the text allows does.
    """

    make: Callable[[Kit], tuple[Step, ...]]
    faults: frozenset[str]
    only: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug.

    Attributes:
        name: short and stable.
        words: a sentence: what went wrong.
        project: whose it was.
        change: what repaired it: a commit, and a CVE where it has one.
        clauses: ids of the clauses that it breaks, the deciding one first.
        spans: the versions that have it, as far as known.
        shows: how it is shown.
    """

    name: str
    words: str
    project: str
    change: str
    clauses: tuple[str, ...]
    spans: tuple[Span, ...]
    shows: Packets | Steps


@cache
def past() -> tuple[Bug, ...]:
    """Return all bugs, those of packets first."""
    return (*_of_packets(), *_of_steps())


def known(bug: Bug, implementation: str, version: str) -> bool | None:
    """Say whether a version is known to have a bug, None where nothing is known."""
    spans = [span for span in bug.spans if span.implementation == implementation]
    if not spans or not version:
        return None
    here = _numbers(version)
    return any(_numbers(span.since) <= here and (not span.fixed or here < _numbers(span.fixed)) for span in spans)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _read(configuration: Configuration, frame: bytes, **chosen: str) -> Outcome:
    """Return the outcome under some readings, all others literal."""
    questions = load_questions()
    names = {name.replace("_", "-"): reading for name, reading in chosen.items()}
    numbers = {questions[name].field: questions[name].index(reading) for name, reading in names.items()}
    return outcome(frame, configuration, Readings()._replace(**numbers))


def _by_reading(configuration: Configuration, frame: bytes, **chosen: str) -> Packets:
    return Packets(configuration, (frame,), _read(configuration, frame, **chosen))


def _as_other(configuration: Configuration, *frames: bytes, other: bytes) -> Packets:
    """Return frames of which the last is treated as if it were the `other`."""
    return Packets(configuration, frames, _read(configuration, other))


def _of_packets() -> tuple[Bug, ...]:
    plain = ethernet(ipv4(tcp()))
    kept = _read(config(TCPV4), plain)
    other = ethernet(ipv4(tcp(), source=bytes((192, 0, 2, 77)), destination=bytes((198, 51, 100, 9))))
    options = bytes((1, 1, 1, 1, 1, 1, 1, 0))
    hidden = ethernet(ipv6(raw(50, bytes((6, 0)) + bytes(6) + tcp().data)))
    other_key = Configuration(hash_types=TCPV4, key=bytes(range(1, 41)))
    return (
        Bug(
            "df-is-fragment", "a packet with the flag DF, as nearly all TCP has it, is hashed as a fragment",
            "QEMU, steering eBPF", "0cc14182ab", ("V4-1", "V4-2"), (Span(EBPF, "6.1", "9.0"),),
            _by_reading(config(TCPV4 | IPV4), ethernet(ipv4(tcp(), flags=DF)), fragment_flags="any-flag"),
        ),
        Bug(
            "zero-is-unhashed", "a packet whose hash is 0 goes to unclassified_queue and not by the table",
            "QEMU, steering eBPF", "72fa42cfca", ("RSS-D4", "RSS-D3"), (Span(EBPF, "6.1", "9.1"),),
            _by_reading(Configuration(hash_types=TCPV4, key=bytes(40)), plain, zero_value="unhashed"),
        ),
        Bug(
            "route-address-unread", "a type 2 routing header is read from too few bytes, and its address not hashed",
            "QEMU, device", "7d6a4f123e", ("X6-1", "X6-3"), (Span(DEVICE, "5.1", "6.0"),),
            _as_other(config(TCP_EX), ethernet(ipv6(routing(), tcp())), other=ethernet(ipv6(routing(kind=0), tcp()))),
        ),
        Bug(
            "previous-addresses", "a frame cut within its IP header is hashed by the addresses of the packet before it",
            "QEMU, device", "8.0", ("REP-2", "V4-0"), (Span(DEVICE, "5.1", "8.0"),),
            _as_other(config(IPV4), other, plain[:26], other=other),
        ),
        Bug(
            "esp-is-walked", "ESP is walked like an extension header, so encrypted bytes are taken for ports",
            "NetKVM; QEMU, device", "e04ad110", ("X6-0", "V6-0"), (),
            _by_reading(config(TCPV6), hidden, esp_header="walked"),
        ),
        Bug(
            "hash-lost-on-the-way", "a packet that the table sends to another queue than it came by loses its report",
            "QEMU, device", "1981fa9d7d", ("REP-1", "HC-9"), (Span(DEVICE, "9.1", "9.2"),),
            Packets(config(TCPV4), (plain,), Outcome(Report.NONE, 0, kept.queue)),
        ),
        Bug(
            "key-ignored", "the key that the driver sets is not used, only the one that is built in",
            "DPDK, TAP driver", "d8d065045c", ("RSS-10", "RSS-1"), (),
            Packets(other_key, (plain,), kept),
        ),
        Bug(
            "addresses-with-ports", "where only the addresses are to be hashed, the ports are hashed too",
            "DPDK, TAP driver", "d8d065045c", ("V4-3",), (),
            Packets(config(IPV4), (plain,), _read(config(IPV4 | TCPV4), plain)._replace(report=Report.IPV4)),
        ),
        Bug(
            "options-are-ports", "the ports are read at a fixed place, whatever the length of the IPv4 header",
            "DPDK, TAP driver", "d8d065045c", ("V4-1",), (),
            _as_other(
                config(TCPV4), ethernet(ipv4(tcp(), options=options)), other=ethernet(ipv4(tcp(0x0101, 0x0101)))
            ),
        ),
        Bug(
            "previous-queue", "a packet that is not hashed follows the hashed one before it to its queue",
            "DPDK, TAP driver", "54aad2f231", ("RSS-D3", "RSS-7"), (),
            Packets(config(TCPV4), (plain, arp()), Outcome(Report.NONE, 0, kept.queue)),
        ),
    )


def _of_steps() -> tuple[Bug, ...]:
    return (
        Bug(
            "reset-keeps-hashing", "after a reset, packets are still hashed by the configuration from before it",
            "QEMU, device", "cef776c03a", ("HCF-5", "GEN-3"), (Span(DEVICE, "5.1", "9.1"),),
            Steps(_reset, frozenset({"hashed"})),
        ),
        Bug(
            "header-of-the-backend", "before the first command the hash fields hold whatever the buffer held",
            "QEMU, device", "17437418c4", ("REP-2", "HCF-5"), (Span(DEVICE, "5.1", "9.2"),),
            Steps(_backend, frozenset({"hashed", "value"})),
        ),
        Bug(
            "table-entry-beyond", "an entry of the table beyond the last queue is used as an index all the same",
            "QEMU, device", "f1595ceb9a, CVE-2024-6505", ("RSS-R2", "RSS-3"),
            (Span(DEVICE, "5.1", "7.2.14"), Span(DEVICE, "8.0", "8.2.7"), Span(DEVICE, "9.0", "9.0.3")),
            Steps(_beyond, frozenset({"died", "lost"}), {"table-entry": ("refused", "unclassified", "modulo")}),
        ),
        Bug(
            "mask-overflows", "indirection_table_mask 0xffff is taken, because one more is 0 in 16 bits",
            "QEMU, device", "cd76e8fcbe", ("RSS-5", "RSS-R3"), (Span(DEVICE, "9.1", "9.2"),),
            Steps(_mask, frozenset({"accepted", "died"})),
        ),
        Bug(
            "num-buffers-unwritten", "num_buffers is not 1 where MRG_RXBUF is not negotiated",
            # That change is in 10.0; what is driven here still has the fault in 10.0.13 and 11.1.3.
            "QEMU, device", "c17ad4b11b", ("RX-7", "RX-1"), (Span(DEVICE, "5.1", ""),),
            Steps(_buffers, frozenset({"num-buffers"})),
        ),
    )


def _reset(kit: Kit) -> tuple[Step, ...]:
    features = kit.features.report
    again = (Reset(), negotiate(features), Packet(tcp4(), Looks.HASH))
    return (negotiate(features), hash_config(kit.types), Packet(tcp4(), Looks.HASH), *again)


def _backend(kit: Kit) -> tuple[Step, ...]:
    return (negotiate(kit.features.report), Packet(tcp4(), Looks.HASH, INJECTED))


def _beyond(kit: Kit) -> tuple[Step, ...]:
    table = raw_table((1000,) * 4)
    packets = (Packet(tcp4(port), Looks.QUEUE) for port in range(2000, 2008))
    return (negotiate(kit.best()), rss_config(kit.rss(indirection_table=table)), *packets)


def _mask(kit: Kit) -> tuple[Step, ...]:
    data = rss_config(kit.rss()).data
    # Mask 0xffff and no table at all: what follows stands where one of length 0 would end.
    cut = data[:4] + b"\xff\xff" + data[6:8] + data[16:]
    return (negotiate(kit.best()), Command(CTRL_MQ, CTRL_MQ_RSS_CONFIG, cut))


def _buffers(kit: Kit) -> tuple[Step, ...]:
    return (negotiate(kit.features.report), hash_config(kit.types), Packet(tcp4(), Looks.BUFFERS))
