"""Targets above, reconstructions below, in one picture; with noise, what was given above both."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from evoae.checks import check_pair, check_range, check_whole

GUTTER = 2  # between neighbouring images, in pixels of the picture
MARGIN = 8  # around the picture and between double rows


def to_levels(images: npt.ArrayLike, low: float, high: float) -> npt.NDArray[np.uint8]:
    """Turns values into 0..255: `low` and smaller ones as 0, `high` and larger ones as 255."""
    # float64, so that `low + (high - low) * k / 255` comes back as exactly k
    unit = (np.clip(images, low, high).astype(np.float64) - low) / (high - low)
    return np.round(unit * 255).astype(np.uint8)


def draw_tiles(
    images: npt.NDArray[np.floating], low: float, high: float, scale: int
) -> list[Image.Image]:
    """Enlarges images, each pixel to `scale` x `scale` of them; `low` is black, `high` white."""
    large = to_levels(images, low, high).repeat(scale, axis=1).repeat(scale, axis=2)
    return [
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image) for image in large
    ]


def draw_gallery(
    targets: npt.ArrayLike,
    reconstructions: npt.ArrayLike,
    *,
    inputs: npt.ArrayLike | None = None,
    name: str = "output",
    low: float = 0.0,
    high: float = 1.0,
    columns: int | None = None,
    scale: int | None = None,
) -> Image.Image:
    """Draws each target above its reconstruction, in as many double rows as are needed.

    Args:
      targets: [N, H, W, C], C = 1 (grey) or 3 (RGB).
      reconstructions: the same shape, in the same order.
      inputs: what the network was given, where that is not the targets; the same shape. The rows
        are then the noisy images, their reconstructions, and the clean images.
      name: what is written beside the reconstructions, such as "evolved".
      low: the value that is drawn black; smaller ones are, too.
      high: the value that is drawn white (or full colour); larger ones are, too.
      columns: images in a row; by default all up to 20, above that equal rows of at most 20.
      scale: the side of the square that one pixel becomes; by default the picture is near
        1,200 pixels wide, and no image larger than 224.

    Returns:
      A picture of mode "L" or "RGB" on white.

    Raises:
      ValueError: shapes that do not match, no images, NaN or infinite values, a bad number.

    >>> digits = np.zeros((10, 28, 28, 1))
    >>> draw_gallery(digits, digits, scale=2).mode
    'L'
    """
    targets, reconstructions = check_pair(targets, reconstructions)
    check_range(low, high)
    check_whole("columns", columns, 1, optional=True)
    check_whole("scale", scale, 1, optional=True)
    number, height, width, channels = targets.shape
    columns = min(columns or math.ceil(number / math.ceil(number / 20)), number)
    scale = scale or max(1, min(1200 // (columns * width), 224 // max(height, width)))

    rows_of = {"target": targets, name: reconstructions}
    if inputs is not None:
        noisy = check_pair(targets, inputs, "inputs")[1]
        rows_of = {"noisy": noisy, name: reconstructions, "clean": targets}
    font = ImageFont.load_default(size=max(10, min(16, height * scale // 4)))
    label_width = math.ceil(max(font.getlength(label) for label in rows_of)) + MARGIN
    step_x, step_y = width * scale + GUTTER, height * scale + GUTTER
    block = len(rows_of) * step_y - GUTTER + MARGIN
    rows = math.ceil(number / columns)
    size = (2 * MARGIN + label_width + columns * step_x - GUTTER, MARGIN + rows * block)
    picture = Image.new("L" if channels == 1 else "RGB", size, "white")

    draw = ImageDraw.Draw(picture)
    for line, (label, images) in enumerate(rows_of.items()):
        for index, tile in enumerate(draw_tiles(images, low, high, scale)):
            row, column = divmod(index, columns)
            top = MARGIN + row * block + line * step_y
            picture.paste(tile, (MARGIN + label_width + column * step_x, top))
            if column == 0:
                middle = (MARGIN, top + height * scale // 2)
                draw.text(middle, label, fill="black", font=font, anchor="lm")
    return picture
