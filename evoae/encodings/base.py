"""What every encoding is: a base class with a default for all that is optional."""

import abc
from typing import NamedTuple

import jax

from evoae.checks import Checked
from evoae.types import Genotype, Params


class Part(NamedTuple):
    """One line of an architecture.

    Attributes:
      layer: such as "encoder/0_Conv", or "all layers".
      what: "channels", "units", "kernel" or "activation"; of all layers "weights".
      value: how many are used, the side of the kernel, or the name of the activation.
      most: how many there are; None for an activation.
    """

    layer: str
    what: str
    value: int | str
    most: int | None


class Encoding(Checked, abc.ABC):
    """A frozen description of how genes make the weights of a network.

    A strategy searches genes instead of weights. The fitness of genes is that of the network they
    decode to (`evoae.encodings.decoded`). What has no gene, such as a random matrix, follows from
    the description and from the network's shapes.

    A subclass is a frozen dataclass with `init` and `decode`; all else has a default.
    """

    @abc.abstractmethod
    def init(self, key: jax.Array, params: Params) -> Genotype:
        """The first genes, from a key and a random network.

        Its arrays give shapes, types and the size of weights; an encoding that can represent the
        network keeps it.
        """

    @abc.abstractmethod
    def decode(self, genotype: Genotype, like: Params) -> Params:
        """The weights, in the structure, shapes and types of `like`, whose values don't matter."""

    def price(self, genotype: Genotype, like: Params) -> jax.Array | float:
        """A price added to the error of genes, for example for the size of their network: 0."""
        return 0.0

    def architecture(self, genotype: Genotype, like: Params) -> list[Part] | None:
        """What else genes determine of the network, to be shown; None for nothing."""
        return None
