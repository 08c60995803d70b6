"""Zeroing: random weights become 0."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count
from evoae.mutations.binomial import RandomNumber, draw_positions
from evoae.types import Hyper, Params


@dataclasses.dataclass(frozen=True)
class Zeroing(RandomNumber):
    """Sets a random number of weights to 0, which deletes connections.

    The structural mutation of GNARL that removes links (Angeline, Saunders and Pollack 1994, IEEE
    Transactions on Neural Networks 5(1)), in a network of fixed shape. The number
    is drawn as in `Binomial`.

    Attributes:
      rate: the expected number of draws a child, from 1 to max_weights. What self-adaptation
        changes.
      max_weights: the most draws a child, at least 1.

    >>> mutation = Zeroing(rate=2.0, max_weights=8)
    >>> params = {"kernel": jnp.ones(100)}
    >>> perturbation = mutation.sample(jax.random.key(0), 1, params, {"rate": 2.0})
    >>> 1 <= int((mutation.apply(params, perturbation)["kernel"] == 0).sum()) <= 8
    True
    """

    rate: float = 1.0
    max_weights: Count = 256

    def sample(self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper) -> jax.Array:
        """Positions, int32 [K] in the order of `evoae.trees.ravel`; D, one too many, for none."""
        key = jax.random.fold_in(key, index)
        positions, used = draw_positions(key, hyper["rate"], self.max_weights, params)
        return jnp.where(used, positions, trees.size(params))

    def apply(self, params: Params, perturbation: jax.Array) -> Params:
        vector = trees.ravel(params)
        return trees.unravel(vector.at[perturbation].set(0, mode="drop"), params)
