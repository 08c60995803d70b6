"""Least squares on minibatches against NumPy, and what it promises of any strategy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evoae
from evoae import fitness as fitnesses
from evoae import trees
from evoae.fitness.effects import Effects
from evoae.fitness.outputs import Outputs
from evoae.strategies import MinibatchLeastSquares
from tests.strategies.test_least_squares import IMAGES, LINE, MODEL, POINTS, targets

FITNESS = fitnesses.Residuals(targets)


def numpy_run(strategy, num_generations):
    """The weights (height, slope) after each generation, by the definition in the docstring."""
    points = np.asarray(POINTS, np.float64)
    rows = np.stack([np.ones(50), points])
    weights, mean, courses = np.zeros(2), np.zeros((2, 2)), []
    for generation in range(num_generations):
        residuals = weights @ rows - np.sin(points)
        curvature = 2 * rows @ rows.T / 50
        mean = strategy.memory * mean + (1 - strategy.memory) * curvature
        seen = 1 - strategy.memory ** (generation + 1)
        known = mean / seen
        diagonal = np.diag(known)
        ridge = strategy.damping * (diagonal + 1e-4 * diagonal.max())
        step = np.linalg.solve(known + np.diag(ridge), -2 * rows @ residuals / 50)
        fall = 0.5 * (1 + np.cos(np.pi * generation / strategy.horizon))
        weights = weights + seen * strategy.learning_rate * fall * step
        courses.append(weights)
    return np.array(courses)


def test_generations_are_those_of_the_definition():
    strategy = MinibatchLeastSquares(damping=0.5, memory=0.5, horizon=10.0)
    state, found = strategy.init(jax.random.key(0), LINE), []
    for _ in range(5):
        run = jax.random.key(1), strategy, FITNESS, POINTS, state
        state, _ = evoae.evolve(*run, num_generations=1)
        found.append(np.asarray(trees.ravel(state.parent)))
    np.testing.assert_allclose(found, numpy_run(strategy, 5), rtol=2e-3, atol=1e-4)
    assert strategy.num_evaluations(state) == 5 * 3


def test_a_sample_of_outputs_tells_the_curvature_without_bias():
    rng = np.random.default_rng(0)
    rows, factors = rng.normal(size=(3, 12)), rng.normal(size=(5, 4))
    effects = Effects(
        *(jnp.float32(rows), jnp.int32([0, 1, 2, 1, 0]), jnp.float32(factors))  # four images
    )
    outputs = jnp.int32([7, 2, 2, 11])
    np.testing.assert_array_equal(effects.of_outputs(outputs).rows, effects.dense()[:, outputs])
    strategy = MinibatchLeastSquares(num_sampled=4)
    state = strategy.init(jax.random.key(0), {"weights": jnp.zeros(5)})
    population, _ = strategy.ask(jax.random.key(0), state)
    of_square = Outputs.of_residuals(jnp.ones((2, 12)))
    told = of_square._replace(effects=effects, first=jnp.float32(rng.normal(size=12)))

    @jax.jit
    @functools.partial(jax.vmap)
    def curvature(generation):
        return strategy.sum_outputs(population, told, state._replace(generation=generation)).gram

    found = np.tril(np.mean(curvature(jnp.arange(4_000)), 0))
    wanted = np.tril(2 * effects.dense() @ effects.dense().T)
    assert np.linalg.norm(found - wanted) < 0.05 * np.linalg.norm(wanted)


@functools.cache
def small_run():
    """Forty generations on two of five images each, in two calls."""
    fitness = fitnesses.Reconstruction(MODEL, "mae")
    params = MODEL.init(jax.random.key(1), IMAGES)["params"]
    strategy = MinibatchLeastSquares(30, 10, num_sampled=32).fitted_to(40)
    state = strategy.init(jax.random.key(2), params)
    run = jax.random.key(3), strategy, fitness, IMAGES
    middle, _ = evoae.evolve(*run, state, num_generations=15, batch_size=2, block_size=20)
    after, _ = evoae.evolve(*run, middle, num_generations=25, batch_size=2, block_size=20)
    return run, state, after


def test_it_learns_from_minibatches_and_goes_on_to_the_same_bits():
    run, state, after = small_run()
    fitness = jax.jit(run[2])
    assert fitness(after.parent, IMAGES) < 0.9 * fitness(state.parent, IMAGES)
    straight, trace = evoae.evolve(*run, state, num_generations=40, batch_size=2, block_size=20)
    jax.tree.map(np.testing.assert_array_equal, straight, after)
    assert not trace.num_invalid.any()
    whole, _ = evoae.evolve(*run, after, num_generations=1)  # on all images
    np.testing.assert_allclose(whole.best_fitness, fitness(whole.best, IMAGES), rtol=1e-5)


def test_a_network_whose_outputs_are_not_finite_stays_where_it_is():
    fitness = fitnesses.Residuals(lambda params, _: jnp.log(params["weights"]))
    strategy = MinibatchLeastSquares()
    state = strategy.init(jax.random.key(0), {"weights": -jnp.ones(3)})
    with pytest.raises(evoae.InvalidFitnessError):
        evoae.evolve(jax.random.key(0), strategy, fitness, None, state, num_generations=1)


def test_a_network_of_too_many_weights_is_searched_by_some_of_them():
    fitness = fitnesses.Residuals(lambda params, points: params["weights"] * points - 1.0)
    strategy = MinibatchLeastSquares(early_generations=2)
    state = strategy.init(jax.random.key(0), {"weights": jnp.zeros(5_000)})
    run = jax.random.key(1), strategy, fitness, jnp.ones(1)
    after, _ = evoae.evolve(*run, state, num_generations=3)
    assert after.curvature.size == 0
    assert strategy.num_evaluations(after) == 3 * 256
    assert 2 * 255 < (trees.ravel(after.parent) != 0).sum() <= 3 * 255


def test_short_probes_need_float32():
    with pytest.raises(ValueError, match="params must be float32 for MinibatchLeastSquares"):
        MinibatchLeastSquares().init(jax.random.key(0), {"w": jnp.zeros(4, jnp.bfloat16)})
