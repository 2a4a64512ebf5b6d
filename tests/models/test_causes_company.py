"""How many other readings an observation needs beside the one that it is to show."""

from __future__ import annotations

from vnethash.models.causes import company
from vnethash.models.reference import outcome
from vnethash.models.symbolic.profile import Profile
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import ethernet, ipv6, routing, tcp
from vnethash.spec.outcome import Observation
from vnethash.spec.questions import all_questions
from vnethash.spec.readings import Readings

OBSERVES = frozenset({"queue", "report", "value"})


def test_readings_about_the_device_are_no_company_of_a_frame():
    readings = {question.field: 0 for question in all_questions().values()}
    route, shown, device = (all_questions()[name] for name in ("route-segments", "ex-packets", "num-buffers"))
    readings |= {route.field: route.index("one"), shown.field: shown.index("all-ipv6")}
    readings[device.field] = device.index("unwritten")
    profile = Profile(readings, {}, frozenset(), frozenset())
    frame = ethernet(ipv6(routing(segments_left=0), tcp()))
    answer = outcome(frame, Configuration(), profile.as_readings())
    observation = Observation(answer.report, answer.value, answer.queue)
    assert answer != outcome(frame, Configuration(), Readings())
    assert company(frame, Configuration(), observation, OBSERVES, profile, route) == 0
    assert company(frame, Configuration(), observation, OBSERVES, profile, shown) == 1
