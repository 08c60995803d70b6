"""SAMR: every individual has a rate of its own."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae.checks import Checked, Positive
from evoae.strategies.adaptation.shared import repeated
from evoae.types import Hyper


@dataclasses.dataclass(frozen=True)
class SAMR(Checked):
    """Self-adaptive mutation rates: a child inherits its parent's, changed, and is mutated with it.

    rate <- rate * exp(speed * N(0, 1)), before the child is mutated (Schwefel 1981, Numerical
    Optimization of Computer Models; Baeck 1992, "Self-adaptation in genetic algorithms"). Rates
    that make good children spread with them. Small ones harm least, so that in the long run rates
    tend to be too small (Kumar et al. 2022, arXiv 2204.04817); `GESMR` was made against that. An
    elite keeps its rate: from a start so large that no child survives, it does not come down.

    Attributes:
      speed: the standard deviation of a change's logarithm, above 0.
      per_layer: a rate for each layer, each changed by itself.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(
    ...     population_size=8, mutation=evoae.mutations.Gaussian(0.1), adaptation=SAMR()
    ... )
    """

    speed: Positive = 0.5
    per_layer: bool = False

    num_groups = 1

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """The rates of the stored parents: [S] or [S, L]."""
        return repeated(start, num_parents, num_layers, per_layer=self.per_layer)

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The parent's rate, changed; the copy of a parent has its rate unchanged."""
        noise = jax.random.normal(jax.random.fold_in(key, index), rates.shape[1:])
        changed = rates[parent] * jnp.exp(hyper["speed"] * noise)
        return jnp.where(index < rates.shape[0], rates[parent], changed)

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
        return candidate_rates[survivors]
