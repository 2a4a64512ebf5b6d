"""The house rules that a program can hold us to; `make lint` has the rest."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import order
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("spec", "models", "targets", "conformance", "fuzz", "cli")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
GENERATED = {ROOT / "spec" / "readings.py"}
#: What is derived from the model may import what it needs.
DERIVED = ("compiled", "symbolic")
MOST_LINES = 500


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in MODULES if path not in GENERATED], ids=name)
def test_a_module_has_at_most_500_lines_and_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert ast.get_docstring(ast.parse(text))


def modules_of_model() -> list[Path]:
    model = [path for path in MODULES if path.relative_to(ROOT).parts[0] in ("spec", "models")]
    return [path for path in model if path.relative_to(ROOT).parts[1].removesuffix(".py") not in DERIVED]


@pytest.mark.parametrize("path", modules_of_model(), ids=name)
def test_specification_and_model_import_nothing_but_the_standard_library_and_each_other(path: Path) -> None:
    allowed = ("vnethash.spec", "vnethash.models") if path.is_relative_to(ROOT / "models") else ("vnethash.spec",)
    for module in imported(path):
        ours = any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed)
        assert ours or module.partition(".")[0] in sys.stdlib_module_names, module


def imported(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.append(node.module or "")
    return found


@pytest.mark.parametrize("path", [path for path in TESTS if path.name.startswith("test_")], ids=name)
def test_a_test_file_stands_in_the_folder_of_what_it_tests(path: Path) -> None:
    folders = path.relative_to(ROOT / "tests").parts[:-1]
    assert folders, "a test file stands in a folder"
    assert folders[0] in (*PACKAGES, "quality", "docs")


def test_no_two_modules_that_tests_share_have_one_name() -> None:
    """They are imported by their bare names (pythonpath in pyproject.toml)."""
    paths = [path for path in TESTS if path.parent.name != "bench"]
    shared = [path.name for path in paths if not path.name.startswith(("test_", "conftest"))]
    assert len(shared) == len(set(shared))


def test_the_files_that_run_first_are_there() -> None:
    assert {f"test_{name}.py" for name in order.LONG} <= {path.name for path in TESTS}
    assert len(set(order.LONG)) == len(order.LONG)


def test_long_files_run_first_and_all_else_stays_in_its_order() -> None:
    first, second = order.LONG[:2]
    names = ("a", second, "b", second, first)
    items: Any = [SimpleNamespace(path=ROOT / f"test_{name}.py", place=place) for place, name in enumerate(names)]
    order.sort(items)
    assert [item.place for item in items] == [4, 1, 3, 0, 2]
