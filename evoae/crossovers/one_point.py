"""One-point crossover: the first weights of one parent, the last of the other."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.types import Hyper, Params


@dataclasses.dataclass(frozen=True)
class OnePoint:
    """Cuts both parents at one point of their weights, and joins the first part and the other last.

    Holland (1975, Adaptation in Natural and Artificial Systems, chapter 6). Weights are in the
    order of `evoae.trees.ravel`: layer after layer, so that most layers come whole from one parent.
    The point is drawn uniformly.

    >>> first, second = {"bias": jnp.zeros(4)}, {"bias": jnp.ones(4)}
    >>> OnePoint().apply(first, second, jnp.int32(3))["bias"].tolist()
    [0.0, 0.0, 0.0, 1.0]
    """

    def sample(self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper) -> jax.Array:
        """The first position, of 1..D-1, whose weight is the second parent's; int32."""
        last = max(trees.size(params), 2)  # a network of one weight has no place to be cut
        return jax.random.randint(jax.random.fold_in(key, index), (), 1, last, jnp.int32)

    def apply(self, first: Params, second: Params, perturbation: jax.Array) -> Params:
        a, b = trees.ravel(first), trees.ravel(second)
        return trees.unravel(
            jnp.where(jnp.arange(a.size, dtype=jnp.int32) < perturbation, a, b), first
        )
