"""Scripts about unknown commands, HASH_TUNNEL_SET and RSS contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.conformance.device.receive_side import OTHER_KEY
from vnethash.conformance.device.script import (
    PLAIN_HASH,
    PLAIN_RSS,
    Kit,
    Script,
    encapsulated,
    hash_config,
    negotiate,
    pairs_set,
    probe,
    rss_config,
    tunnel_set,
)
from vnethash.models.device.state import HASH_TUNNEL, MQ, RSS_CONTEXT, Command, Packet, Reset
from vnethash.spec import constants as c
from vnethash.spec.commands import RssContextAddModify, RssContextDel
from vnethash.spec.constants import ALL_TUNNEL_TYPES, TunnelType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.models.device.state import Step

#: (class, command) pairs that the specification does not have.
UNKNOWN = ((c.CTRL_MQ, 3), (c.CTRL_MQ, 255), (c.CTRL_HASH_TUNNEL, 1), (c.RSS_CTX_CTRL, 4), (200, 0), (255, 255))


def scripts(kit: Kit) -> Iterator[Script]:
    """Yield the scripts."""
    for class_, command in UNKNOWN:
        step = Command(class_, command, b"\x01\0")
        yield Script(f"unknown-{class_}-{command}", f"Command {command} of class {class_}, which is not defined, after "
                     "RSS_CONFIG: is it refused, and is all as before?", ("CVQ-2", "HC-2"),
                     (negotiate(kit.best()), rss_config(kit.rss()), step, *probe()), base=PLAIN_RSS)
    yield Script("unknown-after-hash", "An undefined command of class MQ after HASH_CONFIG: is all as before?",
                 ("CVQ-2", "HC-5"),
                 (negotiate(kit.features.report), hash_config(kit.types), Command(c.CTRL_MQ, 77, b""), *probe()),
                 base=PLAIN_HASH)
    yield from _tunnels(kit)
    yield from _contexts(kit)


def _tunnels(kit: Kit) -> Iterator[Script]:
    features, plain = kit.best() | HASH_TUNNEL, rss_config(kit.rss())
    supported = kit.traits.tunnel_types & ALL_TUNNEL_TYPES
    packet = Packet(encapsulated())
    kind = supported & TunnelType.IPIP or supported

    def script(name: str, comment: str, clauses: tuple[str, ...], *steps: Step, bits: int = features) -> Script:
        return Script(f"tunnel-{name}", comment, clauses, (negotiate(bits), *steps), fresh=True, base=PLAIN_RSS)

    yield script("unset", "HASH_TUNNEL before any HASH_TUNNEL_SET: is the outer header hashed?", ("INN-6", "INN-D1"),
                 plain, packet)
    yield script("set", "HASH_TUNNEL_SET with a supported type: is the inner header hashed?", ("TUN-2", "INN-4"),
                 plain, tunnel_set(kind), packet, *probe())
    yield script("before", "HASH_TUNNEL_SET before RSS_CONFIG: is the inner header hashed?", ("TUN-2", "HC-3"),
                 tunnel_set(kind), plain, packet)
    yield script("off", "HASH_TUNNEL_SET with 0 after one with a type: is the outer header hashed?",
                 ("INN-D3", "INN-5"), plain, tunnel_set(kind), tunnel_set(0), packet)
    yield script("kept", "A second RSS_CONFIG after HASH_TUNNEL_SET: is the inner header still hashed?",
                 ("TUN-2", "INN-5", "HC-3"), tunnel_set(kind), plain, rss_config(kit.rss(hash_key_data=OTHER_KEY[:40])),
                 packet)
    beyond = 1 << 20
    yield script("unsupported", "HASH_TUNNEL_SET with an unsupported type beside a supported one: is it refused, and "
                 "which are enabled?", ("INN-D2", "INN-R2"), plain, tunnel_set(kind | beyond), packet)
    yield script("unsupported-after", "The same after all types were enabled: which are enabled?", ("INN-D2", "INN-4"),
                 plain, tunnel_set(supported), tunnel_set(beyond), packet)
    for length in (0, 3):
        data = kind.to_bytes(4, "little")[:length]
        yield script(f"truncated-{length}", f"HASH_TUNNEL_SET with {length} bytes: is it refused?", ("CVQ-1", "INN-2"),
                     plain, Command(c.CTRL_HASH_TUNNEL, c.CTRL_HASH_TUNNEL_SET, data), packet)
    yield script("unnegotiated", "HASH_TUNNEL_SET without HASH_TUNNEL: is it refused, and is all as before?",
                 ("INN-R1", "INN-1"), plain, tunnel_set(TunnelType.IPIP), *probe(), bits=kit.best())


def _contexts(kit: Kit) -> Iterator[Script]:
    features, plain = kit.best() | RSS_CONTEXT, rss_config(kit.rss())
    other = kit.rss(hash_key_data=OTHER_KEY[:40])

    def add(identifier: int, reserved: bytes = bytes(6)) -> Command:
        data = RssContextAddModify(identifier, other, reserved).encode()
        return Command(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_ADD, data)

    def modify(identifier: int) -> Command:
        return Command(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_MOD, RssContextAddModify(identifier, other).encode())

    def delete(identifier: int) -> Command:
        return Command(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_DEL, RssContextDel(identifier).encode())

    def script(name: str, comment: str, clauses: tuple[str, ...], *steps: Step, bits: int = features) -> Script:
        return Script(f"context-{name}", comment, clauses, (negotiate(bits), *steps), fresh=True, base=PLAIN_RSS)

    yield script("add", "Add a context, change it, delete it: is each taken?", ("CTX-11", "CTX-D1"),
                 plain, add(1), modify(1), delete(1), *probe())
    yield script("default", "Add a context with another key: is the default configuration as before?",
                 ("CTX-2", "HC-4"), plain, add(1), *probe())
    yield script("reserved", "Add a context with reserved bytes that are not 0: is it taken?", ("CTX-10",),
                 plain, add(1, b"\xff" * 6))
    yield script("repeated", "Add a context that is there: is it refused?", ("CTX-11",), plain, add(1), add(1))
    yield script("unknown", "Change and delete a context that is not there: is it refused?", ("CTX-11",),
                 plain, modify(1), delete(1))
    yield script("deleted", "Change a context that was deleted: is it refused?", ("CTX-11",),
                 plain, add(1), delete(1), modify(1))
    yield script("zero", "Add the context 0: is it refused?", ("CTX-R2",), plain, add(0))
    yield script("truncated", "Add a context with half the data: is it refused?", ("CVQ-1", "CTX-8"),
                 plain, Command(c.RSS_CTX_CTRL, c.RSS_CTX_CTRL_ADD, add(1).data[:30]), modify(1))
    # What the device makes of a context that is not there, it shows first.
    yield script("reset", "Add a context, reset, change it: is it gone?", ("CTX-D2",),
                 plain, modify(1), add(1), Reset(), negotiate(features), plain, modify(1), add(1), *probe())
    yield script("unnegotiated", "Add a context without RSS_CONTEXT: is it refused, and is all as before?",
                 ("CTX-R1",), plain, add(1), *probe(), bits=kit.best())
    yield script("before-pairs", "VQ_PAIRS_SET before any context, and RSS_CONFIG again: is each taken?", ("MQ-4",),
                 pairs_set(1), plain, add(1), *probe(), bits=features | MQ)
