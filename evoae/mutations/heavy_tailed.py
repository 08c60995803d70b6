"""Heavy-tailed mutation: mostly few and small changes, now and then many or large ones."""

import dataclasses
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count, Positive, Rule
from evoae.mutations.base import Mutation
from evoae.mutations.sparse import Sparse, SparsePerturbation, add_at
from evoae.types import Hyper, Params, Population


@dataclasses.dataclass(frozen=True)
class HeavyTailed(Mutation):
    """Changes k weights by steps from a Cauchy distribution, k from a power law.

    P(k) is proportional to k^-exponent for k = 1 .. max_weights (Doerr, Le, Makhmara and Nguyen
    2017, "Fast genetic algorithms", arXiv 1703.03334); each step is `scale` times a standard Cauchy
    variable (Yao, Liu and Lin 1999, "Evolutionary programming made faster", IEEE Transactions on
    Evolutionary Computation 3(2)). Neither the number of weights nor the length has to be right:
    all occur, small ones most often. Draws may repeat a weight, and then add up.

    Attributes:
      scale: half of all steps are shorter; above 0. What self-adaptation changes.
      exponent: of the power law, above 1. The paper recommends 1.5.
      max_weights: the most draws a child, at least 1: a child is described by so many pairs. With
        1, children of one parent are evaluated from its activations, like those of `Sparse`.

    >>> mutation = HeavyTailed(max_weights=8)
    >>> params = {"kernel": jnp.zeros(100)}
    >>> hyper = {"scale": 0.1, "exponent": 1.5}
    >>> perturbation = mutation.sample(jax.random.key(0), 1, params, hyper)
    >>> 1 <= int((mutation.apply(params, perturbation)["kernel"] != 0).sum()) <= 8
    True
    """

    scale: Positive = 0.1
    exponent: Annotated[float, Rule("above 1", lambda x: x > 1)] = 1.5
    max_weights: Count = 256

    adapted: ClassVar[str | None] = "scale"

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> SparsePerturbation:
        """Positions and values of candidate `index`; what is unused has the value 0."""
        key = jax.random.fold_in(key, index)
        for_count, for_positions, for_values = jax.random.split(key, 3)
        numbers = jnp.arange(1, self.max_weights + 1, dtype=jnp.float32)
        up_to = jnp.cumsum(numbers ** -jnp.float32(hyper["exponent"]))
        drawn = jax.random.uniform(for_count, (), jnp.float32) * up_to[-1]
        count = jnp.searchsorted(up_to, drawn, side="right") + 1
        positions = jax.random.randint(
            for_positions, (self.max_weights,), 0, trees.size(params), jnp.int32
        )
        scale = trees.at_positions("scale", hyper["scale"], positions, params)
        values = jax.random.cauchy(for_values, (self.max_weights,), jnp.float32) * scale
        used = jnp.arange(self.max_weights, dtype=jnp.int32) < count
        return SparsePerturbation(positions, jnp.where(used, values, 0.0))

    def apply(self, params: Params, perturbation: SparsePerturbation) -> Params:
        return add_at(params, perturbation)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        return Sparse(self.max_weights).single_changes(population)
