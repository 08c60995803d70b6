"""Tables of runs: a row a run, and a row for all runs that differ in their seed alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Table(NamedTuple):
    """Rows of names and numbers below the names of their columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Group(NamedTuple):
    """Runs that differ in their seed alone."""

    labels: tuple[Any, ...]  # what they have in common, in words and numbers
    figures: Mapping[str, Any]  # of each run, [S], by their names; None where there is none

    @property
    def number(self) -> int:
        """How many runs they are."""
        return max(len(its) for its in self.figures.values() if its is not None)


Cell = Callable[[Group], object]  # of the row of a group


def list_runs(names: Sequence[str], groups: Sequence[Group]) -> Table:
    """A row a run: the labels of its group, its place there, and its figures.

    The names are those of the labels and of the place; all groups have the same figures.

    >>> list_runs(("search", "seed"), [Group(("a",), {"error": np.array([0.5, 0.25])})]).rows
    [('a', 0, 0.5), ('a', 1, 0.25)]
    """
    rows = [
        (*group.labels, place, *(_value(its, place) for its in group.figures.values()))
        for group in groups
        for place in range(group.number)
    ]
    return Table((*names, *groups[0].figures), rows)


def summarize(groups: Sequence[Group], columns: Mapping[str, Cell]) -> Table:
    """A row a group, a column for each function of a group.

    >>> groups = [Group(("a",), {"error": np.array([0.5, 0.25, 0.75])})]
    >>> summarize(groups, {"search": label(0), "seeds": count, **spread_of("error")}).rows
    [('a', 3, 0.25, 0.5, 0.75)]
    """
    cells = columns.values()
    return Table(tuple(columns), [tuple(cell(group) for cell in cells) for group in groups])


def _value(figures: Any, place: int) -> object:
    return None if figures is None else figures[place].item()


def label(place: int) -> Cell:
    """One of the labels of a group."""
    return lambda group: group.labels[place]


def count(group: Group) -> int:
    """How many runs a group has."""
    return group.number


def figure_of(name: str, reduce: Callable[[Array], Any] = np.median) -> Cell:
    """What a function makes of a figure of all runs; nothing where there is none."""

    def cell(group: Group) -> object:
        its = group.figures[name]
        return None if its is None else reduce(its).item()

    return cell


def spread_of(name: str, best: str = "best error") -> dict[str, Cell]:
    """Columns for the smallest, the middle and the largest of a figure."""
    return {
        best: figure_of(name, np.min),
        "median": figure_of(name),
        "worst": figure_of(name, np.max),
    }
