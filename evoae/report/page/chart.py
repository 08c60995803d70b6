"""Errors over generations as lines of an SVG picture."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from evoae.report.axis_scales import is_long, is_wide, locate_decades
from evoae.report.labels import spread

NUM_POINTS = 400  # of a line; more would not be seen
TOP, BOTTOM, LEFT, RIGHT = 14, 46, 58, 14  # margins
LABELS, LABEL_HEIGHT = 180, 17  # the width of the right margin with labels, and their distance

Array = npt.NDArray[np.float64]


class Line(NamedTuple):
    """One line: `rank` chooses its colour, a `faint` one is thin."""

    name: str
    generations: npt.NDArray[np.floating]
    values: npt.NDArray[np.floating]
    rank: int
    faint: bool = False


class Drawn(NamedTuple):
    """A line or a baseline on the picture, whose rank is None."""

    name: str
    rank: int | None
    faint: bool
    last: float  # the last value
    end: float  # its height in the picture
    label: float  # the height at which its name is written
    x: Sequence[float] = ()  # of the points in the picture, [T]
    y: Sequence[float] = ()
    generations: Sequence[int] = ()  # of the same points
    values: Sequence[float] = ()


class Chart(NamedTuple):
    """What the template draws; ticks are (place, text)."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    labelled: bool
    ylabel: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    drawn: list[Drawn]


def lay_out_chart(
    lines: Sequence[Line],
    baselines: Mapping[str, float],
    *,
    ylabel: str,
    width: int,
    height: int,
    labelled: bool,
) -> Chart | None:
    """Lays out the picture; None where there is no finite value to draw.

    The axes are logarithmic where those of `evoae.report.draw_curve` are. Width and height are in
    CSS pixels; `labelled`, names stand at the right end of the lines.
    """
    lines = [_chosen(line) for line in lines]
    lines = [line for line in lines if line.values.size]
    if not lines:
        return None
    left, right = LEFT, width - (LABELS if labelled else RIGHT)
    top, bottom = TOP, height - BOTTOM
    steps = np.concatenate([line.generations for line in lines])
    errors = np.concatenate([*(line.values for line in lines), list(baselines.values())])
    wide = is_wide(errors)
    margin = 0.0 if wide else 0.05 * ((errors.max() - errors.min()) or 1.0)
    x = _Axis(steps.min(), steps.max(), is_long(steps), left, right)
    y = _Axis(errors.min() - margin, errors.max() + margin, wide, bottom, top)

    heights = {name: float(y(value)) for name, value in baselines.items()}
    drawn = [Drawn(n, None, False, baselines[n], at, at) for n, at in heights.items()]
    drawn += [_line(line, x(line.generations), y(line.values)) for line in lines]
    ends = np.array([(bottom - item.end) / (bottom - top) for item in drawn])
    labels = bottom - (bottom - top) * spread(ends, LABEL_HEIGHT / (bottom - top))
    drawn = [item._replace(label=float(p)) for item, p in zip(drawn, labels, strict=True)]
    x_ticks, y_ticks = x.ticks((right - left) // 80, whole=True), y.ticks((bottom - top) // 40)
    sides = left, right, top, bottom
    return Chart(width, height, *sides, labelled, ylabel, x_ticks, y_ticks, drawn)


def _line(line: Line, x: Array, y: Array) -> Drawn:
    return Drawn(
        line.name,
        line.rank,
        line.faint,
        last=float(line.values[-1]),
        end=float(y[-1]),
        label=float(y[-1]),
        x=[round(float(place), 1) for place in x],
        y=[round(float(place), 1) for place in y],
        generations=[int(generation) for generation in line.generations],
        values=[float(f"{value:.4g}") for value in line.values],
    )


def _chosen(line: Line) -> Line:
    """The finite points, thinned: as many early as late ones on either kind of axis."""
    steps, values = np.asarray(line.generations, float), np.asarray(line.values, float)
    steps, values = steps[np.isfinite(values)], values[np.isfinite(values)]
    if len(steps) > NUM_POINTS:
        half = NUM_POINTS // 2
        evenly = np.linspace(0, len(steps) - 1, half)
        early = np.geomspace(1, len(steps), half) - 1
        places = np.unique(np.concatenate([evenly, early]).round().astype(int))
        steps, values = steps[places], values[places]
    return line._replace(generations=steps, values=values)


class _Axis:
    """Values to places, from `first` at `start` to `last` at `end`."""

    def __init__(self, first: float, last: float, is_log: bool, start: float, end: float) -> None:
        self._log, self._first, self._last = is_log, float(first), float(last)
        if is_log and self._first <= 0:
            self._first = 1.0  # generation 0 shares the place of generation 1
        self._start, self._end = start, end

    def __call__(self, values: npt.ArrayLike) -> Array:
        scaled = np.asarray(values, np.float64)
        first, last = self._first, self._last
        if self._log:
            scaled, first, last = np.log10(np.fmax(scaled, first)), *np.log10([first, last])
        part = (scaled - first) / ((last - first) or 1.0)
        return self._start + (self._end - self._start) * part

    def ticks(self, most: int, whole: bool = False) -> list[tuple[float, str]]:
        """Round values within, at most about as many."""
        first, last = self._first, self._last
        if self._log:
            values = locate_decades(first, last, most + 1).tick_values(first, last)
        else:
            values = MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole).tick_values(first, last)
        return [
            (round(float(self(value)), 1), f"{value:,.0f}" if whole else f"{value:.6g}")
            for value in values
            if first * (1 - 1e-9) <= value <= last * (1 + 1e-9)
        ]
