"""The contract for a strategy that reads outputs: every encoding, states, keys and devices."""

import functools
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import encodings, trees
from evoae.engine.generations import generation
from evoae.fitness import Residuals
from evoae.strategies import LeastSquares, MinibatchLeastSquares, SuccessiveHalving
from tests.contract.test_contract import ENCODINGS, START, close, network_of, same


def miss(params, batch):
    """From the target of the contract's error, plus `batch`."""
    vector = trees.ravel(params)
    return vector - jnp.where(jnp.arange(vector.size) % 3 > 0, 0.0, 0.5) + batch


FITNESS = Residuals(miss)
STRATEGY = LeastSquares(9, 20)
OF_BATCHES = MinibatchLeastSquares(9, 2, damping=0.1)  # directions, early generations


@functools.cache
def run(name, strategy=STRATEGY):
    """A short run on genes; its first state, last state and trace."""
    encoding, network = ENCODINGS[name], network_of(name)
    fitness = encodings.decoded(FITNESS, encoding, network)
    genes = jax.jit(encoding.init)(jax.random.key(3), network)
    state = strategy.init(jax.random.key(0), genes)
    after, trace = evoae.evolve(jax.random.key(1), strategy, fitness, 0.0, state, num_generations=4)
    return fitness, state, after, trace


@pytest.mark.parametrize(
    "name", [name for name in ENCODINGS if name not in ("parametric", "cellular")]
)
def test_genes_of_every_encoding_are_recombined(name):
    fitness, state, after, trace = run(name)
    fitness = jax.jit(fitness)
    first = fitness(state.parent, 0.0)
    assert after.best_fitness < first
    assert np.all(np.diff(trace.best_fitness) <= 1e-6 * first)
    np.testing.assert_allclose(fitness(after.best, 0.0), after.best_fitness, rtol=1e-5)


def test_genes_are_recombined_on_minibatches():
    fitness, state, after, trace = run("cosine", OF_BATCHES)
    assert after.best_fitness < fitness(state.parent, 0.0)
    np.testing.assert_allclose(fitness(after.best, 0.0), trace.best_fitness[-1], rtol=1e-5)


def test_an_encoding_with_a_price_is_refused():
    with pytest.raises(ValueError, match="encoding must have no price of its own"):
        run("parametric")


@functools.partial(jax.jit, static_argnums=0)
def five_generations(strategy, keys, states):
    def one(key, state):
        def step(state, _):
            return generation(key, strategy, FITNESS, jnp.float32(0), state)[:2]

        return jax.lax.scan(step, state, length=5)

    return one(keys, states) if keys.ndim == 0 else jax.vmap(one)(keys, states)


@pytest.mark.parametrize(
    "strategy",
    [STRATEGY, OF_BATCHES, SuccessiveHalving(STRATEGY, num_starts=2, generations_each=2)],
)
def test_states_of_the_host_and_keys_at_once(strategy):
    first = (
        START
        if strategy.num_networks == 1
        else evoae.Stacked(jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), START))
    )
    state, keys = strategy.init(jax.random.key(0), first), jax.random.split(jax.random.key(1), 2)
    middle, info = five_generations(strategy, keys[0], state)
    end, _ = five_generations(strategy, keys[0], middle)
    assert end.generation == 10
    assert not np.isnan(info.best_fitness).any()
    same(five_generations(strategy, keys[0], jax.tree.map(np.array, middle))[0], end)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), state)
    together, _ = five_generations(strategy, keys, both)
    close(trees.take(together, 0), middle)
    np.testing.assert_allclose(jax.jit(FITNESS)(end.best, 0.0), end.best_fitness, rtol=1e-5)


PROGRAM = """
import hashlib, json, sys
import jax, numpy as np
import evoae
from evoae.engine.generations import working_mesh

images = jax.random.uniform(jax.random.key(0), (20, 6, 5, 1))
fitness = evoae.fitness.Reconstruction(evoae.models.mlp(2, hidden=(9,), image_shape=(6, 5, 1)))
params = fitness.model.init(jax.random.key(1), images)["params"]
found = {}
for strategy in evoae.strategies.LeastSquares(33), evoae.strategies.MinibatchLeastSquares(33, 3):
    first = strategy.init(jax.random.key(2), params)
    own = found[type(strategy).__name__] = [working_mesh(strategy, fitness, images, first).size]
    for num_devices in (1, 2, 3, 8):
        state, trace = evoae.evolve(
            jax.random.key(3), strategy, fitness, images, first, num_generations=6,
            num_devices=num_devices, chunk_size=None if num_devices == 1 else 7,
        )
        leaves = jax.tree.leaves((state.best, trace))
        content = b"".join(np.asarray(leaf).tobytes() for leaf in leaves)
        own.append(hashlib.sha256(content).hexdigest())
json.dump(found, sys.stdout)
"""


@pytest.mark.slow
def test_any_number_of_devices_gives_the_same_bits():
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    for working, *bits in json.loads(done.stdout).values():
        assert working == 3  # parts of eight images
        assert len(bits) == 4
        assert len(set(bits)) == 1
