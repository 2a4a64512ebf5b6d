"""The clauses as data, and the strict reading of them."""

from __future__ import annotations

import dataclasses
import datetime
import re
from importlib.resources import files

import pytest
from vnethash.spec.clauses import KEYWORDS, PARTIES, STRENGTHS, Clause, clause, did_you_mean, load, parse
from vnethash.spec.errors import FormatError, UsageError
from vnethash.spec.questions import all_questions

CLAUSES = load()

#: Area -> how many clauses the virtio document has in it.
VIRTIO_AREAS = {
    "FB": 12, "CFG": 14, "INIT": 2, "DP": 3, "HDR": 3, "RXB": 4, "RX": 7, "HC": 9, "HT": 3, "V4": 5, "V6": 5, "X6": 5,
    "INN": 12, "TUN": 5, "REP": 4, "CVQ": 3, "MQ": 4, "ARS": 6, "HCF": 7, "RSS": 20, "CTX": 17, "FF": 9, "IPS": 2,
    "LEG": 1, "GEN": 10, "REF": 13,
}
MICROSOFT_AREAS = {"T": 14, "F": 5, "I": 1, "S": 2, "C": 3, "O": 2, "H": 1, "P": 4, "N": 3, "L": 1, "X": 1}

SAMPLE = """
[document]
id = "virtio"
title = "A document"
versions = ["1.1", "1.2"]

[sources.one]
repository = "owner/name"
commit = "0123456789abcdef0123456789abcdef01234567"
date = 2026-04-08

[sections.first]
path = ["Chapter", "First section"]
source = "one"
file = "file.tex"
normative = false
numbers = { "1.2" = "5.1" }

[clauses.AB-1]
section = "first"
strength = "MUST"
also = ["MAY"]
binds = "device"
versions = ["1.1", "1.2"]
lines = "3-4,9"
says = "It does this."
note = "Or that?"
"""


@pytest.mark.parametrize("one", CLAUSES.values(), ids=CLAUSES)
def test_every_clause_has_all_fields(one: Clause) -> None:
    assert one.document in {"virtio", "microsoft"}
    assert one.strength in STRENGTHS
    assert set(one.also) <= set(KEYWORDS) - {one.strength}
    assert one.binds in PARTIES
    assert one.versions
    assert one.lines
    assert all(first <= last for first, last in one.lines)
    assert len(one.says.split()) >= 4
    assert one.place.file
    assert one.section.strip()
    assert len(one.place.source.commit) == 40


def test_ids_are_the_keys() -> None:
    assert all(name == one.id for name, one in CLAUSES.items())


def test_every_area_is_there_with_consecutive_numbers() -> None:
    virtio = [one.id for one in CLAUSES.values() if one.document == "virtio"]
    assert {area: sum(name.split("-")[0] == area for name in virtio) for area in VIRTIO_AREAS} == VIRTIO_AREAS
    assert len(virtio) == sum(VIRTIO_AREAS.values()) == 185
    series: dict[str, list[int]] = {}
    for name in CLAUSES:
        match = re.fullmatch(r"(.*?)(\d+)", name)
        assert match
        series.setdefault(match[1], []).append(int(match[2]))
    for prefix, numbers in series.items():
        start = 0 if prefix in {"V4-", "V6-", "X6-"} else 1
        assert numbers == list(range(start, start + len(numbers))), prefix


def test_every_microsoft_clause_is_there() -> None:
    microsoft = [one.id for one in CLAUSES.values() if one.document == "microsoft"]
    assert {area: sum(re.sub(r"\d", "", name) == f"MS-{area}" for name in microsoft) for area in MICROSOFT_AREAS} == (
        MICROSOFT_AREAS
    )
    assert len(microsoft) == sum(MICROSOFT_AREAS.values()) == 37


def test_the_per_packet_rules_are_in_all_versions_from_1_2_on() -> None:
    for name in ("HC-1", "HC-2", "V4-0", "V4-4", "V6-1", "X6-0", "X6-3", "X6-4", "REP-1", "REP-4", "RSS-D2"):
        assert clause(name).versions == ("1.2", "1.3", "1.4")
    for name in ("HC-3", "HC-6", "HC-9", "TUN-2", "INN-D1", "RSS-D5"):
        assert clause(name).versions == ("1.3", "1.4")
    assert all(one.versions == ("1.4",) for one in CLAUSES.values() if one.id.startswith(("CTX-", "FF-", "IPS-")))


