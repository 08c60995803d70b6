"""Which strategy to use: all of them with equal evaluations, several seeds, median and worst.

    python benchmarks/strategies.py [--out DIR] [--data digits10] [--evaluations 256000] \
        [--seeds 5] [--batch-size 64]

With the paper's network. They learn from Huber's error of logits; what is compared is the mean
absolute error, on all of digits10; or, of another source, from which each generation has a batch of
its own, on 1,000 images that nothing learnt from.
Adam stands beside them with as many evaluations, a gradient counted as three. Each finished line
is kept in DIR/strategies.json, and is not computed again; DIR/strategies.md is the table.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import evoae
from evoae import trees
from evoae.crossovers import Arithmetic, ByLayer, OnePoint, Uniform
from evoae.mutations import Binomial, Gaussian, HeavyTailed, LowRank, Sparse, Zeroing
from evoae.runs.backprop import descend
from evoae.runs.clock import Clock
from evoae.strategies import (
    GESMR,
    SAMR,
    Evosax,
    GeneticAlgorithm,
    Islands,
    LinearRank,
    OneFifth,
    ProbeEvolutionStrategy,
    SuccessiveHalving,
    Tournament,
)

POPULATION, SMALL = 256, 64
STEP = optax.constant_schedule(0.05)  # one object, as strategies are equal by value
GRADIENT_COST = 3  # in evaluations
NUM_VALIDATION = 1_000


def strategies(generations: int, elitist: bool) -> dict[str, object]:
    """By name, for a run of so many generations."""

    def genetic(mutation, num_elites=1, size=POPULATION, **settings):
        return GeneticAlgorithm(size, num_elites=num_elites, mutation=mutation, **settings)

    def probes(size=POPULATION):
        return ProbeEvolutionStrategy(size, learning_rate=0.1, elitist=elitist)

    def evosax(algorithm, **settings):
        return Evosax(algorithm, POPULATION, elitist=elitist, **settings)

    binomial, noise = Binomial(10.0, 0.1, max_weights=64), Gaussian(0.02)
    few = Binomial(2.0, 0.5, max_weights=8)
    parents = {"num_elites": 64, "crossover": Uniform()}
    found = {
        "GA, Sparse(1), the paper's": genetic(Sparse(1, shared_positions=True), size=20),
        "GA, Sparse(1)": genetic(Sparse(1)),
        "GA, Gaussian": genetic(noise),
        "GA, Binomial": genetic(binomial),
        "GA, HeavyTailed": genetic(HeavyTailed(max_weights=64)),
        "GA, LowRank": genetic(LowRank(0.02)),
        "GA, Zeroing": genetic(Zeroing(2.0, max_weights=8)),
        "GA, Binomial, OneFifth": genetic(binomial, adaptation=OneFifth()),
        "GA, Binomial, SAMR": genetic(binomial, 64, adaptation=SAMR()),
        "GA, Binomial, GESMR": genetic(binomial, 64, adaptation=GESMR()),
        "GA, Binomial, GESMR by layer": genetic(binomial, 64, adaptation=GESMR(per_layer=True)),
        "GA, Binomial, 64 elites": genetic(binomial, 64),
        "GA, Binomial, Uniform": genetic(binomial, **parents),
        "GA, Binomial, OnePoint": genetic(binomial, **parents | {"crossover": OnePoint()}),
        "GA, Binomial, ByLayer": genetic(binomial, **parents | {"crossover": ByLayer()}),
        "GA, Binomial, Arithmetic": genetic(binomial, **parents | {"crossover": Arithmetic()}),
        "GA, Binomial, Uniform, Tournament": genetic(binomial, **parents, selection=Tournament(3)),
        "GA, Binomial, Uniform, LinearRank": genetic(binomial, **parents, selection=LinearRank()),
        "GA, Binomial, Uniform, GESMR": genetic(binomial, **parents, adaptation=GESMR()),
        # Fewer children and elites, and few but large changes: a child of two is seldom far off.
        "GA, Sparse(1), 64 candidates": genetic(Sparse(1), size=SMALL),
        "GA, few changes, 4 elites": genetic(few, 4, SMALL),
        "GA, few changes, 4 elites, Uniform": genetic(few, 4, SMALL, crossover=Uniform()),
        "GA, few changes, 16 elites": genetic(few, 16, SMALL),
        "GA, few changes, 16 elites, Uniform": genetic(few, 16, SMALL, crossover=Uniform()),
        "GA, 4 islands": Islands(
            genetic(binomial, 16, POPULATION // 4, crossover=Uniform()), num_islands=4
        ),
        "Probes": probes(),
        "Probes, race of 3": SuccessiveHalving(
            probes(), num_starts=3, generations_each=max(generations // 18, 1)
        ),
        "Probes, 4 islands": Islands(probes(POPULATION // 4), num_islands=4, num_migrants=0),
        "evosax Open_ES": evosax("Open_ES", arguments={"std_schedule": STEP}),
        "evosax SNES": evosax("SNES", parameters={"std_init": 0.1}),
        "evosax PGPE": evosax("PGPE", parameters={"std_init": 0.1}),
    }
    return {name: strategy.fitted_to(generations) for name, strategy in found.items()}


def evolved(problem, strategy, generations: int, seeds: int):
    """The best networks of all seeds, stacked."""
    model, fitness, images, batch_size = problem
    number = strategy.num_networks

    def begin(seed):
        for_weights, for_state, for_run = jax.random.split(jax.random.key(seed), 3)
        if number == 1:
            params = model.init(for_weights, images[:1])["params"]
        else:
            keys = jax.random.split(for_weights, number)
            params = evoae.Stacked(jax.vmap(model.init, (0, None))(keys, images[:1])["params"])
        return for_run, strategy.init(for_state, params)

    begun = [begin(seed) for seed in range(seeds)]
    keys, states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *begun)
    settings = {"num_generations": generations, "batch_size": batch_size}
    states, _ = evoae.evolve_runs(keys, strategy, fitness, images, states, **settings)
    return jax.vmap(lambda state: state.best)(states)


def descended(problem, num_steps: int, seeds: int):
    """As many networks trained by Adam."""
    model, fitness, images, batch_size = problem
    for_weights, key = jax.random.split(jax.random.key(0))
    init = jax.vmap(model.init, (0, None))
    networks = evoae.Stacked(init(jax.random.split(for_weights, seeds), images[:1])["params"])
    settings = {"learning_rate": 0.01, "clock": Clock(num_steps), "batch_size": batch_size}
    return descend(key, fitness, images, networks, **settings).params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("strategies"))
    parser.add_argument("--data", default="digits10", help="a data set, or the folder of one")
    parser.add_argument("--evaluations", type=int, default=256_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64, help="of what is not digits10")
    parser.add_argument("--only", help="lines whose name has this in it")
    given = parser.parse_args()

    pixels = evoae.data.load(given.data, low=0.1, high=0.9).images
    whole = given.data == "digits10"
    images = jnp.asarray(pixels if whole else pixels[NUM_VALIDATION:])
    shown = jnp.asarray(pixels if whole else pixels[:NUM_VALIDATION])
    batch_size = None if whole else given.batch_size
    model = evoae.models.varadi2021()
    fitness = evoae.fitness.Reconstruction(model, error="logit_huber")
    absolute = jax.jit(evoae.fitness.Reconstruction(model, error="mae").__call__)
    problem = (model, fitness, images, batch_size)

    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / "strategies.json"
    settings = ("data", "evaluations", "seeds")
    about = {name: getattr(given, name) for name in settings} | {"batch_size": batch_size}
    kept = json.loads(file.read_text()) if file.exists() else about | {"lines": {}}
    if {name: kept.get(name) for name in about} != about:
        raise SystemExit(f"{file} is of other settings: choose another --out")

    def line(name, networks, began):
        errors = [float(absolute(trees.take(networks, seed), shown)) for seed in range(given.seeds)]
        seconds = (time.perf_counter() - began) / given.seeds
        kept["lines"][name] = {"errors": errors, "seconds": round(seconds, 2)}
        file.write_text(json.dumps(kept, indent=1))
        (given.out / "strategies.md").write_text(table(kept))
        print(f"{name}: {np.median(errors):.4f} {max(errors):.4f} ({seconds:.0f} s a run)")

    names = strategies(given.evaluations // POPULATION, elitist=whole)
    for name in [*names, "Adam"]:
        if name in kept["lines"] or (given.only and given.only not in name):
            continue
        began = time.perf_counter()
        if name == "Adam":
            networks = descended(problem, given.evaluations // GRADIENT_COST, given.seeds)
        else:
            generations = given.evaluations // names[name].population_size
            strategy = strategies(generations, elitist=whole)[name]
            networks = evolved(problem, strategy, generations, given.seeds)
        line(name, networks, began)


def table(kept) -> str:
    """The lines from the smallest median on, as Markdown."""
    lines = sorted(kept["lines"].items(), key=lambda item: np.median(item[1]["errors"]))
    rows = [
        f"| {name} | {np.median(one['errors']):.4f} | {max(one['errors']):.4f} "
        f"| {one['seconds']:,.0f} |"
        for name, one in lines
    ]
    head = ["| | median | worst | seconds a run |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


if __name__ == "__main__":
    main()
