"""A folder of PNG images."""

import struct
import zlib
from pathlib import Path

import numpy as np


def read_png_folder(folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the images, uint8 [N, H, W, 1 or 3], in the order of their names.

    Images in sub-folders have their sub-folder as label: its name where all names are numbers,
    otherwise its place among the names. Images in the folder itself have none. Files that do not
    end in .png, and hidden ones, are left out.
    """
    loose = _png_files(folder)
    classes = {
        sub.name: files
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".") and (files := _png_files(sub))
    }
    if not loose and not classes:
        raise ValueError(f"{folder} has neither PNG images nor IDX files under MNIST's names")
    if loose and classes:
        raise ValueError(
            f"{folder} has PNG images both in itself ({loose[0].name}) and in sub-folders "
            f"({next(iter(classes))}), of which only one is allowed"
        )
    if loose:
        return _read_all(loose), None
    numbered = all(name.isdecimal() for name in classes)
    labels = [
        int(name) if numbered else place
        for place, (name, files) in enumerate(classes.items())
        for _ in files
    ]
    return _read_all([file for files in classes.values() for file in files]), np.array(labels)


def _png_files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() == ".png" and not file.name.startswith(".") and file.is_file()
    )


def _read_all(files: list[Path]) -> np.ndarray:
    images = [_read(file) for file in files]
    for file, image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise ValueError(
                f"images must all have one size and mode: {file} is {_describe(image)}, "
                f"{files[0]} is {_describe(images[0])}"
            )
    return np.stack(images)


def _read(file: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(file, formats=["PNG"]) as image:
            mode = image.mode
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{file} is not a readable PNG image: {reason}") from error
    if mode not in ("L", "RGB"):
        raise ValueError(f"{file} must be 8-bit grey (L) or RGB without alpha, got mode {mode}")
    return pixels if mode == "RGB" else pixels[..., None]


def _describe(image: np.ndarray) -> str:
    height, width, channels = image.shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"
