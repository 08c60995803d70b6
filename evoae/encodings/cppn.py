"""CPPN: a small network paints the weights of a large one from their places."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from evoae.checks import Count
from evoae.encodings.array_scales import first_scales, scaled
from evoae.encodings.base import Encoding
from evoae.encodings.coordinates import coordinates
from evoae.layers.base import sigmoid
from evoae.types import Genotype, Params

# In the order in which units take them, beginning anew after the last.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "sine": jnp.sin,
    "gaussian": lambda x: jnp.exp(-0.5 * jnp.square(x)),
    "absolute": jnp.abs,
    "sigmoid": sigmoid,
    "linear": lambda x: x,
}


@dataclasses.dataclass(frozen=True)
class CPPN(Encoding):
    """A network of mixed activations from the coordinates of a weight to its value.

    The coordinates (`evoae.encodings.coordinates.coordinates`) are those of the weight's two ends,
    its kernel offset and its layer, as in HyperNEAT (Stanley 2007, "Compositional pattern producing
    networks"; Stanley, D'Ambrosio and Gauci 2009, "A hypercube-based encoding for evolving
    large-scale neural networks"). Its layers are dense; hidden unit i has activation i mod 5 of
    sine, Gaussian exp(-x^2 / 2), absolute value, sigmoid, identity; the output is linear. From the
    second layer on sums are divided by the root of their number of terms, so that all genes are
    of the size of 1. Each array of weights has a gene of scale besides.

    Attributes:
      hidden: the units of each hidden layer.

    >>> params = {"bias": jnp.zeros(8), "kernel": jnp.ones((8, 100))}
    >>> encoding = CPPN(hidden=(10,))
    >>> genotype = encoding.init(jax.random.key(0), params)
    >>> genotype["0_Dense"]["kernel"].shape, encoding.decode(genotype, params)["kernel"].shape
    ((8, 10), (8, 100))
    """

    hidden: tuple[Count, ...] = (15, 15)

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """A random CPPN, all of N(0, 1), and "scales" of the given weights."""
        sizes = (coordinates(params).shape[1], *self.hidden, 1)
        genotype: dict[str, Genotype] = {"scales": first_scales(params)}
        for layer, for_layer in enumerate(jax.random.split(key, len(sizes) - 1)):
            for_bias, for_kernel = jax.random.split(for_layer)
            shape = sizes[layer : layer + 2]
            genotype[f"{layer}_Dense"] = {
                "bias": jax.random.normal(for_bias, shape[1:], jnp.float32),
                "kernel": jax.random.normal(for_kernel, shape, jnp.float32),
            }
        return genotype

    def decode(self, genotype: Genotype, like: Params) -> Params:
        x = jnp.asarray(coordinates(like).T)
        kinds = tuple(ACTIVATIONS.values())
        for layer in range(len(self.hidden) + 1):
            weights = genotype[f"{layer}_Dense"]
            product = jnp.matmul(weights["kernel"].T, x, precision=lax.Precision.HIGHEST)
            divisor = math.sqrt(len(x)) if layer else 1.0
            x = product / jnp.float32(divisor) + weights["bias"][:, None]
            if layer < len(self.hidden):
                # Units of one activation side by side, so that each is computed where it is used.
                rows = [kinds[unit % len(kinds)](x[unit]) for unit in range(len(x))]
                x = jnp.stack(rows)
        return scaled(x[0], genotype["scales"], like)
