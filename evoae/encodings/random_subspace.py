"""Random subspace: a few genes, spread over all weights by a random matrix that is never stored."""

import dataclasses
import math
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from evoae import trees
from evoae.checks import Count, Rule
from evoae.encodings.array_scales import first_scales, scaled
from evoae.encodings.base import Encoding
from evoae.types import Genotype, Params


@dataclasses.dataclass(frozen=True)
class RandomSubspace(Encoding):
    """Weights in a random subspace of `num_genes` dimensions (Li et al. 2018, arXiv 1804.08838).

    The weights are cut in blocks of b, the power of 2 from `num_genes`. Each is H S g, where g are
    the genes filled up with zeros, S random signs of its own and H the Hadamard matrix of b rows
    over sqrt(num_genes); so every gene moves every weight, alike in size, and the columns of the
    whole matrix are orthogonal in each block. This is the first half of Fastfood (Le, Sarlos and
    Smola 2013), as the paper has for large networks. Signs are drawn anew at each use. Each array
    of weights has a gene of scale besides. Unlike in the paper the subspace goes through 0, not
    through a random network: there the first genes, N(0, 1), are the random network.

    With few genes, strategies that store a matrix of all pairs become usable, such as
    `Evosax("CMA_ES")`.

    Attributes:
      num_genes: the dimension of the subspace, from 1 to the number of weights.
      seed: which subspace, from 0.

    >>> params = {"kernel": jnp.ones((100, 50))}
    >>> encoding = RandomSubspace(num_genes=64)
    >>> genotype = encoding.init(jax.random.key(0), params)
    >>> {name: leaf.shape for name, leaf in genotype.items()}
    {'coordinates': (64,), 'scales': (1,)}
    >>> encoding.decode(genotype, params)["kernel"].shape
    (100, 50)
    """

    num_genes: Count = 256
    seed: Annotated[int, Rule("from 0 and below 2**32", lambda x: 0 <= x < 2**32)] = 0

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """A random point, "coordinates" float32 [num_genes], and "scales" of the given weights."""
        if self.num_genes > trees.size(params):
            raise ValueError(
                f"RandomSubspace: num_genes must be at most {trees.size(params)}, the number of "
                f"weights, got {self.num_genes}"
            )
        coordinates = jax.random.normal(key, (self.num_genes,), jnp.float32)
        return {"coordinates": coordinates, "scales": first_scales(params)}

    def decode(self, genotype: Genotype, like: Params) -> Params:
        num_weights, size = trees.size(like), 1 << (self.num_genes - 1).bit_length()
        blocks = -(-num_weights // size)
        signs = _signs(self.seed, blocks * self.num_genes).reshape(blocks, self.num_genes)
        values = jnp.pad(
            signs * genotype["coordinates"][None], ((0, 0), (0, size - self.num_genes))
        )
        vector = hadamard_product(values) / np.float32(math.sqrt(self.num_genes))
        return scaled(vector.reshape(-1)[:num_weights], genotype["scales"], like)


def hadamard_product(x: jax.Array) -> jax.Array:
    """Every row of x, [rows, power of 2], times the Hadamard matrix of +1 and -1.

    That matrix is the Kronecker product of two smaller ones, so there are two small products.

    >>> hadamard_product(jnp.array([[1.0, 2.0]]))
    Array([[ 3., -1.]], dtype=float32)
    """
    rows, size = x.shape
    power = size.bit_length() - 1
    left, right = _hadamard(power // 2), _hadamard(power - power // 2)
    x = x.reshape(rows, len(left), len(right))
    for matrix in (left, right):  # the first axis of the two goes, the new one comes last
        product = (((1,), (0,)), ((), ()))
        x = lax.dot_general(x, jnp.asarray(matrix), product, precision=lax.Precision.HIGHEST)
    return x.reshape(rows, size)


def _hadamard(power: int) -> npt.NDArray[np.float32]:
    """Sylvester's matrix of 2^power rows."""
    matrix = np.ones((1, 1), np.float32)
    for _ in range(power):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def _signs(seed: int, count: int) -> jax.Array:
    """Random +1 and -1, float32 [count]: 32 of them from one drawn number."""
    words = jax.random.bits(jax.random.key(seed), (-(-count // 32),), jnp.uint32)
    bits = (words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None]) & jnp.uint32(1)
    return (1 - 2 * bits.astype(jnp.float32)).reshape(-1)[:count]
