"""Arrays of images as small PNG pictures inside of a page."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from evoae.report.film import Frame
from evoae.report.gallery import to_levels

LARGEST_SIDE = 64  # of an image on the page; larger ones are averaged over blocks
FILM_BYTES = 2_500_000  # of all frames together, so that a page stays below 5 MB
LAYER_BYTES = 150_000  # of one layer's maps for all images

Bytes = npt.NDArray[np.uint8]


def to_bytes(images: npt.NDArray[np.floating], low: float, high: float) -> Bytes:
    """Turns images [..., H, W, C] into 0..255, at most `LARGEST_SIDE` pixels a side.

    >>> to_bytes(np.array([0.1, 0.5, 0.9, 2.0]).reshape(1, 4, 1), 0.1, 0.9).ravel()
    array([  0, 128, 255, 255], dtype=uint8)
    """
    height, width, channels = images.shape[-3:]
    block = -(-max(height, width) // LARGEST_SIDE)
    if block > 1:
        pads = [(0, 0)] * (images.ndim - 3) + [(0, -height % block), (0, -width % block), (0, 0)]
        padded = np.pad(images, pads, mode="edge")
        rows, columns = padded.shape[-3] // block, padded.shape[-2] // block
        blocks = padded.reshape(*images.shape[:-3], rows, block, columns, block, channels)
        images = blocks.mean(axis=(-4, -2))
    return to_levels(images, low, high)


def thin_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Chooses as many frames, evenly with the first and the last, as a page has room for."""
    number, height, width, channels = frames[0].images.shape
    sides = [min(side, LARGEST_SIDE) for side in (height, width)]
    most = max(12, FILM_BYTES // (number * sides[0] * sides[1] * channels))
    if len(frames) <= most:
        return list(frames)
    return [frames[i] for i in np.linspace(0, len(frames) - 1, most).round().astype(int)]


def draw_maps(values: npt.NDArray[np.floating]) -> tuple[Bytes, float, float]:
    """Draws the output of one layer as bytes, and tells the values that are black and white.

    [N, H, W, maps], or [N, units], where every unit is a map of one pixel, become [N, maps, H, W],
    for as many of the images as a page has room for.
    """
    if values.ndim == 2:
        values = values[:, None, None, :]
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    scaled = to_bytes(values, low, high if high > low else low + 1)
    most = max(1, LAYER_BYTES // scaled[0].size)
    return scaled[:most].transpose(0, 3, 1, 2), low, high


def encode_png(image: Bytes) -> str:
    """Makes a data URI of one image [H, W, C] or [H, W].

    >>> encode_png(np.zeros((2, 2), np.uint8))[:22]
    'data:image/png;base64,'
    """
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[2:] == (1,) else image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def encode_sheet(rows: Bytes) -> str:
    """Makes a data URI of images [rows, columns, H, W, ...] in one picture without gaps."""
    number, columns, height, width = rows.shape[:4]
    whole = rows.swapaxes(1, 2)
    return encode_png(
        np.ascontiguousarray(whole.reshape(number * height, columns * width, *rows.shape[4:]))
    )
