"""Frames and configurations that raise many questions at once: made by rule, the same in every run.

A solver finds what is rare; what is common is found faster by trying. Headers of `spec.craft` are put together at
random, whole and damaged, behind tags and inside tunnels. Those of `shown.txt` were found once and are kept.
"""

from __future__ import annotations

from importlib.resources import files
from random import Random
from typing import TYPE_CHECKING

from vnethash.spec import craft
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import ALL_HASH_TYPES, ALL_TUNNEL_TYPES, MICROSOFT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vnethash.spec.craft import Part

_SEED = 20
#: Longest frame: longer ones show no more, and nobody reads them.
_MOST = 200
_TUNNEL_PORTS = (4754, 4789, 4790, 6081, 8472)
#: Key, and how many table entries: what the questions of area "hash" are about; the usual ones are likelier.
_KEYS = (*(MICROSOFT_KEY,) * 6, b"", MICROSOFT_KEY[:8], MICROSOFT_KEY[:12], MICROSOFT_KEY[:36], bytes(40),
         MICROSOFT_KEY + bytes(40))
#: Keys that have a name in `shown.txt`.
_NAMED_KEYS = {"microsoft": MICROSOFT_KEY, "none": b""}


def cases(count: int) -> Iterator[tuple[bytes, Configuration]]:
    """Yield frames with a configuration each."""
    r = Random(_SEED)  # noqa: S311 - the same frames in every run
    while count:
        frame = _frame(r)
        if len(frame) <= _MOST:
            count -= 1
            yield frame, _configuration(r)


def shown() -> Iterator[tuple[bytes, Configuration]]:
    """Yield the frames of `shown.txt`, with their configurations."""
    for line in (files(__package__) / "shown.txt").read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        types, tunnels, entries, key, frame = line.split()
        features = {"RSS", "HASH_REPORT", *(() if tunnels == "-" else ("HASH_TUNNEL",))}
        yield bytes.fromhex(frame), Configuration(
            hash_types=int(types, 16), key=_NAMED_KEYS[key] if key in _NAMED_KEYS else bytes.fromhex(key),
            indirection_table=tuple(range(int(entries))), features=frozenset(features),
            tunnel_types=0 if tunnels == "-" else int(tunnels, 16),
        )


def _configuration(r: Random) -> Configuration:
    features = {"RSS", "HASH_REPORT", *(("HASH_TUNNEL",) if r.randrange(3) else ())}
    bits = (ALL_HASH_TYPES, ALL_HASH_TYPES, ALL_HASH_TYPES, 0x3F, 0x1C0, 0, *(r.randrange(512) for _ in range(3)))
    entries = r.choice((128, 128, 128, 3))
    return Configuration(
        hash_types=r.choice(bits), key=r.choice(_KEYS), indirection_table=tuple(range(entries)),
        features=frozenset(features), tunnel_types=r.choice((ALL_TUNNEL_TYPES, r.randrange(512))),
    )


def _frame(r: Random) -> bytes:
    packet = _packet(r, 0)
    kind = r.randrange(32)
    tags = tuple(r.choice((0x8100, 0x8100, 0x88A8, 0x9100)) for _ in range(r.choice((0,) * 9 + (1, 2))))
    if kind == 0:
        frame = craft.llc_snap(packet, tags=tags)
    elif kind == 1:
        frame = craft.pppoe(packet)
    elif kind == 2:
        frame = craft.mpls(packet, labels=(16, 17)[:r.randrange(1, 3)])
    elif kind == 3:
        frame = craft.ethernet(packet, kind=r.choice((0x0800, 0x86DD)), tags=tags)
    else:
        frame = craft.ethernet(packet, tags=tags)
    return _damaged(r, frame)


def _damaged(r: Random, frame: bytes) -> bytes:
    choice = r.randrange(14)
    if choice == 0:
        return frame[:r.randrange(14, len(frame) + 1)]
    if choice == 1:
        return frame + bytes(r.randrange(1, 256) for _ in range(r.choice((1, 4, 8, 24))))
    if choice == 2 and len(frame) > 40:
        place = r.randrange(14, min(len(frame), 90))
        return craft.patch(frame, place, bytes([r.choice((0, 1, 2, 5, 255, frame[place] ^ 1 << r.randrange(8)))]))
    return frame


def _packet(r: Random, depth: int) -> Part:
    if r.randrange(5) < 2:
        return _ipv4(r, depth)
    return _ipv6(r, depth)


def _ipv4(r: Random, depth: int) -> Part:
    parts = _upper(r, depth)
    if r.randrange(10) == 0:
        parts = (craft.authentication(), *parts)
    hops = tuple(bytes([10, 0, 0, r.randrange(1, 255)]) for _ in range(r.randrange(1, 3)))
    options = r.choice((b"", b"", b"", b"", b"\1\1\1\1", b"\1" + craft.source_route(*hops), craft.source_route(*hops)))
    flags, offset = r.choice(((0, 0), (0, 0), (0, 0), (craft.MF, 0), (craft.DF, 0), (craft.RESERVED, 0), (0, 7)))
    if r.randrange(12) == 0:
        flags = r.randrange(8)
    total = r.choice((*(None,) * 24, 0, 8, 22, 24, 30, 36, 900))
    ihl = r.choice((*(None,) * 24, 0, 4, 7, 15))
    return craft.ipv4(*parts, options=options, flags=flags, offset=offset, total_length=total, ihl=ihl)


