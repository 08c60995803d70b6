"""Binomial mutation: a random number of weights change, with a float for its mean."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count, Positive, check_number
from evoae.mutations.base import Mutation
from evoae.mutations.sparse import SparsePerturbation, add_at
from evoae.types import Hyper, Params


class RandomNumber(Mutation):
    """A mutation of up to `max_weights` weights, `rate` of them expected: floats of a child."""

    rate: float
    max_weights: int

    adapted: ClassVar[str | None] = "rate"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        check_number(f"{name}: rate", self.rate)
        if not 1 <= self.rate <= self.max_weights:
            raise ValueError(
                f"{name}: rate must be from 1 to max_weights={self.max_weights}, got {self.rate!r}"
            )

    def adapted_range(self) -> tuple[float, float]:
        return 1.0, float(self.max_weights)


def draw_positions(
    key: jax.Array, rate: jax.Array, max_weights: int, params: Params
) -> tuple[jax.Array, jax.Array]:
    """Positions int32 [max_weights], and which of them are used: bool, `rate` of them expected.

    The first draw is always used, each other one with probability (rate - 1) / (max_weights - 1).
    With a rate for each layer, [L], layer l has the share rate_l * size_l / D of the draws.
    """
    for_used, for_layer, for_position = jax.random.split(key, 3)
    rate, shape, size = jnp.float32(rate), (max_weights,), trees.size(params)
    if rate.ndim == 0:
        positions = jax.random.randint(for_position, shape, 0, size, jnp.int32)
    else:
        trees.of_leaves("rate", rate, params)  # raises if it has another length
        sizes = trees.layer_sizes(params)
        starts, sizes = jnp.int32(sizes.cumsum() - sizes), jnp.int32(sizes)
        shares = jnp.cumsum(rate * sizes.astype(jnp.float32) / size)
        rate = shares[-1]
        drawn = jax.random.uniform(for_layer, shape, jnp.float32) * rate
        layer = jnp.minimum(jnp.searchsorted(shares, drawn, side="right"), len(sizes) - 1)
        positions = starts[layer] + jax.random.randint(
            for_position, shape, 0, sizes[layer], jnp.int32
        )
    chance = (rate - 1) / max(max_weights - 1, 1)
    used = jax.random.uniform(for_used, shape, jnp.float32) < chance
    return positions, used.at[0].set(True)


@dataclasses.dataclass(frozen=True)
class Binomial(RandomNumber):
    """Adds U(-scale, scale) to a random number of weights, 1 + Binomial(max_weights - 1, p).

    The standard mutation of genetic algorithms, where each gene changes with a small probability
    (Goldberg 1989), for weights: p = (rate - 1) / (max_weights - 1), so that `rate` draws are
    expected. One draw is sure, as in the binomial crossover of differential evolution (Storn and
    Price 1997), so that no child is its parent. Draws may repeat a weight, and then add up. With
    rate 1 it is `Sparse(1)`; unlike the number of weights there, the rate is a float that can
    change during a run, by hand or by self-adaptation.

    Attributes:
      rate: the expected number of draws a child, from 1 to max_weights. What self-adaptation
        changes.
      scale: values come from U(-scale, scale); above 0.
      max_weights: the most draws a child, at least 1: a child is described by so many pairs.

    >>> mutation = Binomial(rate=3.0, max_weights=5)
    >>> params = {"kernel": jnp.zeros(100)}
    >>> perturbation = mutation.sample(jax.random.key(0), 1, params, {"rate": 3.0, "scale": 1.0})
    >>> 1 <= int((mutation.apply(params, perturbation)["kernel"] != 0).sum()) <= 5
    True
    """

    rate: float = 1.0
    scale: Positive = 1.0
    max_weights: Count = 256

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> SparsePerturbation:
        """Positions and values of candidate `index`; what is unused has the value 0."""
        for_positions, for_values = jax.random.split(jax.random.fold_in(key, index))
        positions, used = draw_positions(for_positions, hyper["rate"], self.max_weights, params)
        values = jax.random.uniform(for_values, (self.max_weights,), jnp.float32, -1.0, 1.0)
        return SparsePerturbation(positions, jnp.where(used, values * hyper["scale"], 0.0))

    def apply(self, params: Params, perturbation: SparsePerturbation) -> Params:
        return add_at(params, perturbation)
