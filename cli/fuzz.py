"""`vnethash fuzz`: a coverage-guided differential campaign over any set of targets."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option("--suite", type=click.Choice(["packets", "control"]), default="packets", show_default=True,
              help="Fuzz with frames, or devices with sequences of control commands, resets and packets.")  # fmt: skip
@click.option("--time", "seconds", type=click.FloatRange(min=0.1), default=None, help="Seconds; 60 by default.")
@click.option("--executions", type=click.IntRange(min=1), default=None, help="End after so many frames, or steps.")
@click.option("--engine", default="builtin", show_default=True, help="builtin, atheris, or hypothesis.")
@click.option("--seed", type=int, default=None, help="Of all chance; by default another one each time.")
@click.option("--jobs", type=click.IntRange(min=1, max=256), default=1, show_default=True, help="Processes.")
@click.option("--ledger", type=click.Path(path_type=Path), default=Path("vnethash-fuzz/ledger.sqlite"),
              show_default=True, help="Where causes are kept; a campaign goes on with it.")  # fmt: skip
@click.option("--corpus", type=click.Path(path_type=Path), default=Path("vnethash-fuzz/corpus"), show_default=True,
              help="Folder of cases that reached something new.")  # fmt: skip
@click.option("--seeds", type=click.Choice(["all", "suite", "witnesses", "traffic"]), default="all",
              show_default=True, help="Plain traffic, and the static suite, solvers' witnesses, or both.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path), default=None, help="Write a page for the browser there.")
@click.option("--minimise", is_flag=True, help="Remove corpus files that reach nothing of their own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
def fuzz(
    targets: tuple[str, ...], suite: str, seconds: float | None, executions: int | None, engine: str,
    seed: int | None, jobs: int, ledger: Path, corpus: Path, seeds: str, report: Path | None, minimise: bool,
    as_json: bool,
) -> int:
    """Fuzz TARGET... against the model and report causes: each once, reduced, with a witness to replay.

    Ctrl-C ends the campaign at any moment and keeps everything. Exit codes: 0 no open cause, 1 open causes, 3 no target
    could be driven.
    """
    from vnethash.fuzz.case import Case  # noqa: PLC0415 - --help must be fast
    from vnethash.fuzz.engines import load_engine  # noqa: PLC0415
    from vnethash.fuzz.session import Plan, run_session  # noqa: PLC0415
    from vnethash.spec.errors import UsageError  # noqa: PLC0415
    from vnethash.targets.devices import is_device, open_device  # noqa: PLC0415
    from vnethash.targets.registry import check_name, open_target  # noqa: PLC0415

    for name in targets:
        check_name(name)
    if len(set(targets)) != len(targets):
        raise UsageError("a target is named twice")
    if seconds is None and executions is None:
        seconds = 60.0
    control = suite == "control"
    load_engine(engine, control=control)  # before anything that takes time
    plan = Plan(targets, seconds, executions, engine, seed, jobs, ledger, corpus, report, minimise, control)
    if control:
        for name in targets:
            if not is_device(name):
                hint = "--suite control is for qemu and model:DIALECT"
                raise UsageError(f"{name}: takes no control commands", hint=hint)
        return run_session(plan, open_device, as_json=as_json)
    more: tuple[Case, ...] = ()
    if seeds in {"all", "witnesses"}:
        from vnethash.fuzz.witnesses import seeds as found_by_solvers  # noqa: PLC0415

        more = found_by_solvers()
    if seeds in {"all", "suite"}:
        from vnethash.conformance.suite import load_suite  # noqa: PLC0415

        more += tuple(Case(case.configuration, (case.frame,)) for case in load_suite("quick").cases)
    return run_session(plan, open_target, more, as_json=as_json)