def test_no_clause_has_a_gap_in_its_versions() -> None:
    known = ("1.1", "1.2", "1.3", "1.4")
    for one in CLAUSES.values():
        if one.document == "virtio":
            assert one.versions == known[known.index(one.versions[0]):], one.id


def test_a_must_outside_the_normative_sections_is_informal() -> None:
    informal = {one.id for one in CLAUSES.values() if one.informal and one.document == "virtio"}
    assert informal == {"FB-8", "RX-2", "HC-8", "MQ-1", "ARS-1", "HCF-1", "HCF-6", "LEG-1"}
    assert not clause("RSS-D2").informal
    assert not clause("X6-1").informal


def test_requirements_bind_the_party_that_their_section_names() -> None:
    for one in CLAUSES.values():
        if one.place.title.startswith("Device Requirements"):
            assert one.binds == "device", one.id
        if one.place.title.startswith("Driver Requirements"):
            assert one.binds == "driver", one.id


def test_section_numbers_follow_the_version() -> None:
    one = clause("X6-1")
    assert one.section == "5.1.9.4.3.4 IPv6 packets with extension header"
    assert one.place.label("1.2") == "5.1.6.4.3.4 IPv6 packets with extension header"
    assert one.cite("1.3") == "X6-1 (virtio 1.3, 5.1.6.4.3.4 IPv6 packets with extension header)"
    assert one.cite() == "X6-1 (virtio 1.4, 5.1.9.4.3.4 IPv6 packets with extension header)"
    assert one.origin == "device-types/net/description.tex:1563-1570 at 15f488c1"


def test_a_section_that_a_version_lacks_is_cited_by_title() -> None:
    assert clause("MQ-2").cite("1.1") == "MQ-2 (virtio 1.1, Device operation in multiqueue mode)"


def test_a_microsoft_section_is_cited_by_its_path() -> None:
    assert clause("MS-T6").section == "RSS Hashing Types / IPv4 hash type combinations / NDIS_HASH_IPV4"
    assert clause("MS-T11").to_json()["lines"] == "174,181,190"


def test_every_clause_that_a_question_cites_exists() -> None:
    for question in all_questions().values():
        assert question.clauses, question.id
        for name in question.clauses:
            assert name in CLAUSES, f"{question.id} cites {name}"


def test_every_clause_that_a_clause_mentions_exists() -> None:
    pattern = re.compile(r"\b(?:MS-[A-Z]\d+|(?:" + "|".join(VIRTIO_AREAS) + r")-[A-Z]?\d+)\b")
    for one in CLAUSES.values():
        for name in pattern.findall(f"{one.says} {one.note}"):
            assert name in CLAUSES, f"{one.id} mentions {name}"


def test_clauses_are_frozen_and_loaded_once() -> None:
    assert load() is load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        clause("HC-1").says = ""  # type: ignore[misc]
    with pytest.raises(TypeError):
        load()["HC-1"] = clause("HC-2")  # type: ignore[index]


def test_an_unknown_id_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        clause("HC1")
    assert "HC-1" in caught.value.hint
    assert "RSS-D5" in did_you_mean("rss-d9", CLAUSES)
    assert did_you_mean("?", CLAUSES) == ""


