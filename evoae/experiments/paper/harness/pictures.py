"""Images in rows, with names beside and captions below; every picture as PNG and as PDF."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evoae.report import style
from evoae.report.labels import Label

WIDTH = 5.5  # of the images in a row, in inches: that of a printed page
GAP = 2  # between images, in pixels of an image
CAPTION_GAP = 7  # room for a caption below each image

Images = npt.NDArray[Any]


def draw_rows(
    path: Path,
    rows: Sequence[tuple[str, Images]],
    *,
    low: float = 0.1,
    high: float = 0.9,
    captions: Sequence[Sequence[str]] = (),
) -> Figure:
    """Draws rows of grey images, and writes them as PNG and PDF.

    Args:
      path: of the picture; its ending is replaced.
      rows: what is written beside each row, and its images [N, H, W]; a shorter row leaves its end
        free.
      low: the value that is drawn black.
      high: the value that is drawn white.
      captions: what is written below each image, N words for each row.

    >>> import tempfile
    >>> rows = [("target", np.zeros((3, 8, 8))), ("evolved", np.ones((3, 8, 8)))]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_rows(Path(folder) / "digits", rows)
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['target', 'evolved']
    """
    number = max(len(row) for _, row in rows)
    height, breadth = rows[0][1].shape[1:]
    gap = CAPTION_GAP if captions else GAP
    step_y, step_x = height + gap, breadth + GAP
    canvas = np.full((len(rows) * step_y - gap, number * step_x - GAP), np.nan)
    for r, (_, row) in enumerate(rows):
        for c, image in enumerate(row):
            top, left = r * step_y, c * step_x
            canvas[top : top + height, left : left + breadth] = image
    figure, axes = style.new_figure(WIDTH, WIDTH * canvas.shape[0] / canvas.shape[1])
    greys = colormaps["gray"].with_extremes(bad="white")
    axes.imshow(canvas, cmap=greys, vmin=low, vmax=high, interpolation="none", aspect="auto")
    axes.set_axis_off()
    words: Any = {"fontsize": style.FONT_SIZE, "color": style.INK}
    for r, (name, _) in enumerate(rows):
        middle = r * step_y + height / 2
        axes.text(-1.5 * GAP, middle, name, ha="right", va="center", **words)
    for r, row_captions in enumerate(captions):
        for c, caption in enumerate(row_captions):
            place = (c * step_x + breadth / 2, r * step_y + height)
            axes.text(*place, caption, ha="center", va="top", **words | {"fontsize": 7})
    save_both(figure, path)
    return figure


def draw_level(axes: Axes, name: str, value: float) -> Label:
    """Draws a dashed line at the error of a constant image; the label is for its right end."""
    axes.axhline(value, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    return Label(name, value, style.MUTED)


def median_run(errors: Sequence[float] | Images) -> int:
    """The run that is shown for all: the one at the median error, or at the lower of two.

    >>> median_run([0.3, 0.1, 0.2, 0.4])
    2
    """
    return int(np.argsort(errors)[(len(errors) - 1) // 2])


def save_both(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG and as PDF, beside each other; the ending of the path is replaced."""
    for ending in (".png", ".pdf"):
        style.save(figure, path.with_suffix(ending))
