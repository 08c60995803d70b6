"""Direct encoding: the genes are the weights."""

import dataclasses

import jax

from evoae.encodings.base import Encoding
from evoae.types import Genotype, Params


@dataclasses.dataclass(frozen=True)
class Direct(Encoding):
    """One gene a weight, with the weight's value: the encoding of Varadi (2021).

    In the order of `evoae.trees.ravel` the genes are one vector. Nothing is decoded in a run, so
    that children of one changed weight are evaluated from their parent's activations.

    >>> params = {"kernel": jax.numpy.ones((2, 3))}
    >>> genotype = Direct().init(jax.random.key(0), params)
    >>> Direct().decode(genotype, params) is params
    True
    """

    def init(self, key: jax.Array, params: Params) -> Genotype:
        return params

    def decode(self, genotype: Genotype, like: Params) -> Params:
        return genotype
