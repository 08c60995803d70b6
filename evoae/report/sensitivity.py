"""How the error depends on one setting, or on two."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter, NullLocator

from evoae.report import style
from evoae.report.curve import scale_errors
from evoae.report.labels import Label, label_right_edge
from evoae.report.output_files import check_destination

WIDTH, HEIGHT = 4.6, 3.2  # of the axes of a curve, in inches
CELL_WIDTH, CELL_HEIGHT = 0.62, 0.36  # of a heat map

Array = npt.NDArray[np.floating]


class Setting(NamedTuple):
    """A setting and the values that it took."""

    name: str  # what stands beside its axis
    values: Sequence[object]  # numbers or words

    @property
    def labels(self) -> list[str]:
        """What stands at the ticks."""
        return [f"{v:g}" if isinstance(v, float) else str(v) for v in self.values]


@style.plain()
def draw_sensitivity(
    path: str | os.PathLike[str],
    setting: Setting,
    errors: npt.ArrayLike,
    *,
    ylabel: str,
    ends: tuple[str, str] = ("best", "worst"),
    linear: bool = False,
) -> Figure:
    """Writes a PNG of the errors by the values of one setting: a dot a run, the median, the range.

    The axis of a number is logarithmic when its values differ more than tenfold. Runs without a
    finite error are left out, also of the range; they count for the median.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      setting: with V values.
      errors: [V, R], of R runs for each value.
      ylabel: what the errors are, such as "mean absolute error per pixel".
      ends: the names of the smallest and the largest.
      linear: keep the axis of the errors linear and let it begin at 0; otherwise it is
        logarithmic where they differ more than tenfold.

    Raises:
      ValueError: another shape, or no finite error.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_sensitivity(
    ...         f"{folder}/s.png", Setting("scale", [0.1, 1.0]), [[0.3, 0.2], [0.1, 0.2]],
    ...         ylabel="error",
    ...     )
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['median 0.15', 'best 0.1', 'worst 0.2']
    """
    file = check_destination(path, ".png")
    table = _checked(errors, (len(setting.values), None))
    figure, axes = style.new_figure(WIDTH, HEIGHT)
    axes.set(xlabel=setting.name, ylabel=ylabel)
    places = _places(axes, setting)
    if linear:
        axes.set_ylim(0, 1.08 * float(table[np.isfinite(table)].max()) or 1)
    else:
        scale_errors(axes, table[np.isfinite(table)].astype(np.float64))
    finite = np.where(np.isfinite(table), table, np.nan)
    some = np.isfinite(table).any(axis=1)
    best, worst = np.nanmin(finite[some], axis=1), np.nanmax(finite[some], axis=1)
    axes.fill_between(places[some], best, worst, color=style.PALETTE[0], alpha=0.12, linewidth=0)
    axes.plot(places, finite, "o", color=style.PALETTE[0], alpha=0.5, markersize=3)
    median = np.median(table, axis=1)
    drawn = np.isfinite(median)
    axes.plot(places[drawn], median[drawn], "o-", color=style.PALETTE[1], markersize=5)
    lines = {"median": (median[drawn], style.PALETTE[1])}
    if table.shape[1] > 1:
        last = ends[1] if np.isfinite(table).all() else f"{ends[1]} finite"
        lines |= {ends[0]: (best, style.PALETTE[0]), last: (worst, style.PALETTE[0])}
    labels = [
        Label(f"{name} {values[-1]:.3g}", float(values[-1]), color)
        for name, (values, color) in lines.items()
        if len(values)
    ]
    label_right_edge(axes, labels)
    style.save(figure, file)
    return figure


@style.plain()
def draw_heatmap(
    path: str | os.PathLike[str],
    down: Setting,
    across: Setting,
    errors: npt.ArrayLike,
    *,
    title: str,
) -> Figure:
    """Writes a PNG of an error for each pair of values, written into its cell; the best is framed.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      down: the setting of the rows, with V values.
      across: that of the columns, with W values.
      errors: [V, W]; cells of NaN stay empty, those of infinity grey.
      title: what the errors are, above the map.

    Raises:
      ValueError: another shape, or no finite error.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_heatmap(
    ...         f"{folder}/map.png", Setting("scale", [0.1, 1.0]), Setting("weights", [1, 2]),
    ...         [[0.3, 0.2], [np.inf, np.nan]], title="error",
    ...     )
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0.300', '0.200', 'inf']
    """
    file = check_destination(path, ".png")
    table = _checked(errors, (len(down.values), len(across.values)))
    rows, columns = table.shape
    figure, axes = style.new_figure(columns * CELL_WIDTH, rows * CELL_HEIGHT)
    axes.set(xlabel=across.name, ylabel=down.name)
    axes.set_title(title, loc="left", fontsize=style.FONT_SIZE, color=style.INK)
    for axis, setting in ((axes.xaxis, across), (axes.yaxis, down)):
        axis.set_ticks(range(len(setting.values)), setting.labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)

    finite = table[np.isfinite(table)]
    low, high = float(finite.min()), float(finite.max())
    norm = (LogNorm if 0 < 10 * low < high else Normalize)(low, high)
    shown = np.ma.masked_invalid(table)
    dark = np.ma.filled(norm(shown) < 0.5, False)
    axes.set_facecolor("white")
    axes.imshow(shown, cmap="cividis", norm=norm, aspect="auto", origin="lower")
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            continue
        text = f"{value:.3f}" if value < 10 else f"{value:.3g}"
        color = "white" if dark[row, column] else style.INK if np.isfinite(value) else style.MUTED
        axes.text(
            column, row, text, color=color, ha="center", va="center", fontsize=style.FONT_SIZE
        )
    row, column = np.unravel_index(np.nanargmin(table), table.shape)
    corner, edge = (float(column) - 0.46, float(row) - 0.44), style.PALETTE[1]
    axes.add_patch(Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=edge, linewidth=2))
    style.save(figure, file)
    return figure


def _places(axes: Axes, setting: Setting) -> npt.NDArray[np.float64]:
    """Where the values lie on the horizontal axis, which gets their names."""
    values = setting.values
    places = np.arange(len(values), dtype=np.float64)
    if all(type(value) in (int, float) for value in values):
        places = np.array(values).astype(np.float64)
        if places.min() > 0 and places.max() >= 10 * places.min():
            axes.set_xscale("log")
    axes.set_xticks(places, setting.labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return places


def _checked(errors: npt.ArrayLike, shape: tuple[int, int | None]) -> Array:
    table = np.asarray(errors, np.float64)
    if table.ndim != 2 or any(n not in (None, m) for n, m in zip(shape, table.shape, strict=True)):
        allowed = tuple("R" if n is None else n for n in shape)
        raise ValueError(f"errors must have shape {allowed}, a row a value, got {table.shape}")
    if not np.isfinite(table).any():
        raise ValueError("errors must be finite somewhere, got none that is")
    return table
