"""The fuzzing loop with one target after the other, beside the same engine with a target that does nothing.

Rates are in executions a second of processor time, that of the target's processes too, because a campaign shares the
machine. Answers are held against the model. What differs is not judged here, but in the last row, a whole campaign: how
much there is to judge depends on the target, and becomes less while causes become known.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from measure import Missing, Rate
from processes import processor_seconds
from vnethash.fuzz.campaign import Campaign, Limits
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.engines import load_engine
from vnethash.fuzz.oracle import Filter, has_twin
from vnethash.fuzz.subject import Batch, Subject
from vnethash.spec.errors import VnethashError
from vnethash.spec.readings import Readings
from vnethash.targets.ebpf.bpf import permitted
from vnethash.targets.exec.bench import Nothing, nothing_command
from vnethash.targets.registry import open_target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vnethash.spec.configuration import Configuration

#: Executions that fill corpus and caches; that are measured; and those of slower targets and of whole campaigns.
WARM, FAST, SLOW = 30_000, 150_000, 60_000
SEED = 1
EMPTY, ATHERIS = "builtin, empty target", "atheris, empty target"
MODEL, KERNEL = "builtin, model alone", "builtin, eBPF in the kernel, edges, model"
ENGINE, TARGET, ORACLE, GLUE = "engine", "target", "oracle", "glue"

#: libFuzzer with a function that does nothing; prints the executions a second of processor time.
_NOTHING = """
import atheris, os, sys, time
count, began = 0, 0.0
def one(data):
    global count, began
    count += 1
    if count == 1000:
        began = time.process_time()
    elif count == 1000 + {count}:
        os.write(1, b"%f" % ({count} / (time.process_time() - began)))
        os._exit(0)
