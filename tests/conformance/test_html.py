"""report.html: self-contained, safe, small, and working in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_samples import ACME, CLAUSES, QEMU, case, conclusion, finding, header, stream, witness, write
from vnethash.conformance.html import CASES_LIMIT, render
from vnethash.conformance.records import Allowed, Settled, Shown, TargetRecord
from vnethash.conformance.report import Report, gather, read_report

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Holds the elements and checks that each that opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get("id"))]


@pytest.fixture
def report(tmp_path) -> Report:
    return read_report(write(tmp_path))


def partial(*made) -> Report:
    return gather(made, Path("run/report.jsonl"), partial=True)


def test_the_page_is_well_formed_and_every_id_is_there_once(report):
    ids = Page(render(report)).ids()
    assert len(ids) == len(set(ids))
    assert {"matrix", "target-1", "target-3", "finding-Q-1", "finding-A-3"} <= set(ids)


def test_the_page_loads_nothing(report):
    text = render(report)
    page = Page(text)
    assert {tag for tag, _ in page.elements} & {"link", "img", "iframe", "object", "embed", "base", "form"} == set()
    for _, attributes in page.elements:
        assert not set(attributes) & {"src", "srcset", "action", "background"}
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text


def test_the_page_says_who_when_with_what_and_on_what(report):
    text = Page(render(report)).text
    for words in (
        "hashing and steering, virtio 1.4", "2026-11-22T10:11:12Z to 2026-11-22T10:11:19Z", "vnethash 0.1.0",
        "Linux 6.12 x86_64, 2 processors", "120 cases, exit code 1", "QEMU 10.0.3, eBPF", "conforms", "deviates",
    ):
        assert words in text


def test_the_matrix_has_a_row_for_each_clause_with_a_mark_beside_the_colour(report):
    text = render(report)
    rows = re.findall(r'<tr data-rank="(\d)"', text)
    assert len(rows) == len({clause for clauses in CLAUSES for clause in clauses})
    assert set(rows) == {"0"}
    assert '<span class="k-fail">' in text
    assert ".k-fail::before" in text
    assert 'title="8 pass"' in text


def test_clauses_are_in_the_order_of_the_specification(report):
    names = re.findall(r'<tr data-rank="\d" data-text="(\S+)', render(report))
    assert names.index("rep-4") < names.index("rss-7")
    assert names.index("ht-1") < names.index("v4-1") < names.index("x6-2")


def test_clause_question_and_reading_show_their_words_when_pointed_at():
    made = finding("X", clauses=["HT-1", "ZZ-99"], question="ipv4-first-fragment", reading="addresses")
    text = render(partial(header((QEMU,)), made))
    assert re.search(r'<abbr class="clause" title="[^"]*virtio 1\.4[^"]*: [^"]+">HT-1</abbr>', text)
    assert '<span class="clause">ZZ-99</span>' in text
    assert re.search(r'title="Ports of a first IPv4 fragment: [^"]+">ipv4-first-fragment</abbr>', text)
    assert re.search(r'title="any IPv4 fragment[^"]+QEMU eBPF[^"]*">addresses</abbr>', text)


def test_findings_are_sorted_and_show_all_that_a_reader_needs(report):
    text = render(report)
    assert re.findall(r'id="finding-([^"]+)"', text) == ["Q-1", "Q-2", "Q-3", "A-1", "A-2", "A-3"]
    words = Page(text).text
    for part in (
        "0000 02 00 00 00 00 02 02 00 00 00 00 01 08 00 45 00 ..............E.",
        "###[ TCP ]###",
        "hash types IPV4|TCPV4|IPV6",
        "indirection table 3, 1, 2, 0 (4 entries)",
        "allowed IPV4 0x85f65d33 51 first-fragment = none",
        "observed - 0x1234abcd 3",
        "vnethash replay",
        "The frame is empty.",
        "a first fragment with options",
        "6 shows no report",
    ):
        assert part in words
    assert text.count('<span class="differs"') >= 4


def test_the_profile_shows_what_is_settled_and_counts_what_was_not_asked(report):
    words = Page(render(report)).text
    assert "short-key open: zero or repeat text (the words of the specification support it) 1" in words
    assert "first-fragment no reading fits" in words
    assert "Questions not asked (1) home-address" in words


def test_only_cases_that_failed_or_were_mixed_have_a_row(report):
    words = Page(render(report)).text
    assert "Cases that failed or were mixed (9)" in words
    assert "Cases that failed or were mixed (15)" in words


def test_whatever_a_target_says_is_text():
    bad = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\x00\u2028"
    end = TargetRecord(
        bad, dict.fromkeys(("name", "version", "language"), bad) | {"homepage": "javascript:alert(1)"}, [bad], [bad],
        "deviates", bad, {"fail": 1}, {bad: Settled([bad], bad, 1)}, {bad: {"fail": 1}}, 0.0,
    )
    made = finding(
        bad, bad, title=bad, effect=bad, clauses=[bad], question=bad, reading=bad, detail=bad, also=[bad],
        witness=witness(
            summary=bad, decoded=bad, steps=[bad], reason=bad, config={bad: bad},
            expected=[Allowed(Shown(report=99, value=-1, queue=-1), {bad: bad})],
        ),
    )
    words = {"comment": bad, "summary": bad, "clauses": [bad], "clause": bad, "reason": bad, "readings": {bad: bad}}
    failed = case(bad, 1, "fail", **words)
    page = Page(render(partial(header((bad,)), failed, case(bad, 2, "skipped", reason=bad), made, end)))
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in page.elements)
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in page.elements)
    assert "\x00" not in page.text
    assert "{{ 7*7 }}" in page.text


def test_a_large_run_makes_a_page_below_five_megabytes():
    names = ("a", "b", "c")
    made = []
    for name in names:
        made += [
            case(name, number, "fail", comment="c" * 300, frame="ab" * 9000, reason="r" * 900) for number in range(3000)
        ]
        made += [
            finding(f"{name}{number}", name, witness=witness(frame=bytes(65535), decoded="d" * 9999))
            for number in range(60)
        ]
    text = render(partial(header(names), *made))
    assert len(text.encode()) < 5_000_000
    assert text.count(f"{3000 - CASES_LIMIT:,} more cases in report.jsonl") == 3
    assert "64,511 more bytes; witnesses.pcapng has the whole frame." in text


def test_a_run_that_did_not_finish_says_so_on_top():
    page = Page(render(partial(header((QEMU,)))))
    assert "Incomplete: the run did not finish" in page.text
    assert "The run did not come to a conclusion about this target." in page.text
    assert "No clause was judged." in page.text


def test_many_allowed_outcomes_are_cut():
    made = finding("X", witness=witness(expected=[Allowed(Shown(queue=number)) for number in range(100)]))
    assert "76 more allowed outcomes in report.jsonl." in render(partial(header((QEMU,)), made, conclusion(QEMU)))


def chromium(tmp_path: Path, *arguments: str) -> str:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    command = [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.needs_chromium
def test_the_page_works_in_a_browser(tmp_path, report):
    """Drives the page by a script at its end: filter, sort, fold, theme, and a link to a finding."""
    drive = """
    <script>
      const tell = (name, value) => document.body.setAttribute("data-" + name, value);
      const seen = (selector) => [...document.querySelectorAll(selector)].filter((item) => !item.hidden).length;
      const field = document.getElementById("filter");
      const type = (words) => { field.value = words; field.dispatchEvent(new Event("input")); };
      tell("all", seen("details.finding"));
      type("fragment"); tell("word", seen("details.finding"));
      type("v6-1"); tell("other", seen("tr[data-rank]"));
      type("V6-10"); tell("clause", seen("tr[data-rank]"));
      type(""); tell("again", seen("details.finding"));
      const only = document.getElementById("only"); only.click(); tell("only", seen("tr[data-rank]")); only.click();
      const head = document.querySelector("#matrix .grid th[data-sort]");
      head.click(); const first = document.querySelector("#matrix .grid tbody th").textContent;
      head.click(); tell("sort", first + " " + document.querySelector("#matrix .grid tbody th").textContent);
      tell("linked", document.querySelectorAll("details[open]").length);
      document.getElementById("expand").click(); tell("open", document.querySelectorAll("details:not([open])").length);
      document.getElementById("collapse").click(); tell("closed", document.querySelectorAll("details[open]").length);
      document.getElementById("theme").click(); tell("theme", document.documentElement.dataset.theme);
      tell("wide", document.documentElement.scrollWidth <= innerWidth);
    </script></body>"""
    path = tmp_path / "driven.html"
    path.write_text(render(report).replace("</body>", drive))
    dom = chromium(tmp_path, "--dump-dom", "--window-size=1300,900", f"{path.as_uri()}#finding-A-2")
    assert 'data-ready="yes"' in dom
    (body,) = re.findall(r"<body[^>]*>", dom)
    told = dict(re.findall(r'data-(\w+)="([^"]*)"', body))
    assert told == {
        "all": "6", "word": "3", "other": "0", "clause": "1", "again": "6", "only": "9", "sort": "HT-1 X6-2",
        "linked": "1", "open": "0", "closed": "0", "theme": "dark", "wide": "true",
    }


@pytest.mark.needs_chromium
def test_the_page_can_be_drawn(tmp_path, report):
    path, picture = tmp_path / "report.html", tmp_path / "picture.png"
    path.write_text(render(report))
    chromium(tmp_path, f"--screenshot={picture}", "--window-size=1300,1600", path.as_uri())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000
    assert ACME in path.read_text()


def test_a_report_is_drawn_the_same_twice():
    made = stream()
    assert render(partial(*made)) == render(partial(*made))
