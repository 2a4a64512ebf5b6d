"""`vnethash targets`: what can be driven on this machine, and why the rest cannot."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def targets(as_json: bool) -> None:
    """List what can be driven on this machine, and why the rest cannot."""
    from vnethash.targets.registry import probe_all  # noqa: PLC0415

    lines = probe_all()
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "name": line.name, "what": line.what, "available": line.available, "reason": line.reason,
                        "shows": list(line.shows),
                    }
                    for line in lines
                ]
            )
        )
        return
    width = max(len(line.name) for line in lines)
    for line in lines:
        state = f"shows {', '.join(line.shows)}" if line.available else f"skipped: {line.reason}"
        click.echo(f"{line.name:{width}}  {line.what}; {state}")
