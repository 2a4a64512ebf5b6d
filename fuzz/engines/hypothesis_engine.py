"""Hypothesis as an engine: its strategies draw the bytes of cases; what it reached is told to it as targets.

It is slow beside the others (thousands of cases a second), and draws differently. The test function never fails:
disagreements are recorded by the campaign, so that the first does not end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case, decode, encode
from vnethash.fuzz.mutation import ADDRESSES, dictionary
from vnethash.spec.errors import TargetUnavailable

if TYPE_CHECKING:
    from vnethash.fuzz.campaign import Campaign

_ROUND = 2000


def run(campaign: Campaign) -> None:
    """Fuzz until the campaign is over; raises TargetUnavailable where Hypothesis is missing."""
    try:
        from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: PLC0415
        from hypothesis import strategies as st  # noqa: PLC0415
    except ImportError as error:
        raise TargetUnavailable("engine hypothesis needs hypothesis", hint="pip install 'vnethash[fuzz]'") from error

    pieces = st.sampled_from([*dictionary(), *ADDRESSES])
    number = 0
    while not campaign.over():
        number += 1
        parents = st.sampled_from([encode(case) for case in campaign.corpus.cases[-500:]])

        @seed(campaign.seed + number)
        @settings(
            max_examples=campaign.room(_ROUND), database=None, deadline=None, phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(parents, st.integers(0, 2000), st.integers(0, 40), st.one_of(pieces, st.binary(max_size=24)))
        def one(parent: bytes, at: int, gone: int, piece: bytes) -> None:
            """Put a parent with a piece of it replaced to the targets."""
            if campaign.over():
                return
            at %= len(parent) + 1
            case = decode(parent[:at] + piece + parent[at + gone:])
            for index in campaign.execute(case.configuration, case.frames):
                campaign.keep(Case(case.configuration, (case.frames[index],)))

        one()
