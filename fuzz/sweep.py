"""One change at a time: every plain configuration, every short chain of headers, every telling value of every field.

Chance comes late to what shows under one setting only, or at one value of one field. Here nothing is tried twice where
it stands in the same surroundings, and what is likelier to tell something comes first: the values that documents and
limits of fields suggest, then all octets and the lowest words. Half of a campaign draws from here until it is empty.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice, product
from typing import TYPE_CHECKING

from vnethash.fuzz import seeds
from vnethash.fuzz.anatomy import FIELDS, NUMBERS, Header, headers, without
from vnethash.fuzz.case import KEYS
from vnethash.fuzz.mutation import ADDRESSES, LONGEST, OCTETS, WORDS
from vnethash.spec import craft
from vnethash.spec.constants import ALL_HASH_TYPES, HashType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from random import Random

    from vnethash.fuzz.case import Case
    from vnethash.spec.configuration import Configuration
    from vnethash.targets.base import Capabilities

#: Settings; shapes: tags, options, repeated headers, sizes; telling values of a field and short chains; the same values
#: in all surroundings, and every cut; all octets; longer chains and lengths.
_SETTINGS, _SHAPES, _TELLING, _AROUND, _ALL, _LONG = range(6)
#: How often each of them is drawn from, while there is something left in it.
_SHARES = (12, 4, 4, 1, 1, 1)
#: Frames of one kind that follow one another; a batch is drawn from many.
_RUN = 48
#: Frames whose every cut is tried are no longer than that.
_LONGEST_CUT = 260
#: Bytes of payload up to which every length is tried.
_LONGEST_PAYLOAD = 1200
_FLIPPED = 128
_TAGS = (0x8100, 0x88A8, 0x9100)
#: How often one extension header stands in a chain: all low numbers, and a few beyond any limit that is likely.
_REPEATS = (*range(3, 18), 20, 24, 30, 31, 32, 33)
_OPTIONS = frozenset({"option", "ipv4-option"})
_TYPES_4 = int(HashType.IPV4 | HashType.TCPV4 | HashType.UDPV4)
_TYPES_EX = int(HashType.IP_EX | HashType.TCP_EX | HashType.UDP_EX)


class Sweep:
    """What is left to be tried, by how much it is likely to tell, and under which configuration."""

    def __init__(self, rng: Random, plain: Configuration, capabilities: Capabilities) -> None:
        """Begin with what needs no parent: configurations, chains, options, sizes."""
        self._rng = rng
        self._tried: set[tuple[object, ...]] = set()
        self._left: list[dict[Configuration, list[Iterator[bytes]]]] = [{} for _ in _SHARES]
        for configuration in settings(plain, capabilities):
            self._add(_SETTINGS, configuration, seeds.traffic())
        for part in _kinds():
            self._add(_TELLING, plain, _chains(part, 1))
            self._add(_SHAPES, plain, _repeats(part))
            self._add(_LONG, plain, _chains(part, 2))
        for upper in _uppers():
            for holder in (craft.destination_options, craft.hop_by_hop):
                self._add(_SHAPES, plain, _options(holder, upper))
            for frames in (_option_4(upper), _sizes(upper), _routes(upper), _stacks(upper)):
                self._add(_SHAPES, plain, frames)
            self._add(_LONG, plain, _lengths(upper))

    def _add(self, stage: int, configuration: Configuration, frames: Iterable[bytes]) -> None:
        self._left[stage].setdefault(configuration, []).append(iter(frames))

    def learn(self, case: Case) -> None:
        """Take in what can be changed in a case, as far as nothing like it was there before."""
        frame = case.frame
        layout = [header for header in headers(frame) if header.end > header.start]
        # Inside of a tunnel all is tried again where that is looked into.
        inner = case.configuration.tunnel_types != 0
        solid = [header for header in layout if header.kind not in _OPTIONS]
        for header in layout:
            ahead = [each.kind for each in solid if each.start < header.start]
            behind = [each.kind for each in solid if each.start > header.start]
            around = (*ahead[-1:], header.kind, *behind[:1])
            for name, offset, size, _ in FIELDS.get(header.kind, ()):
                at = header.start + offset
                if at + size > header.end:
                    continue
                is_new = self._is_new(inner, "ipv6" in ahead, header.kind, name)
                if self._is_new(inner, *around, name):
                    values = _telling(frame, at, size)
                    self._add(_TELLING if is_new else _AROUND, case.configuration, _with(frame, at, size, values))
                if is_new and size <= 2:
                    lowest = range(256 if size == 1 else 1024)
                    self._add(_ALL, case.configuration, _with(frame, at, size, lowest))
        if len(frame) <= _LONGEST_CUT and self._is_new(inner, *(header.kind for header in solid)):
            self._add(_AROUND, case.configuration, _cuts(frame, layout))

    def _is_new(self, *what: object) -> bool:
        if what in self._tried:
            return False
        self._tried.add(what)
        return True

    def early(self) -> bool:
        """Say whether what is likeliest to tell something is not all tried."""
        return any(self._left[stage] for stage in (_SETTINGS, _SHAPES, _TELLING))

    def batch(self, count: int) -> tuple[Configuration, list[bytes]] | None:
        """Return up to so many frames and their configuration; None when all was tried."""
        rng = self._rng
        stages = [(groups, share) for groups, share in zip(self._left, _SHARES, strict=True) if groups]
        if not stages:
            return None
        (groups,) = rng.choices([each for each, _ in stages], [share for _, share in stages])
        configurations = list(groups)
        (configuration,) = rng.choices(configurations, [len(groups[each]) for each in configurations])
        left = groups[configuration]
        frames: list[bytes] = []
        while left and len(frames) < count:
            number = rng.randrange(len(left))
            wanted = min(_RUN, count - len(frames))
            taken = list(islice(left[number], wanted))
            frames += taken
            if len(taken) < wanted:
                left[number] = left[-1]
                left.pop()
        if not left:
            del groups[configuration]
        # Neighbours of other kinds show what one packet leaves behind for the next.
        rng.shuffle(frames)
        return (configuration, frames) if frames else self.batch(count)


# ------------------------------------------------------------------------------------------------ configurations


def settings(plain: Configuration, capabilities: Capabilities) -> list[Configuration]:
    """Return configurations that differ from the plain one in one setting each, as far as a target takes them."""
    made: list[Configuration] = []
    types = [1 << bit for bit in range(ALL_HASH_TYPES.bit_length())]
    for mask in (
        *types, *(ALL_HASH_TYPES & ~each for each in types), 0, _TYPES_4, ALL_HASH_TYPES & ~_TYPES_4, _TYPES_EX,
        ALL_HASH_TYPES & ~_TYPES_EX, int(HashType.IPV4 | HashType.IPV6),
    ):  # fmt: skip
        made.append(replace(plain, hash_types=mask & capabilities.hash_types))
    size = 1
    while size <= min(capabilities.max_indirection_table_length, 1024):
        made.append(replace(plain, indirection_table=tuple(range(size))))
        made.append(replace(plain, indirection_table=tuple(range(size - 1, -1, -1))))
        size *= 2
    for queues in (1, 2, 4):
        table = tuple(index % queues for index in range(len(plain.indirection_table)))
        made.append(replace(plain, indirection_table=table))
    for queue in (0, 1, 2, 127, 128, 255, 256, 0x7FFF, 0xFFFE):
        if queue < capabilities.queues:
            made.append(replace(plain, unclassified_queue=queue))
    made += [replace(plain, max_tx_vq=pairs) for pairs in (2, 4) if pairs < capabilities.queues]
    made += [replace(plain, key=key[:capabilities.max_key_size]) for key in KEYS]
    usable = [name for name in ("RSS", "HASH_REPORT") if name in capabilities.features]
    for names in ({"RSS"}, {"HASH_REPORT"}, {"RSS", "HASH_REPORT"}):
        if names <= set(usable):
            features = plain.features - {"RSS", "HASH_REPORT"} | names
            made.append(replace(plain, features=features))
            made.append(replace(plain, features=features, unclassified_queue=min(1, capabilities.queues - 1)))
    if "HASH_TUNNEL" in capabilities.features:
        for mask in (*types[:8], 0xFF):
            if mask & capabilities.tunnel_types:
                made.append(replace(plain, features=plain.features | {"HASH_TUNNEL"},
                                    tunnel_types=mask & capabilities.tunnel_types))  # fmt: skip
    return [configuration for configuration in dict.fromkeys(made) if configuration != plain]


# ------------------------------------------------------------------------------------------------ values of fields


def _with(frame: bytes, at: int, size: int, values: Iterable[int]) -> Iterator[bytes]:
    ahead, behind, old = frame[:at], frame[at + size:], frame[at:at + size]
    for value in dict.fromkeys(values):
        data = value.to_bytes(size, "big")
        if data != old:
            yield ahead + data + behind


def _telling(frame: bytes, at: int, size: int) -> Iterator[int]:
    """Yield values for a field: those of documents, limits, single bits, and those beside what it has."""
    top = (1 << 8 * size) - 1
    old = int.from_bytes(frame[at:at + size], "big")
    bits = [1 << bit for bit in range(min(8 * size, _FLIPPED))]
    yield from (0, top, top >> 1, top ^ top >> 1)
    if size == 1:
        yield from OCTETS
    elif size == 2:
        yield from WORDS
        yield from (value for value in range(len(frame) - at - 12, len(frame) - at + 13) if value >= 0)
    elif size in {4, 16}:
        yield from (int.from_bytes(address, "big") for address in ADDRESSES if len(address) == size)
    yield from (old ^ bit for bit in bits)
    if size <= 2:
        yield from bits
        yield from (top ^ bit for bit in bits)
        yield from ((old + step) & top for step in range(-9, 10))


def _cuts(frame: bytes, layout: Sequence[Header]) -> Iterator[bytes]:
    """Yield the frame with every end, with lengths that follow and without."""
    lengths = layout[-1].lengths if layout else ()
    for end in range(len(frame)):
        yield frame[:end]
        if end > 14:
            yield without(frame, Header("rest", end, len(frame), lengths=lengths))


# ------------------------------------------------------------------------------------------------ structure


@cache
def _uppers() -> tuple[craft.Part, ...]:
    return craft.tcp(payload=seeds.PAYLOAD), craft.udp(payload=seeds.PAYLOAD)


@cache
def _kinds() -> tuple[craft.Part, ...]:
    """Return one of each kind of extension header, two of those that can matter in two ways."""
    return (
        craft.hop_by_hop(), craft.destination_options(), craft.home_options(), craft.routing(), craft.routing(kind=0),
        craft.fragment(), craft.fragment(more=True), craft.fragment(offset=2), craft.authentication(),
        craft.mobility(), craft.hip(), craft.shim6(), craft.extension(253, bytes(6)),
    )


def _chains(first: craft.Part, more: int) -> Iterator[bytes]:
    """Yield IPv6 packets with every order of so many extension headers behind the first."""
    for parts in product(_kinds(), repeat=more):
        for upper in _uppers():
            yield craft.ethernet(craft.ipv6(first, *parts, upper))


def _repeats(part: craft.Part) -> Iterator[bytes]:
    """Yield IPv6 packets with one extension header many times."""
    for count in _REPEATS:
        for upper in _uppers():
            frame = craft.ethernet(craft.ipv6(*(part,) * count, upper))
            if len(frame) <= LONGEST:
                yield frame


def _options(holder: Callable[..., craft.Part], upper: craft.Part) -> Iterator[bytes]:
    """Yield IPv6 packets with options of every type, and a Home Address of every length and at every place."""
    for kind, size in product(range(1, 256), (0, 4, 16)):
        yield craft.ethernet(craft.ipv6(holder(craft.option(kind, bytes(range(1, size + 1)))), upper))
    for size in range(41):
        yield craft.ethernet(craft.ipv6(holder(craft.home_address(bytes(range(1, size + 1)))), upper))
    for count in range(1, 41):
        for ahead in (craft.pad1(count), craft.padn(count - 1)):
            yield craft.ethernet(craft.ipv6(holder(ahead + craft.home_address()), upper))


def _option_4(upper: craft.Part) -> Iterator[bytes]:
    """Yield IPv4 packets with options of every type and every length of the header."""
    for kind, size in product(range(256), (2, 6)):
        yield craft.ethernet(craft.ipv4(upper, options=craft.ipv4_option(kind, bytes(size))))
    for words in range(11):
        yield craft.ethernet(craft.ipv4(upper, options=b"\1" * words * 4))


def _sizes(upper: craft.Part) -> Iterator[bytes]:
    """Yield IPv6 packets with extension headers of every size, well-formed."""
    for units, number in product(range(33), (0, 60, 135, 139, 140, 253, 254)):
        size = units * 8 + 6
        # PadN holds 255 octets at most.
        body = craft.padn(min(size, 257) - 2) + bytes(max(0, size - 257))
        yield craft.ethernet(craft.ipv6(craft.extension(number, body), upper))
    for words in range(32):
        yield craft.ethernet(craft.ipv6(craft.authentication(bytes(range(words * 4))), upper))


def _routes(upper: craft.Part) -> Iterator[bytes]:
    """Yield IPv6 packets with Routing headers of a few types and every number of addresses."""
    hops = (bytes(range(16)), craft.ROUTE, craft.OTHER_ROUTE)
    for count, kind, left in product(range(9), (0, 2, 3, 4), (0, 1, 2)):
        body = bytes([kind, left]) + bytes(4) + b"".join(hops[number % 3] for number in range(count))
        yield craft.ethernet(craft.ipv6(craft.extension(43, body), upper))


def _stacks(upper: craft.Part) -> Iterator[bytes]:
    """Yield packets behind up to three tags, and with TCP options of every length."""
    for maker in (craft.ipv4, craft.ipv6):
        for tags in (*product(_TAGS, repeat=1), *product(_TAGS, repeat=2), *product(_TAGS, repeat=3)):
            yield craft.ethernet(maker(upper), tags=tags)
        for words in range(11):
            yield craft.ethernet(maker(craft.tcp(options=b"\1" * words * 4, payload=upper.data[:words])))


def _lengths(upper: craft.Part) -> Iterator[bytes]:
    """Yield packets with every length of payload."""
    part = craft.tcp if upper.number == NUMBERS["tcp"] else craft.udp
    for size in range(_LONGEST_PAYLOAD):
        for maker in (craft.ipv4, craft.ipv6):
            yield craft.ethernet(maker(part(payload=bytes(size))))
