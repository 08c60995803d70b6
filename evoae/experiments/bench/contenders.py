"""Who is measured: a function of a case for each, which gives a function that runs generations."""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from evoae import data
from evoae.engine.generations import evolve
from evoae.experiments.bench.cases import EVOSAX, FLAX, GAUSSIAN_SCALE, LOOP, NETWORKS, Case
from evoae.fitness import Reconstruction
from evoae.types import Params

Run = Callable[[int], None]  # runs this many generations, which are done when it returns
EVOAE = "evoae"


class _Start(NamedTuple):
    """What all begin from; `key` is the randomness of their generations."""

    key: jax.Array
    fitness: Reconstruction
    images: jax.Array
    params: Params
    state: Any


@functools.lru_cache(maxsize=4)  # since compiling this takes seconds
def _initialized(model: nn.Module, image_shape: tuple[int, ...]) -> Params:
    images = jnp.zeros((1, *image_shape))
    return jax.jit(model.init)(jax.random.key(0), images)["params"]


def _start(model: nn.Module, case: Case) -> _Start:
    for_state, for_run = jax.random.split(jax.random.key(1))
    images = jnp.asarray(case.dataset().images)
    params = _initialized(model, images.shape[1:])
    state = case.strategy.init(for_state, params)
    return _Start(for_run, Reconstruction(model, error="mae"), images, params, state)


def prepare_evoae(case: Case) -> Run:
    """`evoae.evolve` with our layers."""
    return _evolve(NETWORKS[case.network].model, case)


def prepare_flax(case: Case) -> Run:
    """`evoae.evolve`, and so the same search, over Flax's own layers."""
    return _evolve(NETWORKS[case.network].twin, case)


def _evolve(model: nn.Module, case: Case) -> Run:
    start = _start(model, case)

    def run(num_generations: int) -> None:
        # Returns NumPy arrays, so that all work is done.
        evolve(
            start.key,
            case.strategy,
            start.fitness,
            start.images,
            start.state,
            num_generations=num_generations,
            batch_size=case.batch_size,
        )

    return run


def prepare_evosax(case: Case) -> Run:
    """SimpleGA of evosax, which changes all weights, with our layers, as its users write a loop."""
    start = _start(NETWORKS[case.network].model, case)
    algorithms: Any = importlib.import_module("evosax.algorithms")
    algorithm = algorithms.SimpleGA(
        population_size=case.population_size,
        solution=start.params,
        std_schedule=lambda _: jnp.float32(GAUSSIAN_SCALE),
    )
    parameters = algorithm.default_params
    errors_of = jax.vmap(start.fitness, (0, None))

    @jax.jit
    def generations(search: Any, images: jax.Array, number: Any) -> Any:
        def generation(i: jax.Array, search: Any) -> Any:
            for_batch, for_ask, for_tell = jax.random.split(jax.random.fold_in(start.key, i), 3)
            candidates, search = algorithm.ask(for_ask, search, parameters)
            errors = errors_of(candidates, data.minibatch(for_batch, images, case.batch_size))
            return algorithm.tell(for_tell, candidates, errors, search, parameters)[0]

        return lax.fori_loop(0, number, generation, search)

    def stacked(leaf: jax.Array) -> jax.Array:
        return leaf[None].repeat(case.population_size, 0)

    candidates = jax.tree.map(stacked, start.params)
    errors = jnp.ones(case.population_size)
    search = algorithm.init(start.key, candidates, errors, parameters)

    def run(num_generations: int) -> None:
        jax.block_until_ready(generations(search, start.images, num_generations))

    return run


def prepare_loop(case: Case) -> Run:
    """The same search without `vmap`: one candidate after another, each a compiled evaluation."""
    strategy, start = case.strategy, _start(NETWORKS[case.network].twin, case)
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)
    batch_of = jax.jit(data.minibatch, static_argnums=2)

    @jax.jit
    def error_of(population: Any, index: jax.Array, images: jax.Array) -> jax.Array:
        return start.fitness(strategy.express(population, index), images)

    def run(num_generations: int) -> None:
        state = start.state
        for i in range(num_generations):
            for_batch, for_ask, for_tell = jax.random.split(jax.random.fold_in(start.key, i), 3)
            images = batch_of(for_batch, start.images, case.batch_size)
            population, state = ask(for_ask, state)
            errors = [error_of(population, index, images) for index in range(population.size)]
            state, _ = tell(for_tell, population, np.stack(jax.device_get(errors)), state)
        jax.block_until_ready(state)

    return run


CONTENDERS: dict[str, Callable[[Case], Run]] = {
    EVOAE: prepare_evoae,
    FLAX: prepare_flax,
    EVOSAX: prepare_evosax,
    LOOP: prepare_loop,
}


def is_missing(name: str) -> bool:
    """Whether a contender is a package that is not installed."""
    return name == EVOSAX and importlib.util.find_spec("evosax") is None
