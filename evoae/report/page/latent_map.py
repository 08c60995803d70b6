"""Where the encoder puts images: points of an SVG picture."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.report.latent import bound_latents

SIDE = 400  # of the picture, in CSS pixels


class LatentMap(NamedTuple):
    """What the template draws: `points` are (x, y, text, rank of the colour)."""

    side: int
    size: int
    num_latent: int
    font_size: int
    points: list[tuple[float, float, str, int]]


def lay_out_latents(
    latent: npt.NDArray[np.floating], labels: npt.NDArray[np.integer] | None
) -> LatentMap:
    """Lays out latents [M, L] by their first two values, or principal components where L > 2.

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
