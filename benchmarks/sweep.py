"""What a sweep costs beside one run of the same size: seconds a generation, and programs compiled.

    python benchmarks/sweep.py [--rates 8] [--seeds 8] [--generations 200] [--runs-at-once 1]

Mutation rates by seeds with the paper's network on ten digits, in turns with one run of as many
generations as all of them have. Both are timed after they have compiled.
"""

import argparse
import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np

import evoae
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm

STRATEGIES = {
    "20 candidates, the same weight for all": GeneticAlgorithm(
        20, mutation=Sparse(1, shared_positions=True)
    ),
    "256 candidates, one weight each": GeneticAlgorithm(256, mutation=Sparse(1)),
    "20 candidates, all weights": GeneticAlgorithm(20, mutation=Gaussian()),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--runs-at-once", type=int, help="more than 1 go through vmap together")
    options = parser.parse_args()
    points = list(itertools.product(np.geomspace(0.01, 1.0, options.rates), range(options.seeds)))
    compiled = []

    def listen(event, duration, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(str(details.get("fun_name")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    images = evoae.data.load("digits10", low=0.1, high=0.9).images
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    for name, strategy in STRATEGIES.items():
        begun = [start(strategy, model, images, *point) for point in points]
        keys, states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)
        problem = (strategy, fitness, images)
        count = len(begun)

        def sweep(generations, problem=problem, keys=keys, states=states):
            settings = {"num_generations": generations, "runs_at_once": options.runs_at_once}
            return evoae.evolve_runs(keys, *problem, states, **settings)

        def single(generations, problem=problem, begun=begun, count=count):
            key, state = begun[0]
            return evoae.evolve(key, *problem, state, num_generations=generations * count)

        compiled.clear()
        sweep(1)
        programs = sum("_generations" in program for program in compiled)
        single(1)
        ratios, speeds = [], []
        for _ in range(options.turns):
            of_single, of_sweep = (seconds(run, options.generations) for run in (single, sweep))
            ratios.append(of_sweep / of_single)
            speeds.append(1e6 * of_sweep / (options.generations * count))
        print(
            f"{name}: {np.median(ratios):.2f} times one run of that size "
            f"({min(ratios):.2f} to {max(ratios):.2f}), {np.median(speeds):,.0f} microseconds "
            f"a generation, {programs} program compiled for {count} runs"
        )


def start(strategy, model, images, scale, seed):
    for_weights, for_run = jax.random.split(jax.random.key(seed))
    params = model.init(for_weights, images)["params"]
    return for_run, strategy.init(for_weights, params, {"mutation": {"scale": scale}})


def seconds(run, generations):
    begun = time.perf_counter()
    run(generations)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
