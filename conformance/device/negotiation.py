"""Scripts about features, the configuration space, the state before the first command, resets, and the header."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from vnethash.conformance.device.receive_side import OTHER_KEY, PORTS
from vnethash.conformance.device.script import (
    PLAIN_HASH,
    PLAIN_RSS,
    Kit,
    Script,
    arp,
    encapsulated,
    hash_config,
    negotiate,
    pairs_set,
    probe,
    rss_config,
    tcp4,
    tunnel_set,
)
from vnethash.models.device import state as s
from vnethash.models.device.state import Looks, Packet, Reset, Space
from vnethash.spec.commands import RqId
from vnethash.spec.constants import ALL_TUNNEL_TYPES, MICROSOFT_KEY, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

#: 0xdeadbeef as hash_value, TCPv6 as hash_report and 0x7777 as padding, which a backend puts before a frame.
INJECTED = bytes(10) + bytes.fromhex("0100 efbeadde 0500 7777")

_OPTIONAL = (s.MQ, s.RSS, s.HASH_REPORT, s.HASH_TUNNEL, s.RSS_CONTEXT)


def scripts(kit: Kit) -> Iterator[Script]:
    """Yield the scripts."""
    yield Script("space", "Read the configuration space: are its fields within their bounds?",
                 ("CFG-10", "CFG-9", "CFG-11"), (Space(),))
    yield from _subsets(kit)
    yield from _initial(kit)
    yield from _resets(kit)
    yield from _headers(kit)


def names_of(features: int) -> str:
    """Return the hashing features in a number, e.g. "mq-rss"."""
    names = [one.name.lower().replace("_", "-") for one in Feature if features >> one & 1 and one != Feature.CTRL_VQ]
    return "-".join(names) or "none"


def _subsets(kit: Kit) -> Iterator[Script]:
    """Every subset of the features that the device offers, valid or not."""
    control = s.CTRL_VQ & kit.traits.offered
    for chosen in product((False, True), repeat=len(_OPTIONAL)):
        bits = sum(bit for bit, taken in zip(_OPTIONAL, chosen, strict=True) if taken)
        for queue in sorted({0, control}, reverse=True):
            if bits & ~kit.traits.offered or (not queue and (not bits or bits & (s.HASH_TUNNEL | s.RSS_CONTEXT))):
                continue
            features = kit.basis & ~s.CTRL_VQ | queue | bits
            name = f"features-{names_of(bits)}" + ("" if queue else "-without-control-queue")
            yield Script(
                name, f"Negotiate {names_of(bits)} {'with' if queue else 'without'} a control queue: is it taken?",
                ("GEN-9", "FB-9", "FB-10", "FB-11"), (negotiate(features),),
            )
    both = (negotiate(kit.best()), Reset(), negotiate(kit.best()), negotiate(kit.basis), negotiate(kit.best()))
    yield Script(
        "features-again", "Negotiate, reset, negotiate the same and less: is each taken?", ("GEN-9", "GEN-3"), both,
    )


def _initial(kit: Kit) -> Iterator[Script]:
    """Packets before any command, to a device that was started anew."""
    for name, features, clauses in (
        ("report", kit.features.report, ("HCF-5", "ARS-D1")),
        ("both", kit.features.both, ("HCF-5", "ARS-D1", "MQ-2")),
        ("rss", kit.features.rss, ("ARS-D1", "MQ-2")),
        ("mq", kit.features.queues, ("ARS-D1", "MQ-2")),
        ("no-control-queue", kit.basis & ~s.CTRL_VQ | s.HASH_REPORT, ("HCF-5", "CFG-12")),
    ):
        yield Script(
            f"initial-{name}", f"Packets before the first command, with {names_of(features)}: are they unhashed, on "
            "the first queue?", clauses, (negotiate(features), *probe()), fresh=True,
        )
    for name, features in (("report", kit.features.report), ("both", kit.features.both)):
        yield Script(
            f"initial-{name}-header", "The backend puts bytes into the hash fields before the first command, with "
            f"{names_of(features)}: is the report NONE?", ("REP-2", "HCF-5"),
            (negotiate(features), Packet(tcp4(), Looks.HASH, INJECTED), Packet(arp(), Looks.HASH, INJECTED)),
            fresh=True,
        )


def _resets(kit: Kit) -> Iterator[Script]:
    """What outlives a reset."""
    report, both, rss = kit.features.report, kit.features.both, kit.features.rss
    plain, types = rss_config(kit.rss()), hash_config(kit.types)
    yield Script(
        "reset-rss", "RSS_CONFIG, reset, negotiate again, no command: are packets unhashed, on the first queue?",
        ("HCF-5", "ARS-D1", "GEN-3"), (negotiate(both), plain, Reset(), negotiate(both), *probe()), base=PLAIN_RSS,
    )
    yield Script(
        "reset-hash", "HASH_CONFIG, reset, negotiate again, no command: are packets unhashed?", ("HCF-5", "GEN-3"),
        (negotiate(report), types, Reset(), negotiate(report), *probe(Looks.HASH)), base=PLAIN_HASH,
    )
    yield Script(
        "reset-rss-to-report", "RSS_CONFIG, reset, negotiate without RSS: are packets unhashed, on the first queue?",
        ("HCF-5", "ARS-D1", "HC-1"), (negotiate(both), plain, Reset(), negotiate(report), *probe()), base=PLAIN_RSS,
    )
    yield Script(
        "reset-steering", "RSS_CONFIG, reset, negotiate MQ alone: do packets go to the first queue?",
        ("ARS-D1", "MQ-2"), (negotiate(rss), plain, Reset(), negotiate(kit.features.queues), *probe(Looks.QUEUE)),
    )
    yield Script(
        "reset-pairs", "VQ_PAIRS_SET, reset, negotiate again: do packets go to the first queue?", ("ARS-D1", "MQ-2"),
        (negotiate(kit.features.queues), pairs_set(kit.pairs), Reset(), negotiate(kit.features.queues),
         *(Packet(tcp4(port), Looks.QUEUE) for port in range(1000, 1008))),
    )
    yield Script(
        "reset-configured-anew", "RSS_CONFIG, reset, another RSS_CONFIG: does only the second count?",
        ("MQ-4", "HC-2", "HC-4"),
        (negotiate(both), plain, Reset(), negotiate(both),
         rss_config(kit.rss(hash_key_data=bytes(range(40)), unclassified_queue=kit.rss().indirection_table[0])),
         *probe()),
        base=PLAIN_RSS,
    )
    # After a packet that tells whether types outlive it: a key too short for the last bytes that are hashed.
    entries = tuple(RqId(number % kit.pairs) for number in range(4))
    long, short = (
        rss_config(kit.rss(indirection_table=entries, hash_key_data=key)) for key in (MICROSOFT_KEY, OTHER_KEY[:12])
    )
    best = negotiate(kit.best())
    yield Script(
        "reset-rss-short-key", "RSS_CONFIG, reset, RSS_CONFIG with a key of 12 bytes: does anything of the first key "
        "count?", ("HCF-5", "GEN-3", "RSS-10"),
        (best, long, Reset(), best, Packet(tcp4()), short, *(Packet(tcp4(port)) for port in PORTS[:4])),
        base=PLAIN_RSS,
    )
    yield Script(
        "reset-hash-short-key", "HASH_CONFIG, reset, HASH_CONFIG with a key of 12 bytes: does anything of the first "
        "key count?", ("HCF-5", "GEN-3", "HCF-7"),
        (negotiate(report), types, Reset(), negotiate(report), Packet(tcp4(), Looks.HASH),
         hash_config(kit.types, OTHER_KEY[:12]), *probe(Looks.HASH)),
        base=PLAIN_HASH,
    )
    tunnels = kit.traits.tunnel_types & ALL_TUNNEL_TYPES
    features = both | s.HASH_TUNNEL
    yield Script(
        "reset-tunnel", "HASH_TUNNEL_SET, reset, RSS_CONFIG: is the outer header hashed?", ("INN-D3", "INN-6"),
        (negotiate(features), tunnel_set(tunnels), Reset(), negotiate(features), plain, *probe(),
         Packet(encapsulated())),
        fresh=True, base=PLAIN_RSS,
    )


def _headers(kit: Kit) -> Iterator[Script]:
    """Size, num_buffers and padding of the header, with and without hash reports and mergeable buffers."""
    looks = ((Looks.SIZE, "size", ("HDR-1", "RXB-3")), (Looks.BUFFERS, "num-buffers", ("RX-7", "RX-1")),
             (Looks.PADDING, "padding", ("HDR-1",)))
    kinds = (("report", kit.features.report, hash_config(kit.types)), ("rss", kit.features.rss, rss_config(kit.rss())),
             ("both", kit.features.both, rss_config(kit.rss())))
    for (name, features, command), merge, (look, what, clauses) in product(kinds, (0, s.MRG_RXBUF), looks):
        if look == Looks.PADDING and (name == "rss" or merge):
            continue
        merged = "-mergeable" if merge else ""
        long = tcp4() + bytes(1300)
        yield Script(
            f"header-{what}-{name}{merged}", f"A packet with {names_of(features)}{merged.replace('-', ', ')}: is "
            f"{what.replace('-', '_')} right?", clauses,
            (negotiate(features | merge), command, Packet(tcp4(), look), Packet(arp(), look), Packet(long, look)),
        )
    for name, features, command in kinds[::2]:
        yield Script(
            f"header-injected-{name}", "The backend puts bytes into the hash fields, and packets are hashed: are the "
            "fields the device's own?", ("REP-1", "REP-2", "HDR-1"),
            (negotiate(features), command, Packet(tcp4(), Looks.HASH, INJECTED), Packet(arp(), Looks.HASH, INJECTED)),
            base=PLAIN_HASH if name == "report" else PLAIN_RSS,
        )
        yield Script(
            f"header-injected-padding-{name}", "The backend puts bytes into padding_reserved: does the device write 0?",
            ("HDR-1",), (negotiate(features), command, Packet(tcp4(), Looks.PADDING, INJECTED)),
        )
