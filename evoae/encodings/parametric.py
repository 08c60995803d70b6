"""Parametric encoding: the network itself follows from a few numbers, within fixed arrays."""

import dataclasses
import functools
import math
from typing import Annotated

import jax
import jax.numpy as jnp

from evoae import trees
from evoae.checks import Rule
from evoae.encodings.architecture import Architecture, architecture, where_arrays_are
from evoae.encodings.base import Encoding, Part
from evoae.encodings.pruned_network import cut_down
from evoae.layers.base import ACTIVATIONS
from evoae.models import Autoencoder
from evoae.types import Genotype, Params


@dataclasses.dataclass(frozen=True)
class Parametric(Encoding):
    """The sizes of a network's layers are genes, beside its weights.

    The network that is given is the largest one. The channels of a convolution, the units of a
    dense layer and the side of a kernel of 3 or more have a gene each, a share from 0 to 1 of what
    there is; below and above it counts as 0 and 1. The first channels or units are used, and the
    middle of a kernel; at least one always is. What is not used is masked, in what makes it and in
    what reads it, so that it has no effect. Shapes stay the same, so a population of different
    architectures is one program. Layers `evoae.layers.ChosenActivation` make activations vary, too:
    their numbers are weights.

    Each weight that is used costs `size_price`, which is added to the error; so a smaller network
    wins where it is about as good.

    Attributes:
      size_price: what each used weight adds to the error of genes, from 0.

    >>> import evoae
    >>> images = jnp.zeros((1, 28, 28, 1))
    >>> params = evoae.models.conv16().init(jax.random.key(0), images)["params"]
    >>> encoding = Parametric(size_price=1e-6)
    >>> genotype = encoding.init(jax.random.key(1), params)
    >>> used = int(encoding.num_used(genotype, params))
    >>> genotype["shares"].shape, used < evoae.trees.size(params)
    ((9,), True)
    >>> network, weights = encoding.cut_down(genotype, evoae.models.conv16())
    >>> int(encoding.num_used(genotype, params)) <= evoae.trees.size(weights)
    True
    """

    size_price: Annotated[float, Rule("from 0", lambda x: x >= 0)] = 1e-6

    def init(self, key: jax.Array, params: Params) -> Genotype:
        """The given "weights", and a random architecture: "shares" float32 [J] of U(0.5, 1).

        Raises:
          ValueError: a network of other layers than evoae's, or one in which nothing can vary.
        """
        number = len(architecture(params).sizes)
        shares = jax.random.uniform(key, (number,), jnp.float32, 0.5, 1.0)
        return {"shares": shares, "weights": params}

    def decode(self, genotype: Genotype, like: Params) -> Params:
        """The weights, 0 where they are not used."""
        shape, leaves = architecture(like), jax.tree.leaves(genotype["weights"])
        counts = counts_of(shape, genotype)
        masked = []
        for place, leaf, its in zip(
            where_arrays_are(like), leaves, jax.tree.leaves(like), strict=True
        ):
            used = functools.reduce(jnp.logical_and.outer, shape.masks(counts, *place, its.shape))
            masked.append(jnp.where(used, leaf, 0).astype(its.dtype))
        return jax.tree.unflatten(jax.tree.structure(like), masked)

    def price(self, genotype: Genotype, like: Params) -> jax.Array:
        return jnp.float32(self.size_price) * self.num_used(genotype, like)

    def num_used(self, genotype: Genotype, like: Params) -> jax.Array:
        """The number of weights that are used, float32; choices of activations do not count."""
        shape = architecture(like)
        counts, total = counts_of(shape, genotype), jnp.float32(0)
        for place, leaf in zip(where_arrays_are(like), jax.tree.leaves(like), strict=True):
            if place[1] != "choice":
                sums = [
                    mask.sum(dtype=jnp.float32) for mask in shape.masks(counts, *place, leaf.shape)
                ]
                total += math.prod(sums, start=jnp.float32(1))
        return total

    def architecture(self, genotype: Genotype, like: Params) -> list[Part]:
        """What can vary, and how it is; and last the number of weights that are used."""
        shape = architecture(like)
        parts = [
            Part(size.layer, size.what, size.value(count), size.most)
            for size, count in zip(shape.sizes, counts_of(shape, genotype).tolist(), strict=True)
        ]
        leaves = jax.tree.leaves(genotype["weights"])
        for (layer, array), leaf in zip(where_arrays_are(like), leaves, strict=True):
            if array == "choice":
                parts.append(Part(layer, "activation", list(ACTIVATIONS)[int(leaf.argmax())], None))
        order = list(shape.stages)
        parts.sort(key=lambda part: order.index(part.layer))
        choices = sum(part.what == "activation" for part in parts) * len(ACTIVATIONS)
        used, most = int(self.num_used(genotype, like)), trees.size(like) - choices
        return [*parts, Part("all layers", "weights", used, most)]

    def cut_down(self, genotype: Genotype, model: Autoencoder) -> tuple[Autoencoder, Params]:
        """The network without what is not used: plain layers, and their weights.

        Its outputs are those of `model` with the decoded weights. A kernel keeps a ring of zeros
        where its images would change their size without it: with padding "valid" or "full", or with
        a stride above its side.

        Args:
          genotype: of one network.
          model: the largest network, whose genes they are.

        Raises:
          ValueError: a `ChosenActivation` that does not follow a linear layer with weights.
        """
        like = genotype["weights"]
        shape = architecture(like)
        return cut_down(model, self.decode(genotype, like), shape, counts_of(shape, genotype))


def counts_of(shape: Architecture, genotype: Genotype) -> jax.Array:
    """Which choice each size is: int32 [J], from 1 on."""
    choices = jnp.array([size.choices for size in shape.sizes], jnp.float32)
    counts = jnp.round(jnp.clip(genotype["shares"], 0, 1) * choices).astype(jnp.int32)
    return jnp.maximum(counts, 1)
