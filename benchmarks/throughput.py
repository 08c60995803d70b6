"""Generations a second through `evoae.evolve`, beside the same search over Flax's own convolutions.

    python benchmarks/throughput.py [--generations N]

Both run in one process, in turns; a figure is the median of three runs after one that compiles.
Sample evaluations are candidates times images.
"""

import argparse
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp

import evoae
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm


class FlaxVaradi2021(nn.Module):
    """The network of the 2021 paper from Flax's own layers, as a user of Flax would write it."""

    @nn.compact
    def __call__(self, images):
        for _ in range(2):
            x = nn.Conv(1, (5, 5), padding="VALID", use_bias=False)(images)
            images = nn.max_pool(nn.relu(x), (2, 2), (2, 2))
        x = images.reshape(images.shape[0], -1)
        for units in (5, 2, 5, 160):
            x = nn.sigmoid(nn.Dense(units)(x))
        # One kernel for all ten channels: they pass as images of their own.
        x = x.reshape(-1, 10, 4, 4).reshape(-1, 4, 4, 1)
        x = x.repeat(2, 1).repeat(2, 2)
        x = nn.sigmoid(nn.ConvTranspose(1, (5, 5), padding="VALID", use_bias=False)(x))
        x = jnp.moveaxis(x.reshape(-1, 10, 12, 12), 1, -1)
        x = x.repeat(2, 1).repeat(2, 2)
        return nn.sigmoid(nn.ConvTranspose(1, (5, 5), padding="VALID", use_bias=False)(x))


CASES = {
    "256 candidates, one weight each": GeneticAlgorithm(256, mutation=Sparse(1)),
    "20 candidates, shared position": GeneticAlgorithm(
        20, mutation=Sparse(1, shared_positions=True)
    ),
    "256 candidates, Gaussian": GeneticAlgorithm(256, mutation=Gaussian(0.02)),
}


def seconds_per_generation(model, strategy, images, num_generations):
    """A function that runs once more and returns the time a generation."""
    fitness = evoae.fitness.reconstruction(model, error="mae")
    for_weights, for_state, for_run = jax.random.split(jax.random.key(0), 3)
    params = jax.jit(model.init)(for_weights, images)
    state = strategy.init(for_state, params)

    def run():
        start = time.perf_counter()
        evoae.evolve(
            for_run, strategy, fitness, images, state, num_generations=num_generations
        )  # returns NumPy arrays: all work is done
        return (time.perf_counter() - start) / num_generations

    run()
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=200)
    generations = parser.parse_args().generations
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    print(f"device {jax.devices()[0].device_kind}, jax {jax.__version__}, {len(images)} images")
    for name, strategy in CASES.items():
        ours = seconds_per_generation(evoae.models.varadi2021(), strategy, images, generations)
        plain = seconds_per_generation(FlaxVaradi2021(), strategy, images, 3)
        pairs = [(ours(), plain()) for _ in range(3)]
        fast, slow = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(p / o for o, p in pairs)
        evaluations = strategy.population_size * len(images)
        print(
            f"{name}: {1 / fast:,.0f} generations/s, "
            f"{evaluations / fast:,.0f} sample evaluations/s; "
            f"Flax under vmap {evaluations / slow:,.0f}; ratio {ratio:,.0f}"
        )


if __name__ == "__main__":
    main()
