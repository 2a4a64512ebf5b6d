"""Our own engine: batches of mutants of parents from the corpus; what reaches something new becomes a parent.

By turns a batch is drawn from the sweep, which tries each single change once, and from chance, which tries many
changes at once. Of the parents those are preferred that are new, that were drawn seldom, and whose mutants reached
something new. A batch mixes mutants of several parents, because what one packet leaves behind may show at the next.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.mutation import Layout, children, mutated_configuration
from vnethash.fuzz.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

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
#: Parents of one batch, and how many are looked at for each: the one that was drawn least often is taken.
_PARENTS, _LOOKED_AT = 4, 3
_LAYOUTS = 4096


class _Parents:
    """The corpus by configuration, and the layouts of the frames that were used last."""

    def __init__(self) -> None:
        self.cases: Sequence[Case] = ()
        self.seen = 0
        self._by_configuration: dict[Configuration, list[Case]] = {}
        self._drawn: Counter[Case] = Counter()
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

    def draw(self, rng: Random, cases: Sequence[Case]) -> Case:
        """Return the one of a few cases that was drawn least often, and count it."""
        case = min((rng.choice(cases) for _ in range(_LOOKED_AT)), key=lambda each: self._drawn[each])
        self._drawn[case] += 1
        return case

    def reward(self, case: Case) -> None:
        """Let a case be drawn more often, because what was made of it reached something new."""
        self._drawn[case] //= 2

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
        configuration, frames, ancestors = (*drawn, ()) if drawn else _by_chance(campaign, parents)
        new = campaign.execute(configuration, frames)
        for index in new:
            campaign.keep(Case(configuration, (frames[index],)))
        if new:
            for case in ancestors:
                parents.reward(case)


def _by_chance(campaign: Campaign, parents: _Parents) -> tuple[Configuration, list[bytes], Sequence[Case]]:
    """Return a batch of mutants of a few parents, and these."""
    rng, cases = campaign.rng, parents.cases
    newest = rng.random() < _PREFERRED
    parent = parents.draw(rng, cases[-_NEWEST:] if newest else cases)
    beside = parents.beside(parent)
    chosen = [parent, *(parents.draw(rng, beside) for _ in range(_PARENTS - 1))]
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
    return configuration, frames, chosen
