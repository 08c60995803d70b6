"""What a generation of least squares costs by part, beside the machine's rate of products.

    python benchmarks/least_squares_cost.py [--repetitions 20]

The paper's network on ten digits, all 1,397 weights: on one part of five images the probes (with
outputs and, for comparison, with only errors), the product of their effects, and a solve; a whole
generation of both parts and five solves, by all devices. The rate is that of a product of matrices
as large as the number of weights.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

import evoae
from evoae import trees
from evoae.engine.devices import use_cores
from evoae.fitness.effects import gram
from evoae.strategies import LeastSquares
from evoae.strategies.ridge import solve


def seconds(function, *arguments, repetitions):
    """The median time of a call, after one that compiles; and its result."""
    result = jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repetitions):
        begun = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begun)
    return float(np.median(times)), result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=20)
    measured = functools.partial(seconds, repetitions=parser.parse_args().repetitions)
    use_cores()
    images = jnp.asarray(evoae.data.load("digits10", low=0.1, high=0.9).images)
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    params = model.init(jax.random.key(0), images)["params"]
    size = trees.size(params)
    part = trees.take(fitness.split(fitness.prepare(images)), 0)
    positions = jax.random.permutation(jax.random.key(1), size)
    deltas = jnp.full(size, 0.001)

    square = jax.random.normal(jax.random.key(2), (size, size))
    product, _ = measured(jax.jit(jnp.matmul), square, square)
    rate = 2 * size**3 / product
    print(f"product      {1e3 * product:6.1f} ms  {rate / 1e9:.0f} GFLOP/s, the rate")

    def show(name, took, operations=None):
        of_rate = "" if operations is None else f"  {operations / took / rate:.0%} of the rate"
        print(f"{name:<12} {1e3 * took:6.1f} ms{of_rate}")

    def probe(params, positions, deltas, *, short):
        return fitness.effects(params, part, positions, deltas, short=short)

    def of_errors(params, positions, deltas):
        parent = fitness.evaluate_parent(params, part.batch)
        return fitness.of_changes(parent, part.batch, positions, deltas)

    probes = params, positions, deltas
    show("errors alone", measured(jax.jit(of_errors), *probes)[0])
    each, dense = measured(jax.jit(functools.partial(probe, short=False)), *probes)
    show("outputs", each)
    shared, effects = measured(jax.jit(functools.partial(probe, short=True)), *probes)
    show("shared rows", shared)

    curvatures, outputs = jnp.ones(dense.rows.shape[1]), dense.rows.shape[1]
    took, lower = measured(jax.jit(gram), dense.rows, curvatures)
    show("J W J', all", took, size**2 * outputs)  # of which one half is computed
    took, _ = measured(jax.jit(lambda effects, weights: effects.gram(weights)), effects, curvatures)
    show("shared rows", took, 2 * len(effects.rows) ** 2 * outputs)
    took, _ = measured(jax.jit(solve), lower, jnp.diag(lower) + 1, jnp.ones(size))
    show("a solve", took, size**3 / 3)

    strategy = LeastSquares(size, size)
    state = strategy.init(jax.random.key(3), params)
    run = functools.partial(evoae.evolve, jax.random.key(4), strategy, fitness, images, state)
    took, _ = measured(lambda: run(num_generations=5))
    show("a generation", took / 5)


if __name__ == "__main__":
    main()
