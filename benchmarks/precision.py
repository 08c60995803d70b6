"""What rounding to bfloat16 does to the error that is reached: float32 and bfloat16, same seeds.

    python benchmarks/precision.py [--generations 500] [--seeds 5]

The search is the genetic algorithm with Gaussian mutation on the ten digits. Both results are
evaluated in float32 at the end.
"""

import argparse

import jax

import evoae
from evoae.experiments.bench.measurements import find_median
from evoae.mutations import Gaussian
from evoae.strategies import GeneticAlgorithm


def reached(precision: str, seed: int, generations: int) -> float:
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.Reconstruction(model, error="bce", precision=precision)
    strategy = GeneticAlgorithm(256, mutation=Gaussian(0.02))
    for_weights, for_state, for_run = jax.random.split(jax.random.key(seed), 3)
    state = strategy.init(for_state, model.init(for_weights, images)["params"])
    state, _ = evoae.evolve(for_run, strategy, fitness, images, state, num_generations=generations)
    return float(evoae.fitness.Reconstruction(model, error="bce")(state.best, images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    for precision in ("float32", "bfloat16"):
        errors = [reached(precision, seed, given.generations) for seed in range(given.seeds)]
        figures = ", ".join(f"{error:.5f}" for error in errors)
        print(f"{precision}: {figures}; median {find_median(errors):.5f}", flush=True)


if __name__ == "__main__":
    main()
