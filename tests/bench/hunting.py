"""What it costs a campaign to find planted defects: CPU seconds, executions, and how many causes each gives.

    python tests/bench/hunting.py alone [NAME...]     each hidden defect alone
    python tests/bench/hunting.py together [NAME...]  all in one implementation
    python tests/bench/hunting.py static [NAME...]    each defect of the static suite alone, with so many executions
    python tests/bench/hunting.py against [TARGET...] QEMU's, from an empty corpus, against the static suite

`--seeds N` campaigns each (5; `static` 1), each of `--seconds S` of CPU at most (60), or of `--executions N` (`static`
12,000). A campaign of `alone` goes on behind the first cause for as long again, and at least for `--beyond S` (3), so
that a cause that is split has time to show that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

QUALITY = Path(__file__).parents[1] / "quality"
sys.path[:0] = [str(QUALITY), str(QUALITY / "implementations")]

from against_static import beside, campaign_on, held_against, static_findings  # noqa: E402 - after the folders
from defects import DEFECTS  # noqa: E402
from hidden import HIDDEN, several  # noqa: E402
from hunts import Hunt, hunt, shown_by  # noqa: E402
from vnethash.targets.registry import open_target  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plain import Plain


def line(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def one(name: str, make: Callable[[], Plain], seeds: Iterable[int], seconds: float, beyond: float) -> bool:
    """Hunt one defect with every seed, print a line, and say whether its median is in time and all gave one cause."""
    hunts = [hunt(make, seed, seconds=seconds, beyond=beyond) for seed in seeds]
    firsts = [each.first() or (each.executions, float("inf")) for each in hunts]
    cost = statistics.median(at for _, at in firsts)
    executions = statistics.median(count for count, _ in firsts)
    causes = [len(each.causes) for each in hunts]
    worst = max(at for _, at in firsts)
    line(f"  {name:26} {cost:8.1f} s {worst:8.1f} s {executions:>11,.0f}   {' '.join(map(str, causes))}")
    for words in sorted({f"{cause.kind}: {cause.signature.words()}" for each in hunts for cause in each.causes}):
        if set(causes) != {1}:
            line(f"      {words}")
    return cost < seconds and set(causes) == {1}


def alone(devices: dict[str, Callable[[], Plain]], seeds: Iterable[int], seconds: float, beyond: float) -> int:
    """Hunt each defect alone; return how many are not found in time as one cause."""
    line(f"  {'defect':26} {'median':>8}   {'worst':>8}   {'executions':>11}   causes by seed")
    wrong = [name for name, make in devices.items() if not one(name, make, seeds, seconds, beyond)]
    line(f"{len(devices) - len(wrong)} of {len(devices)} found in time, and as one cause with every seed")
    return len(wrong)


def static(devices: dict[str, Callable[[], Plain]], seeds: Iterable[int], executions: int) -> int:
    """Hunt each defect of the static suite alone; return how many are not one cause with every seed.

    A line has the causes, the executions behind which the first was seen, and the CPU seconds of the whole campaign.
    """
    line(f"  {'defect':26} {'seed':>4} {'causes':>6} {'first seen':>11} {'CPU':>8}")
    wrong = set()
    for name, make in devices.items():
        for seed in seeds:
            found = hunt(make, seed, seconds=float("inf"), awaited=sys.maxsize, executions=executions)
            first = min((cause.executions for cause in found.causes), default=0)
            line(f"  {name:26} {seed:>4} {len(found.causes):>6} {first or 'none':>11} {found.seconds:>6.1f} s")
            if len(found.causes) != 1:
                wrong.add(name)
                for cause in found.causes:
                    line(f"      {cause.executions:>9,} {cause.kind} {cause.id}: {cause.signature.words()}")
    line(f"{len(devices) - len(wrong)} of {len(devices)} are one cause; not so: {' '.join(sorted(wrong)) or 'none'}")
    return len(wrong)


def together(names: list[str], seeds: Iterable[int], seconds: float) -> int:
    """Hunt all defects in one implementation; return how many were merged, split, or not found."""
    devices = {name: (lambda name=name: several(name)) for name in names}
    wrong = 0
    for seed in seeds:
        found = hunt(lambda: several(*names), seed, seconds=seconds, awaited=len(names))
        shows = {cause.id: shown_by(cause, devices) for cause in found.causes}
        missed = [name for name in names if not any(name in each for each in shows.values())]
        odd = _odd(found, shows)
        line(f"seed {seed}: {len(found.causes)} causes of {len(names)} defects, {found.executions:,} executions, "
             f"{found.seconds:.1f} s; not found: {' '.join(missed) or 'none'}")  # fmt: skip
        for text in odd:
            line(f"  {text}")
        wrong += len(missed) + len(odd)
    return wrong


def _odd(found: Hunt, shows: dict[str, list[str]]) -> list[str]:
    """Return a line for each cause that does not show just one defect, or one that another cause shows already."""
    seen: dict[str, str] = {}
    odd = []
    for cause in found.causes:
        names = shows[cause.id]
        if len(names) != 1 or names[0] in seen:
            odd.append(f"{' and '.join(names) or 'no single defect'}: {cause.kind}: {cause.signature.words()}"
                       + (f" (beside {seen[names[0]]})" if names and names[0] in seen else ""))  # fmt: skip
        for name in names:
            seen.setdefault(name, cause.signature.words())
    return odd


def against(name: str, seeds: Iterable[int], seconds: float, executions: int | None = None) -> int:
    """Hold campaigns on a target against the static suite; return how many findings by frames one campaign missed."""
    missed = 0
    with TemporaryDirectory(prefix="vnethash-") as folder:
        findings = static_findings(name, Path(folder) / "report")
    for seed in seeds:
        campaign = campaign_on(name, open_target, seed, executions=executions,
                               seconds=None if executions else seconds)  # fmt: skip
        try:
            rows = held_against(campaign, findings)
            line(f"{name}, seed {seed}: {campaign.totals.executions:,} executions in {campaign.seconds():.0f} s")
            for row in rows:
                line(f"  {row.line()}")
            for cause in beside(campaign, rows):
                line(f"  beside: {cause.kind} {cause.id} {cause.executions:,}: {cause.title}")
                line(f"          {cause.signature.words()}")
            by_frames = [row for row in rows if row.by_frames]
            found = sum(row.cause is not None for row in by_frames)
            line(f"  {found} of {len(by_frames)} that frames show; {len(rows) - len(by_frames)} need sequences")
            missed += len(by_frames) - found
        finally:
            for subject in campaign.subjects:
                subject.close()
    return missed


def main() -> int:
    """Run what was asked for; the exit code is 1 if something was not found in time as one cause."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("alone", "together", "static", "against"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--executions", type=int)
    parser.add_argument("--beyond", type=float, default=3.0)
    arguments = parser.parse_args()
    seeds = range(1, (arguments.seeds or (1 if arguments.what == "static" else 5)) + 1)
    if arguments.what == "against":
        targets = arguments.names or ("qemu-ebpf", "qemu")
        return min(1, sum(against(name, seeds, arguments.seconds, arguments.executions) for name in targets))
    known: dict[str, Callable[[], Plain]] = (
        {name: defect.device for name, defect in DEFECTS.items()} if arguments.what == "static"
        else {name: (lambda name=name: several(name)) for name in HIDDEN}
    )  # fmt: skip
    if unknown := set(arguments.names) - known.keys():
        parser.error(f"no defect {' '.join(sorted(unknown))}: there are {' '.join(known)}")
    names = arguments.names or list(known)
    if arguments.what == "together":
        return min(1, together(names, seeds, arguments.seconds))
    if arguments.what == "static":
        return min(1, static({name: known[name] for name in names}, seeds, arguments.executions or 12_000))
    return min(1, alone({name: known[name] for name in names}, seeds, arguments.seconds, arguments.beyond))


if __name__ == "__main__":
    sys.exit(main())
