"""atheris as an engine for sequences: `case` is the grammar of its bytes, the state machine's branches guide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device.case import ControlCase, decode, encode
from vnethash.fuzz.device.mutation import Mutator, plain
from vnethash.fuzz.engines.atheris_engine import Guide, drive

if TYPE_CHECKING:
    from random import Random

    from vnethash.fuzz.device.campaign import ControlCampaign

_GUIDING = ("device.machine", "device.commands")


def run(campaign: ControlCampaign) -> None:
    """Fuzz until the campaign is over; raises TargetUnavailable where atheris is missing."""
    mutators: list[Mutator] = []

    def put(data: bytes) -> None:
        campaign.execute(decode(data))

    def mutate(rng: Random, data: bytes) -> bytes:
        if not mutators:
            mutators.append(Mutator(rng, campaign.subjects[0].traits))
        steps = decode(data).steps
        return encode(ControlCase(mutators[0].child(steps, steps)))

    def begin() -> None:
        # The devices of the parent are its own children.
        for subject in campaign.subjects:
            subject.renew()

    words = [encode(ControlCase((step,))) for step in plain(campaign.subjects[0].traits)]
    drive(campaign, Guide(_GUIDING, words, put, mutate, begin))
