"""Makes a disagreement small and plain: the fewest frames, then headers, then odd values, then bytes.

Every candidate must be plainer by `cost`, so that reduction ends, and so that disagreements with one cause end at one
witness from wherever they began. Plain means: the default configuration, Ethernet, IPv4 and UDP, the fields of
`anatomy.FIELDS` as they stand there, lengths that agree, nothing behind the headers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from vnethash.fuzz.anatomy import EXTENSIONS, FIELDS, NUMBERS, Header, follower, headers, inserted, without
from vnethash.fuzz.signature import configuration_features, consistent, cut_header, odd_fields
from vnethash.models.before import fewest
from vnethash.spec import craft
from vnethash.spec.constants import HashType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from vnethash.fuzz.case import Case
    from vnethash.spec.configuration import Configuration

#: Candidates put to the target for one cause.
MOST_ATTEMPTS = 3000
_WEIGHTS = {"eth": 0, "ipv4": 0, "udp": 0, "rest": 0, "tcp": 1, "ipv6": 2, "upper": 0}
#: What a header that is not all there weighs: more than a plain one behind it.
_CUT = 6
_REPEATABLE = frozenset({"vlan", *EXTENSIONS.values()})
_UDP, _TCP = craft.udp(checksum=0), craft.tcp(checksum=0, sequence=0, acknowledgment=0, window=0)

#: The types of UDP are one bit above those of TCP.
_TCP_TYPES = int(HashType.TCPV4 | HashType.TCPV6 | HashType.TCP_EX)

Cost = tuple[int, int, int, int, int, bytes]


def reduce(
    case: Case, plain: Configuration, holds: Callable[[Case], bool], most: int = MOST_ATTEMPTS,
    late: Callable[[], bool] = lambda: False, screen: Callable[[Sequence[Case]], Iterable[Case]] | None = None,
) -> Case:
    """Return the plainest case found of which `holds` still says yes; `plain` is the default as the target takes it.

    It stops after so many attempts, and when the time is up (`late`). `screen` returns those of some cases, in order,
    of which `holds` may say yes.
    """
    attempts = 0
    tried: set[Case] = {case}
    better: Case | None = case
    while better is not None:
        case, better = better, None
        now = cost(case, plain)
        fresh = (one for one in plainer_cases(case, plain) if one not in tried)
        for some in _growing(one for one in fresh if cost(one, plain) < now):
            if late():
                return case
            for candidate in some if screen is None else screen(some):
                attempts += 1
                if attempts > most or late():
                    return case
                if holds(candidate):
                    better = candidate
                    break
            if better is not None:
                break
            tried.update(some)
    return case


def _growing(cases: Iterator[Case]) -> Iterator[list[Case]]:
    """Yield the cases in lists of 1, 2, 4, ... 64: the first are the likeliest."""
    size = 1
    while some := list(dict.fromkeys(islice(cases, size))):
        yield some
        size = min(2 * size, 64)


def cost(case: Case, plain: Configuration) -> Cost:
    """Return how far a case is from plain: what comes first in the tuple counts most."""
    shape = odd = size = 0
    for frame in case.frames:
        more_shape, more_odd = _frame_cost(frame)
        shape += more_shape
        odd += more_odd
        size += len(frame)
    features = len(configuration_features(case.configuration, plain))
    missing = (case.configuration.hash_types ^ plain.hash_types).bit_count()
    return (len(case.frames), features + missing, shape, odd, size, b"".join(case.frames) + _bits(case))


def oddity(case: Case, plain: Configuration) -> tuple[int, int]:
    """Return how far a case is from plain: headers, odd fields and what of the configuration is not; then bytes."""
    _, configured, shape, odd, size, _ = cost(case, plain)
    return configured + shape + odd, size


@lru_cache(maxsize=4096)
def _frame_cost(frame: bytes) -> tuple[int, int]:
    layout = headers(frame)
    return (
        sum(4 + _WEIGHTS.get(header.kind, 4) for header in layout if header.kind not in {"rest", "option"})
        + sum(1 for header in layout if header.kind in {"option", "ipv4-option"})
        + (_CUT if cut_header(frame, layout) is not None else 0),
        sum(len(odd_fields(frame, header)) for header in layout),
    )


def _bits(case: Case) -> bytes:
    """Order configurations that are equally odd."""
    return case.configuration.hash_types.to_bytes(8, "big") + case.configuration.key


def plainer_cases(case: Case, plain: Configuration) -> Iterator[Case]:
    """Yield the case with one thing made smaller or plainer."""
    for position in range(len(case.frames) - 1):
        yield replace(case, frames=case.frames[:position] + case.frames[position + 1:])
    for configuration in _configurations(case.configuration, plain):
        yield replace(case, configuration=configuration)
    for position, frame in enumerate(case.frames):
        for smaller in _frames(frame):
            yield replace(case, frames=(*case.frames[:position], smaller, *case.frames[position + 1:]))
    yield from _exchanged(case, plain)
    yield from _as_udp(case, plain)


def _as_udp(case: Case, plain: Configuration) -> Iterator[Case]:
    """Yield the case with UDP for TCP, in the frame and in the hash types: most rules have both alike."""
    other = _other_transport(case, plain, "tcp", _UDP)
    if other is not None:
        yield other


def as_tcp(case: Case, plain: Configuration) -> Case | None:
    """Return a case with TCP for UDP, in the frame and in the hash types; None if the types do not tell them apart."""
    return _other_transport(case, plain, "udp", _TCP)


def _other_transport(case: Case, plain: Configuration, kind: str, part: craft.Part) -> Case | None:
    types, both = case.configuration.hash_types, 3 * _TCP_TYPES
    swapped = (types & _TCP_TYPES) << 1 | (types >> 1) & _TCP_TYPES | types & ~both
    spot = next((header for header in headers(case.frame) if header.kind == kind and header.link), None)
    if swapped == types or swapped & ~plain.hash_types or spot is None:
        return None
    gone = Header("rest", spot.start, len(case.frame), lengths=tuple(at for at in spot.lengths if at < spot.start))
    frame = inserted(without(case.frame, gone), spot.start, part.data, gone.lengths, spot.link, part.number)
    configuration = replace(case.configuration, hash_types=swapped)
    return replace(case, configuration=configuration, frames=(*case.frames[:-1], frame))


@cache
def _plain_frames() -> tuple[bytes, ...]:
    """Return the plainest frame of each kind that hash types tell apart."""
    options = craft.destination_options()
    packets = [craft.ipv4(upper, checksum=0, identification=0) for upper in (_UDP, craft.raw(0), _TCP)]
    packets += [craft.ipv6(*ahead, upper) for ahead in ((), (options,)) for upper in (_UDP, craft.raw(0xFF), _TCP)]
    return tuple(craft.ethernet(packet) for packet in packets)


def _exchanged(case: Case, plain: Configuration) -> Iterator[Case]:
    """Yield the case with a plain frame of any kind for the last one, also with one hash type fewer changed.

    A cause in a configuration may show by several frames, each with types of its own that have to be out of the way.
    """
    if case.configuration == plain:
        return
    for frame in _plain_frames():
        yield replace(case, frames=(*case.frames[:-1], frame))
    changed = case.configuration.hash_types ^ plain.hash_types
    for bit in range(changed.bit_length()):
        if changed >> bit & 1 and changed.bit_count() > 1:
            fewer = replace(case.configuration, hash_types=case.configuration.hash_types ^ (1 << bit))
            for frame in _plain_frames():
                yield replace(case, configuration=fewer, frames=(*case.frames[:-1], frame))


def _configurations(configuration: Configuration, plain: Configuration) -> Iterator[Configuration]:
    if configuration == plain:
        return
    yield plain
    for name in ("key", "indirection_table", "unclassified_queue", "max_tx_vq", "tunnel_types", "features"):
        if getattr(configuration, name) != getattr(plain, name):
            yield replace(configuration, **{name: getattr(plain, name)})
    if configuration.hash_types != plain.hash_types:
        yield replace(configuration, hash_types=plain.hash_types)
        for bit in range(9):
            if (configuration.hash_types ^ plain.hash_types) >> bit & 1:
                yield replace(configuration, hash_types=configuration.hash_types ^ (1 << bit))
    table = configuration.indirection_table
    if table != plain.indirection_table and len(table) > 1:
        yield replace(configuration, indirection_table=tuple(range(len(table))))
        yield replace(configuration, indirection_table=table[:len(table) // 2])


def _frames(frame: bytes) -> Iterator[bytes]:
    layout = headers(frame)
    yield from _templates(frame, layout)
    yield from _without_headers(frame, layout)
    yield from _shorter(frame, layout)
    yield from _plainer(frame, layout)
    yield from _smaller_numbers(frame, layout)


def _templates(frame: bytes, layout: list[Header]) -> Iterator[bytes]:
    """Yield frames with whole layers replaced by plain ones."""
    network = [header for header in layout if header.kind in {"ipv4", "ipv6"} and header.link]
    link = frame[:12]
    if not network:
        if len(frame) >= 14:
            yield link + craft.ethernet(craft.ipv4(_UDP, checksum=0, identification=0))[12:]
        return
    first = network[0]
    ahead = frame[:first.start - 2]
    for maker in (craft.ipv4(_UDP, checksum=0, identification=0), craft.ipv6(_UDP)):
        yield ahead + craft.two(craft.ETHERTYPES[maker.number]) + maker.data
    last = [header for header in layout if header.link and header.number < 256]
    if not last:
        return
    upper = last[-1]
    part = craft.raw(upper.number, frame[upper.start:])
    if first.kind == "ipv6" and upper.kind in {"tcp", "udp", "upper"}:
        yield ahead + b"\x08\0" + craft.ipv4(part, checksum=0, identification=0).data
    if len(network) > 1:
        # What is inside a tunnel, alone.
        inner = network[1]
        yield ahead + craft.two(craft.ETHERTYPES[NUMBERS[inner.kind]]) + frame[inner.start:]
    # The same bytes under the plainest number: what they are called may not matter.
    yield _patched(frame, [(upper.link, bytes([17]))])
    for plain in (_UDP, _TCP):
        gone = Header("rest", upper.start, len(frame), lengths=tuple(at for at in upper.lengths if at < upper.start))
        yield inserted(without(frame, gone), upper.start, plain.data, gone.lengths, upper.link, plain.number)


def _without_headers(frame: bytes, layout: list[Header]) -> Iterator[bytes]:
    yield from _once(frame, layout)
    for header in layout:
        if header.kind == "option":
            holder = [each for each in layout if each.kind in {"hbh", "dstopts"} and each.start < header.start][-1]
            # PadN in its place keeps what stands behind it where it is.
            size = header.end - header.start
            if header.number != 1 and size >= 2:
                yield frame[:header.start] + craft.padn(size - 2) + frame[header.end:]
            if size % 8 == 0:
                changed = bytearray(without(frame, header))
                changed[holder.start + 1] = max(0, changed[holder.start + 1] - size // 8)
                yield bytes(changed)
        elif header.kind == "ipv4-option":
            size = header.end - header.start
            if header.number != 1:
                yield frame[:header.start] + b"\1" * size + frame[header.end:]
            base = [each for each in layout if each.kind == "ipv4" and each.start < header.start][-1]
            stop = base.start + (frame[base.start] & 15) * 4
            words = Header("rest", stop - 4, min(stop, len(frame)), lengths=base.lengths)
            changed = bytearray(without(frame, words))
            changed[base.start] -= 1
            yield bytes(changed)
        elif header.kind == "vlan":
            yield _untagged(frame, header)
        elif header.kind in EXTENSIONS.values():
            yield without(frame, header, follower(frame, header))
            if header.kind in {"hbh", "dstopts"}:
                yield from _one_option(frame, header, layout)
            yield from _smaller_header(frame, header)


def _once(frame: bytes, layout: list[Header]) -> Iterator[bytes]:
    """Yield the frame with only the first of a header that is there more than twice."""
    counts = Counter(header.kind for header in layout if header.kind in _REPEATABLE)
    for kind, count in counts.items():
        smaller = frame
        for _ in range(count - 1 if count > 2 else 0):
            last = [header for header in headers(smaller) if header.kind == kind][-1]
            smaller = _untagged(smaller, last) if kind == "vlan" else without(smaller, last, follower(smaller, last))
        if count > 2:
            yield smaller


def _untagged(frame: bytes, tag: Header) -> bytes:
    return frame[:tag.start - 2] + frame[tag.start + 2:]


def _one_option(frame: bytes, holder: Header, layout: list[Header]) -> Iterator[bytes]:
    """Yield the frame with all options of a header gone but one, at 8n+6 where a Home Address should be."""
    options = [each for each in layout if each.kind == "option" and holder.start < each.start < holder.end]
    for option in options:
        if option.number == 1 or len(options) < 2:
            continue
        for ahead in (craft.padn(2), b""):
            body = craft.padded(ahead + frame[option.start:option.end])
            data = bytes([frame[holder.start], (len(body) + 2) // 8 - 1]) + body
            if len(data) < holder.end - holder.start:
                yield inserted(without(frame, holder), holder.start, data, holder.lengths)


def _smaller_header(frame: bytes, header: Header) -> Iterator[bytes]:
    """Yield the frame with an extension header of its least size, or one unit shorter."""
    if header.kind == "frag" or header.end - header.start <= 8:
        return
    unit = 4 if header.kind == "ah" else 8
    length = frame[header.start + 1]
    for fewer in dict.fromkeys((length, length // 2, 1)):
        size = fewer * unit
        if 0 < size <= header.end - header.start - 8 and fewer <= length:
            gone = Header("rest", header.end - size, header.end, lengths=header.lengths)
            changed = bytearray(without(frame, gone))
            changed[header.start + 1] = length - fewer
            if header.kind in {"hbh", "dstopts"} and size == length * 8:
                changed[header.start + 2:header.start + 8] = craft.padn(4)
            yield bytes(changed)


def _shorter(frame: bytes, layout: list[Header]) -> Iterator[bytes]:
    lengths = layout[-1].lengths if layout else ()
    ends = [header.end for header in layout] + [header.start for header in layout]
    wanted = [end for end in sorted(set(ends), reverse=True) if end < len(frame)]
    count = len(frame) // 2
    while count:
        wanted.append(len(frame) - count)
        count //= 2
    for end in wanted:
        yield without(frame, Header("rest", end, len(frame), lengths=lengths))
        yield frame[:end]


def _plainer(frame: bytes, layout: list[Header]) -> Iterator[bytes]:
    """Yield the frame with odd values made plain: all, those of one header, one; and bodies of zeros."""
    spots: list[list[tuple[int, bytes]]] = []
    for header in layout:
        here: list[tuple[int, bytes]] = []
        if header.kind == "vlan" and header.number != 0x8100:
            here.append((header.link, b"\x81\0"))
        for name, offset, size, plain in FIELDS.get(header.kind, ()):
            at = header.start + offset
            wanted = consistent(frame, header, name) if plain < 0 else plain
            if wanted is None or at + size > header.end or not 0 <= wanted < 1 << 8 * size:
                continue
            if header.kind in EXTENSIONS.values() and name == "len":
                continue
            data = wanted.to_bytes(size, "big")
            if frame[at:at + size] != data:
                here.append((at, data))
        body = _body(header)
        if body is not None and any(frame[body:header.end]):
            here.append((body, bytes(header.end - body)))
        spots.append(here)
    yield _patched(frame, [spot for here in spots for spot in here])
    for here in spots:
        if len(here) > 1:
            yield _patched(frame, here)
    for here in spots:
        for spot in here:
            yield _patched(frame, [spot])
            if len(spot[1]) > 6 and not any(spot[1]):
                half = len(spot[1]) // 2
                yield _patched(frame, [(spot[0], spot[1][:half])])
                yield _patched(frame, [(spot[0] + half, spot[1][half:])])


def _body(header: Header) -> int | None:
    """Return where a header's bytes without names begin."""
    if header.kind in {"rest", "upper"}:
        return header.start
    if header.kind in {"option", "ipv4-option"}:
        return min(header.start + 2, header.end)
    if header.kind in {"mh", "hip", "shim6", "exp"}:
        return min(header.start + 2, header.end)
    return min(header.start + 12, header.end) if header.kind == "ah" else None


