"""Several ways to train one network: their errors against evaluations and against time."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from evoae.report import style
from evoae.report.curve import scale_errors
from evoae.report.labels import Label, label_right_edge
from evoae.report.output_files import check_destination

WIDTH, HEIGHT = 3.6, 3.2  # of each of the axes, in inches
XLABELS = {"evaluations": "evaluations of one network on one image", "seconds": "seconds"}

Array = npt.NDArray[np.float64]


class Course(NamedTuple):
    """How the error fell in one way of training.

    Attributes:
      name: of the way.
      evaluations: so far, increasing, [T].
      seconds: so far, increasing, [T].
      error: [T]; NaN and infinite values are left out, and where there is nothing else the course
        only has its name.
    """

    name: str
    evaluations: npt.NDArray[Any]
    seconds: npt.NDArray[Any]
    error: npt.NDArray[Any]


@style.plain()
def draw_comparison(
    path: str | os.PathLike[str],
    courses: Sequence[Course],
    *,
    baselines: Mapping[str, float],
    ylabel: str,
) -> Figure:
    """Writes a PNG of two panels: the errors against evaluations, and against seconds.

    Both horizontal axes are logarithmic. Lines end in a dot, and have their names and last errors
    at the right edge, as the baselines do.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      courses: one to six.
      baselines: named finite errors, drawn as dashed lines; may be empty.
      ylabel: what the errors are, such as "mean absolute error per pixel".

    Raises:
      ValueError: no courses, or too many.

    >>> import tempfile
    >>> course = Course("evolution", np.array([10, 99]), np.array([1, 9]), np.array([0.3, 0.2]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/compare.png"
    ...     figure = draw_comparison(path, [course], baselines={}, ylabel="error")
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['evaluations of one network on one image', 'seconds']
    """
    file = check_destination(path, ".png")
    if not 1 <= len(courses) <= len(style.PALETTE):
        raise ValueError(f"courses must be 1 to {len(style.PALETTE)}, got {len(courses)}")

    figure, panels = style.new_panels(WIDTH, HEIGHT, 2)
    errors = [course.error[np.isfinite(course.error)] for course in courses]
    for axes, quantity in zip(panels, XLABELS, strict=True):
        _draw(axes, courses, quantity, list(baselines.values()))
        scale_errors(axes, np.concatenate([*errors, list(baselines.values())]))
    panels[0].set_ylabel(ylabel)
    panels[1].sharey(panels[0])
    panels[1].tick_params(labelleft=False)
    labels = [Label(f"{name} {value:.3g}", value, style.MUTED) for name, value in baselines.items()]
    for course, error, color in zip(courses, errors, style.PALETTE, strict=False):
        if error.size:
            labels.append(Label(f"{course.name} {error[-1]:.3g}", error[-1], color))
        else:
            labels.append(Label(f"{course.name}: not finite", np.inf, color))
    label_right_edge(panels[1], labels)
    style.save(figure, file)
    return figure


def _draw(axes: Axes, courses: Sequence[Course], quantity: str, baselines: list[float]) -> None:
    axes.set(xlabel=XLABELS[quantity], xscale="log")
    for value in baselines:
        axes.axhline(value, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    last = 0.0
    for rank, course in enumerate(courses):
        drawn = np.isfinite(course.error)
        steps = getattr(course, quantity)[drawn]
        color, width = style.PALETTE[rank], 1.6 if rank == 0 else 1.1
        axes.plot(steps, course.error[drawn], color=color, linewidth=width, zorder=3 - rank / 10)
        axes.plot(steps[-1:], course.error[drawn][-1:], "o", color=color, markersize=4, zorder=3.5)
        last = max(last, getattr(course, quantity)[-1])
    axes.set_xlim(right=1.15 * last)
    axes.xaxis.set_major_locator(LogLocator(numticks=7))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """1,000,000 as 1M: the long form does not fit below an axis."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
