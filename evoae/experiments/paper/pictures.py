"""Images in rows, with names beside and captions below; every picture as PNG and as PDF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.figure import Figure

from evoae.report import style

WIDTH = 5.5  # of the images in a row, in inches: that of a printed page
GAP = 2  # between images, in pixels of an image
CAPTION_GAP = 7  # room for a caption below each image

Images = npt.NDArray[Any]


def image_rows(
    rows: Sequence[Images],
    names: Sequence[str],
    *,
    low: float,
    high: float,
    captions: Sequence[Sequence[str]] | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draws rows of grey images.

    Args:
      rows: [N, H, W] each; a shorter row leaves its end free.
      names: what is written beside each row.
      low: the value that is drawn black.
      high: the value that is drawn white.
      captions: what is written below each image, N words for each row.
      width: of all images in a row, in inches.

    >>> figure = image_rows([np.zeros((3, 8, 8))] * 2, ["target", "evolved"], low=0, high=1)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['target', 'evolved']
    """
    number = max(len(row) for row in rows)
    height, breadth = rows[0].shape[1:]
    gap = CAPTION_GAP if captions else GAP
    step_y, step_x = height + gap, breadth + GAP
    canvas = np.full((len(rows) * step_y - gap, number * step_x - GAP), np.nan)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            top, left = r * step_y, c * step_x
            canvas[top : top + height, left : left + breadth] = image
    figure, axes = style.new_figure(width, width * canvas.shape[0] / canvas.shape[1])
    greys = colormaps["gray"].with_extremes(bad="white")
    axes.imshow(canvas, cmap=greys, vmin=low, vmax=high, interpolation="none", aspect="auto")
    axes.set_axis_off()
    words: Any = {"fontsize": style.FONT_SIZE, "color": style.INK}
    for r, name in enumerate(names):
        middle = r * step_y + height / 2
        axes.text(-1.5 * GAP, middle, name, ha="right", va="center", **words)
    for r, row_captions in enumerate(captions or ()):
        for c, caption in enumerate(row_captions):
            place = (c * step_x + breadth / 2, r * step_y + height)
            axes.text(*place, caption, ha="center", va="top", **words | {"fontsize": 7})
    return figure


def median_run(errors: Sequence[float] | Images) -> int:
    """The run that is shown for all: the one at the median error, or at the lower of two.

    >>> median_run([0.3, 0.1, 0.2, 0.4])
    2
    """
    return int(np.argsort(errors)[(len(errors) - 1) // 2])


def save_both(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG and as PDF, beside each other.

    Args:
      figure: from `evoae.report.style` or from one of the functions of `evoae.report`.
      path: without an ending.
    """
    for ending in (".png", ".pdf"):
        style.save(figure, path.with_name(path.name + ending))
