"""Steps of the one loop that are longer than a generation, and of which each leaves a value."""

from collections.abc import Callable
from typing import Any

from evoae.runs.clock import Clock, Pace
from evoae.runs.loop import Advance, Observer, Progress, run_loop

Step = Callable[[Any], tuple[Any, Any]]
"""state -> the state after the step, and its value."""


def one_by_one(step: Step) -> Advance:
    """What does such steps, for `evoae.runs.loop.run_loop`; the trace is a list of their values."""

    def advance(state: Any, count: int, _: Pace) -> tuple[Any, list[Any]]:
        values = []
        for _step in range(count):
            state, value = step(state)
            values.append(value)
        return state, values

    return advance


def collect(step: Step, state: Any, number: int) -> list[Any]:
    """The values of so many steps.

    Raises:
      KeyboardInterrupt: Ctrl-C or SIGTERM, after the step that was being done.

    >>> collect(lambda state: (state + 1, 10 * state), 0, 3)
    [0, 10, 20]
    """
    found = _Values()
    if run_loop(one_by_one(step), state, Clock(number), [found]).stopped:
        raise KeyboardInterrupt
    return found.values


class _Values(Observer):
    def __init__(self) -> None:
        self.values: list[Any] = []

    def block(self, progress: Progress) -> None:
        self.values += progress.trace
