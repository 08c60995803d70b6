"""Sparse mutation: a few weights change, all others stay."""

import dataclasses
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count, Positive
from evoae.mutations.base import Mutation
from evoae.types import Hyper, Params, Population


class SparsePerturbation(NamedTuple):
    """K positions in the order of `evoae.trees.ravel`, and what happens there."""

    positions: jax.Array  # int32 [K]; a position may be drawn more than once
    values: jax.Array  # float32 [K]: what is added, or what replaces the weight


def add_at(params: Params, perturbation: SparsePerturbation) -> Params:
    """The weights with the values added at their positions; repeated ones add up."""
    vector = trees.ravel(params)
    vector = vector.at[perturbation.positions].add(perturbation.values.astype(vector.dtype))
    return trees.unravel(vector, params)


@dataclasses.dataclass(frozen=True)
class Sparse(Mutation):
    """Changes `num_weights` randomly chosen weights.

    The paper's operator (Varadi 2021) adds U(-1, 1) to n weights; the draws may repeat a position,
    and then add up (with replace, the last draw holds).

    Attributes:
      num_weights: draws a child, at least 1.
      scale: values come from U(-scale, scale), or from N(0, scale^2); above 0. What
        self-adaptation changes.
      distribution: "uniform" or "normal".
      replace: replace the weight by the value instead of adding it.
      shared_positions: all children of a generation change the same positions, each by values of
        its own, as in the original program; otherwise each draws its own, as in the paper's text.

    >>> mutation = Sparse(num_weights=2)
    >>> params = {"kernel": jnp.zeros(5)}
    >>> perturbation = mutation.sample(jax.random.key(0), 1, params, {"scale": 1.0})
    >>> int((mutation.apply(params, perturbation)["kernel"] != 0).sum())
    2
    """

    num_weights: Count = 1
    scale: Positive = 1.0
    distribution: Literal["uniform", "normal"] = "uniform"
    replace: bool = False
    shared_positions: bool = False

    adapted: ClassVar[str | None] = "scale"

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> SparsePerturbation:
        for_positions, for_values = jax.random.split(key)
        if not self.shared_positions:
            for_positions = jax.random.fold_in(for_positions, index)
        for_values = jax.random.fold_in(for_values, index)
        positions = jax.random.randint(
            for_positions, (self.num_weights,), 0, trees.size(params), jnp.int32
        )
        if self.distribution == "uniform":
            values = jax.random.uniform(for_values, (self.num_weights,), jnp.float32, -1.0, 1.0)
        else:
            values = jax.random.normal(for_values, (self.num_weights,), jnp.float32)
        return SparsePerturbation(
            positions, values * trees.at_positions("scale", hyper["scale"], positions, params)
        )

    def apply(self, params: Params, perturbation: SparsePerturbation) -> Params:
        if not self.replace:
            return add_at(params, perturbation)
        vector, positions = trees.ravel(params), perturbation.positions
        later = jnp.triu(positions[:, None] == positions[None, :], 1).any(1)
        places = jnp.where(later, vector.size, positions)
        vector = vector.at[places].set(perturbation.values.astype(vector.dtype), mode="drop")
        return trees.unravel(vector, params)

    def single_changes(self, population: Population) -> tuple[jax.Array, jax.Array] | None:
        """The weight that each of candidates 1..P-1 of a single parent changes, and the change.

        Positions int32 [P-1], or () where they are shared, and deltas float32 [P-1]; None if
        candidates differ from one parent in more than one weight, or have several parents.
        """
        vector = jax.vmap(trees.ravel)(population.parents)
        if self.num_weights != 1 or len(vector) != 1:
            return None
        positions, values = (leaf[1:, 0] for leaf in population.perturbation)
        if self.shared_positions:
            positions = positions[0]
        return positions, values - vector[0, positions] if self.replace else values
