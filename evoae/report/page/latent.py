"""Where the encoder puts images: points of an SVG picture."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SIDE = 400  # of the picture, in CSS pixels
MARGIN = 0.08  # around the points, in parts of their range
GRID = 15  # decoded images along a side


class LatentMap(NamedTuple):
    """What the template draws: `points` are (x, y, text, rank of the colour)."""

    side: int
    size: int
    num_latent: int
    font_size: int
    points: list[tuple[float, float, str, int]]


def bound_latents(latent: npt.NDArray[np.floating]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The smallest and the largest value of both axes that the picture has, [2] each.

    >>> bound_latents(np.array([[0.0, 3.0], [1.0, 3.0]]))
    (array([-0.08,  2.5 ]), array([1.08, 3.5 ]))
    """
    low, high = latent.min(axis=0), latent.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 0.5)
    return low - margin, high + margin


def place_grid(latent: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Latents [GRID * GRID, 2] on an even grid over the picture, row by row from the top."""
    low, high = bound_latents(latent)
    centres = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(low[0] + (high - low)[0] * centres, high[1] - (high - low)[1] * centres)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def lay_out_latents(
    latent: npt.NDArray[np.floating], labels: npt.NDArray[np.integer] | None
) -> LatentMap:
    """Lay out latents [M, L] by their first two values, or principal components where L > 2.

    Points are written as their labels [M], or as dots where there are none.
    """
    number, num_latent = latent.shape
    flat = latent.astype(np.float64)
    if num_latent > 2:
        centred = flat - flat.mean(axis=0)
        flat = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    if flat.shape[1] == 1:
        flat = np.concatenate([flat, np.zeros_like(flat)], axis=1)
    low, high = bound_latents(flat)
    places = (flat - low) / (high - low) * SIDE
    texts = ["•"] * number if labels is None else [str(label) for label in labels]
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    points = [
        (round(float(x), 1), round(float(SIDE - y), 1), text, ranks[text] % 6)
        for (x, y), text in zip(places, texts, strict=True)
    ]
    return LatentMap(SIDE, number, num_latent, 20 if number <= 100 else 11, points)
