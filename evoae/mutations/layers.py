"""One number for all weights, or one a layer: what both mean for leaves and positions."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae.types import Params


def layer_of_leaves(params: Params) -> tuple[int, ...]:
    """The layer of each leaf, in the order of `jax.tree.leaves` and counted from 0.

    A layer is what stands together under one node, such as kernel and bias; a leaf that stands
    under no node is a layer of its own.

    >>> layer_of_leaves({"params": {"a": {"bias": 0.0, "kernel": 1.0}, "b": {"kernel": 2.0}}})
    (0, 0, 1)
    >>> layer_of_leaves([0.0, 1.0])
    (0, 1)
    """
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    nodes = [path[:-1] or path for path in paths]
    begins = [a != b for a, b in itertools.pairwise(nodes)]
    return tuple(itertools.accumulate(begins, initial=0))


def layer_sizes(params: Params) -> npt.NDArray[np.int64]:
    """The number of weights of each layer, int64 [L]."""
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(params)]
    return np.bincount(layer_of_leaves(params), sizes).astype(np.int64)


def of_leaves(name: str, values: jax.Array, params: Params) -> Params:
    """The value of each leaf: `values` is one number () for all, or one a layer [L]."""
    structure = jax.tree.structure(params)
    if jnp.ndim(values) == 0:
        return jax.tree.unflatten(structure, [values] * len(jax.tree.leaves(params)))
    _check(name, values, params)
    return jax.tree.unflatten(structure, [values[layer] for layer in layer_of_leaves(params)])


def at_positions(name: str, values: jax.Array, positions: jax.Array, params: Params) -> jax.Array:
    """The value at positions [K] in the order of `evoae.tree.ravel`: () for all, or [K]."""
    if jnp.ndim(values) == 0:
        return values
    _check(name, values, params)
    ends = jnp.asarray(np.cumsum(layer_sizes(params)), jnp.int32)
    return values[jnp.searchsorted(ends, positions, side="right")]


def _check(name: str, values: jax.Array, params: Params) -> None:
    count = len(layer_sizes(params))
    if values.shape != (count,):
        raise ValueError(
            f"{name} must be one float, or one for each of the {count} layers, "
            f"got shape {values.shape}"
        )
