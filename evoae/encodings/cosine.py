"""Cosine encoding: the weights of each array from its lowest cosine coefficients."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import lax

from evoae.checks import Count, Share
from evoae.encodings.base import Encoding
from evoae.encodings.coordinates import grid
from evoae.types import Genotype, Params

# Sums of fewer terms are no matrix products for Triton, by which XLA makes those of an NVIDIA GPU.
SHORTEST_PRODUCT = 16


@dataclasses.dataclass(frozen=True)
class Cosine(Encoding):
    """Weights as sums of few cosines, so that neighbouring weights are alike.

    The genes of an array of weights are coefficients of its orthonormal discrete cosine transform,
    lowest frequencies first; all others are 0 (Koutnik, Gomez and Schmidhuber 2010, "Evolving
    neural networks in compressed weight space"). An axis longer than 64 counts as rows and columns,
    784 as 28 x 28. A coefficient is as low as the highest of its frequencies, each as a part of
    its axis; so those kept fill a block, and decoding is one small matrix product an axis. (In
    the paper they fill a corner, by the sum of the frequencies.)

    Attributes:
      genes_per_weight: the coefficients of each array, as a share of its weights, above 0 and at
        most 1; at least one of each is kept.
      num_coefficients: the number of coefficients of each array, in the order of `jax.tree.leaves`;
        None takes `genes_per_weight`.

    >>> params = {"bias": jnp.zeros(8), "kernel": jnp.ones((10, 8))}
    >>> encoding = Cosine(genes_per_weight=0.2)
    >>> genotype = encoding.init(jax.random.key(0), params)
    >>> genotype["bias"].shape, genotype["kernel"].shape
    ((2,), (16,))
    >>> encoding.decode(genotype, params)["kernel"].shape
    (10, 8)
    """

    genes_per_weight: Share = 0.1
    num_coefficients: tuple[Count, ...] | None = None

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """The lowest coefficients of a network's weights: float32 [K] for each array.

        They are scaled so that the decoded weights have the mean square of the given ones, if
        these are noise.
        """
        leaves, structure = jax.tree.flatten(params)
        genotype = []
        for leaf, number in zip(leaves, self._numbers(leaves), strict=True):
            block, place = _kept(grid(leaf.shape), number)
            bases = [basis.T for basis in _bases(grid(leaf.shape), block)]
            found = _transform(jnp.asarray(leaf, jnp.float32).reshape(grid(leaf.shape)), bases)
            genotype.append(found.reshape(-1)[place] * np.float32(math.sqrt(leaf.size / number)))
        return jax.tree.unflatten(structure, genotype)

    def decode(self, genotype: Genotype, like: Params) -> Params:
        leaves, structure = jax.tree.flatten(like)
        # jax.tree.leaves has the arrays of both trees in the same order.
        pairs = zip(jax.tree.leaves(genotype), leaves, self._numbers(leaves), strict=True)
        weights = []
        for coefficients, leaf, number in pairs:
            block, place = _kept(grid(leaf.shape), number)
            from_gene = np.full(math.prod(block), number)
            from_gene[place] = np.arange(number)  # elsewhere the 0 that is appended
            filled = jnp.append(coefficients, jnp.zeros(1, coefficients.dtype))[from_gene]
            decoded = _transform(filled.reshape(block), _bases(grid(leaf.shape), block))
            weights.append(decoded.reshape(leaf.shape).astype(leaf.dtype))
        return jax.tree.unflatten(structure, weights)

    def _numbers(self, leaves: list[jax.Array]) -> list[int]:
        sizes = [math.prod(leaf.shape) for leaf in leaves]
        if self.num_coefficients is None:
            return [max(1, round(self.genes_per_weight * size)) for size in sizes]
        if len(self.num_coefficients) != len(sizes) or any(
            number > size for number, size in zip(self.num_coefficients, sizes, strict=True)
        ):
            raise ValueError(
                "Cosine: num_coefficients must have one number for each array of weights, at most "
                f"its size, {tuple(sizes)}; got {self.num_coefficients}"
            )
        return list(self.num_coefficients)


def _transform(x: jax.Array, bases: list[npt.NDArray[np.float32]]) -> jax.Array:
    """Multiplies each axis by its matrix [new length, old length]."""
    for basis in bases:  # the first axis goes, the new one comes last
        if basis.shape[1] < SHORTEST_PRODUCT:
            x = lax.platform_dependent(x, basis, default=_product, cuda=_sum)
        else:
            x = _product(x, basis)
    return x


def _product(x: jax.Array, basis: npt.NDArray[np.float32] | jax.Array) -> jax.Array:
    """[old, ...] and [new, old] -> [..., new]."""
    return lax.dot_general(
        x, jnp.asarray(basis), (((0,), (1,)), ((), ())), precision=lax.Precision.HIGHEST
    )


def _sum(x: jax.Array, basis: jax.Array) -> jax.Array:
    """The same without a product."""
    terms = basis.T.reshape(len(x), *(1,) * (x.ndim - 1), -1)
    return (x[..., None] * terms).sum(0)


def _bases(shape: tuple[int, ...], block: tuple[int, ...]) -> list[npt.NDArray[np.float32]]:
    """The lowest k cosines of each axis of n places, as columns [n, k] of unit length."""
    found = []
    for n, k in zip(shape, block, strict=True):
        angles = np.pi / n * np.outer(np.arange(n) + 0.5, np.arange(k))
        basis = np.cos(angles) * np.sqrt(np.where(np.arange(k) == 0, 1, 2) / n)
        found.append(basis.astype(np.float32))
    return found


@functools.cache
def _kept(shape: tuple[int, ...], number: int) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """The smallest block with the lowest coefficients, and their places in it, lowest first."""
    index = np.indices(shape).reshape(len(shape), -1)
    part = index / np.array(shape)[:, None]
    lowest = np.lexsort((part.sum(0), part.max(0)))[:number]
    block = tuple(int(n) for n in index[:, lowest].max(1) + 1)
    return block, np.ravel_multi_index(tuple(index[:, lowest]), block)