def _ipv6(r: Random, depth: int) -> Part:
    count = r.choice((0, 1, 1, 2, 2, 3, 5, 12 if r.randrange(6) == 0 else 4))
    chain = tuple(_extension(r) for _ in range(count))
    payload = r.choice((*(None,) * 20, 0, 4, 8, 12, 24, 30, 900))
    closing = () if r.randrange(8) == 0 else _upper(r, depth)
    following = r.choice((None, None, None, None, None, None, 50, 51, 135, 59, 200, 44, 60, 43))
    if not chain and not closing:
        return craft.ipv6(payload_length=payload, next_header=following or 59)
    return craft.ipv6(*chain, *closing, payload_length=payload)


def _extension(r: Random) -> Part:
    choice = r.randrange(22)
    if choice < 6:
        return craft.destination_options(*_options(r), hdr_ext_len=r.choice((*(None,) * 9, 0, 1, 3)))
    if choice < 10:
        hops = tuple(bytes(r.randrange(256) for _ in range(16)) for _ in range(r.choice((1, 1, 1, 2))))
        return craft.routing(*hops, kind=r.choice((2, 2, 2, 0, 4)), segments_left=r.choice((1, 1, 1, 0, 2)))
    if choice < 14:
        more = r.randrange(2) == 1
        reserved = r.choice((0, 0, 0, 1, 2))
        return craft.fragment(r.choice((0, 0, 0, 9)), more=more, reserved=reserved, spare=r.choice((0, 0, 2)))
    if choice < 16:
        return craft.hop_by_hop(*_options(r))
    return (
        craft.authentication(b"" if r.randrange(2) else bytes(12)), craft.esp(), craft.mobility(), craft.hip(),
        craft.shim6(), craft.extension(r.choice((253, 254)), bytes(6)), craft.extension(59, bytes(6)),
        craft.extension(58, bytes(6)), craft.raw(r.randrange(148, 253), bytes(8)),
    )[r.randrange(9)]


def _options(r: Random) -> list[bytes]:
    found = []
    many = 33 if r.randrange(6) == 0 else 1
    for number in range(r.choice((0, 1, 1, 2, 3, many))):
        if many == 33 and number < 30:
            found.append(craft.pad1())
            continue
        home = bytes(r.randrange(256) for _ in range(16))
        found.append(r.choice((
            craft.home_address(home), craft.padn(2) + craft.home_address(home), craft.home_address(home[:10]),
            craft.home_address(home, length=17), craft.home_address(home + b"\7", length=17), craft.pad1(),
            craft.home_address(home, kind=0x09), craft.home_address(home[:4], length=16), craft.option(5, length=90),
            craft.padn(r.randrange(5)),
        )))
    return found


def _upper(r: Random, depth: int) -> tuple[Part, ...]:
    """Return a transport, or a tunnel."""
    if depth < 2 and r.randrange(3) == 0:
        return (_tunnel(r, depth + 1),)
    part = r.choice((
        craft.tcp, craft.tcp, craft.tcp, craft.udp, craft.udp, craft.udp, craft.udp_lite, craft.sctp, craft.dccp,
        craft.icmpv6, lambda: craft.tcp(data_offset=r.choice((3, 15))),
        lambda: craft.udp(length=r.choice((0, 7, 300)), payload=bytes(r.randrange(4))),
        lambda: craft.icmpv6(r.choice((6, 17)), 0, bytes(24)),
    ))()
    if r.randrange(8) == 0:
        return (craft.cut(part, r.randrange(0, 20)),)
    return (part,)


def _tunnel(r: Random, depth: int) -> Part:
    packet = _packet(r, depth)
    inner: Part | bytes = packet
    bridged = craft.ethernet(packet, tags=(0x8100,) if r.randrange(3) == 0 else ())
    if r.randrange(3) == 0:
        inner = bridged
    choice = r.randrange(8)
    if choice == 0:
        found = packet
    elif choice < 3:
        found = craft.gre(
            inner, key=r.choice((None, None, 5)), checksum=r.randrange(3) == 0, version=r.choice((0, 0, 0, 1)),
            protocol=r.choice((None, None, None, 0x0806)),
        )
    elif choice == 3:
        found = craft.gre_in_udp(inner)
    elif choice == 4:
        found = craft.geneve(inner, option_length=r.choice((None, None, 3)), options=bytes(r.choice((0, 0, 8))))
    elif choice == 5:
        found = craft.vxlan_gpe(inner, next_protocol=r.choice((None, None, 4)), flags=r.choice((12, 12, 8, 4)))
    else:
        found = craft.vxlan(bridged, flags=r.choice((8, 8, 0)), port=r.choice((4789, 4789, 8472)))
    if r.randrange(12) == 0:
        return craft.cut(found, r.randrange(0, 30))
    return found
