"""Scripts about RSS_CONFIG: keys, types, tables, queues, lengths; taken, refused, and what a refusal leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.device.script import (
    PLAIN_RSS,
    Kit,
    Script,
    negotiate,
    probe,
    raw_table,
    rss_config,
    tcp4,
    tcp6,
)
from vnethash.models.device.state import MQ, Command, Looks, Packet
from vnethash.spec.commands import RqId, RssConfig
from vnethash.spec.constants import ALL_HASH_TYPES, CTRL_MQ, CTRL_MQ_RSS_CONFIG, MICROSOFT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.models.device.state import Step

#: Key lengths around every input that a hash has (8, 12, 32, 36 bytes and 4), the bound, and the field.
KEY_LENGTHS = (1, 4, 11, 12, 13, 15, 16, 17, 35, 36, 37, 39, 40, 41, 52, 64, 128, 254, 255)
#: A key that has nothing of Microsoft's.
OTHER_KEY = bytes((7 * k + 0x21) & 0xFF for k in range(255))
#: TCP ports whose frames fall on the entries 0 to 3 of a table of four under Microsoft's key.
PORTS = tuple(range(2794, 2826))


def scripts(kit: Kit) -> Iterator[Script]:
    """Yield the scripts."""
    yield from _plain(kit)
    yield from _keys(kit)
    yield from _types(kit)
    yield from _tables(kit)
    yield from _lengths(kit)


def _script(
    kit: Kit, name: str, comment: str, clauses: tuple[str, ...], *steps: Step, features: int = 0, base: str = PLAIN_RSS
) -> Script:
    return Script(f"rss-{name}", comment, clauses, (negotiate(features or kit.best()), *steps), base=base)


def _plain(kit: Kit) -> Iterator[Script]:
    plain = rss_config(kit.rss())
    yield _script(kit, "plain", "A plain RSS_CONFIG: are types, key, table and unclassified_queue in use?",
                  ("RSS-D1", "RSS-D4", "RSS-D3", "HC-2", "HC-4"), plain, *probe(), base="")
    yield _script(kit, "without-mq", "RSS without MQ: does the table steer all the same?", ("RSS-D4", "FB-9", "MQ-1"),
                  plain, *probe(), features=kit.best() & ~MQ)
    yield _script(kit, "without-report", "RSS without HASH_REPORT: does the table steer?", ("RSS-D4", "RSS-D3"),
                  plain, *probe(Looks.QUEUE), features=kit.features.rss, base="")
    second = rss_config(kit.rss(
        hash_key_data=OTHER_KEY[:40], unclassified_queue=kit.rss().indirection_table[0],
        indirection_table=(RqId(kit.last),) * 2,
    ))
    yield _script(kit, "twice", "Two RSS_CONFIGs: is only the second in use?", ("MQ-4", "HC-2", "RSS-D4"),
                  plain, *probe(), second, *probe())
    entries = tuple(RqId((k + 1) % kit.pairs) for k in range(4))
    yield _script(kit, "table-4", "A table of four entries: does each hash find its entry?",
                  ("RSS-D4", "RSS-5", "RSS-8"),
                  rss_config(kit.rss(indirection_table=entries)), *(Packet(tcp4(port)) for port in PORTS[:8]))
    for size in sorted({1, 2, 64, 128, 1 << max(0, kit.traits.table.bit_length() - 1)}):
        if size <= max(1, kit.traits.table):
            table = tuple(RqId(k % kit.pairs) for k in range(size))
            yield _script(kit, f"table-{size}", f"A table of {size} entries: does each hash find its entry?",
                          ("RSS-D4", "RSS-5"), rss_config(kit.rss(indirection_table=table)),
                          *(Packet(tcp4(port)) for port in PORTS[:8]))
    for queue in range(min(kit.pairs, 4)):
        yield _script(kit, f"unclassified-{queue}", f"unclassified_queue {queue}: do unhashed packets go there?",
                      ("RSS-D3", "RSS-7"), rss_config(kit.rss(unclassified_queue=RqId(queue))), *probe())


def _keys(kit: Kit) -> Iterator[Script]:
    long = max(kit.traits.key, 40)
    before = rss_config(kit.rss())
    packets = (Packet(tcp4()), Packet(tcp6()), probe()[1])
    for length in sorted({*KEY_LENGTHS, long, min(long + 1, 255)}):
        sent = rss_config(kit.rss(hash_key_data=OTHER_KEY[:length]))
        yield _script(kit, f"key-{length}", f"A key of {length} bytes after one of 40: what is hashed with it?",
                      ("RSS-10", "HC-4", "CFG-3"), before, sent, *packets)
    yield _script(kit, "key-0", "A key of no bytes after one of 40: is it taken, and what is hashed with it?",
                  ("RSS-10", "HC-4"), before, rss_config(kit.rss(hash_key_data=b"")), *packets)
    yield _script(kit, "key-zeros", "A key of zeros: are packets hashed, to 0?", ("RSS-10", "REP-1", "RSS-D4"),
                  before, rss_config(kit.rss(hash_key_data=bytes(40))), *packets)


def _types(kit: Kit) -> Iterator[Script]:
    before = rss_config(kit.rss())
    queue = kit.rss().indirection_table[0]
    for name, key in (("with-key", MICROSOFT_KEY), ("without-key", b"")):
        # unclassified_queue is not the first one, so that it shows whether RSS is off or all is unclassified.
        none = rss_config(kit.rss(hash_types=0, hash_key_data=key))
        yield _script(kit, f"no-types-{name}", f"hash_types 0 {name.replace('-', ' ')}: do packets go to "
                      "unclassified_queue?", ("RSS-D3", "RSS-4", "RSS-7"), before, none, *probe())
        yield _script(kit, f"no-types-{name}-at-first", f"hash_types 0 {name.replace('-', ' ')} as first command: do "
                      "packets go to unclassified_queue?", ("RSS-D3", "RSS-4", "RSS-7"),
                      rss_config(kit.rss(hash_types=0, hash_key_data=key, unclassified_queue=queue)), *probe())
    for name, bits in (("bit-9", 1 << 9), ("bit-31", 1 << 31), ("all-bits", 0xFFFFFFFF)):
        yield _script(kit, f"types-{name}", "Unsupported bits in hash_types: is the command taken, and what is hashed?",
                      ("RSS-R5", "CFG-6"), before, rss_config(kit.rss(hash_types=kit.types | bits)), *probe())
    unsupported = ALL_HASH_TYPES & ~kit.traits.hash_types
    if unsupported:
        yield _script(kit, "types-unsupported", "A defined type that the device does not support: is the command "
                      "taken?", ("RSS-R5", "CFG-6"), before, rss_config(kit.rss(hash_types=ALL_HASH_TYPES)), *probe())


def _tables(kit: Kit) -> Iterator[Script]:
    before = rss_config(kit.rss())
    queue = kit.rss().indirection_table[0]
    eight = tuple(Packet(tcp4(port)) for port in PORTS[:8])
    for size in (3, 6, 127):
        table = tuple(RqId(k % kit.pairs) for k in range(size))
        yield _script(kit, f"mask-{size - 1}", f"A table of {size} entries, no power of two: is it refused?",
                      ("RSS-R3", "RSS-5"), before, rss_config(kit.rss(indirection_table=table)), *eight)
    beyond = 1 << kit.traits.table.bit_length()
    if beyond <= 0x4000:
        yield _script(kit, f"mask-{beyond - 1}", f"A table of {beyond} entries, more than the device takes: is it "
                      "refused?", ("RSS-R4", "CFG-4"), before,
                      rss_config(kit.rss(indirection_table=(queue,) * beyond)), *eight)
    # As long as the data of a table that fits, so that nobody needs 128 KiB for it.
    wide = bytearray(kit.rss(indirection_table=(queue,) * 128).encode())
    wide[4:6] = b"\xff\xff"
    yield _script(kit, "mask-65535", "indirection_table_mask 0xffff: is it refused?", ("RSS-R4", "CFG-4"), before,
                  Command(CTRL_MQ, CTRL_MQ_RSS_CONFIG, bytes(wide)), *probe())
    for name, entry in (("beyond", kit.pairs), ("far", 0x7FFF), ("reserved-bit", 0x8000 | queue.number)):
        table = raw_table((entry,) * 4)
        yield _script(kit, f"entry-{name}", f"Table entries {entry:#x} that name no queue: what becomes of packets?",
                      ("RSS-R2", "RSS-6", "RSS-3"), before, rss_config(kit.rss(indirection_table=table)), *probe())
        yield _script(kit, f"unclassified-{name}", f"unclassified_queue {entry:#x} names no queue: is it taken?",
                      ("RSS-7", "RSS-R2"), before,
                      rss_config(kit.rss(unclassified_queue=RqId.from_number(entry))), *probe())
    for name, number in (("0", 0), ("beyond", kit.pairs + 1), ("65535", 0xFFFF)):
        yield _script(kit, f"max-tx-vq-{name}", f"max_tx_vq {number}: is the command taken?", ("RSS-9",), before,
                      rss_config(kit.rss(max_tx_vq=number)), *probe())
    if kit.pairs > 1:
        yield _script(kit, "max-tx-vq-1", "max_tx_vq 1, while the table names another queue: do packets go there?",
                      ("RSS-D4", "RSS-D3", "RSS-9"), before, rss_config(kit.rss(max_tx_vq=1)), *probe())
    if kit.pairs > 2:
        last = kit.rss(max_tx_vq=kit.last, indirection_table=(RqId(kit.last),))
        yield _script(kit, "max-tx-vq-less", "max_tx_vq one less than there are queues, while the table names the "
                      "last: do packets go there?", ("RSS-D4", "RSS-D3", "RSS-9"), before, rss_config(last), *probe())


def field_ends(config: RssConfig) -> list[int]:
    """Return the offsets behind each field of RSS_CONFIG."""
    entries = len(config.indirection_table)
    tail = 8 + 2 * entries
    return [4, 6, 8, tail, tail + 2, tail + 3, tail + 3 + len(config.hash_key_data)]


def _lengths(kit: Kit) -> Iterator[Script]:
    before = rss_config(kit.rss())
    config = kit.rss(hash_key_data=OTHER_KEY[:40], unclassified_queue=kit.rss().indirection_table[0])
    data = config.encode()
    for length in sorted({0, 1, *field_ends(config)[:-1], *(end - 1 for end in field_ends(config)), len(data) - 20}):
        yield _script(kit, f"truncated-{length}", f"RSS_CONFIG cut to {length} of {len(data)} bytes: is it refused, "
                      "and what is in use then?", ("CVQ-1", "RSS-3", "CVQ-2"), before,
                      Command(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data[:length]), *probe())
    for count in (1, 40, 4096):
        yield _script(kit, f"trailing-{count}", f"RSS_CONFIG with {count} bytes behind it: is it taken?",
                      ("CVQ-1", "RSS-3"), before,
                      Command(CTRL_MQ, CTRL_MQ_RSS_CONFIG, data + bytes(k & 0xFF for k in range(count))), *probe())
