"""The weights of a network as small pictures: as its genes make them, beside random ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.encodings.coordinates import split
from evoae.report.page.images import Bytes

MOST_TILES = 16  # of an array in its picture
WIDTH = 145  # of a picture in weights, at most; five images of 28 and their gaps
# Below 0, 0, and above: of Okabe and Ito's colours, and to be read on light and on dark.
COLOURS = np.array([(0x00, 0x72, 0xB2), (0xF7, 0xF7, 0xF7), (0xD5, 0x5E, 0x00)], np.float64)


def cut_tiles(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cuts an array of two axes or more into images [tiles, height, width].

    Each kernel is one. A dense layer with an axis longer than 64 has an image for every unit at its
    other end, in which that axis is rows and columns; any other is one image of [output, input].

    >>> [cut_tiles(np.zeros(shape)).shape for shape in [(8, 4, 3, 3), (5, 784), (160, 5), (5, 16)]]
    [(32, 3, 3), (5, 28, 28), (5, 10, 16), (1, 5, 16)]
    """
    if weights.ndim > 2:
        return weights.reshape(-1, *weights.shape[-2:])
    rows, columns = split(weights.shape[0]), split(weights.shape[1])
    if len(columns) == 2:
        return weights.reshape(-1, *columns)
    return weights.T.reshape(-1, *rows) if len(rows) == 2 else weights[None]


def colour_tiles(weights: npt.NDArray[Any]) -> tuple[Bytes, float]:
    """Draws the first tiles of an array with gaps, [H, W, 4], and finds its largest size.

    Blue is below 0, orange above; the strongest colours are of the largest size. Gaps are clear.

    >>> picture, largest = colour_tiles(np.array([[[1.0, 0.0]], [[0.5, -1.0]]]))
    >>> picture.shape, largest, picture[0, 0].tolist()
    ((1, 5, 4), 1.0, [213, 94, 0, 255])
    """
    images = np.nan_to_num(cut_tiles(np.asarray(weights, np.float64))[:MOST_TILES])
    largest = float(np.abs(images).max())
    part = images / (largest or 1.0)
    number, height, width = images.shape
    columns = min(number, max(1, WIDTH // (width + 1)))
    rows = -(-number // columns)
    picture = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 4), np.uint8)
    for index, tile in enumerate(part):
        end = np.where(tile[..., None] < 0, COLOURS[0], COLOURS[2])
        colour = COLOURS[1] + np.abs(tile)[..., None] * (end - COLOURS[1])
        top, left = (height + 1) * (index // columns), (width + 1) * (index % columns)
        picture[top : top + height, left : left + width, :3] = colour.round()
        picture[top : top + height, left : left + width, 3] = 255
    return picture, largest


def draw_weights(
    pairs: Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]],
) -> dict[str, npt.NDArray[Any]]:
    """Draws random weights and those that genes make, by names such as "encoder/0_Conv/kernel".

    Arrays of fewer than two axes are left out. A page shows "weight_names" [K], "weight_sizes"
    float64 [K, 2], the largest of each array, and "weight_0" .. (uint8 [2, H, W, 4]), the pairs.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    names: list[str] = []
    sizes: list[list[float]] = []
    for name in sorted(pairs, key=_order):
        shape = np.shape(pairs[name][0])
        if len(shape) < 2:
            continue
        pictures, largest = zip(*map(colour_tiles, pairs[name]), strict=True)
        found[f"weight_{len(names)}"] = np.stack(pictures)
        names.append(f"{name} {' x '.join(map(str, shape))}")
        sizes.append(list(largest))
    return found | {"weight_names": np.array(names), "weight_sizes": np.array(sizes)}


def _order(name: str) -> tuple[bool, int, str]:
    """Encoder before decoder, and layers by their numbers."""
    stack, layer, *_ = name.split("/")
    number, _, _ = layer.partition("_")
    return stack != "encoder", int(number) if number.isdecimal() else 0, layer
