"""No test is skipped unseen.

A test that needs something of the machine says so: `@pytest.mark.needs_clang`, or `needs.require("clang")`. It is
skipped where that is missing, and the run ends with one line for each thing that was missing. In CI (CI=true) a test
that is skipped though all that it needs is here fails; and so does, anywhere, a test that is skipped for something that
VNETHASH_REQUIRE lists.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections import Counter
from typing import TYPE_CHECKING

import hypothesis
import needs
import order
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

_REASON = re.compile(r"needs (\w+): ")
_IMPORT = re.compile(r"could not import '(\w+)")

# Machines are shared, so a slow example is no failure.
hypothesis.settings.register_profile("vnethash", deadline=None, print_blob=True)
hypothesis.settings.load_profile("vnethash")


def pytest_configure(config: pytest.Config) -> None:
    """Make one marker of each need."""
    for name, (what, _) in needs.NEEDS.items():
        config.addinivalue_line("markers", f"needs_{name}: needs {what}")
    needs.required()
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # pytest-xdist would put the files with the most tests first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first."""
    order.sort(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test for what is missing."""
    needs.require(*_needed(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped without need."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _hold(report, _needed(item))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that was skipped without need."""
    report = yield
    if report.skipped:
        _hold(report, ())
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and for what."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        counts[_reason(report)] += 1
    if counts:
        terminalreporter.section("skipped", sep="-")
    for reason, count in counts.most_common():
        terminalreporter.line(f"{count:5} {reason}")


def _needed(item: pytest.Item) -> list[str]:
    marks = (mark.name.removeprefix("needs_") for mark in item.iter_markers() if mark.name.startswith("needs_"))
    return [name for name in dict.fromkeys(marks) if name in needs.NEEDS]


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    longrepr = report.longrepr
    words = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
    return words.removeprefix("Skipped: ")


def _hold(report: pytest.TestReport | pytest.CollectReport, names: Iterable[str]) -> None:
    """Turn a skip into a failure unless something is missing that may be."""
    reason = _reason(report)
    asked = {*names, *(name for name in _REASON.findall(reason) if name in needs.NEEDS)}
    missing = {name for name in asked if needs.why_missing(name)}
    if demanded := (missing or asked) & needs.required():
        words = f"VNETHASH_REQUIRE demands {', '.join(sorted(demanded))}"
    elif missing or os.environ.get("CI") != "true":
        return
    elif module := _IMPORT.search(reason):
        if importlib.util.find_spec(module[1]) is None:
            return
        words = f"{module[1]} can be imported"
    else:
        words = f"{', '.join(sorted(asked))} is here" if asked else "and says no need (tests/needs.py)"
    report.outcome = "failed"
    report.longrepr = f"skipped ({reason}), but {words}"
