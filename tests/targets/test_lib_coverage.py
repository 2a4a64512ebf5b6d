"""`lib:` with edges counted: libraries built with -fsanitize-coverage, by clang and by gcc."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from library_support import HEADER, ROOT
from needs import require
from vnethash.fuzz.campaign import Campaign
from vnethash.fuzz.case import Case
from vnethash.fuzz.corpus import Corpus
from vnethash.fuzz.mutation import Layout, children
from vnethash.fuzz.run import Limits
from vnethash.fuzz.seeds import traffic
from vnethash.fuzz.subject import Subject
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import TargetUnavailable
from vnethash.targets.base import Errored
from vnethash.targets.lib import counters
from vnethash.targets.lib.counters import CountedLibrary
from vnethash.targets.lib.target import LibTarget, open_lib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs_cc

#: What is put into the library of the kit: a defect behind four bits that nothing but its edges tells of.
HIDDEN = """
    if (ipv4 && frame[15] & 0x80)
        if (frame[18] & 0x80)
            if (frame[22] & 1)
                if (frame[19] & 0x40)
                    result->value ^= 1;
    if (ipv4 && frame[19] == 0xee && frame[18] == 0x1d && frame[22] == 0xd1)
        *(volatile int *)8 = 1;
"""
SANITIZE = "-fsanitize-coverage="
PLAIN = Configuration(hash_types=1)


def build(folder: Path, name: str, compiler: str, *flags: str) -> Path:
    require("clang" if compiler == "clang" else "cc")
    text = (ROOT / "targets" / "kit" / "library.c.in").read_text("utf-8")
    spot = "    if (!config.rss)"
    assert text.count(spot) == 1
    source = folder / f"{name}.c"
    source.write_text(text.replace(spot, HIDDEN + spot), "utf-8")
    path = folder / f"{name}.so"
    command = [compiler, "-g", "-O1", "-shared", "-fPIC", f"-I{HEADER.parent}", *flags, "-o", str(path), str(source)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("counted")


@pytest.fixture
def opened() -> Iterator[list[LibTarget]]:
    targets: list[LibTarget] = []
    yield targets
    for target in targets:
        target.close()


def ours(path: Path, opened: list[LibTarget]) -> LibTarget:
    opened.append(open_lib(str(path)))
    return opened[-1]


def with_octet(at: int, octet: int) -> bytes:
    changed = bytearray(traffic()[0])
    changed[at] = octet
    return bytes(changed)


DEADLY = traffic()[0][:18] + bytes((0x1D, 0xEE)) + traffic()[0][20:22] + bytes((0xD1,)) + traffic()[0][23:]


def any_parent(campaign: Any) -> None:
    """Be an engine without preferences: how parents are chosen in earnest is not what is tested here."""
    while not campaign.over():
        parent = campaign.rng.choice(campaign.corpus.cases)
        frames = children(campaign.rng, Layout(parent.frame), campaign.room(256), [])
        for index in campaign.execute(parent.configuration, frames):
            campaign.keep(Case(parent.configuration, (frames[index],)))


WAYS = {
    "counters": ("clang", f"{SANITIZE}inline-8bit-counters,pc-table"),
    "counters alone": ("clang", f"{SANITIZE}inline-8bit-counters"),
    "guards": ("clang", f"{SANITIZE}trace-pc-guard"),
    "as for libFuzzer": ("clang", "-fsanitize=fuzzer-no-link"),
    "gcc": ("gcc", f"{SANITIZE}trace-pc"),
}


@pytest.mark.needs_clang
@pytest.mark.parametrize("way", WAYS)
def test_each_step_into_a_branch_is_new_once(folder: Path, way: str, opened: list[LibTarget]) -> None:
    target = ours(build(folder, way.replace(" ", "-"), *WAYS[way]), opened)
    assert target.counters is not None
    counted = CountedLibrary(target, target.counters)
    target.configure(PLAIN)
    first, deeper = with_octet(15, 0xFF), bytearray(with_octet(15, 0xFF))
    deeper[18] = 0x80
    plain = traffic()[0]
    results, new = counted.explore([plain, plain, first, plain, bytes(deeper), first])
    assert new == [0, 2, 4]
    assert results == target.run([plain, plain, first, plain, bytes(deeper), first])
    assert counted.explore([plain, first, bytes(deeper)])[1] == []
    assert "with counters of edges" in target.notes


@pytest.mark.needs_sanitizers
def test_counters_and_a_sanitizer_go_together(folder: Path, opened: list[LibTarget]) -> None:
    target = ours(build(folder, "both", "gcc", f"{SANITIZE}trace-pc", "-fsanitize=address"), opened)
    assert target.counters is not None
    counted = CountedLibrary(target, target.counters)
    target.configure(PLAIN)
    plain = traffic()[0]
    results, new = counted.explore([plain, plain, with_octet(15, 0xFF), DEADLY, plain[:20]])
    assert new == []  # a batch in which the process died is not counted
    assert [isinstance(result, Errored) for result in results] == [False, False, False, True, False]
    assert "AddressSanitizer" in getattr(results[3], "message", "")
    assert counted.explore([plain, plain, with_octet(15, 0xFF)])[1] == [0, 2]


@pytest.mark.needs_clang
def test_answers_are_those_of_a_library_without_counters(folder: Path, opened: list[LibTarget]) -> None:
    counted, plain = (
        ours(build(folder, name, "clang", *flags), opened)
        for name, flags in (("a", (f"{SANITIZE}inline-8bit-counters",)), ("b", ()))
    )
    assert plain.counters is None
    assert counted.counters is not None
    for target in (counted, plain):
        target.configure(PLAIN)
    frames = [*traffic()] * 5
    assert CountedLibrary(counted, counted.counters).explore(frames)[0] == plain.run(frames)


@pytest.mark.needs_clang
def test_a_frame_that_kills_the_library_costs_itself_and_coverage_goes_on(
    folder: Path, opened: list[LibTarget]
) -> None:
    target = ours(build(folder, "dies", "clang", f"{SANITIZE}inline-8bit-counters"), opened)
    assert target.counters is not None
    counted = CountedLibrary(target, target.counters)
    target.configure(PLAIN)
    plain = traffic()[0]
    results, _ = counted.explore([plain, DEADLY, plain])
    assert [isinstance(result, Errored) for result in results] == [False, True, False]
    assert counted.explore([plain, plain])[1] == [0]
    assert counted.explore([plain, with_octet(15, 0xFF)])[1] == [1]


@pytest.mark.needs_clang
def test_a_campaign_finds_behind_four_branches_what_it_does_not_find_without_them(
    folder: Path, opened: list[LibTarget]
) -> None:
    counted = build(folder, "deep", "clang", f"{SANITIZE}inline-8bit-counters,pc-table")
    plain = build(folder, "deep-plain", "clang")

    def found(path: Path) -> tuple[int, int, int]:
        subject = Subject("library", lambda _: ours(path, opened))
        subject.rules.add = lambda *_: False  # type: ignore[method-assign] # nothing but edges is new
        campaign = Campaign([subject], Corpus(), None, seed=1, limits=Limits(executions=25_000))
        campaign.run(any_parent)
        causes = [cause for cause in campaign.causes() if cause.kind == "unexplained"]
        return len(causes), len(campaign.corpus), subject.edges[1]

    causes, corpus, edges = found(counted)
    assert causes == 1
    assert 4 < corpus < edges
    assert found(plain) == (0, 1, 0)


def test_a_library_with_counters_needs_a_compiler(
    folder: Path, monkeypatch: pytest.MonkeyPatch, opened: list[LibTarget]
) -> None:
    path = build(folder, "gcc-only", "gcc", f"{SANITIZE}trace-pc")
    counters._compiled.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(TargetUnavailable, match="-fsanitize-coverage needs a C compiler"):
        ours(path, opened)
