"""How large the weights of each array are: genes of encodings that paint all arrays alike."""

import jax
import jax.numpy as jnp

from evoae.trees import unravel
from evoae.types import Params

SMALLEST = 0.1  # of arrays that begin with zeros, as biases do, and so say nothing


def first_scales(params: Params) -> jax.Array:
    """The root mean square of each array of weights, float32 [arrays]; `SMALLEST` for zeros.

    >>> first_scales({"a": jnp.zeros(3), "b": jnp.array([3.0, -3.0])})
    Array([0.1, 3. ], dtype=float32)
    """
    squares = [jnp.square(leaf).mean(dtype=jnp.float32) for leaf in jax.tree.leaves(params)]
    scales = jnp.sqrt(jnp.stack(squares))
    return jnp.where(scales == 0, jnp.float32(SMALLEST), scales)


def scaled(vector: jax.Array, scales: jax.Array, like: Params) -> Params:
    """Weights of about size 1 in the order of `evoae.trees.ravel`, times the scales [arrays]."""
    leaves, structure = jax.tree.flatten(unravel(vector, like))
    pairs = zip(leaves, scales, strict=True)
    return jax.tree.unflatten(structure, [leaf * scale.astype(leaf.dtype) for leaf, scale in pairs])
