"""Generations a second, to compare one device with a device for each core.

JAX_NUM_CPU_DEVICES=1 python benchmarks/cores.py
JAX_NUM_CPU_DEVICES=2 python benchmarks/cores.py
"""

import time

import jax
import numpy as np

import evoae
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy

TURNS = 3


def measure(name, model, images, strategy, num_generations, error="bce"):
    """Prints the median of a few turns, after one that compiles."""
    params = model.init(jax.random.key(0), images)["params"]
    fitness = evoae.fitness.Reconstruction(model, error=error)
    state = strategy.init(jax.random.key(1), params)
    rates = []
    for _ in range(1 + TURNS):
        begin = time.perf_counter()
        state, _ = evoae.evolve(
            jax.random.key(2), strategy, fitness, images, state, num_generations=num_generations
        )
        jax.block_until_ready(state)
        rates.append(num_generations / (time.perf_counter() - begin))
    found = np.median(rates[1:])
    error = f"best error {float(state.best_fitness):.7f}"  # the same bits on any number
    print(f"{name:58s} {found:8.1f} generations/s  {error}", flush=True)


def main():
    print(f"{len(jax.devices())} devices")
    ten = evoae.data.load("digits10", low=0.1, high=0.9).images
    more = evoae.data.load("mnist-mini").images[:64]
    paper, conv16 = evoae.models.varadi2021(), evoae.models.conv16()
    shared = GeneticAlgorithm(20, mutation=Sparse(1, shared_positions=True))
    dense = GeneticAlgorithm(256, mutation=Gaussian(0.02))
    probes = ProbeEvolutionStrategy(256)
    measure("varadi2021, 10 images, 20 that share a weight", paper, ten, shared, 1_000)
    measure("varadi2021, 10 images, 256 by one weight each", paper, ten, probes, 100)
    measure(
        "varadi2021, 10 images, 1,024 by one weight each",
        paper,
        ten,
        ProbeEvolutionStrategy(1_024),
        50,
    )
    measure("varadi2021, 10 images, 256 by all weights", paper, ten, dense, 40)
    measure("varadi2021, 64 images, 256 by one weight each", paper, more, probes, 20)
    measure("conv16, 64 images, 256 by one weight each", conv16, more, probes, 10)
    measure("conv16, 64 images, 256 by all weights", conv16, more, dense, 4)


if __name__ == "__main__":
    main()
