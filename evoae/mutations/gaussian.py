"""Gaussian mutation: noise on every weight, described by a key."""

import dataclasses
from typing import NamedTuple

import jax

from evoae import tree
from evoae.checks import is_positive
from evoae.types import Hyper, Params


class GaussianGenotype(NamedTuple):
    """Noise that is drawn again whenever the candidate is expressed.

    Attributes:
      key: the key of the noise.
      scale: its standard deviation, float32.
    """

    key: jax.Array
    scale: jax.Array


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Adds N(0, scale^2) to every weight.

    A child is described by its key alone (Such et al. 2017, arXiv 1712.06567), so that a population
    costs no memory.

    Attributes:
      scale: the standard deviation, above 0; may be changed during a run without compiling again.

    >>> import jax
    >>> mutation = Gaussian(scale=0.1)
    >>> params = {"kernel": jax.numpy.zeros(3)}
    >>> genotype = mutation.sample(jax.random.key(0), 1, params, {"scale": 0.1})
    >>> mutation.apply(params, genotype)["kernel"].shape
    (3,)
    """

    scale: float = 0.02

    def __post_init__(self) -> None:
        if not is_positive(self.scale):
            raise ValueError(f"Gaussian: scale must be a finite float above 0, got {self.scale!r}")
        object.__setattr__(self, "scale", float(self.scale))

    def sample(
        self, key: jax.Array, index: jax.Array, params: Params, hyper: Hyper
    ) -> GaussianGenotype:
        """Only a key: the noise is drawn by `apply`."""
        return GaussianGenotype(jax.random.fold_in(key, index), jax.numpy.float32(hyper["scale"]))

    def apply(self, params: Params, genotype: GaussianGenotype) -> Params:
        """Params + scale * noise."""
        return jax.tree.map(
            lambda leaf, key: (
                leaf
                + genotype.scale.astype(leaf.dtype) * jax.random.normal(key, leaf.shape, leaf.dtype)
            ),
            params,
            tree.keys_like(genotype.key, params),
        )
