"""Our own engine: batches of mutants of parents from the corpus; what reaches something new becomes a parent.

By turns a batch is drawn from the sweep, which tries each single change once, and from chance, which tries many
changes at once. A batch mixes mutants of several parents, because what one packet leaves behind may show at the next.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.mutation import Layout, children, mutated_configuration
from vnethash.fuzz.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vnethash.fuzz.campaign import Campaign
    from vnethash.spec.configuration import Configuration

#: Frames of a batch under a configuration of the corpus, and under one that was changed for it.
BATCH, _TRIAL = 256, 64
#: Of so many batches one is of chance: while the sweep has not tried what is likeliest to tell something, and later.
_EARLY, _LATER = 5, 2
#: How often a batch of chance is put under a changed configuration.
_RECONFIGURED = 0.5
#: Parents among the newest that are preferred, and how often.
_NEWEST, _PREFERRED = 48, 0.4
#: Parents of one batch.
_PARENTS = 4
_LAYOUTS = 4096


class _Parents:
    """The corpus by configuration, and the layouts of the frames that were used last."""

    def __init__(self) -> None:
        self.cases: Sequence[Case] = ()
        self.seen = 0
        self._by_configuration: dict[Configuration, list[Case]] = {}
        self._layouts: OrderedDict[bytes, Layout] = OrderedDict()

    def fresh(self, cases: Sequence[Case]) -> Sequence[Case]:
        """Return what came into the corpus since the last time."""
        self.cases = cases
        new = cases[self.seen:]
        self.seen = len(cases)
        for case in new:
            self._by_configuration.setdefault(case.configuration, []).append(case)
        return new

    def beside(self, parent: Case) -> Sequence[Case]:
        """Return the parents under the same configuration."""
        return self._by_configuration[parent.configuration]

    def layout(self, frame: bytes) -> Layout:
        """Return the layout of a frame, from those kept if it is there."""
        layout = self._layouts.get(frame)
        if layout is None:
            layout = self._layouts[frame] = Layout(frame)
            if len(self._layouts) > _LAYOUTS:
                self._layouts.popitem(last=False)
        return layout


def run(campaign: Campaign) -> None:
    """Fuzz until the campaign is over."""
    rng = campaign.rng
    parents = _Parents()
    first = campaign.subjects[0]
    sweep = Sweep(rng, first.plain, first.capabilities)
    turn = 0
    while not campaign.over():
        for case in parents.fresh(campaign.corpus.cases):
            sweep.learn(case)
        turn += 1
        drawn = sweep.batch(campaign.room(BATCH)) if turn % (_EARLY if sweep.early() else _LATER) else None
        configuration, frames = drawn or _by_chance(campaign, parents)
        for index in campaign.execute(configuration, frames):
            campaign.keep(Case(configuration, (frames[index],)))


def _by_chance(campaign: Campaign, parents: _Parents) -> tuple[Configuration, list[bytes]]:
    """Return a batch of mutants of a few parents."""
    rng, cases = campaign.rng, parents.cases
    newest = rng.random() < _PREFERRED
    parent = cases[-1 - rng.randrange(min(_NEWEST, len(cases)))] if newest else rng.choice(cases)
    beside = parents.beside(parent)
    chosen = [parent, *(rng.choice(beside) for _ in range(_PARENTS - 1))]
    configuration, count = parent.configuration, BATCH
    if rng.random() < _RECONFIGURED:
        configuration = mutated_configuration(rng, configuration, campaign.subjects[0].capabilities)
        count = _TRIAL
    share = max(1, campaign.room(count) // _PARENTS)
    others = [rng.choice(cases).frame for _ in range(4)]
    frames = []
    for each in chosen:
        frames += children(rng, parents.layout(each.frame), share, others)
    rng.shuffle(frames)
    return configuration, frames
