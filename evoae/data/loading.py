"""`load`: one call for every source."""

import importlib.resources
import os
from pathlib import Path

import numpy as np

from evoae.checks import check_choice, check_range
from evoae.data import idx
from evoae.data.catalogue import DatasetInfo, available
from evoae.data.dataset import Dataset, scale
from evoae.data.npz import read_npy, read_npz
from evoae.data.pictures import read_picture_folder
from evoae.files import user_path

_SPLITS = ("train", "test")
_DTYPES = ("float32", "uint8")


def load(
    source: str | os.PathLike[str],
    *,
    split: str = "train",
    low: float = 0.0,
    high: float = 1.0,
    dtype: str = "float32",
    num_samples: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Loads images, and their labels where there are any, by name or from local files.

    Args:
      source: a name of `available()`; or a path: an .npz file (keys `x_train`, `y_train`, `x_test`,
        `y_test`, or `train_images` and so on, or `images`, `labels`, or a single array; uint8 or
        bool [N, H, W] or [N, H, W, C]), an .npy file, a folder of IDX files under MNIST's names
        (plain or .gz), or a folder of PNG or JPEG images (8-bit grey or RGB, opaque, of one size,
        in the order of their names; if they lie in sub-folders, these are the classes). A name
        goes before a path: write "./mnist" for a folder of that name. Images of 0 and 1 alone are
        black and white.
      split: "train" or "test". Sources without splits have "train" only.
      low: the value of black.
      high: the value of white, above low.
      dtype: "float32" for images in low..high; "uint8" for images in 0..255, to be scaled later by
        `scale`, with low and high left at 0 and 1.
      num_samples: take the first ones, this many; None takes all.
      cache_dir: where downloaded data sets are kept; None means $EVOAE_CACHE or ~/.cache/evoae.

    Returns:
      A `Dataset`: images [N, H, W, C], labels int32 [N] or None, name.

    Raises:
      ValueError: an argument is out of range, or the source is empty, damaged or inconsistent.
      FileNotFoundError: there is nothing at the path.
      ConnectionError: the data set cannot be downloaded.

    Example:
      >>> digits = load("digits10", low=0.1, high=0.9)
      >>> digits.images.shape, digits.labels.tolist()
      ((10, 28, 28, 1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])

    The named data sets' sources and licences are in `available()`.
    """
    _check_arguments(split, low, high, dtype, num_samples)
    info = next((info for info in available() if info.name == source), None)
    if info is not None:
        size = info.num_train if split == "train" else info.num_test
        if size == 0:
            raise ValueError(f"split={split!r}: {info.name} has the split 'train' only")
        _check_num_samples(num_samples, size)
        images, labels = _read_named(info, split, cache_dir)
        name = info.name
    else:
        path = _existing_path(source)
        images, labels = _read_path(path, split)
        name = path.resolve().name
    images, labels = _checked(images, labels, str(source))
    _check_num_samples(num_samples, len(images))
    images, labels = images[:num_samples], labels if labels is None else labels[:num_samples]
    return Dataset(scale(images, low, high) if dtype == "float32" else images, labels, name)


def _check_arguments(
    split: str, low: float, high: float, dtype: str, num_samples: int | None
) -> None:
    check_choice("split", split, _SPLITS)
    check_choice("dtype", dtype, _DTYPES)
    check_range(low, high)
    if dtype == "uint8" and (low, high) != (0, 1):
        raise ValueError(
            f"low and high must be left out with dtype='uint8', got low={low}, high={high}: "
            "such images stay in 0..255 until evoae.data.scale"
        )
    if num_samples is not None and (
        isinstance(num_samples, bool) or not isinstance(num_samples, int | np.integer)
    ):
        raise ValueError(f"num_samples must be an integer or None, got {num_samples!r}")


def _check_num_samples(num_samples: int | None, size: int) -> None:
    if num_samples is not None and not 1 <= num_samples <= size:
        raise ValueError(f"num_samples must be from 1 to {size}, got {num_samples}")


def _existing_path(source: str | os.PathLike[str]) -> Path:
    # An empty string would be the current folder.
    if not isinstance(source, str | os.PathLike) or source == "":
        raise ValueError(f"source must be a name or a path, got {source!r}")
    path = user_path(source)
    if path.exists():
        return path
    names = ", ".join(info.name for info in available())
    if isinstance(source, str) and path.name == source and not path.suffix:
        raise ValueError(f"source must be one of {names}, or an existing path, got {source!r}")
    raise FileNotFoundError(
        f"source: there is no file or folder {str(path)!r}; the named data sets are {names}"
    )


def _read_named(
    info: DatasetInfo, split: str, cache_dir: str | os.PathLike[str] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if info.bundled:
        bundled = importlib.resources.files("evoae.data") / "embedded" / f"{info.name}.npz"
        with importlib.resources.as_file(bundled) as path:
            return read_npz(path, split)
    # Imported here because most runs never download anything.
    from evoae.data.download import read_cached

    return read_cached(info, split, cache_dir)


def _read_path(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    if path.suffix.lower() == ".npz":
        return read_npz(path, split)
    if path.suffix.lower() == ".npy":
        return read_npy(path, split), None
    if not path.is_dir():
        raise ValueError(
            "source must be a folder, an .npz or .npy file or the name of a data set, "
            f"got {str(path)!r}"
        )
    if idx.is_idx_folder(path):
        return idx.read_folder(path, split)
    if split != "train":
        raise ValueError(f"split={split!r}: a folder of images has the split 'train' only")
    return read_picture_folder(path)


def _checked(
    images: np.ndarray, labels: np.ndarray | None, source: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns images uint8 [N, H, W, C] and labels int32 [N], or raises a ValueError."""
    if images.dtype == bool:
        images = images.astype(np.uint8)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or images.size == 0:
        how = "; multiply floats in 0..1 by 255 and round them" if images.dtype.kind == "f" else ""
        raise ValueError(
            f"{source}: images must be uint8 [N, H, W] or [N, H, W, C] and not empty, "
            f"got {images.dtype} {list(images.shape)}{how}"
        )
    if images.ndim == 3:
        images = images[..., None]
    if labels is not None:
        labels = check_labels(labels, len(images), f"{source}: ")
    return stretched(images), labels


def stretched(images: np.ndarray) -> np.ndarray:
    """Images uint8, of which those of 0 and 1 alone become 0 and 255: black and white."""
    return images * np.uint8(255) if images.max() == 1 else images


def check_labels(labels: np.ndarray, number: int, prefix: str = "") -> np.ndarray:
    """Returns labels as int32 [N], or raises a `ValueError`: names as their place among all names.

    >>> check_labels(np.array(["cat", "dog", "cat"]), 3)
    array([0, 1, 0], dtype=int32)
    """
    if labels.shape == (number, 1):
        labels = labels[:, 0]
    if labels.dtype.kind == "U":
        labels = np.unique(labels, return_inverse=True)[1]
    if labels.shape != (number,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{prefix}labels must be {number} integers or names, one an image, "
            f"got {labels.dtype} {list(labels.shape)}; images alone do without"
        )
    limits = np.iinfo(np.int32)
    if labels.min() < limits.min or labels.max() > limits.max:
        raise ValueError(
            f"{prefix}labels must be from {limits.min} to {limits.max}, "
            f"got {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int32)
