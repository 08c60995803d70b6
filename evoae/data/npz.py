"""NumPy's .npz and .npy files, with the keys of Keras and others, or with plain ones."""

from pathlib import Path

import numpy as np

from evoae.files import array_names, in_short, open_file, read_arrays

_KEYS = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))


def read_npz(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads images and labels (None without a key).

    Keys are `x_<split>` and `y_<split>`, or `<split>_images` and `<split>_labels`. A file with the
    key `images`, and perhaps `labels`, or with a single array, has the split "train" only. Nothing
    is unpickled.
    """
    found = array_names(path)
    pairs = [(images.format(split), labels.format(split)) for images, labels in _KEYS]
    plain = "images" if "images" in found or len(found) != 1 else found[0]
    for images, labels in (*pairs, (plain, "labels")):
        if images in found:
            if images == plain and split != "train":
                raise ValueError(
                    f"split={split!r}: {path} has one split only, 'train' (its key `{images}`)"
                )
            arrays = read_arrays(path, (images, labels))
            return arrays[images], arrays.get(labels)
    wanted = ", ".join(f"`{images}`" for images, _ in pairs)
    raise ValueError(
        f"split={split!r}: {path} has none of the keys {wanted} and `images`, but {found}"
    )


def read_npy(path: Path, split: str) -> np.ndarray:
    """Reads the images of a file with a single array, which has the split "train" only."""
    if split != "train":
        raise ValueError(f"split={split!r}: {path} has one split only, 'train'")
    with open_file(path) as file:
        try:
            return np.asarray(np.load(file, allow_pickle=False))
        except Exception as error:  # damaged ones make NumPy raise almost anything
            raise ValueError(f"{path} is a damaged .npy file: {in_short(error)}") from error
