"""`vnethash clarify`: the report on standard output or in a file, and a user's mistakes."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from vnethash.cli.main import run
from vnethash.conformance.clarify import page_of
from vnethash.spec.questions import all_questions, load_device_questions, load_questions

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
from report_samples import write


def test_all_questions_are_printed(capsys):
    assert run(["clarify"]) == 0
    text = capsys.readouterr().out
    assert all(f"## {name}: " in text and f"\n| [{name}](#{name}) | " in text for name in all_questions())
    assert all(f'\n<a id="{name}"></a>\n' in text for name in all_questions())


def test_one_question_alone_is_printed(capsys):
    assert run(["clarify", "--question", "vlan-tags"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# vlan-tags: How many VLAN tags are skipped\n")
    assert "llc-snap" not in text


def test_a_question_about_the_device_has_sequences_as_witnesses(tmp_path, capsys):
    assert run(["clarify", "--question", "max-tx-vq"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# max-tx-vq: What max_tx_vq limits\n")
    assert "> The device MUST NOT limit" in text
    assert "To stand in 5.1.9.5.7.3 Device Requirements: RSS processing." in text
    assert "**Take another reading than these words choose:** QEMU device since 7.2.14, " in text
    assert "| `transmit-only` | `receive-too` |" in text
    assert "queue 3 | TCPV4 0x51ccc178, queue 0 |" in text
    assert "IPV4\\|TCPV4" in text
    assert run(["clarify", "--json", "--question", "refused-rss-config", "--question", "vlan-tags"]) == 0
    packet, device = json.loads(capsys.readouterr().out)["questions"]
    assert (packet["id"], device["id"]) == ("vlan-tags", "refused-rss-config")
    assert device["without_witness"] == []
    assert device["sequences"][0]["steps"][-1]["under"].keys() == {"kept", "lost", "unspecified"}
    page = tmp_path / "page.html"
    assert run(["clarify", "--format", "html", "--output", str(page), "--question", "max-tx-vq"]) == 0
    text = page.read_text("utf-8")
    assert "<blockquote>The device MUST NOT limit" in text
    assert "<title>virtio-net packet hashing: max-tx-vq</title>" in text
    assert "<th><code>transmit-only</code></th><th><code>receive-too</code></th>" in text
    assert "TCPV4 0x51ccc178, queue 0</td>" in text


def test_the_html_pages_about_the_device_are_html_as_the_others(tmp_path):
    path = tmp_path / "page.html"
    assert run(["clarify", "--format", "html", "--output", str(path), "--question", "vlan-tags",
                *(word for name in load_device_questions() for word in ("--question", name))]) == 0
    text = path.read_text("utf-8")
    assert all(f'<details class="question sheet" id="{name}"' in text for name in load_device_questions())
    assert "**" not in text
    assert "|---|" not in text
    open_tags = []
    for end, tag in re.findall(r"<(/?)([a-z][a-z0-9]*)\b", text.partition("<body>")[2].partition("</body>")[0]):
        if end:
            assert open_tags.pop() == tag
        else:
            open_tags.append(tag)
    assert open_tags == []


def test_the_page_and_the_capture_go_into_files(tmp_path, capsys):
    page, frames = tmp_path / "page.html", tmp_path / "frames.pcapng"
    arguments = ["--format", "html", "--output", str(page), "--pcapng", str(frames), "--question", "vlan-tags"]
    assert run(["clarify", *arguments]) == 0
    assert capsys.readouterr().out == ""
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert frames.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


def test_runs_are_named_in_the_head(tmp_path, capsys):
    one, two = (write(tmp_path / name) for name in ("one", "two"))
    assert run(["clarify", "--runs", str(one), str(two)]) == 0
    text = capsys.readouterr().out
    assert text.count("\n- qemu-ebpf, ") == 2


def test_the_json_form_is_one_object(capsys):
    assert run(["clarify", "--json", "--question", "ipv4-first-fragment", "--question", "vlan-tags"]) == 0
    first, second = json.loads(capsys.readouterr().out)["questions"]
    assert (first["id"], second["id"]) == ("vlan-tags", "ipv4-first-fragment")
    assert second["proposal"]["reading"] == "addresses"
    assert second["against"] == []
    assert "QEMU device" in first["against"]
    assert second["witnesses"][0]["outcomes"]["ports"]["report"] == 3


@pytest.mark.parametrize("name", ["vlan-tags", "no-hash-types", "icmpv6-ports", "table-size", "nested-tunnel"])
def test_the_command_beside_a_witness_gives_the_outcome_that_is_printed(name, capsys):
    for witness in page_of(load_questions()[name]).witnesses:
        for row in witness.rows:
            tool, *arguments = shlex.split(witness.command(name, row.reading.name))
            assert tool == "vnethash"
            assert run([*arguments, "--json"]) == 0
            outcome = json.loads(capsys.readouterr().out)["outcome"]
            assert (outcome["report"], outcome["value"], outcome["queue"]) == row.outcome


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--question", "vlan-tag"], "no question 'vlan-tag' (did you mean"),
        (["--question", "x\ny"], "no question 'x y'"),
        (["--runs", "nowhere"], "there is no nowhere"),
        (["nowhere"], "unexpected argument 'nowhere'"),
        (["--format", "pdf"], "'pdf'"),
        (["--question", "vlan-tags", "--output", "nowhere/page.md"], "cannot write nowhere/page.md"),
        (["--question", "vlan-tags", "--pcapng", "nowhere/w.pcapng"], "cannot write nowhere/w.pcapng"),
        (["--solver-seconds", "0"], "solver-seconds"),
    ],
)
def test_a_users_mistake_gets_one_line(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["clarify", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert says in captured.err
