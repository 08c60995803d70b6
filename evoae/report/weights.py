"""Weights as plain arrays in an .npz file."""

import os
from typing import Any

import flax.traverse_util
import numpy as np

from evoae.report.files import destination, replacing
from evoae.types import Params


def save_weights(path: str | os.PathLike[str], params: Params) -> None:
    """Write the weights of one network under the names of their layers.

    Args:
        path: a file name that ends in .npz.
        params: as from `model.init`; an array's name is its path, such as "encoder/0_Conv/kernel".

    Raises:
        ValueError: another ending, or a folder that does not exist.
    """
    file = destination(path, ".npz")
    arrays: dict[str, Any] = flax.traverse_util.flatten_dict(params["params"], sep="/")
    with replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, **arrays)


def load_weights(path: str | os.PathLike[str]) -> Params:
    """Return the weights that a run wrote to its best.npz, for `model.apply`.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or another kind of file.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "best.npz"
    ...     save_weights(file, {"params": {"encoder": {"0_Dense": {"bias": np.ones(2)}}}})
    ...     load_weights(file)
    {'params': {'encoder': {'0_Dense': {'bias': array([1., 1.])}}}}
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        return {"params": flax.traverse_util.unflatten_dict(found, sep="/")}
    except OSError:
        raise
    # A damaged archive makes its readers raise almost anything.
    except Exception as error:
        raise ValueError(f"path: {str(path)!r} holds no weights, or is damaged: {error}") from error
