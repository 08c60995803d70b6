"""When a run ends, how far it is, and how many steps the device does before the host looks."""

import dataclasses
import math
from typing import NamedTuple

from evoae.checks import check_positive, check_whole

BLOCK_SIZE = 2_000  # most steps in one call of a compiled program
BLOCK_SECONDS = 0.5  # so that the bar moves and Ctrl-C is soon heard


class Pace(NamedTuple):
    """Where a loop stands.

    Attributes:
      steps: done so far.
      seconds: spent on them, without what the host did in between.
      speed: steps a second in the last block; NaN before the first.
      done: the part that is behind it, from 0 to 1.
      done_per_step: the part that one step adds at this speed.
      seconds_left: until the end at this speed.
    """

    steps: int = 0
    seconds: float = 0.0
    speed: float = math.nan
    done: float = 0.0
    done_per_step: float = 0.0
    seconds_left: float = math.inf


@dataclasses.dataclass(frozen=True)
class Clock:
    """The end of a loop: a number of steps, a time of computing, or whichever comes first.

    Attributes:
      num_steps: end after this many; None sets no such end.
      minutes: end after this time of computing; None sets no such end.

    Raises:
      ValueError: neither of the two, or one that is not above 0.

    >>> clock = Clock(num_steps=12)
    >>> pace = clock.begin()
    >>> while pace.done < 1:
    ...     count = clock.count(pace)
    ...     pace = clock.after(pace, count, seconds=0.1)
    ...     print(count, pace.steps, round(pace.done, 2))
    1 1 0.08
    4 5 0.42
    5 10 0.83
    2 12 1.0
    """

    num_steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.num_steps is None and self.minutes is None:
            raise ValueError("num_steps or minutes must be given, got None for both")
        check_whole("num_steps", self.num_steps, 1, optional=True)
        if self.minutes is not None:
            check_positive("minutes", self.minutes)

    def begin(self, steps: int = 0, seconds: float = 0.0) -> Pace:
        """The pace before the first block, after the steps and seconds of an earlier loop."""
        return Pace(steps, seconds, done=self._done(steps, seconds))

    def count(self, pace: Pace) -> int:
        """How many steps until the host looks again: few at first, as they show the most."""
        if pace.steps == 0 or math.isnan(pace.speed):
            return 1  # with the compilation, and so of unknown length
        stride = 5 * max(1, pace.steps // 100)
        in_time = pace.speed * min(BLOCK_SECONDS, self._most_seconds - pace.seconds)
        left = self._most_steps - pace.steps
        return int(max(1, min(stride - pace.steps % stride, in_time, left, BLOCK_SIZE)))

    def after(self, pace: Pace, count: int, seconds: float) -> Pace:
        """The pace after a block of `count` steps that took so many seconds, above 0."""
        steps, total, speed = pace.steps + count, pace.seconds + seconds, count / seconds
        left = min((self._most_steps - steps) / speed, self._most_seconds - total)
        return Pace(
            steps=steps,
            seconds=total,
            speed=speed,
            done=self._done(steps, total),
            done_per_step=max(1 / self._most_steps, 1 / (speed * self._most_seconds)),
            seconds_left=max(0.0, left),
        )

    @property
    def _most_steps(self) -> float:
        return math.inf if self.num_steps is None else self.num_steps

    @property
    def _most_seconds(self) -> float:
        return math.inf if self.minutes is None else 60 * self.minutes

    def _done(self, steps: int, seconds: float) -> float:
        return min(1.0, max(steps / self._most_steps, seconds / self._most_seconds))
