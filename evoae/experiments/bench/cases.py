"""What is measured: networks, populations, mutations, batches."""

import dataclasses
from typing import NamedTuple

import flax.linen as nn

from evoae import data, models
from evoae.experiments.bench.flax_twins import (
    FlaxConv16,
    FlaxConvRgb,
    FlaxLayerList,
    FlaxMlp,
    FlaxVaradi2021,
)
from evoae.layers import Conv, ConvTranspose, Dense, MaxPool, Reshape, Unpool
from evoae.models import Autoencoder
from evoae.mutations import Gaussian, Mutation, Sparse
from evoae.strategies import GeneticAlgorithm


class Network(NamedTuple):
    """A network of ours, and the same from Flax's own layers."""

    model: Autoencoder
    twin: nn.Module
    image_shape: tuple[int, int, int] = (28, 28, 1)


def layer_list() -> Autoencoder:
    """A network that is in no file of evoae but this one: its speed comes with its layers.

    >>> layer_list().latent_size((28, 28, 1))
    6
    """
    return Autoencoder(
        [
            Conv(4, 3, padding="same"),
            MaxPool(2),
            Conv(8, 3, padding="same"),
            MaxPool(2),
            Dense(6, activation="linear"),
        ],
        [
            Dense(8 * 7 * 7),
            Reshape(8, 7, 7),
            Unpool(2),
            ConvTranspose(4, 3, padding="same"),
            Unpool(2),
            ConvTranspose(1, 3, padding="same", activation="sigmoid"),
        ],
    )


CIFAR10 = (32, 32, 3)
NETWORKS = {
    "varadi2021": Network(models.varadi2021(), FlaxVaradi2021()),
    "layer list": Network(layer_list(), FlaxLayerList()),
    "conv16": Network(models.conv16(), FlaxConv16()),
    "mlp": Network(models.mlp(), FlaxMlp()),
    "conv RGB": Network(
        models.conv(16, (8, 16, 16), CIFAR10), FlaxConvRgb(), CIFAR10
    ),  # what suits 50,000 images of CIFAR-10
}

GAUSSIAN_SCALE = 0.02
MUTATIONS: dict[str, Mutation] = {
    "Sparse(1)": Sparse(1),
    "Sparse(1) shared": Sparse(1, shared_positions=True),
    "Gaussian": Gaussian(GAUSSIAN_SCALE),
}

FLAX, EVOSAX, LOOP = "Flax under vmap", "evosax", "loop"


@dataclasses.dataclass(frozen=True)
class Case:
    """One problem, and who else is measured on it."""

    network: str  # a key of `NETWORKS`
    mutation: str  # a key of `MUTATIONS`
    population_size: int  # candidates a generation
    # Images, drawn from mnist-mini anew for each generation; None for the ten digits
    batch_size: int | None = None
    others: tuple[str, ...] = ()  # of `evoae.experiments.bench.contenders.CONTENDERS`

    @property
    def title(self) -> str:
        """The problem in a few words."""
        images = "10 images" if self.batch_size is None else f"{self.batch_size:,} images"
        problem = f"{self.network}, {self.mutation}"
        return f"{problem}, {self.population_size:,} candidates, {images}"

    @property
    def strategy(self) -> GeneticAlgorithm:
        """The genetic algorithm with one elite."""
        return GeneticAlgorithm(self.population_size, mutation=MUTATIONS[self.mutation])

    def dataset(self) -> data.Dataset:
        """The images that batches are drawn from, in the network's shape."""
        source = "digits10" if self.batch_size is None else "mnist-mini"
        size, _, channels = NETWORKS[self.network].image_shape
        return data.load(source, low=0.1, high=0.9, size=size, channels=channels)


def _cases(network: str, batch_size: int | None = None) -> tuple[Case, ...]:
    """The three that others can be measured on."""
    return (
        Case(network, "Sparse(1) shared", 20, batch_size, (FLAX, LOOP)),
        Case(network, "Sparse(1)", 256, batch_size, (FLAX, LOOP)),
        Case(network, "Gaussian", 256, batch_size, (FLAX, EVOSAX, LOOP)),
    )


# The others are left out where a generation of theirs takes many seconds.
CASES = (
    *_cases("varadi2021"),
    Case("varadi2021", "Sparse(1)", 4096),
    Case("varadi2021", "Gaussian", 4096),
    Case("varadi2021", "Sparse(1)", 1_048_576),
    *_cases("layer list"),
    *_cases("conv16", 64),
    Case("conv16", "Sparse(1)", 4096, 64),
    Case("conv16", "Sparse(1)", 256, 256),
    Case("conv16", "Gaussian", 256, 256),
    # A population of 256 whole networks of a million weights would be a gigabyte for the others.
    Case("mlp", "Sparse(1) shared", 20, 64, (FLAX, LOOP)),
    Case("mlp", "Gaussian", 20, 64, (FLAX, EVOSAX, LOOP)),
    Case("mlp", "Sparse(1)", 256, 64),
    *(dataclasses.replace(case, others=(FLAX,)) for case in _cases("conv RGB", 64)),
)
QUICK_CASES = (
    Case("varadi2021", "Sparse(1) shared", 20, others=(FLAX,)),
    Case("varadi2021", "Sparse(1)", 256, others=(FLAX,)),
    Case("varadi2021", "Gaussian", 256, others=(FLAX, EVOSAX)),
)
