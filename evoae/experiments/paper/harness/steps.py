"""The one loop, for steps that are longer than a generation."""

from collections.abc import Callable, Sequence
from typing import Any

from evoae.runs.clock import Clock, Pace
from evoae.runs.loop import Observer, Progress, run_loop


def run_steps(
    step: Callable[[Any], Any],
    state: Any,
    number: int,
    observers: Sequence[Observer] = (),
    **behind: Any,
) -> Progress:
    """`evoae.runs.loop.run_loop` until so many steps from state to state are done.

    Raises:
      KeyboardInterrupt: Ctrl-C or SIGTERM, after the step that was being done.

    >>> run_steps(lambda state: 2 * state, 1, 10).state
    1024
    """

    def advance(state: Any, count: int, _: Pace) -> tuple[Any, None]:
        for _step in range(count):
            state = step(state)
        return state, None

    progress = run_loop(advance, state, Clock(number), observers, **behind)
    if progress.stopped:
        raise KeyboardInterrupt
    return progress
