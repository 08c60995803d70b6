"""From genes to a network, and from the fitness of networks to that of genes."""

import dataclasses
from typing import Any, cast

import jax
from jax import lax

from evoae.checks import check_instance
from evoae.encodings.base import Encoding
from evoae.encodings.direct import Direct
from evoae.fitness.batches import is_noisy, prepared
from evoae.fitness.outputs import Expansion, OutputFitness, Part, check_outputs
from evoae.types import Batch, FitnessFn, Genotype, Params


@dataclasses.dataclass(frozen=True)
class Decoder:
    """An encoding for one form of network: genes -> weights. Hashable; made by `Decoder.of`.

    Attributes:
      encoding: one of `evoae.encodings`.
      structure: of the tree of weights.
      leaves: the shapes and types of its arrays.
    """

    encoding: Encoding
    structure: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]

    @classmethod
    def of(cls, encoding: Encoding, params: Params) -> "Decoder":
        """For networks like `params`; only shapes and types are read.

        >>> decoder = Decoder.of(Direct(), {"bias": jax.numpy.zeros(2)})
        >>> decoder({"bias": jax.numpy.ones(2)})
        {'bias': Array([1., 1.], dtype=float32)}
        """
        leaves, structure = jax.tree.flatten(params)
        return cls(
            encoding,
            structure,
            tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves),
        )

    @property
    def like(self) -> Params:
        """The network's tree, with shapes and types for arrays."""
        return jax.tree.unflatten(self.structure, self.leaves)

    def __call__(self, genotype: Genotype) -> Params:
        return self.encoding.decode(genotype, self.like)

    def price(self, genotype: Genotype) -> jax.Array | float:
        """What the encoding adds to the error of genes, for example for their network's size."""
        return self.encoding.price(genotype, self.like)


@dataclasses.dataclass(frozen=True)
class DecodedFitness(OutputFitness):
    """The fitness of genes: that of the network they decode to, and the encoding's price if any.

    Made by `decoded`.

    Attributes:
      fitness: (params, batch) -> error.
      decoder: genes -> params.
    """

    fitness: FitnessFn
    decoder: Decoder

    @property
    def is_noisy(self) -> bool:
        """Whether the fitness has noise to draw."""
        return is_noisy(self.fitness)

    def prepare(self, batch: Batch, key: jax.Array | None = None) -> Batch:
        """As the fitness prepares it: the batch knows nothing of genes."""
        return prepared(self.fitness, batch, key)

    def __call__(self, genotype: Genotype, batch: Batch) -> jax.Array:
        # A weight is read many times; without the barrier XLA may decode it at each.
        error = self.fitness(lax.optimization_barrier(self.decoder(genotype)), batch)
        return error + self.decoder.price(genotype)

    def split(self, batch: Batch) -> Part:
        encoding = self.decoder.encoding
        if type(encoding).price is not Encoding.price:
            raise ValueError(
                "encoding must have no price of its own for a strategy that reads outputs, as "
                f"LeastSquares does; got {encoding!r}"
            )
        return self._readable.split(batch)

    def outputs(self, params: Genotype, part: Part) -> jax.Array:
        network = lax.optimization_barrier(self.decoder(params))
        return self._readable.outputs(network, part)

    def expand(self, outputs: jax.Array, part: Part, floor: jax.Array) -> Expansion:
        return self._readable.expand(outputs, part, floor)

    def finish(self, mean: jax.Array) -> jax.Array:
        return self._readable.finish(mean)

    @property
    def _readable(self) -> OutputFitness:
        check_outputs(self.fitness)
        return cast(OutputFitness, self.fitness)


def decoded(fitness: FitnessFn, encoding: Encoding, params: Params) -> FitnessFn:
    """The fitness of genes: (genes, batch) -> error. With the direct encoding, `fitness` itself.

    Args:
      fitness: of networks, (params, batch) -> error.
      encoding: one of `evoae.encodings`.
      params: a network; only shapes and types are read.

    >>> import evoae
    >>> params = {"kernel": jax.random.normal(jax.random.key(0), (20, 30))}
    >>> encoding = evoae.encodings.Cosine(genes_per_weight=0.05)
    >>> genotype = encoding.init(jax.random.key(1), params)
    >>> def error(params, batch):
    ...     return (params["kernel"] ** 2).mean()
    >>> fitness = decoded(error, encoding, params)
    >>> genotype["kernel"].shape, fitness(genotype, None).shape
    ((30,), ())
    """
    check_instance("encoding", encoding, Encoding, "evoae.encodings")
    if isinstance(encoding, Direct):
        return fitness
    return DecodedFitness(fitness, Decoder.of(encoding, params))
