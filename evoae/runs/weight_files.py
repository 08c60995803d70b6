"""Weights and genes as plain arrays in an .npz file."""

import os
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from evoae.files import read_arrays, user_path
from evoae.report.output_files import check_destination, replacing
from evoae.types import Genotype, Params


def save_weights(path: str | os.PathLike[str], params: Params) -> None:
    """Write the weights of one network under the names of their layers.

    Args:
        path: a file name that ends in .npz.
        params: as from `model.init(...)["params"]`; an array's name is its path, such as
            "encoder/0_Conv/kernel".

    Raises:
        ValueError: another ending, or a folder that does not exist.
    """
    _save(path, flax.traverse_util.flatten_dict(params, sep="/"))


def save_genotype(path: str | os.PathLike[str], genotype: Genotype) -> None:
    """Write the genes of one network, each array under its path in the tree.

    Args:
        path: a file name that ends in .npz.
        genotype: as from an encoding's `init`; any pytree of arrays.

    Raises:
        ValueError: another ending, or a folder that does not exist.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "genotype.npz"
    ...     save_genotype(file, {"coordinates": np.ones(3), "scales": np.ones(1)})
    ...     np.load(file).files
    ['coordinates', 'scales']
    """
    leaves = jax.tree_util.tree_leaves_with_path(genotype)
    name = lambda keys: jax.tree_util.keystr(keys, simple=True, separator="/")  # noqa: E731
    _save(path, {name(keys) or "genes": leaf for keys, leaf in leaves})


def _save(path: str | os.PathLike[str], arrays: dict[str, Any]) -> None:
    file = check_destination(path, ".npz")
    with replacing(file) as temporary, temporary.open("wb") as opened:
        stored: dict[str, Any] = {name: _storable(array) for name, array in arrays.items()}
        np.savez(opened, **stored)


def _storable(array: Any) -> np.ndarray:
    """What NumPy's files can hold: bfloat16 is none of its types, and is exact in float32."""
    array = np.asarray(array)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def load_weights(path: str | os.PathLike[str]) -> Params:
    """Return the weights that a run wrote to its best.npz, the "params" of `model.apply`.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or another kind of file.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "best.npz"
    ...     save_weights(file, {"encoder": {"0_Dense": {"bias": np.ones(2)}}})
    ...     load_weights(file)
    {'encoder': {'0_Dense': {'bias': array([1., 1.])}}}
    """
    try:
        arrays = read_arrays(user_path(path))
        if not all(np.issubdtype(array.dtype, np.floating) for array in arrays.values()):
            raise ValueError("it has arrays that are no floats")
        return flax.traverse_util.unflatten_dict(arrays, sep="/")
    except (ValueError, LookupError, TypeError) as error:  # names that are no tree, too
        raise ValueError(f"path: {str(path)!r} holds no weights, or is damaged: {error}") from error
