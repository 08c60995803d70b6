"""The error over the generations, with the baselines it must beat."""

import os
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from evoae.checks import check_number
from evoae.report import style
from evoae.report.axis_scales import is_long, is_wide, locate_decades
from evoae.report.labels import Label, label_right_edge
from evoae.report.output_files import check_destination

WIDTH, HEIGHT = 5.6, 3.2  # of the axes, in inches

Array = npt.NDArray[np.float64]


@style.plain()
def draw_curve(
    path: str | os.PathLike[str],
    generations: npt.ArrayLike,
    series: Mapping[str, npt.ArrayLike],
    *,
    baselines: Mapping[str, float],
    ylabel: str,
    title: str | None = None,
) -> Figure:
    """Writes a PNG of errors over generations; lines and baselines are labelled at the right edge.

    The error axis is logarithmic when what it shows differs more than tenfold, the generation axis
    when the last is over 1,000 times the first (0 counting as 1), as progress is fast at first.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      generations: [G], from 0, increasing.
      series: one to six named arrays [G], such as best, mean and validation error. NaN or
        infinite values are left out and the line drawn across; a series with nothing else
        only has its name.
      baselines: named finite errors, drawn as dashed lines; may be empty.
      ylabel: what the errors are, such as "mean absolute error per pixel".
      title: a line of text above the axes.

    Raises:
      ValueError: lengths that do not match, nothing to draw, generations that do not increase.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_curve(
    ...         f"{folder}/curve.png", [0, 1, 2], {"best": [0.3, 0.2, 0.15]},
    ...         baselines={"mean image": 0.103}, ylabel="error",
    ...     )
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['mean image 0.103', 'best 0.15']
    """
    file = check_destination(path, ".png")
    steps, lines = _checked(generations, series, baselines)

    figure, axes = style.new_figure(WIDTH, HEIGHT)
    axes.set(xlabel="generation", ylabel=ylabel)
    if title is not None:
        axes.set_title(title, loc="left", fontsize=style.FONT_SIZE, color=style.INK)
    _scale_generations(axes, steps)
    finite = [line[np.isfinite(line)] for line in lines.values()]
    scale_errors(axes, np.concatenate([*finite, [*baselines.values()]]))

    labels = []
    for name, value in baselines.items():
        axes.axhline(value, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        labels.append(Label(f"{name} {value:.3g}", value, style.MUTED))
    marker = "o" if len(steps) == 1 else ""
    for rank, (name, line) in enumerate(lines.items()):
        color, drawn = style.PALETTE[rank], np.isfinite(line)
        if not drawn.any():
            labels.append(Label(f"{name}: not finite", np.inf, color))
            continue
        # The first line, the one that counts, is the boldest and lies on top.
        width, order = (1.6, 3.0) if rank == 0 else (0.9, 2.9 - rank / 10)
        axes.plot(
            steps[drawn], line[drawn], color=color, linewidth=width, zorder=order, marker=marker
        )
        labels.append(Label(f"{name} {line[drawn][-1]:.3g}", line[drawn][-1], color))
    label_right_edge(axes, labels)
    style.save(figure, file)
    return figure


def _scale_generations(axes: Axes, steps: Array) -> None:
    if len(steps) == 1:
        axes.set_xticks(steps)
        return
    axes.set_xlim(steps[0], steps[-1])  # so that the lines end where their labels begin
    if is_long(steps):
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)  # generation 0 has its place, too
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def scale_errors(axes: Axes, values: Array) -> None:
    """Makes the error axis logarithmic where the values [V] differ more than tenfold."""
    if is_wide(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(locate_decades(values.min(), values.max()))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())  # or some have labels like 6 x 10^-1


def _checked(
    generations: npt.ArrayLike, series: Mapping[str, npt.ArrayLike], baselines: Mapping[str, float]
) -> tuple[Array, dict[str, Array]]:
    steps = np.asarray(generations, np.float64)
    if steps.ndim != 1 or steps.size == 0:
        raise ValueError(f"generations must have shape [G], G from 1, got {steps.shape}")
    if not (np.isfinite(steps).all() and steps[0] >= 0 and (np.diff(steps) > 0).all()):
        raise ValueError(f"generations must increase from 0 or more, got {generations!r}")
    if not 1 <= len(series) <= len(style.PALETTE):
        raise ValueError(f"series must be 1 to {len(style.PALETTE)}, got {len(series)}")
    lines = {name: np.asarray(line, np.float64) for name, line in series.items()}
    for name, line in lines.items():
        if line.shape != steps.shape:
            raise ValueError(
                f"series[{name!r}] must have the shape of generations {steps.shape}, "
                f"got {line.shape}"
            )
    for name, value in baselines.items():
        check_number(f"baselines[{name!r}]", value)
    return steps, lines
