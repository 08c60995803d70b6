"""The ends of a loop, and the lengths of its blocks."""

import itertools

import pytest

from evoae.runs.clock import BLOCK_SIZE, Clock


def paces(speed, **ends):
    """The paces of a loop with a known number of steps a second."""
    clock = Clock(**ends)
    found = [clock.begin()]
    while found[-1].done < 1:
        count = clock.count(found[-1])
        assert 1 <= count <= BLOCK_SIZE
        found.append(clock.after(found[-1], count, count / speed))
    return found[1:]


def test_steps_end_the_loop_exactly():
    found = paces(100.0, num_steps=1_234)
    assert found[-1].steps == 1_234
    assert found[-1].done == 1
    assert found[-1].seconds == pytest.approx(12.34)
    assert all(later.done > where.done for where, later in itertools.pairwise(found))
    assert {round(where.done_per_step * 1_234, 9) for where in found} == {1}


def test_time_ends_the_loop():
    found = paces(100.0, minutes=0.1)
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
def test_whichever_end_comes_first(ends, steps):
    assert paces(100.0, **ends)[-1].steps == pytest.approx(steps, abs=1)


def test_a_loop_that_is_continued_counts_both_parts():
    clock = Clock(num_steps=100, minutes=1)
    pace = clock.begin(steps=50, seconds=45)
    assert pace.done == 0.75
    assert clock.after(pace, 10, 5).done == pytest.approx(50 / 60)


def test_blocks_are_short_at_first_and_then_take_half_a_second():
    steps = [pace.steps for pace in paces(3_000.0, num_steps=1_000)]
    assert steps[:4] == [1, 5, 10, 15]
    assert steps[-1] == 1_000
    assert len(steps) < 120
    clock, late = Clock(minutes=1e9), Clock(minutes=1e9).begin(steps=10**6)
    assert clock.count(late._replace(speed=100.0)) == 50
    assert clock.count(late._replace(speed=0.01)) == 1
    assert clock.count(late._replace(speed=1e9)) == BLOCK_SIZE
    short = Clock(minutes=1)
    assert short.count(short.begin(10**6, 59.9)._replace(speed=100.0)) == 10
