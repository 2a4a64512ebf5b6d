from __future__ import annotations

import pytest
from vnethash.models.contracts import CONTRACTS
from vnethash.models.symbolic import dependence, modular, walks
from vnethash.models.symbolic.late import LATE
from vnethash.models.symbolic.modular import Modular
from vnethash.models.symbolic.obligations import Task
from vnethash.models.symbolic.translate import Row
from vnethash.spec.readings import Readings


def task(group: str, name: str) -> Task:
    return Task(group, name, "", "", seconds=60.0)


@pytest.mark.parametrize("name", ["link.skip_tags", "options.home_option", "select.select", "tunnel.ethernet"])
def test_a_function_is_proved_and_its_places_are_reached(name: str) -> None:
    verdict = walks.run(task("walks", name))
    assert verdict.kind == "proved", verdict.detail
    assert verdict.data["reached"] == verdict.data["checks"]


@pytest.mark.parametrize("name", ["link.link", "options.home_address", "select.select"])
def test_a_result_depends_on_the_questions_asked_and_no_others(name: str) -> None:
    verdict = dependence.run(task("completeness", name))
    assert verdict.kind == "proved", verdict.detail


def test_a_question_that_is_asked_without_being_noted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Modular.attribute

    def forgets(self: Modular, node: object, names: dict[str, object], guard: object) -> object:
        value = right(self, node, names, guard)  # type: ignore[arg-type]
        asked = self.session.met.asked
        asked[:] = [(field, condition) for field, condition in asked if field != "home_missing"]
        return value

    monkeypatch.setattr(Modular, "attribute", forgets)
    verdict = dependence.run(task("completeness", "select.select"))
    assert verdict.kind == "open"
    assert "readings matter" in verdict.detail


def test_every_question_about_frames_is_asked_by_some_function() -> None:
    asked: set[str] = set()
    for name in CONTRACTS:
        session = walks.session_of(name)
        asked |= {field for field, _ in session.met.asked}
        for loop in session.met.loops:
            asked |= {field for field, _ in loop.turn.met.asked}
    assert asked == set(Readings._fields) - LATE


def test_a_claim_that_is_too_strong_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    from vnethash.models import contracts

    claim = contracts.CONTRACTS["options.home_option"]
    monkeypatch.setitem(contracts.CONTRACTS, "options.home_option", contracts.Contract(claim.needs, never_found))
    verdict = walks.run(task("walks", "options.home_option"))
    assert verdict.kind == "refuted"
    assert verdict.counterexample is not None
    assert "gives other than" in verdict.counterexample.shows


def never_found(result: object) -> bool:
    """Claim that no address is ever found."""
    return result.offset == 0  # type: ignore[attr-defined,no-any-return]


def test_an_unknown_of_a_type_has_all_its_fields() -> None:
    session = modular.Session(walks.function_of("select.select"))
    packet = session.unknown(__import__("vnethash.models.packet", fromlist=["x"]).Packet, "packet")
    assert isinstance(packet, Row)
    assert len(packet.values) == 13
