"""How far images are read, on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def reading_bar(*, show: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar while images are read; it is told how many are read, and how many there are.

    It is drawn on a terminal alone, and is gone at the end.

    >>> with reading_bar(show=False) as move:
    ...     move(1, 20)
    """
    console = Console(stderr=True)
    columns = TextColumn("reading images"), BarColumn(None), MofNCompleteColumn()
    shown = show and console.is_terminal
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not shown
    ) as bar:
        task = bar.add_task("", visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
