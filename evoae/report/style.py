"""The look of every figure: one palette, one kind of axes.

The colours are Okabe and Ito's (2008), which people with any kind of colour vision tell apart.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evoae.report.files import replacing

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
MUTED = "#6B6B6B"
FONT_SIZE = 9.0


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with bare axes of `width` x `height` inches with room around them.

    The figure hangs on its own canvas and not on pyplot, so that threads and notebooks may draw.

    >>> figure, axes = new_figure(6.0, 3.5)
    >>> axes.spines["top"].get_visible()
    False
    """
    figure = Figure(figsize=(width + 1.0, height + 1.0), dpi=200, facecolor="white")
    FigureCanvasAgg(figure)
    outer = (0.6 / (width + 1.0), 0.5 / (height + 1.0))
    axes = figure.add_axes((*outer, width / (width + 1.0), height / (height + 1.0)))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(which="both", color=MUTED, labelcolor=INK, labelsize=FONT_SIZE)
    axes.xaxis.label.set(color=INK, fontsize=FONT_SIZE)
    axes.yaxis.label.set(color=INK, fontsize=FONT_SIZE)
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    """Write the figure, with all text that lies outside of its axes, as a PNG."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight", pad_inches=0.1)
