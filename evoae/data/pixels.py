"""From arrays as people save them to images: what shapes and values are taken for."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from evoae.data.pictures import Background, Form, Pixels, fit
from evoae.data.reading import check_fits, count_images, in_parallel

_SHORTEST_ROW = 64  # of what is taken as a flat image; a square is rather one image
_PART = 1_024  # images converted at a time
_WHITE = {"white": 255, "black": 0}


def as_images(
    array: npt.NDArray[Any], where: str, background: Background, notes: Sequence[str] = ()
) -> tuple[Pixels, tuple[str, ...]]:
    """An array as uint8 [N, H, W, C], C = 1 or 3; and `notes`, with what it was taken for.

    Its shape is [N, H, W], [N, H, W, C], [N, C, H, W] or [N, H * W] of squares, with C = 1, 3 or,
    with a transparency, 4. Its values are bool, integers in 0..1, 0..255, 0..65535, or -128..127 of
    int8 and -32768..32767 of int16, or floats in 0..1, -1..1 or 0..255.

    Raises:
      ValueError: it has another shape or other values, or is empty.
    """
    images, shape_notes = _images_last(array)
    if images is None or images.size == 0:
        raise ValueError(
            f"{where}: images must be [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3 and "
            f"not empty, got {array.dtype} {list(array.shape)}"
        )
    check_fits(len(images), images.shape[1:])
    pixels, value_notes = _eight_bits(images, where)
    notes = [*notes, *shape_notes, *value_notes]
    if pixels.shape[-1] == 4:
        pixels, number = _over(pixels, background)
        notes += [f"{count_images(number)} put over {background} where transparent"] * (number > 0)
    return pixels, tuple(notes)


def _images_last(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any] | None, list[str]]:
    """The array as [N, H, W, C], or None where it has no such shape."""
    shape = array.shape
    if array.ndim == 2 and shape[1] >= _SHORTEST_ROW and shape[0] != shape[1]:
        side = math.isqrt(shape[1])
        if side**2 == shape[1]:
            return array.reshape(-1, side, side, 1), [f"rows of {shape[1]} taken as {side}x{side}"]
    if array.ndim == 3:
        return array[..., None], []
    if array.ndim == 4 and shape[3] in (1, 3, 4):
        return array, []
    if array.ndim == 4 and shape[1] in (1, 3, 4):
        return np.moveaxis(array, 1, 3), ["channels first: [N, C, H, W]"]
    return None, []


def _eight_bits(images: npt.NDArray[Any], where: str) -> tuple[Pixels, list[str]]:
    """The values as 0..255, and in a line what they were taken for."""
    if images.dtype == bool:
        return images.astype(np.uint8) * np.uint8(255), []
    if images.dtype == np.uint8:
        black_and_white = images.max() == 1
        return stretched(images), ["values of 0 and 1: black and white"] * bool(black_and_white)
    if images.dtype.kind not in "iuf":
        raise ValueError(f"{where}: images must be numbers, got {images.dtype}")
    least, largest = images.min(), images.max()
    rounding = 1e-5 if images.dtype.kind == "f" else 0
    for low, high in _ranges(images.dtype):
        if low - rounding <= least and largest <= high + rounding:
            break
    else:
        raise ValueError(
            f"{where}: images must be integers of 8 or 16 bits, or floats in 0..1, -1..1 or 0..255,"
            f" got {images.dtype} in {least:g}..{largest:g}"
        )
    factor = 255 / (high - low)

    def convert(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.rint((part.astype(np.float32) - low) * factor).clip(0, 255)

    pixels = _by_parts(images, images.shape[-1], convert)
    kind = "black and white" if (low, high) == (0, 1) and images.dtype.kind != "f" else "0..255"
    if (low, high) == (0, 255):
        return pixels, [f"values: {images.dtype} of 0..255"]
    return pixels, [f"values: {images.dtype} of {low}..{high}, taken as {kind}"]


def _ranges(dtype: np.dtype[Any]) -> list[tuple[int, int]]:
    """What values of a type may mean, the narrowest first."""
    if dtype.kind == "f":
        return [(0, 1), (-1, 1), (0, 255)]
    if dtype == np.int8:
        return [(0, 1), (-128, 127)]
    unsigned = [(0, 1), (0, 255), (0, 65535)]
    return [*unsigned, (-32768, 32767)] if dtype == np.int16 else unsigned


def _by_parts(
    images: npt.NDArray[Any], channels: int, convert: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> Pixels:
    """What `convert` makes of images, without a second copy of all of them."""
    pixels = np.empty((*images.shape[:3], channels), np.uint8)
    for start in range(0, len(images), _PART):
        pixels[start : start + _PART] = convert(images[start : start + _PART])
    return pixels


def stretched(images: Pixels) -> Pixels:
    """Images uint8; those with only 0 and 1 become 0 and 255: black and white."""
    return images * np.uint8(255) if images.max() == 1 else images


def _over(images: Pixels, background: Background) -> tuple[Pixels, int]:
    """RGBA over a background, and how many images are transparent somewhere."""

    def convert(part: Pixels) -> npt.NDArray[Any]:
        alpha = part[..., 3:] / np.float32(255)
        return np.rint(part[..., :3] * alpha + _WHITE[background] * (1 - alpha))

    number = int((images[..., 3] < 255).any((1, 2)).sum())
    return _by_parts(images, 3, convert), number


def reform(images: Pixels, form: Form) -> Pixels:
    """Images [N, H, W, C] of another size, or with another number of channels."""
    height, width, channels = images.shape[1:]
    wanted = form.channels or channels
    if (form.size or height, form.size or width, wanted) == (height, width, channels):
        return images
    from PIL import Image

    def one(image: Pixels) -> npt.NDArray[Any]:
        picture = Image.fromarray(image.squeeze(-1) if channels == 1 else image)
        picture = picture if form.size is None else fit(picture, form.size)
        return np.asarray(picture.convert("L" if wanted == 1 else "RGB"))

    made = np.stack(list(in_parallel(one, images)))
    return made if made.ndim == 4 else made[..., None]
