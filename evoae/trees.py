"""Helpers for pytrees of weights. Nothing else in evoae ravels."""

import dataclasses
import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from evoae.checks import field_types
from evoae.types import Hyper, Params


def take(stacked: Params, index: jax.Array | npt.NDArray[np.int64] | int) -> Params:
    """Member `index` of a stack: leaves [S, ...] -> [...]. A stack on the host is one, too."""
    if any(isinstance(leaf, jax.Array) for leaf in (index, *jax.tree.leaves(stacked))):
        return _member(stacked, index)
    return jax.tree.map(lambda leaf: leaf[index], stacked)


@functools.partial(jax.jit, inline=True)  # outside of a program, one for all leaves
def _member(stacked: Params, index: jax.Array) -> Params:
    return jax.tree.map(lambda leaf: leaf[index], stacked)


@functools.partial(jax.jit, static_argnums=1, inline=True)
def repeat(params: Params, number: int) -> Params:
    """A stack of so many copies: leaves [...] -> [number, ...]."""
    return jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf)[None], number, 0), params)


def size(params: Params) -> int:
    """The number of weights of one network, or of values of any other tree."""
    return sum(math.prod(np.shape(leaf)) for leaf in jax.tree.leaves(params))


def ravel(params: Params) -> jax.Array:
    """All weights as one vector, leaf after leaf in the order of `jax.tree.leaves`."""
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])


def places(layers: Params) -> dict[str, int]:
    """Where the weights of each layer begin in `ravel`, for a tree {stack: {layer: weights}}."""
    starts: dict[str, int] = {}
    position = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(layers):
        starts.setdefault(f"{path[0].key}/{path[1].key}", position)
        position += math.prod(leaf.shape)
    return starts


def unravel(vector: jax.Array, like: Params) -> Params:
    """The inverse of `ravel`, with the structure, shapes and types of `like`."""
    leaves, structure = jax.tree.flatten(like)
    parts, start = [], 0
    for leaf in leaves:
        stop = start + math.prod(leaf.shape)
        parts.append(vector[start:stop].reshape(leaf.shape).astype(leaf.dtype))
        start = stop
    return jax.tree.unflatten(structure, parts)


def keys_like(key: jax.Array, params: Params) -> Params:
    """One key a leaf, so that leaves of equal shape get different noise."""
    leaves, structure = jax.tree.flatten(params)
    return jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))


def under(name: str, params: Params) -> npt.NDArray[np.bool_]:
    """Which weights, in the order of `ravel`, stand under a node of that name; bool [D].

    >>> under("encoder", {"decoder": np.zeros(1), "encoder": {"kernel": np.zeros(2)}}).tolist()
    [False, True, True]
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    inside = [any(getattr(node, "key", None) == name for node in path) for path, _ in leaves]
    return np.repeat(inside, [math.prod(leaf.shape) for _, leaf in leaves])


def layer_of_leaves(params: Params) -> tuple[int, ...]:
    """The layer of each leaf, in the order of `jax.tree.leaves` and counted from 0.

    A layer is what stands together under one node, such as kernel and bias; a leaf that stands
    under no node is a layer of its own.

    >>> layer_of_leaves({"a": {"bias": 0.0, "kernel": 1.0}, "b": {"kernel": 2.0}})
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
    _check_layers(name, values, params)
    return jax.tree.unflatten(structure, [values[layer] for layer in layer_of_leaves(params)])


def at_positions(name: str, values: jax.Array, positions: jax.Array, params: Params) -> jax.Array:
    """The value at positions [K] in the order of `evoae.trees.ravel`: () for all, or [K]."""
    if jnp.ndim(values) == 0:
        return values
    _check_layers(name, values, params)
    ends = jnp.asarray(np.cumsum(layer_sizes(params)), jnp.int32)
    return values[jnp.searchsorted(ends, positions, side="right")]


def _check_layers(name: str, values: jax.Array, params: Params) -> None:
    count = len(layer_sizes(params))
    if values.shape != (count,):
        raise ValueError(
            f"{name} must be one float, or one for each of the {count} layers, "
            f"got shape {values.shape}"
        )


def hyperparameters(description: Any) -> Hyper:
    """The floats of a frozen dataclass, and of the dataclasses in it, as float32 arrays by name.

    A float is what is annotated `float`, whatever number is there.

    >>> import evoae
    >>> hyperparameters(evoae.mutations.Gaussian(scale=0.5))
    {'scale': Array(0.5, dtype=float32)}
    """
    found: Hyper = {}
    for name, annotation in field_types(type(description)).items():
        value = getattr(description, name)
        if annotation is float:
            found[name] = jnp.float32(value)
        elif dataclasses.is_dataclass(value):
            found[name] = hyperparameters(value)
    return found
