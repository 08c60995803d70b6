"""`load`: one call for every source."""

import contextlib
import importlib.resources
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evoae.checks import check_choice, check_range, check_whole
from evoae.data import idx
from evoae.data.cache import cache_folder
from evoae.data.catalogue import DatasetInfo, available
from evoae.data.contents import Contents, list_files, open_contents, single
from evoae.data.dataset import Dataset, scale
from evoae.data.npz import read_npy, read_npz
from evoae.data.picture_folders import Chosen, choose, has_pictures
from evoae.data.pictures import Background, Form
from evoae.data.pixels import as_images, reform
from evoae.data.reading import Progress, read_pictures
from evoae.data.records import choose_records, has_records, prepared_folder
from evoae.data.tables import SUFFIXES as TABLES
from evoae.data.tables import choose_rows, has_tables
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
    size: int | None = None,
    channels: int | None = None,
    background: Background = "white",
    cache_dir: str | os.PathLike[str] | None = None,
    cache: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """Loads images, and their labels where there are any, by name or from local files.

    A path leads to one of these:

    - a folder of images, or a zip of one: PNG, JPEG, WebP, BMP, TIFF, GIF and what else Pillow
      reads, in the order of their paths. Sub-folders named train, test and so on are splits, others
      are classes. Images are turned as EXIF says; where grey and coloured ones are mixed, all are
      RGB. What is hidden or no image is left out; an image that cannot be read is an error.
    - an .npz with the keys `x_train`, `y_train`, `x_test`, `y_test`, or `train_images` and so on,
      or `images`, `labels`, or with a single array; or an .npy. Arrays are [N, H, W],
      [N, H, W, C] or [N, C, H, W], of bool, integers of 8 or 16 bits, or floats in 0..1, -1..1 or
      0..255.
    - a folder or zip of IDX files (plain or .gz) under the names of MNIST, EMNIST or QMNIST; or one
      such file of images, where the folder has several sets.
    - a Parquet file, or a folder of them, with images as `datasets` of Hugging Face has them; or
      the folder that its `save_to_disk` wrote. It needs pyarrow: `pip install "evoae[parquet]"`.
    - the folder of images that tensorflow-datasets prepared; or its name there, such as "cifar10"
      or "emnist/letters", in $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Args:
      source: a name of `available()`, or a path. Such a name goes before a path: write "./mnist"
        for a folder of that name.
      split: "train" or "test". Sources without splits have "train" only.
      low: the value of black.
      high: the value of white, above low.
      dtype: "float32" for images in low..high; "uint8" for images in 0..255, to be scaled later by
        `scale`, with low and high left at 0 and 1.
      num_samples: take the first ones, this many; None takes all.
      size: the height and width: images are resized until the shorter side has it, and cropped to
        the centre; None takes them as they are, which must be of one size.
      channels: 1 makes all images grey, 3 makes them RGB; None leaves grey ones grey.
      background: "white" or "black", which is seen where images are transparent.
      cache_dir: where data are kept that were downloaded, or made of many images; None means
        $EVOAE_CACHE or ~/.cache/evoae.
      cache: keep what was made of 1,000 images, or 16 MB of them, and find it by the contents of
        their files.
      progress: is told how many images of a folder are read, and how many there are.

    Returns:
      A `Dataset`: images [N, H, W, C], labels int32 [N] or None, name, notes, files.

    Raises:
      ValueError: an argument is out of range, or the source is empty, damaged or inconsistent.
      FileNotFoundError: there is nothing at the path.
      ConnectionError: the data set cannot be downloaded.

    Example:
      >>> digits = load("digits10", low=0.1, high=0.9)
      >>> digits.images.shape, digits.labels.tolist()
      ((10, 28, 28, 1), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      >>> load("digits10", size=14, channels=3).images.shape
      (10, 14, 14, 3)

    The named data sets' sources and licences are in `available()`.
    """
    _check_arguments(split, low, high, dtype, num_samples)
    form = Form(size, channels, background)
    _check_form(form)
    info = next((info for info in available() if info.name == source), None)
    if info is not None:
        number = info.num_train if split == "train" else info.num_test
        if number == 0:
            raise ValueError(f"split={split!r}: {info.name} has the split 'train' only")
        check_num_samples(num_samples, number)
        found = _Found(*_read_named(info, split, cache_dir))
        name = info.name
    else:
        path = find_path(source)
        kept = cache_folder(cache_dir) / "images" if cache else None
        found = _read_path(path, split, num_samples, form, kept, progress)
        name = path.resolve().name
    images, notes = as_images(found.images, str(source), background, found.notes)
    labels = found.labels
    if labels is not None:
        labels = check_labels(labels, len(images), f"{source}: ")[:num_samples]
    check_num_samples(num_samples, len(images))
    images = reform(images[:num_samples], form)
    images = scale(images, low, high) if dtype == "float32" else images
    return Dataset(images, labels, name, notes, found.files)


