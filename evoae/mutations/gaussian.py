"""Gaussian mutation: noise on every weight, described by a key."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Positive
from evoae.mutations.base import Mutation
from evoae.types import Hyper, Params


class NoisePerturbation(NamedTuple):
    """Noise that is drawn again whenever the candidate is expressed."""

    key: jax.Array  # the key of the noise
    scale: jax.Array  # its standard deviation, float32 (), or one a layer [L]


def add_noise(params: Params, scale: jax.Array, noise: Params) -> Params:
    """Params + scale * noise."""
    scales = trees.of_leaves("scale", scale, params)
    return jax.tree.map(lambda p, n, s: p + s.astype(p.dtype) * n, params, noise, scales)


@dataclasses.dataclass(frozen=True)
class Gaussian(Mutation):
    """Adds N(0, scale^2) to every weight.

    A child is described by its key alone (Such et al. 2017, arXiv 1712.06567), so that a population
    costs no memory.

    Attributes:
      scale: the standard deviation, above 0. What self-adaptation changes.
      layer_scales: what `scale` is multiplied by in each layer, in the order of `jax.tree.leaves`
        (weights under one node, such as kernel and bias, are a layer); None for 1 in all.

    >>> mutation = Gaussian(scale=0.1)
    >>> params = {"kernel": jnp.zeros(3)}
    >>> perturbation = mutation.sample(jax.random.key(0), 1, params, {"scale": 0.1})
    >>> mutation.apply(params, perturbation)["kernel"].shape
    (3,)
    """

    scale: Positive = 0.02
    layer_scales: tuple[Positive, ...] | None = None

    adapted: ClassVar[str | None] = "scale"

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> NoisePerturbation:
        """Only a key: the noise is drawn by `apply`."""
        scale = jnp.float32(hyper["scale"])
        if self.layer_scales is not None:
            scale = scale * jnp.float32(self.layer_scales)
        return NoisePerturbation(jax.random.fold_in(key, index), scale)

    def apply(self, params: Params, perturbation: NoisePerturbation) -> Params:
        # One draw for all arrays: many small ones cost more than the numbers themselves.
        noise = trees.unravel(
            jax.random.normal(perturbation.key, (trees.size(params),), jnp.float32), params
        )
        return add_noise(params, perturbation.scale, noise)
