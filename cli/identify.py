"""`vnethash identify TARGET`: the profile of a target, with few packets."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("name", metavar="TARGET")
@click.option("--packets", default=200, show_default=True, type=click.IntRange(min=1), help="At most so many.")
@click.option("--timeout", type=click.FloatRange(min=0.01), help="Seconds that an exec: target has for one answer.")
@click.option("--route", type=click.Choice(("auto", "test_run", "tun")), default="auto", show_default=True,
              help="How frames reach a steering program in the kernel.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def identify(name: str, packets: int, timeout: float | None, route: str, as_json: bool) -> int:
    """Find the readings that a target follows by the packets that tell them apart.

    Exit code 0 if one set of supported readings explains every answer, 1 if not.
    """
    from vnethash.conformance.identify import identify as run_identify  # noqa: PLC0415
    from vnethash.conformance.suite import load_suite  # noqa: PLC0415
    from vnethash.spec.questions import questions_by_field  # noqa: PLC0415
    from vnethash.targets.registry import open_target, with_routes  # noqa: PLC0415

    (name,) = with_routes([name], route)
    target = open_target(name, timeout=timeout)
    try:
        found = run_identify(target, load_suite("default").cases, most=packets)
    finally:
        target.close()
    questions = questions_by_field()
    profile = found.profile
    lines = []
    for field, numbers in profile.possible.items():
        best = profile.readings[field]
        ordered = [best, *sorted(numbers - {best})]
        readings = [questions[field].readings[number] for number in ordered]
        lines.append((questions[field].id, [reading.name for reading in readings], readings[0].standing))
    unsupported = [identifier for identifier, names, standing in lines if standing == "defect" and len(names) == 1]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "target": name, "packets": found.packets, "finished": found.finished,
                    "consistent": found.consistent, "unexplained": found.unexplained,
                    "contradicting": len(profile.violated),
                    "profile": {identifier: names for identifier, names, _ in lines},
                }
            )
        )
    else:
        width = max(len(identifier) for identifier, _, _ in lines) if lines else 0
        for identifier, names, standing in lines:
            literal = names[0] == questions[identifier.replace("-", "_")].readings[0].name
            mark = "open" if len(names) > 1 else "literal" if literal else standing
            click.echo(f"{identifier:{width}}  {mark:8}  {' or '.join(names)}")
        click.echo(
            f"{found.packets} packets; {len(lines)} questions spoken to, {found.unexplained} answers that no reading "
            f"explains, {len(profile.violated)} that contradict the profile"
            + ("" if found.finished else "; not all was asked: give --packets more")
        )
    return 0 if found.consistent and not unsupported else 1