class _Found(NamedTuple):
    """What a source holds."""

    images: np.ndarray
    labels: np.ndarray | None
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def _check_form(form: Form) -> None:
    check_whole("size", form.size, 1, optional=True)
    if form.channels not in (None, 1, 3) or isinstance(form.channels, bool):
        raise ValueError(f"channels must be 1, 3 or None, got {form.channels!r}")
    check_choice("background", form.background, ("white", "black"))


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


def check_num_samples(num_samples: int | None, size: int) -> None:
    """Raises a `ValueError` where there are not so many images."""
    if num_samples is not None and not 1 <= num_samples <= size:
        raise ValueError(f"num_samples must be from 1 to {size}, got {num_samples}")


def find_path(source: str | os.PathLike[str]) -> Path:
    """The file or folder that a source names: its path, or a set that tensorflow-datasets prepared.

    Raises:
      ValueError: it is no path, or a name that is not known.
      FileNotFoundError: there is nothing at the path.
    """
    # An empty string would be the current folder.
    if not isinstance(source, str | os.PathLike) or source == "":
        raise ValueError(f"source must be a name or a path, got {source!r}")
    path = user_path(source)
    if path.exists():
        return path
    names = ", ".join(info.name for info in available())
    if isinstance(source, str) and not path.is_absolute() and not path.suffix:
        prepared = prepared_folder(source)
        if "\0" not in source and ".." not in path.parts and prepared.is_dir():
            return prepared
        if path.name == source:
            raise ValueError(
                f"source must be one of {names}, an existing path, or a data set that "
                f"tensorflow-datasets prepared in {prepared.parent}; got {source!r}"
            )
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


def _chooser(contents: Contents) -> Callable[[Contents, Path, str], Chosen]:
    """What finds the images: pictures go before tables, which are perhaps a list of them."""
    if has_records(contents):
        return choose_records
    return choose_rows if has_tables(contents) and not has_pictures(contents) else choose


def _read_path(
    path: Path,
    split: str,
    num_samples: int | None,
    form: Form,
    cache: Path | None,
    progress: Progress | None,
) -> _Found:
    if path.suffix.lower() == ".npz":
        return _Found(*read_npz(path, split))
    if path.suffix.lower() == ".npy":
        return _Found(read_npy(path, split), None)
    suffix, name = path.suffix.lower(), idx.set_of(path.name)
    if not path.is_dir() and name is not None:
        return _Found(*idx.read_set(list_files(path.parent).entries, name, path.parent, split))
    if not path.is_dir() and suffix not in (".zip", *TABLES):
        raise ValueError(
            "source must be a folder or a zip of images, an .npz, .npy, IDX or Parquet file, or "
            f"the name of a data set, got {str(path)!r}"
        )
    opened = contextlib.nullcontext(single(path)) if suffix in TABLES else open_contents(path)
    with opened as contents:
        if names := idx.sets_in(contents.entries):
            if len(names) > 1:
                raise ValueError(
                    f"{path} has several sets: {', '.join(name or 'MNIST' for name in names)}; "
                    "load one by the path of its training images, such as "
                    f"{names[-1]}-train-images-idx3-ubyte.gz, which is no longer in a zip"
                )
            return _Found(*idx.read_set(contents.entries, names[0], path, split))
        chosen = _chooser(contents)(contents, path, split)
        check_num_samples(num_samples, len(chosen.entries))
        entries = chosen.entries[:num_samples]
        images, notes = read_pictures(entries, form, cache, progress)
        labels = None if chosen.labels is None else chosen.labels[:num_samples]
        files = tuple("/".join(entry.parts) for entry in entries)
        return _Found(images, labels, (*chosen.notes, *notes), files)


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
