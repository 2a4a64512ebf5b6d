"""`vnethash report FOLDER`: draw all reports again, from report.jsonl alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from vnethash.spec.errors import EXIT_OK


@click.command("report", short_help="Draw the reports of a run again.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--partial", is_flag=True, help="Also draw a run that did not finish.")
@click.option("--expected", type=click.Path(path_type=Path), help="Compare with this file; exit 1 on any difference.")
@click.option("--accept", type=click.Path(path_type=Path), help="Write what the run found to this file as expected.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def report(folder: Path, partial: bool, expected: Path | None, accept: Path | None, as_json: bool) -> int:
    """Draw junit.xml, report.html, summary.md, badge.json and witnesses.pcapng of FOLDER from its report.jsonl.

    No target is asked anything, so this works anywhere, and at any time after the run. The exit code is 0 if the
    reports were drawn, whatever they say; with --expected it is 1 if the run is not as expected.
    """
    # The drawing imports jinja2, rich and scapy, which `vnethash --help` need not wait for.
    from vnethash.conformance import expected as expectations  # noqa: PLC0415
    from vnethash.conformance.report import draw_all, read_report  # noqa: PLC0415
    from vnethash.conformance.summary import make_console, render_differences, render_terminal  # noqa: PLC0415

    known = expectations.read_expected(expected) if expected else None
    run = read_report(folder, partial=partial)
    drawn = draw_all(run.folder, partial=partial)
    differences = expectations.compare(run, known) if known else []
    if accept:
        previous = expectations.read_expected(accept) if accept.exists() else None
        expectations.write_expected(expectations.accept(run, previous), accept)
    if as_json:
        answer = {
            "folder": str(run.folder),
            "drawn": [path.name for path in drawn],
            "finished": run.footer is not None,
            "targets": {
                target.name: {
                    "conclusion": target.conclusion, "counts": target.counts(), "findings": len(target.findings),
                }
                for target in run.targets
            },
            "differences": [asdict(one) for one in differences],
        }
        click.echo(json.dumps(answer, indent=2))
    else:
        console = make_console()
        render_terminal(run, console)
        if known:
            render_differences(differences, console)
    return expectations.exit_code(differences) if known else EXIT_OK
