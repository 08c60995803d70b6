"""What networks make of images: rows of them, with words beside, in one picture."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from evoae.checks import check_images, check_pair, check_range, check_whole

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
    captions: Sequence[str] = (),
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
      captions: what is written below each reconstruction, N texts of any lines; a line that is too
        long loses its beginning.

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
    number, height, width, _ = targets.shape
    if captions and len(captions) != number:
        raise ValueError(f"captions must be {number}, one an image, got {len(captions)}")
    columns = min(columns or math.ceil(number / math.ceil(number / 20)), number)
    scale = scale or max(1, min(1200 // (columns * width), 224 // max(height, width)))

    rows_of = {"target": targets, name: reconstructions}
    if inputs is not None:
        noisy = check_pair(targets, inputs, "inputs")[1]
        rows_of = {"noisy": noisy, name: reconstructions, "clean": targets}
    font_size = max(10, min(16, height * scale // 4))
    tiles = {label: draw_tiles(images, low, high, scale) for label, images in rows_of.items()}
    return _lay_out(tiles, columns, font_size, captions=captions)


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
    number, height, width, _ = images["target"].shape
    scale = max(1, min(700 // (number * width), 112 // max(height, width)))
    tiles = {label: draw_tiles(its, low, high, scale) for label, its in images.items()}
    return _lay_out(tiles, number, 13, apart=MARGIN)  # from what is compared with the targets


def _lay_out(
    tiles: Mapping[str, list[Image.Image]],
    columns: int,
    font_size: int,
    *,
    apart: int = 0,
    captions: Sequence[str] = (),
) -> Image.Image:
    """Pastes a row of tiles for each label, and such rows again until all tiles are there.

    The first row stands `apart` from the others by so many pixels more.
    """
    first = next(iter(tiles.values()))
    font = ImageFont.load_default(size=font_size)
    label_width = math.ceil(max(font.getlength(label) for label in tiles)) + MARGIN
    step_x, step_y = first[0].width + GUTTER, first[0].height + GUTTER
    small = ImageFont.load_default(size=max(10, font_size - 3))
    line_height = math.ceil(sum(small.getmetrics())) if captions else 0  # type: ignore[union-attr]
    text_height = line_height * max((1 + its.count("\n") for its in captions), default=0)
    block = len(tiles) * step_y - GUTTER + text_height + MARGIN + apart
    rows = math.ceil(len(first) / columns)
    size = (2 * MARGIN + label_width + columns * step_x - GUTTER, MARGIN + rows * block)
    picture = Image.new(first[0].mode, size, "white")
    draw = ImageDraw.Draw(picture)
    for line, (label, images) in enumerate(tiles.items()):
        for index, tile in enumerate(images):
            row, column = divmod(index, columns)
            top = MARGIN + row * block + line * step_y + (apart if line else 0)
            picture.paste(tile, (MARGIN + label_width + column * step_x, top))
            if column == 0:
                middle = (MARGIN, top + tile.height // 2)
                draw.text(middle, label, fill="black", font=font, anchor="lm")
    for index, caption in enumerate(captions):
        row, column = divmod(index, columns)
        left = MARGIN + label_width + column * step_x
        top = MARGIN + row * block + len(tiles) * step_y + apart
        for line, text in enumerate(caption.split("\n")):
            shown = _fitting(text, small, first[0].width)
            draw.text((left, top + line * line_height), shown, fill="black", font=small)
    return picture


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of the end of a text as is no wider than so many pixels."""
    cuts = (text, *(f"...{text[start:]}" for start in range(1, len(text))))
    return next((cut for cut in cuts if font.getlength(cut) <= width), "")
