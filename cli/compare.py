"""`vnethash compare A B`: where two targets differ."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--suite", default="default", show_default=True, help="default, quick, or a file of vectors.")
@click.option("--route", type=click.Choice(("auto", "test_run", "tun")), default="auto", show_default=True,
              help="How frames reach a steering program in the kernel.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--quiet", is_flag=True, help="No progress.")
def compare(first: str, second: str, suite: str, route: str, as_json: bool, quiet: bool) -> int:
    """Put the suite to two targets and list the causes by which they differ; no oracle says who is right.

    Exit code 0 if they agree in all that both show, 1 if they differ.
    """
    from vnethash.cli.check import Bars, load_cases  # noqa: PLC0415
    from vnethash.conformance.compare import compare as run_compare  # noqa: PLC0415
    from vnethash.conformance.wording import outcome_words  # noqa: PLC0415
    from vnethash.models.summarize import summarize  # noqa: PLC0415
    from vnethash.targets.registry import open_target, with_routes  # noqa: PLC0415

    _, cases = load_cases(suite, (), ())
    first, second = with_routes([first, second], route)
    one = open_target(first)
    try:
        two = open_target(second)
        try:
            with Bars(enabled=not quiet and not as_json) as bars:
                found = run_compare(one, two, cases, bars)
        finally:
            two.close()
    finally:
        one.close()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "compared": found.compared, "differing": found.differing, "left_out": found.left_out,
                    "causes": [
                        {
                            "cause": difference.slug, "title": difference.title, "cases": len(difference.pairs),
                            first: difference.first, second: difference.second, "frame": difference.frame.hex(),
                            "config": difference.configuration.to_json() if difference.configuration else None,
                        }
                        for difference in found.differences
                    ],
                }
            )
        )
    else:
        for difference in found.differences:
            click.echo(f"{difference.slug}: {difference.title}; {len(difference.pairs)} cases")
            click.echo(f"  {first}: {difference.first}: {outcome_words(difference.observed[0])}")
            click.echo(f"  {second}: {difference.second}: {outcome_words(difference.observed[1])}")
            types = difference.configuration.hash_types if difference.configuration else 0
            click.echo(f"  {summarize(difference.frame)}  hash_types {types:#x}  {difference.frame.hex()}")
        click.echo(
            f"{found.compared} cases compared, {found.differing} differ by {len(found.differences)} causes, "
            f"{found.left_out} left out because one of the two cannot take their configuration"
        )
    if found.interrupted:
        return 130
    return 1 if found.differing else 0
