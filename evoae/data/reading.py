"""Many pictures as one array: read in parallel, and once."""

import collections
import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import psutil

from evoae.data.cache import keep, recall
from evoae.data.contents import Entry
from evoae.data.pictures import (
    LARGE,
    Form,
    Picture,
    Pixels,
    decode,
    one_large,
    open_picture,
    orientation,
)

T = TypeVar("T")
R = TypeVar("R")
Progress = Callable[[int, int], None]

_VERSION = 1  # of what is made of pictures: another one finds no cache
_MANY, _MUCH = 1_000, 2**24  # images, or bytes of their files, that are worth a cache
_MOST_THREADS = 8


class _Read(NamedTuple):
    picture: Picture
    digest: bytes  # of the file


def read_pictures(
    entries: Sequence[Entry], form: Form, cache: Path | None, progress: Progress | None
) -> tuple[Pixels, tuple[str, ...]]:
    """Pictures as uint8 [N, H, W, C], and what was done to them, a line each.

    Args:
      entries: the files.
      form: what is made of them.
      cache: the folder where the images of many files are kept, or None.
      progress: is told how many are read, and how many there are.

    Raises:
      ValueError: a file that cannot be taken, several sizes, or more than memory holds.
      OSError: a file that cannot be read.
    """
    if cache is not None and len(entries) < _MANY and sum(its.size() for its in entries) < _MUCH:
        cache = None
    if cache is not None:
        digests = list(in_parallel(_digest_of, entries))
        kept = recall(cache, _key(digests, form), len(entries))
        if kept is not None:
            return kept
    found, digests = _read_all(entries, form, progress)
    if cache is not None:  # by what was read, whatever it was before
        keep(cache, _key(digests, form), *found)
    return found


def _read_all(
    entries: Sequence[Entry], form: Form, progress: Progress | None
) -> tuple[tuple[Pixels, tuple[str, ...]], list[bytes]]:
    pixels: list[Any] = []
    digests, marks = [], collections.Counter[str]()
    with contextlib.closing(in_parallel(lambda entry: _read(entry, form), entries)) as found:
        for picture, digest in found:
            pixels.append(picture.pixels)
            digests.append(digest)
            marks.update(picture.marks)
            if picture.pixels.shape[:2] != pixels[0].shape[:2]:
                break
            if len(pixels) == 1:
                check_fits(len(entries), picture.pixels.shape)
            if progress is not None:
                progress(len(pixels), len(entries))
    if pixels[-1].shape[:2] != pixels[0].shape[:2]:
        raise ValueError(_sizes_differ(entries))
    coloured = sum(image.shape[-1] == 3 for image in pixels)
    channels = 3 if coloured else 1
    images = np.empty((len(pixels), *pixels[0].shape[:2], channels), np.uint8)
    for place, image in enumerate(pixels):
        images[place] = image  # a grey one has three times the same value
        pixels[place] = None
    notes = [_NOTES[mark].format(count_images(marks[mark]), form) for mark in _NOTES if marks[mark]]
    if 0 < coloured < len(images):
        grey = count_images(len(images) - coloured)
        notes.append(f"{grey} in grey among those in colour; channels=1 makes all grey")
    elif coloured and all((image == image[..., :1]).all() for image in images):
        notes.append("all colours are grey; channels=1 has a third of the values")
    return (images, tuple(notes)), digests


_NOTES = {
    "turned": "{0} turned as EXIF says",
    "transparent": "{0} put over {1.background} where transparent",
    "wide": "{0} of 16 bits: 0..65535 taken as 0..255",
    "cmyk": "{0} in CMYK, read without a colour profile",
    "frames": "{0} with several frames: the first is taken",
    "enlarged": "{0} enlarged to {1.size}x{1.size}",
}


def count_images(number: int) -> str:
    """A number of images in words.

    >>> count_images(1), count_images(1200)
    ('1 image', '1,200 images')
    """
    return "1 image" if number == 1 else f"{number:,} images"


def check_fits(number: int, shape: Sequence[int]) -> None:
    """Raises a `ValueError` if so many images of a shape need more than the free memory.

    >>> check_fits(10**9, (4_000, 3_000, 3))
    Traceback (most recent call last):
        ...
    ValueError: 1,000,000,000 images of 3000x4000 pixels need 3.6e+07 GB of memory, ...
    """
    needed, free = number * int(np.prod(shape, dtype=float)), psutil.virtual_memory().available
    if needed > free:
        raise ValueError(
            f"{count_images(number)} of {shape[1]}x{shape[0]} pixels need {needed / 1e9:.2g} GB of "
            f"memory, and {free / 1e9:.2g} GB are free; size=32 (--data.size 32) makes them "
            "smaller"
        )


def in_parallel(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """What `work` makes of items, in their order, by several threads, which suits Pillow."""
    pool = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
    try:
        # Pillow warns of what is odd in a file, and of images that are above its own limit.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _read(entry: Entry, form: Form) -> _Read:
    with _alone_if_large(entry):
        content = entry.read()
        return _Read(decode(content, entry.where, form), _digest(content))


def _alone_if_large(entry: Entry) -> contextlib.AbstractContextManager[Any]:
    return one_large if entry.size() > LARGE else contextlib.nullcontext()


def _digest_of(entry: Entry) -> bytes:
    with _alone_if_large(entry):
        return _digest(entry.read())


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _key(digests: Sequence[bytes], form: Form) -> str:
    import PIL

    # Another Pillow may read the same file otherwise.
    settings = json.dumps([_VERSION, PIL.__version__, *form])
    return hashlib.sha256(settings.encode() + b"".join(digests)).hexdigest()


def _sizes_differ(entries: Sequence[Entry]) -> str:
    """What is said of pictures of several sizes: how many have which, and what helps."""

    def size_of(entry: Entry) -> tuple[int, int] | None:
        try:
            with _alone_if_large(entry):
                image = open_picture(entry.read(), entry.where)
            turned = image.format not in ("PNG", "TIFF") and orientation(image) > 4
        except (ValueError, OSError):
            return None
        return image.size[::-1] if turned else image.size

    sizes = list(in_parallel(size_of, entries))
    counts = collections.Counter(size for size in sizes if size)
    seen = [
        f"{width}x{height} ({count:,}, such as {entries[sizes.index((width, height))].parts[-1]})"
        for (width, height), count in counts.most_common(4)
    ]
    more = [f"and {len(counts) - 4:,} other sizes"] if len(counts) > 4 else []
    return (
        f"images must all have one size, got {', '.join([*seen, *more])}; size=32 (--data.size 32) "
        "resizes them, and crops them to the centre"
    )
