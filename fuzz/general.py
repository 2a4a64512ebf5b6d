"""What a cause stands for: experiments on its witness that say what of the condition matters, and what does not.

A reduced witness has all that the disagreement needs, but it has it in one form. Here other forms are put to the
target: other numbers, other headers, other hash types, other headers of the same size. Only where all of them show the
disagreement, too, does the condition become more general, so that others like it are known at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from vnethash.fuzz import seeds
from vnethash.fuzz.anatomy import EXTENSIONS, headers
from vnethash.fuzz.reducer import as_tcp
from vnethash.fuzz.signature import (
    ANY,
    DEPTHS,
    END,
    EXTENSION,
    START,
    WITH,
    WITHOUT,
    covers,
    depths,
    exchanged,
    reconfigured,
    variants,
)
from vnethash.spec import craft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vnethash.fuzz.case import Case
    from vnethash.fuzz.found import Found
    from vnethash.fuzz.signature import Features
    from vnethash.spec.configuration import Configuration

    Disagrees = Callable[[Case], bool]

#: Usual frames by which the condition of a cause is tried.
_USUAL = 8
#: Octets of extension headers by which depth is tried.
_LEAST_AHEAD, _MOST_AHEAD = 16, 640
_TYPES = "config.hash_types"


def generalise(
    found: Found, plain: Configuration, features: Callable[[Case], Features], disagrees: Disagrees,
    is_other: Callable[[Case], bool] = lambda _: False,
) -> None:
    """Learn what of a condition matters.

    `plain` is the target's configuration, `features` are those of a case, `is_other` says that a case meets the
    condition of another cause.
    """
    met = [
        case for frame in seeds.traffic()
        if covers(found.signature.features, features(case := replace(found.case, frames=(frame,))))
    ]
    found.narrow = _is_narrow(met, disagrees)
    if found.narrow and any(place.startswith("has ") for place, _ in found.signature.features):
        alike = [case for case in met if covers(found.signature.features, features(case), exact=True)]
        found.exact = not _is_narrow(alike, disagrees)
        found.narrow = not found.exact
    wider = [_pattern(found.case, found.signature.features, plain, disagrees), *_deep(found, disagrees, is_other)]
    other = as_tcp(found.case, plain)
    if other is not None and disagrees(other):
        # Two rules that are alike but for the transport: one cause has both.
        condition = tuple(pair for pair in features(other) if pair[0] not in DEPTHS)
        wider += [condition, _pattern(other, condition, plain, disagrees)]
    found.also = (*(each for each in wider if each != found.signature.features), *found.also)


def _is_narrow(met: list[Case], disagrees: Disagrees) -> bool:
    """Say whether most of the usual frames that meet the condition of a cause do not show it."""
    tried = met[::max(1, len(met) // _USUAL)]
    return 2 * sum(disagrees(case) for case in tried) < len(tried)


# ------------------------------------------------------------------------------------------------ one place at a time


def _pattern(case: Case, condition: Features, plain: Configuration, disagrees: Disagrees) -> Features:
    """Return a condition with any number, any extension header, or bits of numbers, where others show it too."""
    pattern: list[tuple[str, int]] = []
    for place, number in condition:
        if place == _TYPES:
            pattern += _hash_types(case, plain, disagrees)
            continue
        alike = exchanged(case.frame, place)
        if alike and all(disagrees(replace(case, frames=(other,))) for other in alike):
            pattern.append((EXTENSION, 1))
            continue
        others = reconfigured(case.configuration, place, number)
        if others and all(disagrees(replace(case, configuration=other)) for other in others):
            pattern.append((place, ANY))
            continue
        chosen = number
        for bits, general in ((False, ANY), (True, ~number)):
            tried = variants(case.frame, place, number, bits=bits)
            if tried and all(disagrees(replace(case, frames=(other,))) for other in tried):
                chosen = general
                break
        pattern.append((place, chosen if number > 1 or chosen == ANY else number))
    return tuple(pattern)


def _hash_types(case: Case, plain: Configuration, disagrees: Disagrees) -> Features:
    """Return which hash types must be enabled, and which must not be; all of them if the others matter together."""
    types = case.configuration.hash_types
    off = plain.hash_types & ~types

    def shows(mask: int) -> bool:
        return disagrees(replace(case, configuration=replace(case.configuration, hash_types=mask)))

    bits = [1 << bit for bit in range(types.bit_length()) if types >> bit & 1]
    needed = sum(bit for bit in bits if not shows(types & ~bit))
    if not off or not shows(needed):
        return ((_TYPES, types),)
    return (*(((WITH, needed),) if needed else ()), (WITHOUT, off))


# ------------------------------------------------------------------------------------------------ depth


class _Limit(NamedTuple):
    """How far into a frame a header may begin and end: the most that does not show a cause, the least that does."""

    fine: dict[str, int]
    wrong: dict[str, int]


def _deep(found: Found, disagrees: Disagrees, is_other: Callable[[Case], bool]) -> Iterator[Features]:
    """Yield the condition that the transport header lies far into an IPv6 packet, if nothing else matters.

    That is so if chains of extension headers that have nothing in common but their size show it from the same size on,
    with TCP and with UDP.
    """
    case = found.case
    layout = headers(case.frame)
    network = [header for header in layout if header.kind in {"ipv4", "ipv6"}]
    if not network or network[0].kind != "ipv6":
        return
    ahead = case.frame[:network[0].start]
    behind = [header.end for header in layout if header.kind in EXTENSIONS.values()]
    size = -(-(max(behind, default=0) - network[0].end) // 8) * 8
    if not _LEAST_AHEAD <= size <= _MOST_AHEAD:
        return
    limits = []
    for upper in (_TCP, _UDP):
        limit = _limit(case, ahead, upper, 2 * size, disagrees, is_other)
        if limit is None:
            return
        limits.append(limit)
    for place in (END, START):
        least = max(limit.fine[place] for limit in limits) + 1
        if least <= min(limit.wrong[place] for limit in limits):
            kept = [pair for pair in found.signature.features if pair[0].startswith(("config.", "eth.", "vlan"))]
            yield (*kept, ("has ipv6", 1), (place, least))
            return


def _limit(
    case: Case, ahead: bytes, upper: craft.Part, most: int, disagrees: Disagrees, is_other: Callable[[Case], bool]
) -> _Limit | None:
    """Return from where on, up to a size, all chains show a disagreement; None if they are not of one mind."""
    sizes = set()
    tried = 0
    for chain in range(_KINDS):
        fine, wrong = _LEAST_AHEAD, most
        others = False

        def shows(size: int, chain: int = chain) -> bool:
            nonlocal others
            candidate = replace(case, frames=(ahead + craft.ipv6(*_chain(chain, size), upper).data,))
            others = others or is_other(candidate)
            return disagrees(candidate)

        alike = not shows(fine) and shows(wrong)
        while alike and wrong - fine > 8:
            middle = (fine + wrong) // 16 * 8
            if shows(middle):
                wrong = middle
            else:
                fine = middle
        if not others:
            tried += 1
            sizes.add((fine, wrong) if alike else None)
    if tried < _ENOUGH or len(sizes) != 1 or None in sizes:
        return None
    ((fine, wrong),) = (size for size in sizes if size is not None)
    fine_at, wrong_at = (depths(ahead + craft.ipv6(*_chain(0, size), upper).data) for size in (fine, wrong))
    return _Limit(dict(fine_at), dict(wrong_at))


#: How many chains there are, and how many of them must be judged: a chain that shows another cause says nothing.
_KINDS, _ENOUGH = 4, 2


def _chain(kind: int, size: int) -> tuple[craft.Part, ...]:
    """Return a chain of so many octets, at least 16, of headers that no document calls anything else."""
    if kind == 0:
        return (craft.hop_by_hop(_filling(size - 2)),)
    if kind == 1:
        return (craft.destination_options(_filling(size - 2)),)
    if kind == 2 or size < 24:
        return craft.hop_by_hop(), craft.destination_options(_filling(size - 10))
    addresses, left = divmod(size - 8, 16)
    routing = craft.routing(*(craft.SOURCE6,) * addresses, kind=0, segments_left=0)
    return (craft.hop_by_hop(), routing) if left else (routing,)


def _filling(size: int) -> bytes:
    """Return options of so many octets that mean nothing: PadN, of which one has up to 257 octets."""
    parts = []
    while size > 257:
        parts.append(craft.padn(200))
        size -= 202
    return b"".join((*parts, craft.padn(size - 2)))


_TCP, _UDP = craft.tcp(), craft.udp()
