"""The proposals: one for each question, complete, and in the words of a standard."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from vnethash.spec.errors import FormatError
from vnethash.spec.proposals import TRAFFIC, load_device_proposals, load_proposals, parse
from vnethash.spec.questions import all_questions, load_device_questions, load_questions

TEXT = files("vnethash.spec").joinpath("proposals.toml").read_text("utf-8")
QUESTIONS = all_questions()
PROPOSALS = {**load_proposals(), **load_device_proposals()}


def test_every_question_has_a_proposal_in_the_same_order():
    assert list(load_proposals()) == list(load_questions())
    assert set(load_device_proposals()) == set(load_device_questions())


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_words_are_normative_and_the_reason_is_one_sentence(name: str):
    proposal = PROPOSALS[name]
    assert re.search(r"\b(MUST|SHOULD|MAY)\b", proposal.words)
    assert len(proposal.words) <= 400
    assert not re.search(r"[.?!] [A-Z]", proposal.why)
    assert not proposal.affects.endswith(".")


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_recommended_reading_exists_and_something_supports_it(name: str):
    question = QUESTIONS[name]
    reading = question.readings[question.index(PROPOSALS[name].recommend)]
    assert reading.standing != "defect"


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_literal_reading_is_called_best_only_where_it_is_recommended(name: str):
    proposal = PROPOSALS[name]
    if "literal reading is best" in proposal.why:
        assert proposal.recommend == QUESTIONS[name].readings[0].name


@pytest.mark.parametrize("name", QUESTIONS)
def test_who_must_do_something_is_who_the_place_of_the_words_speaks_to(name: str):
    proposal = PROPOSALS[name]
    bound = {
        "driver": re.search(r"\bdriver (MUST|SHOULD|MAY)", proposal.words),
        "device": re.search(r"\b(device|it) (MUST|SHOULD|MAY)", proposal.words, re.IGNORECASE),
    }
    assert {place.split()[0] for place in proposal.places} == {whom for whom, found in bound.items() if found}
    assert all("Requirements: " in one or one.startswith("a new subsection of ") for one in proposal.sections)


def test_all_classes_of_traffic_are_used():
    assert {proposal.traffic for proposal in load_proposals().values()} == set(TRAFFIC)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "llc-snap"', 'id = "llc-snop"', "there is no question 'llc-snop'"),
        ('id = "vlan-tpid"', 'id = "vlan-tags"', "(vlan-tags): question|question vlan-tags has no reading"),
        ('recommend = "any"', 'recommend = "service-pair"', "nothing supports the reading 'service-pair'"),
        ('recommend = "any"', 'recommend = "many"', "question vlan-tags has no reading 'many'"),
        ('traffic = "common"', 'traffic = "all"', "traffic 'all' is none of common, occasional, rare, malformed"),
        ('affects = "VLAN-tagged frames"', "affects = 3", "affects must be words"),
        ('affects = "VLAN-tagged frames"', 'effects = ""', "field 'affects' is unknown or missing"),
        ("The device MUST skip every", "The device skips every", "the words have no MUST, SHOULD or MAY"),
        ('places = ["device RSS-D1"]', 'places = ["device RSS-D99"]', "place 'device RSS-D99' is not "),
        ('places = ["device RSS-D1"]', 'places = ["RSS-D1"]', "place 'RSS-D1' is not "),
        ('places = ["device RSS-D1"]', "places = 3", "places must be a list of words"),
        ("[[proposal]]", "[[proposals]]", r"expected entries \[\[proposal\]\] and nothing else"),
        ("[[proposal]]", "[[proposal", "proposals.toml: "),
    ],
)
def test_anything_odd_is_refused_and_said(old: str, new: str, says: str):
    assert old in TEXT
    with pytest.raises(FormatError) as refused:
        parse(TEXT.replace(old, new, 1), where="proposals.toml")
    assert re.search(says, refused.value.line())


def test_a_question_without_a_proposal_is_named():
    begin = TEXT.index('[[proposal]]\nid = "nested-tunnel"')
    with pytest.raises(FormatError, match="question nested-tunnel has no proposal"):
        parse(TEXT[:begin], where="proposals.toml")


def test_a_proposal_that_is_there_twice_is_refused():
    begin = TEXT.index('[[proposal]]\nid = "nested-tunnel"')
    with pytest.raises(FormatError, match="nested-tunnel is there twice"):
        parse(TEXT + TEXT[begin:], where="proposals.toml")
