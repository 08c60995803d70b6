"""Crossover by layer: whole layers from either parent."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Checked, Fraction
from evoae.types import Hyper, Params


@dataclasses.dataclass(frozen=True)
class ByLayer(Checked):
    """Takes each layer whole from the second parent with probability `rate`, else from the first.

    The weights of a layer work together, and single ones of another network would only disturb
    them: the argument of Montana and Davis (1989, IJCAI, "Training feedforward neural networks
    using genetic algorithms", crossover-nodes), for layers instead of nodes. A layer is what stands
    together under one node of the tree, such as kernel and bias.

    Attributes:
      rate: above 0 and below 1.

    >>> first = {"a": {"kernel": jnp.zeros(2)}, "b": {"kernel": jnp.zeros(1)}}
    >>> second = jax.tree.map(jnp.ones_like, first)
    >>> child = ByLayer().apply(first, second, jnp.array([False, True]))
    >>> jax.tree.map(lambda leaf: leaf.tolist(), child)
    {'a': {'kernel': [0.0, 0.0]}, 'b': {'kernel': [1.0]}}
    """

    rate: Fraction = 0.5

    def sample(self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper) -> jax.Array:
        """For each layer, whether it comes from the second parent; bool [L]."""
        drawn = jax.random.uniform(
            jax.random.fold_in(key, index), trees.layer_sizes(params).shape, jnp.float32
        )
        return drawn < hyper["rate"]

    def apply(self, first: Params, second: Params, perturbation: jax.Array) -> Params:
        chosen = trees.of_leaves("perturbation", perturbation, first)
        return jax.tree.map(lambda a, b, take: jnp.where(take, b, a), first, second, chosen)
