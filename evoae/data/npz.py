"""NumPy's .npz files, with the keys of Keras or with plain ones."""

import zipfile
from pathlib import Path

import numpy as np


def read_npz(path: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads images and labels (None without a key) from the keys `x_<split>` and `y_<split>`.

    A file with the key `images`, and perhaps `labels`, has the split "train" only. Nothing is
    unpickled.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an .npz file, or is truncated")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = sorted(arrays)
            keys = ("images", "labels") if "images" in found else (f"x_{split}", f"y_{split}")
            images, labels = (arrays[key] if key in found else None for key in keys)
    # A damaged archive makes its readers raise almost anything.
    except Exception as error:
        reason = " ".join(str(error).split())  # one line
        raise ValueError(f"{path} is a damaged .npz file: {reason}") from error
    if keys[0] == "images" and split != "train":
        raise ValueError(f"split={split!r}: {path} has one split only, 'train' (its key `images`)")
    if images is None:
        raise ValueError(
            f"split={split!r}: {path} has neither the key `{keys[0]}` nor `images`, but {found}"
        )
    return images, labels