def _patched(frame: bytes, spots: list[tuple[int, bytes]]) -> bytes:
    changed = bytearray(frame)
    for at, data in spots:
        changed[at:at + len(data)] = data
    return bytes(changed)


def _smaller_numbers(frame: bytes, layout: list[Header]) -> Iterator[bytes]:
    """Yield the frame with an odd number made smaller: bits of it cleared, halved, one less."""
    for header in layout:
        odd = {name.rpartition(".")[2] for name, _ in odd_fields(frame, header)}
        for name, offset, size, _ in FIELDS.get(header.kind, ()):
            at = header.start + offset
            if name not in odd or at + size > header.end:
                continue
            number = int.from_bytes(frame[at:at + size], "big")
            smaller = {number & ~(1 << bit) for bit in range(8 * size)} | {number >> 1, number - 1, 1, 0}
            for value in sorted(value for value in smaller if 0 <= value < number):
                yield _patched(frame, [(at, value.to_bytes(size, "big"))])
        body = _body(header)
        if body is not None:
            for at in range(body, min(header.end, body + 32)):
                if frame[at]:
                    yield _patched(frame, [(at, b"\0")])
        if header.link and header.kind == "upper" and 0 < header.number < 256:
            yield _patched(frame, [(header.link, bytes([number])) for number in (header.number - 1,)])


def fewer_frames(case: Case, still: Callable[[Case], bool]) -> Case:
    """Return the case with as few frames in front as a halving search finds."""
    ahead = fewest(case.frames[:-1], lambda some: still(replace(case, frames=(*some, case.frame))))
    return replace(case, frames=(*ahead, case.frame))
