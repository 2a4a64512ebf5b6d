from __future__ import annotations

from typing import TYPE_CHECKING

from vnethash.cli.main import run
from vnethash.targets import registry
from vnethash.targets.base import TargetInfo

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_brief_shows_conclusions_and_the_matrix_and_leaves_findings_to_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = ["model:literal,fragment-flags=any-flag", "model:ndis"]
    code = run(["check", *targets, "--suite", "quick", "--quiet", "--brief", "--output", str(tmp_path / "report")])
    shown = capsys.readouterr().out
    assert code == 1
    assert "deviates" in shown
    assert "fragment-flags: any-flag" in shown
    assert "T1.fragment-flags" not in shown.replace("vnethash replay", "").splitlines()[0]
    assert "readings:" not in shown
    assert (tmp_path / "report" / "report.html").exists()


def test_all_says_what_it_leaves_out_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        TargetInfo("model:literal", "our own", available=True, judged=True),
        TargetInfo("tun:qemu", "on a TAP", available=False, reason="/dev/net/tun is not there", judged=True),
        TargetInfo("tun:PATH.o", "yours", available=False, reason="/dev/net/tun is not there"),
    ]
    monkeypatch.setattr(registry, "probe_all", lambda: lines)
    assert run(["check", "--all", "--suite", "quick", "--quiet", "--output", str(tmp_path / "report")]) == 0
    said = capsys.readouterr().err
    assert said.strip() == "vnethash: skipped tun:qemu: /dev/net/tun is not there"
