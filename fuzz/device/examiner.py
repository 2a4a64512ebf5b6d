"""Judges sequences that differ from the filter: which readings explain them, which cause they have.

It goes as for frames (fuzz/examiner.py): an answer that no listed reading explains is a cause by itself, at once; one
that some readings explain is evidence for the profile of the device, and readings are told at the end. Whatever counts
was shown by a device that was started anew.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vnethash.fuzz.case import Case
from vnethash.fuzz.device.evidence import Evidence
from vnethash.fuzz.device.found import ControlFound
from vnethash.fuzz.device.reducer import FEW_ATTEMPTS, MOST_ATTEMPTS, plainer, reduce, swapped
from vnethash.fuzz.device.shown import shown
from vnethash.fuzz.device.signature import Shape, Steps, covers, flat, shape
from vnethash.fuzz.device.subject import Played
from vnethash.fuzz.device.variants import others, variants
from vnethash.fuzz.signature import ANY
from vnethash.models.device.allowed import offered_readings
from vnethash.models.device.faults import explanation
from vnethash.models.symbolic.profile import satisfied
from vnethash.spec.configuration import Configuration
from vnethash.spec.text import clip, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.fuzz.device.subject import DeviceSubject
    from vnethash.fuzz.found import Found
    from vnethash.models.device.faults import Explained, FirstFault
    from vnethash.models.device.matching import Seen
    from vnethash.models.device.state import Step

#: Sets of readings that are followed for one sequence, behind which it is too open to judge.
MOST_LEAVES = 3000
#: Sequences in front of one that are tried when it differs only behind others.
_LOOK_BACK = (1, 4, 16, 64)
#: Steps of an answer that is taken into the evidence because it is as filtered, and the readings followed for it.
_SHORT, _FEW_LEAVES = 7, 100
#: In place of a condition, where other sequences must come before.
_BEHIND = (("behind other sequences", 1),)
_NOTHING = Case(Configuration(), ())


class ControlExaminer:
    """What is known of one device: its causes, and the evidence for its profile."""

    def __init__(
        self, subject: DeviceSubject, tell: Callable[[Found, bool], None], late: Callable[[], bool] = lambda: False
    ) -> None:
        """`tell` hears each cause when it is new (True) and when it is met again (False); `late`: the time is up."""
        self.subject = subject
        self.causes: dict[str, ControlFound] = {}
        self.evidence = Evidence(self)
        self.seconds = 0.0
        self.unjudged = 0
        self.observations = 0
        #: Steps that the campaign had put when it came to what is looked into.
        self.executions = 0
        self.late = late
        self._tell = tell

    # ------------------------------------------------------------------------------------------ asking the device

    def observe(self, steps: tuple[Step, ...], *, fresh: bool = False) -> Played | None:
        """Return what a sequence shows; failures that come of asking do not count against the device."""
        self.observations += 1
        played = self.subject.put(steps, fresh=fresh)
        if not self.subject.ended:
            self.subject.forgive()
        return played

    def explain(self, played: Played, *, defects: bool = True, most: int = MOST_LEAVES) -> Explained:
        """Return the readings that explain what a sequence showed."""
        return explanation(
            played.steps, played.seen, self.subject.traits, offered_readings(defects=defects), most_leaves=most
        )

    def shapes(self, steps: Sequence[Step]) -> tuple[Shape, ...]:
        """Return the shapes of steps."""
        return tuple(shape(step, self.subject.traits) for step in steps)

    # ------------------------------------------------------------------------------------------ judging

    def examine(self, played: Played) -> None:
        """Judge a sequence of the campaign."""
        began = time.process_time()
        try:
            self._examine(played)
        finally:
            self.seconds += time.process_time() - began

    def _examine(self, played: Played) -> None:
        if played.error:
            self._error(played)
            return
        first = self.subject.fault(played)
        if first is None:
            return
        if first.fault.kind == "ack":
            self._strange_ack(played, first)
            return
        before = list(self.subject.before)
        short = Played(played.steps[:first.step + 1], played.seen[:first.step + 1])
        known = self._known(self.shapes(short.steps), first)
        if known is not None and not self._looks_behind(known):
            return
        kept = self.causes_like(Steps(first.fault.kind, first.clause, _BEHIND))
        if kept is not None and not self._looks_behind(kept):
            return
        quick = self.explain(short, most=_FEW_LEAVES)
        if quick.complete and quick.constraint in self.evidence.exemplars:
            return
        alone = self.observe(short.steps, fresh=True)
        if alone is None or alone.error:
            return
        if self.subject.fault(alone) is None:
            self._depends(before, short.steps)
            return
        self._judge(alone, known)

    def _strange_ack(self, played: Played, first: FirstFault) -> None:
        """Enter an ack that is not defined: one cause, whatever the command."""
        signature = Steps("ack", first.clause, (("ack", int(str(played.seen[first.step]))),))
        known = self.causes_like(signature)
        if known is not None:
            self._again(known)
            return
        steps, seen = self._reduced(
            played.steps[:first.step + 1], lambda one: bool(self._last_fault(self.observe(one), "ack")),
            lambda one: bool(self._last_fault(self.observe(one, fresh=True), "ack")),
        )
        if seen is not None and self._last_fault(Played(steps, seen), "ack"):
            words = f"at step {len(steps)}: {first.fault.words}"
            self._enter(
                "unexplained", first.fault.words, (first.clause,), signature, Played(steps, seen), words, ()
            )  # fmt: skip

    def _judge(self, played: Played, known: ControlFound | None) -> None:
        """Judge what a device showed that was started anew."""
        first = self.subject.fault(played)
        if first is None:
            return
        played = Played(played.steps[:first.step + 1], played.seen[:first.step + 1])
        found = self.explain(played)
        if not found.complete:
            played = self._smaller(played, first.fault.kind)
            found = self.explain(played)
        if not found.complete:
            self.unjudged += 1
        elif found.constraint:
            if not satisfied(found.constraint, self.subject.readings) and not self.tainted(played.steps):
                self.evidence.differ(found.constraint, played)
        elif found.constraint is not None:
            self._definite(played, known)

    def learn(self, played: Played) -> None:
        """Take answers that are as filtered into the evidence: they may rule readings out."""
        if len(played.steps) > _SHORT or self.tainted(played.steps):
            return
        if any(cause.signature.features == _BEHIND for cause in self.causes.values()):
            return
        began = time.process_time()
        found = self.explain(played, most=_FEW_LEAVES)
        if found.complete and found.constraint and satisfied(found.constraint, self.subject.readings):
            self.evidence.agree(found.constraint, played)
        self.seconds += time.process_time() - began

    def _smaller(self, played: Played, kind: str) -> Played:
        """Return a shorter sequence with the same fault, for one that asks too much to be judged."""
        for fresh in (False, True):
            def same(steps: tuple[Step, ...], fresh: bool = fresh) -> bool:
                return not self.late() and bool(self._last_fault(self.observe(steps, fresh=fresh), kind))

            steps = reduce(played.steps, self.subject.traits, same, FEW_ATTEMPTS)
            again = self.observe(steps, fresh=True)
            if again is not None and self._last_fault(again, kind):
                return again
        return played

    def _last_fault(self, played: Played | None, kind: str) -> FirstFault | None:
        """Return the fault of a sequence whose last step alone is wrong, in the way `kind` says; None for others."""
        if played is None or played.error or len(played.seen) != len(played.steps):
            return None
        found = self.subject.fault(played)
        return found if found and found.step == len(played.steps) - 1 and found.fault.kind == kind else None

    # ------------------------------------------------------------------------------------------ known causes

    def _known(self, shapes: tuple[Shape, ...], first: FirstFault | None, besides: str = "") -> ControlFound | None:
        """Return a cause whose condition a sequence meets and that is wrong in the same way; the one that asks most."""
        best: ControlFound | None = None
        for key, cause in self.causes.items():
            signature = cause.signature
            wrong = ("error", "none") if first is None else (first.fault.kind, first.clause)
            if (
                key != besides and not cause.question and (signature.kind, signature.clause) == wrong
                and any(covers(each, shapes) for each in (cause.shapes, *cause.more))
                and (best is None or len(cause.shapes) > len(best.shapes))
            ):
                best = cause
        return best

    def causes_like(self, signature: Steps) -> ControlFound | None:
        """Return the cause with a signature, None if there is none."""
        return next((cause for cause in self.causes.values() if cause.signature == signature), None)

    def tainted(self, steps: Sequence[Step]) -> bool:
        """Say whether a sequence does what makes a known cause show, so that its answers say nothing of readings."""
        shapes = self.shapes(steps)
        return any(
            covers(each, shapes) for cause in self.causes.values() if not cause.question
            for each in (cause.shapes, *cause.more)
        )

    def _looks_behind(self, known: ControlFound) -> bool:
        """Count one more of a known cause; say whether to look this time if another one hides behind it."""
        self._again(known)
        return known.count & (known.count - 1) == 0

    def _again(self, known: ControlFound) -> None:
        known.count += 1
        self._tell(known, False)

    # ------------------------------------------------------------------------------------------ causes

    def _definite(self, played: Played, known: ControlFound | None) -> None:
        """Reduce what no reading explains, and enter its cause."""
        traits = self.subject.traits
        first = self.subject.fault(played)
        if first is None:
            return

        kind = first.fault.kind

        def wrong(again: Played | None) -> FirstFault | None:
            last = None if again is None else self._last_fault(again, kind)
            if again is None or last is None:
                return None
            found = self.explain(again)
            return last if found.complete and found.constraint == frozenset() else None

        def disagrees(steps: tuple[Step, ...]) -> bool:
            return wrong(self.observe(steps)) is not None

        def other(steps: tuple[Step, ...]) -> bool:
            """Into no cause that is known."""
            last = wrong(self.observe(steps))
            return last is not None and self._known(self.shapes(steps), last) is None

        if known is not None:
            # Another cause only if it shows without what makes the known one show.
            cured = next((steps for steps in plainer(played.steps, traits) if other(steps)), None)
            if cured is None:
                return
            played = Played(cured, ())
        steps, seen = self._reduced(
            played.steps, other, lambda candidate: wrong(self.observe(candidate, fresh=True)) is not None
        )
        last = None if seen is None else wrong(Played(steps, seen))
        if seen is None or last is None:
            return
        same = self._known(self.shapes(steps), last) or self._near(steps, wrong)
        if same is not None:
            same.more = (*same.more, self.shapes(steps))
            self._again(same)
            return
        shapes = self._generalised(steps, disagrees)
        more = tuple(self._general(self.shapes(each), shapes) for each in swapped(steps) if disagrees(each))
        self._enter(
            "unexplained", last.fault.words, (last.clause,), Steps(kind, last.clause, flat(shapes)),
            Played(steps, seen), f"at step {len(steps)}: {last.fault.words}", shapes, more,
        )

    def _near(
        self, steps: tuple[Step, ...], wrong: Callable[[Played | None], FirstFault | None]
    ) -> ControlFound | None:
        """Return the known cause that one more step of reduction leads to: its being known kept a witness apart."""
        for candidate in plainer(steps, self.subject.traits):
            shapes = self.shapes(candidate)
            if any(covers(each, shapes) for cause in self.causes.values() for each in (cause.shapes, *cause.more)):
                last = wrong(self.observe(candidate))
                near = None if last is None else self._known(shapes, last)
                if near is not None:
                    return near
        return None

    def _reduced(
        self, steps: tuple[Step, ...], holds: Callable[[tuple[Step, ...]], bool],
        fresh: Callable[[tuple[Step, ...]], bool],
    ) -> tuple[tuple[Step, ...], tuple[Seen, ...] | None]:
        """Return the smallest sequence that a device shows that was started anew, and what it showed.

        First without starting it anew for each candidate; a device that keeps something misleads such a reduction.
        """
        traits = self.subject.traits
        for test, most in ((holds, MOST_ATTEMPTS), (fresh, FEW_ATTEMPTS)):
            small = reduce(steps, traits, lambda one: not self.late() and test(one), most)
            if fresh(small):
                break
        else:
            small = steps
        again = self.observe(small, fresh=True)
        return small, None if again is None or again.error else again.seen

    def _generalised(
        self, steps: tuple[Step, ...], disagrees: Callable[[tuple[Step, ...]], bool]
    ) -> tuple[Shape, ...]:
        """Return the shapes of a witness, with ANY where two other numbers show the same."""
        traits = self.subject.traits

        def any_of(position: int, instead: list[Step], number: int) -> int:
            tried = [(*steps[:position], step, *steps[position + 1:]) for step in instead]
            return ANY if tried and all(map(disagrees, tried)) else number

        shapes = list(self.shapes(steps))
        for position, one in enumerate(shapes):
            odd = [
                (place, any_of(position, variants(steps[position], place, number, traits), number))
                for place, number in one.odd
            ]
            which = any_of(position, others(steps[position]), one.which)
            shapes[position] = Shape(one.does, which, tuple(odd))
        return tuple(shapes)

    @staticmethod
    def _general(shapes: tuple[Shape, ...], like: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return shapes with ANY where the same place of another condition has it."""
        free = {place for one in like for place, number in one.odd if number == ANY}
        return tuple(
            Shape(one.does, ANY if other.which == ANY and one.does == other.does else one.which, tuple(
                (place, ANY if place in free else number) for place, number in one.odd))
            for one, other in zip(shapes, like, strict=True)
        )  # fmt: skip

    def _depends(self, before: Sequence[tuple[Step, ...]], steps: tuple[Step, ...]) -> None:
        """Look into a sequence that differs only behind others: the device keeps something that it should not.

        That is one cause for each way of being wrong: what leads there has no short condition.
        """
        for back in _LOOK_BACK:
            ahead = before[-1 - back:-1]
            whole = tuple(step for one in ahead for step in (*one, *self.subject.forgetting)) + steps
            played = self.observe(whole, fresh=True)
            first = None if played is None or played.error else self.subject.fault(played)
            if played is not None and first is not None:
                self._behind(Played(played.steps[:first.step + 1], played.seen[:first.step + 1]), first)
                return
            if back > len(before):
                break
        self.unjudged += 1

    def _behind(self, played: Played, first: FirstFault) -> None:
        """Enter what shows only behind other sequences."""
        kind = first.fault.kind

        def holds(steps: tuple[Step, ...]) -> bool:
            return not self.late() and self._last_fault(self.observe(steps, fresh=True), kind) is not None

        steps = reduce(played.steps, self.subject.traits, holds, 4 * FEW_ATTEMPTS)
        again = self.observe(steps, fresh=True)
        last = None if again is None else self._last_fault(again, kind)
        if again is None or last is None:
            self.unjudged += 1
            return
        found = self.explain(again)
        if not found.complete:
            self.unjudged += 1
        elif found.constraint:
            if not satisfied(found.constraint, self.subject.readings):
                self.evidence.differ(found.constraint, again)
        elif found.constraint is not None:
            words = f"at step {len(steps)}: {last.fault.words}"
            signature = Steps(kind, first.clause, _BEHIND)
            # What it showed before was seen behind other sequences, too.
            self.evidence.exemplars.clear()
            self._enter("unexplained", last.fault.words, (first.clause,), signature, again, words, ())

    def _error(self, played: Played) -> None:
        line = clip(one_line(played.error), 200)
        known = self._known(self.shapes(played.steps), None)
        if known is not None:
            self._again(known)
            return
        if self.subject.ended:
            self._enter("error", line, (), Steps("error", "none", (("ended", 1),)), played, line, ())
            return

        def fails(steps: tuple[Step, ...]) -> bool:
            again = self.observe(steps, fresh=True)
            return again is not None and bool(again.error) and len(again.steps) == len(steps)

        if not fails(played.steps):
            signature = Steps("error", "none", (("unsteady", 1),))
            self._enter("error", f"fails, and not when asked again: {line}", (), signature, played, line, ())
            return
        steps = reduce(played.steps, self.subject.traits, fails, FEW_ATTEMPTS)
        shapes = self._generalised(steps, fails)
        clause = self.subject.predict(steps)[-1].clause
        again = self.observe(steps, fresh=True)
        witness = again if again is not None and again.error else Played(steps, ())
        self._enter(
            "error", line, (clause,), Steps("error", "none", flat(shapes)), witness, f"at step {len(steps)}: {line}",
            shapes,
        )

    def _enter(
        self, kind: str, title: str, clauses: tuple[str, ...], signature: Steps, played: Played, words: str,
        shapes: tuple[Shape, ...], more: tuple[tuple[Shape, ...], ...] = (),
    ) -> None:
        found = ControlFound(
            self.subject.name, kind, title, clauses, signature, _NOTHING, None, words,
            shown=shown(played.steps, played.seen, self.subject.traits), shapes=shapes, more=more,
        )
        self.enter(found)

    def enter(self, found: ControlFound) -> None:
        """Count a cause that is known, or enter it."""
        found.executions = found.executions or self.executions
        same = self.causes.get(found.id)
        if same is None and found.kind in {"unexplained", "error"} and found.shapes:
            same = next((
                cause for cause in self.causes.values()
                if cause.kind == found.kind and cause.signature[:2] == found.signature[:2] and cause.shapes
                and covers(found.shapes, cause.shapes)
            ), None)  # fmt: skip
            if same is not None:
                # The other was reduced to something more special than need be; it keeps its name.
                same.more = (*same.more, found.shapes)
        if same is not None:
            if same is not found:
                same.count += 1
            self._tell(same, False)
            return
        self.causes[found.id] = found
        if found.shapes:
            self.evidence.forget(self.tainted)
        self._tell(found, True)

    # ------------------------------------------------------------------------------------------ profile

    def settle(self, *, last: bool = False) -> None:
        """Find the profile that explains most; the `last` time tell the causes that are readings or mix them."""
        began = time.process_time()
        if not last:
            self.evidence.settle()
        else:
            told = {found.id for found in self.evidence.conclude()}
            for key, cause in list(self.causes.items()):
                if cause.kind in {"defect", "reading"} and key not in told:
                    # More evidence has another explanation.
                    del self.causes[key]
                    cause.count = 0
                    self._tell(cause, False)
        self.seconds += time.process_time() - began

    def definite(self, played: Played) -> None:
        """Take a witness that turned out to follow from no reading."""
        self._definite(played, None)
