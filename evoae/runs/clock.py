"""Long loops in blocks: the device computes one, and then the host looks, about twice a second."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

BLOCK_SIZE = 2_000  # most steps in one call of a compiled program
BLOCK_SECONDS = 0.5  # so that the bar moves and Ctrl-C is soon heard

Result = TypeVar("Result")


class Pace(NamedTuple):
    """Where a loop stands.

    Attributes:
      steps: done so far.
      seconds: spent on them, without what the host did in between.
      speed: steps a second in the last block; NaN before the first.
      done: the part that is behind it, from 0 to 1.
      done_per_step: by how much one step raises it at this speed.
      seconds_left: until the end at this speed.
    """

    steps: int = 0
    seconds: float = 0.0
    speed: float = math.nan
    done: float = 0.0
    done_per_step: float = 0.0
    seconds_left: float = math.inf


BEGINNING = Pace()


def in_blocks(
    work: Callable[[int, Pace], Result],
    *,
    num_steps: int | None,
    minutes: float | None,
    start: Pace = BEGINNING,
    agreed: Callable[[float], float] = float,
) -> Iterator[tuple[Result, Pace]]:
    """Calls work(count, pace) block after block; yields its results and the pace after each.

    Args:
      work: does `count` steps, at most `BLOCK_SIZE`; `pace` is where the loop stands before them.
      num_steps: end after this many; None sets no such end.
      minutes: end after this time of computing; None sets no such end.
      start: the steps and seconds of an earlier loop that this one continues; the ends are those
        of both together.
      agreed: from the seconds that a block took to those that count, where several processes must
        go on alike.

    >>> results = in_blocks(lambda count, pace: count, num_steps=12, minutes=None)
    >>> [(count, pace.steps, round(pace.done, 2)) for count, pace in results]
    [(1, 1, 0.08), (4, 5, 0.42), (5, 10, 0.83), (2, 12, 1.0)]
    """
    most = math.inf if num_steps is None else num_steps
    limit = math.inf if minutes is None else 60 * minutes
    done = lambda steps, seconds: min(1.0, max(steps / most, seconds / limit))  # noqa: E731
    pace = Pace(start.steps, start.seconds, done=done(start.steps, start.seconds))
    while pace.done < 1:
        count = block_length(pace.steps, pace.speed, most - pace.steps, limit - pace.seconds)
        begun = time.perf_counter()
        result = work(count, pace)
        seconds = max(agreed(time.perf_counter() - begun), 1e-9)
        steps, total, speed = pace.steps + count, pace.seconds + seconds, count / seconds
        pace = Pace(
            steps=steps,
            seconds=total,
            speed=speed,
            done=done(steps, total),
            done_per_step=max(1 / most, 1 / (speed * limit)),
            seconds_left=max(0.0, min((most - steps) / speed, limit - total)),
        )
        yield result, pace


def block_length(steps: int, speed: float, steps_left: float, seconds_left: float) -> int:
    """How many steps until the host looks again: few at first, as they show the most."""
    if steps == 0 or math.isnan(speed):
        return 1  # with the compilation, and so of unknown length
    stride = 5 * max(1, steps // 100)
    in_time = speed * min(BLOCK_SECONDS, seconds_left)
    return int(max(1, min(stride - steps % stride, in_time, steps_left, BLOCK_SIZE)))


@contextlib.contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Ctrl-C or SIGTERM sets the event, so that all is written; a second one does what it did."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted  # signals come to the main thread only
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(*_: object) -> None:
        interrupted.set()
        restore()

    for number in before:
        signal.signal(number, stop)
    try:
        yield interrupted
    finally:
        restore()