def test_the_sample_is_read_in_full() -> None:
    (one,) = parse(SAMPLE, where="sample")
    assert (one.id, one.strengths, one.binds, one.versions) == ("AB-1", ("MUST", "MAY"), "device", ("1.1", "1.2"))
    assert one.lines == ((3, 4), (9, 9))
    assert (one.says, one.note, one.informal) == ("It does this.", "Or that?", True)
    assert one.place.source.date == datetime.date(2026, 4, 8)
    assert one.section == "5.1 First section"
    assert one.to_json() == {
        "id": "AB-1", "document": "virtio", "section": "5.1 First section", "path": ["Chapter", "First section"],
        "numbers": {"1.2": "5.1"}, "strength": "MUST", "also": ["MAY"], "binds": "device", "informal": True,
        "versions": ["1.1", "1.2"], "says": "It does this.", "note": "Or that?", "repository": "owner/name",
        "commit": "0123456789abcdef0123456789abcdef01234567", "file": "file.tex", "lines": "3-4,9",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('says = "It does this."', 'says = "It does this."\nsaid = "x."', "sample: AB-1: unknown field 'said'"),
        ('says = "It does this."', "", "sample: AB-1: says is missing"),
        ('says = "It does this."', 'says = ""', "sample: AB-1: says: expected"),
        ('says = "It does this."', 'says = "half a"', "sample: AB-1: says: expected whole sentences"),
        ('says = "It does this."', "says = 1", "sample: AB-1: says: expected"),
        ('strength = "MUST"', 'strength = "must"', "sample: AB-1: unknown strength 'must'"),
        ('strength = "MUST"', 'strength = "MAY"', "sample: AB-1: also: 'MAY' cannot stand beside"),
        ('strength = "MUST"', 'strength = "layout"', "sample: AB-1: also: 'MAY' cannot stand beside"),
        ('also = ["MAY"]', 'also = ["layout"]', "sample: AB-1: also: 'layout' cannot stand beside"),
        ('also = ["MAY"]', "also = []", "sample: AB-1: also: expected a list of strings"),
        ('binds = "device"', 'binds = "host"', "sample: AB-1: binds: 'host'"),
        ('versions = ["1.1", "1.2"]\nlines', 'versions = ["1.5"]\nlines', "sample: AB-1: versions: no version '1.5'"),
        ('versions = ["1.1", "1.2"]\nlines', 'versions = ["1.2", "1.1"]\nlines', "AB-1: versions: versions must be in"),
        ('versions = ["1.1", "1.2"]\nlines', 'versions = ["1.2", "1.2"]\nlines', "AB-1: versions: versions must be in"),
        ('versions = ["1.1", "1.2"]\nlines', "versions = []\nlines", "AB-1: versions: expected a list of strings"),
        ('lines = "3-4,9"', 'lines = "3..4"', "sample: AB-1: lines: expected line numbers"),
        ('lines = "3-4,9"', 'lines = "4-3"', "sample: AB-1: lines: line numbers must rise"),
        ('lines = "3-4,9"', 'lines = "9,3-4"', "sample: AB-1: lines: line numbers must rise"),
        ('section = "first"', 'section = "frist"', "sample: AB-1: unknown section 'frist'"),
        ("[clauses.AB-1]", "[clauses.ab1]", "sample: ab1: not a clause id"),
        ("[clauses.AB-1]", "[clauses.AB-1]\n[clauses.AB-1]", "sample: not TOML, or a key is given twice"),
        ("[clauses.AB-1]", "[clauses]\nAB-2 = 3\n[clauses.AB-1]", "sample: AB-2: expected a table, got int"),
        ('source = "one"', 'source = "two"', "sample: sections.first: unknown source 'two'"),
        ('numbers = { "1.2" = "5.1" }', 'numbers = { "1.3" = "5.1" }', "sections.first: numbers: no version '1.3'"),
        ('numbers = { "1.2" = "5.1" }', 'numbers = { "1.2" = "5.x" }', "not a section number: '5.x'"),
        ("normative = false", 'normative = "no"', "sample: sections.first: normative: expected a bool"),
        ('path = ["Chapter", "First section"]', "path = [1]", "sample: sections.first: path: expected a list"),
        ("0123456789abcdef0123456789abcdef01234567", "0123", "sample: sources.one: commit must be 40 hex digits"),
        ('title = "A document"', "", "sample: document: title is missing"),
        ("[document]", "[documents]", "sample: unknown field 'documents'"),
        (
            "[clauses.AB-1]",
            '[sections.unused]\npath = ["U"]\nsource = "one"\nfile = "f"\nnormative = true\n\n[clauses.AB-1]',
            "sample: no clause stands in section 'U'",
        ),
    ],
)
def test_wrong_data_are_refused_with_the_place(old: str, new: str, message: str) -> None:
    assert SAMPLE.count(old) >= 1
    with pytest.raises(FormatError) as caught:
        parse(SAMPLE.replace(old, new, 1), where="sample")
    assert message in caught.value.message


def test_a_section_without_numbers_is_allowed() -> None:
    (one,) = parse(SAMPLE.replace('numbers = { "1.2" = "5.1" }', "numbers = {}"), where="sample")
    assert one.section == "Chapter / First section"


def test_an_id_that_two_files_define_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vnethash.spec.clauses._FILES", ("clauses.virtio.toml", "clauses.virtio.toml"))
    load.cache_clear()
    try:
        with pytest.raises(FormatError, match=r"FB-1: this id is taken"):
            load()
    finally:
        load.cache_clear()


def test_the_data_files_are_part_of_the_package() -> None:
    names = {entry.name for entry in files("vnethash.spec").iterdir()}
    assert {"clauses.virtio.toml", "clauses.microsoft.toml"} <= names
