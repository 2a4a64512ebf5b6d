"""Scripts about HASH_CONFIG and VQ_PAIRS_SET: hash reports without RSS, automatic steering, and both beside RSS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.device.receive_side import OTHER_KEY, PORTS
from vnethash.conformance.device.script import (
    PLAIN_HASH,
    PLAIN_RSS,
    Kit,
    Script,
    hash_config,
    negotiate,
    pairs_set,
    probe,
    rss_config,
    tcp4,
    tcp6,
)
from vnethash.models.device.state import MQ, Command, Looks, Packet
from vnethash.spec.commands import HashConfig
from vnethash.spec.constants import CTRL_MQ, CTRL_MQ_HASH_CONFIG, CTRL_MQ_VQ_PAIRS_SET, MICROSOFT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.models.device.state import Step

KEY_LENGTHS = (0, 1, 12, 16, 36, 39, 40, 41, 255)


def scripts(kit: Kit) -> Iterator[Script]:
    """Yield the scripts."""
    yield from _hash_config(kit)
    yield from _beside_rss(kit)
    yield from _pairs(kit)


def _script(
    kit: Kit, name: str, comment: str, clauses: tuple[str, ...], *steps: Step, features: int = 0, base: str = PLAIN_HASH
) -> Script:
    return Script(name, comment, clauses, (negotiate(features or kit.features.report), *steps), base=base)


def _hash_config(kit: Kit) -> Iterator[Script]:
    before = hash_config(kit.types)
    hashed = probe(Looks.HASH)
    packets = (Packet(tcp4(), Looks.HASH), Packet(tcp6(), Looks.HASH), hashed[1])
    yield _script(kit, "hash-plain", "A plain HASH_CONFIG: are types and key in use, and packets on the first queue?",
                  ("HCF-1", "HC-5", "HC-7", "HC-8", "ARS-D1"), before, *probe(), base="")
    yield _script(kit, "hash-without-mq", "HASH_CONFIG without MQ: is it taken?", ("HC-8", "HCF-1"), before, *probe(),
                  features=kit.features.report & ~MQ)
    yield _script(kit, "hash-twice", "Two HASH_CONFIGs: is only the second in use?", ("HC-5", "HC-7"),
                  before, *hashed, hash_config(kit.types, OTHER_KEY[:40]), *hashed)
    yield _script(kit, "hash-no-types", "HASH_CONFIG with hash_types 0 after one with all: is nothing hashed?",
                  ("HC-5", "HCF-4"), before, hash_config(0), *hashed)
    for length in KEY_LENGTHS:
        yield _script(kit, f"hash-key-{length}", f"HASH_CONFIG with a key of {length} bytes after one of 40: what is "
                      "hashed with it?", ("HCF-7", "HC-7", "CFG-3"), before,
                      hash_config(kit.types, OTHER_KEY[:length]), *packets)
    for name, bits in (("bit-9", 1 << 9), ("all-bits", 0xFFFFFFFF)):
        yield _script(kit, f"hash-types-{name}", "HASH_CONFIG with unsupported types: is it taken?", ("HCF-4", "CFG-6"),
                      before, hash_config(kit.types | bits), *hashed)
    for index in (0, 3):
        reserved = bytearray(8)
        reserved[2 * index] = 9
        yield _script(kit, f"hash-reserved-{index}", "HASH_CONFIG with a reserved word that is not 0: is it taken?",
                      ("HCF-6",), before, hash_config(kit.types, OTHER_KEY[:40], bytes(reserved)), *hashed)
    data = HashConfig(kit.types, OTHER_KEY[:40]).encode()
    for length in (0, 3, 4, 11, 12, 13, 52):
        yield _script(kit, f"hash-truncated-{length}", f"HASH_CONFIG cut to {length} of {len(data)} bytes: is it "
                      "refused, and what is in use then?", ("CVQ-1", "HCF-3"), before,
                      Command(CTRL_MQ, CTRL_MQ_HASH_CONFIG, data[:length]), *hashed)
    yield _script(kit, "hash-trailing", "HASH_CONFIG with bytes behind it: is it taken?", ("CVQ-1", "HCF-3"), before,
                  Command(CTRL_MQ, CTRL_MQ_HASH_CONFIG, data + b"\x55" * 8), *hashed)
    yield _script(kit, "hash-unnegotiated", "HASH_CONFIG with neither RSS nor HASH_REPORT: is it refused?",
                  ("HCF-1", "HC-1"), before, *probe(Looks.QUEUE), features=kit.features.queues, base="")
    yield _script(kit, "hash-unreported", "HASH_CONFIG with RSS and without HASH_REPORT: is it refused?",
                  ("HCF-1", "HC-1"), before, *probe(Looks.QUEUE), features=kit.features.rss, base="")


def _beside_rss(kit: Kit) -> Iterator[Script]:
    both, plain, types = kit.features.both, rss_config(kit.rss()), hash_config(kit.types, OTHER_KEY[:40])
    clauses = ("HC-2", "HC-8", "HCF-1", "MQ-4")
    yield _script(kit, "rss-then-hash", "HASH_CONFIG after RSS_CONFIG: which types, key and queues are in use?",
                  clauses, plain, types, *probe(), features=both, base=PLAIN_RSS)
    yield _script(kit, "rss-then-hash-then-rss", "RSS_CONFIG, HASH_CONFIG, RSS_CONFIG: is the last one in use?",
                  ("MQ-4", "HC-2", "RSS-D4"), plain, types, plain, *probe(), features=both, base=PLAIN_RSS)
    yield _script(kit, "hash-then-rss", "HASH_CONFIG and then RSS_CONFIG, with RSS: is the last one in use?",
                  ("MQ-4", "HC-2", "RSS-D4"), types, plain, *probe(), features=both, base=PLAIN_RSS)
    yield _script(kit, "rss-then-hash-refused", "HASH_CONFIG with too long a key after RSS_CONFIG: what is in use?",
                  ("CVQ-2", "HC-2"), plain, hash_config(kit.types, OTHER_KEY), *probe(), features=both, base=PLAIN_RSS)
    reserved = bytes(4) + b"\x09" + bytes(3)
    yield _script(kit, "rss-then-hash-reserved", "HASH_CONFIG with a reserved word after RSS_CONFIG: what is in use?",
                  ("HCF-6", "HC-2"), plain, hash_config(kit.types, MICROSOFT_KEY, reserved), *probe(), features=both,
                  base=PLAIN_RSS)
    yield _script(kit, "rss-unnegotiated", "RSS_CONFIG without RSS, after HASH_CONFIG: is it refused?",
                  ("RSS-R1", "HC-5"), hash_config(kit.types), plain, *probe())


def _pairs(kit: Kit) -> Iterator[Script]:
    queues, both, report = kit.features.queues, kit.features.both | MQ, kit.features.report | MQ
    flows = tuple(Packet(tcp4(port), Looks.QUEUE) for port in PORTS[:8])
    for number in sorted({1, 2, kit.pairs}):
        if number <= kit.pairs:
            yield _script(kit, f"pairs-{number}", f"VQ_PAIRS_SET {number}: are packets on these queues only?",
                          ("ARS-D2", "ARS-1", "MQ-3"), pairs_set(number), *flows, features=queues, base="")
    yield _script(kit, "pairs-down", "VQ_PAIRS_SET with all and then with 1: are packets on the first queue?",
                  ("ARS-D2", "ARS-2"), pairs_set(kit.pairs), *flows, pairs_set(1), *flows, features=queues, base="")
    for number in sorted({0, kit.pairs + 1, 0x8001, 0xFFFF}):
        yield _script(kit, f"pairs-{number}-refused", f"VQ_PAIRS_SET {number}, out of range: is it refused?",
                      ("ARS-R1", "ARS-D2"), pairs_set(1), pairs_set(number), *flows, features=queues, base="")
        yield _script(kit, f"rss-then-pairs-{number}", f"VQ_PAIRS_SET {number}, out of range, after RSS_CONFIG: what "
                      "is in use?", ("CVQ-2", "ARS-R1", "HC-2"), rss_config(kit.rss()), pairs_set(number), *probe(),
                      features=both, base=PLAIN_RSS)
    number = kit.pairs + 1
    yield _script(kit, "hash-then-pairs-refused", f"VQ_PAIRS_SET {number}, out of range, after HASH_CONFIG: what is in "
                  "use?", ("CVQ-2", "HC-5"), hash_config(kit.types), pairs_set(number), *probe(), features=report)
    for length in (0, 1, 3):
        yield _script(kit, f"pairs-length-{length}", f"VQ_PAIRS_SET with {length} bytes: is it taken?",
                      ("CVQ-1", "MQ-3"), Command(CTRL_MQ, CTRL_MQ_VQ_PAIRS_SET, b"\x01\0\0"[:length]), *flows[:2],
                      features=queues, base="")
    yield _script(kit, "rss-then-pairs", "VQ_PAIRS_SET after RSS_CONFIG: is steering automatic, and do reports go on?",
                  ("MQ-4", "ARS-1", "HC-2"), rss_config(kit.rss()), pairs_set(kit.pairs), *probe(), features=both,
                  base=PLAIN_RSS)
    yield _script(kit, "pairs-then-rss", "RSS_CONFIG after VQ_PAIRS_SET 1: does the table steer?", ("MQ-4", "RSS-D4"),
                  pairs_set(1), rss_config(kit.rss()), *probe(), features=both, base=PLAIN_RSS)
    yield _script(kit, "rss-then-pairs-then-rss", "RSS_CONFIG, VQ_PAIRS_SET, RSS_CONFIG: is the last one in use?",
                  ("MQ-4", "RSS-D4", "HC-2"), rss_config(kit.rss(hash_key_data=OTHER_KEY[:40])), pairs_set(1),
                  rss_config(kit.rss()), *probe(), features=both, base=PLAIN_RSS)
    yield _script(kit, "hash-then-pairs", "VQ_PAIRS_SET after HASH_CONFIG: do hash reports go on?",
                  ("HC-5", "HCF-1", "MQ-4"), hash_config(kit.types), pairs_set(kit.pairs), *probe(), features=report)
    yield _script(kit, "pairs-then-hash", "HASH_CONFIG after VQ_PAIRS_SET: are packets hashed?", ("HC-5", "HCF-1"),
                  pairs_set(kit.pairs), hash_config(kit.types), *probe(), features=report)
    yield _script(kit, "pairs-without-mq", "VQ_PAIRS_SET without MQ, after RSS_CONFIG: is it refused, and what is in "
                  "use?", ("MQ-1", "FB-2", "HC-2"), rss_config(kit.rss()), pairs_set(1), *probe(),
                  features=both & ~MQ, base=PLAIN_RSS)
