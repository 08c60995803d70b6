"""How far a run is: a moving bar on a terminal, a few plain lines elsewhere."""

import math
from types import TracebackType
from typing import NamedTuple

from rich import progress
from rich.console import Console

LINES = 10  # where there is no terminal


class Status(NamedTuple):
    """Where a run stands.

    Attributes:
      done: the part that is behind it, from 0 to 1.
      steps: generations, or other steps, so far.
      best: the smallest error in the last one.
      mean: its mean error.
      speed: steps a second of late; NaN when it is not known yet.
      seconds_left: until the end at this speed.
      unit: what one step is.
    """

    done: float
    steps: int
    best: float
    mean: float
    speed: float
    seconds_left: float
    unit: str = "generation"

    def __str__(self) -> str:
        errors = f"best {self.best:.4f}  mean {self.mean:.4f}"
        if math.isnan(self.speed):
            return errors
        minutes, seconds = divmod(round(self.seconds_left), 60)
        digits = 0 if self.speed >= 10 else 1
        speed = f"{self.speed:,.{digits}f} {self.unit}s/s"
        return f"{errors}  {speed}  {minutes}:{seconds:02} left"


class ProgressBar:
    """A context manager that shows the statuses it is given.

    >>> import io
    >>> with ProgressBar(Console(file=io.StringIO(), width=100)) as bar:
    ...     bar.show(Status(1.0, 50, 0.1, 0.2, 25.0, 0.0))
    ...     print(bar.console.file.getvalue().strip())
    generation 50  best 0.1000  mean 0.2000  25 generations/s  0:00 left
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._lines = 0
        self._bar = progress.Progress(
            progress.BarColumn(bar_width=None),
            progress.TaskProgressColumn(),
            progress.TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
            expand=True,
        )
        self._task = self._bar.add_task("compiling", total=1.0)

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, status: Status) -> None:
        """Moves the bar, or prints a line when another tenth is done."""
        self._bar.update(self._task, completed=status.done, description=str(status))
        if not self.console.is_terminal and status.done * LINES >= self._lines + 1:
            self._lines = int(status.done * LINES)
            self.console.print(f"{status.unit} {status.steps:,}  {status}", soft_wrap=True)
