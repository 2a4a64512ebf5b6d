"""Says when an answer is of what came before: a target may keep something of a packet, and over a configuration too.

What a target keeps of packets that were put to it for other questions makes an answer wrong also where a frame is asked
alone. Such an answer changes with the frame in front of it, and only with that frame can it be shown again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vnethash.fuzz.signature import BEFORE
from vnethash.models.before import PREVIOUS, is_previous, plain_company
from vnethash.spec import craft

if TYPE_CHECKING:
    from collections.abc import Callable

    from vnethash.fuzz.case import Case
    from vnethash.fuzz.found import Found
    from vnethash.spec.outcome import Observation
    from vnethash.spec.readings import Readings

TITLE = "the answer depends on the frame before it"


def tell_past(
    found: Found, readings: Readings, answer: Callable[[Case], Observation | None],
    is_wrong: Callable[[Case, Observation], bool],
) -> None:
    """Put a plain frame in front of the witness of a cause, if what stands there changes the answer.

    The cause then says so; nothing changes where the answer is the same behind one frame and another.
    """
    case = found.case
    for plain, other in zip(_plain_frames(), plain_company(0), strict=True):
        behind = replace(case, frames=(plain, *case.frames))
        observed = answer(behind)
        if observed is None or not is_wrong(behind, observed):
            continue
        elsewhere = answer(replace(case, frames=(other, *case.frames)))
        if elsewhere is None or elsewhere == observed or answer(behind) != observed:
            continue
        found.case, found.observed, found.alone = behind, observed, True
        before = (("-1 has ipv6", 1),) if plain == _plain_frames()[1] else ((f"-1 {BEFORE}", 1),)
        found.signature = found.signature._replace(before=before)
        found.title = TITLE
        if is_previous(behind.frames, behind.configuration, observed, readings):
            found.title, found.clauses = PREVIOUS.title, PREVIOUS.clauses
        return


def _plain_frames() -> tuple[bytes, bytes]:
    """Return the plainest frame of each version, in the order of `plain_company`."""
    udp = craft.udp(checksum=0)
    return craft.ethernet(craft.ipv4(udp, checksum=0, identification=0)), craft.ethernet(craft.ipv6(udp))
