"""`vnethash replay [FOLDER] FINDING`: is a finding still there?"""

from __future__ import annotations

import json
from pathlib import Path

import click
from vnethash.spec.errors import UsageError


@click.command()
@click.argument("words", metavar="[FOLDER] FINDING", nargs=-1, required=True)
@click.option("--target", help="Another target than the one it was found on.")
@click.option("--route", type=click.Choice(("auto", "test_run", "tun")), default="auto", show_default=True,
              help="How frames reach a steering program in the kernel.")
@click.option("--ledger", type=click.Path(path_type=Path), help="Replay a cause of this ledger of `vnethash fuzz`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def replay(words: tuple[str, ...], target: str | None, route: str, ledger: Path | None, as_json: bool) -> int:
    """Put the witness of a finding to its target again.

    FOLDER is that of the records (default: vnethash-report), FINDING an id of its report. Exit code 0 fixed, 1 still
    there, 2 cannot be replayed.
    """
    from vnethash.conformance.replay import replay as run_replay  # noqa: PLC0415
    from vnethash.conformance.report import JOURNAL, read_report, resume_hint  # noqa: PLC0415
    from vnethash.conformance.wording import all_allowed_words, outcome_words, step_lines  # noqa: PLC0415
    from vnethash.models.summarize import summarize  # noqa: PLC0415
    from vnethash.targets.devices import open_device  # noqa: PLC0415
    from vnethash.targets.registry import open_target, with_routes  # noqa: PLC0415

    if ledger is not None:
        if len(words) != 1:
            raise UsageError("replay --ledger takes one cause")
        return _from_ledger(ledger, words[0], target, as_json=as_json)
    if len(words) > 2:
        raise UsageError("replay takes a folder and one finding")
    folder = Path(words[0] if len(words) == 2 else "vnethash-report")
    report = read_report(folder, partial=True)
    known = {finding.id: finding for finding in report.findings}
    wanted = words[-1]
    matching = [name for name in known if name == wanted or name.partition(".")[2] == wanted]
    if len(matching) != 1:
        hint = f"it has {', '.join(sorted(known)) or 'none'}"
        if report.footer is None and (folder / JOURNAL).exists():
            hint = f"the run did not finish: {resume_hint(folder)}; {hint} yet"
        problem = "no finding" if not matching else "more than one finding"
        raise UsageError(f"{folder}: {problem} {wanted!r}", hint=hint)
    finding = known[matching[0]]
    (name,) = with_routes([target or finding.target], route)
    answer = run_replay(finding, lambda _: open_target(name), lambda _: open_device(name))
    if as_json:
        click.echo(
            json.dumps(
                {
                    "finding": finding.id, "verdict": answer.verdict, "words": answer.words,
                    "before": finding.witness.before,
                    "frame": finding.witness.frame,
                    "steps": step_lines(answer.steps),
                    "observed": None if answer.observed is None else {
                        name: getattr(answer.observed, name) for name in ("report", "value", "queue")
                    },
                }
            )
        )
        return answer.exit_code
    click.echo(f"{finding.id}: {finding.title} [{', '.join(finding.clauses)}]")
    if finding.witness.sequence:
        for label, lines in (("then", step_lines(finding.witness.sequence)), ("now", step_lines(answer.steps))):
            for number, line in enumerate(lines):
                click.echo(f"  {label if not number else '':<8} {line}")
        click.echo(f"{answer.verdict}: {answer.words}")
        return answer.exit_code
    for ahead in finding.witness.before:
        click.echo(f"  before   {ahead}  ({summarize(bytes.fromhex(ahead))})")
    click.echo(f"  frame    {finding.witness.frame}  ({finding.witness.summary})")
    click.echo(f"  allowed  {all_allowed_words(finding.witness.expected)}")
    click.echo(f"  then     {outcome_words(finding.witness.observed)}")
    click.echo(f"  now      {outcome_words(answer.observed)}")
    click.echo(f"{answer.verdict}: {answer.words}")
    return answer.exit_code


def _from_ledger(path: Path, name: str, target: str | None, *, as_json: bool) -> int:
    """Replay a cause that a campaign found."""
    from vnethash.fuzz.ledger import Ledger  # noqa: PLC0415
    from vnethash.fuzz.live import observed_words  # noqa: PLC0415
    from vnethash.fuzz.replay import replay_entry  # noqa: PLC0415
    from vnethash.targets.devices import open_device  # noqa: PLC0415
    from vnethash.targets.registry import open_target  # noqa: PLC0415

    ledger = Ledger(path, create=False, write=False)
    entry = ledger.find(name)
    ledger.close()
    if entry.shown is None:
        answer = replay_entry(entry, open_target, target)
    else:
        from vnethash.fuzz.device.replay import replay_steps  # noqa: PLC0415

        answer = replay_steps(entry, entry.shown, open_device, target)
    verdict = ("fixed", "still there", "cannot be replayed")[answer.code]
    if as_json:
        observed = None if answer.observed is None else answer.observed._asdict()
        fields = {"finding": entry.id, "verdict": verdict, "words": answer.words, "observed": observed}
        if answer.shown is not None:
            fields = {**fields, **answer.shown.to_json()}
        click.echo(json.dumps(fields))
        return answer.code
    click.echo(f"{entry.id}: {entry.title} [{', '.join(entry.clauses)}]")
    if entry.shown is not None:
        for label, steps in (("then", entry.shown), ("now", answer.shown)):
            for number, line in enumerate(steps.lines() if steps else ["nothing"]):
                click.echo(f"  {label if not number else '':<8} {line}")
    for frame in entry.witness.frames:
        click.echo(f"  frame    {frame.hex()}")
    if entry.shown is None:
        click.echo(f"  then     {observed_words(entry.observed)}")
        click.echo(f"  now      {observed_words(answer.observed)}")
    click.echo(f"{verdict}: {answer.words}")
    return answer.code
