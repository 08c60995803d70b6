"""Loops in blocks, on a clock of our own."""

import itertools

import numpy as np
import pytest

from evoae.runs import clock as pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(pace.time, "perf_counter", lambda: Clock.now)
    return Clock


def paces(clock, speed, **ends):
    """The paces of a loop with a known number of steps a second; the host takes 9 seconds each."""
    found = []

    def work(count, _):
        clock.now += count / speed
        return count

    for count, where in pace.in_blocks(work, **ends):
        found.append(where)
        assert 1 <= count <= pace.BLOCK_SIZE
        clock.now += 9
    return found


def test_steps_end_the_loop_exactly(clock):
    found = paces(clock, 100.0, num_steps=1_234, minutes=None)
    assert found[-1].steps == 1_234
    assert found[-1].done == 1
    assert found[-1].seconds == pytest.approx(12.34)
    assert all(later.done > where.done for where, later in itertools.pairwise(found))
    assert {round(where.done_per_step * 1_234, 9) for where in found} == {1}


def test_time_ends_the_loop_and_the_host_costs_none_of_it(clock):
    found = paces(clock, 100.0, num_steps=None, minutes=0.1)
    assert found[-1].done == 1
    assert found[-1].seconds == pytest.approx(6, abs=0.02)
    assert found[-1].steps == pytest.approx(600, abs=2)
    for where in found:
        assert where.done_per_step == pytest.approx(1 / 600)
        assert where.seconds_left == pytest.approx(6 - where.seconds, abs=0.02)


@pytest.mark.parametrize(
    ("ends", "steps"),
    [({"num_steps": 5, "minutes": 1}, 5), ({"num_steps": 500, "minutes": 0.01}, 60)],
)
def test_whichever_end_comes_first(clock, ends, steps):
    assert paces(clock, 100.0, **ends)[-1].steps == pytest.approx(steps, abs=1)


def test_blocks_are_short_at_first_and_then_take_half_a_second():
    length = pace.block_length
    generation, ends = 0, []
    while generation < 1_000:
        generation += length(generation, 3_000.0, 1_000 - generation, np.inf)
        ends.append(generation)
    assert ends[:4] == [1, 5, 10, 15]
    assert ends[-1] == 1_000
    assert len(ends) < 120
    assert length(10**6, 100.0, np.inf, np.inf) == 50
    assert length(10**6, 100.0, np.inf, 0.1) == 10
    assert length(10**6, 0.01, np.inf, np.inf) == 1
    assert length(10**6, 1e9, np.inf, np.inf) == pace.BLOCK_SIZE
