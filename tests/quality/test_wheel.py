"""The wheel has all that the tree has: every module, and every file that is data."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("spec", "models", "targets", "conformance", "fuzz", "cli")

USE = """
import json
from importlib.resources import files
from vnethash.spec.clauses import load
from vnethash.spec.questions import load_questions
from vnethash.targets.kit import TEMPLATES, template
import vnethash.spec
print(json.dumps([vnethash.spec.__file__, len(load()), len(load_questions()), [len(template(t)) for t in TEMPLATES]]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing is left in the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for path in content():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes((ROOT / path).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def content() -> list[str]:
    """Return the files of the packages, but for what Python and editors leave there."""
    paths = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    return [
        str(path.relative_to(ROOT)) for path in paths
        if "__pycache__" not in path.parts and not path.name.startswith(".") and not path.name.endswith("~")
    ]


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    missing = sorted(path for path in content() if f"vnethash/{path}" not in inside)
    assert not missing, "a package or a pattern of package-data is missing in pyproject.toml"


def test_what_is_installed_from_the_wheel_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    # -S keeps the editable install of this tree away; nothing outside the standard library is needed.
    done = subprocess.run(
        [sys.executable, "-S", "-c", USE], env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True,
        text=True, check=True,
    )
    where, clauses, questions, templates = json.loads(done.stdout)
    assert Path(where).is_relative_to(tmp_path)
    assert clauses > 200
    assert questions > 50
    assert all(templates)
