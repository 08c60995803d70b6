"""What LLVM's optimisations cost in compiling, and what they gain.

    python benchmarks/compiling.py [--repeats 9]

For random weights, and for generations of several searches: processor seconds of compiling at
each level of XLA's `xla_backend_optimization_level`, how fast the program is beside that of level
3, XLA's own choice (medians of runs that alternate), and whether it gives the same bits.
"""

import argparse
import functools
import statistics
import time

import jax
import numpy as np

import evoae
from evoae.engine.generations import block
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm, ProbeEvolutionStrategy

LEVELS = (1, 2, 3)


def measure(name, program, arguments, repeats):
    """Prints a line for each level."""
    compiling, runs, ends, seconds = [], [], [], []
    for level in LEVELS:
        options = {"xla_backend_optimization_level": level}
        begun = time.process_time()
        runs.append(jax.jit(program).lower(*arguments).compile(compiler_options=options))
        compiling.append(time.process_time() - begun)
        ends.append(jax.tree.leaves(jax.block_until_ready(runs[-1](*arguments))))
    for _ in range(repeats):
        row = []
        for run in runs:
            begun = time.process_time()
            jax.block_until_ready(run(*arguments))
            row.append(time.process_time() - begun)
        seconds.append(row)
    medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
    for level, its, median, end in zip(LEVELS, compiling, medians, ends, strict=True):
        same = "the same bits" if all(map(np.array_equal, end, ends[-1])) else "other bits"
        speed = medians[-1] / median
        print(f"{name:36} level {level}: {its:5.1f} s, speed {speed:.2f}, {same}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    digits = evoae.data.load("digits10", low=0.1, high=0.9).images
    mnist = evoae.data.load("mnist-mini", low=0.1, high=0.9).images
    varadi, conv16 = evoae.models.varadi2021(), evoae.models.conv16()
    probes = functools.partial(ProbeEvolutionStrategy, 256, learning_rate=0.03)
    keys = jax.random.split(jax.random.key(0), 5)

    def search(name, model, strategy, number, images=digits, batch_size=None):
        fitness = evoae.fitness.Reconstruction(model, error="mae")
        state = strategy.init(keys[0], model.init(keys[1], images[:1])["params"])
        settings = {"strategy": strategy, "fitness": fitness, "block_size": number}
        settings |= {"batch_size": batch_size, "chunk_size": None}
        program = functools.partial(block, **settings)
        measure(name, program, (keys[2], images, state, np.int32(number)), repeats)

    for name, model in {"varadi2021": varadi, "conv16": conv16}.items():
        program = jax.vmap(model.init, (0, None))
        measure(f"{name}, five random networks", program, (keys, digits[:1]), repeats)
    shared = Sparse(1, shared_positions=True)
    search("varadi2021, 20, shared position", varadi, GeneticAlgorithm(20, mutation=shared), 300)
    search("varadi2021, 256 Sparse", varadi, GeneticAlgorithm(256, mutation=Sparse(1)), 30)
    search("varadi2021, 256 Gaussian", varadi, GeneticAlgorithm(256, mutation=Gaussian(0.02)), 6)
    search("varadi2021, 256 probes", varadi, probes(), 30)
    search("varadi2021, 256 probes, batches", varadi, probes(elitist=False), 6, mnist, 64)
    search("conv16, 64 Sparse", conv16, GeneticAlgorithm(64, mutation=Sparse(1)), 10)
    search("conv16, 64 Gaussian", conv16, GeneticAlgorithm(64, mutation=Gaussian(0.02)), 4)


if __name__ == "__main__":
    main()
