"""Time a candidate and peak memory at 4,096 and at 1,048,576 candidates of the paper's search.

    python benchmarks/million.py

Each population runs in a process of its own; memory is the peak above the process with its imports.
"""

import argparse
import resource
import subprocess
import sys
import time

import jax

import evoae
from evoae.mutations import Sparse
from evoae.strategies import GeneticAlgorithm


def peak():
    """Peak memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(population_size, num_generations, shared):
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.reconstruction(model, error="mae")
    strategy = GeneticAlgorithm(population_size, mutation=Sparse(1, shared_positions=shared))
    for_weights, for_state, for_run = jax.random.split(jax.random.key(0), 3)
    state = strategy.init(for_state, jax.jit(model.init)(for_weights, images))
    before = peak()
    times = []
    for _ in range(4):
        start = time.perf_counter()
        evoae.evolve(for_run, strategy, fitness, images, state, num_generations=num_generations)
        times.append(time.perf_counter() - start)
    return min(times[1:]) / num_generations / population_size * 1e6, peak() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, nargs=3, help="population, generations, shared")
    one = parser.parse_args().one
    if one:
        microseconds, memory = measure(one[0], one[1], bool(one[2]))
        print(microseconds, memory)
        return
    for name, shared in (("a position each", 0), ("shared position", 1)):
        ratio = []
        for population_size, generations in ((4096, 50), (1_048_576, 1)):
            command = [sys.executable, __file__, "--one", str(population_size), str(generations)]
            out = subprocess.run(
                [*command, str(shared)], capture_output=True, text=True, check=True
            ).stdout
            microseconds, memory = map(float, out.split())
            ratio.append(microseconds)
            print(
                f"{name}, {population_size:,} candidates: {microseconds:.2f} us a candidate, "
                f"{memory:.0f} MiB above the process with its imports and data"
            )
        print(f"  ratio of the times a candidate {ratio[1] / ratio[0]:.2f}")


if __name__ == "__main__":
    main()
