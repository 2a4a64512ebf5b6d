"""What the pages name is there: links, commands, targets of make."""

from __future__ import annotations

import re
from pathlib import Path

import excerpt
import pytest
from vnethash.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for command in re.findall(r"(?:^ {4}|`)(?:\.venv/bin/)?vnethash ([a-z][a-z-]*)", text, re.MULTILINE):
        assert command in COMMANDS
    for target in re.findall(r"(?:^ {4}|`)make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_the_readme_lists_every_command() -> None:
    table = (ROOT / "README.md").read_text("utf-8").partition("## Commands")[2].partition("| target")[0]
    assert re.findall(r"^\| `([a-z]+)", table, re.MULTILINE)[1:] == list(COMMANDS)


def test_the_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", index)) == pages


@pytest.mark.needs_steering
def test_the_excerpt_in_the_readme_is_what_a_run_prints() -> None:
    """With another QEMU numbers may differ, but the findings are there; `python tests/docs/excerpt.py` renews it."""
    shown, now = excerpt.shown(), excerpt.excerpt(excerpt.run())
    version = re.compile(r"^qemu-ebpf  (QEMU .*?), ", re.MULTILINE)
    if version.findall(shown) == version.findall(now):
        assert shown == now
    finding = re.compile(r"^  (T1\.\S+)", re.MULTILINE)
    assert finding.findall(shown) == finding.findall(now)
