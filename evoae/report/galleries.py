"""What several networks make of the same images: one row each, below the targets."""

import math
from collections.abc import Mapping

import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from evoae.checks import check_images, check_pair, check_range
from evoae.report.gallery import GUTTER, MARGIN, draw_tiles

FONT_SIZE = 13
WIDTH = 700  # of the images in a row, about, in pixels of the picture


def draw_galleries(
    targets: npt.ArrayLike,
    rows: Mapping[str, npt.ArrayLike],
    *,
    low: float = 0.0,
    high: float = 1.0,
) -> Image.Image:
    """Draws the targets, and below them a row of reconstructions for each network.

    Args:
      targets: [N, H, W, C], C = 1 (grey) or 3 (RGB).
      rows: reconstructions of the same shape, by what is written beside them.
      low: the value that is drawn black; smaller ones are, too.
      high: the value that is drawn white (or full colour); larger ones are, too.

    Returns:
      A picture of mode "L" or "RGB" on white.

    Raises:
      ValueError: shapes that do not match, no rows, NaN or infinite values.

    >>> import numpy as np
    >>> digits = np.zeros((10, 28, 28, 1))
    >>> draw_galleries(digits, {"scale 0.1": digits, "scale 1": digits}).height
    196
    """
    images = {"target": check_images("targets", targets)}
    check_range(low, high)
    if not rows:
        raise ValueError("rows must be one or more, got none")
    for label, reconstructions in rows.items():
        images[label] = check_pair(targets, reconstructions, f"rows[{label!r}]")[1]

    number, height, width, channels = images["target"].shape
    scale = max(1, min(WIDTH // (number * width), 112 // max(height, width)))
    step_x, step_y = width * scale + GUTTER, height * scale + GUTTER
    font = ImageFont.load_default(size=FONT_SIZE)
    label_width = math.ceil(max(font.getlength(label) for label in images)) + MARGIN
    # The targets stand apart from what is compared with them.
    size = (
        2 * MARGIN + label_width + number * step_x - GUTTER,
        3 * MARGIN + len(images) * step_y - GUTTER,
    )
    picture = Image.new("L" if channels == 1 else "RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for row, (label, its) in enumerate(images.items()):
        top = MARGIN + row * step_y + (MARGIN if row else 0)
        middle = (MARGIN, top + height * scale // 2)
        draw.text(middle, label, fill="black", font=font, anchor="lm")
        for column, tile in enumerate(draw_tiles(its, low, high, scale)):
            picture.paste(tile, (MARGIN + label_width + column * step_x, top))
    return picture
