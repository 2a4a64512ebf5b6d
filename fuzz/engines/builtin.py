"""Our own engine: parents from the corpus, batches of mutants, what reaches something new becomes a parent."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.mutation import Layout, children, mutated_configuration

if TYPE_CHECKING:
    from vnethash.fuzz.campaign import Campaign

#: Mutants of one parent in a row.
BATCH = 256
#: How often a batch is put under a changed configuration.
_RECONFIGURED = 0.15
#: Parents among the newest that are preferred.
_NEWEST = 48


def run(campaign: Campaign) -> None:
    """Fuzz until the campaign is over."""
    rng = campaign.rng
    layouts: OrderedDict[bytes, Layout] = OrderedDict()
    while not campaign.over():
        parents = campaign.corpus.cases
        newest = rng.random() < 0.4
        parent = parents[-1 - rng.randrange(min(_NEWEST, len(parents)))] if newest else rng.choice(parents)
        frame = parent.frame
        layout = layouts.get(frame)
        if layout is None:
            layout = layouts[frame] = Layout(frame)
            if len(layouts) > 4096:
                layouts.popitem(last=False)
        configuration = parent.configuration
        if rng.random() < _RECONFIGURED:
            configuration = mutated_configuration(rng, configuration, campaign.subjects[0].capabilities)
        others = [rng.choice(parents).frame for _ in range(4)]
        frames = children(rng, layout, campaign.room(BATCH), others)
        for index in campaign.execute(configuration, frames):
            campaign.keep(Case(configuration, (frames[index],)))
