"""Our own engine: sequences out of the corpus are changed; what reaches something new becomes a parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.fuzz.device.case import ControlCase
from vnethash.fuzz.device.mutation import Mutator

if TYPE_CHECKING:
    from vnethash.fuzz.device.campaign import ControlCampaign

#: Parents among the newest that are preferred, and how often.
_NEWEST, _PREFERRED = 48, 0.4
#: How often a sequence is drawn, and no parent changed.
_DRAWN = 0.5


def run(campaign: ControlCampaign) -> None:
    """Fuzz until the campaign is over."""
    rng = campaign.rng
    mutator = Mutator(rng, campaign.subjects[0].traits)
    while not campaign.over():
        cases = campaign.corpus.cases
        if rng.random() < _DRAWN:
            case = ControlCase(mutator.drawn())
            if campaign.execute(case):
                campaign.keep(case)
            continue
        newest = rng.random() < _PREFERRED
        parent = cases[-1 - rng.randrange(min(_NEWEST, len(cases)))] if newest else rng.choice(cases)
        case = ControlCase(mutator.child(parent.steps, rng.choice(cases).steps))
        if campaign.execute(case):
            campaign.keep(case)
