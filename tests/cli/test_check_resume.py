"""kill -9 at any moment: of the run, of the adapter, of QEMU. Nothing that was found is lost, nothing is left."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from vnethash.cli.main import run
from vnethash.conformance.report import DRAWN, JOURNAL, REPORT

ADAPTER = Path(__file__).parents[1] / "conformance/interrupted.py"
#: Frames of the quick suite that this adapter is asked; when it comes to the second number, a batch is answered.
ASKED, ANSWERED = 234, 60


def command(folder: Path) -> str:
    return f"exec:{shlex.quote(sys.executable)} {ADAPTER} {folder} df-is-fragment"


def started(folder: Path, target: str, *options: str, mark: str = "UNMARKED") -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", "from vnethash.cli.main import main; main()", "check", target, "--quiet"]
    return subprocess.Popen(
        [*words, *options, "--output", folder], stdout=subprocess.DEVNULL, env={**os.environ, mark: "1"}
    )


def report(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a report without what differs from run to run."""
    found = [json.loads(line) for line in (folder / REPORT).read_bytes().splitlines()]
    changing = {"started", "finished", "seconds", "command"}
    return [{name: value for name, value in one.items() if name not in changing} for one in found]


def answered(folder: Path) -> int:
    lines = (folder / JOURNAL).read_bytes().splitlines() if (folder / JOURNAL).exists() else []
    return sum(line.startswith((b'{"line":"answer"', b'{"line":"script"')) for line in lines)


def gone(folder: Path) -> bool:
    """Wait until no adapter is left; False if one stays."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pids = (folder / "pids").read_text().split()
        if not any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _alive(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        return str(ADAPTER) in Path(f"/proc/{pid}/cmdline").read_text() and stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def marked(mark: str) -> dict[int, str]:
    """Return the command lines of all processes that have inherited the mark, by their numbers."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(folder.name)] = words.decode("utf-8", "replace")
        except OSError:
            continue
    return found


def asked(folder: Path) -> int:
    """Return how many frames were asked since this was called last."""
    number = (folder / "asked").stat().st_size
    (folder / "asked").unlink()
    return number


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], int]:
    """A folder for the adapter's files, the report of a run that nothing disturbed, how many frames it asked."""
    folder = tmp_path_factory.mktemp("adapter")
    output = folder / "whole"
    assert run(["check", command(folder), "--suite", "quick", "--quiet", "--output", str(output)]) == 1
    assert sum(one["record"] == "finding" for one in report(output)) == 1
    return folder, report(output), asked(folder)


def moments() -> list[int]:
    """Return frames at which to kill: two of the suite, one while the witness is reduced."""
    chance = random.Random(20260401)
    return [*sorted(chance.sample(range(ANSWERED, ASKED), 2)), ASKED + chance.randrange(1, 6)]


