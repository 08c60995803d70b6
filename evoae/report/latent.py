"""A map of a two-dimensional latent space."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from evoae.checks import check_images, check_range
from evoae.report import style
from evoae.report.gallery import to_levels
from evoae.report.output_files import check_destination

SIDE = 5.0  # of the axes, in inches
GRID = 15  # decoded images along a side
MARGIN = 0.08  # around the points, in parts of their range


def bound_latents(latent: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Finds the smallest and the largest value of both axes of a map of latents [N, 2]; [2, 2].

    >>> bound_latents(np.array([[0.0, 3.0], [1.0, 3.0]]))
    array([[-0.08,  2.5 ],
           [ 1.08,  3.5 ]])
    """
    low, high = latent.min(axis=0), latent.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 0.5)
    return np.stack([low - margin, high + margin])


def place_grid(latent: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Places latents [GRID * GRID, 2] on an even grid over the map, row by row from the top."""
    low, high = bound_latents(latent)
    centres = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(low[0] + (high - low)[0] * centres, high[1] - (high - low)[1] * centres)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def lay_out_grid(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Joins images [GRID * GRID, H, W, C] to one: [GRID * H, GRID * W, C], without C where it is 1.

    >>> lay_out_grid(np.zeros((225, 2, 3, 1))).shape, lay_out_grid(np.zeros((225, 2, 3, 3))).shape
    ((30, 45), (30, 45, 3))
    """
    height, width, channels = images.shape[1:]
    mosaic = images.reshape(GRID, GRID, height, width, channels).swapaxes(1, 2)
    whole = mosaic.reshape(GRID * height, GRID * width, channels)
    return whole[..., 0] if channels == 1 else whole


@style.plain()
def draw_latent_map(
    path: str | os.PathLike[str],
    latent: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    decode: Callable[[npt.NDArray[np.float32]], npt.ArrayLike] | None = None,
    low: float = 0.0,
    high: float = 1.0,
) -> Figure:
    """Writes a PNG that shows where the encoder puts each sample, as the digit of its label.

    Args:
      path: a file name that ends in .png, at 200 dots an inch; the figure is returned, too.
      latent: [N, 2], what the encoder makes of N samples.
      labels: [N], whole numbers from 0; told apart by their digits, helped by colour.
      decode: turns latents [225, 2], float32, into images [225, H, W, C], which are drawn pale
        behind the samples, at their places on an even grid: grey ones inked on white, RGB as it is.
      low: the value of the images that is drawn white where they are grey, and black in RGB.
      high: the value of the images that is drawn darkest where they are grey, and full in RGB.

    Raises:
      ValueError: shapes that do not match, NaN or infinite values, labels that are no whole
        numbers, images of the decoder that are not as above.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     figure = draw_latent_map(f"{folder}/latent.png", [[0.1, 0.9], [0.8, 0.2]], [3, 7])
    >>> len(figure.axes[0].collections)
    2
    """
    file = check_destination(path, ".png")
    points, digits = np.asarray(latent, np.float32), np.asarray(labels)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"latent must have shape [N, 2], N from 1, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("latent must be finite, got NaN or infinity")
    if digits.shape != points.shape[:1] or digits.dtype.kind not in "iu" or digits.min() < 0:
        got = f"shape {digits.shape}, dtype {digits.dtype}"
        raise ValueError(f"labels must be {len(points)} whole numbers from 0, got {got}")

    check_range(low, high)

    (left, bottom), (right, top) = bound_latents(points)
    figure, axes = style.new_figure(SIDE, SIDE)
    axes.set(xlabel="latent 1", ylabel="latent 2", xlim=(left, right), ylim=(bottom, top))
    if decode is not None:
        images = check_images("decode", decode(place_grid(points)))
        if len(images) != GRID**2:
            allowed = f"({GRID**2}, H, W, C)"
            raise ValueError(f"decode must make images of shape {allowed}, got {images.shape}")
        whole = lay_out_grid(images if images.shape[-1] == 1 else to_levels(images, low, high))
        place: dict[str, Any] = {"extent": (left, right, bottom, top), "aspect": "auto"}
        axes.imshow(whole, cmap="Greys", vmin=low, vmax=high, alpha=0.35, **place)
    size = 90 if len(points) <= 100 else 30
    for rank, digit in enumerate(np.unique(digits)):
        x, y = points[digits == digit].T
        color = style.PALETTE[rank % len(style.PALETTE)]
        look: dict[str, Any] = {"linewidths": 0.3, "zorder": 2, "clip_on": False}
        axes.scatter(x, y, size, color=color, marker=f"${digit}$", **look)
    style.save(figure, file)
    return figure
