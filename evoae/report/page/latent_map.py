"""Where the encoder puts images: points of an SVG picture, and what the page's decoder needs."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.report.latent import GRID, bound_latents

SIDE = 400  # of the picture, in CSS pixels
MOST_SLIDERS = 2  # for latent values beyond the two of the map


class LatentMap(NamedTuple):
    """What the template draws: `points` are (x, y, text, rank of the colour)."""

    side: int
    size: int
    num_latent: int
    font_size: int
    points: list[tuple[float, float, str, int]]
    explorer: str  # what `explorer.js` reads, as JSON; empty where nothing can be drawn


def lay_out_latents(pictures: Mapping[str, npt.NDArray[Any]]) -> LatentMap:
    """Lays out latents [M, L] by their first two values, or principal components where L > 2.

    Points are written as their labels [M], or as dots where there are none.

    Args:
      pictures: of a `Record`: "latent", and "labels", "decoder" and "backdrop" where there are any.
    """
    latent, labels = pictures["latent"].astype(np.float64), pictures.get("labels")
    number, num_latent = latent.shape
    centre, axes = np.zeros(num_latent), np.eye(num_latent)
    if num_latent > 2:
        centre = latent.mean(axis=0)
        axes = np.linalg.svd(latent - centre, full_matrices=False)[2][: 2 + MOST_SLIDERS]
    flat = (latent - centre) @ axes.T
    on_map = np.concatenate([flat, np.zeros((number, 1))], axis=1)[:, :2]
    low, high = bound_latents(on_map)
    places = (on_map - low) / (high - low) * SIDE
    texts = ["•"] * number if labels is None else [str(label) for label in labels]
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    points = [
        (round(float(x), 1), round(float(SIDE - y), 1), text, ranks[text] % 6)
        for (x, y), text in zip(places, texts, strict=True)
    ]
    explorer = ""
    drawn = _decoder(pictures)
    if drawn and np.isfinite(latent).all():
        others = flat[:, 2:]
        spans = zip(others.min(axis=0), others.max(axis=0), strict=True)
        plane = {
            "centre": centre.tolist(),
            "axes": axes.tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
            "start": [*on_map[0].tolist(), *flat[0, 2:].tolist()],
            "sliders": [[float(least), float(most)] for least, most in spans],
        }
        explorer = json.dumps(plane | drawn)
    return LatentMap(SIDE, number, num_latent, 20 if number <= 100 else 11, points, explorer)


def _decoder(pictures: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """How the page draws an image: by the layers of the decoder, or from a grid of its images."""
    if "decoder" in pictures:
        weights = np.ascontiguousarray(pictures["decoder_weights"], "<f4")
        text = base64.b64encode(weights.tobytes()).decode()
        return json.loads(str(pictures["decoder"])) | {"weights": text}
    if "backdrop" in pictures:
        height, width, *colours = pictures["backdrop"].shape
        shape = [colours[0] if colours else 1, height // GRID, width // GRID]
        return {"grid": GRID, "shape": shape}
    return {}