@pytest.mark.parametrize("frame", moments())
def test_a_run_killed_at_any_frame_goes_on_and_finds_the_same(
    frame: int, whole: tuple[Path, list[dict[str, Any]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, expected, frames = whole
    (folder / "fuse").write_text(f"run {frame}")
    assert started(tmp_path, command(folder), "--suite", "quick").wait() == -signal.SIGKILL
    assert gone(folder)
    before = answered(tmp_path)
    assert 0 < before <= min(frame, ASKED)
    asked(folder)

    kept = (tmp_path / JOURNAL).read_bytes()
    assert run(["report", str(tmp_path)]) == 2
    assert run(["replay", str(tmp_path), "any"]) == 2
    assert run(["check", "model:literal", "--suite", "quick", "--output", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(f"`vnethash check --resume {tmp_path}` goes on with it" in line for line in said)
    assert (tmp_path / JOURNAL).read_bytes() == kept

    assert run(["check", "--resume", str(tmp_path), "--quiet"]) == 1
    assert report(tmp_path) == expected
    assert asked(folder) == frames - before
    assert {path.name for path in tmp_path.iterdir()} == {REPORT, *DRAWN}
    assert gone(folder)


def test_a_run_killed_while_it_writes_its_report_goes_on_and_finds_the_same(
    whole: tuple[Path, list[dict[str, Any]], int], tmp_path: Path
) -> None:
    folder, expected, frames = whole
    with started(tmp_path, command(folder), "--suite", "quick") as child:
        while child.poll() is None and (not (tmp_path / REPORT).exists() or (tmp_path / REPORT).stat().st_size < 5000):
            time.sleep(0.001)
        child.kill()
    assert gone(folder)
    assert answered(tmp_path) == ASKED
    asked(folder)
    assert run(["check", "--resume", str(tmp_path), "--quiet"]) == 1
    assert report(tmp_path) == expected
    assert asked(folder) == frames - ASKED


def test_an_adapter_killed_at_any_moment_is_asked_on(
    whole: tuple[Path, list[dict[str, Any]], int], tmp_path: Path
) -> None:
    folder, expected, _ = whole
    for frame in moments()[1:]:
        (folder / "fuse").write_text(f"self {frame}")
        assert run(["check", command(folder), "--suite", "quick", "--quiet", "--output", str(tmp_path)]) == 1
        assert not (folder / "fuse").exists()
        found = report(tmp_path)
        target = next(one for one in found if one["record"] == "target")
        assert "was started again" in " ".join(target["notes"])
        target["notes"] = []
        assert found == expected, "the frame was asked again, and answered"
        assert gone(folder)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["model:literal"], "targets cannot be given again"),
        (["--suite", "default"], "--suite cannot be given again"),
        (["--overwrite"], "--overwrite cannot be given again"),
        ([], "holds no run to go on with"),
    ],
)
def test_what_cannot_go_on_gets_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", "--resume", str(tmp_path / "none"), *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_options_of_the_run_are_kept_and_overwrite_discards_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    accepted, where = tmp_path / "accepted.json", ["--output", str(tmp_path / "out")]
    begin = ["check", "model:literal,fragment-flags=any-flag", "--suite", "quick", "--clause", "V4-1", "--quiet"]

    def begin_and_die() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("vnethash.targets.model.ModelTarget.close", killed)
            with pytest.raises(Killed):
                run([*begin, *where, "--accept", str(accepted)])

    begin_and_die()
    assert not accepted.exists()
    assert run(["check", "--resume", str(tmp_path / "out")]) == 0
    assert accepted.exists()
    header = report(tmp_path / "out")[0]
    assert header["suite"] == "quick, clauses V4-1"

    begin_and_die()
    assert run([*begin, *where]) == 2
    assert "--overwrite discards its answers" in capsys.readouterr().err
    assert run([*begin, *where, "--overwrite"]) == 1
    assert run([*begin, *where]) == 1, "a report that came to its end is replaced"


CONTROL = ["--suite", "control", "--clause", "RSS-5", "--clause", "CVQ-2"]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the report of a run at QEMU that nothing disturbed."""
    folder = tmp_path_factory.mktemp("qemu")
    return run(["check", "qemu", *CONTROL, "--quiet", "--output", str(folder)]), report(folder)


def reach(folder: Path, child: subprocess.Popen[bytes], number: int) -> None:
    """Wait until so many scripts are answered."""
    while child.poll() is None and answered(folder) < number:
        time.sleep(0.002)


def none_left(mark: str) -> bool:
    """Wait until no process has the mark; False if one stays."""
    end = time.monotonic() + 20
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    return not left


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_a_run_killed_above_qemu_goes_on_and_no_qemu_is_left(
    control: tuple[int, list[dict[str, Any]]], tmp_path: Path
) -> None:
    mark = f"VNETHASH_TEST_{uuid.uuid4().hex}"
    with started(tmp_path, "qemu", *CONTROL, mark=mark) as child:
        reach(tmp_path, child, 7)
        seen = marked(mark)
        child.kill()
    assert any("virtio-net-device" in words for words in seen.values())
    assert none_left(mark)
    before = answered(tmp_path)
    assert 7 <= before < sum(one["record"] == "sequence" for one in control[1])
    assert run(["check", "--resume", str(tmp_path), "--quiet"]) == control[0]
    assert report(tmp_path) == control[1]


@pytest.mark.needs_qemu
@pytest.mark.needs_cc
def test_a_qemu_killed_under_a_run_costs_one_script_and_the_rest_is_judged(
    control: tuple[int, list[dict[str, Any]]], tmp_path: Path
) -> None:
    mark = f"VNETHASH_TEST_{uuid.uuid4().hex}"
    with started(tmp_path, "qemu", *CONTROL, mark=mark) as child:
        reach(tmp_path, child, random.Random(20260402).randrange(5, 12))
        victims = [pid for pid, words in marked(mark).items() if "virtio-net-device" in words]
        assert len(victims) == 1
        os.kill(victims[0], signal.SIGKILL)
        assert child.wait() == 1
    assert none_left(mark)
    found, expected = ({one["name"]: one["verdict"] for one in records if one["record"] == "sequence"}
                       for records in (report(tmp_path), control[1]))
    assert found.keys() == expected.keys()
    differ = {found[name] for name in expected if found[name] != expected[name]}
    assert differ <= {"error"}
    assert sum(found[name] != expected[name] for name in expected) <= 1
    slugs = {one["id"] for one in report(tmp_path) if one["record"] == "finding"}
    assert {one["id"] for one in control[1] if one["record"] == "finding"} <= slugs
    assert {path.name for path in tmp_path.iterdir()} == {REPORT, *DRAWN}
