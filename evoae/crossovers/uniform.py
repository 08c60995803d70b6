"""Uniform crossover: every weight from either parent."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Checked, Fraction
from evoae.types import Hyper, Params


class UniformPerturbation(NamedTuple):
    """Choices that are drawn again whenever the candidate is expressed."""

    key: jax.Array  # the key of the choices
    rate: jax.Array  # the probability of the second parent, float32


@dataclasses.dataclass(frozen=True)
class Uniform(Checked):
    """Takes each weight from the second parent with probability `rate`, else from the first.

    Syswerda (1989, "Uniform crossover in genetic algorithms", ICGA). Prellberg and Kramer (2018,
    arXiv 1806.09819) train networks of 92,000 weights so. A child is described by its key alone.

    Attributes:
      rate: above 0 and below 1.

    >>> first, second = {"bias": jnp.zeros(99)}, {"bias": jnp.ones(99)}
    >>> perturbation = Uniform().sample(jax.random.key(0), 1, first, {"rate": 0.5})
    >>> 30 < int(Uniform().apply(first, second, perturbation)["bias"].sum()) < 70
    True
    """

    rate: Fraction = 0.5

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> UniformPerturbation:
        """Only a key: the choices are made by `apply`."""
        return UniformPerturbation(jax.random.fold_in(key, index), jnp.float32(hyper["rate"]))

    def apply(self, first: Params, second: Params, perturbation: UniformPerturbation) -> Params:
        return jax.tree.map(
            lambda a, b, key: jnp.where(
                jax.random.bernoulli(key, perturbation.rate, a.shape), b, a
            ),
            first,
            second,
            trees.keys_like(perturbation.key, first),
        )
