"""The one loop: blocks of steps against a clock, and observers that are told of each.

A run, a process that follows one, each program of a sweep, and both sides of a comparison are this
loop; they differ in what does the steps and in the observers.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from evoae.engine import InvalidFitnessError
from evoae.engine.hosts import any_of, of_first
from evoae.runs.clock import Clock, Pace

Advance = Callable[[Any, int, Pace], tuple[Any, Any]]
"""(state, count, pace before) -> the state after `count` steps, and their trace."""


class Progress(NamedTuple):
    """Where a loop stands.

    Attributes:
      state: after the last block.
      trace: of the last block; None before the first.
      pace: steps, seconds and speed so far.
      stopped: whether Ctrl-C or SIGTERM ends the loop after this block.
      failure: the generation without a finite error that ends it; None where there is none.
    """

    state: Any
    trace: Any
    pace: Pace
    stopped: bool = False
    failure: InvalidFitnessError | None = None

    @property
    def is_last(self) -> bool:
        """Whether no block follows."""
        return self.pace.done >= 1 or self.stopped or self.failure is not None


class Observer:
    """Follows a loop; a subclass overrides any of the three methods.

    >>> class Best(Observer):
    ...     def block(self, progress):
    ...         self.best = progress.trace
    >>> best = Best()
    >>> count_up = lambda state, count, pace: (state + count, state + count)
    >>> run_loop(count_up, 0, Clock(num_steps=12), [best]).state, best.best
    (12, 12)
    """

    def begin(self, progress: Progress) -> None:
        """Called before the first block."""

    def block(self, progress: Progress) -> None:
        """Called after each block."""

    def end(self, progress: Progress) -> None:
        """Called once after the last block, also where the loop fails on the way."""


def run_loop(
    advance: Advance,
    state: Any,
    clock: Clock,
    observers: Sequence[Observer] = (),
    *,
    steps: int = 0,
    seconds: float = 0.0,
) -> Progress:
    """Advances a state block by block, until the clock's end, Ctrl-C, SIGTERM or a failure.

    Args:
      advance: does steps.
      state: where it begins.
      clock: when it ends.
      observers: are told of each block, in their order.
      steps: of an earlier loop that this one continues; the clock counts both together.
      seconds: of that loop.

    Returns:
      The progress after the last block.

    Raises:
      InvalidFitnessError: what `advance` raised, after the observers saw what came before it.
    """
    progress = Progress(state, None, clock.begin(steps, seconds))
    begun: list[Observer] = []
    with interrupts() as interrupted:
        try:
            for observer in observers:
                observer.begin(progress)
                begun.append(observer)
            while not progress.is_last:
                progress = _block(advance, clock, progress, interrupted)
                for observer in observers:
                    observer.block(progress)
        finally:
            with contextlib.ExitStack() as ends:  # so that all are called if one of them fails
                for observer in reversed(begun):
                    ends.callback(observer.end, progress)
    if progress.failure:
        raise progress.failure
    return progress


def _block(
    advance: Advance, clock: Clock, before: Progress, interrupted: threading.Event
) -> Progress:
    count, begun, failure = clock.count(before.pace), time.perf_counter(), None
    try:
        state, trace = advance(before.state, count, before.pace)
    except InvalidFitnessError as error:
        state, trace, failure = error.state, error.trace, error
    seconds = max(of_first(time.perf_counter() - begun), 1e-9)
    stopped = failure is None and any_of(interrupted.is_set())
    return Progress(state, trace, clock.after(before.pace, count, seconds), stopped, failure)


_interrupted: threading.Event | None = None  # of the outermost `interrupts`


@contextlib.contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Ctrl-C or SIGTERM sets the event, so that all is written; a second one does what it did.

    Inside another `interrupts` it is the event of that one.
    """
    global _interrupted
    if _interrupted is not None:
        yield _interrupted
        return
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # signals come to the main thread only
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        event.set()
        restore()

    for number in before:
        signal.signal(number, stop)
    _interrupted = event
    try:
        yield event
    finally:
        _interrupted = None
        restore()
