"""Names written beside lines instead of in a legend."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from evoae.report import style


class Label(NamedTuple):
    """What to write, the value of the vertical axis where it belongs, and its colour."""

    text: str
    value: float
    color: str


def label_right_edge(axes: Axes, labels: Sequence[Label]) -> None:
    """Writes labels to the right of the axes, each tied to its height, where they hide nothing.

    A value that is not finite belongs to the upper end. The limits must not change afterwards.

    >>> figure, axes = style.new_figure(4.0, 3.0)
    >>> label_right_edge(axes, [Label("a", 0.5, "black"), Label("b", 0.5, "black")])
    >>> [text.get_text() for text in axes.texts]
    ['a', 'b']
    """
    top = axes.get_ylim()[1]  # asking settles the limits, which matplotlib puts off
    values = [label.value if np.isfinite(label.value) else top for label in labels]
    to_axes = axes.transData + axes.transAxes.inverted()
    left = axes.get_xlim()[0]
    heights = to_axes.transform([(left, value) for value in values])[:, 1]
    line_height = 1.35 * style.FONT_SIZE / 72 / axes.bbox.height * axes.figure.dpi
    places = spread(heights, line_height)
    for label, height, place in zip(labels, heights, places, strict=True):
        look: dict[str, Any] = {"transform": axes.transAxes, "color": label.color}
        axes.plot((1.0, 1.03), (height, place), linewidth=0.7, clip_on=False, **look)
        axes.text(1.04, place, label.text, fontsize=style.FONT_SIZE, va="center", **look)


def spread(heights: npt.NDArray[np.floating], gap: float) -> npt.NDArray[np.float64]:
    """Moves `heights` [N], all in 0..1, as little as possible until none are nearer than `gap`.

    In the order that they have, and by least squares: isotonic regression of the heights less
    the gaps below them, by its max-min formula.

    >>> spread(np.array([0.5, 0.5, 0.9]), 0.1).round(3)
    array([0.45, 0.55, 0.9 ])
    """
    order = np.argsort(heights, kind="stable")
    gaps = gap * np.arange(len(heights))
    free = heights[order] - gaps
    number = len(free)
    best = [
        max(min(free[a : b + 1].mean() for b in range(i, number)) for a in range(i + 1))
        for i in range(number)
    ]
    result = np.empty(number)
    result[order] = np.clip(best, 0, max(0, 1 - gap * (number - 1))) + gaps
    return result
