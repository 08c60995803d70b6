"""Compares the error that a long run reports with that of the network that it returns.

    python benchmarks/long_run.py [--generations 100000]

The 2021 paper's search: 20 agents, one position shared by all. No drift may gather.
"""

import argparse
import time

import jax

import evoae
from evoae.mutations import Sparse
from evoae.strategies import GeneticAlgorithm


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=100_000)
    generations = parser.parse_args().generations
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    strategy = GeneticAlgorithm(20, mutation=Sparse(1, shared_positions=True))
    for_weights, for_state, for_run = jax.random.split(jax.random.key(0), 3)
    state = strategy.init(for_state, model.init(for_weights, images)["params"])
    start = time.perf_counter()
    state, trace = evoae.evolve(
        for_run, strategy, fitness, images, state, num_generations=generations
    )
    seconds = time.perf_counter() - start
    reported, fresh = float(state.best_fitness), float(fitness(state.best, images))
    best = trace.best_fitness
    print(
        f"{generations:,} generations in {seconds:.0f} s: reported {reported:.9f}, "
        f"fresh {fresh:.9f}, difference {abs(reported - fresh):.1e}; "
        f"largest rise of the best {max((best[1:] - best[:-1]).max(), 0):.1e}"
    )


if __name__ == "__main__":
    main()
