"""A folder of pictures: PNG or JPEG."""

from pathlib import Path

import numpy as np

from evoae.files import in_short, open_file

_READ = (".png", ".jpg", ".jpeg")
_OTHERS = (".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".jfif", ".pgm", ".ppm")
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


def read_picture_folder(folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the images, uint8 [N, H, W, 1 or 3], in the order of their names.

    Images in sub-folders have their sub-folder as label: its name where all names are different
    numbers, otherwise its place among the names. Images in the folder itself have none. What is
    hidden or no picture is left out; a picture that cannot be taken is an error.
    """
    files = _pictures(folder)
    if not files:
        names = sorted(path.name for path in folder.iterdir())
        found = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise ValueError(
            f"{folder} has neither PNG or JPEG images nor IDX files named train-images-idx3-ubyte; "
            f"it has {found or 'nothing'}"
        )
    loose = [file for file in files if file.parent == folder]
    within = [file for file in files if file.parent != folder]
    deep = [file for file in within if file.parent.parent != folder]
    if deep:
        raise ValueError(
            f"images must be in {folder} or in one level of sub-folders, their classes; "
            f"got {deep[0]}"
        )
    if loose and within:
        raise ValueError(
            f"{folder} has images both in itself ({loose[0].name}) and in sub-folders "
            f"({within[0].parent.name}), of which only one is allowed"
        )
    return _read_all(files), _labels(within) if within else None


def _pictures(folder: Path) -> list[Path]:
    """All pictures in a folder and below, but for hidden ones."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (*_READ, *_OTHERS)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.is_dir()
    )
    others = [path for path in found if path.suffix.lower() in _OTHERS]
    if others:
        raise ValueError(f"images must be PNG or JPEG files, got {others[0]}; save it as .png")
    return found


def _labels(files: list[Path]) -> np.ndarray:
    names = sorted({file.parent.name for file in files})
    if {name.lower() for name in names} <= _SPLITS:
        raise ValueError(
            f"sub-folders must be classes, got the splits {', '.join(names)}; "
            f"load one of them: {files[0].parent}"
        )
    labels = {name: place for place, name in enumerate(names)}
    if all(name.isdecimal() for name in names) and len({int(name) for name in names}) == len(names):
        labels = {name: int(name) for name in names}
        largest = np.iinfo(np.int32).max
        if beyond := [name for name in names if labels[name] > largest]:
            raise ValueError(
                f"sub-folders must be classes: names, or numbers up to {largest}; got {beyond[0]}"
            )
    return np.array([labels[file.parent.name] for file in files])


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
    """One picture; what a mode holds beyond 8-bit grey or RGB is dropped only if it is nothing."""
    from PIL import Image

    with open_file(file) as opened:
        try:
            with Image.open(opened, formats=["PNG", "JPEG"]) as image:
                mode = image.mode
                pixels = np.asarray(image.convert({"1": "L", "P": "RGBA"}.get(mode, mode)))
        except Exception as error:  # damaged ones make Pillow raise almost anything
            raise ValueError(f"{file} is not a readable PNG or JPEG: {in_short(error)}") from error
    if mode in ("P", "LA", "RGBA"):
        if (pixels[..., -1] < 255).any():
            raise ValueError(f"{file} must be opaque, it has transparent pixels (mode {mode})")
        pixels = pixels[..., :-1]
    elif mode not in ("1", "L", "RGB"):
        raise ValueError(f"{file} must be 8-bit grey (L) or RGB, got mode {mode}")
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _describe(image: np.ndarray) -> str:
    height, width, channels = image.shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"