atheris.Setup(["nothing", "-max_len=2048", "-seed=1"], one, internal_libfuzzer=True)
atheris.Fuzz()
"""


class Loop(Campaign):
    """A campaign whose answers are held against the model, and not judged.

    `put` is what a batch goes through, in place of `Subject.put`.
    """

    put: Callable[[Configuration, Sequence[bytes]], Batch | None] | None = None

    def execute(self, configuration: Configuration, frames: Sequence[bytes]) -> list[int]:
        """Put frames to the target."""
        (subject,) = self.subjects
        fitted = subject.fit(configuration)
        batch = (self.put or subject.put)(fitted, frames) if fitted else None
        self.totals.executions += len(frames)
        return batch.novel if batch else []


class Parts:
    """Seconds of processor time by what they go to; what is called within another does not count for both."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inner = 0.0
        self._undo: list[Callable[[], None]] = []

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Count the seconds of a method or function for a part, until `stop`."""
        work = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            began, outer = time.process_time(), self._inner
            self._inner = 0.0
            try:
                return work(*arguments, **named)
            finally:
                took = time.process_time() - began
                self.seconds[part] = self.seconds.get(part, 0.0) + took - self._inner
                self._inner = outer + took

        own = vars(owner).get(name)
        self._undo.append(lambda: delattr(owner, name) if own is None else setattr(owner, name, own))
        setattr(owner, name, timed)

    def stop(self) -> None:
        """Leave all as it was."""
        while self._undo:
            self._undo.pop()()


def loop(
    subject: Subject, corpus: Corpus, executions: int, engine: str = "builtin",
    put: Callable[[Configuration, Sequence[bytes]], Batch | None] | None = None,
) -> float:
    """Return the executions a second of processor time of a loop that goes on with a corpus."""
    kept = Corpus()
    for case in corpus.cases:
        kept.add(case)
    campaign = Loop([subject], kept, None, engine=engine, seed=SEED, limits=Limits(executions=executions))
    campaign.put = put
    began = processor_seconds()
    load_engine(engine)(campaign)
    return campaign.totals.executions / (processor_seconds() - began)


def nothing(_: Configuration, __: Sequence[bytes]) -> Batch:
    """Do nothing with a batch."""
    return Batch()


def model_alone() -> Callable[[Configuration, Sequence[bytes]], Batch]:
    """Return what asks the compiled twin, and nobody else."""
    readings = Readings()
    kept: dict[Configuration, Filter] = {}

    def put(configuration: Configuration, frames: Sequence[bytes]) -> Batch:
        if configuration not in kept:
            kept[configuration] = Filter(configuration, readings)
        kept[configuration].queues(frames)
        return Batch()

    return put


def profile(subject: Subject, corpus: Corpus) -> str:
    """Return in one line what the time of the loop goes to."""
    parts = Parts()
    counted = subject._counted
    parts.watch(Loop, "execute", GLUE)
    for name in ("explore", "configure"):
        parts.watch(counted, name, TARGET)
    for name in ("__init__", "queues", "reached"):
        parts.watch(Filter, name, ORACLE)
    began = time.process_time()
    try:
        loop(subject, corpus, FAST)
    finally:
        parts.stop()
    whole = time.process_time() - began
    parts.seconds[ENGINE] = whole - sum(parts.seconds.values())
    shares = [f"{name} {parts.seconds[name] / whole:.0%}" for name in (ENGINE, TARGET, ORACLE, GLUE)]
    return f"of the time with eBPF in the kernel: {', '.join(shares)}"


def atheris_empty() -> float:
    """Return the executions a second of libFuzzer with a target that does nothing; raises Missing without atheris."""
    done = subprocess.run(
        [sys.executable, "-c", _NOTHING.format(count=10 * FAST)], capture_output=True, check=False, timeout=300
    )
    if done.returncode:
        raise Missing("atheris is not installed")
    return float(done.stdout)


def other(name: str, target: str, corpus: Corpus) -> Rate | str:
    """Return the rate of another target, or why it cannot be driven."""
    try:
        subject = Subject(target, open_target, coverage=False)
    except VnethashError as error:
        return f"{name}: {error.line()}"
    try:
        loop(subject, corpus, SLOW // 10)
        return Rate(name, loop(subject, corpus, SLOW), EMPTY)
    finally:
        subject.close()


def measure() -> tuple[str, list[Rate], list[str]]:
    """Return the rates in executions a second of processor time, and what the time goes to."""
    if reason := permitted():
        raise Missing(reason)
    if not has_twin():
        raise Missing("numba is not installed")
    try:
        kernel = Subject("qemu-ebpf", open_target)
    except VnethashError as error:
        raise Missing(error.line()) from None
    notes = []
    empty = Subject("nothing", lambda _: Nothing(), coverage=False)
    first = Loop([kernel], Corpus(), None, seed=SEED, limits=Limits(executions=WARM))
    first.sow([])
    load_engine("builtin")(first)
    corpus = first.corpus
    loop(kernel, corpus, FAST)
    rates = [
        Rate(EMPTY, loop(empty, corpus, FAST, put=nothing)),
        Rate(MODEL, loop(empty, corpus, FAST, put=model_alone()), EMPTY),
        Rate(KERNEL, loop(kernel, corpus, FAST), EMPTY),
    ]
    notes.append(profile(kernel, corpus))
    served = shlex.join([
        sys.executable, "-c", "from vnethash.cli.main import main; main()", "adapter", "serve", "--binary",
        "model:literal",
    ])
    for name, target in (
        ("builtin, exec adapter that does nothing, model", f"exec:{nothing_command('binary', packed=True)}"),
        ("builtin, exec adapter of the model, model", f"exec:{served}"),
        ("builtin, QEMU's device, model", "qemu"),
    ):
        found = other(name, target, corpus)
        if isinstance(found, Rate):
            rates.append(found)
        else:
            notes.append(found)
    try:
        rates.append(Rate(ATHERIS, atheris_empty()))
        rates.append(Rate("atheris, the model's branches, eBPF in the kernel", loop(kernel, corpus, SLOW, "atheris"),
                          ATHERIS))  # fmt: skip
    except Missing as reason:
        notes.append(f"atheris: {reason}")
    kernel.close()
    empty.close()
    rates.append(Rate(f"a whole campaign of {FAST} executions, judged", whole(), KERNEL))
    return "the fuzzing loop, executions a second of processor time", rates, notes


def whole() -> float:
    """Return the executions a second of processor time of a campaign on eBPF in the kernel, from nothing to its end."""
    subject = Subject("qemu-ebpf", open_target)
    began = processor_seconds()
    campaign = Campaign([subject], Corpus(), None, seed=SEED, limits=Limits(executions=FAST))
    campaign.run(load_engine("builtin"))
    rate = campaign.totals.executions / (processor_seconds() - began)
    subject.close()
    return rate
