"""Arithmetic crossover: a point on the line between the parents."""

import dataclasses

import jax
import jax.numpy as jnp

from evoae.types import Hyper, Params


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """child = first + share * (second - first), one share a child from U(0, 1).

    Whole arithmetical crossover (Michalewicz 1992, Genetic Algorithms + Data Structures = Evolution
    Programs).

    >>> first, second = {"bias": jax.numpy.zeros(2)}, {"bias": jax.numpy.ones(2)}
    >>> child = Arithmetic().apply(first, second, jax.numpy.float32(0.25))
    >>> child["bias"].tolist()
    [0.25, 0.25]
    """

    def sample(self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper) -> jax.Array:
        """The share of the second parent, float32 in 0..1."""
        return jax.random.uniform(jax.random.fold_in(key, index), (), jnp.float32)

    def apply(self, first: Params, second: Params, perturbation: jax.Array) -> Params:
        """The child; exactly the first parent where both are equal."""
        return jax.tree.map(lambda a, b: a + perturbation.astype(a.dtype) * (b - a), first, second)
