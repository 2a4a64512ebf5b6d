"""The project folder for OSS-Fuzz and ClusterFuzzLite: it builds, its targets run, and what is wrong is found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / ".clusterfuzzlite"
NAMES = sorted(path.stem for path in (PROJECT / "fuzzers").glob("*_fuzzer.py"))
#: Runs of targets that take milliseconds each; others 1000.
RUNS = {"ledger_fuzzer": 60, "twin_fuzzer": 300, "protocol_fuzzer": 300, "case_fuzzer": 500, "object_fuzzer": 500}

pytest.importorskip("atheris")
pytest.importorskip("numba")


def build(project: Path, out: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SRC": str(ROOT.parent), "OUT": str(out), "PYTHON": sys.executable, **more}
    return subprocess.run(["bash", project / "build.sh"], env=environment, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("out")
    build(PROJECT, folder)
    yield folder
    shutil.rmtree(folder)


def run(out: Path, name: str, *words: object) -> subprocess.CompletedProcess[str]:
    # libFuzzer's limit looks at the peak of memory, which begins with that of the process it was forked of: a shell.
    command = ["sh", "-c", '"$@"; exit $?', "sh", out / name, "-seed=1", f"-dict={out / name}.dict", *map(str, words)]
    return subprocess.run(command, cwd=out, check=False, capture_output=True, text=True, errors="replace", timeout=300)


def unpacked(out: Path, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(out / f"{name}_seed_corpus.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_target_runs_and_finds_nothing(out: Path, name: str, tmp_path: Path) -> None:
    corpus = unpacked(out, name, tmp_path / "corpus")
    seeds = len(list(corpus.iterdir()))
    assert seeds >= 2
    options = (out / f"{name}.options").read_text("ascii")
    longest = re.search(r"max_len = (\d+)", options)
    assert longest
    assert max(path.stat().st_size for path in corpus.iterdir()) <= int(longest[1])
    done = run(out, name, f"-runs={RUNS.get(name, 1000)}", f"-max_len={longest[1]}", corpus)
    assert done.returncode == 0, done.stderr[-3000:]
    # Branches of vnethash are counted: more of them are reached than the seeds reach.
    first, *_, last = (int(number) for number in re.findall(r"cov: (\d+)", done.stderr))
    assert last >= first > 20
    assert len(list(corpus.iterdir())) >= seeds or name == "object_fuzzer"
    assert not list(out.glob("crash-*"))
    end = time.monotonic() + 10
    while left := list(Path("/dev/shm").glob("*-fuzzer-*")):
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_a_planted_difference_is_found_and_its_input_shows_it_again(out: Path, tmp_path: Path) -> None:
    project = tmp_path / "vnethash" / ".clusterfuzzlite"
    shutil.copytree(PROJECT, project)
    for path in (project / "fuzzers").glob("*_fuzzer.py"):
        if path.stem != "twin_fuzzer":
            path.unlink()
    source = project / "fuzzers" / "twin_fuzzer.py"
    text = source.read_text("utf-8")
    spot = "        assert answer == expected"
    assert text.count(spot) == 1
    plant = "        if answer.report and len(case.frame) & 7 == 5:\n            answer = answer._replace(value=1)\n"
    source.write_text(text.replace(spot, plant + spot), "utf-8")
    planted = tmp_path / "out"
    build(project, planted)
    found = run(planted, "twin_fuzzer", "-runs=2000", unpacked(planted, "twin_fuzzer", tmp_path / "corpus"))
    assert found.returncode == 77, found.stderr[-2000:]
    assert "AssertionError" in found.stdout + found.stderr
    (crash,) = planted.glob("crash-*")
    assert run(planted, "twin_fuzzer", crash).returncode == 77
    assert run(out, "twin_fuzzer", crash).returncode == 0


def test_on_their_machines_the_targets_are_compiled(tmp_path: Path) -> None:
    tools, log = tmp_path / "tools", tmp_path / "log"
    tools.mkdir()
    scripts = {
        "compile_python_fuzzer": f'echo "$@" >>{log}\n: >"$OUT/$(basename -s .py "$1")"',
        "python": f'if [ "$2" = pip ]; then echo "$@" >>{log}; else exec "{sys.executable}" "$@"; fi',
    }
    for name, words in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{words}\n")
        (tools / name).chmod(0o755)
    build(PROJECT, tmp_path / "out", PATH=f"{tools}:{os.environ['PATH']}", PYTHON="python")
    first, *calls = log.read_text().splitlines()
    assert first == f"-m pip install --quiet {ROOT}[fuzz,fast]"
    assert [Path(call.split()[0]).stem for call in calls] == NAMES
    assert all("--collect-all vnethash" in call for call in calls)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}{end}" for name in NAMES for end in ("", ".dict", ".options", "_seed_corpus.zip")
    }


def test_corpora_are_the_same_each_time(out: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, PROJECT / "corpora.py", tmp_path], check=True)
    ledger = "ledger_fuzzer_seed_corpus.zip"  # a ledger has a number of its own
    for path in tmp_path.iterdir():
        assert path.name == ledger or path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_the_project_says_what_it_is() -> None:
    settings = (PROJECT / "project.yaml").read_text("ascii")
    assert "language: python" in settings
    assert "libfuzzer" in settings
    assert "base-builder-python" in (PROJECT / "Dockerfile").read_text("ascii")
    assert os.access(PROJECT / "build.sh", os.X_OK)
