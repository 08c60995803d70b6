"""Many runs as one program are what they are alone."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae.mutations import Gaussian, Sparse
from evoae.strategies import GeneticAlgorithm
from tests.random_weights import random_images, random_weights

SCALES = (0.05, 0.3, 2.0)
STRATEGIES = {
    "a weight each": GeneticAlgorithm(6, mutation=Sparse(1)),
    "a shared weight": GeneticAlgorithm(6, mutation=Sparse(1, shared_positions=True)),
    "all weights, minibatches": GeneticAlgorithm(6, num_elites=2, mutation=Gaussian()),
}


def begin(strategy, scale, seed, population=False):
    model = evoae.models.mlp(2, hidden=(), image_shape=(6, 5, 1))
    images = random_images(7, 6, 5, 1)
    fitness = evoae.fitness.Reconstruction(model, error="mae")
    networks = random_weights(model, images, seed=seed, count=6)
    first = evoae.Stacked(networks) if population else evoae.trees.take(networks, 0)
    key, hyper = jax.random.key(seed), {"mutation": {"scale": scale}}
    return key, fitness, images, strategy.init(key, first, hyper)


def stacked(trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_run_is_the_single_one_bit_for_bit(name):
    strategy = STRATEGIES[name]
    settings = {"num_generations": 7, "batch_size": 3 if "minibatches" in name else None}
    population = name == "a shared weight"  # whose first generation is a program of its own
    begun = [begin(strategy, scale, seed, population) for seed, scale in enumerate(SCALES)]
    alone = [evoae.evolve(key, strategy, f, x, state, **settings) for key, f, x, state in begun]
    keys, states = jnp.stack([its[0] for its in begun]), stacked([its[3] for its in begun])
    _, fitness, images, _ = begun[0]
    run = functools.partial(evoae.evolve_runs, keys, strategy, fitness, images, block_size=4)
    found = run(states, **settings)
    jax.tree.map(np.testing.assert_array_equal, found, stacked(alone))
    assert found[1].best_fitness.shape == (3, 7)
    assert len(set(found[1].best_fitness[:, -1].tolist())) == 3

    # Two at a time, of which the last has to be filled up.
    goes_on, together = (run(found[0], runs_at_once=number, **settings)[1] for number in (1, 2))
    np.testing.assert_allclose(together.best_fitness, goes_on.best_fitness, rtol=1e-4)


def test_a_run_without_a_finite_error_does_not_stop_the_others(key):
    strategy = GeneticAlgorithm(4, mutation=Gaussian(0.1))

    def start(weight):
        return strategy.init(key, {"weights": jnp.full(3, weight)})

    def error(params, batch):
        return jnp.where(params["weights"][0] > 50, jnp.nan, jnp.square(params["weights"]).sum())

    keys, states = jax.random.split(key, 2), jax.vmap(start)(jnp.array([100.0, 1.0]))
    _, trace = evoae.evolve_runs(keys, strategy, error, None, states, num_generations=5)
    assert np.isinf(trace.best_fitness[0]).all()
    assert trace.best_fitness[1, -1] < trace.best_fitness[1, 0] <= 3
    np.testing.assert_array_equal(trace.num_invalid, [[4] * 5, [0] * 5])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_generations": 0}, "num_generations must be a whole number from 1, got 0"),
        ({"block_size": 1.5}, "block_size must be a whole number from 1, got 1.5"),
        ({"runs_at_once": 0}, "runs_at_once must be None or a whole number from 1, got 0"),
        ({"keys": jax.random.split(jax.random.key(0), 3)}, r"got lengths \[\(2,\), \(3,\)\]"),
        ({"keys": jax.random.key(0)}, r"keys must be an array of keys \[R\] of jax.random"),
    ],
)
def test_what_does_not_fit_is_said(changed, message):
    strategy = GeneticAlgorithm(4)
    start = lambda key: strategy.init(key, {"weights": jnp.ones(3)})  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 2)
    settings = {"keys": keys, "states": jax.vmap(start)(keys), "num_generations": 1, **changed}
    with pytest.raises(ValueError, match=message):
        evoae.evolve_runs(strategy=strategy, fitness=lambda p, b: 0.0, batch=None, **settings)


PROGRAM = """if True:
    import jax, jax.numpy as jnp, evoae
    assert len(jax.devices()) == int({devices}), jax.devices()
    strategy = evoae.strategies.GeneticAlgorithm(6, mutation=evoae.mutations.Gaussian(0.1))
    keys = jax.random.split(jax.random.key(0), 5)
    states = jax.vmap(lambda k: strategy.init(k, {{"w": jax.random.normal(k, (4,))}}))(keys)
    def error(params, batch):
        return jnp.square(params["w"] - batch).mean()
    states, trace = evoae.evolve_runs(
        keys, strategy, error, jnp.arange(4.0), states, num_generations=20
    )
    print(jax.tree.map(lambda leaf: leaf.tolist(), (states, tuple(trace))))
"""


@pytest.mark.slow
def test_several_devices_give_the_same_bits():
    printed = []
    for devices in (1, 3):  # of which one has a run less
        environment = {
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "JAX_PLATFORMS": "cpu",
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(devices=devices)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(done.stdout)
    assert printed[0] == printed[1] != ""
