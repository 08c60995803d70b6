"""Weights as named arrays in files: those of runs, and those that other programs wrote."""

import os
from pathlib import Path
from typing import Any

import flax.serialization
import flax.traverse_util
import jax
import numpy as np
import numpy.typing as npt

from evoae.files import in_short, open_file, read_arrays, user_path
from evoae.report.output_files import check_destination, replacing
from evoae.types import Genotype, Params

Named = dict[str, npt.NDArray[Any]]


def save_weights(path: str | os.PathLike[str], params: Params | Genotype) -> None:
    """Write the weights of one network, or its genes, under the names of their layers.

    Args:
        path: a file name that ends in .npz, or in .safetensors, which needs the package of this
            name.
        params: any pytree of arrays, as from `model.init(...)["params"]`; an array's name is its
            path, such as "encoder/0_Conv/kernel".

    Raises:
        ValueError: another ending, a folder that does not exist, or no package to write it.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "genotype.npz"
    ...     save_weights(file, {"coordinates": np.ones(3), "scales": np.ones(1)})
    ...     np.load(file).files
    ['coordinates', 'scales']
    """
    suffix = Path(path).suffix.lower()
    file = check_destination(path, ".safetensors" if suffix == ".safetensors" else ".npz")
    arrays: Any = {name: storable(array) for name, array in named_arrays(params).items()}
    if suffix == ".safetensors":
        content = _safetensors().save(arrays)
        with replacing(file) as temporary:
            temporary.write_bytes(content)
        return
    with replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, **arrays)


def named_arrays(tree: Any) -> dict[str, Any]:
    """The arrays of any pytree by their paths; a single array is named "genes".

    >>> named_arrays({"layers": [np.ones(2), np.ones(3)]}).keys()
    dict_keys(['layers/0', 'layers/1'])
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    name = lambda keys: jax.tree_util.keystr(keys, simple=True, separator="/")  # noqa: E731
    return {name(keys) or "genes": leaf for keys, leaf in leaves}


def load_weights(path: str | os.PathLike[str]) -> Params:
    """Return weights from a file: the "params" of `model.apply`, as a tree by the arrays' names.

    Args:
        path: the best.npz of a run or another .npz; a .safetensors file, which needs the package of
            this name; a .msgpack file of `flax.serialization`; or the folder of an orbax
            checkpoint.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, another kind of file, or there is no package to read it.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "best.npz"
    ...     save_weights(file, {"encoder": {"0_Dense": {"bias": np.ones(2)}}})
    ...     load_weights(file)
    {'encoder': {'0_Dense': {'bias': array([1., 1.])}}}
    """
    file = user_path(path)
    try:
        arrays = _plain(_read(file))
        if not arrays:
            raise ValueError("it has no arrays")
        if not all(jax.numpy.issubdtype(array.dtype, np.floating) for array in arrays.values()):
            raise ValueError("it has arrays that are no floats")
        return flax.traverse_util.unflatten_dict(arrays, sep="/")
    except (ValueError, LookupError, TypeError) as error:  # names that are no tree, too
        raise ValueError(f"path: {str(path)!r} holds no weights, or is damaged: {error}") from error


def structured_as(like: Params, weights: Params, where: str) -> Params:
    """Weights with the structure of a model's own, found by their names.

    Args:
        like: the weights of the model, or their shapes.
        weights: as from `load_weights`.
        where: what an error names them.

    Raises:
        ValueError: names or shapes that differ, with the first of them.

    >>> structured_as((np.zeros(2), np.zeros(1)), {"0": np.ones(2), "1": np.ones(1)}, "weights")
    (array([1., 1.]), array([1.]))
    """
    wanted, found = named_arrays(like), named_arrays(weights)
    for name in sorted(wanted.keys() | found.keys()):
        its, own = (
            f"{np.shape(tree[name])}" if name in tree else "none" for tree in (found, wanted)
        )
        if its != own:
            raise ValueError(
                f"{where} is of another model: it has {name} of shape {its}, the model has {own}"
            )
    kinds = {name: leaf.dtype for name, leaf in wanted.items()}
    leaves = [found[name].astype(kinds[name]) for name in wanted]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def storable(array: Any) -> npt.NDArray[Any]:
    """What NumPy's files can hold: bfloat16 is none of its types, and is exact in float32."""
    array = np.asarray(array)
    return np.ascontiguousarray(array.astype(np.float32) if array.dtype.kind == "V" else array)


def _read(file: Path) -> Named:
    """The arrays of a file by their names, whatever wrote it."""
    if file.is_dir():
        return named_arrays(_orbax(file))
    if file.suffix.lower() == ".msgpack":
        with open_file(file) as opened:
            return named_arrays(_unpacked(opened.read()))
    if file.suffix.lower() == ".safetensors":
        with open_file(file) as opened:
            content = opened.read()
        try:
            arrays: Named = _safetensors().load(content)
        except Exception as error:  # of its own kind
            raise ValueError(in_short(error)) from error
        dotted = not any("/" in name for name in arrays)
        return {name.replace(".", "/") if dotted else name: its for name, its in arrays.items()}
    return read_arrays(file)


def _plain(arrays: Named) -> Named:
    """The arrays without what others write around them: a collection's name, a variable's value."""
    prefix = "params/"  # what stands beside it are other collections, which are no weights
    inside = {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}
    if inside:
        return _plain(inside)
    if arrays and all(name.endswith("/value") for name in arrays):
        return {name.removesuffix("/value"): its for name, its in arrays.items()}
    return arrays


def _unpacked(content: bytes) -> Any:
    try:
        return flax.serialization.msgpack_restore(content)
    except Exception as error:  # damaged ones make msgpack raise almost anything
        raise ValueError(f"no tree of flax.serialization: {in_short(error)}") from error


def _orbax(folder: Path) -> Any:
    import orbax.checkpoint  # takes a second, and is for these folders alone

    try:
        return orbax.checkpoint.PyTreeCheckpointer().restore(folder.absolute())
    except Exception as error:
        raise ValueError(f"no checkpoint of orbax: {in_short(error)}") from error


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ValueError('safetensors must be installed: pip install "evoae[export]"') from error
    return safetensors.numpy
