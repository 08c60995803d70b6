"""One picture as pixels, of whatever Pillow reads."""

import contextlib
import io
import struct
import threading
import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from evoae.files import in_short

# What is read, with the endings of its files; none of it runs a program, as PostScript does
_FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "AVIF": (".avif",),
}
SUFFIXES = frozenset(suffix for suffixes in _FORMATS.values() for suffix in suffixes)
NOT_READ = frozenset((".heic", ".heif"))  # pictures of phones, which Pillow does not read
_MOST_PIXELS = 2**26
LARGE = 2**23  # pixels, or bytes of a file, that are read while no other large one is
one_large = threading.RLock()
_MANY_COPIES = ("WEBP", "JPEG2000", "AVIF")  # decoders that hold an image several times
_GREY, _WIDE = ("1", "L", "LA", "La"), ("I", "I;16", "I;16L", "I;16B", "I;16N")
_COLOURED = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
# What sets a picture upright, by what EXIF calls its orientation
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}

Background = Literal["white", "black"]
Pixels = npt.NDArray[np.uint8]


class Form(NamedTuple):
    """What is made of pictures."""

    size: int | None = None  # the height and width; None keeps them
    channels: int | None = None  # 1 or 3; None keeps grey ones grey
    background: Background = "white"  # where a picture is transparent


class Picture(NamedTuple):
    """A picture that was read."""

    pixels: Pixels  # [H, W, 1 or 3]
    # What was done: "turned", "transparent", "wide" (16 bits), "cmyk", "frames", "enlarged"
    marks: tuple[str, ...]


def decode(content: bytes, where: str, form: Form) -> Picture:
    """The pixels of a picture in the bytes of its file.

    Raises:
      ValueError: Pillow cannot read it, or it is too large, or of a kind that has no grey values or
        colours of 8 or 16 bits.
    """
    image = open_picture(content, where)
    if image.format in ("JPEG", "MPO") and form.size is not None:
        image.draft(None, (2 * form.size, 2 * form.size))  # decoded at a half to an eighth
    number, most = image.width * image.height, _MOST_PIXELS
    most //= 2 if image.format in _MANY_COPIES else 1
    if number > most:
        raise ValueError(
            f"{where} has {image.width}x{image.height} pixels; a {image.format} may have {most:,}"
        )
    if image.mode not in (*_GREY, *_WIDE, *_COLOURED):
        raise ValueError(f"{where} must be grey, RGB or CMYK of 8 or 16 bits, got {image.mode}")
    with one_large if number > LARGE else contextlib.nullcontext():
        try:
            if image.format == "PNG":
                _check_png(content)
            image, marks = _upright(image, form)  # what it was is freed
            pixels = np.asarray(image)
        except Exception as error:  # damaged ones make Pillow raise almost anything
            raise ValueError(f"{where} cannot be read as an image: {in_short(error)}") from error
    return Picture(pixels if pixels.ndim == 3 else pixels[..., None], tuple(marks))


def _upright(image: Any, form: Form) -> tuple[Any, list[str]]:
    """The picture upright and opaque, L or RGB, in the form that is wanted; and its marks."""
    from PIL import Image

    marks = ["cmyk"] if image.mode == "CMYK" else []
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        marks.append("frames")
    # A PNG has it perhaps behind its pixels, and a TIFF is turned by Pillow when it is loaded.
    was_turned = image.format != "PNG" and orientation(image) != 1
    image.load()
    turn = orientation(image)
    marks += ["turned"] if was_turned or turn != 1 else []
    image = image if turn == 1 else image.transpose(Image.Transpose[_TURNS[turn]])
    if image.mode in _WIDE:
        marks.append("wide")
        image = _narrowed(image)
    image = _plain(image)
    if form.size is not None:
        marks += ["enlarged"] if min(image.size) < form.size else []
        image = fit(image, form.size)
    if image.mode in ("LA", "RGBA"):
        alpha = image.getchannel("A")
        marks += ["transparent"] if alpha.getextrema()[0] < 255 else []
        opaque = image.mode.removesuffix("A")
        under = Image.new(opaque, image.size, form.background)
        under.paste(image, mask=alpha)
        image = under
    if form.channels is not None:
        image = image.convert("L" if form.channels == 1 else "RGB")
    return image, marks


def open_picture(content: bytes, where: str) -> Any:
    """A picture of which only the header is read.

    Raises:
      ValueError: Pillow does not know it.
    """
    from PIL import Image

    Image.init()
    known = [name for name in _FORMATS if name in Image.OPEN]
    try:
        return Image.open(io.BytesIO(content), formats=known)
    except Exception as error:  # damaged ones make Pillow raise almost anything
        short = in_short(error).replace(repr(io.BytesIO)[8:-2], "")
        if "cannot identify" in short:
            short = f"it is none of {', '.join(known)}"
        raise ValueError(f"{where} cannot be read as an image: {short}") from error


def orientation(image: Any) -> int:
    """How EXIF says that a picture is turned: 1, which is not at all, to 8."""
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF tells nothing, and pixels are there without it
        return 1
    return found if found in _TURNS else 1


def fit(image: Any, size: int) -> Any:
    """A picture resized until its shorter side is `size`, and cropped to the centre."""
    from PIL import Image

    if image.size == (size, size):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)


def _plain(image: Any) -> Any:
    """The same colours in one of the modes L, LA, RGB and RGBA."""
    alpha = "A" if image.has_transparency_data else ""
    if image.mode in _GREY or (image.mode == "P" and _is_grey(image.getpalette())):
        wanted = f"L{alpha}"
    else:
        wanted = f"RGB{alpha}"
    return image if image.mode == wanted else image.convert(wanted)


def _is_grey(palette: list[int] | None) -> bool:
    colours = np.reshape(palette or [], (-1, 3))
    return bool((colours == colours[:, :1]).all())


def _narrowed(image: Any) -> Any:
    """Values of 0..65535 as 0..255, rounded."""
    from PIL import Image

    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"its values must be from 0 to 65535, got {values.min()}..{values.max()}")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _check_png(content: bytes) -> None:
    """Raises a `ValueError` where pixels of a PNG do not have their checksum; Pillow skips it."""
    view, place = memoryview(content), 8
    while place + 12 <= len(content):
        length, kind = struct.unpack(">I4s", view[place : place + 8])
        stop = place + 8 + length
        if kind == b"IDAT":
            checksum = struct.pack(">I", zlib.crc32(view[place + 4 : stop]))
            if checksum != view[stop : stop + 4]:
                raise ValueError("a part of it has a wrong checksum")
        place = stop + 4
