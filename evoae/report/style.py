"""The look of every figure: one palette, one kind of axes.

The colours are Okabe and Ito's (2008), which people with any kind of colour vision tell apart.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evoae.report.output_files import replacing

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
MUTED = "#6B6B6B"
FONT_SIZE = 9.0
PANEL_GAP = 0.5  # between axes side by side, in inches
DOTS = 200  # an inch


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Draws by the defaults of matplotlib, whatever the user's matplotlibrc says.

    >>> with matplotlib.rc_context({"text.usetex": True}), plain():
    ...     matplotlib.rcParams["text.usetex"]
    False
    """
    with matplotlib.style.context("default"):
        yield


class NotebookFigure(Figure):
    """A figure that a notebook shows without pyplot, sharp also where a pixel is two dots."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        picture = io.BytesIO()
        _write(self, picture)
        width = int.from_bytes(picture.getvalue()[16:20], "big")  # of the PNG's header
        return picture.getvalue(), {"width": width // 2}


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Returns a figure with bare axes of `width` x `height` inches with room around them.

    The figure hangs on its own canvas and not on pyplot, so that threads and notebooks may draw.

    >>> figure, axes = new_figure(6.0, 3.5)
    >>> axes.spines["top"].get_visible()
    False
    """
    figure, (axes,) = new_panels(width, height, 1)
    return figure, axes


def new_panels(width: float, height: float, number: int) -> tuple[Figure, list[Axes]]:
    """Returns a figure with several such axes side by side.

    >>> figure, panels = new_panels(3.0, 3.0, 2)
    >>> len(panels)
    2
    """
    whole_width, whole_height = number * (width + PANEL_GAP) + 1.0 - PANEL_GAP, height + 1.0
    figure = NotebookFigure((whole_width, whole_height), dpi=DOTS, facecolor="white")
    FigureCanvasAgg(figure)
    panels = []
    for index in range(number):
        left = 0.6 + index * (width + PANEL_GAP)
        place = (left / whole_width, 0.5 / whole_height, width / whole_width, height / whole_height)
        axes = figure.add_axes(place)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        axes.tick_params(which="both", color=MUTED, labelcolor=INK, labelsize=FONT_SIZE)
        axes.xaxis.label.set(color=INK, fontsize=FONT_SIZE)
        axes.yaxis.label.set(color=INK, fontsize=FONT_SIZE)
        panels.append(axes)
    return figure, panels


def save(figure: Figure, path: Path) -> None:
    """Writes the figure, with all text that lies outside of its axes, as a .png or .pdf."""
    with replacing(path) as temporary:
        _write(figure, temporary, path.suffix[1:])


def _write(figure: Figure, file: Path | io.BytesIO, form: str = "png") -> None:
    with plain():
        figure.savefig(file, format=form, bbox_inches="tight", pad_inches=0.1)
