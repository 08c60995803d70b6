"""The 1/5 success rule."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae.checks import Checked, Fraction, Positive
from evoae.strategies.adaptation.shared import repeated
from evoae.types import Hyper


@dataclasses.dataclass(frozen=True)
class OneFifth(Checked):
    """One rate for all: it grows when more than a fifth of the children are better, else falls.

    Rechenberg (1973, Evolutionsstrategie), for many children a generation:
    rate <- rate * exp(speed * (share - target) / (1 - target)), where share is that of the children
    that are better than their parent (Hansen, Arnold and Auger 2015, "Evolution strategies",
    algorithm 4).

    Attributes:
      target: the share of better children that is held, above 0 and below 1.
      speed: the logarithm of the growth where all children are better, above 0.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(
    ...     population_size=8, mutation=evoae.mutations.Gaussian(0.1), adaptation=OneFifth()
    ... )
    """

    target: Fraction = 0.2
    speed: Positive = 1.0

    num_groups = 1

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """One rate: [1]."""
        return repeated(start, 1, num_layers, per_layer=False)

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The rate that all have."""
        return rates[0]

    def update(
        self,
        key: jax.Array,
        candidate_rates: jax.Array,
        improvement: jax.Array,
        survivors: jax.Array,
        rates: jax.Array,
        hyper: Hyper,
    ) -> jax.Array:
        """See `evoae.types.Adaptation`."""
        share = (improvement[survivors.shape[0] :] < 0).mean(dtype=jnp.float32)
        target = hyper["target"]
        return rates * jnp.exp(hyper["speed"] * (share - target) / (1 - target))
