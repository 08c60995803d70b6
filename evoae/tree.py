"""Helpers for pytrees of weights. Nothing else in evoae ravels."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from evoae.types import Hyper, Params


def take(stacked: Params, index: jax.Array | int) -> Params:
    """Member `index` of a stack: leaves [S, ...] -> [...]."""
    return jax.tree.map(lambda leaf: leaf[index], stacked)


def size(params: Params) -> int:
    """The number of weights of one network."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


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


def float_fields(description: Any) -> Hyper:
    """The float fields of a frozen dataclass, and of the dataclasses in it, as float32 arrays.

    >>> import evoae
    >>> float_fields(evoae.mutations.Gaussian(scale=0.5))
    {'scale': Array(0.5, dtype=float32)}
    """
    floats: Hyper = {}
    for field in dataclasses.fields(description):
        value = getattr(description, field.name)
        if isinstance(value, float):
            floats[field.name] = jnp.float32(value)
        elif dataclasses.is_dataclass(value):
            floats[field.name] = float_fields(value)
    return floats
