"""GESMR: groups of children share a rate, and the groups' rates evolve."""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Checked, Rule, Several
from evoae.strategies.adaptation.shared import repeated
from evoae.types import Hyper


@dataclasses.dataclass(frozen=True)
class GESMR(Checked):
    """Group elite selection of mutation rates.

    The children are split into groups with a rate each; a rate is as good as the best improvement
    that a child of its group makes over its parent. The best rate stays as it is, the others are
    drawn from the better half, and change by a factor from spread^U(-1, 1) (Kumar et al. 2022,
    "Effective mutation rate adaptation through group elite selection", arXiv 2204.04817). Looking
    at the best child of many, not at the usual one, keeps the rates from shrinking to where nothing
    is risked.

    Attributes:
      num_groups: at least 2, at most one a child.
      spread: how much a rate changes at most, above 1.
      per_layer: a rate for each layer, each changed by itself.

    >>> import evoae
    >>> strategy = evoae.strategies.GeneticAlgorithm(
    ...     population_size=32, mutation=evoae.mutations.Gaussian(0.1), adaptation=GESMR()
    ... )
    """

    num_groups: Several = 8
    spread: Annotated[float, Rule("above 1", lambda x: x > 1)] = 2.0
    per_layer: bool = False

    def init(self, start: jax.Array, num_parents: int, num_layers: int) -> jax.Array:
        """The rates of the groups: [G] or [G, L]."""
        return repeated(start, self.num_groups, num_layers, per_layer=self.per_layer)

    def sample(
        self, key: jax.Array, index: jax.Array, parent: jax.Array, rates: jax.Array, hyper: Hyper
    ) -> jax.Array:
        """The rate of the candidate's group, index modulo G."""
        return rates[index % self.num_groups]

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
        for_parent, for_change = jax.random.split(key)
        index = jnp.arange(improvement.shape[0])
        of_children = jnp.where(index < survivors.shape[0], jnp.inf, improvement)
        scores = jax.ops.segment_min(of_children, index % self.num_groups, self.num_groups)
        _, better = lax.top_k(-scores, (self.num_groups + 1) // 2)
        parents = better[jax.random.randint(for_parent, (self.num_groups,), 0, len(better))]
        powers = jax.random.uniform(for_change, rates.shape, minval=-1.0, maxval=1.0)
        changed = rates[parents] * hyper["spread"] ** powers
        return changed.at[0].set(rates[better[0]])
