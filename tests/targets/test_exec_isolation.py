"""Which frames of a batch did it, with few restarts; no process takes part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vnethash.spec.errors import TargetDied, TargetTimeout
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Skipped, TimedOut
from vnethash.targets.exec.isolation import isolate


class Fake:
    """An adapter that dies of some frames and hangs at others."""

    def __init__(self, deadly=(), slow=()):
        self.deadly, self.slow = set(deadly), set(slow)
        self.up, self.starts, self.requests = False, 0, 0

    def restart(self):
        if not self.up:
            self.starts += 1
        self.up = True

    def ask(self, frames):
        assert self.up
        self.requests += 1
        for frame in frames:
            if frame in self.deadly or frame in self.slow:
                self.up = False
                raise TargetDied("ended") if frame in self.deadly else TargetTimeout("late")
        return [Observation(value=frame[0]) for frame in frames]


def up():
    fake = Fake()
    fake.up = True
    return fake


def isolated(fake, frames, most=16):
    fake.up = True
    with pytest.raises((TargetDied, TargetTimeout)) as caught:
        fake.ask(frames)
    return isolate(frames, caught.value, ask=fake.ask, restart=fake.restart, most=most, seconds=2.0)


def frames_of(count):
    return [bytes([index & 255, index >> 8]) for index in range(count)]


@given(st.integers(1, 300), st.sets(st.integers(0, 299), min_size=1, max_size=5), st.booleans())
def test_exactly_the_bad_frames_are_blamed(count, positions, hang):
    frames = frames_of(count)
    bad = [frames[position] for position in {position % count for position in positions}]
    fake = Fake(slow=bad) if hang else Fake(deadly=bad)
    answer = isolated(fake, frames, most=1000)
    verdict = TimedOut(2.0) if hang else Errored("ended")
    assert answer.results == [verdict if f in bad else Observation(value=f[0]) for f in frames]
    assert answer.blamed == len(bad)
    assert answer.failures <= 1 + 2 * len(bad) + (count > 256) * len(bad)


def test_one_bad_frame_among_256_costs_three_failures_and_few_requests():
    fake = Fake(deadly=[frames_of(256)[255]])
    answer = isolated(fake, frames_of(256))
    assert (answer.failures, fake.starts) == (3, 2)
    assert fake.requests <= 33


def test_the_adapter_is_left_down_when_the_last_piece_failed():
    fake = Fake(deadly=[frames_of(3)[2]])
    isolated(fake, frames_of(3))
    assert not fake.up


def test_a_failure_that_does_not_come_again_blames_nobody():
    fake = Fake()
    answer = isolate(
        frames_of(40), TargetDied("once"), ask=fake.ask, restart=fake.restart, most=16, seconds=1.0
    )  # fmt: skip
    assert (answer.blamed, answer.failures) == (0, 1)
    assert all(isinstance(result, Observation) for result in answer.results)


def test_a_single_frame_is_asked_once_more():
    fake = Fake(deadly=[b"\0\0"])
    answer = isolated(fake, frames_of(1))
    assert answer.results == [Errored("ended")]
    assert (answer.failures, fake.starts) == (2, 1)


def test_a_single_frame_that_is_answered_then_is_not_blamed():
    answer = isolate(frames_of(1), TargetDied("once"), ask=up().ask, restart=Fake().restart, most=9, seconds=1)
    assert answer.results == [Observation(value=0)]
    assert answer.blamed == 0


def test_it_gives_up_where_nothing_is_ever_answered():
    with pytest.raises(TargetDied, match="ended; 4 times in a row, none of 64 frames answered"):
        isolated(Fake(deadly=frames_of(64)), frames_of(64), most=4)


def test_a_hang_counts_as_four():
    with pytest.raises(TargetTimeout, match="late; 4 times in a row, none of 64 frames answered"):
        isolated(Fake(slow=frames_of(64)), frames_of(64), most=16)


def test_it_passes_the_rest_over_where_something_was_answered():
    frames = frames_of(20)
    answer = isolated(Fake(deadly=frames[1:]), frames, most=6)
    assert answer.results[0] == Observation(value=0)
    assert sum(isinstance(result, Errored) for result in answer.results) == answer.blamed
    assert sum(isinstance(result, Skipped) for result in answer.results) == 19 - answer.blamed
    assert answer.failures == 6


def test_all_frames_bad_but_all_asked_is_an_answer():
    frames = frames_of(3)
    assert isolated(Fake(deadly=frames), frames).results == [Errored("ended")] * 3


def test_what_the_restart_raises_is_passed_on():
    def restart():
        raise TargetDied("would not start")

    with pytest.raises(TargetDied, match="would not start"):
        isolate(frames_of(2), TargetDied("ended"), ask=Fake().ask, restart=restart, most=9, seconds=1.0)
