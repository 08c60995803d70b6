"""The one loop: who is told what, when, and how it ends."""

import os
import signal

import numpy as np
import pytest

import evoae
from evoae.runs.clock import Clock
from evoae.runs.loop import Observer, interrupts, run_loop


def count_up(state, count, _):
    """Steps that only count."""
    return state + count, list(range(state, state + count))


class Witness(Observer):
    """Writes down all that it is told, and fails or stops the process where it is asked to."""

    def __init__(self, name="", log=None, act=None):
        self.name, self.log, self.act = name, [] if log is None else log, act or {}

    def told(self, what, progress):
        self.log.append(f"{self.name}{what} {progress.pace.steps}")
        self.last = progress
        if action := self.act.get((what, progress.pace.steps)):
            action()

    def begin(self, progress):
        self.told("begin", progress)

    def block(self, progress):
        self.told("block", progress)

    def end(self, progress):
        self.told("end", progress)


def fail():
    raise OSError("a full disk")


def test_all_are_told_of_the_same_blocks_in_their_order():
    log = []
    result = run_loop(count_up, 0, Clock(num_steps=6), [Witness("a ", log), Witness("b ", log)])
    steps = [("begin", 0), ("block", 1), ("block", 5), ("block", 6), ("end", 6)]
    assert log == [f"{name} {what} {number}" for what, number in steps for name in "ab"]
    assert result.state == 6
    assert result.is_last
    assert not result.stopped


def test_it_goes_on_where_an_earlier_one_ended():
    witness = Witness()
    result = run_loop(count_up, 4, Clock(num_steps=6), [witness], steps=4, seconds=2.0)
    assert result.state == result.pace.steps == 6
    assert result.pace.seconds > 2
    assert witness.log[0] == "begin 4"
    done = run_loop(count_up, 6, Clock(num_steps=6), [Witness()], steps=6)
    assert done.state == 6, "nothing is left to do"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_block_and_is_ours_only_while_it_runs(number):
    before = signal.getsignal(number)
    witness = Witness(act={("block", 1): lambda: os.kill(os.getpid(), number)})
    result = run_loop(count_up, 0, Clock(num_steps=600), [witness])
    assert result.stopped
    assert result.is_last
    assert witness.log == ["begin 0", "block 1", "block 5", "end 5"]
    assert signal.getsignal(number) is before


def test_loops_within_one_guard_share_their_interrupt():
    with interrupts() as interrupted:
        interrupted.set()
        assert run_loop(count_up, 0, Clock(num_steps=6)).pace.steps == 1
        assert interrupted.is_set()


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (("begin", 0), ["a begin 0", "b begin 0", "a end 0"]),
        (("block", 1), ["a begin 0", "b begin 0", "a block 1", "b block 1", "a end 1", "b end 1"]),
    ],
)
def test_an_observer_that_fails_ends_the_loop_and_those_that_began(where, told):
    log = []
    with pytest.raises(OSError, match="full disk"):
        run_loop(
            count_up, 0, Clock(num_steps=6), [Witness("a ", log), Witness("b ", log, {where: fail})]
        )
    assert log == told


def test_all_are_ended_if_one_fails_at_that():
    log = []
    first = Witness("a ", log, {("end", 1): fail})
    with pytest.raises(OSError, match="full disk"):
        run_loop(count_up, 0, Clock(num_steps=1), [first, Witness("b ", log)])
    assert log[-2:] == ["a end 1", "b end 1"]


def test_a_generation_without_a_finite_error_is_seen_before_it_is_raised():
    def failing(state, count, _):
        trace = evoae.Info(np.full(count, np.inf), np.full(count, np.inf), np.zeros(count))
        raise evoae.InvalidFitnessError(state, trace)

    witness = Witness()
    with pytest.raises(evoae.InvalidFitnessError):
        run_loop(failing, 0, Clock(num_steps=6), [witness])
    assert witness.log == ["begin 0", "block 1", "end 1"]
    assert witness.last.failure is not None
    assert witness.last.trace.best_fitness.tolist() == [np.inf]
