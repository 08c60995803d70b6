"""How far a run is: a moving bar on a terminal, a few plain lines elsewhere."""

import math
from collections.abc import Callable
from typing import NamedTuple

from rich import progress
from rich.console import Console

from evoae.runs.loop import Observer, Progress

LINES = 10  # where there is no terminal
COMPILING = 5  # steps of the first blocks, whose time says nothing about later ones


class Status(NamedTuple):
    """Where a run stands."""

    done: float  # the part that is behind it, from 0 to 1
    steps: int  # generations, or other steps, so far
    best: float  # the smallest error in the last one
    mean: float  # its mean error
    speed: float  # steps a second in the newest block; NaN before there is one
    seconds_left: float  # until the end at this speed
    unit: str = "generation"  # what one step is

    def __str__(self) -> str:
        errors = f"best {self.best:.4f}  mean {self.mean:.4f}"
        if math.isnan(self.speed):
            return errors
        minutes, seconds = divmod(round(self.seconds_left), 60)
        digits = 0 if self.speed >= 10 else 1
        speed = f"{self.speed:,.{digits}f} {self.unit}s/s"
        return f"{errors}  {speed}  {minutes}:{seconds:02} left"


def status_of(progress: Progress) -> Status:
    """What is shown of a run after a block of generations."""
    pace, trace = progress.pace, progress.trace
    return Status(
        done=pace.done,
        steps=pace.steps,
        best=float(trace.best_fitness[-1]),
        mean=float(trace.mean_fitness[-1]),
        speed=pace.speed,
        seconds_left=pace.seconds_left,
    )


class ProgressBar(Observer):
    """Shows how far a loop is.

    Args:
      console: where to.
      describe: what to show of its progress.

    >>> import io
    >>> console = Console(file=io.StringIO(), width=100)
    >>> with ProgressBar(console) as bar:
    ...     bar.show(Status(1.0, 50, 0.1, 0.2, 25.0, 0.0))
    >>> print(console.file.getvalue().strip())
    generation 50  best 0.1000  mean 0.2000  25 generations/s  0:00 left
    """

    def __init__(
        self, console: Console, describe: Callable[[Progress], Status] = status_of
    ) -> None:
        self._console, self._describe = console, describe
        self._lines = self._first = 0
        self._bar = progress.Progress(
            progress.BarColumn(bar_width=None),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
            expand=True,
        )
        self._task = self._bar.add_task("compiling", total=1.0)

    def begin(self, progress: Progress) -> None:
        """Shows an empty bar."""
        self._first = progress.pace.steps
        self._bar.start()

    def block(self, progress: Progress) -> None:
        """Moves the bar."""
        status = self._describe(progress)
        if progress.pace.steps <= self._first + COMPILING:
            status = status._replace(speed=math.nan)
        self.show(status)

    def end(self, progress: Progress) -> None:
        """Leaves the terminal to others."""
        self._bar.stop()

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, status: Status) -> None:
        """Moves the bar, or prints a line when another tenth is done."""
        self._bar.update(self._task, completed=status.done, description=str(status))
        if not self._console.is_terminal and status.done * LINES >= self._lines + 1:
            self._lines = int(status.done * LINES)
            self._console.print(f"{status.unit} {status.steps:,}  {status}", soft_wrap=True)
