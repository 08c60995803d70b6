"""The evolution strategy that probes single weights, against its rule written in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evoae import trees
from evoae.strategies import ProbeEvolutionStrategy
from evoae.strategies.probe_evolution import LAST_RATE

PARAMS = {
    "decoder": {"bias": jnp.ones(2), "kernel": jnp.ones((2, 3))},
    "encoder": {"kernel": jnp.ones(4)},
}


def error(params):
    return jnp.square(trees.ravel(params) - jnp.arange(12.0)).sum()


@functools.partial(jax.jit, static_argnums=0)
def ask(strategy, key, state):
    population, state = strategy.ask(key, state)
    return population, jax.vmap(error)(population.dense(strategy)), state


@functools.partial(jax.jit, static_argnums=0)
def tell(strategy, key, population, errors, state):
    return strategy.tell(key, population, errors, state)


@pytest.mark.parametrize("encoder_rate", [1.0, 0.25])
def test_the_centre_moves_by_adams_rule_on_the_probed_weights(encoder_rate):
    strategy = ProbeEvolutionStrategy(6, learning_rate=0.1, horizon=20.0, encoder_rate=encoder_rate)
    rates = np.repeat([1.0, encoder_rate], [8, 4])
    state = strategy.init(jax.random.key(0), PARAMS)
    centre = np.ones(12)
    slope, square, probes = np.zeros(12), np.zeros(12), np.zeros(12)
    for generation in range(5):
        population, errors, state = ask(strategy, jax.random.key(generation), state)
        positions = np.asarray(population.perturbation.positions[1:, 0])
        lengths = np.asarray(population.perturbation.values[1:, 0], np.float64)
        state, _ = tell(strategy, jax.random.key(0), population, errors, state)

        found = (np.asarray(errors[1:], np.float64) - float(errors[0])) / lengths
        rate = 0.1 * max(0.5 * (1 + np.cos(np.pi * generation / 20)), LAST_RATE)
        for weight in set(positions.tolist()):
            mean = found[positions == weight].mean()
            probes[weight] += 1
            slope[weight] = 0.9 * slope[weight] + 0.1 * mean
            square[weight] = 0.99 * square[weight] + 0.01 * mean**2
            first = slope[weight] / (1 - 0.9 ** probes[weight])
            second = square[weight] / (1 - 0.99 ** probes[weight])
            centre[weight] -= rate * rates[weight] * first / (np.sqrt(second) + 1e-8)
        np.testing.assert_allclose(trees.ravel(state.centre), centre, rtol=1e-3)


@pytest.mark.parametrize("encoder_rate", [0.0, -1.0, float("nan"), "slow"])
def test_a_rate_is_above_zero(encoder_rate):
    with pytest.raises(
        ValueError, match="ProbeEvolutionStrategy: encoder_rate must be a finite number above 0"
    ):
        ProbeEvolutionStrategy(encoder_rate=encoder_rate)
