"""NumPy's .npz and .npy files, with the keys of Keras and others, or with plain ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evoae.files import array_names, open_file, read_arrays, unread

_KEYS = (("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_images", "{}_labels"))
_PLAIN = ("images", "imgs", "x", "X", "data", "arr_0")
_LABELS = ("labels", "label", "y", "Y", "target", "targets")


def read_npz(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads images and labels (None without a key).

    Keys are `x_<split>` and `y_<split>`, or `<split>_images` and `<split>_labels`. A file with a
    plain key, such as `images`, and perhaps `labels`, or with a single array, has the split "train"
    only. Nothing is unpickled.
    """
    found = array_names(path)
    for images, labels in _KEYS:
        if images.format(split) in found:
            return _read(path, images.format(split), [labels.format(split)])
    plain = next((name for name in _PLAIN if name in found), found[0] if len(found) == 1 else None)
    of_splits = {key.format(name) for key, _ in _KEYS for name in ("train", "test")}
    if plain is None or not of_splits.isdisjoint(found):
        wanted = ", ".join(f"`{images.format(split)}`" for images, _ in _KEYS)
        raise ValueError(
            f"split={split!r}: {path} has none of the keys {wanted} and `images`, but {found}"
        )
    if split != "train":
        raise ValueError(f"split={split!r}: {path} has one split only, 'train' (its key `{plain}`)")
    return _read(path, plain, [name for name in _LABELS if name in found])


def _read(path: Path, images: str, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
    arrays = read_arrays(path, (images, *labels[:1]))
    return arrays[images], arrays.get(labels[0]) if labels else None


def read_npy(path: Path, split: str) -> np.ndarray:
    """Reads the images of a file with a single array, which has the split "train" only."""
    if split != "train":
        raise ValueError(f"split={split!r}: {path} has one split only, 'train'")
    with open_file(path) as file:
        try:
            return np.asarray(np.load(file, allow_pickle=False))
        except Exception as error:  # damaged ones make NumPy raise almost anything
            raise ValueError(f"{path} is a damaged .npy file: {unread(error)}") from error
