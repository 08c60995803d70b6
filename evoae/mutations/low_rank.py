"""Low-rank mutation: the noise of a matrix is a product of thin factors."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Count, Positive
from evoae.mutations.base import Mutation
from evoae.mutations.gaussian import NoisePerturbation, add_noise
from evoae.types import Hyper, Params


@dataclasses.dataclass(frozen=True)
class LowRank(Mutation):
    """Adds noise of low rank to every matrix, plain noise to all other weights.

    A matrix [m, n] changes by scale / sqrt(r) * A B^T with A [m, r] and B [n, r] from N(0, 1), so
    that each weight's change has the standard deviation `scale` (EGGROLL, Sarkar et al. 2025, arXiv
    2511.16652). Kernels of more dimensions are matrices of their first and all other axes. For
    vectors, and where the factors hold as many numbers as the matrix, the noise is N(0, scale^2). A
    child is described by its key alone; `apply` draws the factors again.

    Attributes:
      scale: the standard deviation, above 0. What self-adaptation changes.
      rank: r, at least 1.

    >>> params = {"kernel": jnp.zeros((6, 8))}
    >>> mutation = LowRank(scale=0.1, rank=2)
    >>> perturbation = mutation.sample(jax.random.key(0), 1, params, {"scale": 0.1})
    >>> int(jnp.linalg.matrix_rank(mutation.apply(params, perturbation)["kernel"]))
    2
    """

    scale: Positive = 0.02
    rank: Count = 1

    adapted: ClassVar[str | None] = "scale"

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> NoisePerturbation:
        """Only a key: the factors are drawn by `apply`."""
        return NoisePerturbation(jax.random.fold_in(key, index), jnp.float32(hyper["scale"]))

    def apply(self, params: Params, perturbation: NoisePerturbation) -> Params:
        noise = jax.tree.map(self._drawn, trees.keys_like(perturbation.key, params), params)
        return add_noise(params, perturbation.scale, noise)

    def _drawn(self, key: jax.Array, like: jax.Array) -> jax.Array:
        shape, dtype = like.shape, like.dtype
        rows = shape[0] if shape else 1
        columns = math.prod(shape[1:])
        if self.rank * (rows + columns) >= rows * columns:
            return jax.random.normal(key, shape, dtype)
        factors = jax.random.normal(key, (rows + columns, self.rank), dtype)
        product = factors[:rows] @ factors[rows:].T
        return (product / math.sqrt(self.rank)).astype(dtype).reshape(shape)
