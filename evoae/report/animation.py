"""Evolution as a film: the gallery once every few generations."""

import math
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from evoae.checks import check_pair, check_positive, check_range, check_whole
from evoae.report.film import Frame
from evoae.report.gallery import MARGIN, draw_gallery
from evoae.report.output_files import check_destination, replacing

CAPTION_SIZE = 14
HOLD_SECONDS = 2.0
GREY_LEVELS = 24  # looks much the same as 256 in motion, and the file is a good deal smaller


def write_animation(
    path: str | os.PathLike[str],
    targets: npt.ArrayLike,
    frames: Sequence[Frame],
    *,
    name: str = "output",
    low: float = 0.0,
    high: float = 1.0,
    scale: int | None = None,
    seconds: float = 10.0,
) -> None:
    """Writes a GIF that loops: the targets above, the reconstructions of each frame below.

    Args:
      path: a file name that ends in .gif.
      targets: [N, H, W, C], C = 1 (grey) or 3 (RGB).
      frames: F frames in the order of time: images of the shape of `targets`, and a caption such
        as "generation 120   error 0.0931". `FrameRecorder` chooses them.
      name: what is written beside the reconstructions, such as "evolved".
      low: the value that is drawn black.
      high: the value that is drawn white (or full colour).
      scale: the side of the square that one pixel becomes; by default the picture is near
        600 pixels wide, which keeps the file small.
      seconds: the length of the film, before the last frame is held for two seconds more; a
        frame stays for at least 0.02 and at most 0.5 seconds.

    Raises:
      ValueError: shapes that do not match, no frames, NaN or infinite values, a bad number.

    Source: Váradi (2021), Fig. 2, shows the stages of evolution side by side.

    >>> import tempfile
    >>> digits = np.zeros((10, 28, 28, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frames = [Frame(0, digits, "before"), Frame(5, digits + 1, "after")]
    ...     write_animation(f"{folder}/evolution.gif", digits, frames)
    ...     with Image.open(f"{folder}/evolution.gif") as film:
    ...         print(film.n_frames)
    2
    """
    file = check_destination(path, ".gif")
    if not frames:
        raise ValueError("frames must be one or more, got none")
    pairs = [check_pair(targets, frame.images, f"frames[{i}]") for i, frame in enumerate(frames)]
    check_range(low, high)
    check_whole("scale", scale, 1, optional=True)
    check_positive("seconds", seconds)
    number, height, width, _ = pairs[0][0].shape
    columns = min(number, 20)
    scale = scale or max(1, min(600 // (columns * width), 168 // max(height, width)))

    font = ImageFont.load_default(size=CAPTION_SIZE)
    caption_width = math.ceil(max(font.getlength(frame.caption) for frame in frames)) + 2 * MARGIN
    pictures = []
    for (above, below), frame in zip(pairs, frames, strict=True):
        images = draw_gallery(
            above, below, name=name, low=low, high=high, columns=columns, scale=scale
        )
        size = (max(images.width, caption_width), images.height + CAPTION_SIZE + MARGIN)
        picture = Image.new(images.mode, size, "white")
        picture.paste(images, (0, CAPTION_SIZE + MARGIN))
        ImageDraw.Draw(picture).text((MARGIN, MARGIN), frame.caption, fill="black", font=font)
        pictures.append(_few_greys(picture) if picture.mode == "L" else picture)

    # GIF counts hundredths of a second, and browsers slow down whatever is faster than two.
    duration = 10 * round(100 * min(max(seconds / len(frames), 0.02), 0.5))
    durations = [duration] * (len(frames) - 1) + [duration + round(1000 * HOLD_SECONDS)]
    with replacing(file) as temporary:
        pictures[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=durations,
            loop=0,
            optimize=True,
        )


def _few_greys(picture: Image.Image) -> Image.Image:
    levels = np.round(np.asarray(picture) / 255 * (GREY_LEVELS - 1)).astype(np.uint8)
    result = Image.frombytes("P", picture.size, levels.tobytes())
    greys = np.round(np.linspace(0, 255, GREY_LEVELS)).astype(np.uint8)
    result.putpalette(greys.repeat(3).tobytes())
    return result
